/* SPDX-License-Identifier: BSD-3-Clause */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "app/tarnperf/zipf.h"
#include "test/unit/common/ut.h"

#define DRAW_COUNT 400000

static struct perf_random generator;

static void
setup(void)
{
	perf_random_init(&generator, 1);
}

static void
test_uniform_numbers_reach_every_place_about_as_often(void)
{
	uint32_t counts[10] = { 0 };

	for (int i = 0; i < DRAW_COUNT; i++)
		counts[perf_random_below(&generator, 10)]++;
	for (int i = 0; i < 10; i++)
		CU_ASSERT_TRUE(fabs(counts[i] - DRAW_COUNT / 10.0) < DRAW_COUNT / 200.0);
}

static void
test_seeds_give_streams_of_their_own(void)
{
	struct perf_random other;

	perf_random_init(&other, 2);
	CU_ASSERT_NOT_EQUAL(perf_random_next(&generator), perf_random_next(&other));
	perf_random_init(&generator, 2);
	perf_random_init(&other, 2);
	CU_ASSERT_EQUAL(perf_random_next(&generator), perf_random_next(&other));
}

/* The share of each of the first ranks against 1 / rank^theta over the sum of all. */
static void
check_zipf(double theta)
{
	enum { COUNT = 1000 };
	static uint32_t counts[COUNT + 1];
	struct perf_zipf zipf;
	double sum = 0;

	memset(counts, 0, sizeof(counts));
	perf_zipf_init(&zipf, COUNT, theta);
	for (int i = 1; i <= COUNT; i++)
		sum += pow(i, -theta);
	for (int i = 0; i < DRAW_COUNT; i++) {
		uint64_t rank = perf_zipf_rank(&zipf, &generator);

		CU_ASSERT_TRUE_FATAL(rank >= 1 && rank <= COUNT);
		counts[rank]++;
	}
	for (int i = 1; i <= 10; i++) {
		double expected = DRAW_COUNT * pow(i, -theta) / sum;

		/* Six standard deviations: the seed is fixed, so it holds always or never. */
		CU_ASSERT_TRUE(fabs(counts[i] - expected) < 6 * sqrt(expected));
	}
}

static void
test_zipf_has_its_shape_below_at_and_above_theta_1(void)
{
	check_zipf(0.5);
	check_zipf(0.99);
	check_zipf(1);
	check_zipf(1.2);
	check_zipf(3);
}

static void
test_zipf_of_one_block_and_of_very_many_stays_in_range(void)
{
	struct perf_zipf zipf;

	perf_zipf_init(&zipf, 1, 1.1);
	CU_ASSERT_EQUAL(perf_zipf_scatter(&zipf, perf_zipf_rank(&zipf, &generator)), 0);
	perf_zipf_init(&zipf, UINT64_C(1) << 50, 0.8);
	for (int i = 0; i < 1000; i++)
		CU_ASSERT_TRUE(perf_zipf_scatter(&zipf, perf_zipf_rank(&zipf, &generator)) <
			       UINT64_C(1) << 50);
}

static void
test_scatter_gives_each_rank_a_place_of_its_own(void)
{
	static const uint64_t sizes[] = { 1, 2, 3, 97, 1000, 4096 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		uint8_t seen[4096] = { 0 };
		struct perf_zipf zipf;

		perf_zipf_init(&zipf, sizes[i], 1);
		for (uint64_t rank = 1; rank <= sizes[i]; rank++) {
			uint64_t place = perf_zipf_scatter(&zipf, rank);

			CU_ASSERT_TRUE_FATAL(place < sizes[i]);
			CU_ASSERT_EQUAL(seen[place]++, 0);
		}
	}
}

UT_SUITE(tarnperf_offsets, setup, NULL,
	 UT_CASE(test_uniform_numbers_reach_every_place_about_as_often),
	 UT_CASE(test_seeds_give_streams_of_their_own),
	 UT_CASE(test_zipf_has_its_shape_below_at_and_above_theta_1),
	 UT_CASE(test_zipf_of_one_block_and_of_very_many_stays_in_range),
	 UT_CASE(test_scatter_gives_each_rank_a_place_of_its_own));
