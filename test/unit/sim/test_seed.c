/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test/sim/seed.h"
#include "test/unit/common/ut.h"

static struct sim *first, *second;

static void
setup(void)
{
	first = seed_world();
	second = seed_world();
	CU_ASSERT_FATAL(first != NULL && second != NULL);
}

static bool
same_traces(void)
{
	return memcmp(first->trace, second->trace, sizeof(first->trace)) == 0;
}

static void
test_the_same_seed_gives_the_same_history(void)
{
	for (uint64_t seed = 1; seed <= 6; seed++) {
		bool passed = seed_run(first, seed, -1);

		seed_run(second, seed + 100, -1);
		CU_ASSERT(!same_traces());
		CU_ASSERT(seed_run(second, seed, -1) == passed);
		CU_ASSERT(first->trace[0] != 0);
		CU_ASSERT(same_traces());
		CU_ASSERT(first->now_ns == second->now_ns);
		CU_ASSERT(first->rng.state == second->rng.state);
		CU_ASSERT(first->device.rng.state == second->device.rng.state);
		CU_ASSERT(memcmp(first->device.image, second->device.image,
				 sizeof(first->device.image)) == 0);
		CU_ASSERT_STRING_EQUAL(first->failure, second->failure);
	}
}

/* As for a debugger. The life ends the process where it crashes. */
static void
test_a_life_in_the_process_itself_goes_the_same_way(void)
{
	for (uint64_t seed = 1; seed <= 6; seed++) {
		int status;
		pid_t pid = fork();

		CU_ASSERT_FATAL(pid >= 0);
		if (pid == 0) {
			seed_run(second, seed, 0);
			_exit(0);
		}
		CU_ASSERT(waitpid(pid, &status, 0) == pid);
		seed_run(first, seed, -1);
		CU_ASSERT(first->trace[0] != 0);
		CU_ASSERT(first->trace[0] == second->trace[0]);
	}
}

/* \return whether one of some seeds of that profile wraps the log twice. */
static bool
wraps_twice(enum profile profile)
{
	uint32_t tries = 0;

	first->hard = true;
	for (uint64_t seed = 1; tries < 20; seed++) {
		struct plan plan;
		struct rng rng;

		seed_plan(seed, true, &plan, &rng);
		if (plan.profile != profile)
			continue;
		tries++;
		seed_run(first, seed, -1);
		if (first->counts.wraps >= 2)
			return true;
	}
	return false;
}

static void
test_hard_seeds_write_the_log_from_end_to_end_and_again(void)
{
	CU_ASSERT(wraps_twice(PROFILE_LARGE));
	CU_ASSERT(wraps_twice(PROFILE_DIRTY));
	CU_ASSERT(wraps_twice(PROFILE_HOT));
}

static void
test_hard_plans_have_one_to_four_shards_and_every_fault(void)
{
	uint32_t shards = 0, faults = 0;

	for (uint64_t seed = 1; seed <= 300; seed++) {
		struct plan plan;
		struct rng rng;

		seed_plan(seed, true, &plan, &rng);
		CU_ASSERT(plan.shard_count >= 1 && plan.shard_count <= 4);
		CU_ASSERT(plan.device_bytes <= DEVICE_BYTES_MAX);
		shards |= 1u << plan.shard_count;
		faults |= (uint32_t)(plan.write_fail_per_mille != 0) |
			  (uint32_t)(plan.flush_fail_per_mille != 0) << 1 |
			  (uint32_t)(plan.read_fail_per_mille != 0) << 2 |
			  (uint32_t)plan.corrupt << 3 | (uint32_t)plan.super_damage << 4 |
			  (uint32_t)(plan.checkpoint_interval_s != 0) << 5 |
			  (uint32_t)!plan.write_cache << 6;
	}
	CU_ASSERT(shards == 0x1e);
	CU_ASSERT(faults == 0x7f);
}

UT_SUITE(sim_seed, setup, NULL, UT_CASE(test_the_same_seed_gives_the_same_history),
	 UT_CASE(test_a_life_in_the_process_itself_goes_the_same_way),
	 UT_CASE(test_hard_seeds_write_the_log_from_end_to_end_and_again),
	 UT_CASE(test_hard_plans_have_one_to_four_shards_and_every_fault));
