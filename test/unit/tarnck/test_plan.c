/* SPDX-License-Identifier: BSD-3-Clause */
/* What a start would do: predicted, and then done. */
#include <string.h>

#include "test/unit/cache/volatile.h"
#include "test/unit/tarnck/image.h"

static const struct ck_plan *
plan(void)
{
	return &ck.shards[0].plan;
}

/* Check the image, start a cache on it, and compare. The cache runs. */
static void
predict(enum ck_status status)
{
	struct tarn_cache_info info;

	CU_ASSERT(image_check() == status);
	stage_start();
	info = stage_info();
	CU_ASSERT(info.clean_start == ck.clean_start);
	CU_ASSERT(info.recovered_entries == plan()->entry_count);
	CU_ASSERT(info.damaged_segments == plan()->damage_count);
	CU_ASSERT(info.suspect_entries == plan()->suspect_count);
}

static void
test_a_clean_stop_ends_where_the_log_did(void)
{
	uint64_t committed;

	stage_start();
	stage_store_many(0, 100, 3000, 1, 8);
	CU_ASSERT(stage_flush() == 0);
	committed = stage.cache->shards[0].committed;
	CU_ASSERT(stage_stop() == 0);
	CU_ASSERT(image_check() == CK_CLEAN);
	CU_ASSERT(ck.findings.count == 0 && ck.clean_start);
	CU_ASSERT(plan()->tail == 1 && plan()->head == committed / SEGMENT_BLOCKS);
	CU_ASSERT(ck_position(&ck, plan()->head, plan()->end_block) >= committed);
	CU_ASSERT(plan()->followed_count == plan()->head);
	CU_ASSERT(strcmp(plan()->why, "the cache was stopped there") == 0);
	predict(CK_CLEAN);
}

static void
test_a_crash_without_a_checkpoint_is_read_from_the_tail(void)
{
	stage_start();
	stage_store_many(0, 100, 3000, 1, 8);
	stage_crash();
	CU_ASSERT(image_check() == CK_RECOVERY);
	CU_ASSERT(ck_checkpoint_of(&ck, 0) == -1 && !ck.clean_start);
	CU_ASSERT(plan()->start == SEGMENT_BLOCKS && plan()->entry_count == 100);
	predict(CK_RECOVERY);
	CU_ASSERT(stage_found(0, 100, 1) == 100);
}

static void
test_a_checkpoint_is_where_it_begins(void)
{
	stage_start();
	stage_store_many(0, 100, 3000, 1, 8);
	CU_ASSERT(stage_checkpoint() == 0);
	stage_store_many(100, 100, 3000, 1, 8);
	stage_crash();
	CU_ASSERT(image_check() == CK_RECOVERY);
	CU_ASSERT(ck_checkpoint_of(&ck, 0) >= 0);
	CU_ASSERT(plan()->start == ck.checkpoint[ck_checkpoint_of(&ck, 0)].header.shard[0].start /
				       SEGMENT_BLOCKS * SEGMENT_BLOCKS);
	CU_ASSERT(plan()->start > SEGMENT_BLOCKS);
	predict(CK_RECOVERY);
	CU_ASSERT(stage_found(0, 200, 1) == 200);
}

static void
test_a_batch_that_was_torn_ends_the_log_and_is_no_damage(void)
{
	uint64_t head;
	uint32_t end;

	stage_start();
	stage_store_many(0, 10, 3000, 1, 8);
	CU_ASSERT(stage_flush() == 0);
	stage_store_many(10, 10, 3000, 1, 1);
	stage_crash();
	CU_ASSERT(image_check() == CK_RECOVERY);
	head = plan()->head;
	end = plan()->end_block;
	CU_ASSERT_FATAL(ck_position(&ck, head, end) > plan()->durable + 2);
	image_flip(image_byte(head, end - 1) + 300);
	/* The boot is another: what was not flushed may be torn. */
	stage.env.boot_id[0]++;
	CU_ASSERT(image_check() == CK_RECOVERY);
	CU_ASSERT(plan()->end_block == end - 1);
	CU_ASSERT(strstr(plan()->why, "not whole") != NULL ||
		  strstr(plan()->why, "nothing") != NULL);
	predict(CK_RECOVERY);
	CU_ASSERT(stage_found(0, 10, 1) == 10);
}

static void
test_a_hole_in_what_was_flushed_is_damage_and_costs_what_is_older(void)
{
	stage_start();
	stage_store_many(0, 100, 3000, 1, 8);
	CU_ASSERT(stage_block(TARN_CACHE_BLOCK_STORE, TARN_CACHE_BLOCK_DIRTY, 0, 4, 1) == 0);
	stage_store_many(100, 100, 3000, 1, 8);
	CU_ASSERT(stage_flush() == 0);
	stage_store_many(200, 10, 3000, 1, 1);
	CU_ASSERT(stage_flush() == 0);
	stage_crash();
	/* Its header, and all that stands in for it. */
	image_wipe(image_byte(5, 0), SEGMENT_BLOCKS * DISK_BLOCK);
	CU_ASSERT(image_check() == CK_DAMAGE);
	CU_ASSERT(plan()->damage_count == 1 && plan()->damage_position == 6 * SEGMENT_BLOCKS);
	CU_ASSERT(ck.contents.dropped_count > 90 && ck.contents.suspect_count == 4);
	CU_ASSERT(image_finding("segment header") != NULL &&
		  image_finding("segment header")->severity == CK_DAMAGED);
	predict(CK_DAMAGE);
}

