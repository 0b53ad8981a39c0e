/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "test/unit/cache/stage.h"
#include "test/unit/cache/volatile.h"

static struct tarn_cache_stats *stats;

static void
setup(void)
{
	stage_setup_one();
	stats = calloc(1, sizeof(*stats));
}

static void
teardown(void)
{
	free(stats);
	stage_teardown();
}

static void
test_a_failed_batch_write_is_written_elsewhere_and_nobody_notices(void)
{
	stage_start();
	stage_store_many(0, 50, 3000, 1, 8);
	for (uint32_t i = 0; i < 5; i++) {
		stage_inject(TARN_IO_WRITE, TARN_ERROR_FAILURE, 1, i);
		stage_store_many(50 + i * 50, 50, 3000, 1, 16);
		stage_clear();
	}
	stage_stats(stats);
	CU_ASSERT(stats->total.write_error_count >= 4);
	CU_ASSERT(stage_found(0, 300, 1) == 300);
	stage_crash();
	stage_start();
	CU_ASSERT(stage.cache->info.damaged_segments == 0);
	CU_ASSERT(stage_found(0, 300, 1) == 300);
}

static void
test_an_overwrite_that_was_moved_to_another_segment_is_the_one_that_recovery_finds(void)
{
	stage_start();
	stage_store_many(0, 20, 3000, 1, 8);
	stage_inject(TARN_IO_WRITE, TARN_ERROR_FAILURE, 2, 0);
	stage_store_many(0, 20, 3000, 2, 20);
	stage_clear();
	CU_ASSERT(stage_found(0, 20, 2) == 20);
	stage_crash();
	stage_start();
	CU_ASSERT(stage_found(0, 20, 2) == 20);
}

static void
test_a_device_that_takes_no_writes_refuses_stores_and_still_serves_lookups(void)
{
	stage_start();
	stage_store_many(0, 20, 3000, 1, 8);
	stage_inject(TARN_IO_WRITE, TARN_ERROR_FAILURE, UINT64_MAX, 0);
	CU_ASSERT(stage_store("k3", "new", 3) == -EIO);
	CU_ASSERT(stage_store("k4", "new", 3) == -EIO);
	CU_ASSERT(stage.cache->shards[0].failed);
	/* Those whose store failed are not served with what they were. */
	CU_ASSERT(stage_lookup("k3") == -ENOENT && stage_lookup("k4") == -ENOENT);
	CU_ASSERT(stage_found(5, 15, 1) == 15);
	CU_ASSERT(stage_flush() == -EIO);
	CU_ASSERT(stage_remove("k5") == -EIO);
	/* Not even that what was there is gone can be promised: it is found again after a start. */
	CU_ASSERT(stage_store("k6", stage_value, 1 << 20) == -EIO);
	CU_ASSERT(stage_store("k3", stage_value, 1 << 20) == -EIO);
}

static void
test_a_dirty_block_whose_overwrite_failed_with_the_log_is_what_it_was(void)
{
	stage_start();
	CU_ASSERT(stage_block(TARN_CACHE_BLOCK_STORE, TARN_CACHE_BLOCK_DIRTY, 0, 2, 1) == 0);
	CU_ASSERT(stage_block(TARN_CACHE_BLOCK_STORE, 0, 2, 1, 1) == 0);
	stage_inject(TARN_IO_WRITE, TARN_ERROR_FAILURE, UINT64_MAX, 0);
	CU_ASSERT(stage_block(TARN_CACHE_BLOCK_STORE, TARN_CACHE_BLOCK_DIRTY, 0, 4, 2) == -EIO);
	CU_ASSERT(stage.cache->shards[0].failed);
	CU_ASSERT(stage_block(TARN_CACHE_BLOCK_LOOKUP, 0, 0, 4, 0) == 0);
	/* What was clean is a miss: the core has it. */
	CU_ASSERT(stage_req.hit[0] == 0x3 && stage_req.dirty[0] == 0x3);
	CU_ASSERT(stage_block_is(0, 1) && stage_block_is(1, 1));
	CU_ASSERT(tarn_cache_dirty_count(stage.cache) == 2);
}

