/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "test/unit/cache/stage.h"

#define VALUE 3900 /* its record fills a block */

static struct tarn_cache_stats *stats;

static void
setup(void)
{
	stage_setup();
	stats = calloc(1, sizeof(*stats));
	stage.opts.shard_count = 1;
	stage_device(16u << 20);
}

static void
teardown(void)
{
	free(stats);
	stage_teardown();
}

static void
check(uint32_t key, uint32_t version)
{
	char name[16];

	snprintf(name, sizeof(name), "k%u", key);
	if (stage_lookup(name) == 0)
		CU_ASSERT(stage_same(stage_value, VALUE, key, version));
}

static void
test_the_log_wraps_and_the_newest_objects_are_there(void)
{
	uint32_t count = 20000, found = 0;

	stage_start();
	stage_store_many(0, count, VALUE, 1, 32);
	stage_stats(stats);
	CU_ASSERT(stats->total.segment_freed_count > 300);
	CU_ASSERT(stats->total.dropped_count > 10000);
	for (uint32_t i = count - 2000; i < count; i++) {
		char name[16];

		snprintf(name, sizeof(name), "k%u", i);
		if (stage_lookup(name) == 0 && stage_same(stage_value, VALUE, i, 1))
			found++;
	}
	CU_ASSERT(found == 2000);
	CU_ASSERT(stage_lookup("k0") == -ENOENT);
}

static void
test_what_is_used_stays_and_what_is_not_goes(void)
{
	uint32_t found = 0;

	stage_start();
	for (uint32_t round = 0; round < 40; round++) {
		stage_store_many(1000 + round * 250, 250, VALUE, 1, 32);
		if (round == 0)
			stage_store_many(0, 100, VALUE, 1, 8);
		for (uint32_t i = 0; i < 100; i++) {
			char name[16];

			snprintf(name, sizeof(name), "k%u", i);
			found += stage_lookup(name) == 0;
			check(i, 1);
		}
	}
	CU_ASSERT(found == 40 * 100);
	stage_stats(stats);
	CU_ASSERT(stats->total.reappended_count >= 100);
}

static void
test_dirty_blocks_survive_any_number_of_wraps(void)
{
	stage_start();
	CU_ASSERT(stage_block(TARN_CACHE_BLOCK_STORE, TARN_CACHE_BLOCK_DIRTY, 0, 200, 1) == 0);
	stage_store_many(0, 12000, VALUE, 1, 32);
	CU_ASSERT(stage_block(TARN_CACHE_BLOCK_LOOKUP, 0, 0, 200, 0) == 0);
	for (uint32_t i = 0; i < 200; i++)
		CU_ASSERT(stage_block_is(i, 1));
	stage_crash();
	stage_start();
	CU_ASSERT(stage_block(TARN_CACHE_BLOCK_LOOKUP, 0, 0, 200, 0) == 0);
	for (uint32_t i = 0; i < 200; i++)
		CU_ASSERT(stage_block_is(i, 1) && (stage_req.dirty[i / 64] >> (i % 64) & 1) != 0);
}

static void
test_stores_go_on_with_dirty_blocks_at_their_limit(void)
{
	uint64_t limit;
	uint64_t block = 0;

	stage_start();
	limit = tarn_cache_dirty_limit(stage.cache);
	while (block + 64 <= limit &&
	       stage_block(TARN_CACHE_BLOCK_STORE, TARN_CACHE_BLOCK_DIRTY, block, 64, 1) == 0)
		block += 64;
	CU_ASSERT(block + 64 > limit);
	stage_store_many(0, 8000, VALUE, 1, 32);
	stage_stats(stats);
	CU_ASSERT(stats->now.dirty_count == block);
	for (uint64_t i = 0; i < block; i += 64) {
		CU_ASSERT(stage_block(TARN_CACHE_BLOCK_LOOKUP, 0, i, 64, 0) == 0);
		CU_ASSERT(stage_block_is(0, 1) && stage_block_is(63, 1));
	}
}

static uint32_t hinted;

static void
on_hint(void *arg, const struct tarn_cache_dirty_block *blocks, uint32_t block_count)
{
	(void)arg;
	(void)blocks;
	hinted += block_count;
}

static void
hint_set(void *arg, int status)
{
	*(bool *)arg = status == 0;
}

static void
test_volumes_are_told_of_dirty_blocks_before_they_are_moved(void)
{
	bool done = false;

	stage_start();
	hinted = 0;
	tarn_cache_set_clean_cb(stage.cache, on_hint, NULL, hint_set, &done);
	stage_turns(10);
	CU_ASSERT(done);
	CU_ASSERT(stage_block(TARN_CACHE_BLOCK_STORE, TARN_CACHE_BLOCK_DIRTY, 0, 50, 1) == 0);
	stage_store_many(0, 4000, VALUE, 1, 32);
	CU_ASSERT(hinted >= 50);
}

