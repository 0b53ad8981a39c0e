/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <liburing.h>
#include <stdbool.h>

#include "tarn/info.h"
#include "tarn/reactor.h"
#include "tarn/reason.h"
#include "tarn/util.h"

/*
 * Rings of io_uring(7), for whoever does I/O by them on a reactor: made with every flag that this
 * kernel takes, with tables of fixed buffers and files, entered once per turn, quiet while the
 * reactor is awake and waking it from its sleep.
 *
 * What a caller submits, and what a completion means, is the caller's. A group and its rings belong
 * to one reactor, on which all calls are made unless they say otherwise.
 */

/* --- Making a ring with the flags of this kernel --- */

enum tarn_uring_flag {
	/* in the order in which Linux got them: the last one is dropped first */
	TARN_URING_SUBMIT_ALL,
	TARN_URING_COOP_TASKRUN,
	TARN_URING_TASKRUN_FLAG,
	TARN_URING_SINGLE_ISSUER,
	TARN_URING_DEFER_TASKRUN,
	TARN_URING_FLAG_COUNT,
};

/* Which ring: those of one reactor and group that ask for the same share it. */
struct tarn_uring_key {
	bool sqpoll, iopoll;
	bool plain;	/* without the flags above, to compare */
	bool wide;	/* entries of 128 and 32 bytes (SQE128, CQE32), for IORING_OP_URING_CMD */
	int sqpoll_cpu; /* -1: not pinned */
	unsigned int sqpoll_idle_ms;
};

struct tarn_uring_setup {
	unsigned int flags;			    /* IORING_SETUP_* in force, of those above */
	const char *dropped[TARN_URING_FLAG_COUNT]; /* why this one is not; NULL: in force */
};

/** io_uring_queue_init_params(3), or a test's. */
typedef int (*tarn_uring_init_fn)(unsigned int entries, struct io_uring *ring,
				  struct io_uring_params *params);

/**
 * Make a ring; where the kernel refuses flags, without them, dropped one at a time; where it
 * refuses the memory, a smaller one. Any thread, may block.
 * \return 0 with *ret_ring, which the caller ends by io_uring_queue_exit(3), and *ret_setup; or
 * -errno: what the kernel said without any flag.
 */
int tarn_uring_setup(const struct tarn_uring_key *key, unsigned int sq_entries,
		     tarn_uring_init_fn init, struct io_uring *ret_ring,
		     struct tarn_uring_setup *ret_setup);

/* --- What the options come to. Control reactor, may block --- */

struct tarn_uring_mode;

/* What a user asked for. */
struct tarn_uring_opts {
	/* For reasons: who asks, for which device, and what else may be done ("use driver aio"). */
	const char *driver, *filename, *instead;
	enum tarn_tristate sqpoll, iopoll;
	int sqpoll_cpu; /* -1: not pinned */
	unsigned int sqpoll_idle_ms;
	bool plain, wide;
	/*
	 * Find out whether the device can be polled, as by tarn_uring_try(). \return 0, or -errno
	 * with the reason. Not called where iopoll is off.
	 */
	int (*iopoll_try)(void *arg, const struct tarn_uring_mode *mode,
			  struct tarn_reason *reason);
	void *arg;
};

/* What it came to. */
struct tarn_uring_mode {
	struct tarn_uring_key key;
	struct tarn_uring_setup setup;
	/* Why asked for and not in force; or empty. */
	struct tarn_reason sqpoll_reason, iopoll_reason;
};

/**
 * Whether this process may use io_uring, and enter a ring of that kind.
 * \return 0 or -errno with the reason, which names opts->driver.
 */
int tarn_uring_allowed(const struct tarn_uring_opts *opts, struct tarn_reason *reason);
/**
 * Find out what this kernel and device make of the options, by making such rings and by iopoll_try.
 * \return 0 with *ret_mode, or -errno with the reason: there is no ring, or no sqpoll or iopoll
 * that is `on`.
 */
int tarn_uring_mode_choose(const struct tarn_uring_opts *opts, struct tarn_uring_mode *ret_mode,
			   struct tarn_reason *reason);
/**
 * "mode", "sqpoll_requested", "iopoll_requested", the reasons, and "ring_flags" with "on" or why
 * not for each.
 * \param iopoll_reason  NULL, or what became known since the mode was chosen.
 */
void tarn_uring_mode_describe(const struct tarn_uring_mode *mode,
			      const struct tarn_uring_opts *opts, const char *iopoll_reason,
			      const struct tarn_info_sink *sink);
/**
 * Make a small ring of that kind for a moment, to try something on it. What is still in flight when
 * fn returns is not waited for, and a device cannot be told to stop: its memory must stay for good.
 * \return what fn did, or -errno: there is no such ring.
 */