static void
test_a_dirty_block_whose_tombstone_failed_with_the_log_is_an_error(void)
{
	stage_start();
	CU_ASSERT(stage_block(TARN_CACHE_BLOCK_STORE, TARN_CACHE_BLOCK_DIRTY, 0, 2, 1) == 0);
	CU_ASSERT(stage_block(TARN_CACHE_BLOCK_STORE, 0, 2, 2, 1) == 0);
	stage_inject(TARN_IO_WRITE, TARN_ERROR_FAILURE, UINT64_MAX, 0);
	CU_ASSERT(stage_block(TARN_CACHE_BLOCK_FORGET, 0, 1, 2, 0) == -EIO);
	CU_ASSERT(stage.cache->shards[0].failed);
	CU_ASSERT(stage_block(TARN_CACHE_BLOCK_LOOKUP, 0, 0, 4, 0) == -EIO);
	CU_ASSERT(stage_req.bad[0] == 0x2 && stage_req.hit[0] == 0x9 && stage_block_is(0, 1));
}

static void
test_corrupt_data_is_a_miss_for_objects_and_stays_one(void)
{
	stage_start();
	stage_store_many(0, 3, 3000, 1, 1);
	stage_inject(TARN_IO_READ, TARN_ERROR_CORRUPT_DATA, 1, 0);
	CU_ASSERT(stage_lookup("k1") == -ENOENT);
	stage_clear();
	CU_ASSERT(stage_lookup("k1") == -ENOENT);
	stage_stats(stats);
	CU_ASSERT(stats->total.crc_error_clean == 1);
	CU_ASSERT(stats->total.miss[TARN_CACHE_MISS_CRC] == 1);
	CU_ASSERT(stage_found(0, 1, 1) == 1 && stage_found(2, 1, 1) == 1);
	CU_ASSERT(stage_flush() == 0);
	stage_crash();
	stage_start();
	CU_ASSERT(stage_lookup("k1") == -ENOENT);
}

static void
test_an_unreadable_block_is_a_miss_when_clean_and_an_error_when_dirty(void)
{
	stage_start();
	CU_ASSERT(stage_block(TARN_CACHE_BLOCK_STORE, 0, 0, 2, 1) == 0);
	CU_ASSERT(stage_block(TARN_CACHE_BLOCK_STORE, TARN_CACHE_BLOCK_DIRTY, 2, 2, 1) == 0);
	stage_inject(TARN_IO_READ, TARN_ERROR_CORRUPT_DATA, UINT64_MAX, 0);
	CU_ASSERT(stage_block(TARN_CACHE_BLOCK_LOOKUP, 0, 0, 4, 0) == -EIO);
	CU_ASSERT(stage_req.hit[0] == 0 && stage_req.bad[0] == 0xc && stage_req.dirty[0] == 0xc);
	stage_clear();
	CU_ASSERT(stage_block(TARN_CACHE_BLOCK_LOOKUP, 0, 0, 4, 0) == 0);
	CU_ASSERT(stage_req.hit[0] == 0xc && stage_block_is(2, 1) && stage_block_is(3, 1));
	stage_stats(stats);
	CU_ASSERT(stats->total.crc_error_dirty == 2 && stats->total.crc_error_clean == 2);
}

static void
test_a_dirty_block_that_reclaim_cannot_read_goes_on_being_an_error(void)
{
	stage_device(16u << 20);
	stage_start();
	CU_ASSERT(stage_block(TARN_CACHE_BLOCK_STORE, TARN_CACHE_BLOCK_DIRTY, 7, 1, 1) == 0);
	for (uint32_t i = 0; i < 50; i++) {
		stage_inject(TARN_IO_READ, TARN_ERROR_CORRUPT_DATA, UINT64_MAX, 0);
		stage_store_many(i * 100, 100, 3900, 1, 32);
	}
	stage_clear();
	CU_ASSERT(stage_block(TARN_CACHE_BLOCK_LOOKUP, 0, 7, 1, 0) == -EIO);
	CU_ASSERT(stage_req.bad[0] == 1 && stage_req.hit[0] == 0);
	stage_crash();
	stage_start();
	CU_ASSERT(stage_block(TARN_CACHE_BLOCK_LOOKUP, 0, 7, 1, 0) == -EIO);
	CU_ASSERT(stage_block(TARN_CACHE_BLOCK_STORE, TARN_CACHE_BLOCK_DIRTY, 7, 1, 2) == 0);
	CU_ASSERT(stage_block(TARN_CACHE_BLOCK_LOOKUP, 0, 7, 1, 0) == 0 && stage_block_is(0, 2));
}

