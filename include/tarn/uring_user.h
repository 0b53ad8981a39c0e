/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include "tarn/uring.h"

/*
 * What the users of a group of rings have in common: the loop that polls them, and the two rings of
 * each, of which a polled one takes reads and writes only. On the group's reactor.
 */

/* What a user of rings does with an I/O. Either may submit, and so take places in any ring. */
struct tarn_uring_user {
	void (*done)(struct tarn_uring *ring, void *data, int result); /* it has completed */
	void (*resubmit)(struct tarn_uring_wait *wait);		       /* there is a place for it */
};

static inline __attribute__((always_inline)) unsigned int
tarn_uring_poll(struct tarn_uring *ring, const struct tarn_uring_user *user)
{
	struct tarn_uring_done done[TARN_URING_REAP_MAX];
	unsigned int count = tarn_uring_reap(ring, done);

	for (unsigned int i = 0; i < count; i++)
		user->done(ring, done[i].data, done[i].result);
	for (unsigned int i = 0; i < TARN_URING_REAP_MAX && ring->waiting_first != NULL; i++) {
		if (ring->inflight_count >= ring->inflight_max)
			break;
		user->resubmit(tarn_uring_unwait(ring));
	}
	return count;
}

/**
 * Take what has completed off all rings of the group, and let those that waited go on. *user is a
 * constant where this is called, and its functions become part of the loop: called by address, they
 * cost 11 instructions for each I/O.
 * \return how many have completed.
 */
static inline __attribute__((always_inline)) int
tarn_uring_group_poll(struct tarn_uring_group *group, const struct tarn_uring_user *user)
{
	unsigned int count = 0;

	if (tarn_unlikely(group->armed))
		tarn_uring_group_disarm(group);
	for (struct tarn_uring *ring = group->rings; ring != NULL; ring = ring->next) {
		if (ring->inflight_count > 0 || ring->waiting_first != NULL)
			count += tarn_uring_poll(ring, user);
	}
	return (int)count;
}

struct tarn_uring_pair {
	struct tarn_uring *ring, *ordinary; /* the same without iopoll */
	int slot, ordinary_slot;	    /* of the file in each; -1: by fd */
};
/**
 * The group's rings of that kind, with a file in their tables.
 * \param fd  -1: none.
 * \return 0 with *ret_pair, or -errno of making a ring.
 */
int tarn_uring_pair_open(struct tarn_uring_group *group, const struct tarn_uring_key *key, int fd,
			 struct tarn_uring_pair *ret_pair);
/** Nothing of that file is in flight. The rings stay: the next user will want them too. */
void tarn_uring_pair_close(const struct tarn_uring_pair *pair);
