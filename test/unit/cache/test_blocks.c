/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include "test/unit/cache/stage.h"

#define STORE TARN_CACHE_BLOCK_STORE
#define LOOKUP TARN_CACHE_BLOCK_LOOKUP
#define DIRTY TARN_CACHE_BLOCK_DIRTY

static bool
is_dirty(uint32_t n)
{
	return (stage_req.dirty[n / 64] >> (n % 64) & 1) != 0;
}

static void
test_a_lookup_tells_and_reads_the_blocks_that_are_there(void)
{
	stage_start();
	CU_ASSERT(stage_block(STORE, DIRTY, 10, 3, 1) == 0);
	CU_ASSERT(stage_block(STORE, 0, 15, 1, 1) == 0);
	CU_ASSERT(stage_block(LOOKUP, 0, 8, 10, 0) == 0);
	CU_ASSERT(stage_req.hit[0] == (7u << 2 | 1u << 7) && stage_req.dirty[0] == 7u << 2);
	CU_ASSERT(stage_block_is(2, 1) && stage_block_is(4, 1) && stage_block_is(7, 1));
	CU_ASSERT(stage_block(TARN_CACHE_BLOCK_PROBE, 0, 8, 10, 0) == 0);
	CU_ASSERT(stage_req.hit[0] == (7u << 2 | 1u << 7));
}

static void
test_a_whole_extent_is_stored_and_read_in_one_request(void)
{
	stage_start();
	CU_ASSERT(stage_block(STORE, DIRTY, 256, 256, 1) == 0);
	CU_ASSERT(stage_block(STORE, DIRTY, 300, 7, 2) == 0);
	CU_ASSERT(stage_block(LOOKUP, 0, 256, 256, 0) == 0);
	for (uint32_t i = 0; i < 256; i++)
		CU_ASSERT(stage_block_is(i, i >= 44 && i < 51 ? 2 : 1));
	CU_ASSERT(stage_block(STORE, 0, 500, 20, 1) == -EINVAL); /* over an extent's end */
}

static void
test_a_fill_does_not_overwrite_what_is_newer(void)
{
	uint64_t token;

	stage_start();
	CU_ASSERT(stage_block(LOOKUP, 0, 0, 4, 0) == 0 && stage_req.hit[0] == 0);
	token = stage_req.token;
	CU_ASSERT(stage_block(STORE, DIRTY, 1, 1, 5) == 0);
	stage_req.token = token;
	CU_ASSERT(stage_block(TARN_CACHE_BLOCK_FILL, 0, 0, 4, 1) == 0);
	CU_ASSERT(stage_block(LOOKUP, 0, 0, 4, 0) == 0);
	CU_ASSERT(stage_block_is(0, 1) && stage_block_is(1, 5) && stage_block_is(2, 1));
}

static void
test_a_fill_does_not_revive_what_was_stored_and_forgotten_meanwhile(void)
{
	uint64_t token;

	stage_start();
	CU_ASSERT(stage_block(LOOKUP, 0, 0, 4, 0) == 0);
	token = stage_req.token;
	CU_ASSERT(stage_block(TARN_CACHE_BLOCK_FORGET, 0, 2, 1, 0) == 0);
	stage_req.token = token;
	CU_ASSERT(stage_block(TARN_CACHE_BLOCK_FILL, 0, 0, 4, 1) == 0);
	CU_ASSERT(stage_block(LOOKUP, 0, 0, 4, 0) == 0 && stage_req.hit[0] == 0xb);
	token = stage_req.token;
	CU_ASSERT(stage_ban(100, 4) == 0);
	stage_req.token = token;
	CU_ASSERT(stage_block(TARN_CACHE_BLOCK_FILL, 0, 100, 4, 1) == 0);
	CU_ASSERT(stage_block(LOOKUP, 0, 100, 4, 0) == 0 && stage_req.hit[0] == 0);
}

static void
test_cleaning_leaves_dirty_what_was_stored_since_the_lookup(void)
{
	uint64_t token;

	stage_start();
	CU_ASSERT(stage_block(STORE, DIRTY, 0, 4, 1) == 0);
	CU_ASSERT(stage_block(LOOKUP, 0, 0, 4, 0) == 0 && stage_req.dirty[0] == 0xf);
	token = stage_req.token;
	CU_ASSERT(stage_block(STORE, DIRTY, 1, 1, 2) == 0);
	stage_req.token = token;
	CU_ASSERT(stage_block(TARN_CACHE_BLOCK_CLEAN, 0, 0, 4, 0) == 0);
	CU_ASSERT(stage_block(LOOKUP, 0, 0, 4, 0) == 0 && stage_req.dirty[0] == 0x2);
	stage_crash();
	stage_start();
	CU_ASSERT(stage_block(LOOKUP, 0, 0, 4, 0) == 0);
	CU_ASSERT(stage_req.dirty[0] == 0x2 && stage_req.hit[0] == 0xf);
	CU_ASSERT(stage_block_is(1, 2) && stage_block_is(3, 1));
}