/* Objects whose segments are all sealed and flushed, then some in the open one. */
static uint64_t
flushed_then_not(void)
{
	stage_store_many(0, 40, 3000, 1, 20);
	CU_ASSERT(stage_flush() == 0);
	stage_store_many(0, 5, 3000, 2, 1);
	stage_store_many(40, 1, 3000, 1, 1);
	CU_ASSERT(stage_remove("k30") == 0);
	CU_ASSERT(stage.cache->shards[0].head == 1); /* nothing was sealed, and flushed for it */
	return stage.cache->shards[0].durable;
}

static void
test_a_failed_flush_is_told_and_no_later_one_covers_for_it(void)
{
	uint64_t durable;

	stage.opts.segment_bytes = 256 * 1024;
	stage_start();
	durable = flushed_then_not();
	stage_inject(TARN_IO_FLUSH, TARN_ERROR_FAILURE, 1, 0);
	CU_ASSERT(stage_flush() == -EIO);
	stage_clear();
	/* All that was in doubt is appended again before a flush is believed. */
	CU_ASSERT(stage_flush() == 0);
	CU_ASSERT(!stage.cache->shards[0].gap_open && !stage.cache->shards[0].gap_unpublished);
	CU_ASSERT(stage.cache->shards[0].durable > durable);
	stage_stats(stats);
	CU_ASSERT(stats->total.reappended_count == 6 && stats->total.flush_error_count == 1);
	stage_power_loss(1);
	stage_start();
	CU_ASSERT(stage.cache->info.damaged_segments == 0);
	CU_ASSERT(stage_found(0, 5, 2) == 5 && stage_found(5, 25, 1) == 25);
	CU_ASSERT(stage_found(31, 10, 1) == 10 && stage_lookup("k30") == -ENOENT);
}

/* What was written before a failed flush is gone from the device, as a kernel may have it. */
static void
test_what_a_failed_flush_lost_does_not_look_like_damage(void)
{
	uint64_t from;

	stage.opts.segment_bytes = 256 * 1024;
	stage_start();
	from = flushed_then_not();
	stage_inject(TARN_IO_FLUSH, TARN_ERROR_FAILURE, 1, 0);
	CU_ASSERT(stage_flush() == -EIO);
	stage_clear();
	CU_ASSERT(stage_flush() == 0);
	CU_ASSERT(stage.cache->shards[0].gap_start == from);
	from %= (uint64_t)stage.cache->segment_count * stage.cache->shards[0].segment_blocks;
	from = shard_offset(&stage.cache->shards[0], (uint32_t)from);
	stage_power_loss(7);
	memset(stage_value, 0, 256 * 1024);
	/* To the end of its segment: batches, trailer and footer. */
	stage_raw(TARN_IO_WRITE, stage_value, from,
		  256 * 1024 - (from - stage.data_offset) % (256 * 1024));
	stage_start();
	CU_ASSERT(stage.cache->info.damaged_segments == 0);
	CU_ASSERT(stage_found(0, 5, 2) == 5 && stage_found(5, 25, 1) == 25);
	CU_ASSERT(stage_found(31, 10, 1) == 10 && stage_lookup("k30") == -ENOENT);
}

