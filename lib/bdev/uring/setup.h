/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <liburing.h>
#include <stdbool.h>

#include "tarn/reason.h"

/*
 * Making a ring with all the flags that this kernel takes. Within lib/bdev/uring, and its unit
 * test.
 */
enum uring_flag {
	URING_SUBMIT_ALL, /* in the order in which Linux got them: the last one is dropped first */
	URING_COOP_TASKRUN,
	URING_TASKRUN_FLAG,
	URING_SINGLE_ISSUER,
	URING_DEFER_TASKRUN,
	URING_FLAG_COUNT,
};
const char *uring_flag_name(enum uring_flag flag);

/* Which ring: bdevs that ask for the same on one reactor share it. */
struct uring_key {
	bool sqpoll, iopoll;
	bool plain;	/* without the flags above, to compare */
	int sqpoll_cpu; /* -1: not pinned */
	unsigned int sqpoll_idle_ms;
};
bool uring_key_equal(const struct uring_key *a, const struct uring_key *b);

struct uring_setup {
	unsigned int flags;		       /* IORING_SETUP_* in force */
	const char *dropped[URING_FLAG_COUNT]; /* why this one is not; NULL: in force */
};

/** io_uring_queue_init_params(3), or a test's. */
typedef int (*uring_init_fn)(unsigned int entries, struct io_uring *ring,
			     struct io_uring_params *params);

/**
 * Make a ring; where the kernel refuses flags, without them, dropped one at a time; where it
 * refuses the memory, a smaller one. \return 0 with *ret_ring and *ret_setup, or -errno: what the
 * kernel said without any flag.
 */
int uring_setup(const struct uring_key *key, unsigned int sq_entries, uring_init_fn init,
		struct io_uring *ret_ring, struct uring_setup *ret_setup);
/** Why no ring can be made, as a sentence, and what to do. \return status. */
int uring_setup_refused(const struct uring_key *key, int status, struct tarn_reason *reason);
