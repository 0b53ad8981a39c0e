/* SPDX-License-Identifier: BSD-3-Clause */
/* What is live: how large, how old, dirty, and what is not live any more, and why. */
#include <string.h>

#include "test/unit/tarnck/image.h"

/* Beyond the machine's clock, so that what was logged last is now. */
#define WALL_S UINT32_C(4000000000)

static void
setup(void)
{
	image_setup();
	stage.env.wall_time_s = WALL_S;
}

/* A life of its own in the log: nothing is appended to its segments later. */
static void
end_life(void)
{
	CU_ASSERT(stage_flush() == 0);
	stage_crash();
}

static void
test_sizes_are_counted_in_powers_of_two_and_the_edge_belongs_to_the_lower_one(void)
{
	static uint8_t value[4096];
	uint32_t head = format_record_head_bytes(1, 1); /* of one chunk */

	stage_start();
	CU_ASSERT_FATAL(head > 16 && head < 128);
	CU_ASSERT(stage_store("a", value, 128 - head) == 0);
	CU_ASSERT(stage_store("b", value, 128 - head + 1) == 0);
	CU_ASSERT(stage_store("c", value, 256 - head) == 0);
	CU_ASSERT(stage_store("d", value, 1024 - head) == 0);
	CU_ASSERT(stage_store("e", value, 1024 - head + 1) == 0);
	end_life();
	CU_ASSERT(image_check() == CK_RECOVERY);
	CU_ASSERT(ck.contents.object_count == 5 && ck.contents.block_count == 0);
	CU_ASSERT(ck.contents.live_bytes == 128 + 129 + 256 + 1024 + 1025);
	for (uint32_t i = 0; i < CK_SIZE_BUCKETS; i++) {
		uint64_t limit = ck_size_limit(i);
		uint64_t wanted = limit == 256 ? 2 : limit == 128 || limit == 1024 || limit == 2048;

		CU_ASSERT(ck.contents.size[i] == wanted);
	}
}

static void
test_ages_are_counted_since_their_segment_was_opened(void)
{
	static const uint64_t later_s[] = { 30, 300, 1800, 7200, 50000, 200000, 1000000, 5000000 };
	uint64_t total = 0;

	/* From the oldest to the newest, and one that says what time it is now. */
	for (uint32_t i = CK_AGE_BUCKETS; i-- > 0;) {
		stage_start();
		stage_store_many(100 * i, i + 1, 3000, 1, 1);
		end_life();
		stage.env.wall_time_s += later_s[i] - (i == 0 ? 0 : later_s[i - 1]);
	}
	stage_start();
	stage_store_many(1000, 20, 100, 1, 1);
	end_life();
	CU_ASSERT(image_check() == CK_RECOVERY);
	for (uint32_t i = 0; i < CK_AGE_BUCKETS; i++) {
		CU_ASSERT(ck.contents.age[i] == i + 1 + (i == 0 ? 20 : 0));
		total += ck.contents.age[i];
	}
	CU_ASSERT(total == ck.contents.object_count);
	CU_ASSERT(strcmp(ck_age_name(0), "under 1 minute") == 0);
}

static void
test_what_is_not_live_is_told_apart(void)
{
	stage_start();
	stage_store_many(0, 40, 3000, 1, 4);
	stage_store_many(0, 10, 3000, 2, 4);		     /* 10 superseded */
	CU_ASSERT(stage_remove("k10") == 0);		     /* one more, by a tombstone */
	CU_ASSERT(stage_purge("k3") == 0);		     /* k3, both versions, k30 to k39: 12 */
	CU_ASSERT(stage_store_opts("x", "v", 1, 0, 5) == 0); /* expires */
	CU_ASSERT(stage_store_opts("y", "v", 1, 0, 500000) == 0);
	stage_time(100);
	CU_ASSERT(stage_store("z", "v", 1) == 0);
	end_life();
	CU_ASSERT(image_check() == CK_RECOVERY);
	CU_ASSERT(ck.contents.object_count == 40 - 1 - 11 + 2);
	CU_ASSERT(ck.contents.banned_count == 12);
	CU_ASSERT(ck.contents.dead_count == 9 + 1);
	CU_ASSERT(ck.contents.expired_count == 1);
	CU_ASSERT(ck.contents.tombstone_count >= 1 && ck.contents.ban_count >= 1);
}

static void
test_blocks_and_the_dirty_among_them_are_counted(void)
{
	stage_start();
	CU_ASSERT(stage_block(TARN_CACHE_BLOCK_STORE, 0, 0, 8, 1) == 0);
	CU_ASSERT(stage_block(TARN_CACHE_BLOCK_STORE, TARN_CACHE_BLOCK_DIRTY, 8, 3, 1) == 0);
	CU_ASSERT(stage_block(TARN_CACHE_BLOCK_STORE, TARN_CACHE_BLOCK_DIRTY, 0, 2, 2) == 0);
	CU_ASSERT(stage_ban(4, 2) == 0);
	CU_ASSERT(stage_block(TARN_CACHE_BLOCK_FORGET, 0, 6, 1, 0) == 0);
	end_life();
	CU_ASSERT(image_check() == CK_RECOVERY);
	CU_ASSERT(ck.contents.block_count == 8 + 3 - 3 && ck.contents.dirty_count == 5);
	CU_ASSERT(ck.contents.banned_count == 2 && ck.contents.suspect_count == 0);
	CU_ASSERT(ck.contents.live_bytes == 8 * DISK_BLOCK);
}

UT_SUITE(tarnck_contents, setup, image_teardown,
	 UT_CASE(test_sizes_are_counted_in_powers_of_two_and_the_edge_belongs_to_the_lower_one),
	 UT_CASE(test_ages_are_counted_since_their_segment_was_opened),
	 UT_CASE(test_what_is_not_live_is_told_apart),
	 UT_CASE(test_blocks_and_the_dirty_among_them_are_counted));
