/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the options come to on this kernel and device. Nothing is guessed: a ring of each kind is
 * made and entered, and the device is polled, before anybody relies on it.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "lib/uring/internal.h"
#include "tarn/env.h"

#define TRY_ENTRIES 8
#define TRY_TIMEOUT_NS UINT64_C(2000000000)

int
tarn_uring_try(const struct tarn_uring_key *key, int (*fn)(struct io_uring *ring, void *arg),
	       void *arg)
{
	struct tarn_uring_setup setup;
	struct io_uring ring;
	int status = tarn_uring_setup(key, TRY_ENTRIES, io_uring_queue_init_params, &ring, &setup);

	if (status != 0)
		return status;
	status = fn(&ring, arg);
	io_uring_queue_exit(&ring);
	return status;
}

int
tarn_uring_try_one(struct io_uring *ring, int *ret_result)
{
	uint64_t start_ns = tarn_now_ns();
	struct io_uring_cqe *cqe = NULL;
	int status = io_uring_submit_and_get_events(ring);

	/* A signal ends the call and not what was sent. */
	while ((status >= 0 || status == -EINTR) && io_uring_peek_cqe(ring, &cqe) != 0) {
		if (tarn_now_ns() - start_ns > TRY_TIMEOUT_NS)
			return -ETIME;
		status = io_uring_get_events(ring);
	}
	if (cqe == NULL)
		return status;
	*ret_result = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return 0;
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

/* Why no ring can be made, as a sentence, and what to do. \return status. */
static int
refused(const struct tarn_uring_opts *opts, const struct tarn_uring_key *key, int status,
	struct tarn_reason *reason)
{
	int disabled = disabled_sysctl();

	if (status == -EPERM && disabled > 0)
		return tarn_reason_set(reason, status,
				       "driver %s: io_uring is switched off by the sysctl "
				       "kernel.io_uring_disabled=%d: set it to 0%s, or %s",
				       opts->driver, disabled,
				       disabled == 1 ? " or join kernel.io_uring_group" : "",
				       opts->instead);
	if (status == -EPERM || status == -ENOSYS || status == -EACCES)
		return tarn_reason_set(
		    reason, status,
		    "driver %s: io_uring_setup(2) is forbidden (%s): a seccomp filter, as "
		    "containers have, or a kernel without io_uring (the sysctl "
		    "kernel.io_uring_disabled is not the cause): allow it, or %s",
		    opts->driver, strerror(-status), opts->instead);
	if (status == -EINVAL && key->sqpoll && key->sqpoll_cpu >= 0)
		return tarn_reason_set(reason, status,
				       "driver %s: the kernel refuses sqpoll_cpu %d: is that CPU "
				       "there and online?",
				       opts->driver, key->sqpoll_cpu);
	if (status == -EINVAL && key->wide && !key->sqpoll)
		return tarn_reason_set(reason, status,
				       "driver %s: the kernel refuses a ring of large entries "
				       "(Linux 5.19 and later have them): %s",
				       opts->driver, opts->instead);
	if (status == -ENOMEM)
		return tarn_reason_set(reason, status,
				       "driver %s: no memory for a ring: RLIMIT_MEMLOCK may be "
				       "too small (LimitMEMLOCK=, ulimit -l)",
				       opts->driver);
	return tarn_reason_set(reason, status, "driver %s: cannot make a ring%s: %s", opts->driver,
			       key->sqpoll ? " with sqpoll" : "", strerror(-status));
}

/* A filter may allow io_uring_setup(2) and forbid what comes after it. */
static int
enter_try(struct io_uring *ring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	int status;

	io_uring_prep_nop(sqe);
	do {
		status = io_uring_submit_and_wait(ring, 1);
	} while (status == -EINTR || status == -EAGAIN || status == -EBUSY);
	return status < 0 ? status : 0;
}

static int
ring_try(const struct tarn_uring_opts *opts, const struct tarn_uring_key *key,
	 struct tarn_uring_setup *ret_setup, struct tarn_reason *reason)
{
	struct io_uring ring;
	int status =
	    tarn_uring_setup(key, TRY_ENTRIES, io_uring_queue_init_params, &ring, ret_setup);

	if (status != 0)
		return refused(opts, key, status, reason);
	status = enter_try(&ring);
	io_uring_queue_exit(&ring);
	if (status != 0)
		return tarn_reason_set(reason, status,
				       "driver %s: io_uring_enter(2) fails (%s): a seccomp filter, "
				       "as containers have: allow it, or %s",
				       opts->driver, strerror(-status), opts->instead);
	return 0;
}

static struct tarn_uring_key
least_key(const struct tarn_uring_opts *opts)
{
	return (
	    struct tarn_uring_key){ .plain = opts->plain, .wide = opts->wide, .sqpoll_cpu = -1 };
}

int
tarn_uring_allowed(const struct tarn_uring_opts *opts, struct tarn_reason *reason)
{
	struct tarn_uring_key key = least_key(opts);
	struct tarn_uring_setup setup;

	return ring_try(opts, &key, &setup, reason);
}

static int
sqpoll_try(const struct tarn_uring_opts *opts, struct tarn_uring_mode *mode)
{
	struct tarn_uring_key key = mode->key;
	struct tarn_uring_setup setup;
	cpu_set_t allowed;

	key.sqpoll = true;
	key.sqpoll_cpu = opts->sqpoll_cpu;
	key.sqpoll_idle_ms = opts->sqpoll_idle_ms;
	tarn_cpus_allowed(&allowed);
	if (opts->sqpoll == TARN_AUTO && (uint32_t)CPU_COUNT(&allowed) <= tarn_reactor_count())
		return tarn_reason_set(&mode->sqpoll_reason, -EAGAIN,
				       "sqpoll: no CPU to spare for the kernel's thread: %d CPUs, "
				       "%u reactors",
				       CPU_COUNT(&allowed), tarn_reactor_count());
	if (ring_try(opts, &key, &setup, &mode->sqpoll_reason) != 0)
		return -EINVAL;
	mode->key = key;
	mode->setup = setup;
	return 0;
}

int
tarn_uring_mode_choose(const struct tarn_uring_opts *opts, struct tarn_uring_mode *ret_mode,
		       struct tarn_reason *reason)
{
	struct tarn_uring_mode mode = { .key = least_key(opts) };
	int status = ring_try(opts, &mode.key, &mode.setup, reason);

	if (status != 0)
		return status;
	if (opts->sqpoll != TARN_OFF) {
		status = sqpoll_try(opts, &mode);
		if (status != 0 && opts->sqpoll == TARN_ON)
			return tarn_reason_set(reason, status, "%s: %s", opts->filename,
					       mode.sqpoll_reason.text);
	}
	if (opts->iopoll != TARN_OFF) {
		status = opts->iopoll_try(opts->arg, &mode, &mode.iopoll_reason);
		if (status != 0 && opts->iopoll == TARN_ON)
			return tarn_reason_set(reason, status, "%s: %s", opts->filename,
					       mode.iopoll_reason.text);
		mode.key.iopoll = status == 0;
	}
	*ret_mode = mode;
	return 0;
}
