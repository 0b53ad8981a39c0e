/* SPDX-License-Identifier: BSD-3-Clause */
/* The error driver: each kind of injection, and that nothing else goes wrong. */
#include <errno.h>
#include <string.h>

#include "test/unit/bdev_wrappers/stack.h"

static const struct tarn_bdev_error_opts error_opts = { .base_name = "base" };

static void
setup(void)
{
	stack_start();
	stack_wrap("error", &error_opts);
}

static void
inject(const struct tarn_bdev_error_inject *wanted)
{
	struct tarn_reason reason;

	CU_ASSERT_FATAL(
	    tarn_bdev_control(tarn_bdev_find("top"), TARN_BDEV_INJECT, wanted, &reason) == 0);
}

static int
read_block(uint64_t block)
{
	return stack_do(&stack_ios[0], TARN_IO_READ, block, 1);
}

static void
test_without_rules_every_operation_passes(void)
{
	memset(stack_ios[0].buf, 0x5a, STACK_BLOCK);
	CU_ASSERT(stack_do(&stack_ios[0], TARN_IO_WRITE, 3, 1) == 0);
	memset(stack_ios[0].buf, 0, STACK_BLOCK);
	CU_ASSERT(read_block(3) == 0);
	CU_ASSERT(stack_ios[0].buf[0] == 0x5a && stack_ios[0].buf[STACK_BLOCK - 1] == 0x5a);
	CU_ASSERT(stack_do(&stack_ios[0], TARN_IO_FLUSH, 0, 0) == 0);
	CU_ASSERT(stack_do(&stack_ios[0], TARN_IO_WRITE_ZEROES, 3, 1) == 0);
	CU_ASSERT(stack_do(&stack_ios[0], TARN_IO_DISCARD, 3, 1) == 0);
	CU_ASSERT(read_block(3) == 0 && stack_ios[0].buf[7] == 0);
}

static void
test_the_nth_fails_with_the_chosen_errno_and_no_other(void)
{
	struct tarn_bdev_error_inject nth = { .op = TARN_IO_READ,
					      .type = TARN_ERROR_FAILURE,
					      .count = 1,
					      .skip_count = 2,
					      .status = -ENODATA };

	inject(&nth);
	CU_ASSERT(read_block(0) == 0 && read_block(1) == 0);
	CU_ASSERT(stack_do(&stack_ios[1], TARN_IO_WRITE, 0, 1) == 0);
	CU_ASSERT(read_block(2) == -ENODATA);
	CU_ASSERT(read_block(3) == 0 && read_block(4) == 0);
}

static void
test_all_operations_fail_until_cleared(void)
{
	struct tarn_bdev_error_inject all = { .op = -1,
					      .type = TARN_ERROR_FAILURE,
					      .count = UINT64_MAX };

	inject(&all);
	for (int op = 0; op < TARN_IO_OP_COUNT; op++)
		CU_ASSERT(stack_do(&stack_ios[0], (enum tarn_io_op)op, 0, 1) == -EIO);
	all.type = TARN_ERROR_NONE;
	inject(&all);
	for (int op = 0; op < TARN_IO_OP_COUNT; op++)
		CU_ASSERT(stack_do(&stack_ios[0], (enum tarn_io_op)op, 0, 1) == 0);
}

static void
test_a_range_fails_where_it_is_touched(void)
{
	struct tarn_bdev_error_inject range = { .op = TARN_IO_READ,
						.type = TARN_ERROR_FAILURE,
						.count = UINT64_MAX,
						.offset_bytes = 10 * STACK_BLOCK,
						.length_bytes = 2 * STACK_BLOCK };

	inject(&range);
	CU_ASSERT(read_block(9) == 0);
	CU_ASSERT(read_block(10) == -EIO && read_block(11) == -EIO);
	CU_ASSERT(read_block(12) == 0);
	CU_ASSERT(stack_do(&stack_ios[0], TARN_IO_READ, 8, 3) == -EIO);
	CU_ASSERT(stack_do(&stack_ios[0], TARN_IO_READ, 8, 2) == 0);
}

