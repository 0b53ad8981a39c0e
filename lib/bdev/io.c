/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The life of one I/O.
 *
 *	IDLE --submit: bad--------------------------> SETTLED --end of turn--> IDLE (callback)
 *	IDLE --submit: not as the driver takes it---> SPLIT ----last part----> IDLE (callback)
 *	IDLE --submit: no slot free--> WAITING --io_drain--> (as below)
 *	IDLE --submit: slot----------> DRIVER --tarn_io_complete--> IDLE (callback)
 *	IDLE --submit: merging pays--> PLUGGED --end of turn--> DRIVER (as above)
 *	PLUGGED --end of turn, has neighbours--> MERGED --merge_done--> IDLE (callback)
 *
 * A slot is one of the depth_limit that a channel has in its driver. Parts of a split I/O and the
 * driver's I/O pass through io_admit() alike; an I/O that does not fit waits, it never fails.
 * Foreground goes first, and background has at most background_limit slots.
 */
#include <errno.h>

#include "lib/bdev/internal.h"
#include "tarn/env.h"

static void
set_state(struct tarn_io *io, enum io_state state)
{
	io->state = (uint8_t)state;
}

/* --- Slots --- */

void
io_to_driver(struct tarn_channel *channel, struct tarn_io *io)
{
	set_state(io, IO_DRIVER);
	channel->stats.driver_submit_count++;
	channel->group->inflight_count++;
	channel->driver->submit(channel, io);
}

static void
take_slot(struct tarn_channel *channel, struct tarn_io *io)
{
	channel->inflight_count++;
	if (tarn_unlikely((io->flags & TARN_IO_BACKGROUND) != 0))
		channel->background_count++;
	if (channel->merge_bytes_max != 0 && io->op <= TARN_IO_WRITE)
		merge_plug(channel, io);
	else
		io_to_driver(channel, io);
}

void
io_release_slot(struct tarn_channel *channel, const struct tarn_io *io)
{
	channel->inflight_count--;
	if (tarn_unlikely((io->flags & TARN_IO_BACKGROUND) != 0))
		channel->background_count--;
}

/* Whether I/O of this kind may have a slot now. */
static bool
slot_free(const struct tarn_channel *channel, bool background)
{
	if (channel->inflight_count >= channel->depth_limit)
		return false;
	return !background || channel->background_count < channel->background_limit;
}

static void
wait_for_slot(struct tarn_channel *channel, struct tarn_io *io, bool background)
{
	struct tarn_io_list *list = background ? &channel->waiting_background : &channel->waiting;

	set_state(io, IO_WAITING);
	channel->stats.wait_count++;
	if (channel->inflight_count >= channel->depth_limit)
		channel->full_count++;
	/* A flush does not wait for the tokens of others. */
	if (tarn_unlikely(channel->qos != NULL && io->op == TARN_IO_FLUSH))
		TAILQ_INSERT_HEAD(list, io, link);
	else
		TAILQ_INSERT_TAIL(list, io, link);
	/* Without anything in flight no completion would come to give it a slot. */
	if (channel->inflight_count == 0 || channel->qos_until_ns != 0 ||
	    tarn_reactor_congested(channel->group->reactor))
		channel_stall(channel);
}

void
io_admit(struct tarn_channel *channel, struct tarn_io *io)
{
	bool background = (io->flags & TARN_IO_BACKGROUND) != 0;
	bool first = TAILQ_EMPTY(&channel->waiting) &&
		     (!background || TAILQ_EMPTY(&channel->waiting_background));

	if (tarn_unlikely(channel->qos != NULL)) {
		io->done_bytes = 0;
		first |= io->op == TARN_IO_FLUSH;
	}
	if (tarn_likely(first && slot_free(channel, background) &&
			!tarn_reactor_congested(channel->group->reactor)) &&
	    tarn_likely(channel->qos == NULL || qos_take(channel, io)))
		take_slot(channel, io);
	else
		wait_for_slot(channel, io, background);
}

static struct tarn_io *
next_waiting(struct tarn_channel *channel)
{
	struct tarn_io_list *list = &channel->waiting;
	bool background = false;
	struct tarn_io *io;

	if (TAILQ_EMPTY(list)) {
		list = &channel->waiting_background;
		background = true;
	}
	io = TAILQ_FIRST(list);
	if (io == NULL || !slot_free(channel, background))
		return NULL;
	if (tarn_unlikely(channel->qos != NULL) && !qos_take(channel, io)) {
		channel_stall(channel);
		return NULL;
	}
	TAILQ_REMOVE(list, io, link);
	return io;
}

