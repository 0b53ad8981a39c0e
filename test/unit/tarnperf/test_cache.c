/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include "app/tarnperf/cache_value.h"
#include "app/tarnperf/lru.h"
#include "test/unit/common/ut.h"

static void
test_sizes_are_fixed_a_range_or_a_list(void)
{
	struct perf_sizes sizes;

	CU_ASSERT_EQUAL(perf_sizes_parse("4044", &sizes), 0);
	CU_ASSERT_EQUAL(perf_sizes_of(&sizes, 7), 4044);
	CU_ASSERT_EQUAL(perf_sizes_parse("100-8k", &sizes), 0);
	CU_ASSERT_EQUAL(perf_sizes_max(&sizes), 8192);
	for (uint64_t number = 0; number < 1000; number++) {
		uint64_t size = perf_sizes_of(&sizes, number);

		CU_ASSERT(size >= 100 && size <= 8192);
		CU_ASSERT_EQUAL(size, perf_sizes_of(&sizes, number));
	}
	CU_ASSERT_EQUAL(perf_sizes_parse("1,2,3", &sizes), 0);
	for (uint64_t number = 0; number < 100; number++)
		CU_ASSERT(perf_sizes_of(&sizes, number) >= 1 && perf_sizes_of(&sizes, number) <= 3);
	CU_ASSERT_EQUAL(perf_sizes_parse("", &sizes), -EINVAL);
	CU_ASSERT_EQUAL(perf_sizes_parse("5-4", &sizes), -EINVAL);
	CU_ASSERT_EQUAL(perf_sizes_parse("1-2-3", &sizes), -EINVAL);
	CU_ASSERT_EQUAL(perf_sizes_parse("0", &sizes), -ERANGE);
	CU_ASSERT_EQUAL(perf_sizes_parse("1g", &sizes), -ERANGE);
	CU_ASSERT_EQUAL(perf_sizes_parse("1,x", &sizes), -EINVAL);
}

static void
test_a_value_is_told_from_every_flipped_bit_and_from_another_key_s(void)
{
	static const uint64_t sizes[] = { 1, 7, 8, 15, 16, 17, 100, 4044 };
	uint64_t words[512];
	uint8_t *bytes = (uint8_t *)words;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		perf_value_fill(words, sizes[i], 0x1234, 99);
		CU_ASSERT_TRUE(perf_value_check(words, sizes[i], 0x1234));
		CU_ASSERT_FALSE(perf_value_check(words, sizes[i], 0x1235));
		for (uint64_t bit = 0; bit < sizes[i] * 8 && sizes[i] > 16; bit++) {
			bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
			CU_ASSERT_FALSE(perf_value_check(words, sizes[i], 0x1234));
			bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
	}
}

static void
test_keys_differ(void)
{
	char a[PERF_KEY_BYTES], b[PERF_KEY_BYTES];

	perf_key_fill(a, 1);
	perf_key_fill(b, 16);
	CU_ASSERT_EQUAL(memcmp(a, "0000000000000001", sizeof(a)), 0);
	CU_ASSERT_EQUAL(memcmp(b, "0000000000000010", sizeof(b)), 0);
}

static void
test_lru_drops_what_was_used_longest_ago(void)
{
	struct perf_lru lru;

	CU_ASSERT_EQUAL(perf_lru_init(&lru, 10, 3), 0);
	CU_ASSERT_FALSE(perf_lru_access(&lru, 1));
	CU_ASSERT_FALSE(perf_lru_access(&lru, 2));
	CU_ASSERT_FALSE(perf_lru_access(&lru, 3));
	CU_ASSERT_TRUE(perf_lru_access(&lru, 1));
	CU_ASSERT_FALSE(perf_lru_access(&lru, 4)); /* 2 goes */
	CU_ASSERT_FALSE(perf_lru_access(&lru, 2)); /* 3 goes */
	CU_ASSERT_TRUE(perf_lru_access(&lru, 1));
	CU_ASSERT_TRUE(perf_lru_access(&lru, 4));
	CU_ASSERT_FALSE(perf_lru_access(&lru, 3));
	CU_ASSERT_EQUAL(lru.hit_count, 3);
	CU_ASSERT_EQUAL(lru.access_count, 9);
	perf_lru_fini(&lru);
}

UT_SUITE(tarnperf_cache, NULL, NULL, UT_CASE(test_sizes_are_fixed_a_range_or_a_list),
	 UT_CASE(test_a_value_is_told_from_every_flipped_bit_and_from_another_key_s),
	 UT_CASE(test_keys_differ), UT_CASE(test_lru_drops_what_was_used_longest_ago));
