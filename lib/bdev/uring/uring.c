/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Driver uring: the table. A reactor's channels share one ring for each mode in use; under IOPOLL a
 * second one, which is not polled, takes what a polled one does not.
 */
#include "lib/bdev/uring/uring.h"

#define URING_QUEUE_DEPTH 128

static int
uring_group_open(struct tarn_group *tgroup)
{
	return tarn_uring_group_open(tarn_group_ctx(tgroup));
}

static void
uring_group_close(struct tarn_group *tgroup)
{
	tarn_uring_group_close(tarn_group_ctx(tgroup));
}

static uint64_t
uring_may_sleep_ns(struct tarn_group *tgroup)
{
	return tarn_uring_group_may_sleep_ns(tarn_group_ctx(tgroup));
}

static int
uring_sleep_fd(struct tarn_group *tgroup)
{
	return ((struct tarn_uring_group *)tarn_group_ctx(tgroup))->event_fd;
}

static int
uring_channel_open(struct tarn_channel *channel)
{
	struct uring_channel *uch = tarn_channel_ctx(channel);

	uch->ubdev = tarn_bdev_ctx(tarn_channel_bdev(channel));
	return tarn_uring_pair_open(
	    tarn_group_ctx(tarn_channel_group(channel)), &uch->ubdev->mode.key,
	    uch->ubdev->fixed_files ? uch->ubdev->file.fd : -1, &uch->rings);
}

static void
uring_channel_close(struct tarn_channel *channel)
{
	struct uring_channel *uch = tarn_channel_ctx(channel);

	tarn_uring_pair_close(&uch->rings);
}

static int
uring_open(struct tarn_bdev *bdev, const void *opts, struct tarn_bdev_limits *limits,
	   struct tarn_reason *reason)
{
	const struct tarn_bdev_file_opts *fopts = opts;
	struct uring_bdev *ubdev = tarn_bdev_ctx(bdev);
	int status = tarn_bdev_file_check_opts("uring", fopts, reason);

	/* Before the file is touched: whether this process has io_uring does not depend on it. */
	if (status == 0)
		status = uring_mode_allowed(fopts, reason);
	if (status == 0)
		status = tarn_bdev_file_open(fopts, &ubdev->file, reason);
	if (status != 0)
		return status;
	status = uring_mode_choose(fopts, ubdev, reason);
	if (status != 0) {
		tarn_bdev_file_close(&ubdev->file);
		return status;
	}
	tarn_bdev_file_limits(&ubdev->file, limits);
	limits->queue_depth = URING_QUEUE_DEPTH;
	return 0;
}

static void
uring_close(struct tarn_bdev *bdev)
{
	struct uring_bdev *ubdev = tarn_bdev_ctx(bdev);

	tarn_bdev_file_close(&ubdev->file);
}

static int
uring_control(struct tarn_bdev *bdev, uint32_t command, const void *arg, struct tarn_reason *reason)
{
	struct uring_bdev *ubdev = tarn_bdev_ctx(bdev);

	(void)arg;
	return tarn_bdev_file_control(bdev, &ubdev->file, command, reason);
}

static void
uring_describe(struct tarn_bdev *bdev, const struct tarn_info_sink *sink)
{
	const struct uring_bdev *ubdev = tarn_bdev_ctx(bdev);

	tarn_bdev_file_describe(&ubdev->file, tarn_bdev_opts(bdev), sink);
	uring_mode_describe(ubdev, tarn_bdev_opts(bdev), sink);
	tarn_uring_describe(&ubdev->mode.key, sink);
}

static const struct tarn_bdev_driver uring_driver = {
	.name = "uring",
	.product = "URING bdev",
	.batch_clock = true,
	.bdev_ctx_bytes = sizeof(struct uring_bdev),
	.group_ctx_bytes = sizeof(struct tarn_uring_group),
	.channel_ctx_bytes = sizeof(struct uring_channel),
	.io_ctx_bytes = sizeof(struct tarn_uring_wait),
	.opts_copy = tarn_bdev_file_opts_copy,
	.opts_free = tarn_bdev_file_opts_free,
	.open = uring_open,
	.close = uring_close,
	.control = uring_control,
	.describe = uring_describe,
	.group_open = uring_group_open,
	.group_close = uring_group_close,
	.poll = uring_io_poll,
	.may_sleep_ns = uring_may_sleep_ns,
	.sleep_fd = uring_sleep_fd,
	.channel_open = uring_channel_open,
	.channel_close = uring_channel_close,
	.submit = uring_io_submit,
};
TARN_BDEV_DRIVER(uring_driver)
