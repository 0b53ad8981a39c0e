/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Driver uring_cmd: the table. NVMe commands by io_uring, past the block layer. A reactor's
 * channels share one ring for each mode in use; under IOPOLL a second one, which is not polled,
 * takes what is neither read nor write.
 */
#include <errno.h>

#include "lib/bdev/uring_cmd/uring_cmd.h"

#define CMD_QUEUE_DEPTH 128

static int
cmd_group_open(struct tarn_group *tgroup)
{
	return tarn_uring_group_open(tarn_group_ctx(tgroup));
}

static void
cmd_group_close(struct tarn_group *tgroup)
{
	tarn_uring_group_close(tarn_group_ctx(tgroup));
}

static uint64_t
cmd_may_sleep_ns(struct tarn_group *tgroup)
{
	return tarn_uring_group_may_sleep_ns(tarn_group_ctx(tgroup));
}

static int
cmd_sleep_fd(struct tarn_group *tgroup)
{
	return ((struct tarn_uring_group *)tarn_group_ctx(tgroup))->event_fd;
}

static int
cmd_channel_open(struct tarn_channel *channel)
{
	struct cmd_channel *cch = tarn_channel_ctx(channel);

	cch->cbdev = tarn_bdev_ctx(tarn_channel_bdev(channel));
	return tarn_uring_pair_open(
	    tarn_group_ctx(tarn_channel_group(channel)), &cch->cbdev->mode.key,
	    cch->cbdev->fixed_files ? cch->cbdev->device.fd : -1, &cch->rings);
}

static void
cmd_channel_close(struct tarn_channel *channel)
{
	struct cmd_channel *cch = tarn_channel_ctx(channel);

	tarn_uring_pair_close(&cch->rings);
}

static int
cmd_open(struct tarn_bdev *bdev, const void *opts, struct tarn_bdev_limits *limits,
	 struct tarn_reason *reason)
{
	const struct tarn_bdev_file_opts *fopts = opts;
	struct cmd_bdev *cbdev = tarn_bdev_ctx(bdev);
	int status = tarn_bdev_file_check_opts("uring_cmd", fopts, reason);

	/* Before the device is touched: whether this process has io_uring does not depend on it. */
	if (status == 0)
		status = cmd_mode_allowed(fopts, reason);
	if (status == 0)
		status = nvme_device_open(fopts, &cbdev->device, reason);
	if (status != 0)
		return status;
	status = cmd_mode_choose(fopts, cbdev, reason);
	if (status != 0) {
		nvme_device_close(&cbdev->device);
		return status;
	}
	nvme_device_limits(&cbdev->device, limits);
	limits->queue_depth = CMD_QUEUE_DEPTH;
	return 0;
}

static void
cmd_close(struct tarn_bdev *bdev)
{
	struct cmd_bdev *cbdev = tarn_bdev_ctx(bdev);

	nvme_device_close(&cbdev->device);
}

static int
cmd_control(struct tarn_bdev *bdev, uint32_t command, const void *arg, struct tarn_reason *reason)
{
	struct cmd_bdev *cbdev = tarn_bdev_ctx(bdev);
	struct tarn_bdev_file *block = &cbdev->device.block;

	(void)arg;
	if (command == TARN_BDEV_LOOK && (tarn_bdev_file_check_gone(bdev, block, -ENODEV) ||
					  !tarn_bdev_file_size_changed(block)))
		return 0;
	if (command == TARN_BDEV_LOOK || command == TARN_BDEV_RESCAN)
		return nvme_device_rescan(bdev, &cbdev->device, reason);
	return tarn_bdev_file_control(bdev, block, command, reason);
}

static void
cmd_describe(struct tarn_bdev *bdev, const struct tarn_info_sink *sink)
{
	const struct cmd_bdev *cbdev = tarn_bdev_ctx(bdev);
	const struct tarn_bdev_file_opts *opts = tarn_bdev_opts(bdev);

	sink->text(sink->arg, "filename", opts->filename);
	nvme_device_describe(&cbdev->device, sink);
	sink->number(sink->arg, "command_retries",
		     __atomic_load_n(&cbdev->command_retry_count, __ATOMIC_RELAXED));
	sink->number(sink->arg, "command_retries_max", cbdev->device.retry_max);
	cmd_mode_describe(cbdev, opts, sink);
	tarn_uring_describe(&cbdev->mode.key, sink);
}

static const struct tarn_bdev_driver uring_cmd_driver = {
	.name = "uring_cmd",
	.product = "NVMe passthrough bdev",
	.batch_clock = true,
	.bdev_ctx_bytes = sizeof(struct cmd_bdev),
	.group_ctx_bytes = sizeof(struct tarn_uring_group),
	.channel_ctx_bytes = sizeof(struct cmd_channel),
	.io_ctx_bytes = sizeof(struct cmd_io),
	.opts_copy = tarn_bdev_file_opts_copy,
	.opts_free = tarn_bdev_file_opts_free,
	.open = cmd_open,
	.close = cmd_close,
	.control = cmd_control,
	.describe = cmd_describe,
	.group_open = cmd_group_open,
	.group_close = cmd_group_close,
	.poll = cmd_io_poll,
	.may_sleep_ns = cmd_may_sleep_ns,
	.sleep_fd = cmd_sleep_fd,
	.channel_open = cmd_channel_open,
	.channel_close = cmd_channel_close,
	.submit = cmd_io_submit,
};
TARN_BDEV_DRIVER(uring_cmd_driver)
