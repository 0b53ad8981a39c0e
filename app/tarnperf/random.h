/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <stdint.h>

/*
 * xoshiro would be better and slower: offsets need no more than Marsaglia's xorshift64* (Vigna
 * 2016).
 */
struct perf_random {
	uint64_t state; /* never 0 */
};

/* The finaliser of splitmix64: neighbouring seeds give streams that have nothing in common. */
static inline uint64_t
perf_random_mix(uint64_t value)
{
	value += UINT64_C(0x9e3779b97f4a7c15);
	value = (value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	value = (value ^ (value >> 27)) * UINT64_C(0x94d049bb133111eb);
	return value ^ (value >> 31);
}

static inline void
perf_random_init(struct perf_random *random, uint64_t seed)
{
	random->state = perf_random_mix(seed) | 1;
}

static inline uint64_t
perf_random_next(struct perf_random *random)
{
	uint64_t x = random->state;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	random->state = x;
	return x * UINT64_C(0x2545f4914f6cdd1d);
}

/**
 * \return a number below bound, which is not 0: the high half of a product, without a division
 * (Lemire).
 */
static inline uint64_t
perf_random_below(struct perf_random *random, uint64_t bound)
{
	return (uint64_t)(((unsigned __int128)perf_random_next(random) * bound) >> 64);
}

/** \return a number in [0, 1). */
static inline double
perf_random_unit(struct perf_random *random)
{
	return (double)(perf_random_next(random) >> 11) * 0x1p-53;
}
