/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The rings of one reactor: one for each kind in use, made when it is first wanted. All of them
 * have one eventfd, which the reactor watches in its sleep. A flag in the ring's memory
 * (IORING_CQ_EVENTFD_DISABLED) keeps the kernel from writing it while the reactor is awake, so that
 * going to sleep costs no system call for the rings, and being busy none either. (The ring's own fd
 * would not do: with DEFER_TASKRUN it is readable only after the kernel was entered.)
 */
#include <errno.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/uring/internal.h"
#include "tarn/uring_user.h"

/* The kernel could not take requests, or sqpoll's thread is behind: look again soon. */
#define URING_NAP_NS 20000

int
tarn_uring_group_open(struct tarn_uring_group *group)
{
	*group = (struct tarn_uring_group){ .event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
	return group->event_fd >= 0 ? 0 : -errno;
}

void
tarn_uring_group_disarm(struct tarn_uring_group *group)
{
	for (struct tarn_uring *ring = group->rings; ring != NULL; ring = ring->next) {
		if (ring->armed)
			(void)io_uring_cq_eventfd_toggle(&ring->io, false);
		ring->armed = false;
	}
	group->armed = false;
}

void
tarn_uring_group_close(struct tarn_uring_group *group)
{
	tarn_uring_group_disarm(group);
	while (group->rings != NULL) {
		struct tarn_uring *ring = group->rings;

		group->rings = ring->next;
		uring_ring_close(ring);
	}
	(void)close(group->event_fd);
}

/* \return whether the kernel will write the eventfd when something completes. */
static bool
arm(struct tarn_uring_group *group, struct tarn_uring *ring)
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
ring_may_sleep_ns(struct tarn_uring_group *group, struct tarn_uring *ring)
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

uint64_t
tarn_uring_group_may_sleep_ns(struct tarn_uring_group *group)
{
	uint64_t sleep_ns = TARN_SLEEP_ANY;
	uint64_t drained;

	/* First: what is written from here on must stay. */
	(void)!read(group->event_fd, &drained, sizeof(drained));
	for (struct tarn_uring *ring = group->rings; ring != NULL; ring = ring->next)
		sleep_ns = tarn_min_u64(sleep_ns, ring_may_sleep_ns(group, ring));
	return sleep_ns;
}

int
tarn_uring_group_get(struct tarn_uring_group *group, const struct tarn_uring_key *key,
		     struct tarn_uring **ret_ring)
{
	struct tarn_uring *ring = group->rings;
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

int
tarn_uring_pair_open(struct tarn_uring_group *group, const struct tarn_uring_key *key, int fd,
		     struct tarn_uring_pair *ret_pair)
{
	struct tarn_uring_pair pair = { .slot = -1, .ordinary_slot = -1 };
	struct tarn_uring_key ordinary = *key;
	int status = tarn_uring_group_get(group, key, &pair.ring);

	ordinary.iopoll = false;
	if (status == 0)
		status = tarn_uring_group_get(group, &ordinary, &pair.ordinary);
	if (status != 0)
		return status;
	if (fd >= 0) {
		pair.slot = tarn_uring_file_add(pair.ring, fd);
		pair.ordinary_slot = pair.slot;
	}
	if (fd >= 0 && pair.ordinary != pair.ring)
		pair.ordinary_slot = tarn_uring_file_add(pair.ordinary, fd);
	*ret_pair = pair;
	return 0;
}

void
tarn_uring_pair_close(const struct tarn_uring_pair *pair)
{
	tarn_uring_file_remove(pair->ring, pair->slot);
	if (pair->ordinary != pair->ring)
		tarn_uring_file_remove(pair->ordinary, pair->ordinary_slot);
}
