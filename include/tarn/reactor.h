/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Reactors: one thread each, pinned to one CPU, running messages, pollers and fd handlers to
 * completion. Nothing that runs on a reactor may block. The first reactor is the control reactor.
 *
 * A turn: a bounded number of messages, the active pollers, the timed pollers that are due, now and
 * then the ready fds, and at its end what was deferred to it.
 */
struct tarn_reactor; /* Opaque. */
struct tarn_poller;  /* Opaque. */

#define TARN_REACTOR_COUNT_MAX 64

enum tarn_poll_mode {
	TARN_POLL_ADAPTIVE, /* sleep when idle */
	TARN_POLL_BUSY,	    /* never sleep */
};

struct tarn_reactor_opts {
	cpu_set_t cpus; /* one reactor for each; empty: one, on the first CPU allowed */
	enum tarn_poll_mode poll_mode;
	uint32_t idle_spin_us; /* the longest to poll without work; 0: the default of 100 */
	/* messages a reactor's ring holds, a power of two; 0: the default of 4096 */
	uint32_t ring_size;
	bool unpinned; /* tests: do not pin threads to CPUs */
};

/* --- Life. The thread that calls tarn_reactors_init(). --- */

/**
 * Make the reactors; none runs yet. Whatever must be there before the first turn is set up between
 * this and tarn_reactors_run(), with messages sent to the reactors.
 * \return 0, -EINVAL (a bad option), -ENOMEM, or what eventfd or epoll_create1 failed with.
 */
int tarn_reactors_init(const struct tarn_reactor_opts *opts);
/**
 * Run: the control reactor on the calling thread, the others on threads of their own, until
 * tarn_reactors_stop(). Each finishes its messages and its deferred calls before it ends.
 * \return the status given to tarn_reactors_stop(), or -errno when a thread could not be made or
 * pinned.
 */
int tarn_reactors_run(void);
/** Make tarn_reactors_run() return. Any thread, also a signal handler; the first status counts. */
void tarn_reactors_stop(int status);
/** Free them. All pollers and fds were removed. */
void tarn_reactors_fini(void);

/**
 * One turn by hand, on the calling thread, instead of tarn_reactors_run() (tests, simulation).
 * \return whether it did work.
 */
bool tarn_reactor_turn(struct tarn_reactor *reactor);

/* --- Any thread. --- */

uint32_t tarn_reactor_count(void);
/** \return the reactor of that index, 0 being the control reactor; asserts that there is one. */
struct tarn_reactor *tarn_reactor_get(uint32_t index);
/** \return the reactor that runs the caller, or NULL on other threads. */
struct tarn_reactor *tarn_reactor_self(void);
uint32_t tarn_reactor_index(const struct tarn_reactor *reactor);
uint32_t tarn_reactor_cpu(const struct tarn_reactor *reactor);
static inline bool
tarn_on_control_reactor(void)
{
	return tarn_reactor_self() == tarn_reactor_get(0);
}

typedef void (*tarn_msg_fn)(void *arg);

/*
 * A message lies in its sender's memory from tarn_msg_send() until its function starts, so that
 * sending allocates nothing and cannot fail (contract C1). The function may send or free it again.
 */
struct tarn_msg {
	struct tarn_msg *next;
	tarn_msg_fn fn;
	void *arg;
};

/**
 * Run fn(arg) on a reactor, on a later turn, in the order sent by this thread. What a full ring
 * does not take waits on the sender's own list. A sender that is no reactor hands it to the
 * receiver under a lock instead.
 */
void tarn_msg_send(struct tarn_reactor *to, struct tarn_msg *msg, tarn_msg_fn fn, void *arg);
/** The same for the control path, with a message from the heap. \return 0 or -ENOMEM. */
int tarn_reactor_call(struct tarn_reactor *to, tarn_msg_fn fn, void *arg);
/**
 * Run fn(arg) on each reactor in turn, then done(arg) on the calling reactor. Control path.
 * \return 0, or -ENOMEM: neither was or will be called.
 */
int tarn_reactor_for_each(tarn_msg_fn fn, tarn_msg_fn done, void *arg);
/**
 * Whether this reactor's list of messages that full rings did not take is past its bound: whoever
 * admits new work asks this first, and waits.
 */
bool tarn_reactor_congested(const struct tarn_reactor *reactor);

/* --- On the reactor concerned: pollers, deferred calls, fds --- */

/** \return how much was done, 0 for nothing. */
typedef int (*tarn_poller_fn)(void *arg);

/* For how long the reactor may sleep as far as this poller is concerned. */
#define TARN_SLEEP_NO 0
#define TARN_SLEEP_ANY UINT64_MAX

