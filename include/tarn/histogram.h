/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <stdint.h>

/*
 * Log-linear histogram of durations in nanoseconds: 64 buckets for each power of two, so that a
 * bucket is at most 1/64 (1.6 %) of its value wide; below 64 ns exact; above 2^38 ns (275 s)
 * counted in the last bucket. The layout is that of SPDK's histogram_data with a granularity
 * (bucket_shift) of 6, in prefix. One writer; a reader on another thread sees counts that are a
 * little old.
 */
#define TARN_HISTOGRAM_GRANULARITY 6
#define TARN_HISTOGRAM_SUB_COUNT (1u << TARN_HISTOGRAM_GRANULARITY)
#define TARN_HISTOGRAM_MAX_BITS 38
#define TARN_HISTOGRAM_RANGE_COUNT (TARN_HISTOGRAM_MAX_BITS - TARN_HISTOGRAM_GRANULARITY + 1)
#define TARN_HISTOGRAM_BUCKET_COUNT (TARN_HISTOGRAM_RANGE_COUNT * TARN_HISTOGRAM_SUB_COUNT)

struct tarn_histogram {
	uint64_t bucket[TARN_HISTOGRAM_BUCKET_COUNT];
};

/** \return the bucket that counts value_ns. */
static inline uint32_t
tarn_histogram_index(uint64_t value_ns)
{
	uint32_t range, msb;

	if (value_ns < TARN_HISTOGRAM_SUB_COUNT)
		return (uint32_t)value_ns;
	if (value_ns >> TARN_HISTOGRAM_MAX_BITS)
		return TARN_HISTOGRAM_BUCKET_COUNT - 1;
	msb = 63 - (uint32_t)__builtin_clzll(value_ns);
	range = msb - TARN_HISTOGRAM_GRANULARITY + 1;
	return (range << TARN_HISTOGRAM_GRANULARITY) +
	       (uint32_t)((value_ns >> (range - 1)) & (TARN_HISTOGRAM_SUB_COUNT - 1));
}

static inline void
tarn_histogram_add(struct tarn_histogram *histogram, uint64_t value_ns)
{
	histogram->bucket[tarn_histogram_index(value_ns)]++;
}

/** Smallest value that the bucket counts; that of the one after it is where it ends. */
uint64_t tarn_histogram_bucket_start_ns(uint32_t index);
/** Add all counts of src to dst. */
void tarn_histogram_merge(struct tarn_histogram *dst, const struct tarn_histogram *src);
void tarn_histogram_reset(struct tarn_histogram *histogram);
/** \return how many values were added. */
uint64_t tarn_histogram_count(const struct tarn_histogram *histogram);
/**
 * Value below or at which `percent` (0 to 100) of the values lie, as the end of its bucket less
 * one, so that it is never told too small.
 * \return 0 when the histogram is empty.
 */
uint64_t tarn_histogram_percentile_ns(const struct tarn_histogram *histogram, double percent);
