/* SPDX-License-Identifier: BSD-3-Clause */
/* What a device is, for those who ask: sizes, support, names, the driver's own facts. */
#include <stddef.h>

#include "lib/bdev/internal.h"

const char *
tarn_io_op_name(enum tarn_io_op op)
{
	static const char *const names[TARN_IO_OP_COUNT] = {
		[TARN_IO_READ] = "read",
		[TARN_IO_WRITE] = "write",
		[TARN_IO_FLUSH] = "flush",
		[TARN_IO_DISCARD] = "discard",
		[TARN_IO_WRITE_ZEROES] = "write_zeroes",
	};

	return names[op];
}

const char *
tarn_io_support_name(enum tarn_io_support support)
{
	static const char *const names[] = {
		[TARN_IO_NONE] = "none",
		[TARN_IO_NATIVE] = "native",
		[TARN_IO_EMULATED] = "emulated",
		[TARN_IO_NOOP] = "no-op",
	};

	return names[support];
}

struct tarn_bdev *
tarn_bdev_desc_bdev(const struct tarn_bdev_desc *desc)
{
	return desc->bdev;
}

const char *
tarn_bdev_name(const struct tarn_bdev *bdev)
{
	return bdev->name;
}

const char *
tarn_bdev_driver_name(const struct tarn_bdev *bdev)
{
	return bdev->driver->name;
}

const void *
tarn_bdev_opts(const struct tarn_bdev *bdev)
{
	return bdev->opts;
}

void *
tarn_bdev_opts_mutable(struct tarn_bdev *bdev)
{
	return bdev->opts;
}

uint64_t
tarn_bdev_size_bytes(const struct tarn_bdev *bdev)
{
	return atomic_load_explicit(&bdev->size_bytes, memory_order_relaxed);
}

static const char *
claimed_by(const struct tarn_bdev *bdev)
{
	const struct tarn_bdev_desc *desc;

	TAILQ_FOREACH (desc, &bdev->descs, link) {
		if (desc->claim != NULL)
			return desc->claim;
	}
	return NULL;
}

void
tarn_bdev_get_info(const struct tarn_bdev *bdev, struct tarn_bdev_info *ret_info)
{
	const struct tarn_bdev_limits *limits = &bdev->limits;

	*ret_info = (struct tarn_bdev_info){
		.name = bdev->name,
		.driver = bdev->driver->name,
		.product = bdev->driver->product,
		.uuid = bdev->uuid,
		.claimed_by = claimed_by(bdev),
		.size_bytes = tarn_bdev_size_bytes(bdev),
		.block_size = limits->block_size,
		.physical_block_size = limits->physical_block_size,
		.buffer_align = limits->buffer_align,
		.max_transfer_bytes = limits->max_transfer_bytes,
		.queue_depth = bdev->queue_depth,
		.queue_depth_auto =
		    ((const struct tarn_bdev_common_opts *)bdev->opts)->queue_depth_auto,
		.queue_depth_now = atomic_load_explicit(&bdev->depth_now, memory_order_relaxed),
		.background_depth = bdev->background_depth,
		.open_count = bdev->open_count,
		.read_only = limits->read_only,
		.write_cache = limits->write_cache,
		.rotational = limits->rotational,
		.removing = atomic_load(&bdev->removing),
		.fua = limits->read_only ? TARN_IO_NONE
		       : limits->fua	 ? TARN_IO_NATIVE
					 : TARN_IO_EMULATED,
	};
	for (int op = 0; op < TARN_IO_OP_COUNT; op++)
		ret_info->support[op] = limits->support[op];
}

void
tarn_bdev_describe(struct tarn_bdev *bdev, const struct tarn_info_sink *sink)
{
	if (bdev->driver->describe != NULL)
		bdev->driver->describe(bdev, sink);
}
