/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A device that does nothing: what is submitted completes at the next poll, reads leave the buffer
 * as it is. It measures the cost of everything above a driver.
 */
#include <errno.h>

#include "tarn/bdev_driver.h"
#include "tarn/util.h"

#define BLOCK_SIZE_DEFAULT 4096
#define QUEUE_DEPTH_DEFAULT 256

struct null_group {
	struct tarn_io *submitted; /* last first: no order is promised between I/Os in flight */
};

struct null_io {
	struct tarn_io *next;
};

static int
check_size(const struct tarn_bdev *bdev, uint64_t size_bytes, uint32_t block_size,
	   struct tarn_reason *reason)
{
	if (size_bytes == 0 || size_bytes % block_size != 0)
		return tarn_reason_set(
		    reason, -EINVAL,
		    "%s: a size of %llu bytes is not a multiple of the block size %u",
		    tarn_bdev_name(bdev), (unsigned long long)size_bytes, block_size);
	return 0;
}

static int
null_open(struct tarn_bdev *bdev, const void *opts, struct tarn_bdev_limits *limits,
	  struct tarn_reason *reason)
{
	const struct tarn_bdev_null_opts *null = opts;
	uint32_t block_size = null->block_size != 0 ? null->block_size : BLOCK_SIZE_DEFAULT;

	if (!tarn_is_pow2(block_size) || block_size < 512)
		return tarn_reason_set(reason, -EINVAL,
				       "%s: block_size %u is not a power of two of at least 512",
				       tarn_bdev_name(bdev), block_size);
	limits->size_bytes = null->size_bytes;
	limits->block_size = block_size;
	limits->physical_block_size = null->physical_block_size;
	limits->queue_depth = QUEUE_DEPTH_DEFAULT;
	for (int op = 0; op < TARN_IO_OP_COUNT; op++)
		limits->support[op] = TARN_IO_NATIVE;
	limits->fua = true;
	return check_size(bdev, null->size_bytes, block_size, reason);
}

static void
null_close(struct tarn_bdev *bdev)
{
	(void)bdev;
}

static int
null_control(struct tarn_bdev *bdev, uint32_t command, const void *arg, struct tarn_reason *reason)
{
	struct tarn_bdev_null_opts *null = tarn_bdev_opts_mutable(bdev);
	struct tarn_bdev_info info;
	uint64_t size_bytes;
	int status;

	if (command != TARN_BDEV_RESIZE)
		return tarn_reason_set(reason, -ENOTSUP, "%s: a null device can only be resized",
				       tarn_bdev_name(bdev));
	size_bytes = *(const uint64_t *)arg;
	tarn_bdev_get_info(bdev, &info);
	status = check_size(bdev, size_bytes, info.block_size, reason);
	if (status != 0)
		return status;
	null->size_bytes = size_bytes;
	tarn_bdev_notify_resize(bdev, size_bytes);
	return 0;
}

static void
null_submit(struct tarn_channel *channel, struct tarn_io *io)
{
	struct null_group *group = tarn_group_ctx(tarn_channel_group(channel));
	struct null_io *null = tarn_io_ctx(io);

	null->next = group->submitted;
	group->submitted = io;
}

static int
null_poll(struct tarn_group *tarn_group)
{
	struct null_group *group = tarn_group_ctx(tarn_group);
	struct tarn_io *io = group->submitted;
	int count = 0;

	group->submitted = NULL;
	while (io != NULL) {
		struct null_io *null = tarn_io_ctx(io);
		struct tarn_io *next = null->next;

		tarn_io_complete(io, 0);
		io = next;
		count++;
	}
	return count;
}

static const struct tarn_bdev_driver null_driver = {
	.name = "null",
	.product = "Null disk",
	.group_ctx_bytes = sizeof(struct null_group),
	.io_ctx_bytes = sizeof(struct null_io),
	.batch_clock = true,
	.opts_bytes = sizeof(struct tarn_bdev_null_opts),
	.open = null_open,
	.close = null_close,
	.control = null_control,
	.poll = null_poll,
	.submit = null_submit,
};
TARN_BDEV_DRIVER(null_driver)
