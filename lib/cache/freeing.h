/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include "lib/cache/shard.h"

/*
 * Segments that reclaim is done with. Their entries count as present until the tail that excludes
 * them is durable; then they leave the index, in steps, and the segment is free once nobody reads
 * it. Its shard's reactor.
 */
struct freeing_segment {
	uint64_t sequence; /* 0: not in use */
	struct disk_entry *entries;
	uint32_t entry_count, next;
};

struct freeing {
	struct freeing_segment segments[SHARD_FREEING_MAX]; /* by sequence, mod their number */
};

/** Takes over the entries (I/O memory). At most SHARD_FREEING_MAX from shard->freed on. */
void freeing_add(struct freeing *freeing, uint64_t sequence, struct disk_entry *entries,
		 uint32_t entry_count);
/** Do a bounded piece of work. \return how much. */
int freeing_step(struct shard *shard, struct freeing *freeing);
/** Whether a step would find entries to drop. */
bool freeing_ready(const struct shard *shard, const struct freeing *freeing);
/** Whether the oldest is on its way out of the index: the tail behind it is durable. */
bool freeing_under_way(const struct shard *shard, const struct freeing *freeing);
/** The durable tail has moved, or a reader has gone: free what waits for nothing else. */
void freeing_durable(struct shard *shard, struct freeing *freeing);
void freeing_fini(struct freeing *freeing);
