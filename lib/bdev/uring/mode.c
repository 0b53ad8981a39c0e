/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the options come to on this kernel and device. Nothing is guessed: a ring of each kind is
 * made, and one block is read through a polled one, before a bdev relies on it.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bdev/uring/uring.h"
#include "tarn/env.h"

#define PROBE_ENTRIES 8
#define PROBE_TIMEOUT_NS UINT64_C(2000000000)

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
ring_try(const struct uring_key *key, struct uring_setup *ret_setup, struct tarn_reason *reason)
{
	struct io_uring ring;
	int status = uring_setup(key, PROBE_ENTRIES, io_uring_queue_init_params, &ring, ret_setup);

	if (status != 0)
		return uring_setup_refused(key, status, reason);
	status = enter_try(&ring);
	io_uring_queue_exit(&ring);
	if (status != 0)
		return tarn_reason_set(reason, status,
				       "driver uring: io_uring_enter(2) fails (%s): a seccomp "
				       "filter, as containers have: allow it, or use driver aio, "
				       "or fallback: true",
				       strerror(-status));
	return 0;
}

int
uring_mode_allowed(const struct tarn_bdev_file_opts *opts, struct tarn_reason *reason)
{
	struct uring_key key = { .plain = opts->no_ring_flags, .sqpoll_cpu = -1 };
	struct uring_setup setup;

	return ring_try(&key, &setup, reason);
}

/* Read one block with a polled ring. \return 0, -ETIME, or how the read failed. */
static int
polled_read(struct io_uring *ring, const struct tarn_bdev_file *file, void *block)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	uint64_t start_ns = tarn_now_ns();
	struct io_uring_cqe *cqe = NULL;
	int result;

	io_uring_prep_read(sqe, file->fd, block, file->block_size, 0);
	result = io_uring_submit_and_get_events(ring);
	while (result >= 0 && io_uring_peek_cqe(ring, &cqe) != 0) {
		if (tarn_now_ns() - start_ns > PROBE_TIMEOUT_NS)
			return -ETIME;
		result = io_uring_get_events(ring);
	}
	if (result < 0)
		return result;
	result = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	if (result < 0)
		return result;
	return (uint32_t)result == file->block_size ? 0 : -EIO;
}

static int
iopoll_try(const struct uring_bdev *ubdev, struct tarn_reason *reason)
{
	struct uring_key key = { .iopoll = true, .plain = ubdev->key.plain, .sqpoll_cpu = -1 };
	struct uring_setup setup;
	struct io_uring ring;
	void *block = NULL;
	int status;

	if (!ubdev->file.direct)
		return tarn_reason_set(reason, -EINVAL,
				       "iopoll needs O_DIRECT: leave direct at true");
	if (!ubdev->file.poll_queues)
		return tarn_reason_set(reason, -EOPNOTSUPP,
				       "iopoll: the device has no poll queues "
				       "(/sys/block/*/queue/io_poll is not 1; for NVMe give the "
				       "module nvme the parameter poll_queues=N)");
	if (posix_memalign(&block, TARN_IOMEM_ALIGN,
			   tarn_max_u64(ubdev->file.block_size, TARN_IOMEM_ALIGN)) != 0)
		return tarn_reason_set(reason, -ENOMEM, "iopoll: no memory to try it");
	status = uring_setup(&key, PROBE_ENTRIES, io_uring_queue_init_params, &ring, &setup);
	if (status == 0) {
		status = polled_read(&ring, &ubdev->file, block);
		io_uring_queue_exit(&ring); /* and with it a read that never came back */
	}
	free(block);
	if (status != 0)
		return tarn_reason_set(reason, status,
				       "iopoll: a polled read of the device failed: %s",
				       strerror(-status));
	return 0;
}

static int
sqpoll_try(const struct tarn_bdev_file_opts *opts, struct uring_bdev *ubdev,
	   struct tarn_reason *reason)
{
	struct uring_key key = ubdev->key;
	struct uring_setup setup;
	cpu_set_t allowed;