static void
test_removed_objects_stay_removed_through_wraps_and_power_loss(void)
{
	for (uint64_t seed = 1; seed <= 8; seed++) {
		stage_start();
		stage_store_many(0, 1000, VALUE, 1, 32);
		for (uint32_t i = 0; i < 1000; i += 3) {
			char name[16];

			snprintf(name, sizeof(name), "k%u", i);
			CU_ASSERT(stage_remove(name) == 0);
		}
		CU_ASSERT(stage_flush() == 0);
		stage_store_many(5000, (uint32_t)(2000 + seed * 217), VALUE, 1, 32);
		stage_power_loss(seed);
		stage_start();
		CU_ASSERT(stage.cache->info.damaged_segments == 0);
		for (uint32_t i = 0; i < 1000; i += 3) {
			char name[16];

			snprintf(name, sizeof(name), "k%u", i);
			CU_ASSERT(stage_lookup(name) == -ENOENT);
		}
		CU_ASSERT(stage_stop() == 0);
		stage.opts.force = true;
		stage_start();
		CU_ASSERT(stage_stop() == 0);
		stage.opts.force = false;
	}
}

static void
test_overwritten_versions_do_not_come_back_through_wraps_and_crashes(void)
{
	stage_start();
	for (uint32_t version = 1; version <= 12; version++) {
		stage_store_many(0, 300, VALUE, version, 16);
		CU_ASSERT(stage_flush() == 0);
		stage_store_many(1000, 700, VALUE, version, 32);
		if (version % 3 == 0)
			CU_ASSERT(stage_checkpoint() == 0);
		if (version % 2 == 0)
			stage_power_loss(version);
		else
			stage_crash();
		stage_start();
		CU_ASSERT(stage.cache->info.damaged_segments == 0);
		for (uint32_t i = 0; i < 300; i++)
			check(i, version);
	}
}

static void
test_a_ban_retires_when_the_log_has_wrapped_past_it(void)
{
	stage_start();
	stage_store_many(0, 100, VALUE, 1, 8);
	CU_ASSERT(stage_purge("k1") == 0);
	stage_stats(stats);
	CU_ASSERT(stats->now.ban_count == 1);
	stage_store_many(20000, 6000, VALUE, 1, 32);
	stage_stats(stats);
	CU_ASSERT(stats->now.ban_count == 0);
	CU_ASSERT(stage_lookup("k1") == -ENOENT);
}

static void
test_most_of_the_data_area_is_live_in_steady_state(void)
{
	double share;

	stage_start();
	stage_store_many(0, 8000, VALUE, 1, 64);
	stage_stats(stats);
	share = (double)stats->now.entry_count * 4096 /
		((double)stage.cache->segment_count * stage.cache->segment_bytes);
	/*
	 * Segments of 32 blocks, and a reserve that is a large part of them: larger ones hold more.
	 */
	CU_ASSERT(share > 0.70);
}

static void
test_small_objects_that_fill_the_index_make_room_for_newer_ones(void)
{
	uint64_t slots;

	stage.opts.shard_count = 1;
	stage_start();
	slots = index_slot_count(&stage.cache->shards[0].index);
	stage_store_many(0, (uint32_t)(3 * slots), 200, 1, 8);
	stage_stats(stats);
	CU_ASSERT(stats->now.entry_count > slots / 2 && stats->total.segment_freed_count > 0);
	CU_ASSERT(stats->total.reject[TARN_CACHE_REJECT_INDEX_FULL] == 0);
	CU_ASSERT(stage_lookup("k0") == -ENOENT);
	for (uint32_t i = (uint32_t)(3 * slots) - 200; i < 3 * slots; i++) {
		char key[16];

		snprintf(key, sizeof(key), "k%u", i);
		CU_ASSERT(stage_lookup(key) == 0 && stage_same(stage_value, 200, i, 1));
	}
}

UT_SUITE(cache_reclaim, setup, teardown,
	 UT_CASE(test_the_log_wraps_and_the_newest_objects_are_there),
	 UT_CASE(test_what_is_used_stays_and_what_is_not_goes),
	 UT_CASE(test_dirty_blocks_survive_any_number_of_wraps),
	 UT_CASE(test_stores_go_on_with_dirty_blocks_at_their_limit),
	 UT_CASE(test_volumes_are_told_of_dirty_blocks_before_they_are_moved),
	 UT_CASE(test_removed_objects_stay_removed_through_wraps_and_power_loss),
	 UT_CASE(test_overwritten_versions_do_not_come_back_through_wraps_and_crashes),
	 UT_CASE(test_a_ban_retires_when_the_log_has_wrapped_past_it),
	 UT_CASE(test_most_of_the_data_area_is_live_in_steady_state),
	 UT_CASE(test_small_objects_that_fill_the_index_make_room_for_newer_ones));
