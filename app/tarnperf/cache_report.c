/* SPDX-License-Identifier: BSD-3-Clause */
/* The result of a run on a cache, for people and for programs. */
#include <cjson/cJSON.h>
#include <inttypes.h>

#include "cache_run.h"
#include "figures.h"
#include "tarn/json.h"

static const char *const op_names[] = { "hit", "miss", "store" };

static uint64_t
operations(const struct cache_run *run)
{
	uint64_t count = 0;

	for (int op = 0; op < PERF_CACHE_OP_COUNT; op++)
		count += run->counts.count[op];
	return count;
}

static double
hit_ratio(const struct cache_run *run)
{
	const uint64_t *count = run->counts.count;

	return perf_ratio((double)count[PERF_CACHE_HIT],
			  (double)(count[PERF_CACHE_HIT] + count[PERF_CACHE_MISS]));
}

static void
text_op(const struct cache_run *run, int op, FILE *out)
{
	const struct perf_cache_counts *counts = &run->counts;

	if (counts->count[op] == 0)
		return;
	fprintf(out, "  %-6s %.0f/s, %.1f MiB/s\n         latency us: mean %.2f\n        ",
		op_names[op], perf_ratio((double)counts->count[op], run->time.duration_s),
		perf_ratio((double)counts->bytes[op] / 0x1p20, run->time.duration_s),
		perf_ratio((double)counts->latency_ns[op], (double)counts->count[op]) / 1e3);
	perf_percentiles_text(&counts->histogram[op], out);
}

void
cache_report_text(const struct cache_run *run, FILE *out)
{
	const struct tarn_cache_gauges *now = &run->stats.now;

	fprintf(out,
		"cache %s of %" PRIu64 " keys, depth %u, %u job%s, %u CPU%s, %.2f s%s\n"
		"  on a cache of %.1f GiB by %s, %u shards, %s in %.3f s\n",
		perf_opts_cache_name(run->opts), run->opts->key_count, run->opts->depth,
		run->job_count, run->job_count == 1 ? "" : "s", run->reactor_count,
		run->reactor_count == 1 ? "" : "s", run->time.duration_s,
		run->interrupted ? ", interrupted" : "", (double)run->info.data_bytes / 0x1p30,
		run->device_driver, run->info.shard_count,
		run->info.formatted	? "formatted"
		: run->info.clean_start ? "opened"
					: "recovered",
		run->open_s);
	for (int op = 0; op < PERF_CACHE_OP_COUNT; op++)
		text_op(run, op, out);
	if (run->counts.count[PERF_CACHE_HIT] + run->counts.count[PERF_CACHE_MISS] != 0)
		fprintf(out, "  hits   %.2f %% of lookups\n", 100 * hit_ratio(run));
	if (run->lru_access_count != 0)
		fprintf(out, "  LRU    %.2f %%, simulated with %" PRIu64 " entries\n",
			100 * perf_ratio((double)run->lru_hit_count, (double)run->lru_access_count),
			run->opts->lru_entries);
	perf_cpu_text(&run->time, (double)operations(run), "operation", out);
	fprintf(
	    out,
	    "  cache  %" PRIu64 " entries, %" PRIu64 " dirty; %" PRIu64 " appended again, %" PRIu64
	    " dropped; write amplification %.2f\n",
	    now->entry_count, now->dirty_count, run->stats.total.reappended_count,
	    run->stats.total.dropped_count,
	    perf_ratio((double)run->stats.total.log_bytes, (double)run->stats.total.store_bytes));
	if (run->counts.rejected_count != 0)
		fprintf(out, "         %" PRIu64 " stores refused for want of space\n",
			run->counts.rejected_count);
	if (run->counts.error_count != 0)
		fprintf(out, "         %" PRIu64 " FAILED\n", run->counts.error_count);
	if (run->opts->verify)
		fprintf(out, "  verify %" PRIu64 " values checked, %" PRIu64 " wrong\n",
			run->counts.checked_count, run->counts.wrong_count);
}

/* --- JSON --- */

static void
add_op(const struct cache_run *run, int op, cJSON *root)
{
	const struct perf_cache_counts *counts = &run->counts;
	cJSON *object = cJSON_AddObjectToObject(root, op_names[op]);

	tarn_json_add_u64(object, "count", counts->count[op]);
	tarn_json_add_u64(object, "bytes", counts->bytes[op]);
	cJSON_AddNumberToObject(object, "per_s",
				perf_ratio((double)counts->count[op], run->time.duration_s));
	perf_add_latency(object, &counts->histogram[op], counts->latency_ns[op], counts->count[op]);
}