uint32_t
io_drain(struct tarn_channel *channel)
{
	struct tarn_io *io;
	uint32_t count = 0;

	channel->qos_until_ns = 0;
	if (tarn_reactor_congested(channel->group->reactor)) {
		channel_stall(channel);
		return 0;
	}
	while ((io = next_waiting(channel)) != NULL) {
		take_slot(channel, io);
		count++;
	}
	return count;
}

/* --- Completion --- */

void
io_finish(struct tarn_io *io, int status)
{
	struct tarn_channel *channel = io->channel;
	struct tarn_group *group = channel->group;
	uint64_t now_ns;

	if (tarn_likely(group->polling && channel->batch_clock)) {
		if (group->poll_ns == 0)
			group->poll_ns = tarn_now_unordered_ns();
		now_ns = group->poll_ns;
	} else {
		now_ns = tarn_now_unordered_ns();
	}
	set_state(io, IO_IDLE);
	stats_complete(channel, io, status, now_ns);
	io->cb(io->cb_arg, status);
}

void
io_settle(struct tarn_channel *channel, struct tarn_io *io, int status)
{
	set_state(io, IO_SETTLED);
	io->status = status;
	TAILQ_INSERT_TAIL(&channel->settled, io, link);
	tarn_deferred_schedule(&channel->settle);
}

static bool
something_waits(const struct tarn_channel *channel)
{
	return !TAILQ_EMPTY(&channel->waiting) || !TAILQ_EMPTY(&channel->waiting_background);
}

void
tarn_io_complete(struct tarn_io *io, int status)
{
	struct tarn_channel *channel = io->channel;

	tarn_assert(io->state == IO_DRIVER && status <= 0);
	channel->group->inflight_count--;
	if (tarn_likely(io->internal == IO_KIND_USER)) {
		io_release_slot(channel, io);
		if (tarn_unlikely(something_waits(channel)))
			io_drain(channel);
		io_finish(io, status);
	} else if (io->internal == IO_KIND_PART) {
		io_release_slot(channel, io);
		if (something_waits(channel))
			io_drain(channel);
		split_part_done(io, status);
	} else {
		merge_done(io, status);
	}
}

/* --- Submission --- */

static int
check_buffers(const struct tarn_channel *channel, const struct tarn_io *io)
{
	uint64_t length_bytes = 0;
	uint64_t bad = 0;

	for (uint32_t i = 0; i < io->iov_count; i++) {
		bad |= (uintptr_t)io->iov[i].iov_base & channel->buffer_mask;
		bad |= io->iov[i].iov_len & channel->block_mask;
		if (__builtin_add_overflow(length_bytes, io->iov[i].iov_len, &length_bytes))
			return -EINVAL;
	}
	return bad == 0 && length_bytes == io->length_bytes ? 0 : -EINVAL;
}

static int
check(const struct tarn_channel *channel, const struct tarn_io *io)
{
	const struct tarn_bdev *bdev = channel->bdev;
	uint64_t size_bytes = atomic_load_explicit(&bdev->size_bytes, memory_order_relaxed);

	if (tarn_unlikely(atomic_load_explicit(&bdev->removing, memory_order_relaxed)))
		return -ENODEV;
	if (io->op == TARN_IO_FLUSH)
		return 0;
	if (io->op != TARN_IO_READ && !channel->writable)
		return -EROFS;
	if (tarn_unlikely(((io->offset_bytes | io->length_bytes) & channel->block_mask) != 0 ||
			  io->length_bytes == 0 ||
			  !tarn_range_within(io->offset_bytes, io->length_bytes, size_bytes)))
		return -EINVAL;
	return io->op <= TARN_IO_WRITE ? check_buffers(channel, io) : 0;
}

/* Whether the driver takes it as it is. */
static bool
direct(const struct tarn_channel *channel, const struct tarn_io *io)
{
	if ((channel->direct_ops & (1u << io->op)) == 0)
		return false;
	if ((io->flags & TARN_IO_FUA) != 0 && !channel->fua)
		return false;
	return io->op > TARN_IO_WRITE || (io->length_bytes <= channel->max_transfer_bytes &&
					  io->iov_count <= channel->iov_count_max);
}

