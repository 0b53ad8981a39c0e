/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Making a ring. The kernel answers an unknown flag with EINVAL and does not say which, so they are
 * dropped one at a time, the youngest first, until it takes the rest.
 */
#include <errno.h>

#include "lib/uring/internal.h"

/* The completion queue bounds what is in flight; several turns' worth of submissions fit. */
#define URING_CQ_ENTRIES_PER_SQ 8
#define URING_CQ_ENTRIES_MIN 256

static const struct {
	const char *name;
	unsigned int flag;
	const char *since;
} flags[TARN_URING_FLAG_COUNT] = {
	[TARN_URING_SUBMIT_ALL] = { "submit_all", IORING_SETUP_SUBMIT_ALL,
				    "the kernel refused it (Linux 5.18 and later have it)" },
	[TARN_URING_COOP_TASKRUN] = { "coop_taskrun", IORING_SETUP_COOP_TASKRUN,
				      "the kernel refused it (Linux 5.19 and later have it)" },
	[TARN_URING_TASKRUN_FLAG] = { "taskrun_flag", IORING_SETUP_TASKRUN_FLAG,
				      "the kernel refused it (Linux 5.19 and later have it)" },
	[TARN_URING_SINGLE_ISSUER] = { "single_issuer", IORING_SETUP_SINGLE_ISSUER,
				       "the kernel refused it (Linux 6.0 and later have it)" },
	[TARN_URING_DEFER_TASKRUN] = { "defer_taskrun", IORING_SETUP_DEFER_TASKRUN,
				       "the kernel refused it (Linux 6.1 and later have it)" },
};

const char *
uring_flag_name(enum tarn_uring_flag flag)
{
	return flags[flag].name;
}

bool
uring_key_equal(const struct tarn_uring_key *a, const struct tarn_uring_key *b)
{
	return a->sqpoll == b->sqpoll && a->iopoll == b->iopoll && a->plain == b->plain &&
	       a->wide == b->wide && a->sqpoll_cpu == b->sqpoll_cpu &&
	       a->sqpoll_idle_ms == b->sqpoll_idle_ms;
}

static unsigned int
mode_flags(const struct tarn_uring_key *key, struct io_uring_params *params)
{
	unsigned int mode = IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;

	if (key->iopoll)
		mode |= IORING_SETUP_IOPOLL;
	if (key->wide)
		mode |= IORING_SETUP_SQE128 | IORING_SETUP_CQE32;
	if (!key->sqpoll)
		return mode;
	mode |= IORING_SETUP_SQPOLL;
	params->sq_thread_idle = key->sqpoll_idle_ms;
	if (key->sqpoll_cpu >= 0) {
		mode |= IORING_SETUP_SQ_AFF;
		params->sq_thread_cpu = (unsigned int)key->sqpoll_cpu;
	}
	return mode;
}

static void
choose_flags(const struct tarn_uring_key *key, struct tarn_uring_setup *setup)
{
	for (int i = 0; i < TARN_URING_FLAG_COUNT; i++) {
		bool taskrun = i == TARN_URING_COOP_TASKRUN || i == TARN_URING_TASKRUN_FLAG ||
			       i == TARN_URING_DEFER_TASKRUN;

		if (key->plain)
			setup->dropped[i] = "no_ring_flags asked for a plain ring";
		else if (key->sqpoll && taskrun)
			setup->dropped[i] = "not with sqpoll, whose thread does that work";
		else
			setup->flags |= flags[i].flag;
	}
}

static bool
drop_youngest(struct tarn_uring_setup *setup)
{
	for (int i = TARN_URING_FLAG_COUNT - 1; i >= 0; i--) {
		if ((setup->flags & flags[i].flag) != 0) {
			setup->flags &= ~flags[i].flag;
			setup->dropped[i] = flags[i].since;
			return true;
		}
	}
	return false;
}

int
tarn_uring_setup(const struct tarn_uring_key *key, unsigned int sq_entries, tarn_uring_init_fn init,
		 struct io_uring *ret_ring, struct tarn_uring_setup *ret_setup)
{
	struct tarn_uring_setup setup = { 0 };
	unsigned int cq_entries = sq_entries * URING_CQ_ENTRIES_PER_SQ;

	choose_flags(key, &setup);
	for (;;) {
		struct io_uring_params params = { .cq_entries = cq_entries };
		int status;

		params.flags = mode_flags(key, &params) | setup.flags;
		status = init(sq_entries, ret_ring, &params);
		if (status == 0) {
			*ret_setup = setup;
			return 0;
		}
		if (status == -ENOMEM && cq_entries > URING_CQ_ENTRIES_MIN) {
			/* A ring counts towards RLIMIT_MEMLOCK: a smaller one may fit. */
			cq_entries /= 2;
			sq_entries = (unsigned int)tarn_min_u64(sq_entries, cq_entries / 2);
			continue;
		}
		if (status != -EINVAL || !drop_youngest(&setup))
			return status;
	}
}
