/* SPDX-License-Identifier: BSD-3-Clause */
/* Reactors on their threads: sleep and wake-up, stopping, messages from everywhere, offload. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "tarn/env.h"
#include "tarn/reactor.h"
#include "tarn/util.h"
#include "test/unit/common/ut.h"

static void
init(uint32_t count, uint32_t ring_size, enum tarn_poll_mode poll_mode)
{
	struct tarn_reactor_opts opts = { .ring_size = ring_size,
					  .unpinned = true,
					  .poll_mode = poll_mode };

	CPU_ZERO(&opts.cpus);
	for (uint32_t i = 0; i < count; i++)
		CPU_SET(i, &opts.cpus);
	CU_ASSERT_FATAL(tarn_reactors_init(&opts) == 0);
}

static void
sleep_us(long us)
{
	struct timespec duration = { .tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000 };

	nanosleep(&duration, NULL);
}

/* --- Stopping --- */

static void
stop_run(void *arg)
{
	tarn_reactors_stop((int)(intptr_t)arg);
}

static void
test_run_returns_the_first_status_given_to_stop(void)
{
	init(2, 0, TARN_POLL_ADAPTIVE);
	CU_ASSERT(tarn_reactor_call(tarn_reactor_get(1), stop_run, (void *)(intptr_t)-EPIPE) == 0);
	CU_ASSERT(tarn_reactors_run() == -EPIPE);
	tarn_reactors_fini();
}

/* --- Every reactor sends to every other, through rings far too small --- */

#define STORM_SENDERS 3
#define STORM_EACH 20000
static struct storm_msg {
	struct tarn_msg msg;
	uint32_t from, number;
} storm[STORM_SENDERS][STORM_SENDERS][STORM_EACH];
static uint32_t storm_next[STORM_SENDERS][STORM_SENDERS]; /* [to][from], each row its reactor's */
static atomic_uint storm_arrived, storm_disorder;

static void
storm_receive(void *arg)
{
	struct storm_msg *msg = arg;
	uint32_t to = tarn_reactor_index(tarn_reactor_self());

	if (storm_next[to][msg->from]++ != msg->number)
		atomic_fetch_add(&storm_disorder, 1);
	if (atomic_fetch_add(&storm_arrived, 1) + 1 == STORM_SENDERS * STORM_SENDERS * STORM_EACH)
		tarn_reactors_stop(0);
}

static void
storm_send(void *arg)
{
	uint32_t from = tarn_reactor_index(tarn_reactor_self());

	(void)arg;
	for (uint32_t number = 0; number < STORM_EACH; number++) {
		for (uint32_t to = 0; to < STORM_SENDERS; to++) {
			struct storm_msg *msg = &storm[from][to][number];

			msg->from = from;
			msg->number = number;
			tarn_msg_send(tarn_reactor_get(to), &msg->msg, storm_receive, msg);
		}
	}
}

static void
test_c1_storm_through_tiny_rings_loses_and_reorders_nothing(void)
{
	init(STORM_SENDERS, 64, TARN_POLL_ADAPTIVE);
	atomic_store(&storm_arrived, 0);
	for (uint32_t i = 0; i < STORM_SENDERS; i++)
		CU_ASSERT(tarn_reactor_call(tarn_reactor_get(i), storm_send, NULL) == 0);
	CU_ASSERT(tarn_reactors_run() == 0);
	CU_ASSERT(atomic_load(&storm_arrived) == STORM_SENDERS * STORM_SENDERS * STORM_EACH);
	CU_ASSERT(atomic_load(&storm_disorder) == 0);
	tarn_reactors_fini();
}

/* --- Threads that are no reactors --- */

#define FOREIGN_COUNT 50000
static struct tarn_msg foreign_msgs[FOREIGN_COUNT];
static uint32_t foreign_next, foreign_disorder;

static void
foreign_receive(void *arg)
{
	if ((uintptr_t)arg != foreign_next++)
		foreign_disorder++;
	if (foreign_next == FOREIGN_COUNT)
		tarn_reactors_stop(0);
}

static void *
foreign_send(void *arg)
{
	(void)arg;
	for (uintptr_t i = 0; i < FOREIGN_COUNT; i++)
		tarn_msg_send(tarn_reactor_get(0), &foreign_msgs[i], foreign_receive, (void *)i);
	return NULL;
}

static void
test_messages_of_another_thread_arrive_in_order(void)
{
	pthread_t thread;

	init(1, 16, TARN_POLL_ADAPTIVE);
	CU_ASSERT_FATAL(pthread_create(&thread, NULL, foreign_send, NULL) == 0);
	CU_ASSERT(tarn_reactors_run() == 0);
	pthread_join(thread, NULL);
	CU_ASSERT(foreign_next == FOREIGN_COUNT && foreign_disorder == 0);
	tarn_reactors_fini();
}

/* --- Sleep and wake-up: a ball that goes to and fro, slowly enough for both to fall asleep --- */

#define BALL_COUNT 200
static struct tarn_msg ball;
static uint32_t ball_count;
static struct tarn_reactor_stats ball_stats;

static void
ball_stop(void *arg)
{
	(void)arg;
	tarn_reactor_get_stats(&ball_stats);
	tarn_reactors_stop(0);
}

static void
ball_run(void *arg)
{
	uint32_t self = tarn_reactor_index(tarn_reactor_self());

	(void)arg;
	sleep_us(200); /* the other has been idle for longer than idle_spin_us */
	if (++ball_count < BALL_COUNT)
		tarn_msg_send(tarn_reactor_get(1 - self), &ball, ball_run, NULL);
	else
		tarn_msg_send(tarn_reactor_get(0), &ball, ball_stop, NULL);
}

