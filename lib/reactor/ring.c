/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rte_ring behind five functions. rte_ring_init() on memory of our own needs no EAL start-up, no
 * hugepages and no root.
 *
 * This file is compiled without ThreadSanitizer: DPDK 22.11 orders its ring by barriers that the
 * sanitizer cannot see. Instead each push and pop tells it what the ring guarantees: whatever came
 * before a push is seen after the pop that takes the message.
 */
#include <rte_ring.h>
#include <stdlib.h>

#include "lib/reactor/ring.h"
#include "tarn/util.h"

#ifdef TARN_TSAN
void __tsan_acquire(void *addr);
void __tsan_release(void *addr);
#define ring_acquire(addr) __tsan_acquire(addr)
#define ring_release(addr) __tsan_release(addr)
#else
#define ring_acquire(addr) ((void)(addr))
#define ring_release(addr) ((void)(addr))
#endif

struct ring *
ring_create(uint32_t size)
{
	ssize_t bytes = rte_ring_get_memsize(size);
	struct rte_ring *ring;

	tarn_assert(bytes > 0);
	ring =
	    aligned_alloc(RTE_CACHE_LINE_SIZE, tarn_align_up((uint64_t)bytes, RTE_CACHE_LINE_SIZE));
	if (ring == NULL)
		return NULL;
	if (rte_ring_init(ring, "reactor", size, RING_F_MP_RTS_ENQ | RING_F_SC_DEQ) != 0) {
		free(ring);
		return NULL;
	}
	return (struct ring *)ring;
}

void
ring_free(struct ring *ring)
{
	free(ring);
}

bool
ring_push(struct ring *ring, struct tarn_msg *msg)
{
	bool pushed;

	ring_release(msg);
	pushed = rte_ring_enqueue((struct rte_ring *)ring, msg) == 0;
	rte_smp_mb();
	return pushed;
}

uint32_t
ring_pop(struct ring *ring, struct tarn_msg **msgs, uint32_t msg_max)
{
	uint32_t count =
	    rte_ring_dequeue_burst((struct rte_ring *)ring, (void **)msgs, msg_max, NULL);

	for (uint32_t i = 0; i < count; i++)
		ring_acquire(msgs[i]);
	return count;
}

uint32_t
ring_count(struct ring *ring)
{
	rte_smp_mb();
	return rte_ring_count((struct rte_ring *)ring);
}
