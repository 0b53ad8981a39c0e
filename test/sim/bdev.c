/* SPDX-License-Identifier: BSD-3-Clause */
/* The driver: latencies, order of completion, failures. See bdev.h and device.h. */
#include "bdev.h"

#include <errno.h>
#include <string.h>

#include "lib/cache/disk.h"
#include "tarn/bdev_driver.h"
#include "tarn/env.h"
#include "tarn/util.h"

#define QUEUE_DEPTH 64

struct sim_io {
	uint64_t due_ns;
	uint64_t covers; /* a flush: what it makes durable */
};

/* The one reactor's. */
static struct tarn_io_list queue = TAILQ_HEAD_INITIALIZER(queue);
static uint32_t inflight_count;

static const struct sim_bdev_opts *
opts_of(const struct tarn_io *io)
{
	return tarn_bdev_opts(tarn_channel_bdev(io->channel));
}

static int
sim_open(struct tarn_bdev *bdev, const void *opts, struct tarn_bdev_limits *limits,
	 struct tarn_reason *reason)
{
	const struct sim_bdev_opts *sim = opts;

	(void)bdev;
	if (sim->device == NULL || sim->event == NULL)
		return tarn_reason_set(reason, -EINVAL, "no device");
	limits->size_bytes = sim->device->size_bytes;
	limits->block_size = DEVICE_SECTOR;
	limits->physical_block_size = DEVICE_BLOCK;
	limits->queue_depth = QUEUE_DEPTH;
	limits->write_cache = sim->device->write_cache;
	limits->support[TARN_IO_FLUSH] = TARN_IO_NATIVE;
	limits->support[TARN_IO_DISCARD] = TARN_IO_NATIVE;
	limits->support[TARN_IO_WRITE_ZEROES] = TARN_IO_NATIVE;
	limits->fua = true;
	return 0;
}

static void
sim_submit(struct tarn_channel *channel, struct tarn_io *io)
{
	const struct sim_bdev_opts *opts = opts_of(io);
	struct rng *rng = &opts->device->rng;
	struct sim_io *sim = tarn_io_ctx(io);
	uint64_t us = rng_range(rng, opts->latency_min_us, opts->latency_max_us);

	(void)channel;
	opts->event(io, false);
	if (io->op == TARN_IO_FLUSH && opts->flush_us_max != 0)
		us = rng_range(rng, opts->latency_min_us, opts->flush_us_max);
	if (io->op == TARN_IO_READ && opts->read_us_max != 0 && rng_chance(rng, 30))
		us = rng_range(rng, opts->latency_min_us, opts->read_us_max);
	if (rng_chance(rng, 10))
		us *= 10;
	sim->due_ns = tarn_now_ns() + us * 1000 + rng_below(rng, 1000);
	sim->covers = io->op == TARN_IO_FLUSH ? device_flush_begin(opts->device) : 0;
	TAILQ_INSERT_TAIL(&queue, io, link);
	inflight_count++;
}

/* The headers of segments tell how far the log has come. */
static void
note_segment(struct device *device, const struct tarn_io *io)
{
	const struct disk_segment *segment = io->iov[0].iov_base;

	if (io->length_bytes == DEVICE_BLOCK && io->iov[0].iov_len == DEVICE_BLOCK &&
	    segment->head.magic == DISK_SEGMENT_MAGIC && segment->shard < DEVICE_SHARDS_MAX)
		device->segment_count[segment->shard]++;
}

static int
carry_out_write(struct device *device, const struct tarn_io *io)
{
	if (rng_chance(&device->rng, device->write_fail_per_mille)) {
		device->failed_count++;
		device_tear(device, io->iov, io->iov_count, io->offset_bytes);
		return -EIO;
	}
	note_segment(device, io);
	device_write(device, io->iov, io->iov_count, io->offset_bytes,
		     (io->flags & TARN_IO_FUA) != 0);
	return 0;
}

static int
carry_out_flush(struct device *device, struct tarn_io *io)
{
	const struct sim_io *sim = tarn_io_ctx(io);

	if (rng_chance(&device->rng, device->flush_fail_per_mille)) {
		device->failed_count++;
		device_flush_fail(device, sim->covers);
		return -EIO;
	}
	device_flush_end(device, sim->covers);
	return 0;
}

static int
carry_out(struct tarn_io *io)
{
	struct device *device = opts_of(io)->device;

	switch (io->op) {
	case TARN_IO_READ:
		if (rng_chance(&device->rng, device->read_fail_per_mille)) {
			device->failed_count++;
			return -EIO;
		}
		if (device_read(device, io->iov, io->iov_count, io->offset_bytes))
			return 0;
		device->failed_count++;
		return -EIO;
	case TARN_IO_WRITE:
		return carry_out_write(device, io);
	case TARN_IO_FLUSH:
		return carry_out_flush(device, io);
	default:
		device_zero(device, io->offset_bytes, io->length_bytes);
		return 0;
	}
}

static struct tarn_io *
first_due(void)
{
	struct tarn_io *io, *first = NULL;

	TAILQ_FOREACH (io, &queue, link) {
		const struct sim_io *sim = tarn_io_ctx(io);

		if (first == NULL || sim->due_ns < ((struct sim_io *)tarn_io_ctx(first))->due_ns)
			first = io;
	}
	return first;
}

static int
sim_poll(struct tarn_group *group)
{
	uint64_t now_ns = tarn_now_ns();
	struct tarn_io *io;
	int count = 0;

	(void)group;
	while ((io = first_due()) != NULL && ((struct sim_io *)tarn_io_ctx(io))->due_ns <= now_ns) {
		int status;

		opts_of(io)->event(io, true);
		TAILQ_REMOVE(&queue, io, link);
		inflight_count--;
		status = carry_out(io);
		tarn_io_complete(io, status);
		count++;
	}
	return count;
}

uint64_t
sim_bdev_due_ns(void)
{
	struct tarn_io *io = first_due();

	return io != NULL ? ((struct sim_io *)tarn_io_ctx(io))->due_ns : UINT64_MAX;
}

uint32_t
sim_bdev_inflight_count(void)
{
	return inflight_count;
}

void
sim_bdev_tear(void)
{
	struct tarn_io *io;

	TAILQ_FOREACH (io, &queue, link)
		if (io->op == TARN_IO_WRITE)
			device_tear(opts_of(io)->device, io->iov, io->iov_count, io->offset_bytes);
}

static const struct tarn_bdev_driver sim_driver = {
	.name = "sim",
	.product = "Simulated disk",
	.io_ctx_bytes = sizeof(struct sim_io),
	.opts_bytes = sizeof(struct sim_bdev_opts),
	.open = sim_open,
	.poll = sim_poll,
	.submit = sim_submit,
};
TARN_BDEV_DRIVER(sim_driver)
