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

UT_SUITE(sim_seed, setup, NULL, UT_CASE(test_the_same_seed_gives_the_same_history),
	 UT_CASE(test_a_life_in_the_process_itself_goes_the_same_way));
