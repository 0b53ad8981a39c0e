/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "tarn/name.h"
#include "tarn/reason.h"
#include "tarn/util.h"
#include "test/unit/common/ut.h"

static void
test_range_within_does_not_overflow(void)
{
	CU_ASSERT_TRUE(tarn_range_within(0, 0, 0));
	CU_ASSERT_TRUE(tarn_range_within(0, 10, 10));
	CU_ASSERT_TRUE(tarn_range_within(10, 0, 10));
	CU_ASSERT_TRUE(tarn_range_within(UINT64_MAX, 0, UINT64_MAX));
	CU_ASSERT_FALSE(tarn_range_within(1, 10, 10));
	CU_ASSERT_FALSE(tarn_range_within(11, 0, 10));
	CU_ASSERT_FALSE(tarn_range_within(UINT64_MAX, 2, 10));
	CU_ASSERT_FALSE(tarn_range_within(2, UINT64_MAX, 10));
}

static void
test_powers_of_two_are_told_and_rounded_up_to(void)
{
	CU_ASSERT_FALSE(tarn_is_pow2(0));
	CU_ASSERT_FALSE(tarn_is_pow2(UINT64_MAX));
	CU_ASSERT_EQUAL(tarn_ceil_pow2(0), 1);
	for (uint32_t bit = 2; bit < 63; bit++) {
		uint64_t value = UINT64_C(1) << bit;

		CU_ASSERT_TRUE(tarn_is_pow2(value));
		CU_ASSERT_FALSE(tarn_is_pow2(value + 1));
		CU_ASSERT_EQUAL(tarn_ceil_pow2(value), value);
		CU_ASSERT_EQUAL(tarn_ceil_pow2(value - 1), value);
		CU_ASSERT_EQUAL(tarn_ceil_pow2(value + 1), value * 2);
	}
}

static void
test_align_up_keeps_multiples_and_raises_the_rest(void)
{
	CU_ASSERT_EQUAL(tarn_align_up(0, 4096), 0);
	CU_ASSERT_EQUAL(tarn_align_up(1, 4096), 4096);
	CU_ASSERT_EQUAL(tarn_align_up(4096, 4096), 4096);
	CU_ASSERT_EQUAL(tarn_align_up(4097, 4096), 8192);
}

static void
test_multiplication_saturates(void)
{
	CU_ASSERT_EQUAL(tarn_mul_sat(3, 5), 15);
	CU_ASSERT_EQUAL(tarn_mul_sat(0, UINT64_MAX), 0);
	CU_ASSERT_EQUAL(tarn_mul_sat(UINT64_C(1) << 32, (UINT64_C(1) << 32) - 1),
			UINT64_MAX - UINT32_MAX);
	CU_ASSERT_EQUAL(tarn_mul_sat(UINT64_C(1) << 32, UINT64_C(1) << 32), UINT64_MAX);
}

static void
test_strcpy_cuts_what_does_not_fit_and_says_so(void)
{
	char dst[5] = "....";
	char untouched = '.';

	CU_ASSERT_EQUAL(tarn_strcpy(dst, sizeof(dst), "four"), 0);
	CU_ASSERT_STRING_EQUAL(dst, "four");
	CU_ASSERT_EQUAL(tarn_strcpy(dst, sizeof(dst), "fives"), -ENAMETOOLONG);
	CU_ASSERT_STRING_EQUAL(dst, "five");
	CU_ASSERT_EQUAL(tarn_strcpy(&untouched, 0, ""), -ENAMETOOLONG);
	CU_ASSERT_EQUAL(untouched, '.');
}

static void
test_reason_is_written_and_returns_the_status(void)
{
	struct tarn_reason reason;
	char longer[2 * sizeof(reason.text)];

	CU_ASSERT_EQUAL(tarn_reason_set(&reason, -EBUSY, "%s: in use by %d", "disk", 7), -EBUSY);
	CU_ASSERT_STRING_EQUAL(reason.text, "disk: in use by 7");
	CU_ASSERT_EQUAL(tarn_reason_set(NULL, -EIO, "nobody asks"), -EIO);
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	CU_ASSERT_EQUAL(tarn_reason_set(&reason, 0, "%s", longer), 0);
	CU_ASSERT_EQUAL(strlen(reason.text), sizeof(reason.text) - 1);
}

static void
broken_invariant(void *arg)
{
	const int *two = arg;

	tarn_assert(*two + *two == 5);
}

static void
kept_invariant(void *arg)
{
	const int *two = arg;

	tarn_assert(*two + *two == 4);
}

static void
test_a_broken_invariant_ends_the_process(void)
{
	int two = 2;

	CU_ASSERT_TRUE(ut_aborts(broken_invariant, &two));
	CU_ASSERT_FALSE(ut_aborts(kept_invariant, &two));
}

struct element {
	int value;
	TAILQ_ENTRY(element) link;
};

static void
test_safe_iteration_allows_removal_of_the_current_element(void)
{
	struct element elements[4], *element, *next;
	TAILQ_HEAD(, element) list = TAILQ_HEAD_INITIALIZER(list);
	int sum = 0;

	for (int i = 0; i < 4; i++) {
		elements[i].value = 1 << i;
		TAILQ_INSERT_TAIL(&list, &elements[i], link);
	}
	TARN_TAILQ_FOREACH_SAFE (element, &list, link, next) {
		sum += element->value;
		TAILQ_REMOVE(&list, element, link);
		memset(element, 0xff, sizeof(*element));
	}
	CU_ASSERT_EQUAL(sum, 15);
	CU_ASSERT_TRUE(TAILQ_EMPTY(&list));
}

static void
test_names_with_control_characters_or_nothing_to_see_are_not_valid(void)
{
	CU_ASSERT(tarn_name_valid("disk0") && tarn_name_valid("/dev/sda 1") &&
		  tarn_name_valid("\xc3\xbc") && tarn_name_valid("\xc2\xa0"));
	CU_ASSERT(!tarn_name_valid("") && !tarn_name_valid(" ") && !tarn_name_valid("a\n") &&
		  !tarn_name_valid("\x1f") && !tarn_name_valid("a\x7f") &&
		  !tarn_name_valid("\xc2\x80") && !tarn_name_valid("x\xc2\x9f"));
}

UT_SUITE(arith, NULL, NULL, UT_CASE(test_range_within_does_not_overflow),
	 UT_CASE(test_powers_of_two_are_told_and_rounded_up_to),
	 UT_CASE(test_align_up_keeps_multiples_and_raises_the_rest),
	 UT_CASE(test_multiplication_saturates),
	 UT_CASE(test_strcpy_cuts_what_does_not_fit_and_says_so),
	 UT_CASE(test_names_with_control_characters_or_nothing_to_see_are_not_valid),
	 UT_CASE(test_reason_is_written_and_returns_the_status),
	 UT_CASE(test_a_broken_invariant_ends_the_process),
	 UT_CASE(test_safe_iteration_allows_removal_of_the_current_element));
