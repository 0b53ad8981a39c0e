/* SPDX-License-Identifier: BSD-3-Clause */
#include "test/unit/cache/volatile.h"

#include <stdlib.h>
#include <string.h>

#include "test/unit/common/ut.h"

#define PAGE 4096

struct volatile_disk volatile_disk;

struct volatile_group {
	struct tarn_io_list queue;
};

static int
volatile_open(struct tarn_bdev *bdev, const void *opts, struct tarn_bdev_limits *limits,
	      struct tarn_reason *reason)
{
	struct volatile_disk *disk = &volatile_disk;

	(void)bdev;
	(void)opts;
	(void)reason;
	volatile_free();
	disk->data = calloc(1, disk->size_bytes);
	disk->flushed = calloc(1, disk->size_bytes);
	disk->written = calloc(1, disk->size_bytes / PAGE);
	*limits = (struct tarn_bdev_limits){
		.size_bytes = disk->size_bytes,
		.block_size = VOLATILE_SECTOR,
		.queue_depth = 32,
		.write_cache = true,
		.support = { [TARN_IO_FLUSH] = TARN_IO_NATIVE },
	};
	return 0;
}

static void
volatile_close(struct tarn_bdev *bdev)
{
	(void)bdev;
	volatile_free();
}

void
volatile_free(void)
{
	free(volatile_disk.data);
	free(volatile_disk.flushed);
	free(volatile_disk.written);
	volatile_disk.data = volatile_disk.flushed = NULL;
	volatile_disk.written = NULL;
}

static int
volatile_group_open(struct tarn_group *group)
{
	struct volatile_group *own = tarn_group_ctx(group);

	TAILQ_INIT(&own->queue);
	return 0;
}

static void
volatile_submit(struct tarn_channel *channel, struct tarn_io *io)
{
	struct volatile_group *group = tarn_group_ctx(tarn_channel_group(channel));

	TAILQ_INSERT_TAIL(&group->queue, io, link);
}

static void
flush(struct volatile_disk *disk)
{
	for (uint64_t page = 0; page < disk->size_bytes / PAGE; page++) {
		if (disk->written[page])
			memcpy(disk->flushed + page * PAGE, disk->data + page * PAGE, PAGE);
		disk->written[page] = false;
	}
}

static void
carry_out(struct tarn_io *io)
{
	struct volatile_disk *disk = &volatile_disk;
	uint64_t at = io->offset_bytes;

	if (io->op == TARN_IO_FLUSH)
		flush(disk);
	for (uint32_t i = 0; io->op <= TARN_IO_WRITE && i < io->iov_count; i++) {
		if (io->op == TARN_IO_READ)
			memcpy(io->iov[i].iov_base, disk->data + at, io->iov[i].iov_len);
		else
			memcpy(disk->data + at, io->iov[i].iov_base, io->iov[i].iov_len);
		for (uint64_t page = at / PAGE;
		     io->op == TARN_IO_WRITE && page * PAGE < at + io->iov[i].iov_len; page++)
			disk->written[page] = true;
		at += io->iov[i].iov_len;
	}
}

static int
volatile_poll(struct tarn_group *group)
{
	struct volatile_group *own = tarn_group_ctx(group);
	struct tarn_io_list queue = TAILQ_HEAD_INITIALIZER(queue);
	struct tarn_io *io;
	int count = 0;

	TAILQ_CONCAT(&queue, &own->queue, link);
	while ((io = TAILQ_FIRST(&queue)) != NULL) {
		TAILQ_REMOVE(&queue, io, link);
		carry_out(io);
		volatile_disk.count[io->op]++;
		tarn_io_complete(io, 0);
		count++;
	}
	volatile_disk.turn_max = (uint32_t)tarn_max_u64(volatile_disk.turn_max, (uint64_t)count);
	return count;
}

void
volatile_touch(void)
{
	memset(volatile_disk.written, true, volatile_disk.size_bytes / PAGE);
}

void
volatile_let_go(void)
{
	memset(volatile_disk.written, false, volatile_disk.size_bytes / PAGE);
}

void
volatile_lose(uint8_t *data, const uint8_t *flushed, uint64_t seed)
{
	for (uint64_t at = 0; at < volatile_disk.size_bytes; at += VOLATILE_SECTOR) {
		if (memcmp(data + at, flushed + at, VOLATILE_SECTOR) == 0)
			continue;
		seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		if ((seed >> 40 & 1) != 0)
			memcpy(data + at, flushed + at, VOLATILE_SECTOR);
	}
}

static const struct tarn_bdev_driver volatile_driver = {
	.name = "volatile",
	.product = "Disk with a volatile cache",
	.group_ctx_bytes = sizeof(struct volatile_group),
	.opts_bytes = sizeof(struct tarn_bdev_common_opts),
	.open = volatile_open,
	.close = volatile_close,
	.group_open = volatile_group_open,
	.poll = volatile_poll,
	.submit = volatile_submit,
};
TARN_BDEV_DRIVER(volatile_driver)