int tarn_uring_try(const struct tarn_uring_key *key, int (*fn)(struct io_uring *ring, void *arg),
		   void *arg);
/**
 * Within fn: send the one entry that was prepared and wait for its end, polling where the ring
 * polls. \return 0 with its result, -ETIME after 2 s without one (it is still in flight), or what
 * io_uring_enter(2) said.
 */
int tarn_uring_try_one(struct io_uring *ring, int *ret_result);

/* --- One ring --- */

/* Of an I/O that found no place in the ring; the caller's memory, until it is unwaited. */
struct tarn_uring_wait {
	struct tarn_uring_wait *next;
};

struct tarn_uring {
	struct io_uring io;
	struct tarn_uring_key key;
	struct tarn_uring_setup setup;
	struct tarn_deferred enter;
	unsigned int inflight_count; /* in the ring or in the kernel */
	unsigned int inflight_max;
	struct tarn_uring_wait *waiting_first, *waiting_last;
	bool retry_enter;	    /* the kernel had no memory for it: again in the next poll */
	bool event_fd_known, armed; /* the kernel knows the group's eventfd; and writes it */
	bool getevents; /* completions appear only when the kernel is entered for them */
	/* Fixed buffers: a slot for each chunk of I/O memory. */
	uint8_t *chunk; /* enum uring_chunk; NULL: no table */
	uint32_t chunk_count;
	/* Fixed files: a slot for each channel. */
	uint8_t *file_used; /* NULL: no table */
	uint32_t file_count;
	/* For describe. The texts are written once, then published with release. */
	const char *ring_fd_reason, *files_reason, *buffers_reason;
	uint64_t enter_count, submit_count, fetch_count, reap_count, complete_count, retry_count;
	uint64_t fixed_chunk_count, refused_chunk_count;
	struct tarn_uring *next;     /* in the group */
	struct tarn_uring *next_all; /* of all reactors */
};

/**
 * \return the fixed-buffer index of memory within I/O memory, making it known to the kernel at
 * first use; or -1: pass it by address.
 */
int tarn_uring_buffer(struct tarn_uring *ring, const void *buf, size_t length_bytes);
/** Register a file. \return its slot, or -1: use the fd. */
int tarn_uring_file_add(struct tarn_uring *ring, int fd);
/** Nothing on that slot is in flight. -1 is ignored. */
void tarn_uring_file_remove(struct tarn_uring *ring, int slot);

/**
 * Take a place in the submission queue, for one I/O that is then in flight; it is sent at the end
 * of the turn. The caller fills in all of it. \return NULL: none now, wait with tarn_uring_wait().
 */
struct io_uring_sqe *tarn_uring_sqe(struct tarn_uring *ring);
void tarn_uring_wait(struct tarn_uring *ring, struct tarn_uring_wait *wait);
/** \return the next that waited, or NULL. */
struct tarn_uring_wait *tarn_uring_unwait(struct tarn_uring *ring);

struct tarn_uring_done {
	void *data; /* of io_uring_sqe_set_data(3) */
	int result; /* cqe->res */
};
#define TARN_URING_REAP_MAX 64
/**
 * Take what has completed off the ring, at most TARN_URING_REAP_MAX; the places are the kernel's
 * again. \return how many.
 */
unsigned int tarn_uring_reap(struct tarn_uring *ring, struct tarn_uring_done *done);

/**
 * The counters of all rings with that key, on whatever reactor and in whatever group, and what
 * their tables lack. Control reactor.
 */
void tarn_uring_describe(const struct tarn_uring_key *key, const struct tarn_info_sink *sink);

/** Add to a counter of a ring, which other threads may read. */
static inline void
tarn_uring_count(uint64_t *counter, uint64_t by)
{
	__atomic_store_n(counter, *counter + by, __ATOMIC_RELAXED);
}

/* --- The rings of one reactor --- */

struct tarn_uring_group {
	struct tarn_uring *rings;
	int event_fd; /* readable once something completed during a sleep */
	bool armed;   /* some ring is */
};

/** \return 0 or -errno of eventfd(2). */
int tarn_uring_group_open(struct tarn_uring_group *group);
/** Nothing is in flight on any of its rings, which end with it. */
void tarn_uring_group_close(struct tarn_uring_group *group);
/** The ring of that kind, made when it is first asked for. \return 0 or -errno. */
int tarn_uring_group_get(struct tarn_uring_group *group, const struct tarn_uring_key *key,
			 struct tarn_uring **ret_ring);
/** The reactor is awake: keep the kernel from waking it. Where group->armed, before a reap. */
void tarn_uring_group_disarm(struct tarn_uring_group *group);
/**
 * As in struct tarn_poller_opts: how long the reactor may sleep, with event_fd watched.
 */
uint64_t tarn_uring_group_may_sleep_ns(struct tarn_uring_group *group);
