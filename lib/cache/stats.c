/* SPDX-License-Identifier: BSD-3-Clause */
/* What a cache is, and what it counts: gathered shard by shard, so that no operation pays. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cache/internal.h"

void
tarn_cache_get_info(const struct tarn_cache *cache, struct tarn_cache_info *ret)
{
	const struct disk_super *super = cache->super;

	*ret = cache->info;
	ret->name = cache->name;
	ret->bdev_name = tarn_cache_bdev_name(cache);
	memcpy(ret->uuid, super->uuid, sizeof(ret->uuid));
	ret->device_bytes = super->device_bytes;
	ret->segment_count = super->segment_count * super->shard_count;
	ret->data_bytes = (uint64_t)ret->segment_count * super->segment_bytes;
	ret->shard_count = super->shard_count;
	ret->segment_bytes = super->segment_bytes;
	ret->index_slot_count =
	    (uint64_t)super->bucket_count * INDEX_BUCKET_SLOTS * super->shard_count;
	ret->index_bytes =
	    (uint64_t)super->bucket_count * sizeof(struct index_bucket) * super->shard_count;
	ret->format_time_s = super->format_time_s;
	for (uint32_t i = 0; i < cache->shard_count; i++)
		ret->failed |= cache->shards[i].failed;
}

struct gather {
	struct tarn_cache *cache;
	bool reset;
	struct tarn_cache_stats *stats;
	tarn_cache_cb cb;
	void *arg;
	struct tarn_msg msg;
	int status;
};

static uint64_t
ram_bytes(const struct shard *shard)
{
	uint64_t trailers = (uint64_t)TRAILER_COUNT * shard->segment_blocks *
			    TRAILER_ENTRIES_PER_BLOCK * sizeof(struct disk_entry);

	return (uint64_t)shard->index.bucket_count * sizeof(struct index_bucket) +
	       shard->segment_count * sizeof(struct segment) +
	       (uint64_t)SHARD_BATCH_COUNT * SHARD_BATCH_BYTES + trailers + sizeof(*shard) +
	       BAN_COUNT_MAX * sizeof(struct ban);
}

static void
gauges(const struct shard *shard, struct tarn_cache_gauges *now)
{
	now->entry_count = shard->index.entry_count;
	now->object_count = shard->index.object_count;
	now->dirty_count = shard->index.dirty_count;
	now->suspect_count = shard->index.suspect_count;
	now->index_slot_count = index_slot_count(&shard->index);
	now->head_position = shard_position(shard, shard->head, shard->cursor);
	now->durable_position = shard->durable;
	now->tail_position = shard_position(shard, shard->tail, 0);
	now->ban_count = shard->bans.count;
	now->ram_bytes = ram_bytes(shard);
	for (uint32_t i = 0; i < shard->segment_count; i++) {
		uint8_t state = shard->segments[i].state;

		now->segments_free += state == SEGMENT_FREE;
		now->segments_open += state == SEGMENT_OPEN;
		now->segments_sealed += state == SEGMENT_SEALED || state == SEGMENT_SEALING;
		now->segments_reclaiming += state == SEGMENT_RECLAIMING || state == SEGMENT_FREEING;
	}
}

/* A structure of uint64_t alone. */
static void
add_counters(struct tarn_cache_counters *to, const struct tarn_cache_counters *from)
{
	uint64_t *sum = (uint64_t *)(void *)to;
	const uint64_t *one = (const uint64_t *)(const void *)from;

	for (size_t i = 0; i < sizeof(*to) / sizeof(*sum); i++)
		sum[i] += one[i];
}

static void
add_gauges(struct tarn_cache_gauges *to, const struct tarn_cache_gauges *from)
{
	to->entry_count += from->entry_count;
	to->object_count += from->object_count;
	to->dirty_count += from->dirty_count;
	to->suspect_count += from->suspect_count;
	to->index_slot_count += from->index_slot_count;
	to->segments_free += from->segments_free;
	to->segments_open += from->segments_open;
	to->segments_sealed += from->segments_sealed;
	to->segments_reclaiming += from->segments_reclaiming;
	to->ban_count += from->ban_count;
	to->ram_bytes += from->ram_bytes;
}

static void
gather_shard(const struct gather *gather, struct shard *shard)
{
	struct tarn_cache_stats *stats = gather->stats;

	if (stats != NULL) {
		stats->shard[shard->number].reactor_index = tarn_reactor_index(shard->reactor);
		stats->shard[shard->number].counters = shard->counters;
		gauges(shard, &stats->shard[shard->number].now);
		tarn_histogram_merge(&stats->hit, &shard->hit_ns);
		tarn_histogram_merge(&stats->miss, &shard->miss_ns);
		tarn_histogram_merge(&stats->store, &shard->store_ns);
	}
	if (!gather->reset)
		return;
	memset(&shard->counters, 0, sizeof(shard->counters));
	tarn_histogram_reset(&shard->hit_ns);
	tarn_histogram_reset(&shard->miss_ns);
	tarn_histogram_reset(&shard->store_ns);
}

/* One reactor after the other, so that the sums need no lock. */
static void
visit(void *arg)
{
	struct gather *gather = arg;
	struct tarn_cache *cache = gather->cache;

	for (uint32_t i = 0; i < cache->shard_count; i++)
		if (cache->shards[i].reactor == tarn_reactor_self())
			gather_shard(gather, &cache->shards[i]);
}

static void
gathered(void *arg)
{
	struct gather *gather = arg;
	struct tarn_cache *cache = gather->cache;
	struct tarn_cache_stats *stats = gather->stats;

	if (stats != NULL) {
		stats->shard_count = cache->shard_count;
		for (uint32_t i = 0; i < cache->shard_count; i++) {
			add_counters(&stats->total, &stats->shard[i].counters);
			add_gauges(&stats->now, &stats->shard[i].now);
		}
		stats->now.head_position = stats->shard[0].now.head_position;
		stats->now.durable_position = stats->shard[0].now.durable_position;
		stats->now.tail_position = stats->shard[0].now.tail_position;
		stats->total.checkpoint_count = cache->checkpoint_count;
	}
	if (gather->reset)
		cache->checkpoint_count = 0;
	cache->busy_count--;
	gather->cb(gather->arg, 0);
	free(gather);
}

static void
refused(void *arg)
{
	struct gather *gather = arg;

	gather->cb(gather->arg, gather->status);
	free(gather);
}

void
tarn_cache_get_stats(struct tarn_cache *cache, bool reset, struct tarn_cache_stats *stats,
		     tarn_cache_cb cb, void *arg)
{
	struct gather *gather = calloc(1, sizeof(*gather));

	tarn_assert(tarn_on_control_reactor());
	if (gather == NULL) {
		cb(arg, -ENOMEM);
		return;
	}
	*gather =
	    (struct gather){ .cache = cache, .reset = reset, .stats = stats, .cb = cb, .arg = arg };
	if (stats != NULL)
		memset(stats, 0, sizeof(*stats));
	if (atomic_load(&cache->state) != CACHE_RUNNING)
		gather->status = -ESHUTDOWN;
	else
		gather->status = tarn_reactor_for_each(visit, gathered, gather);
	if (gather->status == 0)
		cache->busy_count++;
	else
		tarn_msg_send(tarn_reactor_get(0), &gather->msg, refused, gather);
}
