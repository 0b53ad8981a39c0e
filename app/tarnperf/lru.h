/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <stdbool.h>
#include <stdint.h>

/*
 * Plain LRU over numbered keys, simulated beside a run on the same accesses: what a hit ratio is
 * held against.
 */
struct perf_lru {
	uint32_t *next, *previous; /* by key; of key_count: the list's head */
	uint64_t key_count, room, used;
	uint64_t access_count, hit_count;
};
/** Of keys below key_count (at most 2^31), so many at a time. \return 0 or -ENOMEM. */
int perf_lru_init(struct perf_lru *lru, uint64_t key_count, uint64_t room);
void perf_lru_fini(struct perf_lru *lru);
/** Access a key, which is taken in. \return whether it was there. */
bool perf_lru_access(struct perf_lru *lru, uint64_t key);
