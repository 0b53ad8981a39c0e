/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Driver uring: the table, and what one reactor's channels share: one ring for each mode in use, opened
 * when a channel first wants it. The rings are in an epoll set that the reactor watches in its sleep; they
 * are put there before the first sleep with I/O in flight and taken out once the reactor stays awake,
 * because a watched ring costs the kernel a wake-up for every completion.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "lib/bdev/uring/uring.h"

#define URING_QUEUE_DEPTH 128
/* The kernel could not take requests, or sqpoll's thread is behind: look again soon. */
#define URING_NAP_NS 20000

static int
uring_group_open(struct tarn_group *tgroup)
{
	struct uring_group *group = tarn_group_ctx(tgroup);

	group->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	return group->epoll_fd >= 0 ? 0 : -errno;
}

static void
arm(struct uring_group *group, struct uring_ring *ring)
{
	struct epoll_event event = { .events = EPOLLIN };

	if (ring->armed || epoll_ctl(group->epoll_fd, EPOLL_CTL_ADD, ring->io.ring_fd, &event) != 0)
		return;
	ring->armed = true;
	group->armed_count++;
}

static void
disarm_all(struct uring_group *group)
{
	for (struct uring_ring *ring = group->rings; ring != NULL; ring = ring->next) {
		if (ring->armed)
			(void)epoll_ctl(group->epoll_fd, EPOLL_CTL_DEL, ring->io.ring_fd, NULL);
		ring->armed = false;
	}
	group->armed_count = 0;
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
	(void)close(group->epoll_fd);
}

static int
uring_poll(struct tarn_group *tgroup)
{
	struct uring_group *group = tarn_group_ctx(tgroup);
	int count = 0;

	for (struct uring_ring *ring = group->rings; ring != NULL; ring = ring->next) {
		if (ring->inflight_count > 0 || ring->waiting_first != NULL)
			count += uring_io_reap(ring);
	}
	if (group->armed_count > 0 && !tarn_reactor_sleeps())
		disarm_all(group);
	return count;
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
	arm(group, ring);
	/* The ring was put there with a look at it, so that nothing is missed from here on. */
	return ring->armed ? TARN_SLEEP_ANY : URING_NAP_NS;
}

static uint64_t
uring_may_sleep_ns(struct tarn_group *tgroup)
{
	struct uring_group *group = tarn_group_ctx(tgroup);
	uint64_t sleep_ns = TARN_SLEEP_ANY;

	for (struct uring_ring *ring = group->rings; ring != NULL; ring = ring->next)
		sleep_ns = tarn_min_u64(sleep_ns, ring_may_sleep_ns(group, ring));
	return sleep_ns;
}

static int
uring_sleep_fd(struct tarn_group *tgroup)
{
	return ((struct uring_group *)tarn_group_ctx(tgroup))->epoll_fd;
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
