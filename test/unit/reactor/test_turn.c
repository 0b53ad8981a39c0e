/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reactors turned by hand, on one thread, by the fake clock: order, pollers, deferred calls, fds.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "tarn/env.h"
#include "tarn/reactor.h"
#include "tarn/util.h"
#include "test/unit/common/ut.h"

#define LOG_MAX 8192
static int log_values[LOG_MAX];
static uint32_t log_count;

static void
note(int value)
{
	if (log_count < LOG_MAX)
		log_values[log_count] = value;
	log_count++;
}

static void
setup_reactors(uint32_t count, uint32_t ring_size)
{
	struct tarn_reactor_opts opts = { .ring_size = ring_size, .unpinned = true };

	CPU_ZERO(&opts.cpus);
	for (uint32_t i = 0; i < count; i++)
		CPU_SET(i, &opts.cpus);
	log_count = 0;
	CU_ASSERT_FATAL(tarn_reactors_init(&opts) == 0);
}

static void
setup(void)
{
	tarn_fake_clock_start(1000000000);
	setup_reactors(2, 16);
}

static void
teardown(void)
{
	tarn_reactors_fini();
	tarn_fake_clock_stop();
}

static void
turn_all(uint32_t turns)
{
	for (uint32_t turn = 0; turn < turns; turn++) {
		for (uint32_t i = 0; i < tarn_reactor_count(); i++)
			tarn_reactor_turn(tarn_reactor_get(i));
	}
}

/* --- Messages --- */

struct numbered {
	struct tarn_msg msg;
	int value;
	struct tarn_reactor *ran_on;
};

static void
numbered_run(void *arg)
{
	struct numbered *numbered = arg;

	numbered->ran_on = tarn_reactor_self();
	note(numbered->value);
}

static void
test_message_runs_on_the_receiver_on_a_later_turn(void)
{
	struct numbered numbered = { .value = 7 };

	tarn_msg_send(tarn_reactor_get(1), &numbered.msg, numbered_run, &numbered);
	CU_ASSERT(log_count == 0);
	tarn_reactor_turn(tarn_reactor_get(0));
	CU_ASSERT(log_count == 0);
	CU_ASSERT(tarn_reactor_turn(tarn_reactor_get(1)));
	CU_ASSERT(log_count == 1 && log_values[0] == 7);
	CU_ASSERT(numbered.ran_on == tarn_reactor_get(1));
	CU_ASSERT(tarn_reactor_self() == tarn_reactor_get(0));
}

static void
test_full_ring_drops_nothing_and_keeps_the_order(void)
{
	static struct numbered numbered[1000];
	struct tarn_reactor_stats stats;

	for (int i = 0; i < 1000; i++) {
		numbered[i].value = i;
		tarn_msg_send(tarn_reactor_get(1), &numbered[i].msg, numbered_run, &numbered[i]);
	}
	tarn_reactor_get_stats(&stats);
	CU_ASSERT(stats.overflow_count == 1000 - 15); /* a ring of 16 holds 15 */
	turn_all(200);
	CU_ASSERT_FATAL(log_count == 1000);
	for (int i = 0; i < 1000; i++)
		CU_ASSERT(log_values[i] == i);
}

static void
test_sender_is_congested_until_its_list_drained(void)
{
	static struct numbered numbered[100];
	struct tarn_reactor *self = tarn_reactor_get(0);

	CU_ASSERT(!tarn_reactor_congested(self));
	for (int i = 0; i < 100; i++)
		tarn_msg_send(tarn_reactor_get(1), &numbered[i].msg, numbered_run, &numbered[i]);
	CU_ASSERT(tarn_reactor_congested(self));
	turn_all(20);
	CU_ASSERT(!tarn_reactor_congested(self));
	CU_ASSERT(log_count == 100);
}

static void
test_full_ring_of_its_own_is_no_deadlock(void)
{
	static struct numbered numbered[100];

	for (int i = 0; i < 100; i++) {
		numbered[i].value = i;
		tarn_msg_send(tarn_reactor_get(0), &numbered[i].msg, numbered_run, &numbered[i]);
	}
	turn_all(20);
	CU_ASSERT(log_count == 100 && log_values[99] == 99);
}

static struct numbered chain;

static void
chain_run(void *arg)
{
	note((int)log_count);
	if (log_count < 500)
		tarn_msg_send(tarn_reactor_self(), &chain.msg, chain_run, arg);
}

static void
test_message_that_sends_itself_leaves_the_turn_to_others(void)
{
	tarn_msg_send(tarn_reactor_get(0), &chain.msg, chain_run, NULL);
	tarn_reactor_turn(tarn_reactor_get(0));
	CU_ASSERT(log_count == 1);
	turn_all(500);
	CU_ASSERT(log_count == 500);
}

