/* SPDX-License-Identifier: BSD-3-Clause */
/* Every counter counts what it says, and no more. One shard. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "test/unit/cache/stage.h"
#include "test/unit/cache/volatile.h"

static struct tarn_cache_stats *stats;
static const struct tarn_cache_counters *total;
static const struct tarn_cache_gauges *now;

static void
setup(void)
{
	stage_setup_one();
	stats = calloc(1, sizeof(*stats));
	total = &stats->total;
	now = &stats->now;
	stage_start();
}

static void
teardown(void)
{
	free(stats);
	stage_teardown();
}

static void
reset_done(void *arg, int status)
{
	CU_ASSERT(status == 0);
	*(bool *)arg = true;
}

static void
reset(void)
{
	bool done = false;

	tarn_cache_get_stats(stage.cache, true, NULL, reset_done, &done);
	for (uint32_t i = 0; i < 1000 && !done; i++)
		stage_turns(1);
	CU_ASSERT_FATAL(done);
}

static uint64_t
sum(const uint64_t *counts, uint32_t count)
{
	uint64_t ret = 0;

	for (uint32_t i = 0; i < count; i++)
		ret += counts[i];
	return ret;
}

static void
test_stores_removes_touches_and_hits_are_counted(void)
{
	CU_ASSERT(stage_store("a", stage_value, 1000) == 0);
	CU_ASSERT(stage_store("a", stage_value, 500) == 0);
	CU_ASSERT(stage_store("b", stage_value, 0) == 0);
	CU_ASSERT(stage_lookup("a") == 0 && stage_lookup("a") == 0 && stage_lookup("b") == 0);
	CU_ASSERT(stage_exists("a") == 0 && stage_touch("a", 100) == 0 && stage_remove("a") == 0);
	CU_ASSERT(stage_remove("a") == -ENOENT);
	stage_stats(stats);
	CU_ASSERT(total->store_count == 3 && total->store_bytes == 1500);
	CU_ASSERT(total->hit_ram + total->hit_device == 3 && total->hit_bytes == 1000);
	CU_ASSERT(total->remove_count == 1 && total->touch_count == 1);
	CU_ASSERT(sum(total->miss, TARN_CACHE_MISS_COUNT) == 0);
	CU_ASSERT(sum(total->reject, TARN_CACHE_REJECT_COUNT) == 0);
	CU_ASSERT(tarn_histogram_count(&stats->hit) == 3 &&
		  tarn_histogram_count(&stats->miss) == 0 &&
		  tarn_histogram_count(&stats->store) == 3);
	CU_ASSERT(stats->shard_count == 1 && stats->shard[0].counters.store_count == 3);
}

/* Have the index say that the object of one key is to be found under another's hash. */
static void
collide(const char *key, const char *with)
{
	struct index *index = &stage.cache->shards[0].index;
	const struct index_slot *slot =
	    index_find(index, index_object_id(XXH3_64bits(key, strlen(key))));
	struct index_slot *other;

	CU_ASSERT_FATAL(slot != NULL);
	other = index_insert(index, index_object_id(XXH3_64bits(with, strlen(with))));
	other->place = slot->place;
	other->info = slot->info;
}

