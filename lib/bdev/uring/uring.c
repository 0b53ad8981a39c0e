/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Driver uring: the table, and what one reactor's channels share: one ring for each mode in use,
 * opened when a channel first wants it. All rings of a reactor have one eventfd, which the reactor
 * watches in its sleep. A flag in the ring's memory (IORING_CQ_EVENTFD_DISABLED) keeps the kernel
 * from writing it while the reactor is awake, so that going to sleep costs no system call for the
 * rings, and being busy none either. (The ring's own fd would not do: with DEFER_TASKRUN it is
 * readable only after the kernel was entered.)
 */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/bdev/uring/uring.h"

#define URING_QUEUE_DEPTH 128
/* The kernel could not take requests, or sqpoll's thread is behind: look again soon. */
#define URING_NAP_NS 20000

static int
uring_group_open(struct tarn_group *tgroup)
{
	struct uring_group *group = tarn_group_ctx(tgroup);

	group->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return group->event_fd >= 0 ? 0 : -errno;
}

static void
disarm_all(struct uring_group *group)
{
	for (struct uring_ring *ring = group->rings; ring != NULL; ring = ring->next) {
		if (ring->armed)
			(void)io_uring_cq_eventfd_toggle(&ring->io, false);
		ring->armed = false;
	}
	group->armed = false;
}

static void
uring_group_close(struct tarn_group *tgroup)
{
	struct uring_group *group = tarn_group_ctx(tgroup);

	disarm_all(group);
	while (group->rings != NULL) {
		struct uring_ring *ring = group->rings;

		group->rings = ring->next;
		uring_ring_close(ring);
	}
	(void)close(group->event_fd);
}

static int
uring_poll(struct tarn_group *tgroup)
{
	struct uring_group *group = tarn_group_ctx(tgroup);
	int count = 0;

	if (tarn_unlikely(group->armed))
		disarm_all(group);
	for (struct uring_ring *ring = group->rings; ring != NULL; ring = ring->next) {
		if (ring->inflight_count > 0 || ring->waiting_first != NULL)
			count += uring_io_reap(ring);
	}
	return count;
}

/* \return whether the kernel will write the eventfd when something completes. */
static bool
arm(struct uring_group *group, struct uring_ring *ring)
{
	if (!ring->event_fd_known) {
		if (io_uring_register_eventfd(&ring->io, group->event_fd) != 0)
			return false;
		ring->event_fd_known = true;
	} else if (io_uring_cq_eventfd_toggle(&ring->io, true) != 0) {
		return false;
	}
	ring->armed = true;
	group->armed = true;
	return true;
}

static uint64_t
ring_may_sleep_ns(struct uring_group *group, struct uring_ring *ring)
{
	if (ring->retry_enter || ring->waiting_first != NULL)
		return URING_NAP_NS;
	if (ring->inflight_count == 0)
		return TARN_SLEEP_ANY;
	if (ring->key.iopoll)
		return TARN_SLEEP_NO;
	if (!arm(group, ring))
		return URING_NAP_NS;
	/* What completed before the kernel could see that flag is seen here; what completes later
	 * wakes. */
	atomic_thread_fence(memory_order_seq_cst);
	return uring_ring_has_news(ring) ? TARN_SLEEP_NO : TARN_SLEEP_ANY;
}

static uint64_t
uring_may_sleep_ns(struct tarn_group *tgroup)
{
	struct uring_group *group = tarn_group_ctx(tgroup);
	uint64_t sleep_ns = TARN_SLEEP_ANY;
	uint64_t drained;

	/* First: what is written from here on must stay. */
	(void)!read(group->event_fd, &drained, sizeof(drained));
	for (struct uring_ring *ring = group->rings; ring != NULL; ring = ring->next)
		sleep_ns = tarn_min_u64(sleep_ns, ring_may_sleep_ns(group, ring));
	return sleep_ns;
}

static int
uring_sleep_fd(struct tarn_group *tgroup)
{
	return ((struct uring_group *)tarn_group_ctx(tgroup))->event_fd;
}

static int
ring_get(struct uring_group *group, const struct uring_key *key, struct uring_ring **ret_ring)
{
	struct uring_ring *ring = group->rings;
	int status;

	while (ring != NULL && !uring_key_equal(&ring->key, key))
		ring = ring->next;
	if (ring == NULL) {
		status = uring_ring_open(key, &ring);
		if (status != 0)
			return status;
		ring->next = group->rings;
		group->rings = ring;
	}
	*ret_ring = ring;
	return 0;
}

static int
uring_channel_open(struct tarn_channel *channel)
{
	struct uring_channel *uch = tarn_channel_ctx(channel);
	struct uring_group *group = tarn_group_ctx(tarn_channel_group(channel));
	int status;

	uch->ubdev = tarn_bdev_ctx(tarn_channel_bdev(channel));
	/* A ring stays with the group: the next channel will want it too. */
	status = ring_get(group, &uch->ubdev->key, &uch->ring);
	if (status == 0)
		status = ring_get(group, &uch->ubdev->ordinary_key, &uch->ordinary);
	if (status != 0)
		return status;
	uch->slot = -1;
	uch->ordinary_slot = -1;
	if (!uch->ubdev->fixed_files)
		return 0;
	uch->slot = uring_ring_file_add(uch->ring, uch->ubdev->file.fd);
	if (uch->ordinary != uch->ring)
		uch->ordinary_slot = uring_ring_file_add(uch->ordinary, uch->ubdev->file.fd);
	return 0;
}

static void
uring_channel_close(struct tarn_channel *channel)
{
	struct uring_channel *uch = tarn_channel_ctx(channel);

	uring_ring_file_remove(uch->ring, uch->slot);
	uring_ring_file_remove(uch->ordinary, uch->ordinary_slot);
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
	if (command != TARN_BDEV_RESCAN)
		return tarn_reason_set(reason, -ENOTSUP, "bdev %s: driver uring has no such action",
				       tarn_bdev_name(bdev));
	return tarn_bdev_file_rescan(bdev, &ubdev->file, reason);
}

static void
uring_describe(struct tarn_bdev *bdev, const struct tarn_info_sink *sink)
{
	const struct uring_bdev *ubdev = tarn_bdev_ctx(bdev);

	tarn_bdev_file_describe(&ubdev->file, tarn_bdev_opts(bdev), sink);
	uring_mode_describe(ubdev, tarn_bdev_opts(bdev), sink);
	uring_rings_describe(&ubdev->key, sink);
}

static const struct tarn_bdev_driver uring_driver = {
	.name = "uring",
	.product = "URING bdev",
	.batch_clock = true,
	.bdev_ctx_bytes = sizeof(struct uring_bdev),
	.group_ctx_bytes = sizeof(struct uring_group),
	.channel_ctx_bytes = sizeof(struct uring_channel),
	.io_ctx_bytes = sizeof(struct uring_io),
	.opts_copy = tarn_bdev_file_opts_copy,
	.opts_free = tarn_bdev_file_opts_free,
	.open = uring_open,
	.close = uring_close,
	.control = uring_control,
	.describe = uring_describe,
	.group_open = uring_group_open,
	.group_close = uring_group_close,
	.poll = uring_poll,
	.may_sleep_ns = uring_may_sleep_ns,
	.sleep_fd = uring_sleep_fd,
	.channel_open = uring_channel_open,
	.channel_close = uring_channel_close,
	.submit = uring_io_submit,
};
TARN_BDEV_DRIVER(uring_driver)