static void
play_ball(enum tarn_poll_mode poll_mode)
{
	init(2, 0, poll_mode);
	ball_count = 0;
	tarn_msg_send(tarn_reactor_get(1), &ball, ball_run, NULL);
	CU_ASSERT(tarn_reactors_run() == 0);
	CU_ASSERT(ball_count == BALL_COUNT);
	tarn_reactors_fini();
}

static void
test_message_wakes_a_sleeping_reactor(void)
{
	play_ball(TARN_POLL_ADAPTIVE);
	CU_ASSERT(ball_stats.sleep_count > 0);
	CU_ASSERT(ball_stats.wakeup_count > 0);
}

static void
test_busy_mode_never_sleeps(void)
{
	play_ball(TARN_POLL_BUSY);
	CU_ASSERT(ball_stats.sleep_count == 0);
	CU_ASSERT(ball_stats.wakeup_count == 0);
}

static int timer_count;
static struct tarn_reactor_stats timer_stats;

static int
timer_run(void *arg)
{
	if (++timer_count == 3) {
		tarn_reactor_get_stats(&timer_stats);
		tarn_poller_unregister(arg);
		tarn_reactors_stop(0);
	}
	return 1;
}

static void
test_timer_ends_the_sleep(void)
{
	struct tarn_poller *poller;
	struct tarn_poller_opts opts = {
		.name = "timer", .fn = timer_run, .arg = &poller, .period_us = 2000
	};

	init(1, 0, TARN_POLL_ADAPTIVE);
	timer_count = 0;
	poller = tarn_poller_register(&opts);
	CU_ASSERT(tarn_reactors_run() == 0);
	CU_ASSERT(timer_count == 3);
	/* Time asleep is idle time, also when work ended the sleep. */
	CU_ASSERT(timer_stats.idle_ns > timer_stats.busy_ns);
	tarn_reactors_fini();
}

/* --- A poller that holds the reactor awake --- */

static uint64_t
never_sleep(void *arg)
{
	(void)arg;
	return TARN_SLEEP_NO;
}

static int
poll_until_3_ms(void *arg)
{
	static uint64_t start_ns;
	struct tarn_reactor_stats stats;

	if (start_ns == 0)
		start_ns = tarn_now_ns();
	if (tarn_now_ns() - start_ns < 3000000)
		return 0;
	tarn_reactor_get_stats(&stats);
	timer_count = (int)stats.sleep_count;
	tarn_poller_unregister(arg);
	tarn_reactors_stop(0);
	return 1;
}

static void
test_poller_can_forbid_sleep(void)
{
	struct tarn_poller *poller;
	struct tarn_poller_opts opts = {
		.name = "awake", .fn = poll_until_3_ms, .arg = &poller, .may_sleep_ns = never_sleep
	};

	init(1, 0, TARN_POLL_ADAPTIVE);
	timer_count = -1;
	poller = tarn_poller_register(&opts);
	CU_ASSERT(tarn_reactors_run() == 0);
	CU_ASSERT(timer_count == 0);
	tarn_reactors_fini();
}

/* --- Offload --- */

#define OFFLOAD_COUNT 64
static struct tarn_offload *offload;
static struct offloaded {
	struct tarn_offload_call call;
	bool on_worker, back;
} offloaded[OFFLOAD_COUNT];
static uint32_t offloaded_count;

static void
offload_work(void *arg)
{
	struct offloaded *one = arg;

	one->on_worker = tarn_reactor_self() == NULL;
	sleep_us(100);
}

static void
offload_done(void *arg)
{
	struct offloaded *one = arg;

	one->back = tarn_reactor_self() == one->call.reactor;
	if (++offloaded_count == OFFLOAD_COUNT)
		tarn_reactors_stop(0);
}

static void
offload_start(void *arg)
{
	(void)arg;
	for (int i = 0; i < OFFLOAD_COUNT; i++) {
		offloaded[i].call.fn = offload_work;
		offloaded[i].call.done = offload_done;
		offloaded[i].call.arg = &offloaded[i];
		tarn_offload_submit(offload, &offloaded[i].call);
	}
}

static void
test_offload_works_elsewhere_and_comes_back(void)
{
	init(2, 16, TARN_POLL_ADAPTIVE);
	CU_ASSERT_FATAL(tarn_offload_create("test", 3, &offload) == 0);
	CU_ASSERT(tarn_reactor_call(tarn_reactor_get(1), offload_start, NULL) == 0);
	CU_ASSERT(tarn_reactors_run() == 0);
	for (int i = 0; i < OFFLOAD_COUNT; i++)
		CU_ASSERT(offloaded[i].on_worker && offloaded[i].back);
	tarn_offload_destroy(offload);
	tarn_reactors_fini();
}

UT_SUITE(threads, NULL, NULL, UT_CASE(test_run_returns_the_first_status_given_to_stop),
	 UT_CASE(test_c1_storm_through_tiny_rings_loses_and_reorders_nothing),
	 UT_CASE(test_messages_of_another_thread_arrive_in_order),
	 UT_CASE(test_message_wakes_a_sleeping_reactor), UT_CASE(test_busy_mode_never_sleeps),
	 UT_CASE(test_timer_ends_the_sleep), UT_CASE(test_poller_can_forbid_sleep),
	 UT_CASE(test_offload_works_elsewhere_and_comes_back));
