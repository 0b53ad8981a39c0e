/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>

#include "app/tarnperf/verify.h"
#include "test/unit/common/ut.h"

#define BLOCK_COUNT 8

static struct perf_verify verify;

static void
setup(void)
{
	CU_ASSERT_EQUAL_FATAL(perf_verify_init(&verify, BLOCK_COUNT), 0);
}

static void
teardown(void)
{
	perf_verify_fini(&verify);
}

static void
test_a_block_in_flight_is_not_given_twice(void)
{
	CU_ASSERT_EQUAL(perf_verify_take(&verify, 7), 7);
	CU_ASSERT_EQUAL(perf_verify_take(&verify, 7), 0);
	CU_ASSERT_EQUAL(perf_verify_take(&verify, 7), 1);
	perf_verify_put(&verify, 7);
	CU_ASSERT_EQUAL(perf_verify_take(&verify, 7), 7);
}

static void
test_all_blocks_can_be_in_flight(void)
{
	uint32_t seen = 0;

	for (int i = 0; i < BLOCK_COUNT; i++)
		seen |= 1u << perf_verify_take(&verify, 3);
	CU_ASSERT_EQUAL(seen, 0xff);
}

static void
test_generations_count_writes_and_survive_being_in_flight(void)
{
	CU_ASSERT_EQUAL(perf_verify_generation(&verify, 2), 0);
	perf_verify_take(&verify, 2);
	CU_ASSERT_EQUAL(perf_verify_bump(&verify, 2), 1);
	perf_verify_put(&verify, 2);
	CU_ASSERT_EQUAL(perf_verify_bump(&verify, 2), 2);
	CU_ASSERT_EQUAL(perf_verify_generation(&verify, 2), 2);
}

static void
test_the_walk_visits_what_was_written_once_and_in_order(void)
{
	uint64_t block;

	perf_verify_bump(&verify, 6);
	perf_verify_bump(&verify, 1);
	perf_verify_bump(&verify, 3);
	perf_verify_forget(&verify, 3);
	CU_ASSERT_TRUE(perf_verify_walk(&verify, &block));
	CU_ASSERT_EQUAL(block, 1);
	CU_ASSERT_TRUE(perf_verify_walk(&verify, &block));
	CU_ASSERT_EQUAL(block, 6);
	CU_ASSERT_FALSE(perf_verify_walk(&verify, &block));
}

UT_SUITE(tarnperf_verify, setup, teardown, UT_CASE(test_a_block_in_flight_is_not_given_twice),
	 UT_CASE(test_all_blocks_can_be_in_flight),
	 UT_CASE(test_generations_count_writes_and_survive_being_in_flight),
	 UT_CASE(test_the_walk_visits_what_was_written_once_and_in_order));
