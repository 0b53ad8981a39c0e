/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the options come to on this kernel and device: one block is read by passthrough in each way
 * that is asked for (plain, by fixed buffer, polled) before a bdev relies on it. A status of the
 * device's own counts as an answer: the way works, even if that block cannot be read.
 */
#include <errno.h>
#include <string.h>

#include "lib/bdev/uring_cmd/uring_cmd.h"
#include "tarn/env.h"

struct trial {
	const struct nvme_device *device;
	void *block; /* I/O memory */
	bool fixed;
};

static int
fixed_register(struct io_uring *ring, const void *block)
{
	struct iovec chunk = {
		.iov_base = tarn_iomem_chunk_addr((uint32_t)tarn_iomem_chunk_index(block, 1)),
		.iov_len = TARN_IOMEM_CHUNK_BYTES,
	};

	return io_uring_register_buffers(ring, &chunk, 1);
}

static int
trial_read(struct io_uring *ring, void *arg)
{
	const struct trial *trial = arg;
	uint32_t length = 1u << trial->device->target.block_shift;
	struct iovec iov = { .iov_base = trial->block, .iov_len = length };
	struct tarn_io io = {
		.op = TARN_IO_READ, .iov = &iov, .iov_count = 1, .length_bytes = length
	};
	struct io_uring_sqe *sqe;
	int result;
	int status = trial->fixed ? fixed_register(ring, trial->block) : 0;

	if (status != 0)
		return status;
	sqe = io_uring_get_sqe(ring);
	io_uring_prep_rw(IORING_OP_URING_CMD, sqe, trial->device->fd, NULL, 0, 0);
	sqe->cmd_op =
	    nvme_command_transfer((struct nvme_uring_cmd *)sqe->cmd, &trial->device->target, &io);
	if (trial->fixed)
		sqe->uring_cmd_flags = IORING_URING_CMD_FIXED;
	io_uring_sqe_set_data(sqe, NULL);
	status = tarn_uring_try_one(ring, &result);
	if (status != 0)
		return status;
	return result < 0 ? result : 0;
}

static int
trial_run(const struct tarn_uring_key *key, const struct nvme_device *device, bool fixed)
{
	struct trial trial = { .device = device, .fixed = fixed };
	int status;

	trial.block = tarn_iobuf_get(device->block.block_size);
	if (trial.block == NULL)
		return -ENOMEM;
	status = tarn_uring_try(key, trial_read, &trial);
	if (status != -ETIME) /* else the device may still write to it */
		tarn_iobuf_put(trial.block);
	return status;
}

static int
iopoll_try(void *arg, const struct tarn_uring_mode *mode, struct tarn_reason *reason)
{
	const struct cmd_bdev *cbdev = arg;
	struct tarn_uring_key key = mode->key;
	int status;

	key.iopoll = true;
	/* Without them the kernel takes the request all the same, and waits for the interrupt. */
	if (!cbdev->device.block.poll_queues)
		return tarn_reason_set(reason, -EOPNOTSUPP,
				       "iopoll: the device has no poll queues "
				       "(/sys/block/*/queue/io_poll is not 1): give the module "
				       "nvme the parameter poll_queues=N");
	status = trial_run(&key, &cbdev->device, false);
	if (status != 0)
		return tarn_reason_set(reason, status,
				       "iopoll: a polled read by passthrough "
				       "failed: %s",
				       strerror(-status));
	return 0;
}

static struct tarn_uring_opts
ring_opts(const struct tarn_bdev_file_opts *opts)
{
	return (struct tarn_uring_opts){
		.driver = "uring_cmd",
		.filename = opts->filename,
		.instead = "use driver aio on the block device",
		.sqpoll = opts->sqpoll,
		.iopoll = opts->iopoll,
		.sqpoll_cpu = opts->sqpoll_cpu,
		.sqpoll_idle_ms = opts->sqpoll_idle_ms,
		.plain = opts->no_ring_flags,
		.wide = true,
		.iopoll_try = iopoll_try,
	};
}

int
cmd_mode_allowed(const struct tarn_bdev_file_opts *opts, struct tarn_reason *reason)
{
	struct tarn_uring_opts ropts = ring_opts(opts);

	return tarn_uring_allowed(&ropts, reason);
}

static void
fixed_choose(struct cmd_bdev *cbdev)
{
	int status = trial_run(&cbdev->mode.key, &cbdev->device, true);

	/* Memory that may not be pinned: each ring tries, and tells, for itself. */
	if (status == 0 || status == -ENOMEM)
		return;
	cbdev->fixed_buffers = false;
	tarn_reason_set(&cbdev->fixed_reason, status,
			"a read by passthrough into a fixed buffer failed: %s (Linux 6.1 refuses "
			"it, 6.12 does not)",
			strerror(-status));
}

int
cmd_mode_choose(const struct tarn_bdev_file_opts *opts, struct cmd_bdev *cbdev,
		struct tarn_reason *reason)
{
	struct tarn_uring_opts ropts = ring_opts(opts);
	struct tarn_uring_key plain = { .wide = true, .sqpoll_cpu = -1 };
	int status = trial_run(&plain, &cbdev->device, false);

	if (status != 0)
		return tarn_reason_set(reason, status,
				       "%s: a read by passthrough failed: %s (Linux 5.19 and later "
				       "have it, with io_uring commands allowed): use driver uring "
				       "on %s",
				       opts->filename, strerror(-status),
				       cbdev->device.nodes.block);
	ropts.arg = cbdev;
	status = tarn_uring_mode_choose(&ropts, &cbdev->mode, reason);
	if (status != 0)
		return status;
	cbdev->fixed_files = !opts->no_fixed_files;
	cbdev->fixed_buffers = !opts->no_fixed_buffers;
	if (cbdev->fixed_buffers)
		fixed_choose(cbdev);
	return 0;
}

void
cmd_mode_describe(const struct cmd_bdev *cbdev, const struct tarn_bdev_file_opts *opts,
		  const struct tarn_info_sink *sink)
{
	struct tarn_uring_opts ropts = ring_opts(opts);
	bool failed = __atomic_load_n(&cbdev->fixed_failed, __ATOMIC_RELAXED);

	sink->flag(sink->arg, "fixed_buffers", cbdev->fixed_buffers && !failed);
	if (failed)
		sink->text(sink->arg, "fixed_buffers_refused",
			   "the kernel refused a command with a fixed buffer");
	else if (cbdev->fixed_reason.text[0] != '\0')
		sink->text(sink->arg, "fixed_buffers_refused", cbdev->fixed_reason.text);
	sink->flag(sink->arg, "fixed_files", cbdev->fixed_files);
	tarn_uring_mode_describe(&cbdev->mode, &ropts, NULL, sink);
}