static void
submit(struct tarn_channel *channel, struct tarn_io *io)
{
	struct tarn_channel_stats *stats = &channel->stats;
	int status;

	tarn_assert(io->state == IO_IDLE && channel->group->reactor == tarn_reactor_self());
	io->channel = channel;
	io->internal = IO_KIND_USER;
	io->submit_ns = tarn_now_unordered_ns();
	if (++stats->queue_depth > stats->queue_depth_max)
		stats->queue_depth_max = stats->queue_depth;
	status = check(channel, io);
	if (tarn_unlikely(status != 0)) {
		io_settle(channel, io, status);
	} else if (tarn_likely(direct(channel, io))) {
		io_admit(channel, io);
	} else if (channel->bdev->limits.support[io->op] == TARN_IO_NOOP) {
		io_settle(channel, io, 0);
	} else if (io->op == TARN_IO_FLUSH) {
		/* No volatile state anywhere in the driver: nothing to do. */
		io_settle(channel, io, 0);
	} else {
		set_state(io, IO_SPLIT);
		split_start(channel, io);
	}
}

static void
prepare(struct tarn_io *io, enum tarn_io_op op, uint32_t flags, tarn_io_cb cb, void *arg)
{
	io->op = (uint8_t)op;
	io->flags = (uint8_t)flags;
	io->cb = cb;
	io->cb_arg = arg;
}

static void
prepare_range(struct tarn_io *io, uint64_t offset_bytes, uint64_t length_bytes)
{
	io->iov = NULL;
	io->iov_count = 0;
	io->offset_bytes = offset_bytes;
	io->length_bytes = length_bytes;
}

static void
prepare_iov(struct tarn_io *io, const struct iovec *iov, uint32_t iov_count, uint64_t offset_bytes)
{
	io->iov = iov;
	io->iov_count = iov_count;
	io->offset_bytes = offset_bytes;
	io->length_bytes = 0;
	for (uint32_t i = 0; i < iov_count; i++)
		io->length_bytes += iov[i].iov_len;
}

static void
prepare_one(struct tarn_io *io, void *buf, uint64_t length_bytes, uint64_t offset_bytes)
{
	io->one.iov_base = buf;
	io->one.iov_len = length_bytes;
	io->iov = &io->one;
	io->iov_count = 1;
	io->offset_bytes = offset_bytes;
	io->length_bytes = length_bytes;
}

void
tarn_bdev_readv(struct tarn_channel *channel, struct tarn_io *io, const struct iovec *iov,
		uint32_t iov_count, uint64_t offset_bytes, uint32_t flags, tarn_io_cb cb, void *arg)
{
	prepare(io, TARN_IO_READ, flags, cb, arg);
	prepare_iov(io, iov, iov_count, offset_bytes);
	submit(channel, io);
}

void
tarn_bdev_writev(struct tarn_channel *channel, struct tarn_io *io, const struct iovec *iov,
		 uint32_t iov_count, uint64_t offset_bytes, uint32_t flags, tarn_io_cb cb,
		 void *arg)
{
	prepare(io, TARN_IO_WRITE, flags, cb, arg);
	prepare_iov(io, iov, iov_count, offset_bytes);
	submit(channel, io);
}

void
tarn_bdev_read(struct tarn_channel *channel, struct tarn_io *io, void *buf, uint64_t length_bytes,
	       uint64_t offset_bytes, uint32_t flags, tarn_io_cb cb, void *arg)
{
	prepare(io, TARN_IO_READ, flags, cb, arg);
	prepare_one(io, buf, length_bytes, offset_bytes);
	submit(channel, io);
}

void
tarn_bdev_write(struct tarn_channel *channel, struct tarn_io *io, void *buf, uint64_t length_bytes,
		uint64_t offset_bytes, uint32_t flags, tarn_io_cb cb, void *arg)
{
	prepare(io, TARN_IO_WRITE, flags, cb, arg);
	prepare_one(io, buf, length_bytes, offset_bytes);
	submit(channel, io);
}

void
tarn_bdev_flush(struct tarn_channel *channel, struct tarn_io *io, tarn_io_cb cb, void *arg)
{
	prepare(io, TARN_IO_FLUSH, 0, cb, arg);
	prepare_range(io, 0, 0);
	submit(channel, io);
}

void
tarn_bdev_discard(struct tarn_channel *channel, struct tarn_io *io, uint64_t offset_bytes,
		  uint64_t length_bytes, uint32_t flags, tarn_io_cb cb, void *arg)
{
	prepare(io, TARN_IO_DISCARD, flags, cb, arg);
	prepare_range(io, offset_bytes, length_bytes);
	submit(channel, io);
}

void
tarn_bdev_write_zeroes(struct tarn_channel *channel, struct tarn_io *io, uint64_t offset_bytes,
		       uint64_t length_bytes, uint32_t flags, tarn_io_cb cb, void *arg)
{
	prepare(io, TARN_IO_WRITE_ZEROES, flags, cb, arg);
	prepare_range(io, offset_bytes, length_bytes);
	submit(channel, io);
}
