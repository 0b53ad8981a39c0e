/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A device in memory. The copy is made at the next poll, in the order of submission, so that a
 * write that completed is seen by whatever is submitted after it. Pages become memory as they are
 * first written, and are given back by discard and write zeroes.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tarn/bdev_driver.h"
#include "tarn/util.h"

#define BLOCK_SIZE_DEFAULT 4096
#define QUEUE_DEPTH_DEFAULT 256

struct ram_bdev {
	uint8_t *data;
	uint64_t size_bytes;
};

struct ram_group {
	struct tarn_io *first, *last;
};

struct ram_io {
	struct tarn_io *next;
};

static int
check_opts(const char *name, const struct tarn_bdev_ram_opts *ram, uint32_t block_size,
	   struct tarn_reason *reason)
{
	if (!tarn_is_pow2(block_size) || block_size < 512)
		return tarn_reason_set(reason, -EINVAL,
				       "%s: block_size %u is not a power of two of at least 512",
				       name, block_size);
	if (ram->size_bytes == 0 || ram->size_bytes % block_size != 0)
		return tarn_reason_set(
		    reason, -EINVAL,
		    "%s: a size of %llu bytes is not a multiple of the block size %u", name,
		    (unsigned long long)ram->size_bytes, block_size);
	return 0;
}

static int
ram_open(struct tarn_bdev *bdev, const void *opts, struct tarn_bdev_limits *limits,
	 struct tarn_reason *reason)
{
	const struct tarn_bdev_ram_opts *ram = opts;
	uint32_t block_size = ram->block_size != 0 ? ram->block_size : BLOCK_SIZE_DEFAULT;
	struct ram_bdev *rb = tarn_bdev_ctx(bdev);
	int status = check_opts(tarn_bdev_name(bdev), ram, block_size, reason);

	if (status != 0)
		return status;
	rb->size_bytes = ram->size_bytes;
	rb->data = mmap(NULL, rb->size_bytes, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (rb->data == MAP_FAILED)
		return tarn_reason_set(reason, -ENOMEM, "%s: no address space for %llu bytes",
				       tarn_bdev_name(bdev), (unsigned long long)rb->size_bytes);
	/* A hint: fewer TLB misses where the kernel has transparent huge pages. */
	(void)madvise(rb->data, rb->size_bytes, MADV_HUGEPAGE);
	limits->size_bytes = ram->size_bytes;
	limits->block_size = block_size;
	limits->physical_block_size = ram->physical_block_size;
	limits->queue_depth = QUEUE_DEPTH_DEFAULT;
	for (int op = 0; op < TARN_IO_OP_COUNT; op++)
		limits->support[op] = TARN_IO_NATIVE;
	limits->fua = true; /* there is nothing more durable to reach */
	return 0;
}

static void
ram_close(struct tarn_bdev *bdev)
{
	struct ram_bdev *rb = tarn_bdev_ctx(bdev);

	munmap(rb->data, rb->size_bytes);
}

/*
 * Whole pages go back to the system and read as zeroes; what is left of a page at either end is
 * cleared.
 */
static void
clear(struct ram_bdev *rb, uint64_t offset_bytes, uint64_t length_bytes)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t end = offset_bytes + length_bytes;
	uint64_t from = tarn_align_up(offset_bytes, page);
	uint64_t to = end & ~(page - 1);

	if (from >= to || madvise(rb->data + from, to - from, MADV_DONTNEED) != 0) {
		memset(rb->data + offset_bytes, 0, length_bytes);
		return;
	}
	memset(rb->data + offset_bytes, 0, from - offset_bytes);
	memset(rb->data + to, 0, end - to);
}

static void
copy(struct ram_bdev *rb, const struct tarn_io *io)
{
	uint8_t *at = rb->data + io->offset_bytes;

	for (uint32_t i = 0; i < io->iov_count; i++) {
		if (io->op == TARN_IO_READ)
			memcpy(io->iov[i].iov_base, at, io->iov[i].iov_len);
		else
			memcpy(at, io->iov[i].iov_base, io->iov[i].iov_len);
		at += io->iov[i].iov_len;
	}
}

static void
carry_out(struct tarn_io *io)
{
	struct ram_bdev *rb = tarn_bdev_ctx(tarn_channel_bdev(io->channel));

	switch (io->op) {
	case TARN_IO_READ:
	case TARN_IO_WRITE:
		tarn_assert(tarn_range_within(io->offset_bytes, io->length_bytes, rb->size_bytes));
		copy(rb, io);
		break;
	case TARN_IO_DISCARD:
	case TARN_IO_WRITE_ZEROES:
		clear(rb, io->offset_bytes, io->length_bytes);
		break;
	default:
		break; /* a flush: there is nothing more durable to reach */
	}
}

static void
ram_submit(struct tarn_channel *channel, struct tarn_io *io)
{
	struct ram_group *group = tarn_group_ctx(tarn_channel_group(channel));
	struct ram_io *ram = tarn_io_ctx(io);

	ram->next = NULL;
	if (group->last != NULL)
		((struct ram_io *)tarn_io_ctx(group->last))->next = io;
	else
		group->first = io;
	group->last = io;
}

static int
ram_poll(struct tarn_group *tarn_group)
{
	struct ram_group *group = tarn_group_ctx(tarn_group);
	struct tarn_io *io = group->first;
	int count = 0;

	group->first = NULL;
	group->last = NULL;
	while (io != NULL) {
		struct ram_io *ram = tarn_io_ctx(io);
		struct tarn_io *next = ram->next;

		carry_out(io);
		tarn_io_complete(io, 0);
		io = next;
		count++;
	}
	return count;
}

static const struct tarn_bdev_driver ram_driver = {
	.name = "ram",
	.product = "Malloc disk",
	.bdev_ctx_bytes = sizeof(struct ram_bdev),
	.group_ctx_bytes = sizeof(struct ram_group),
	.io_ctx_bytes = sizeof(struct ram_io),
	.opts_bytes = sizeof(struct tarn_bdev_ram_opts),
	.open = ram_open,
	.close = ram_close,
	.poll = ram_poll,
	.submit = ram_submit,
};
TARN_BDEV_DRIVER(ram_driver)
