/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include "lib/reactor/ring.h"
#include "lib/reactor/spin.h"
#include "tarn/reactor.h"
#include "tarn/util.h"

/* What the files of lib/reactor share. */

#define REACTOR_MESSAGES_PER_TURN 64
#define REACTOR_DEFERRED_PER_TURN 256
#define REACTOR_FD_EVENTS_MAX 32
#define REACTOR_FD_PERIOD_MIN_NS 20000
#define REACTOR_FD_PERIOD_MAX_NS 1000000
#define REACTOR_SLEEPS_NS 1000000 /* a reactor "sleeps" for so long after it did */

/* First in, first out, linked through the messages themselves. */
struct msg_list {
	struct tarn_msg *first, *last;
};

struct tarn_poller {
	struct tarn_poller_opts opts;
	struct tarn_reactor *reactor;
	uint64_t due_ns; /* timed ones */
	uint64_t run_count, busy_count;
	bool dead; /* unregistered during a walk over the list; freed after it */
	TAILQ_ENTRY(tarn_poller) link;
};
TAILQ_HEAD(poller_list, tarn_poller);

struct tarn_fd_watch {
	int fd;
	uint32_t epoll_events;
	tarn_fd_fn fn;
	void *arg;
	struct tarn_reactor *reactor;
	bool dead; /* removed while events were being handled; freed after that */
	TAILQ_ENTRY(tarn_fd_watch) link;
};
TAILQ_HEAD(fd_watch_list, tarn_fd_watch);

struct tarn_reactor {
	uint32_t index, cpu;
	struct ring *ring;
	uint32_t ring_size;
	pthread_t thread; /* not of the control reactor */

	struct poller_list active, timed; /* timed: by due_ns */
	bool walking_active;
	uint32_t dead_poller_count;
	struct tarn_poller *running_timed;

	struct tarn_deferred *deferred_first, *deferred_last;

	int epoll_fd, event_fd;
	struct fd_watch_list watches;
	bool handling_fds;
	uint32_t dead_watch_count;
	uint64_t fd_due_ns, fd_period_ns;

	/*
	 * Messages to other reactors that their rings did not take; a bit in `overflowing` for
	 * each.
	 */
	struct msg_list overflow[TARN_REACTOR_COUNT_MAX];
	uint64_t overflowing;
	uint32_t overflow_msg_count;

	uint64_t turn_ns;
	uint64_t last_work_ns, last_sleep_ns;
	struct spin spin;
	struct tarn_reactor_stats stats;

	/* Written by others. */
	_Alignas(TARN_CACHE_LINE_BYTES) atomic_int sleeping;
	pthread_mutex_t foreign_lock; /* messages of threads that are no reactors */
	struct msg_list foreign;
	atomic_bool foreign_waiting;
};

struct reactors {
	struct tarn_reactor *reactor[TARN_REACTOR_COUNT_MAX];
	uint32_t count;
	enum tarn_poll_mode poll_mode;
	uint64_t idle_spin_ns;
	bool unpinned;
	cpu_set_t startup_cpus; /* what the process might run on before reactors were pinned */
	atomic_int stop_state;	/* enum stop_state */
	atomic_int stop_status;
	atomic_uint quiet_count; /* reactors with nothing left to do, once stopping */
};
extern struct reactors reactors;

enum stop_state { STOP_NOT, STOP_ASKED };

/** Make the calling thread be this reactor's (NULL: none's). \return what it was. */
struct tarn_reactor *reactor_switch(struct tarn_reactor *reactor);
/** Turn until tarn_reactors_stop() and all reactors are quiet. */
void reactor_loop(struct tarn_reactor *reactor);
/** Make a sleeping reactor go on. \return whether it slept. */
bool reactor_wake(struct tarn_reactor *reactor);

void msg_list_append(struct msg_list *list, struct tarn_msg *msg);
/** Move what waits for other reactors' rings into them. \return how many. */
uint32_t messages_flush_overflow(struct tarn_reactor *reactor);
/** Run a bounded number. \return how many. */
uint32_t messages_run(struct tarn_reactor *reactor);
/** Whether messages wait for this reactor, or at it for others. */
bool messages_pending(struct tarn_reactor *reactor);

uint32_t pollers_run(struct tarn_reactor *reactor);
/** \return nanoseconds until the first poller wants to be called. */
uint64_t pollers_sleep_ns(struct tarn_reactor *reactor);
void pollers_free(struct tarn_reactor *reactor);

/** \return how many were run. */
uint32_t deferred_run(struct tarn_reactor *reactor);

int fds_init(struct tarn_reactor *reactor);
void fds_fini(struct tarn_reactor *reactor);
/** End the sleep of a reactor; any thread, also a signal handler. */
void fds_wake(struct tarn_reactor *reactor);
/** Handle ready fds when it is time to look. \return how many. */
uint32_t fds_run(struct tarn_reactor *reactor);
/** Sleep until an event, at most for_ns (TARN_SLEEP_ANY: any time), and handle what is ready. */
void fds_sleep(struct tarn_reactor *reactor, uint64_t for_ns);