static void
test_a_failed_flush_of_the_superblock_puts_the_log_in_doubt_too(void)
{
	static const uint8_t uuid[16] = { 1 };
	uint64_t durable;

	stage.opts.segment_bytes = 256 * 1024;
	stage_start();
	durable = flushed_then_not();
	stage_inject(TARN_IO_FLUSH, TARN_ERROR_FAILURE, 1, 0);
	CU_ASSERT(stage_volume_set(uuid, 1) == -EIO);
	stage_clear();
	CU_ASSERT(stage_flush() == 0);
	CU_ASSERT(stage.cache->shards[0].durable > durable);
	stage_stats(stats);
	CU_ASSERT(stats->total.reappended_count == 6 && stats->total.flush_error_count == 1);
	CU_ASSERT(stage_volume_set(uuid, 1) == 0);
}

static void
test_what_a_failed_flush_let_go_of_is_durable_after_the_process_died(void)
{
	stage_start();
	stage_store_many(0, 40, 3000, 1, 8);
	CU_ASSERT(stage_flush() == 0);
	stage_store_many(40, 10, 3000, 1, 1);
	stage_inject(TARN_IO_FLUSH, TARN_ERROR_FAILURE, 1, 0);
	CU_ASSERT(stage_flush() == -EIO);
	stage_crash();
	volatile_let_go();
	stage_start();
	CU_ASSERT(stage.cache->info.same_boot && stage_found(0, 50, 1) == 50);
	CU_ASSERT(stage_flush() == 0);
	stage_power_loss(3);
	stage_start();
	CU_ASSERT(stage.cache->info.damaged_segments == 0);
	CU_ASSERT(stage_found(0, 50, 1) == 50);
}

/* Scans of segments fail now and then, too. */
static void
test_a_dirty_block_that_reclaim_can_read_at_a_later_try_is_no_error(void)
{
	stage_device(16u << 20);
	stage_start();
	CU_ASSERT(stage_block(TARN_CACHE_BLOCK_STORE, TARN_CACHE_BLOCK_DIRTY, 7, 1, 1) == 0);
	for (uint32_t i = 0; i < 50; i++) {
		stage_inject(TARN_IO_READ, TARN_ERROR_FAILURE, 3, 0);
		stage_store_many(i * 100, 100, 3900, 1, 32);
	}
	stage_clear();
	stage_stats(stats);
	CU_ASSERT(stats->total.reappended_count != 0);
	CU_ASSERT(stage_block(TARN_CACHE_BLOCK_LOOKUP, 0, 7, 1, 0) == 0 && stage_block_is(0, 1));
}

static void
test_damage_in_old_flushed_log_is_told_and_revives_nothing(void)
{
	uint64_t offset;
	uint32_t found;

	stage_start();
	CU_ASSERT(stage_block(TARN_CACHE_BLOCK_STORE, TARN_CACHE_BLOCK_DIRTY, 0, 1, 1) == 0);
	stage_store_many(0, 30, 3000, 1, 8); /* segments 1 and 2 */
	stage_store_many(0, 30, 3000, 2, 8);
	stage_store_many(100, 60, 3000, 1, 8);
	CU_ASSERT(stage_flush() == 0);
	CU_ASSERT(stage.cache->shards[0].head >= 5);
	offset = stage.cache->super->data_offset + 2 * (uint64_t)stage.cache->segment_bytes;
	stage_crash();
	/* Segment 2: its header, and what would stand in for it. */
	memset(stage_value, 0x5a, 128 * 1024);
	stage_raw(TARN_IO_WRITE, stage_value, offset, 128 * 1024);
	stage_start();
	CU_ASSERT(stage.cache->info.damaged_segments != 0);
	CU_ASSERT(stage.cache->info.suspect_entries == 1);
	for (uint32_t i = 0; i < 30; i++) {
		char key[16];

		snprintf(key, sizeof(key), "k%u", i);
		CU_ASSERT(stage_lookup(key) == -ENOENT || stage_same(stage_value, 3000, i, 2));
	}
	CU_ASSERT(stage_block(TARN_CACHE_BLOCK_LOOKUP, 0, 0, 1, 0) == -EIO);
	found = stage_found(130, 30, 1);
	CU_ASSERT(found == 30);
}