static void
test_each_miss_is_counted_by_its_reason(void)
{
	CU_ASSERT(stage_store_opts("short", "v", 1, 0, 5) == 0);
	CU_ASSERT(stage_store("ban/k", "v", 1) == 0 && stage_store("k", "v", 1) == 0);
	stage_time(10);
	CU_ASSERT(stage_purge("ban/") == 0);
	collide("k", "another");
	CU_ASSERT(stage_flush() == 0);
	CU_ASSERT(stage_lookup("nothing") == -ENOENT);
	CU_ASSERT(stage_lookup("short") == -ENOENT);
	CU_ASSERT(stage_lookup("ban/k") == -ENOENT);
	CU_ASSERT(stage_lookup("another") == -ENOENT && stage_lookup("k") == 0);
	CU_ASSERT(stage_store("bad", stage_value, 3000) == 0 && stage_store("worse", "v", 1) == 0);
	CU_ASSERT(stage_flush() == 0);
	stage_inject(TARN_IO_READ, TARN_ERROR_FAILURE, 1, 0);
	CU_ASSERT(stage_lookup("worse") == -ENOENT);
	stage_clear();
	stage_stats(stats);
	CU_ASSERT(total->miss[TARN_CACHE_MISS_ABSENT] == 1);
	CU_ASSERT(total->miss[TARN_CACHE_MISS_EXPIRED] == 1);
	CU_ASSERT(total->miss[TARN_CACHE_MISS_BANNED] == 1);
	CU_ASSERT(total->miss[TARN_CACHE_MISS_KEY] == 1);
	CU_ASSERT(total->miss[TARN_CACHE_MISS_IO] == 1 && total->read_error_count == 1);
	CU_ASSERT(sum(total->miss, TARN_CACHE_MISS_COUNT) == 5 && total->hit_device == 1);
	CU_ASSERT(tarn_histogram_count(&stats->miss) == 5);
	reset();
	stage_inject(TARN_IO_READ, TARN_ERROR_CORRUPT_DATA, 1, 0);
	CU_ASSERT(stage_lookup("bad") == -ENOENT);
	stage_clear();
	stage_stats(stats);
	CU_ASSERT(total->miss[TARN_CACHE_MISS_CRC] == 1 && total->crc_error_clean == 1 &&
		  sum(total->miss, TARN_CACHE_MISS_COUNT) == 1);
}

/* That for want of memory is in test_room.c. */
static void
test_each_reject_is_counted_by_its_reason(void)
{
	uint64_t first = 0;

	CU_ASSERT(stage_store("k", stage_value, 1 << 20) == -E2BIG);
	while (stage_block(TARN_CACHE_BLOCK_STORE, TARN_CACHE_BLOCK_DIRTY, first, 64, 1) == 0)
		first += 64;
	stage_stats(stats);
	CU_ASSERT(total->reject[TARN_CACHE_REJECT_SIZE] == 1);
	CU_ASSERT(total->reject[TARN_CACHE_REJECT_DIRTY_FULL] > 0 &&
		  total->reject[TARN_CACHE_REJECT_DIRTY_FULL] <= 64);
	CU_ASSERT(total->reject[TARN_CACHE_REJECT_INDEX_FULL] == 0);
	CU_ASSERT(now->dirty_count >= first && now->dirty_count < first + 64);
	stage_inject(TARN_IO_WRITE, TARN_ERROR_FAILURE, UINT64_MAX, 0);
	CU_ASSERT(stage_store("k", "v", 1) == -EIO);
	CU_ASSERT(stage_store("k", "v", 1) == -EIO);
	stage_stats(stats);
	CU_ASSERT(total->reject[TARN_CACHE_REJECT_FAILED] == 2 && total->write_error_count > 0);
}

static void
test_blocks_count_one_by_one(void)
{
	CU_ASSERT(stage_block(TARN_CACHE_BLOCK_LOOKUP, 0, 0, 8, 0) == 0);
	CU_ASSERT(stage_block(TARN_CACHE_BLOCK_FILL, 0, 0, 8, 1) == 0);
	CU_ASSERT(stage_block(TARN_CACHE_BLOCK_FILL, 0, 0, 8, 1) == 0); /* by the old token */
	CU_ASSERT(stage_block(TARN_CACHE_BLOCK_STORE, TARN_CACHE_BLOCK_DIRTY, 8, 4, 1) == 0);
	CU_ASSERT(stage_flush() == 0);
	CU_ASSERT(stage_block(TARN_CACHE_BLOCK_LOOKUP, 0, 0, 16, 0) == 0);
	CU_ASSERT(stage_block(TARN_CACHE_BLOCK_CLEAN, 0, 8, 2, 0) == 0);
	stage_stats(stats);
	CU_ASSERT(total->fill_count == 8 && total->fill_skipped_count == 8);
	CU_ASSERT(total->store_count == 4 && total->store_bytes == 4 * DISK_BLOCK);
	CU_ASSERT(total->hit_ram + total->hit_device == 12);
	CU_ASSERT(total->miss[TARN_CACHE_MISS_ABSENT] == 8 + 4);
	CU_ASSERT(total->clean_count == 2);
	CU_ASSERT(now->entry_count == 12 && now->object_count == 0 && now->dirty_count == 2);
}

