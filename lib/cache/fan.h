/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include "lib/cache/shard.h"

/*
 * A call on every shard, on its reactor, and one when all have answered, on the control reactor.
 * For the control path: memory is its user's, usually from the heap.
 */
struct fan;

struct fan_slot {
	struct tarn_msg msg;
	struct fan *fan;
	struct shard *shard;
	struct shard_task task;
	struct log_waiter waiter;
	int status;
};

struct fan {
	struct tarn_cache *cache;
	void (*fn)(struct fan_slot *slot); /* on the shard's reactor; owes one fan_answer() */
	void (*done)(struct fan *fan, int status); /* the first error of all, or 0 */
	uint32_t pending;
	struct fan_slot slot[TARN_CACHE_SHARD_MAX];
};

/** fan->cache, fn and done are set. On the control reactor. */
void fan_out(struct fan *fan);
/** On the shard's reactor. */
void fan_answer(struct fan_slot *slot, int status);
