/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Neighbours that are submitted in one turn, in order, become one I/O of the driver, where its
 * table says that this pays. Each keeps the slot it has. When a merged I/O fails its members are
 * carried out one by one, so that an error is told of those blocks only that have it (contract C3).
 */
#include "lib/bdev/internal.h"

#define PLUGGED_MAX 256

void
merge_plug(struct tarn_channel *channel, struct tarn_io *io)
{
	io->state = IO_PLUGGED;
	TAILQ_INSERT_TAIL(&channel->plugged, io, link);
	tarn_deferred_schedule(&channel->unplug);
	if (++channel->plugged_count >= PLUGGED_MAX)
		merge_unplug(channel);
}

/* Whether `next` goes on where a run of that many bytes and iovs, which ends with `last`, stops. */
static bool
continues(const struct tarn_channel *channel, const struct tarn_io *last,
	  const struct tarn_io *next, uint64_t run_bytes, uint32_t run_iovs)
{
	return next->op == last->op && next->flags == last->flags &&
	       next->offset_bytes == last->offset_bytes + last->length_bytes &&
	       run_bytes + next->length_bytes <= channel->merge_bytes_max &&
	       run_iovs + next->iov_count <= tarn_min_u64(CHILD_IOV_MAX, channel->iov_count_max);
}

/* Move from the plugged list what continues the child's first member. */
static void
gather(struct tarn_channel *channel, struct io_child *child, struct tarn_io *first)
{
	struct tarn_io *last = first;
	struct tarn_io *io = first;
	uint64_t bytes = 0;
	uint32_t iovs = 0;

	TAILQ_INIT(&child->members);
	do {
		TAILQ_REMOVE(&channel->plugged, io, link);
		channel->plugged_count--;
		io->state = IO_MERGED;
		TAILQ_INSERT_TAIL(&child->members, io, link);
		for (uint32_t i = 0; i < io->iov_count; i++)
			child->iov[iovs++] = io->iov[i];
		bytes += io->length_bytes;
		last = io;
		io = TAILQ_FIRST(&channel->plugged);
	} while (io != NULL && continues(channel, last, io, bytes, iovs));
	child->io.iov = child->iov;
	child->io.iov_count = iovs;
	child->io.length_bytes = bytes;
}

static void
submit_run(struct tarn_channel *channel, struct tarn_io *first, struct io_child *child)
{
	struct tarn_io *merged = &child->io;

	merged->channel = channel;
	merged->internal = IO_KIND_MERGED;
	merged->op = first->op;
	merged->flags = first->flags;
	merged->offset_bytes = first->offset_bytes;
	gather(channel, child, first);
	channel->stats.merge_count++;
	io_to_driver(channel, merged);
}

void
merge_unplug(void *arg)
{
	struct tarn_channel *channel = arg;
	struct tarn_io *io;

	while ((io = TAILQ_FIRST(&channel->plugged)) != NULL) {
		struct tarn_io *next = TAILQ_NEXT(io, link);
		struct io_child *child = NULL;

		if (next != NULL && continues(channel, io, next, io->length_bytes, io->iov_count))
			child = child_get(channel);
		if (child != NULL) {
			submit_run(channel, io, child);
			continue;
		}
		TAILQ_REMOVE(&channel->plugged, io, link);
		channel->plugged_count--;
		io_to_driver(channel, io);
	}
}

static void
member_done(struct tarn_channel *channel, struct tarn_io *member, int status)
{
	if (status != 0) {
		io_to_driver(channel, member);
		return;
	}
	io_release_slot(channel, member);
	io_drain(channel);
	if (member->internal == IO_KIND_PART)
		split_part_done(member, 0);
	else
		io_finish(member, 0);
}

void
merge_done(struct tarn_io *merged, int status)
{
	struct io_child *child = tarn_container_of(merged, struct io_child, io);
	struct tarn_channel *channel = merged->channel;
	struct tarn_io_list members = TAILQ_HEAD_INITIALIZER(members);
	struct tarn_io *member;

	merged->state = IO_IDLE;
	TAILQ_CONCAT(&members, &child->members, link);
	child_put(channel, child);
	while ((member = TAILQ_FIRST(&members)) != NULL) {
		TAILQ_REMOVE(&members, member, link);
		member_done(channel, member, status);
	}
	split_feed(channel);
}