/* --- A checkpoint's table of segments --- */

/* Segments, a checkpoint in the middle of the open one, and more in it. \return that segment. */
static uint64_t
fill_around_checkpoint(uint32_t more)
{
	uint64_t open;

	stage_start();
	stage_store_many(0, 100, 3000, 1, 8);
	CU_ASSERT(stage_checkpoint() == 0);
	open = stage.cache->shards[0].head;
	stage_store_many(100, more, 3000, 1, 8);
	CU_ASSERT(stage_flush() == 0);
	CU_ASSERT_FATAL((stage.cache->shards[0].head == open) == (more < 20));
	stage_crash();
	return open;
}

static void
test_the_table_stands_in_for_a_lost_header(void)
{
	uint64_t open = fill_around_checkpoint(8);

	image_wipe(image_byte(open, 0), DISK_BLOCK);
	CU_ASSERT(image_check() == CK_DAMAGE);
	CU_ASSERT(plan()->head == open && plan()->damage_count == 0 && plan()->entry_count == 108);
	CU_ASSERT(image_finding("segment header") != NULL &&
		  image_finding("segment header")->sequence == open &&
		  image_finding("segment header")->severity == CK_DAMAGED &&
		  strstr(image_finding("segment header")->text, "table") != NULL);
	predict(CK_DAMAGE);
	CU_ASSERT(stage_found(0, 108, 1) == 108);
}

static void
test_the_table_stands_in_for_the_header_of_a_sealed_segment_whose_footer_is_lost_too(void)
{
	uint64_t open = fill_around_checkpoint(100);

	image_wipe(image_byte(open, 0), DISK_BLOCK);
	image_wipe(image_byte(open, SEGMENT_BLOCKS - 1), DISK_BLOCK);
	CU_ASSERT(image_check() == CK_DAMAGE);
	CU_ASSERT(plan()->damage_count == 0 && plan()->entry_count == 200);
	predict(CK_DAMAGE);
	CU_ASSERT(stage_found(0, 200, 1) == 200);
}

static void
test_without_a_table_the_lost_header_is_a_hole(void)
{
	uint64_t open = fill_around_checkpoint(100);
	const struct disk_super *super =
	    (const struct disk_super *)(const void *)volatile_disk.data;

	image_wipe(image_byte(open, 0), DISK_BLOCK);
	image_wipe(image_byte(open, SEGMENT_BLOCKS - 1), DISK_BLOCK);
	for (int area = 0; area < 2; area++)
		image_wipe(super->checkpoint_offset[area], DISK_BLOCK);
	CU_ASSERT(image_check() == CK_DAMAGE);
	CU_ASSERT(plan()->damage_count == 1 && plan()->entry_count < 110);
	predict(CK_DAMAGE);
}

static void
test_the_table_of_a_checkpoint_whose_index_is_damaged_stands_in_as_well(void)
{
	const struct disk_super *super;
	uint64_t open;

	stage_start();
	stage_store_many(0, 40, 3000, 1, 8);
	CU_ASSERT(stage_checkpoint() == 0);
	CU_ASSERT(stage_stop() == 0);
	open = fill_around_checkpoint(8);
	super = (const struct disk_super *)(const void *)volatile_disk.data;
	CU_ASSERT(image_check() == CK_RECOVERY);
	image_wipe(image_byte(open, 0), DISK_BLOCK);
	image_flip(super->checkpoint_offset[ck_checkpoint_of(&ck, 0)] + 3 * DISK_BLOCK);
	CU_ASSERT(image_check() == CK_DAMAGE);
	CU_ASSERT(plan()->head == open && plan()->damage_count == 0);
	predict(CK_DAMAGE);
	CU_ASSERT(stage_info().checkpoint_damaged && stage_info().checkpoint_used);
	CU_ASSERT(stage_found(0, 108, 1) == 108);
}

UT_SUITE(
    tarnck_plan, image_setup, image_teardown, UT_CASE(test_a_clean_stop_ends_where_the_log_did),
    UT_CASE(test_a_crash_without_a_checkpoint_is_read_from_the_tail),
    UT_CASE(test_a_checkpoint_is_where_it_begins),
    UT_CASE(test_a_batch_that_was_torn_ends_the_log_and_is_no_damage),
    UT_CASE(test_a_hole_in_what_was_flushed_is_damage_and_costs_what_is_older),
    UT_CASE(test_the_table_stands_in_for_a_lost_header),
    UT_CASE(test_the_table_stands_in_for_the_header_of_a_sealed_segment_whose_footer_is_lost_too),
    UT_CASE(test_without_a_table_the_lost_header_is_a_hole),
    UT_CASE(test_the_table_of_a_checkpoint_whose_index_is_damaged_stands_in_as_well));