struct tarn_poller_opts {
	const char *name; /* shown by thread_get_pollers; must outlive the poller */
	tarn_poller_fn fn;
	void *arg;
	uint64_t period_us; /* 0: on every turn */
	/*
	 * Asked before the reactor sleeps: nanoseconds it may sleep without calling this poller.
	 * NULL: any time for a poller without a period (another event calls it), until it is due
	 * for one with.
	 */
	uint64_t (*may_sleep_ns)(void *arg);
	/*
	 * With has_fd: what becomes readable when there is something to poll for; watched during
	 * sleep only.
	 */
	bool has_fd;
	int fd;
};

/** Call a function on every turn or period of this reactor. \return NULL for want of memory. */
struct tarn_poller *tarn_poller_register(const struct tarn_poller_opts *opts);
/** Stop and free it; also from within itself. NULL is ignored. Sets *poller to NULL. */
void tarn_poller_unregister(struct tarn_poller **poller);
/** Change the period of a timed poller, counted from now. */
void tarn_poller_set_period(struct tarn_poller *poller, uint64_t period_us);

/*
 * A call that wants to be made once, at the end of the turn in which it was scheduled. Zeroed
 * before first use.
 */
struct tarn_deferred {
	struct tarn_deferred *next;
	tarn_msg_fn fn;
	void *arg;
	bool scheduled;
};
/**
 * Nothing if it is scheduled already. The structure stays its owner's; not freed while scheduled.
 */
void tarn_deferred_schedule(struct tarn_deferred *deferred);

typedef void (*tarn_fd_fn)(void *arg, uint32_t epoll_events);
struct tarn_fd_watch; /* Opaque. */
/**
 * Watch an fd, level-triggered. events: EPOLLIN and EPOLLOUT. A loaded reactor looks for ready
 * fds every 20 us while it finds some, every millisecond while it does not.
 * \return 0 with *ret_watch, or -errno of epoll_ctl, or -ENOMEM.
 */
int tarn_fd_watch_add(int fd, uint32_t epoll_events, tarn_fd_fn fn, void *arg,
		      struct tarn_fd_watch **ret_watch);
int tarn_fd_watch_modify(struct tarn_fd_watch *watch, uint32_t epoll_events);
/** Also from within its handler. NULL is ignored; sets *watch to NULL. The fd stays open. */
void tarn_fd_watch_remove(struct tarn_fd_watch **watch);

/**
 * The time at which this turn, or the poller or message in it, began. Cheaper than tarn_now_ns().
 */
uint64_t tarn_reactor_turn_ns(void);
/**
 * Whether this reactor slept in the last millisecond or so: a driver then asks the kernel for
 * wake-ups.
 */
bool tarn_reactor_sleeps(void);

/* --- Statistics. On the reactor concerned; tarn_reactor_for_each() visits all. --- */

struct tarn_reactor_stats {
	uint64_t turn_count;
	uint64_t busy_ns;	/* in turns that did work */
	uint64_t idle_ns;	/* in turns that did not, and asleep */
	uint64_t message_count; /* run */
	uint64_t sleep_count;
	uint64_t wakeup_count;	 /* of sleeping reactors, by messages this one sent */
	uint32_t ring_highwater; /* most messages seen in this reactor's ring */
	uint64_t overflow_count; /* messages this one sent that had to wait for a place in a ring */
	uint32_t active_poller_count, timed_poller_count;
};
void tarn_reactor_get_stats(struct tarn_reactor_stats *ret_stats);

struct tarn_poller_info {
	const char *name;
	uint64_t period_us;
	uint64_t run_count, busy_count;
};
/** Call fn for each poller. On the reactor concerned. */
void tarn_reactor_each_poller(void (*fn)(const struct tarn_poller_info *info, void *arg),
			      void *arg);
enum tarn_poll_mode tarn_reactors_poll_mode(void);

/* --- Offload: blocking calls, on threads that are no reactors --- */

struct tarn_offload; /* A set of worker threads. Opaque. */
/* One call in flight; the caller's memory until done runs. */
struct tarn_offload_call {
	struct tarn_offload_call *next;
	void (*fn)(void *arg);	 /* on a worker; may block */
	void (*done)(void *arg); /* on the reactor that submitted it */
	void *arg;
	struct tarn_reactor *reactor;
	struct tarn_msg msg;
};
/**
 * \return 0 with *ret_offload, -ENOMEM, or what pthread_create failed with. Threads may run on any
 * CPU allowed.
 */
int tarn_offload_create(const char *name, uint32_t thread_count, struct tarn_offload **ret_offload);
/** No call is in flight. Joins the threads. */
void tarn_offload_destroy(struct tarn_offload *offload);
/** Queue a call, without limit; never fails. On a reactor. */
void tarn_offload_submit(struct tarn_offload *offload, struct tarn_offload_call *call);
