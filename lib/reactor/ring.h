/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <stdbool.h>
#include <stdint.h>

/*
 * The ring of messages of one reactor: DPDK's rte_ring, many producers, one consumer. Its producers
 * are in "relaxed tail sync" mode, so that one which is preempted in the middle does not make
 * others wait (DPDK Programmer's Guide, "Ring Library", producer/consumer synchronization modes).
 */
struct ring; /* Opaque. */
struct tarn_msg;

/** size: a power of two. \return NULL for want of memory. */
struct ring *ring_create(uint32_t size);
void ring_free(struct ring *ring);
/**
 * Any thread. What the caller reads after this is read after the message is in the ring (a full
 * memory barrier), as the handshake with a reactor going to sleep needs it.
 * \return false when the ring is full.
 */
bool ring_push(struct ring *ring, struct tarn_msg *msg);
/** The consumer. \return how many of at most msg_max were taken. */
uint32_t ring_pop(struct ring *ring, struct tarn_msg **msgs, uint32_t msg_max);
/** The consumer; preceded by a full memory barrier. \return how many messages are in it. */
uint32_t ring_count(struct ring *ring);