static void
test_the_log_counts_what_it_writes(void)
{
	const struct disk_super *super = stage.cache->super;
	uint64_t head;

	stage_stats(stats);
	head = now->head_position;
	volatile_disk.count[TARN_IO_FLUSH] = 0;
	stage_store_many(0, 100, 3000, 1, 8);
	CU_ASSERT(stage_block(TARN_CACHE_BLOCK_STORE, 0, 0, 8, 1) == 0);
	CU_ASSERT(stage_flush() == 0);
	stage_stats(stats);
	CU_ASSERT(total->batch_count > 0 && total->batch_entry_count >= 8);
	CU_ASSERT(total->log_bytes % DISK_BLOCK == 0 && total->log_bytes > 108 * 3000);
	/* A segment's last blocks are not all written. */
	CU_ASSERT(total->log_bytes <= (now->head_position - head) * DISK_BLOCK + DISK_BLOCK);
	CU_ASSERT(total->flush_count == volatile_disk.count[TARN_IO_FLUSH]);
	CU_ASSERT(now->durable_position <= now->head_position && now->durable_position > head);
	CU_ASSERT(total->segment_sealed_count == now->segments_sealed);
	CU_ASSERT(now->segments_open == 1 && now->segments_free + now->segments_open +
						     now->segments_sealed +
						     now->segments_reclaiming ==
						 super->segment_count);
	CU_ASSERT(total->checkpoint_count == 0 && stage_checkpoint() == 0);
	stage_stats(stats);
	CU_ASSERT(total->checkpoint_count == 1 &&
		  total->checkpoint_bytes > 3 * DISK_CHUNK_BYTES - 1 &&
		  total->checkpoint_bytes <= super->checkpoint_bytes);
	CU_ASSERT(now->entry_count == 108 && now->object_count == 100);
	CU_ASSERT(now->index_slot_count == (uint64_t)super->bucket_count * INDEX_BUCKET_SLOTS);
	CU_ASSERT(now->ram_bytes > super->bucket_count * sizeof(struct index_bucket));
}

static void
test_reclaim_counts_what_becomes_of_each_entry(void)
{
	uint64_t gone;

	for (uint32_t i = 0; i < 40; i++) {
		char key[16];

		snprintf(key, sizeof(key), "hot%u", i);
		CU_ASSERT(stage_store(key, stage_value, 3000) == 0 && stage_lookup(key) == 0);
		snprintf(key, sizeof(key), "short%u", i);
		CU_ASSERT(stage_store_opts(key, stage_value, 3000, 0, 5) == 0);
		snprintf(key, sizeof(key), "ban%u", i);
		CU_ASSERT(stage_store(key, stage_value, 3000) == 0);
		snprintf(key, sizeof(key), "cold%u", i);
		CU_ASSERT(stage_store(key, stage_value, 3000) == 0);
	}
	CU_ASSERT(stage_block(TARN_CACHE_BLOCK_STORE, 0, 0, 16, 1) == 0);
	CU_ASSERT(stage_purge("ban") == 0 && stage_ban(0, 6) == 0);
	stage_time(10);
	stage_stats(stats);
	CU_ASSERT(total->segment_freed_count == 0 && total->dropped_count == 0 &&
		  now->ban_count == 2);
	/* As much as the log holds, and a little: the first entries are reclaimed. */
	stage_store_many(0, stage.cache->shards[0].segment_count * 31 - 300, 3000, 1, 8);
	stage_stats(stats);
	CU_ASSERT(total->segment_freed_count > 5);
	/* Objects that a purge has hit are dropped: their keys are not read for it. */
	CU_ASSERT(total->expired_count == 40 && total->banned_count == 6);
	CU_ASSERT(total->dropped_count >= 80 + 10 && total->reappended_count >= 40);
	gone = total->expired_count + total->banned_count + total->dropped_count;
	CU_ASSERT(now->entry_count == total->store_count - gone);
	CU_ASSERT(now->tail_position > 0 && now->tail_position < now->head_position);
}

