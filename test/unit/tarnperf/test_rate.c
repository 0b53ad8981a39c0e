/* SPDX-License-Identifier: BSD-3-Clause */
#include "app/tarnperf/rate.h"
#include "test/unit/common/ut.h"

#define START UINT64_C(123456789)
#define SECOND UINT64_C(1000000000)

static void
test_as_many_start_as_the_rate_says(void)
{
	struct perf_rate rate;
	uint32_t count = 0;

	perf_rate_init(&rate, 1000, START);
	for (uint64_t now = START; now < START + SECOND; now += 10000)
		count += perf_rate_take(&rate, now);
	CU_ASSERT_EQUAL(count, 1000);
}

static void
test_the_wait_ends_when_the_next_may_start(void)
{
	struct perf_rate rate;

	perf_rate_init(&rate, 3, START);
	CU_ASSERT_TRUE(perf_rate_take(&rate, START));
	CU_ASSERT_FALSE(perf_rate_take(&rate, START));
	CU_ASSERT_EQUAL(perf_rate_wait_ns(&rate, START), 333333334);
	CU_ASSERT_FALSE(perf_rate_take(&rate, START + 333333333));
	CU_ASSERT_TRUE(perf_rate_take(&rate, START + 333333334));
}

static void
test_after_a_stall_only_ten_milliseconds_are_made_up_for(void)
{
	struct perf_rate rate;
	uint32_t count = 0;

	perf_rate_init(&rate, 10000, START);
	CU_ASSERT_TRUE(perf_rate_take(&rate, START));
	while (perf_rate_take(&rate, START + 60 * SECOND))
		count++;
	CU_ASSERT_EQUAL(count, 101);
}

static void
test_rate_zero_is_no_limit(void)
{
	struct perf_rate rate;

	perf_rate_init(&rate, 0, START);
	for (int i = 0; i < 1000; i++)
		CU_ASSERT_TRUE(perf_rate_take(&rate, START));
	CU_ASSERT_EQUAL(perf_rate_wait_ns(&rate, START), 0);
}

UT_SUITE(tarnperf_rate, NULL, NULL, UT_CASE(test_as_many_start_as_the_rate_says),
	 UT_CASE(test_the_wait_ends_when_the_next_may_start),
	 UT_CASE(test_after_a_stall_only_ten_milliseconds_are_made_up_for),
	 UT_CASE(test_rate_zero_is_no_limit));
