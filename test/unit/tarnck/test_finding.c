/* SPDX-License-Identifier: BSD-3-Clause */
/* How much a finding matters, by the plan; and the exit status that comes of all of them. */
#include <stdlib.h>
#include <string.h>

#include "app/tarnck/ck.h"
#include "test/unit/common/ut.h"

#define SEGMENT_COUNT 64
#define DURABLE_BLOCK 10 /* of the head: flushed up to there */

static struct ck ck;
static struct disk_super super;

/* A log of segments 70 to 80, of which 75 was passed over; its head ends at block 20. */
static void
setup(void)
{
	struct ck_plan *plan;

	memset(&ck, 0, sizeof(ck));
	super = (struct disk_super){
		.shard_count = 1,
		.segment_count = SEGMENT_COUNT,
		.segment_bytes = 32 * DISK_BLOCK,
		.data_offset = 1 << 20,
	};
	ck.best = &super;
	ck.segment_blocks = 32;
	ck.shards = calloc(1, sizeof(*ck.shards));
	ck.shards[0].segments = calloc(SEGMENT_COUNT, sizeof(struct ck_segment));
	plan = &ck.shards[0].plan;
	plan->tail = 70;
	plan->head = 80;
	plan->end_block = 20;
	plan->durable = ck_position(&ck, 80, DURABLE_BLOCK);
	for (uint64_t sequence = 60; sequence <= 80; sequence++) {
		struct ck_segment *segment = ck_segment_of(&ck, 0, sequence);

		segment->sequence = sequence;
		segment->followed = sequence >= 70 && sequence != 75;
		segment->log_end = sequence == 80 ? 20 : 25;
	}
}

static void
teardown(void)
{
	ck_fini(&ck);
}

static enum ck_severity
settled(uint64_t sequence, uint32_t block, bool sealed)
{
	struct ck_place place = { 0, sequence, block, sealed };

	ck.findings.count = 0;
	ck_find_log(&ck, &place, "batch", "for the test");
	ck_settle(&ck);
	return ck.findings.list[0].severity;
}

static void
test_below_the_tail_nothing_matters(void)
{
	CU_ASSERT(settled(69, 3, false) == CK_NOTE && settled(60, 31, true) == CK_NOTE);
	CU_ASSERT(settled(70, 3, false) == CK_DAMAGED);
}

static void
test_what_was_flushed_and_is_not_whole_is_damage_and_what_was_not_is_torn(void)
{
	CU_ASSERT(settled(80, DURABLE_BLOCK - 1, false) == CK_DAMAGED);
	CU_ASSERT(settled(80, DURABLE_BLOCK, false) == CK_TORN);
	CU_ASSERT(settled(80, 25, false) == CK_TORN); /* at the head: the log ended there */
	CU_ASSERT(settled(81, 1, false) == CK_TORN);
}

static void
test_what_does_not_belong_to_the_log_is_a_note(void)
{
	CU_ASSERT(settled(75, 3, false) == CK_NOTE);
	CU_ASSERT(settled(74, 24, false) == CK_DAMAGED && settled(74, 25, false) == CK_NOTE);
	CU_ASSERT(settled(75, 31, true) == CK_NOTE);
}

static void
test_a_segment_that_is_missing_is_damage(void)
{
	ck_segment_of(&ck, 0, 75)->sequence = 0;
	CU_ASSERT(settled(75, 0, false) == CK_DAMAGED);
}

static void
test_a_second_copy_is_damage_only_after_a_clean_stop(void)
{
	CU_ASSERT(settled(72, 31, true) == CK_TORN);
	super.flags = DISK_SUPER_CLEAN;
	CU_ASSERT(settled(72, 31, true) == CK_DAMAGED);
}

static void
test_the_exit_status_is_the_worst_that_applies(void)
{
	super.flags = DISK_SUPER_CLEAN;
	ck_settle(&ck);
	CU_ASSERT(ck.status == CK_CLEAN);
	settled(60, 1, false); /* a note */
	CU_ASSERT(ck.status == CK_CLEAN);
	super.flags = 0;
	ck_settle(&ck);
	CU_ASSERT(ck.status == CK_RECOVERY);
	settled(80, 20, false);
	CU_ASSERT(ck.status == CK_RECOVERY); /* torn: that is what recovery is for */
	ck_find_note(&ck, "segment header", 4096, "nothing");
	ck_settle(&ck);
	CU_ASSERT(ck.status == CK_RECOVERY);
	ck_find(&ck, "superblock", 0, "one copy");
	ck_settle(&ck);
	CU_ASSERT(ck.status == CK_DAMAGE);
}

static void
test_findings_that_there_is_no_room_for_are_counted_and_are_damage(void)
{
	super.flags = DISK_SUPER_CLEAN;
	for (uint32_t i = 0; i < CK_FINDING_MAX + 7; i++)
		ck_find_note(&ck, "segment header", i, "place %u", i);
	ck_settle(&ck);
	CU_ASSERT(ck.findings.count == CK_FINDING_MAX && ck.findings.dropped == 7);
	CU_ASSERT(ck.status == CK_DAMAGE);
}

static void
test_a_finding_lies_where_the_log_has_it(void)
{
	settled(72, 5, false);
	CU_ASSERT(ck.findings.list[0].offset_bytes ==
		  super.data_offset + (uint64_t)(72 - SEGMENT_COUNT) * super.segment_bytes +
		      5 * DISK_BLOCK);
	CU_ASSERT(strcmp(ck.findings.list[0].text, "for the test") == 0);
	CU_ASSERT(strcmp(ck_severity_name(CK_TORN), "torn") == 0);
}

UT_SUITE(tarnck_finding, setup, teardown, UT_CASE(test_below_the_tail_nothing_matters),
	 UT_CASE(test_what_was_flushed_and_is_not_whole_is_damage_and_what_was_not_is_torn),
	 UT_CASE(test_what_does_not_belong_to_the_log_is_a_note),
	 UT_CASE(test_a_segment_that_is_missing_is_damage),
	 UT_CASE(test_a_second_copy_is_damage_only_after_a_clean_stop),
	 UT_CASE(test_the_exit_status_is_the_worst_that_applies),
	 UT_CASE(test_findings_that_there_is_no_room_for_are_counted_and_are_damage),
	 UT_CASE(test_a_finding_lies_where_the_log_has_it));