static void
test_only_durable_versions_are_cleaned_where_that_is_asked_for(void)
{
	stage_start();
	CU_ASSERT(stage_block(STORE, DIRTY, 0, 1, 1) == 0 && stage_flush() == 0);
	CU_ASSERT(stage_block(STORE, DIRTY, 1, 1, 1) == 0);
	CU_ASSERT(stage_block(LOOKUP, 0, 0, 2, 0) == 0);
	CU_ASSERT(stage_block(TARN_CACHE_BLOCK_CLEAN, TARN_CACHE_BLOCK_DURABLE_ONLY, 0, 2, 0) == 0);
	CU_ASSERT(stage_block(LOOKUP, 0, 0, 2, 0) == 0 && !is_dirty(0) && is_dirty(1));
}

static void
test_forgotten_and_banned_blocks_stay_gone_after_a_crash(void)
{
	stage_start();
	CU_ASSERT(stage_block(STORE, DIRTY, 0, 64, 1) == 0);
	CU_ASSERT(stage_block(TARN_CACHE_BLOCK_FORGET, 0, 3, 2, 0) == 0);
	CU_ASSERT(stage_ban(10, 20) == 0);
	CU_ASSERT(stage_block(STORE, DIRTY, 12, 1, 2) == 0);
	for (int life = 0; life < 3; life++) {
		CU_ASSERT(stage_block(LOOKUP, 0, 0, 64, 0) == 0);
		CU_ASSERT(stage_req.hit[0] ==
			  (~UINT64_C(0) & ~UINT64_C(0x18) & ~(UINT64_C(0xfffff) << 10)) +
			      (UINT64_C(1) << 12));
		CU_ASSERT(stage_block_is(12, 2) && stage_block_is(9, 1));
		stage_crash();
		stage_start();
	}
}

static void
test_a_ban_takes_its_blocks_off_the_dirty_count(void)
{
	stage_start();
	CU_ASSERT(stage_block(STORE, DIRTY, 0, 256, 1) == 0);
	stage_turns(2);
	CU_ASSERT(tarn_cache_dirty_count(stage.cache) == 256);
	CU_ASSERT(stage_ban(0, UINT64_MAX) == 0);
	stage_turns(200);
	CU_ASSERT(tarn_cache_dirty_count(stage.cache) == 0);
}

static uint32_t walked;

static void
on_dirty(void *arg, const struct tarn_cache_dirty_block *blocks, uint32_t block_count)
{
	(void)arg;
	for (uint32_t i = 0; i < block_count; i++)
		walked += blocks[i].volume_id == 1 && blocks[i].block % 2 == 0;
}

static void
walk_done(void *arg, int status)
{
	*(bool *)arg = status == 0;
}

static void
test_dirty_blocks_are_found_after_a_crash(void)
{
	struct tarn_cache_dirty_walk what = { .volume_id = 1, .fn = on_dirty };
	bool done = false;

	stage_start();
	for (uint64_t block = 0; block < 400; block += 2)
		CU_ASSERT(stage_block(STORE, DIRTY, block, 1, 1) == 0);
	CU_ASSERT(stage_block(STORE, 0, 1, 1, 1) == 0);
	stage_crash();
	stage_start();
	walked = 0;
	tarn_cache_each_dirty(stage.cache, &what, walk_done, &done);
	stage_turns(200);
	CU_ASSERT(done && walked == 200);
}

static void
test_dirty_blocks_have_a_share_and_beyond_it_stores_are_refused(void)
{
	uint64_t limit, block = 0;
	int status = 0;

	stage_start();
	limit = tarn_cache_dirty_limit(stage.cache);
	while (status == 0 && block < 2 * limit) {
		status = stage_block(STORE, DIRTY, block, 128, 1);
		block += 128;
	}
	CU_ASSERT(status == -ENOSPC);
	CU_ASSERT(tarn_cache_dirty_count(stage.cache) <= limit);
	CU_ASSERT(stage_block(STORE, DIRTY, 0, 128, 2) == 0); /* over dirty ones: no more of them */
	CU_ASSERT(stage_block(LOOKUP, 0, 0, 128, 0) == 0 && stage_block_is(127, 2));
	CU_ASSERT(stage_store("object", "v", 1) == 0);
}

