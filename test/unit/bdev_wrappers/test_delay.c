/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The delay driver, by the fake clock; and what it shares with every wrapper: going when its base
 * goes.
 */
#include <errno.h>
#include <string.h>

#include "tarn/env.h"
#include "test/unit/bdev_wrappers/stack.h"

static const struct tarn_bdev_delay_opts delay_opts = {
	.base_name = "base",
	.average_read_us = 100,
	.p99_read_us = 1000,
	.average_write_us = 200,
	.p99_write_us = 2000,
};

static void
setup(void)
{
	stack_start();
	stack_wrap("delay", &delay_opts);
}

static void
advance_us(uint64_t us)
{
	tarn_fake_clock_advance(us * 1000);
	stack_turn(3);
}

static void
test_reads_and_writes_wait_for_their_own_latency(void)
{
	stack_submit(&stack_ios[0], TARN_IO_READ, 0, 1);
	stack_submit(&stack_ios[1], TARN_IO_WRITE, 1, 1);
	stack_turn(3);
	advance_us(99);
	CU_ASSERT(stack_ios[0].done_count == 0);
	advance_us(1);
	CU_ASSERT(stack_ios[0].done_count == 1 && stack_ios[1].done_count == 0);
	advance_us(100);
	CU_ASSERT(stack_ios[1].done_count == 1 && stack_ios[1].status == 0);
}

static void
test_flush_and_discard_are_not_held(void)
{
	CU_ASSERT(stack_do(&stack_ios[0], TARN_IO_FLUSH, 0, 0) == 0);
	CU_ASSERT(stack_do(&stack_ios[0], TARN_IO_DISCARD, 0, 1) == 0);
}

static void
test_one_read_in_a_hundred_takes_the_p99_latency(void)
{
	uint32_t late = 0;

	for (int i = 0; i < 100; i++)
		stack_submit(&stack_ios[i], TARN_IO_READ, 0, 1);
	stack_turn(3);
	advance_us(100);
	for (int i = 0; i < 100; i++)
		late += stack_ios[i].done_count == 0;
	CU_ASSERT(late == 1);
	advance_us(900);
	for (int i = 0; i < 100; i++)
		CU_ASSERT(stack_ios[i].done_count == 1);
}

static void
test_changed_latency_counts_from_then_on(void)
{
	struct tarn_bdev_delay_latency faster = { TARN_DELAY_AVERAGE_READ, 10 };
	const struct tarn_bdev_delay_opts *now;
	struct tarn_reason reason;

	CU_ASSERT(
	    tarn_bdev_control(tarn_bdev_find("top"), TARN_BDEV_SET_LATENCY, &faster, &reason) == 0);
	now = tarn_bdev_opts(tarn_bdev_find("top"));
	CU_ASSERT(now->average_read_us == 10 && now->p99_read_us == 1000);
	stack_submit(&stack_ios[0], TARN_IO_READ, 0, 1);
	stack_turn(3);
	advance_us(10);
	CU_ASSERT(stack_ios[0].done_count == 1);
}

static void
test_errors_of_the_base_come_through(void)
{
	stack_submit(&stack_ios[0], TARN_IO_READ, STACK_BYTES / STACK_BLOCK, 1);
	stack_turn(3);
	CU_ASSERT(stack_ios[0].done_count == 1 && stack_ios[0].status == -EINVAL);
}

static int deleted_count;

static void
deleted(void *arg, int status)
{
	(void)arg;
	CU_ASSERT(status == 0);
	deleted_count++;
}

static void
test_held_io_completes_and_the_wrapper_goes_when_its_base_goes(void)
{
	deleted_count = 0;
	stack_submit(&stack_ios[0], TARN_IO_READ, 0, 1);
	stack_turn(3);
	tarn_bdev_delete(tarn_bdev_find("base"), true, deleted, NULL);
	stack_turn(5);
	CU_ASSERT(deleted_count == 0); /* the wrapper is still open, with I/O in flight */
	stack_submit(&stack_ios[1], TARN_IO_READ, 0, 1);
	stack_turn(1);
	CU_ASSERT(stack_ios[1].status == -ENODEV);
	advance_us(100);
	CU_ASSERT(stack_ios[0].done_count == 1 && stack_ios[0].status == 0);
	stack_stop();
	CU_ASSERT(deleted_count == 1);
	stack_start(); /* for the teardown */
}

UT_SUITE(delay, setup, stack_stop, UT_CASE(test_reads_and_writes_wait_for_their_own_latency),
	 UT_CASE(test_flush_and_discard_are_not_held),
	 UT_CASE(test_one_read_in_a_hundred_takes_the_p99_latency),
	 UT_CASE(test_changed_latency_counts_from_then_on),
	 UT_CASE(test_errors_of_the_base_come_through),
	 UT_CASE(test_held_io_completes_and_the_wrapper_goes_when_its_base_goes));
