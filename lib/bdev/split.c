/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * I/O that the driver does not take as it is, carried out in parts: larger than its limit, zeroes
 * that it can only write, FUA that it can only give by a flush afterwards.
 *
 *	parts, at most PARTS_MAX in flight --all done--> (flush) --> callback
 *
 * The first error ends it, once the parts in flight are back. Where the channel has no child left
 * for a part, the I/O waits on the channel's list until one comes back. While any waits, each gets
 * one child at a time: the longest I/O does not keep the others from theirs.
 */
#include "lib/bdev/internal.h"

#define PARTS_MAX 16
#define ZERO_BYTES 65536

/* Lies in the parent's driver_ctx, which no driver uses meanwhile. */
struct split {
	uint32_t iov_index; /* where the next part's data starts */
	uint64_t iov_offset;
	bool flush_wanted;
	bool starved;
	bool turn; /* it was the first of those that starve: one child is its */
};
_Static_assert(sizeof(struct split) <= TARN_IO_DRIVER_BYTES, "fits in driver_ctx");

static _Alignas(4096) const uint8_t zeroes[ZERO_BYTES];

static struct split *
split_of(struct tarn_io *io)
{
	return (struct split *)io->driver_ctx;
}

static uint32_t
part_iov_max(const struct tarn_channel *channel)
{
	return (uint32_t)tarn_min_u64(CHILD_IOV_MAX, channel->iov_count_max);
}

/* Take the parent's next data, as much as one I/O of the driver may have. \return bytes. */
static uint64_t
take_data(const struct tarn_channel *channel, struct tarn_io *parent, struct io_child *child)
{
	struct split *split = split_of(parent);
	uint64_t room = channel->max_transfer_bytes;
	uint32_t count = 0;

	while (room > 0 && count < part_iov_max(channel) && split->iov_index < parent->iov_count) {
		const struct iovec *from = &parent->iov[split->iov_index];
		uint64_t left = from->iov_len - split->iov_offset;
		uint64_t bytes = tarn_min_u64(room, left);

		if (bytes > 0) {
			child->iov[count].iov_base = (uint8_t *)from->iov_base + split->iov_offset;
			child->iov[count].iov_len = bytes;
			count++;
		}
		room -= bytes;
		split->iov_offset += bytes;
		if (bytes == left) {
			split->iov_index++;
			split->iov_offset = 0;
		}
	}
	child->io.iov_count = count;
	return channel->max_transfer_bytes - room;
}

static uint64_t
take_zeroes(const struct tarn_channel *channel, const struct tarn_io *parent,
	    struct io_child *child)
{
	uint64_t bytes =
	    tarn_min_u64(parent->length_bytes - parent->done_bytes, channel->max_transfer_bytes);
	uint64_t taken = 0;
	uint32_t count = 0;

	while (taken < bytes && count < part_iov_max(channel)) {
		uint64_t piece = tarn_min_u64(bytes - taken, ZERO_BYTES);

		child->iov[count].iov_base = (void *)(uintptr_t)zeroes; /* only ever read */
		child->iov[count].iov_len = piece;
		taken += piece;
		count++;
	}
	child->io.iov_count = count;
	return taken;
}

static bool
emulates_zeroes(const struct tarn_channel *channel, const struct tarn_io *parent)
{
	return parent->op == TARN_IO_WRITE_ZEROES &&
	       (channel->direct_ops & (1u << TARN_IO_WRITE_ZEROES)) == 0;
}