static void
test_a_cache_with_dirty_blocks_is_not_deleted_without_force(void)
{
	stage_start();
	CU_ASSERT(stage_block(STORE, DIRTY, 0, 1, 1) == 0);
	stage_turns(2);
	CU_ASSERT(stage_delete(false) == -EBUSY);
	CU_ASSERT(stage_block(LOOKUP, 0, 0, 1, 0) == 0 && stage_block_is(0, 1));
	CU_ASSERT(stage_delete(true) == 0);
	stage_start();
	CU_ASSERT(stage.cache->info.formatted);
}

static void
stored(struct tarn_cache_block_req *req)
{
	*(bool *)req->arg = true;
}

static void
deleted(void *arg, int status)
{
	*(int *)arg = status;
}

static void
test_dirty_blocks_on_their_way_keep_a_cache_from_being_erased(void)
{
	static struct tarn_cache_block_req req;
	struct iovec iov = { tarn_iobuf_get(4096), 4096 };
	bool done = false;
	int status = 1;

	stage_start();
	stage_fill(iov.iov_base, 4096, 7, 1);
	req = (struct tarn_cache_block_req){
		.cache = stage.cache,
		.kind = STORE,
		.flags = DIRTY,
		.block_count = 1,
		.volume_id = 1,
		.first_block = 7,
		.iov = &iov,
		.iov_count = 1,
		.cb = stored,
		.arg = &done,
	};
	tarn_cache_block_submit(&req);
	tarn_cache_delete(stage.cache, false, deleted, &status);
	while (status == 1)
		stage_turns(1);
	CU_ASSERT(done && req.status == 0 && status == -EBUSY);
	stage.cache = NULL;
	tarn_iobuf_put(iov.iov_base);
	stage_start();
	CU_ASSERT(stage_block(LOOKUP, 0, 7, 1, 0) == 0 && stage_block_is(0, 1) && is_dirty(0));
}

static void
test_a_deleted_cache_leaves_a_device_that_is_blank(void)
{
	stage_start();
	stage_store_many(0, 200, 1000, 1, 8);
	CU_ASSERT(stage_checkpoint() == 0 && stage_checkpoint() == 0);
	CU_ASSERT(stage_delete(false) == 0);
	stage_start();
	CU_ASSERT(stage.cache->info.formatted);
}

static void
test_numbers_of_volumes_run_out_and_are_not_used_again(void)
{
	static const uint8_t first[16] = { 1 }, second[16] = { 2 };

	stage_start();
	CU_ASSERT(stage_volume_set(first, 1) == 0);
	stage.cache->super->next_volume_id = 16384;
	CU_ASSERT(stage_volume_set(second, 1) == -EUSERS);
	CU_ASSERT(stage_volume_set(first, 2) == 0);
	CU_ASSERT(stage_volume_forget(first) == 0 && stage_volume_set(first, 3) == -EUSERS);
}

UT_SUITE(cache_blocks, stage_setup, stage_teardown,
	 UT_CASE(test_a_lookup_tells_and_reads_the_blocks_that_are_there),
	 UT_CASE(test_dirty_blocks_on_their_way_keep_a_cache_from_being_erased),
	 UT_CASE(test_a_deleted_cache_leaves_a_device_that_is_blank),
	 UT_CASE(test_a_whole_extent_is_stored_and_read_in_one_request),
	 UT_CASE(test_a_fill_does_not_overwrite_what_is_newer),
	 UT_CASE(test_a_fill_does_not_revive_what_was_stored_and_forgotten_meanwhile),
	 UT_CASE(test_cleaning_leaves_dirty_what_was_stored_since_the_lookup),
	 UT_CASE(test_only_durable_versions_are_cleaned_where_that_is_asked_for),
	 UT_CASE(test_forgotten_and_banned_blocks_stay_gone_after_a_crash),
	 UT_CASE(test_a_ban_takes_its_blocks_off_the_dirty_count),
	 UT_CASE(test_dirty_blocks_are_found_after_a_crash),
	 UT_CASE(test_dirty_blocks_have_a_share_and_beyond_it_stores_are_refused),
	 UT_CASE(test_a_cache_with_dirty_blocks_is_not_deleted_without_force),
	 UT_CASE(test_numbers_of_volumes_run_out_and_are_not_used_again));