static void
test_a_share_fails_about_as_often_as_asked_and_the_same_ones_each_time(void)
{
	struct tarn_bdev_error_inject share = { .op = TARN_IO_READ,
						.type = TARN_ERROR_FAILURE,
						.count = UINT64_MAX,
						.share_ppm = 250000 };
	uint32_t failed[2] = { 0 };
	uint64_t pattern[2] = { 0 };

	for (int round = 0; round < 2; round++) {
		inject(&share);
		for (int i = 0; i < 1000; i++) {
			bool bad = read_block(1) == -EIO;

			failed[round] += bad;
			if (i < 64)
				pattern[round] |= (uint64_t)bad << i;
		}
	}
	CU_ASSERT(failed[0] > 150 && failed[0] < 350);
	CU_ASSERT(failed[0] == failed[1] && pattern[0] == pattern[1]);
}

static void
test_hanging_io_goes_on_when_it_is_let_go(void)
{
	struct tarn_bdev_error_inject hang = { .op = TARN_IO_WRITE,
					       .type = TARN_ERROR_PENDING,
					       .count = 2 };

	inject(&hang);
	for (int i = 0; i < 3; i++) {
		memset(stack_ios[i].buf, i + 1, STACK_BLOCK);
		stack_submit(&stack_ios[i], TARN_IO_WRITE, (uint64_t)i, 1);
	}
	stack_turn(50);
	CU_ASSERT(stack_ios[0].done_count == 0 && stack_ios[1].done_count == 0);
	CU_ASSERT(stack_ios[2].done_count == 1);
	hang.type = TARN_ERROR_NONE;
	inject(&hang);
	stack_turn(10);
	for (int i = 0; i < 3; i++)
		CU_ASSERT(stack_ios[i].done_count == 1 && stack_ios[i].status == 0);
	CU_ASSERT(read_block(1) == 0 && stack_ios[0].buf[0] == 2);
}

static void
test_corrupted_read_differs_in_one_byte_of_each_block_only(void)
{
	struct tarn_bdev_error_inject bad = { .op = TARN_IO_READ,
					      .type = TARN_ERROR_CORRUPT_DATA,
					      .count = 1,
					      .corrupt_offset = 5,
					      .corrupt_value = 0xff };

	memset(stack_ios[0].buf, 0x11, 2 * STACK_BLOCK);
	CU_ASSERT(stack_do(&stack_ios[0], TARN_IO_WRITE, 0, 2) == 0);
	inject(&bad);
	CU_ASSERT(stack_do(&stack_ios[0], TARN_IO_READ, 0, 2) == 0);
	for (int i = 0; i < 2 * STACK_BLOCK; i++)
		CU_ASSERT(stack_ios[0].buf[i] == (i % STACK_BLOCK == 5 ? 0xee : 0x11));
	CU_ASSERT(read_block(0) == 0 && stack_ios[0].buf[5] == 0x11);
}

static void
test_corrupted_write_leaves_the_callers_buffer_as_it_was(void)
{
	struct tarn_bdev_error_inject bad = { .op = TARN_IO_WRITE,
					      .type = TARN_ERROR_CORRUPT_DATA,
					      .count = 1,
					      .corrupt_offset = 0,
					      .corrupt_value = 1 };

	inject(&bad);
	memset(stack_ios[0].buf, 0x10, STACK_BLOCK);
	CU_ASSERT(stack_do(&stack_ios[0], TARN_IO_WRITE, 0, 1) == 0);
	CU_ASSERT(stack_ios[0].buf[0] == 0x10);
	CU_ASSERT(read_block(0) == 0 && stack_ios[0].buf[0] == 0x11);
}

static void
test_short_write_is_an_error_with_its_first_half_done(void)
{
	struct tarn_bdev_error_inject cut = { .op = TARN_IO_WRITE,
					      .type = TARN_ERROR_SHORT,
					      .count = 1 };

	inject(&cut);
	memset(stack_ios[0].buf, 0x77, 4 * STACK_BLOCK);
	CU_ASSERT(stack_do(&stack_ios[0], TARN_IO_WRITE, 0, 4) == -EIO);
	CU_ASSERT(read_block(1) == 0 && stack_ios[0].buf[0] == 0x77);
	CU_ASSERT(read_block(2) == 0 && stack_ios[0].buf[0] == 0);
}

