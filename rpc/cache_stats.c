/* SPDX-License-Identifier: BSD-3-Clause */
/* cache_get_stats, cache_reset_stats: what a cache counted, and what it holds. */
#include <cjson/cJSON.h>
#include <endian.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/cache.h"
#include "rpc/internal.h"
#include "tarn/cache_block.h"
#include "tarn/cache_stats.h"
#include "tarn/util.h"

struct number {
	const char *name;
	uint64_t value;
};

static void
add_numbers(struct cJSON *object, const struct number *numbers, size_t number_count)
{
	for (size_t i = 0; i < number_count; i++)
		tarn_json_add_u64(object, numbers[i].name, numbers[i].value);
}

/* ADD(object, "group", { "name", value }, …) */
#define ADD(object, group, ...)                                                                    \
	add_numbers(cJSON_AddObjectToObject((object), (group)),                                    \
		    (const struct number[]){ __VA_ARGS__ },                                        \
		    tarn_array_count(((const struct number[]){ __VA_ARGS__ })))

static uint64_t
sum(const uint64_t *values, size_t value_count)
{
	uint64_t total = 0;

	for (size_t i = 0; i < value_count; i++)
		total += values[i];
	return total;
}

/* Four digits after the point; null where there is nothing to divide by. */
static void
add_ratio(struct cJSON *object, const char *name, double part, double whole)
{
	if (whole > 0)
		cJSON_AddNumberToObject(object, name, round(part / whole * 1e4) / 1e4);
	else
		cJSON_AddNullToObject(object, name);
}

static void
add_traffic(struct cJSON *object, const struct tarn_cache_counters *c)
{
	uint64_t hits = c->hit_ram + c->hit_device;
	uint64_t misses = sum(c->miss, TARN_CACHE_MISS_COUNT);

	add_ratio(object, "hit_ratio", (double)hits, (double)(hits + misses));
	ADD(object, "hits", { "total", hits }, { "ram", c->hit_ram }, { "device", c->hit_device },
	    { "bytes", c->hit_bytes });
	ADD(object, "misses", { "total", misses }, { "absent", c->miss[TARN_CACHE_MISS_ABSENT] },
	    { "expired", c->miss[TARN_CACHE_MISS_EXPIRED] },
	    { "banned", c->miss[TARN_CACHE_MISS_BANNED] },
	    { "other_key", c->miss[TARN_CACHE_MISS_KEY] },
	    { "checksum", c->miss[TARN_CACHE_MISS_CRC] },
	    { "unreadable", c->miss[TARN_CACHE_MISS_IO] });
	ADD(object, "stores", { "total", c->store_count }, { "bytes", c->store_bytes });
	ADD(object, "rejects", { "total", sum(c->reject, TARN_CACHE_REJECT_COUNT) },
	    { "too_large", c->reject[TARN_CACHE_REJECT_SIZE] },
	    { "index_full", c->reject[TARN_CACHE_REJECT_INDEX_FULL] },
	    { "dirty_full", c->reject[TARN_CACHE_REJECT_DIRTY_FULL] },
	    { "no_memory", c->reject[TARN_CACHE_REJECT_MEMORY] },
	    { "log_failed", c->reject[TARN_CACHE_REJECT_FAILED] });
	ADD(object, "fills", { "total", c->fill_count }, { "skipped", c->fill_skipped_count });
	tarn_json_add_u64(object, "removes", c->remove_count);
	tarn_json_add_u64(object, "touches", c->touch_count);
	tarn_json_add_u64(object, "cleans", c->clean_count);
}

static void
add_upkeep(struct cJSON *object, const struct tarn_cache_counters *c)
{
	ADD(object, "reclaim", { "reappended", c->reappended_count },
	    { "dropped", c->dropped_count }, { "expired", c->expired_count },
	    { "banned", c->banned_count }, { "segments_freed", c->segment_freed_count },
	    { "throttled", c->throttled_count });
	ADD(object, "errors", { "checksum_clean", c->crc_error_clean },
	    { "checksum_dirty", c->crc_error_dirty }, { "read", c->read_error_count },
	    { "write", c->write_error_count }, { "flush", c->flush_error_count });
	ADD(object, "checkpoints", { "total", c->checkpoint_count },
	    { "bytes", c->checkpoint_bytes });
}

