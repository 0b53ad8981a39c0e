/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Making a ring. The kernel answers an unknown flag with EINVAL and does not say which, so they are
 * dropped one at a time, the youngest first, until it takes the rest.
 */
#include "lib/bdev/uring/setup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tarn/util.h"

/* The completion queue bounds what is in flight; several turns' worth of submissions fit. */
#define URING_CQ_ENTRIES_PER_SQ 8
#define URING_CQ_ENTRIES_MIN 256

static const struct {
	const char *name;
	unsigned int flag;
	const char *since;
} flags[URING_FLAG_COUNT] = {
	[URING_SUBMIT_ALL] = { "submit_all", IORING_SETUP_SUBMIT_ALL,
			       "the kernel refused it (Linux 5.18 and later have it)" },
	[URING_COOP_TASKRUN] = { "coop_taskrun", IORING_SETUP_COOP_TASKRUN,
				 "the kernel refused it (Linux 5.19 and later have it)" },
	[URING_TASKRUN_FLAG] = { "taskrun_flag", IORING_SETUP_TASKRUN_FLAG,
				 "the kernel refused it (Linux 5.19 and later have it)" },
	[URING_SINGLE_ISSUER] = { "single_issuer", IORING_SETUP_SINGLE_ISSUER,
				  "the kernel refused it (Linux 6.0 and later have it)" },
	[URING_DEFER_TASKRUN] = { "defer_taskrun", IORING_SETUP_DEFER_TASKRUN,
				  "the kernel refused it (Linux 6.1 and later have it)" },
};

const char *
uring_flag_name(enum uring_flag flag)
{
	return flags[flag].name;
}

bool
uring_key_equal(const struct uring_key *a, const struct uring_key *b)
{
	return a->sqpoll == b->sqpoll && a->iopoll == b->iopoll && a->plain == b->plain &&
	       a->sqpoll_cpu == b->sqpoll_cpu && a->sqpoll_idle_ms == b->sqpoll_idle_ms;
}

static unsigned int
mode_flags(const struct uring_key *key, struct io_uring_params *params)
{
	unsigned int mode = IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;

	if (key->iopoll)
		mode |= IORING_SETUP_IOPOLL;
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
choose_flags(const struct uring_key *key, struct uring_setup *setup)
{
	for (int i = 0; i < URING_FLAG_COUNT; i++) {
		bool taskrun =
		    i == URING_COOP_TASKRUN || i == URING_TASKRUN_FLAG || i == URING_DEFER_TASKRUN;

		if (key->plain)
			setup->dropped[i] = "no_ring_flags asked for a plain ring";
		else if (key->sqpoll && taskrun)
			setup->dropped[i] = "not with sqpoll, whose thread does that work";
		else
			setup->flags |= flags[i].flag;
	}
}

static bool
drop_youngest(struct uring_setup *setup)
{
	for (int i = URING_FLAG_COUNT - 1; i >= 0; i--) {
		if ((setup->flags & flags[i].flag) != 0) {
			setup->flags &= ~flags[i].flag;
			setup->dropped[i] = flags[i].since;
			return true;
		}
	}
	return false;
}

int
uring_setup(const struct uring_key *key, unsigned int sq_entries, uring_init_fn init,
	    struct io_uring *ret_ring, struct uring_setup *ret_setup)
{
	struct uring_setup setup = { 0 };
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

/* \return kernel.io_uring_disabled, or -1 where there is no such sysctl (before Linux 6.6). */
static int
disabled_sysctl(void)
{
	FILE *file = fopen("/proc/sys/kernel/io_uring_disabled", "re");
	int value = -1;

	if (file == NULL)
		return -1;
	if (fscanf(file, "%d", &value) != 1)
		value = -1;
	(void)fclose(file);
	return value;
}

int
uring_setup_refused(const struct uring_key *key, int status, struct tarn_reason *reason)
{
	int disabled = disabled_sysctl();

	if (status == -EPERM && disabled > 0)
		return tarn_reason_set(reason, status,
				       "driver uring: io_uring is switched off by the sysctl "
				       "kernel.io_uring_disabled=%d: set it to 0%s, or use driver "
				       "aio, or fallback: true",
				       disabled,
				       disabled == 1 ? " or join kernel.io_uring_group" : "");
	if (status == -EPERM || status == -ENOSYS || status == -EACCES)
		return tarn_reason_set(
		    reason, status,
		    "driver uring: io_uring_setup(2) is forbidden (%s): a seccomp "
		    "filter, as containers have, or a kernel without io_uring "
		    "(the sysctl kernel.io_uring_disabled is not the cause): "
		    "allow it, or use driver aio, or fallback: true",
		    strerror(-status));
	if (status == -EINVAL && key->sqpoll && key->sqpoll_cpu >= 0)
		return tarn_reason_set(reason, status,
				       "driver uring: the kernel refuses sqpoll_cpu %d: is that "
				       "CPU there and online?",
				       key->sqpoll_cpu);
	if (status == -ENOMEM)
		return tarn_reason_set(reason, status,
				       "driver uring: no memory for a ring: RLIMIT_MEMLOCK may be "
				       "too small (LimitMEMLOCK=, ulimit -l)");
	return tarn_reason_set(reason, status, "driver uring: cannot make a ring%s%s: %s",
			       key->sqpoll ? " with sqpoll" : "", key->iopoll ? " with iopoll" : "",
			       strerror(-status));
}
