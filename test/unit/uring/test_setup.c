/* SPDX-License-Identifier: BSD-3-Clause */
/* Ring flags, against kernels of every age. */
#include <errno.h>
#include <string.h>

#include "tarn/uring.h"
#include "test/unit/common/ut.h"

static unsigned int kernel_knows; /* IORING_SETUP_* */
static unsigned int attempt_count;

static int
old_kernel_init(unsigned int entries, struct io_uring *ring, struct io_uring_params *params)
{
	(void)entries;
	(void)ring;
	attempt_count++;
	return (params->flags & ~kernel_knows) == 0 ? 0 : -EINVAL;
}

static unsigned int
flags_on(unsigned int known, bool sqpoll)
{
	struct tarn_uring_key key = { .sqpoll = sqpoll, .sqpoll_cpu = -1 };
	struct tarn_uring_setup setup;
	struct io_uring ring;

	kernel_knows = known | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP | IORING_SETUP_SQPOLL;
	attempt_count = 0;
	CU_ASSERT_EQUAL_FATAL(tarn_uring_setup(&key, 8, old_kernel_init, &ring, &setup), 0);
	for (int i = 0; i < TARN_URING_FLAG_COUNT; i++)
		CU_ASSERT(setup.dropped[i] == NULL || strlen(setup.dropped[i]) > 10);
	return setup.flags;
}

static void
test_each_flag_that_the_kernel_refuses_is_dropped_alone(void)
{
	const unsigned int by_age[] = { IORING_SETUP_SUBMIT_ALL, IORING_SETUP_COOP_TASKRUN,
					IORING_SETUP_TASKRUN_FLAG, IORING_SETUP_SINGLE_ISSUER,
					IORING_SETUP_DEFER_TASKRUN };
	unsigned int known = 0;

	CU_ASSERT_EQUAL(flags_on(0, false), 0);
	CU_ASSERT_EQUAL(attempt_count, 6);
	for (size_t i = 0; i < tarn_array_count(by_age); i++) {
		known |= by_age[i];
		CU_ASSERT_EQUAL(flags_on(known, false), known);
		CU_ASSERT_EQUAL(attempt_count, tarn_array_count(by_age) - i);
	}
	CU_ASSERT_EQUAL(flags_on(known, true),
			(unsigned int)(IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER));
}

static int
forbidden_init(unsigned int entries, struct io_uring *ring, struct io_uring_params *params)
{
	(void)entries;
	(void)ring;
	(void)params;
	attempt_count++;
	return -EPERM;
}

static void
test_a_forbidden_ring_is_not_tried_again(void)
{
	struct tarn_uring_key key = { .sqpoll_cpu = -1 };
	struct tarn_uring_setup setup;
	struct io_uring ring;

	attempt_count = 0;
	CU_ASSERT_EQUAL(tarn_uring_setup(&key, 8, forbidden_init, &ring, &setup), -EPERM);
	CU_ASSERT_EQUAL(attempt_count, 1);
}

UT_SUITE(setup, NULL, NULL, UT_CASE(test_each_flag_that_the_kernel_refuses_is_dropped_alone),
	 UT_CASE(test_a_forbidden_ring_is_not_tried_again));