static void
add_log(struct cJSON *object, const struct tarn_cache_stats *stats)
{
	const struct tarn_cache_counters *c = &stats->total;
	const struct tarn_cache_gauges *now = &stats->now;
	struct cJSON *log = cJSON_AddObjectToObject(object, "log");
	uint64_t asked = c->store_bytes + c->fill_count * TARN_CACHE_BLOCK_BYTES;

	add_numbers(log,
		    (const struct number[]){ { "head", now->head_position },
					     { "durable", now->durable_position },
					     { "tail", now->tail_position },
					     { "batches", c->batch_count },
					     { "entries", c->batch_entry_count },
					     { "bytes", c->log_bytes },
					     { "flushes", c->flush_count } },
		    7);
	add_ratio(log, "write_amplification", (double)(c->log_bytes + c->checkpoint_bytes),
		  (double)asked);
}

static void
add_now(struct cJSON *object, const struct tarn_cache_gauges *now)
{
	struct cJSON *index = cJSON_AddObjectToObject(object, "index");

	ADD(object, "segments", { "free", now->segments_free }, { "open", now->segments_open },
	    { "sealed", now->segments_sealed }, { "reclaiming", now->segments_reclaiming });
	add_numbers(index,
		    (const struct number[]){ { "entries", now->entry_count },
					     { "objects", now->object_count },
					     { "dirty", now->dirty_count },
					     { "suspect", now->suspect_count },
					     { "slots", now->index_slot_count } },
		    5);
	add_ratio(index, "load", (double)now->entry_count, (double)now->index_slot_count);
	tarn_json_add_u64(object, "bans", now->ban_count);
	tarn_json_add_u64(object, "ram_bytes", now->ram_bytes);
}

static void
add_raw_histogram(struct cJSON *object, const struct tarn_histogram *histogram)
{
	uint64_t bucket[TARN_HISTOGRAM_BUCKET_COUNT];

	for (uint32_t i = 0; i < TARN_HISTOGRAM_BUCKET_COUNT; i++)
		bucket[i] = htole64(histogram->bucket[i]);
	tarn_json_add_base64(object, "histogram", bucket, sizeof(bucket));
	tarn_json_add_u64(object, "granularity", TARN_HISTOGRAM_GRANULARITY);
}

static void
add_latency(struct cJSON *latency, const char *name, const struct tarn_histogram *histogram,
	    bool raw)
{
	static const struct {
		const char *name;
		double percent;
	} percents[] = {
		{ "p50", 50 }, { "p90", 90 }, { "p99", 99 }, { "p99_9", 99.9 }, { "max", 100 }
	};
	struct cJSON *own = cJSON_AddObjectToObject(latency, name);

	tarn_json_add_u64(own, "count", tarn_histogram_count(histogram));
	for (size_t i = 0; i < tarn_array_count(percents); i++)
		tarn_json_add_u64(own, percents[i].name,
				  tarn_histogram_percentile_ns(histogram, percents[i].percent));
	if (raw)
		add_raw_histogram(own, histogram);
}

static void
add_shards(struct cJSON *object, const struct tarn_cache_stats *stats)
{
	struct cJSON *array = cJSON_AddArrayToObject(object, "shards");

	for (uint32_t i = 0; i < stats->shard_count; i++) {
		const struct tarn_cache_counters *c = &stats->shard[i].counters;
		const struct tarn_cache_gauges *now = &stats->shard[i].now;
		struct cJSON *shard = cJSON_CreateObject();

		add_numbers(shard,
			    (const struct number[]){
				{ "shard", i },
				{ "thread_id", stats->shard[i].reactor_index + UINT64_C(1) },
				{ "hits", c->hit_ram + c->hit_device },
				{ "misses", sum(c->miss, TARN_CACHE_MISS_COUNT) },
				{ "stores", c->store_count },
				{ "entries", now->entry_count },
				{ "head", now->head_position },
				{ "durable", now->durable_position },
				{ "tail", now->tail_position },
				{ "segments_free", now->segments_free },
				{ "segments_sealed", now->segments_sealed } },
			    11);
		cJSON_AddItemToArray(array, shard);
	}
}