static void
start_part(struct tarn_channel *channel, struct tarn_io *parent, struct io_child *child)
{
	struct tarn_io *part = &child->io;

	part->channel = channel;
	part->internal = IO_KIND_PART;
	part->parent = parent;
	part->op = parent->op;
	part->flags = parent->flags;
	if (!channel->fua)
		part->flags &= (uint8_t)~TARN_IO_FUA;
	part->iov = child->iov;
	part->iov_count = 0;
	part->offset_bytes = parent->offset_bytes + parent->done_bytes;
	if (emulates_zeroes(channel, parent)) {
		part->op = TARN_IO_WRITE;
		part->length_bytes = take_zeroes(channel, parent, child);
	} else if (parent->op <= TARN_IO_WRITE) {
		part->length_bytes = take_data(channel, parent, child);
	} else {
		part->length_bytes = parent->length_bytes;
	}
	parent->done_bytes += part->length_bytes;
	parent->pending_count++;
	io_admit(channel, part);
}

static void
start_flush(struct tarn_channel *channel, struct tarn_io *parent, struct io_child *child)
{
	struct tarn_io *part = &child->io;

	split_of(parent)->flush_wanted = false;
	part->channel = channel;
	part->internal = IO_KIND_PART;
	part->parent = parent;
	part->op = TARN_IO_FLUSH;
	part->flags = parent->flags & TARN_IO_BACKGROUND;
	part->iov = NULL;
	part->iov_count = 0;
	part->offset_bytes = 0;
	part->length_bytes = 0;
	parent->pending_count++;
	io_admit(channel, part);
}

static void
starve(struct tarn_channel *channel, struct tarn_io *parent)
{
	struct split *split = split_of(parent);

	if (split->starved)
		return;
	split->starved = true;
	TAILQ_INSERT_TAIL(&channel->starved, parent, link);
}

static struct io_child *
child_in_turn(struct tarn_channel *channel, struct split *split)
{
	bool turn = split->turn || TAILQ_EMPTY(&channel->starved);

	split->turn = false;
	return turn ? child_get(channel) : NULL;
}

/* Start what can be started. \return whether the I/O is done. */
static bool
go_on(struct tarn_channel *channel, struct tarn_io *parent)
{
	struct split *split = split_of(parent);
	struct io_child *child;

	while (parent->status == 0) {
		bool data_left = parent->done_bytes < parent->length_bytes;

		if (!data_left && (!split->flush_wanted || parent->pending_count != 0))
			break;
		if (parent->pending_count >= PARTS_MAX)
			return false;
		child = child_in_turn(channel, split);
		if (child == NULL) {
			starve(channel, parent);
			return false;
		}
		if (data_left)
			start_part(channel, parent, child);
		else
			start_flush(channel, parent, child);
	}
	return parent->pending_count == 0 && !split->starved;
}

void
split_start(struct tarn_channel *channel, struct tarn_io *io)
{
	const struct tarn_bdev_limits *limits = &channel->bdev->limits;
	bool finished;

	*split_of(io) = (struct split){ 0 };
	split_of(io)->flush_wanted = (io->flags & TARN_IO_FUA) != 0 && !channel->fua &&
				     limits->support[TARN_IO_FLUSH] == TARN_IO_NATIVE;
	io->status = 0;
	io->pending_count = 0;
	io->done_bytes = 0;
	channel->stats.split_count++;
	finished = go_on(channel, io);
	tarn_assert(!finished); /* a part completes later */
}

void
split_feed(struct tarn_channel *channel)
{
	struct tarn_io *parent;

	while ((parent = TAILQ_FIRST(&channel->starved)) != NULL &&
	       (channel->free_children != NULL || channel->unused_child_count > 0)) {
		TAILQ_REMOVE(&channel->starved, parent, link);
		split_of(parent)->starved = false;
		split_of(parent)->turn = true;
		if (go_on(channel, parent))
			io_finish(parent, parent->status);
	}
}

void
split_part_done(struct tarn_io *part, int status)
{
	struct io_child *child = tarn_container_of(part, struct io_child, io);
	struct tarn_io *parent = part->parent;
	struct tarn_channel *channel = parent->channel;

	part->state = IO_IDLE;
	child_put(channel, child);
	if (status != 0 && parent->status == 0)
		parent->status = status;
	parent->pending_count--;
	if (go_on(channel, parent))
		io_finish(parent, parent->status);
	split_feed(channel);
}
