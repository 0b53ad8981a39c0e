/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdint.h>

#include "tarn/histogram.h"
#include "test/unit/common/ut.h"

static struct tarn_histogram histogram, other;

static void
setup(void)
{
	tarn_histogram_reset(&histogram);
	tarn_histogram_reset(&other);
}

static void
test_every_bucket_holds_its_start_and_its_last_value(void)
{
	for (uint32_t i = 0; i < TARN_HISTOGRAM_BUCKET_COUNT; i++) {
		uint64_t start = tarn_histogram_bucket_start_ns(i);
		uint64_t end = tarn_histogram_bucket_start_ns(i + 1);

		CU_ASSERT_TRUE(start < end);
		CU_ASSERT_EQUAL(tarn_histogram_index(start), i);
		CU_ASSERT_EQUAL(tarn_histogram_index(end - 1), i);
	}
}

static void
test_no_bucket_is_wider_than_a_64th_of_its_value(void)
{
	for (uint32_t i = TARN_HISTOGRAM_SUB_COUNT; i < TARN_HISTOGRAM_BUCKET_COUNT; i++) {
		uint64_t start = tarn_histogram_bucket_start_ns(i);

		CU_ASSERT_TRUE((tarn_histogram_bucket_start_ns(i + 1) - start) * 64 <= start);
	}
}

static void
test_values_below_64_ns_are_exact(void)
{
	for (uint64_t value = 0; value < 64; value++) {
		setup();
		tarn_histogram_add(&histogram, value);
		CU_ASSERT_EQUAL(tarn_histogram_percentile_ns(&histogram, 50), value);
	}
}

static void
test_values_above_the_range_count_in_the_last_bucket(void)
{
	CU_ASSERT_EQUAL(tarn_histogram_index(UINT64_MAX), TARN_HISTOGRAM_BUCKET_COUNT - 1);
	CU_ASSERT_EQUAL(tarn_histogram_index(UINT64_C(1) << TARN_HISTOGRAM_MAX_BITS),
			TARN_HISTOGRAM_BUCKET_COUNT - 1);
	CU_ASSERT_EQUAL(tarn_histogram_index((UINT64_C(1) << TARN_HISTOGRAM_MAX_BITS) - 1),
			TARN_HISTOGRAM_BUCKET_COUNT - 1);
}

static void
test_percentiles_of_nothing_are_zero(void)
{
	CU_ASSERT_EQUAL(tarn_histogram_count(&histogram), 0);
	CU_ASSERT_EQUAL(tarn_histogram_percentile_ns(&histogram, 99.9), 0);
}

static void
test_percentiles_are_not_too_small_and_at_most_a_64th_too_large(void)
{
	static const double percents[] = { 0.1, 1, 10, 50, 90, 99, 99.9, 100 };

	/* 1 to 100,000 µs, each once: the value at p percent is known. */
	for (uint64_t i = 1; i <= 100000; i++)
		tarn_histogram_add(&histogram, i * 1000);
	CU_ASSERT_EQUAL(tarn_histogram_count(&histogram), 100000);
	for (size_t i = 0; i < sizeof(percents) / sizeof(percents[0]); i++) {
		uint64_t exact = (uint64_t)(percents[i] * 1000.0 + 0.5) * 1000;
		uint64_t told = tarn_histogram_percentile_ns(&histogram, percents[i]);

		CU_ASSERT_TRUE(told >= exact);
		CU_ASSERT_TRUE(told <= exact + exact / 64);
	}
}

static void
test_percents_out_of_range_give_the_ends(void)
{
	tarn_histogram_add(&histogram, 5);
	tarn_histogram_add(&histogram, 50);
	CU_ASSERT_EQUAL(tarn_histogram_percentile_ns(&histogram, -3), 5);
	CU_ASSERT_EQUAL(tarn_histogram_percentile_ns(&histogram, 0), 5);
	CU_ASSERT_EQUAL(tarn_histogram_percentile_ns(&histogram, 300), 50);
}

static void
test_merging_adds_all_counts(void)
{
	for (uint64_t i = 0; i < 1000; i++) {
		tarn_histogram_add(&histogram, i);
		tarn_histogram_add(&other, i * 100000);
	}
	tarn_histogram_merge(&histogram, &other);
	CU_ASSERT_EQUAL(tarn_histogram_count(&histogram), 2000);
	CU_ASSERT_EQUAL(tarn_histogram_count(&other), 1000);
	CU_ASSERT_EQUAL(histogram.bucket[0], 2);
}

UT_SUITE(histogram, setup, NULL, UT_CASE(test_every_bucket_holds_its_start_and_its_last_value),
	 UT_CASE(test_no_bucket_is_wider_than_a_64th_of_its_value),
	 UT_CASE(test_values_below_64_ns_are_exact),
	 UT_CASE(test_values_above_the_range_count_in_the_last_bucket),
	 UT_CASE(test_percentiles_of_nothing_are_zero),
	 UT_CASE(test_percentiles_are_not_too_small_and_at_most_a_64th_too_large),
	 UT_CASE(test_percents_out_of_range_give_the_ends), UT_CASE(test_merging_adds_all_counts));