static void
visit(void *arg)
{
	(void)arg;
	note((int)tarn_reactor_index(tarn_reactor_self()));
}

static void
visited(void *arg)
{
	CU_ASSERT(arg == log_values);
	note(100 + (int)tarn_reactor_index(tarn_reactor_self()));
}

static void
test_for_each_visits_all_in_turn_and_ends_where_it_began(void)
{
	CU_ASSERT(tarn_reactor_for_each(visit, visited, log_values) == 0);
	turn_all(5);
	CU_ASSERT_FATAL(log_count == 3);
	CU_ASSERT(log_values[0] == 0 && log_values[1] == 1 && log_values[2] == 100);
}

/* --- Deferred calls --- */

static struct tarn_deferred deferred_a, deferred_b;

static void
deferred_run_a(void *arg)
{
	(void)arg;
	note(1);
	tarn_deferred_schedule(&deferred_b);
}

static void
deferred_run_b(void *arg)
{
	(void)arg;
	note(2);
}

static int
schedule_twice(void *arg)
{
	(void)arg;
	tarn_deferred_schedule(&deferred_a);
	tarn_deferred_schedule(&deferred_a);
	note(0);
	return 1;
}

static void
test_deferred_runs_once_at_the_end_of_the_same_turn(void)
{
	struct tarn_poller_opts opts = { .name = "test", .fn = schedule_twice };
	struct tarn_poller *poller;

	deferred_a = (struct tarn_deferred){ .fn = deferred_run_a };
	deferred_b = (struct tarn_deferred){ .fn = deferred_run_b };
	poller = tarn_poller_register(&opts);
	tarn_reactor_turn(tarn_reactor_get(0));
	CU_ASSERT(log_count == 3);
	CU_ASSERT(log_values[0] == 0 && log_values[1] == 1 && log_values[2] == 2);
	tarn_poller_unregister(&poller);
	CU_ASSERT(poller == NULL);
}

/* --- Pollers --- */

static struct tarn_poller *pollers[3];

static int
poll_note(void *arg)
{
	note((int)(uintptr_t)arg);
	return 0;
}

static int
poll_unregister_all(void *arg)
{
	note((int)(uintptr_t)arg);
	for (int i = 0; i < 3; i++)
		tarn_poller_unregister(&pollers[i]);
	return 0;
}

static void
test_poller_may_unregister_itself_and_others_while_they_are_walked(void)
{
	struct tarn_poller_opts opts = { .name = "a", .fn = poll_note, .arg = (void *)1 };

	pollers[0] = tarn_poller_register(&opts);
	opts =
	    (struct tarn_poller_opts){ .name = "b", .fn = poll_unregister_all, .arg = (void *)2 };
	pollers[1] = tarn_poller_register(&opts);
	opts = (struct tarn_poller_opts){ .name = "c", .fn = poll_note, .arg = (void *)3 };
	pollers[2] = tarn_poller_register(&opts);
	turn_all(3);
	CU_ASSERT(log_count == 2);
	CU_ASSERT(log_values[0] == 1 && log_values[1] == 2);
}

static void
test_timed_pollers_run_when_due_and_not_before(void)
{
	struct tarn_poller_opts opts = {
		.name = "slow", .fn = poll_note, .arg = (void *)300, .period_us = 300
	};
	struct tarn_poller *slow = tarn_poller_register(&opts);
	struct tarn_poller *fast;

	opts.name = "fast";
	opts.arg = (void *)100;
	opts.period_us = 100;
	fast = tarn_poller_register(&opts);
	turn_all(1);
	CU_ASSERT(log_count == 0);
	for (int step = 0; step < 6; step++) {
		tarn_fake_clock_advance(100 * 1000);
		turn_all(2);
	}
	CU_ASSERT(log_count == 6 + 2);
	CU_ASSERT(log_values[2] == 300 || log_values[3] == 300);
	/* Late by ten periods: run once, not ten times. */
	log_count = 0;
	tarn_fake_clock_advance(1000 * 1000);
	turn_all(3);
	CU_ASSERT(log_count == 2);
	tarn_poller_set_period(slow, 50);
	log_count = 0;
	tarn_fake_clock_advance(50 * 1000);
	turn_all(1);
	CU_ASSERT(log_count == 1 && log_values[0] == 300);
	tarn_poller_unregister(&slow);
	tarn_poller_unregister(&fast);
}

static int
poll_unregister_self(void *arg)
{
	note(1);
	tarn_poller_unregister(arg);
	return 1;
}

static void
test_timed_poller_may_unregister_itself(void)
{
	struct tarn_poller *poller;
	struct tarn_poller_opts opts = {
		.name = "once", .fn = poll_unregister_self, .arg = &poller, .period_us = 10
	};

	poller = tarn_poller_register(&opts);
	tarn_fake_clock_advance(20 * 1000);
	turn_all(1);
	tarn_fake_clock_advance(20 * 1000);
	turn_all(1);
	CU_ASSERT(log_count == 1 && poller == NULL);
}

