/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdint.h>
#include <string.h>

#include "app/tarnperf/pattern.h"
#include "test/unit/common/ut.h"

#define LENGTH 4096
#define OFFSET (UINT64_C(7) << 40)
#define RUN 11
#define GENERATION 3

static uint8_t data[LENGTH];
static struct perf_pattern_error error;

static void
setup(void)
{
	perf_pattern_fill(data, LENGTH, &(struct perf_pattern){ OFFSET, RUN, GENERATION });
	memset(&error, 0, sizeof(error));
}

static enum perf_pattern_result
check(uint64_t offset_bytes, uint64_t run, uint64_t generation)
{
	return perf_pattern_check(data, LENGTH,
				  &(struct perf_pattern){ offset_bytes, run, generation }, &error);
}

static void
test_what_was_written_is_good(void)
{
	CU_ASSERT_EQUAL(check(OFFSET, RUN, GENERATION), PERF_PATTERN_GOOD);
	CU_ASSERT_EQUAL(check(OFFSET, RUN, PERF_PATTERN_ANY_GENERATION), PERF_PATTERN_GOOD);
}

static void
test_every_flipped_bit_is_found_in_its_block(void)
{
	for (size_t bit = 0; bit < LENGTH * 8; bit++) {
		data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		CU_ASSERT_NOT_EQUAL(check(OFFSET, RUN, GENERATION), PERF_PATTERN_GOOD);
		CU_ASSERT_EQUAL(error.offset_bytes,
				OFFSET + bit / 8 / PERF_PATTERN_BYTES * PERF_PATTERN_BYTES);
		data[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

static void
test_a_block_of_another_place_is_misplaced(void)
{
	CU_ASSERT_EQUAL(check(OFFSET + 4096, RUN, GENERATION), PERF_PATTERN_MISPLACED);
	CU_ASSERT_EQUAL(error.expected, OFFSET + 4096);
	CU_ASSERT_EQUAL(error.found, OFFSET);
}

static void
test_512_bytes_of_another_place_within_the_block_are_misplaced(void)
{
	memcpy(data + 1024, data + 512, 512);
	CU_ASSERT_EQUAL(check(OFFSET, RUN, GENERATION), PERF_PATTERN_MISPLACED);
	CU_ASSERT_EQUAL(error.offset_bytes, OFFSET + 1024);
	CU_ASSERT_EQUAL(error.found, OFFSET + 512);
}

static void
test_a_stale_half_of_a_torn_write_is_found(void)
{
	perf_pattern_fill(data + 2048, 2048,
			  &(struct perf_pattern){ OFFSET + 2048, RUN, GENERATION - 1 });
	CU_ASSERT_EQUAL(check(OFFSET, RUN, GENERATION), PERF_PATTERN_GENERATION);
	CU_ASSERT_EQUAL(error.offset_bytes, OFFSET + 2048);
	CU_ASSERT_EQUAL(error.found, GENERATION - 1);
	CU_ASSERT_EQUAL(error.expected, GENERATION);
}

static void
test_another_run_and_no_data_are_told_apart(void)
{
	CU_ASSERT_EQUAL(check(OFFSET, RUN + 1, GENERATION), PERF_PATTERN_OTHER_RUN);
	memset(data, 0, sizeof(data));
	CU_ASSERT_EQUAL(check(OFFSET, RUN, GENERATION), PERF_PATTERN_ABSENT);
}

static void
test_data_is_the_same_whatever_the_size_of_the_write(void)
{
	uint8_t pieces[LENGTH];

	for (size_t at = 0; at < LENGTH; at += 512)
		perf_pattern_fill(pieces + at, 512,
				  &(struct perf_pattern){ OFFSET + at, RUN, GENERATION });
	CU_ASSERT_EQUAL(memcmp(pieces, data, LENGTH), 0);
}

UT_SUITE(tarnperf_pattern, setup, NULL, UT_CASE(test_what_was_written_is_good),
	 UT_CASE(test_every_flipped_bit_is_found_in_its_block),
	 UT_CASE(test_a_block_of_another_place_is_misplaced),
	 UT_CASE(test_512_bytes_of_another_place_within_the_block_are_misplaced),
	 UT_CASE(test_a_stale_half_of_a_torn_write_is_found),
	 UT_CASE(test_another_run_and_no_data_are_told_apart),
	 UT_CASE(test_data_is_the_same_whatever_the_size_of_the_write));