static void
test_a_reset_begins_counting_anew_and_leaves_what_is_now(void)
{
	static const struct tarn_cache_counters zero;

	stage_store_many(0, 100, 3000, 1, 8);
	CU_ASSERT(stage_lookup("k1") == 0 && stage_lookup("absent") == -ENOENT);
	reset();
	stage_stats(stats);
	CU_ASSERT(memcmp(total, &zero, sizeof(zero)) == 0);
	CU_ASSERT(tarn_histogram_count(&stats->hit) + tarn_histogram_count(&stats->miss) +
		      tarn_histogram_count(&stats->store) ==
		  0);
	CU_ASSERT(now->object_count == 100 && now->head_position > 0 && now->segments_sealed > 0);
}

/* --- Batches --- */

#define BATCH 32 /* what the device takes at once */

static void
op_done(struct tarn_cache_op *op)
{
	CU_ASSERT(op->status == 0);
	++*(uint32_t *)op->arg;
}

static void
submit(enum tarn_cache_op_kind kind)
{
	static struct tarn_cache_op ops[BATCH];
	static char keys[BATCH][16];
	static uint8_t values[BATCH][2000];
	struct tarn_cache_op *list[BATCH];
	uint32_t done = 0;

	for (uint32_t i = 0; i < BATCH; i++) {
		snprintf(keys[i], sizeof(keys[i]), "batch%u", i);
		ops[i] = (struct tarn_cache_op){
			.cache = stage.cache,
			.key = keys[i],
			.key_bytes = (uint32_t)strlen(keys[i]),
			.buf = values[i],
			.buf_bytes = sizeof(values[i]),
			.cb = op_done,
			.arg = &done,
		};
		list[i] = &ops[i];
	}
	memset(volatile_disk.count, 0, sizeof(volatile_disk.count));
	volatile_disk.turn_max = 0;
	tarn_cache_submit(list, BATCH, kind);
	for (uint32_t i = 0; i < 1000 && done < BATCH; i++)
		stage_turns(1);
	CU_ASSERT(done == BATCH);
}

static void
test_a_batch_is_one_submission_to_the_device(void)
{
	CU_ASSERT(stage_store("first", "v", 1) == 0); /* the segment is open */
	submit(TARN_CACHE_STORE);
	/* 64 KB that are written side by side, in a few writes. */
	CU_ASSERT(volatile_disk.count[TARN_IO_WRITE] >= 1 &&
		  volatile_disk.count[TARN_IO_WRITE] <= 4);
	CU_ASSERT(stage_flush() == 0);
	submit(TARN_CACHE_LOOKUP);
	CU_ASSERT(volatile_disk.count[TARN_IO_READ] == BATCH);
	CU_ASSERT(volatile_disk.turn_max == BATCH);
}

UT_SUITE(cache_stats, setup, teardown, UT_CASE(test_stores_removes_touches_and_hits_are_counted),
	 UT_CASE(test_each_miss_is_counted_by_its_reason),
	 UT_CASE(test_each_reject_is_counted_by_its_reason), UT_CASE(test_blocks_count_one_by_one),
	 UT_CASE(test_the_log_counts_what_it_writes),
	 UT_CASE(test_reclaim_counts_what_becomes_of_each_entry),
	 UT_CASE(test_a_reset_begins_counting_anew_and_leaves_what_is_now),
	 UT_CASE(test_a_batch_is_one_submission_to_the_device));