	key.sqpoll = true;
	key.sqpoll_cpu = opts->sqpoll_cpu;
	key.sqpoll_idle_ms = opts->sqpoll_idle_ms;
	tarn_cpus_allowed(&allowed);
	if (opts->sqpoll == TARN_AUTO && (uint32_t)CPU_COUNT(&allowed) <= tarn_reactor_count())
		return tarn_reason_set(reason, -EAGAIN,
				       "sqpoll: no CPU to spare for the kernel's thread: %d CPUs, "
				       "%u reactors",
				       CPU_COUNT(&allowed), tarn_reactor_count());
	if (ring_try(&key, &setup, reason) != 0)
		return -EINVAL;
	ubdev->key = key;
	ubdev->setup = setup;
	return 0;
}

int
uring_mode_choose(const struct tarn_bdev_file_opts *opts, struct uring_bdev *ubdev,
		  struct tarn_reason *reason)
{
	int status;

	ubdev->key = (struct uring_key){ .plain = opts->no_ring_flags, .sqpoll_cpu = -1 };
	ubdev->fixed_buffers = !opts->no_fixed_buffers;
	ubdev->fixed_files = !opts->no_fixed_files;
	status = ring_try(&ubdev->key, &ubdev->setup, reason);
	if (status != 0)
		return status;
	if (opts->sqpoll != TARN_OFF) {
		status = sqpoll_try(opts, ubdev, &ubdev->sqpoll_reason);
		if (status != 0 && opts->sqpoll == TARN_ON)
			return tarn_reason_set(reason, status, "%s: %s", opts->filename,
					       ubdev->sqpoll_reason.text);
	}
	ubdev->ordinary_key = ubdev->key;
	if (opts->iopoll != TARN_OFF) {
		status = iopoll_try(ubdev, &ubdev->iopoll_reason);
		if (status != 0 && opts->iopoll == TARN_ON)
			return tarn_reason_set(reason, status, "%s: %s", opts->filename,
					       ubdev->iopoll_reason.text);
		ubdev->key.iopoll = status == 0;
	}
	return 0;
}

static const char *
mode_name(const struct uring_key *key)
{
	if (key->sqpoll)
		return key->iopoll ? "sqpoll+iopoll" : "sqpoll";
	return key->iopoll ? "iopoll" : "interrupt";
}

static const char *
tristate_name(enum tarn_tristate state)
{
	static const char *const names[] = {
		[TARN_OFF] = "off", [TARN_ON] = "on", [TARN_AUTO] = "auto"
	};

	return names[state];
}

void
uring_mode_describe(const struct uring_bdev *ubdev, const struct tarn_bdev_file_opts *opts,
		    const struct tarn_info_sink *sink)
{
	sink->text(sink->arg, "mode", mode_name(&ubdev->key));
	sink->text(sink->arg, "sqpoll_requested", tristate_name(opts->sqpoll));
	if (ubdev->sqpoll_reason.text[0] != '\0')
		sink->text(sink->arg, "sqpoll_reason", ubdev->sqpoll_reason.text);
	sink->text(sink->arg, "iopoll_requested", tristate_name(opts->iopoll));
	if (__atomic_load_n(&ubdev->iopoll_failed, __ATOMIC_RELAXED))
		sink->text(sink->arg, "iopoll_reason",
			   "the device refused a polled request: the ordinary ring is used");
	else if (ubdev->iopoll_reason.text[0] != '\0')
		sink->text(sink->arg, "iopoll_reason", ubdev->iopoll_reason.text);
	sink->flag(sink->arg, "fixed_buffers", ubdev->fixed_buffers);
	sink->flag(sink->arg, "fixed_files", ubdev->fixed_files);
	sink->begin(sink->arg, "ring_flags");
	for (int i = 0; i < URING_FLAG_COUNT; i++)
		sink->text(sink->arg, uring_flag_name(i),
			   ubdev->setup.dropped[i] == NULL ? "on" : ubdev->setup.dropped[i]);
	sink->end(sink->arg);
}
