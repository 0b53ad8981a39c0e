/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the options come to on this device, beside what lib/uring finds out of the kernel: one block
 * is read through a polled ring before a bdev relies on it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bdev/uring/uring.h"
#include "tarn/env.h"

struct polled_read {
	const struct tarn_bdev_file *file;
	void *block;
};

static int
polled_read(struct io_uring *ring, void *arg)
{
	const struct polled_read *read = arg;
	uint32_t block_size = read->file->block_size;
	int result;
	int status;

	io_uring_prep_read(io_uring_get_sqe(ring), read->file->fd, read->block, block_size, 0);
	status = tarn_uring_try_one(ring, &result);
	if (status != 0)
		return status;
	if (result < 0)
		return result;
	return (uint32_t)result == block_size ? 0 : -EIO;
}

static int
iopoll_try(void *arg, const struct tarn_uring_mode *mode, struct tarn_reason *reason)
{
	const struct uring_bdev *ubdev = arg;
	struct tarn_uring_key key = { .iopoll = true, .plain = mode->key.plain, .sqpoll_cpu = -1 };
	struct polled_read read = { .file = &ubdev->file };
	int status;

	if (!ubdev->file.direct)
		return tarn_reason_set(reason, -EINVAL,
				       "iopoll needs O_DIRECT: leave direct at true");
	if (!ubdev->file.poll_queues)
		return tarn_reason_set(reason, -EOPNOTSUPP,
				       "iopoll: the device has no poll queues "
				       "(/sys/block/*/queue/io_poll is not 1; for NVMe give the "
				       "module nvme the parameter poll_queues=N)");
	if (posix_memalign(&read.block, TARN_IOMEM_ALIGN,
			   tarn_max_u64(ubdev->file.block_size, TARN_IOMEM_ALIGN)) != 0)
		return tarn_reason_set(reason, -ENOMEM, "iopoll: no memory to try it");
	status = tarn_uring_try(&key, polled_read, &read);
	if (status != -ETIME) /* else the device may still write to it */
		free(read.block);
	if (status != 0)
		return tarn_reason_set(reason, status,
				       "iopoll: a polled read of the device failed: %s",
				       strerror(-status));
	return 0;
}

static struct tarn_uring_opts
ring_opts(const struct tarn_bdev_file_opts *opts)
{
	return (struct tarn_uring_opts){
		.driver = "uring",
		.filename = opts->filename,
		.instead = "use driver aio, or fallback: true",
		.sqpoll = opts->sqpoll,
		.iopoll = opts->iopoll,
		.sqpoll_cpu = opts->sqpoll_cpu,
		.sqpoll_idle_ms = opts->sqpoll_idle_ms,
		.plain = opts->no_ring_flags,
		.iopoll_try = iopoll_try,
	};
}

int
uring_mode_allowed(const struct tarn_bdev_file_opts *opts, struct tarn_reason *reason)
{
	struct tarn_uring_opts ropts = ring_opts(opts);

	return tarn_uring_allowed(&ropts, reason);
}

int
uring_mode_choose(const struct tarn_bdev_file_opts *opts, struct uring_bdev *ubdev,
		  struct tarn_reason *reason)
{
	struct tarn_uring_opts ropts = ring_opts(opts);
	int status;

	ropts.arg = ubdev;
	status = tarn_uring_mode_choose(&ropts, &ubdev->mode, reason);
	if (status != 0)
		return status;
	ubdev->fixed_buffers = !opts->no_fixed_buffers;
	ubdev->fixed_files = !opts->no_fixed_files;
	return 0;
}

void
uring_mode_describe(const struct uring_bdev *ubdev, const struct tarn_bdev_file_opts *opts,
		    const struct tarn_info_sink *sink)
{
	struct tarn_uring_opts ropts = ring_opts(opts);
	bool failed = __atomic_load_n(&ubdev->iopoll_failed, __ATOMIC_RELAXED);

	sink->flag(sink->arg, "fixed_buffers", ubdev->fixed_buffers);
	sink->flag(sink->arg, "fixed_files", ubdev->fixed_files);
	tarn_uring_mode_describe(
	    &ubdev->mode, &ropts,
	    failed ? "the device refused a polled request: the ordinary ring is used" : NULL, sink);
}