static void
add_cache(const struct cache_run *run, cJSON *root)
{
	const struct tarn_cache_counters *total = &run->stats.total;
	const struct tarn_cache_gauges *now = &run->stats.now;
	cJSON *object = cJSON_AddObjectToObject(root, "cache");

	tarn_json_add_u64(object, "device_bytes", run->info.device_bytes);
	tarn_json_add_u64(object, "data_bytes", run->info.data_bytes);
	tarn_json_add_u64(object, "shards", run->info.shard_count);
	tarn_json_add_u64(object, "segment_bytes", run->info.segment_bytes);
	tarn_json_add_u64(object, "index_bytes", run->info.index_bytes);
	tarn_json_add_u64(object, "index_slots", run->info.index_slot_count);
	tarn_json_add_u64(object, "ram_bytes", now->ram_bytes);
	cJSON_AddBoolToObject(object, "formatted", run->info.formatted);
	cJSON_AddBoolToObject(object, "clean_start", run->info.clean_start);
	cJSON_AddBoolToObject(object, "checkpoint_used", run->info.checkpoint_used);
	tarn_json_add_u64(object, "recovery_us", run->info.recovery_us);
	tarn_json_add_u64(object, "recovered_entries", run->info.recovered_entries);
	cJSON_AddNumberToObject(object, "open_s", run->open_s);
	tarn_json_add_u64(object, "entries", now->entry_count);
	tarn_json_add_u64(object, "dirty", now->dirty_count);
	tarn_json_add_u64(object, "log_bytes", total->log_bytes);
	tarn_json_add_u64(object, "store_bytes", total->store_bytes);
	tarn_json_add_u64(object, "reappended", total->reappended_count);
	tarn_json_add_u64(object, "dropped", total->dropped_count);
	tarn_json_add_u64(object, "throttled", total->throttled_count);
	tarn_json_add_u64(object, "batches", total->batch_count);
	tarn_json_add_u64(object, "flushes", total->flush_count);
	tarn_json_add_u64(object, "segments_freed", total->segment_freed_count);
	tarn_json_add_u64(object, "hit_ram", total->hit_ram);
	tarn_json_add_u64(object, "hit_device", total->hit_device);
	tarn_json_add_u64(object, "crc_errors", total->crc_error_clean + total->crc_error_dirty);
	tarn_json_add_u64(object, "rss_before_bytes", run->rss_before_bytes);
	tarn_json_add_u64(object, "rss_bytes", run->rss_bytes);
}

static void
add_settings(const struct cache_run *run, cJSON *root)
{
	const struct perf_opts *opts = run->opts;
	cJSON *settings = cJSON_AddObjectToObject(root, "settings");

	cJSON_AddStringToObject(settings, "cache", perf_opts_cache_name(opts));
	cJSON_AddStringToObject(settings, "driver", run->device_driver);
	tarn_json_add_u64(settings, "keys", opts->key_count);
	tarn_json_add_u64(settings, "depth", opts->depth);
	tarn_json_add_u64(settings, "batch", opts->batch);
	tarn_json_add_u64(settings, "jobs", run->job_count);
	tarn_json_add_u64(settings, "cpus", run->reactor_count);
	tarn_json_add_u64(settings, "read_percent", opts->read_percent);
	tarn_json_add_u64(settings, "scan_percent", opts->scan_percent);
	tarn_json_add_u64(settings, "ttl_s", opts->ttl_s);
	cJSON_AddNumberToObject(settings, "zipf_theta", opts->zipf_theta);
	tarn_json_add_u64(settings, "seed", opts->seed);
}

char *
cache_report_json(const struct cache_run *run)
{
	double count = (double)operations(run);
	cJSON *root = cJSON_CreateObject(), *part;

	perf_add_about(root);
	add_settings(run, root);
	cJSON_AddNumberToObject(root, "duration_s", run->time.duration_s);
	cJSON_AddNumberToObject(root, "fill_s", run->fill_s);
	cJSON_AddBoolToObject(root, "interrupted", run->interrupted);
	cJSON_AddNumberToObject(root, "ops_per_s", perf_ratio(count, run->time.duration_s));
	for (int op = 0; op < PERF_CACHE_OP_COUNT; op++)
		add_op(run, op, root);
	cJSON_AddNumberToObject(root, "hit_ratio", hit_ratio(run));
	if (run->lru_access_count != 0)
		cJSON_AddNumberToObject(
		    root, "lru_hit_ratio",
		    perf_ratio((double)run->lru_hit_count, (double)run->lru_access_count));
	perf_add_cpu(root, &run->time, count, "us_per_op");
	tarn_json_add_u64(root, "rejected", run->counts.rejected_count);
	tarn_json_add_u64(root, "errors", run->counts.error_count);
	add_cache(run, root);
	if (run->opts->verify) {
		part = cJSON_AddObjectToObject(root, "verify");
		tarn_json_add_u64(part, "checked", run->counts.checked_count);
		tarn_json_add_u64(part, "wrong", run->counts.wrong_count);
	}
	return perf_print(root);
}