static struct cJSON *
stats_json(const char *name, const struct tarn_cache_stats *stats, bool histograms)
{
	struct cJSON *object = cJSON_CreateObject(), *latency;

	tarn_json_add_text(object, "name", name);
	add_traffic(object, &stats->total);
	add_upkeep(object, &stats->total);
	add_log(object, stats);
	add_now(object, &stats->now);
	latency = cJSON_AddObjectToObject(object, "latency_ns");
	add_latency(latency, "hit", &stats->hit, histograms);
	add_latency(latency, "miss", &stats->miss, histograms);
	add_latency(latency, "store", &stats->store, histograms);
	add_shards(object, stats);
	return object;
}

/* --- The methods --- */

struct stats_params {
	char *name;
	bool histograms;
};
static const struct tarn_rpc_field stats_list[] = {
	{ "name", TARN_RPC_STRING, TARN_RPC_AT(struct stats_params, name), .required = true,
	  .min = 1, .max = TARN_CACHE_NAME_MAX, .help = "Name of the cache" },
	{ "histograms", TARN_RPC_BOOL, TARN_RPC_AT(struct stats_params, histograms), .def = "false",
	  .help = "Give the buckets of the latencies too, as bdev_get_histogram" },
};
TARN_RPC_FIELDS(stats_fields, struct stats_params, stats_list);

struct stats_call {
	struct tarn_rpc_request *req;
	bool histograms, reset_only;
	char name[TARN_CACHE_NAME_MAX + 1];
	struct tarn_cache_stats stats;
};

static void
stats_done(void *arg, int status)
{
	struct stats_call *call = arg;

	if (status != 0)
		tarn_rpc_fail(call->req, status, "cache \"%s\": statistics: %s", call->name,
			      strerror(-status));
	else if (call->reset_only)
		tarn_rpc_reply_true(call->req);
	else
		tarn_rpc_reply(call->req, stats_json(call->name, &call->stats, call->histograms));
	free(call);
	rpc_cache_unhold();
}

static void
stats_start(struct tarn_rpc_request *req, const char *name, bool reset_only, bool histograms)
{
	struct tarn_cache *cache = rpc_cache_need(req, name);
	struct stats_call *call;

	if (cache == NULL)
		return;
	call = calloc(1, sizeof(*call));
	if (call == NULL) {
		tarn_rpc_reply(req, NULL);
		return;
	}
	call->req = req;
	call->reset_only = reset_only;
	call->histograms = histograms;
	tarn_strcpy(call->name, sizeof(call->name), name);
	rpc_cache_hold();
	tarn_cache_get_stats(cache, reset_only, reset_only ? NULL : &call->stats, stats_done, call);
}

static void
rpc_cache_get_stats(struct tarn_rpc_request *req, const struct cJSON *json)
{
	struct stats_params params;

	if (tarn_rpc_decode(req, json, &stats_fields, &params) != 0)
		return;
	stats_start(req, params.name, false, params.histograms);
	tarn_rpc_params_free(&stats_fields, &params);
}
TARN_RPC_METHOD(
    "cache_get_stats", rpc_cache_get_stats, stats_fields,
    "Give what a cache counted since its start or the last reset, and what it holds now",
    .details =
	"Blocks count one by one. log has positions of shard 0, in blocks of 4,096 bytes since "
	"format; write_amplification is what was written to the device by what was stored. "
	"Latencies run from the arrival at the shard to the end. A ratio of nothing is null.",
    .result = "{name, hit_ratio, hits, misses, stores, rejects, fills, removes, touches, cleans, "
	      "reclaim, errors, checkpoints, log, segments, index, bans, ram_bytes, latency_ns: "
	      "{hit, miss, store}, shards}",
    .example = "{\"name\": \"cache0\"}")

static void
rpc_cache_reset_stats(struct tarn_rpc_request *req, const struct cJSON *json)
{
	struct rpc_name_params params;

	if (tarn_rpc_decode(req, json, &rpc_cache_name_fields, &params) != 0)
		return;
	stats_start(req, params.name, true, false);
	tarn_rpc_params_free(&rpc_cache_name_fields, &params);
}
TARN_RPC_METHOD("cache_reset_stats", rpc_cache_reset_stats, rpc_cache_name_fields,
		"Begin counting anew", .result = "true", .example = "{\"name\": \"cache0\"}")
