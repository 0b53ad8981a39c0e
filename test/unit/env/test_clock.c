/* SPDX-License-Identifier: BSD-3-Clause */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

#include "tarn/env.h"
#include "test/unit/common/ut.h"

#define READ_COUNT 100000

static uint64_t
kernel_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void
setup(void)
{
	CU_ASSERT_EQUAL_FATAL(tarn_env_init(NULL), 0);
}

static void
teardown(void)
{
	tarn_fake_clock_stop();
	tarn_env_fini();
}

static void
test_time_does_not_go_back_when_env_starts(void)
{
	uint64_t before, after;

	tarn_env_fini();
	before = tarn_now_ns();
	CU_ASSERT_EQUAL_FATAL(tarn_env_init(NULL), 0);
	after = tarn_now_ns();
	CU_ASSERT_TRUE(after > before);
}

static void
test_a_threads_own_time_does_not_go_back(void)
{
	uint64_t last = tarn_now_ns();
	unsigned int step_back_count = 0;

	for (int i = 0; i < READ_COUNT; i++) {
		uint64_t now = i % 2 == 0 ? tarn_now_ns() : tarn_now_unordered_ns();

		step_back_count += now < last;
		last = now;
	}
	CU_ASSERT_EQUAL(step_back_count, 0);
}

/* Each thread in turn raises `shared` to its own time; a time below it has gone back. */
static atomic_uint_fast64_t shared;
static atomic_uint back_count;

static void *
compare_with_others(void *arg)
{
	(void)arg;
	for (int i = 0; i < READ_COUNT; i++) {
		uint64_t seen = atomic_load(&shared);
		uint64_t now = tarn_now_ns();

		if (now < seen)
			atomic_fetch_add(&back_count, 1);
		while (seen < now && !atomic_compare_exchange_weak(&shared, &seen, now))
			continue;
	}
	return NULL;
}

static void
test_time_does_not_go_back_from_thread_to_thread(void)
{
	pthread_t threads[4];

	atomic_store(&shared, 0);
	atomic_store(&back_count, 0);
	for (int i = 0; i < 4; i++)
		CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, compare_with_others, NULL),
				      0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	CU_ASSERT_EQUAL(atomic_load(&back_count), 0);
}

static void
test_time_runs_at_the_kernels_rate(void)
{
	const struct timespec pause = { .tv_nsec = 20000000 };
	uint64_t outer_start = kernel_now_ns(), start = tarn_now_ns();
	uint64_t inner_start = kernel_now_ns(), inner, outer, taken;

	nanosleep(&pause, NULL);
	inner = kernel_now_ns() - inner_start;
	taken = tarn_now_ns() - start;
	outer = kernel_now_ns() - outer_start;
	/* Between what certainly passed and what passed at most, give or take a thousandth. */
	CU_ASSERT_TRUE(taken + inner / 1000 >= inner);
	CU_ASSERT_TRUE(taken <= outer + outer / 1000);
}

static void
test_fake_clock_moves_only_when_told(void)
{
	tarn_fake_clock_start(1000);
	CU_ASSERT_EQUAL(tarn_now_ns(), 1000);
	CU_ASSERT_EQUAL(tarn_now_ns(), 1000);
	tarn_fake_clock_advance(234);
	CU_ASSERT_EQUAL(tarn_now_ns(), 1234);
	CU_ASSERT_EQUAL(tarn_now_unordered_ns(), 1234);
	CU_ASSERT_EQUAL(tarn_boot_ns(), 1234);
}

static void
test_the_real_clock_comes_back_after_the_fake_one(void)
{
	uint64_t before = tarn_now_ns();

	tarn_fake_clock_start(1);
	tarn_fake_clock_stop();
	CU_ASSERT_TRUE(tarn_now_ns() >= before);
}

static void
test_boot_time_counts_at_least_the_time_awake(void)
{
	struct timespec now;
	uint64_t boot_ns;

	clock_gettime(CLOCK_BOOTTIME, &now);
	boot_ns = tarn_boot_ns();
	CU_ASSERT_TRUE(boot_ns >= (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec);
	CU_ASSERT_TRUE(boot_ns / 1000000000 <= (uint64_t)now.tv_sec + 60);
}

UT_SUITE(clock, setup, teardown, UT_CASE(test_time_does_not_go_back_when_env_starts),
	 UT_CASE(test_a_threads_own_time_does_not_go_back),
	 UT_CASE(test_time_does_not_go_back_from_thread_to_thread),
	 UT_CASE(test_time_runs_at_the_kernels_rate), UT_CASE(test_fake_clock_moves_only_when_told),
	 UT_CASE(test_the_real_clock_comes_back_after_the_fake_one),
	 UT_CASE(test_boot_time_counts_at_least_the_time_awake));