static void
test_a_period_beyond_all_numbers_does_not_come(void)
{
	/* In nanoseconds, and 64 bits: 0, and a little more than 0. */
	const uint64_t periods_us[] = { UINT64_C(1) << 61, UINT64_MAX / 1000 + 1, UINT64_MAX };
	struct tarn_poller_opts opts = { .name = "never", .fn = poll_note };
	struct tarn_poller *poller;

	for (size_t i = 0; i < tarn_array_count(periods_us); i++) {
		opts.period_us = periods_us[i];
		poller = tarn_poller_register(&opts);
		tarn_fake_clock_advance(UINT64_C(1000000000000));
		turn_all(2);
		tarn_poller_set_period(poller, periods_us[i]);
		turn_all(2);
		tarn_poller_unregister(&poller);
	}
	CU_ASSERT(log_count == 0);
}

/* --- File descriptors --- */

static struct tarn_fd_watch *watches[2];
static int pipes[2][2];

static void
fd_ready(void *arg, uint32_t events)
{
	char byte;

	CU_ASSERT((events & EPOLLIN) != 0);
	CU_ASSERT(read(pipes[(uintptr_t)arg][0], &byte, 1) == 1);
	note((int)(uintptr_t)arg);
}

static void
fd_remove_all(void *arg, uint32_t events)
{
	(void)events;
	note((int)(uintptr_t)arg);
	tarn_fd_watch_remove(&watches[0]);
	tarn_fd_watch_remove(&watches[1]);
}

static void
open_pipes(tarn_fd_fn fn)
{
	for (uintptr_t i = 0; i < 2; i++) {
		CU_ASSERT_FATAL(pipe(pipes[i]) == 0);
		CU_ASSERT(tarn_fd_watch_add(pipes[i][0], EPOLLIN, fn, (void *)i, &watches[i]) == 0);
		CU_ASSERT(write(pipes[i][1], "x", 1) == 1);
	}
}

static void
close_pipes(void)
{
	for (int i = 0; i < 2; i++) {
		close(pipes[i][0]);
		close(pipes[i][1]);
	}
}

static void
test_ready_fds_are_handled_on_a_loaded_reactor(void)
{
	open_pipes(fd_ready);
	turn_all(1);
	CU_ASSERT(log_count == 2);
	turn_all(1);
	CU_ASSERT(log_count == 2);
	CU_ASSERT(write(pipes[1][1], "x", 1) == 1);
	tarn_fake_clock_advance(2000000);
	turn_all(1);
	CU_ASSERT(log_count == 3 && log_values[2] == 1);
	tarn_fd_watch_remove(&watches[0]);
	tarn_fd_watch_remove(&watches[1]);
	close_pipes();
}

static void
test_watch_removed_by_an_earlier_handler_is_not_called(void)
{
	open_pipes(fd_remove_all);
	turn_all(2);
	CU_ASSERT(log_count == 1);
	close_pipes();
}

static void
test_bad_options_are_refused(void)
{
	struct tarn_reactor_opts opts = { .ring_size = 17 };

	tarn_reactors_fini();
	CU_ASSERT(tarn_reactors_init(&opts) == -EINVAL);
	opts = (struct tarn_reactor_opts){ 0 };
	CPU_SET(CPU_SETSIZE - 1, &opts.cpus);
	CU_ASSERT(tarn_reactors_init(&opts) == -EINVAL);
	setup_reactors(1, 0);
}

UT_SUITE(turn, setup, teardown, UT_CASE(test_message_runs_on_the_receiver_on_a_later_turn),
	 UT_CASE(test_full_ring_drops_nothing_and_keeps_the_order),
	 UT_CASE(test_sender_is_congested_until_its_list_drained),
	 UT_CASE(test_full_ring_of_its_own_is_no_deadlock),
	 UT_CASE(test_message_that_sends_itself_leaves_the_turn_to_others),
	 UT_CASE(test_for_each_visits_all_in_turn_and_ends_where_it_began),
	 UT_CASE(test_deferred_runs_once_at_the_end_of_the_same_turn),
	 UT_CASE(test_poller_may_unregister_itself_and_others_while_they_are_walked),
	 UT_CASE(test_timed_pollers_run_when_due_and_not_before),
	 UT_CASE(test_a_period_beyond_all_numbers_does_not_come),
	 UT_CASE(test_timed_poller_may_unregister_itself),
	 UT_CASE(test_ready_fds_are_handled_on_a_loaded_reactor),
	 UT_CASE(test_watch_removed_by_an_earlier_handler_is_not_called),
	 UT_CASE(test_bad_options_are_refused));