static void
test_dropped_write_succeeds_and_is_not_there(void)
{
	struct tarn_bdev_error_inject drop = { .op = TARN_IO_WRITE,
					       .type = TARN_ERROR_DROP,
					       .count = 1 };

	inject(&drop);
	memset(stack_ios[0].buf, 0x66, STACK_BLOCK);
	CU_ASSERT(stack_do(&stack_ios[0], TARN_IO_WRITE, 0, 1) == 0);
	CU_ASSERT(read_block(0) == 0 && stack_ios[0].buf[0] == 0);
	memset(stack_ios[0].buf, 0x66, STACK_BLOCK);
	CU_ASSERT(stack_do(&stack_ios[0], TARN_IO_WRITE, 0, 1) == 0);
	CU_ASSERT(read_block(0) == 0 && stack_ios[0].buf[0] == 0x66);
}

static void
test_no_memory_and_queue_depth_conditions(void)
{
	struct tarn_bdev_error_inject deep = {
		.op = TARN_IO_READ, .type = TARN_ERROR_NOMEM, .count = UINT64_MAX, .queue_depth = 2
	};

	inject(&deep);
	for (int i = 0; i < 3; i++)
		stack_submit(&stack_ios[i], TARN_IO_READ, 0, 1);
	stack_turn(10);
	CU_ASSERT(stack_ios[0].status == 0 && stack_ios[1].status == 0);
	CU_ASSERT(stack_ios[2].status == -ENOMEM);
}

static void
test_impossible_rules_are_refused_with_the_reason(void)
{
	struct tarn_bdev_error_inject bad[] = {
		{ .type = TARN_ERROR_CORRUPT_DATA, .count = 1 },
		{ .type = TARN_ERROR_CORRUPT_DATA, .corrupt_value = 1, .corrupt_offset = 512 },
		{ .type = TARN_ERROR_FAILURE, .share_ppm = 1000001 },
		{ .type = TARN_ERROR_FAILURE, .status = 5 },
	};
	struct tarn_bdev *top = tarn_bdev_find("top");

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct tarn_reason reason = { "" };

		CU_ASSERT(tarn_bdev_control(top, TARN_BDEV_INJECT, &bad[i], &reason) == -EINVAL);
		CU_ASSERT(strncmp(reason.text, "top: ", 5) == 0);
	}
	CU_ASSERT(read_block(0) == 0);
}

static void
test_base_is_claimed_and_a_missing_one_refused(void)
{
	struct tarn_bdev_error_opts missing = { .base_name = "nowhere" };
	struct tarn_reason reason = { "" };
	struct tarn_bdev_desc *desc;
	struct tarn_bdev *bdev;

	CU_ASSERT(tarn_bdev_open("base", true, NULL, NULL, &desc) == -EBUSY);
	CU_ASSERT(tarn_bdev_create("error", "again", &error_opts, &bdev, &reason) == -EBUSY);
	CU_ASSERT(strstr(reason.text, "base") != NULL);
	CU_ASSERT(tarn_bdev_create("error", "again", &missing, &bdev, &reason) == -ENODEV);
	CU_ASSERT(strstr(reason.text, "nowhere") != NULL);
	CU_ASSERT(tarn_bdev_find("again") == NULL);
}

UT_SUITE(error, setup, stack_stop, UT_CASE(test_without_rules_every_operation_passes),
	 UT_CASE(test_the_nth_fails_with_the_chosen_errno_and_no_other),
	 UT_CASE(test_all_operations_fail_until_cleared),
	 UT_CASE(test_a_range_fails_where_it_is_touched),
	 UT_CASE(test_a_share_fails_about_as_often_as_asked_and_the_same_ones_each_time),
	 UT_CASE(test_hanging_io_goes_on_when_it_is_let_go),
	 UT_CASE(test_corrupted_read_differs_in_one_byte_of_each_block_only),
	 UT_CASE(test_corrupted_write_leaves_the_callers_buffer_as_it_was),
	 UT_CASE(test_short_write_is_an_error_with_its_first_half_done),
	 UT_CASE(test_dropped_write_succeeds_and_is_not_there),
	 UT_CASE(test_no_memory_and_queue_depth_conditions),
	 UT_CASE(test_impossible_rules_are_refused_with_the_reason),
	 UT_CASE(test_base_is_claimed_and_a_missing_one_refused));
