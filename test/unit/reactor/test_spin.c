/* SPDX-License-Identifier: BSD-3-Clause */
/* The choice between polling and sleep, on work that comes sooner to one or the other. */
#include "lib/reactor/spin.h"
#include "test/unit/common/ut.h"

#define MAX_NS 100000
#define PERIODS 20000

/* How long an idle period lasts when the reactor polls, and when it sleeps. */
struct source {
	uint64_t polled_ns, slept_ns;
};

static uint64_t now_ns;

/* \return how many of the periods were polled. */
static uint32_t
live_through(struct spin *spin, const struct source *source, uint32_t periods)
{
	uint32_t polled = 0;

	for (uint32_t i = 0; i < periods; i++) {
		bool polls = spin_for_ns(spin) != 0;
		uint64_t idle_ns = polls ? source->polled_ns : source->slept_ns;

		polled += polls;
		now_ns += idle_ns;
		spin_idle_over(spin, idle_ns, now_ns);
	}
	return polled;
}

static void
test_it_polls_where_that_sees_work_sooner(void)
{
	const struct source device = { 50000, 90000 };
	struct spin spin;

	spin_init(&spin, MAX_NS);
	CU_ASSERT(live_through(&spin, &device, PERIODS) > PERIODS * 97 / 100);
}

static void
test_it_sleeps_where_the_work_needs_the_cpu(void)
{
	const struct source loop = { 35000, 20000 };
	struct spin spin;

	spin_init(&spin, MAX_NS);
	CU_ASSERT(live_through(&spin, &loop, PERIODS) < PERIODS * 3 / 100);
}

static void
test_it_sleeps_on_a_tie(void)
{
	const struct source same = { 60000, 61000 };
	struct spin spin;

	spin_init(&spin, MAX_NS);
	CU_ASSERT(live_through(&spin, &same, PERIODS) < PERIODS * 3 / 100);
}

static void
test_work_that_seldom_comes_is_slept_for(void)
{
	const struct source timer = { 10000000, 10000000 };
	struct spin spin;

	spin_init(&spin, MAX_NS);
	CU_ASSERT(live_through(&spin, &timer, PERIODS) < PERIODS * 5 / 100);
}

static void
test_sleep_between_completions_a_microsecond_apart_is_not_chosen(void)
{
	const struct source busy = { 500, 5000 };
	struct spin spin;
	uint32_t polled;

	spin_init(&spin, MAX_NS);
	polled = live_through(&spin, &busy, 1000000);
	CU_ASSERT(polled > 1000000 * 99 / 100);
}

static void
test_another_device_changes_the_choice(void)
{
	const struct source device = { 50000, 90000 };
	const struct source loop = { 35000, 20000 };
	struct spin spin;

	spin_init(&spin, MAX_NS);
	live_through(&spin, &device, PERIODS);
	live_through(&spin, &loop, 100000); /* 2 s or more: longer than any choice is kept */
	CU_ASSERT(spin_for_ns(&spin) == 0 || spin.trying);
	CU_ASSERT(live_through(&spin, &loop, PERIODS) < PERIODS * 5 / 100);
	live_through(&spin, &device, 100000);
	CU_ASSERT(live_through(&spin, &device, PERIODS) > PERIODS * 95 / 100);
}

UT_SUITE(spin, NULL, NULL, UT_CASE(test_it_polls_where_that_sees_work_sooner),
	 UT_CASE(test_it_sleeps_where_the_work_needs_the_cpu), UT_CASE(test_it_sleeps_on_a_tie),
	 UT_CASE(test_work_that_seldom_comes_is_slept_for),
	 UT_CASE(test_sleep_between_completions_a_microsecond_apart_is_not_chosen),
	 UT_CASE(test_another_device_changes_the_choice));