static void
test_an_unreadable_block_is_no_error_of_its_neighbours(void)
{
	const struct index_slot *slot;
	struct shard *shard;

	stage_start();
	CU_ASSERT(stage_block(TARN_CACHE_BLOCK_STORE, TARN_CACHE_BLOCK_DIRTY, 0, 8, 1) == 0);
	shard = &stage.cache->shards[cache_block_shard(stage.cache, 1, 0)];
	slot = index_find(&shard->index, index_block_id(1, 3));
	CU_ASSERT_FATAL(slot != NULL);
	stage_unreadable(shard_offset(shard, slot->place), 4096);
	CU_ASSERT(stage_block(TARN_CACHE_BLOCK_LOOKUP, 0, 0, 8, 0) == -EIO);
	CU_ASSERT(stage_req.bad[0] == 1u << 3 && stage_req.hit[0] == (0xffu & ~(1u << 3)));
	for (uint32_t i = 0; i < 8; i++)
		CU_ASSERT(i == 3 || stage_block_is(i, 1));
	stage_stats(stats);
	CU_ASSERT(stats->total.crc_error_dirty == 0 && stats->total.read_error_count == 1);
	stage_clear();
	CU_ASSERT(stage_block(TARN_CACHE_BLOCK_LOOKUP, 0, 0, 8, 0) == 0);
}

static void
created(void *arg, int status, struct tarn_cache *cache, const struct tarn_reason *reason)
{
	(void)reason;
	if (cache != NULL)
		stage.cache = cache;
	*(int *)arg = status;
}

static void
test_a_name_is_taken_from_the_moment_it_is_asked_for(void)
{
	int first = 1, second = 1;

	stage_device(STAGE_BYTES);
	tarn_cache_create(&stage.opts, created, &first);
	tarn_cache_create(&stage.opts, created, &second);
	while (first == 1 || second == 1) {
		CU_ASSERT(first != 1 || tarn_cache_find("cache") == NULL);
		stage_turns(1);
	}
	CU_ASSERT(first == 0 && second == -EEXIST && tarn_cache_find("cache") == stage.cache);
}

static void
test_a_start_on_a_device_that_cannot_be_read_fails_and_leaves_nothing(void)
{
	stage_device(STAGE_BYTES);
	stage_inject(TARN_IO_READ, TARN_ERROR_FAILURE, UINT64_MAX, 0);
	CU_ASSERT(stage_open() == -EIO && tarn_cache_next(NULL) == NULL);
	stage_clear();
	stage_start();
}

UT_SUITE(
    cache_faults, setup, teardown,
    UT_CASE(test_a_failed_batch_write_is_written_elsewhere_and_nobody_notices),
    UT_CASE(test_an_overwrite_that_was_moved_to_another_segment_is_the_one_that_recovery_finds),
    UT_CASE(test_a_device_that_takes_no_writes_refuses_stores_and_still_serves_lookups),
    UT_CASE(test_a_dirty_block_whose_overwrite_failed_with_the_log_is_what_it_was),
    UT_CASE(test_a_dirty_block_whose_tombstone_failed_with_the_log_is_an_error),
    UT_CASE(test_corrupt_data_is_a_miss_for_objects_and_stays_one),
    UT_CASE(test_an_unreadable_block_is_a_miss_when_clean_and_an_error_when_dirty),
    UT_CASE(test_an_unreadable_block_is_no_error_of_its_neighbours),
    UT_CASE(test_a_dirty_block_that_reclaim_cannot_read_goes_on_being_an_error),
    UT_CASE(test_a_failed_flush_is_told_and_no_later_one_covers_for_it),
    UT_CASE(test_what_a_failed_flush_lost_does_not_look_like_damage),
    UT_CASE(test_a_failed_flush_of_the_superblock_puts_the_log_in_doubt_too),
    UT_CASE(test_what_a_failed_flush_let_go_of_is_durable_after_the_process_died),
    UT_CASE(test_a_dirty_block_that_reclaim_can_read_at_a_later_try_is_no_error),
    UT_CASE(test_damage_in_old_flushed_log_is_told_and_revives_nothing),
    UT_CASE(test_a_name_is_taken_from_the_moment_it_is_asked_for),
    UT_CASE(test_a_start_on_a_device_that_cannot_be_read_fails_and_leaves_nothing));
