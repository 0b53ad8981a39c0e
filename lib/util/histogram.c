/* SPDX-License-Identifier: BSD-3-Clause */
/* What is done with a histogram when it is read; adding to it is inline in the header. */
#include "tarn/histogram.h"

#include <math.h>
#include <string.h>

#include "tarn/util.h"

uint64_t
tarn_histogram_bucket_start_ns(uint32_t index)
{
	uint32_t range = index >> TARN_HISTOGRAM_GRANULARITY;
	uint64_t sub = index & (TARN_HISTOGRAM_SUB_COUNT - 1);

	tarn_assert(index <= TARN_HISTOGRAM_BUCKET_COUNT);
	if (range == 0)
		return sub;
	return (TARN_HISTOGRAM_SUB_COUNT + sub) << (range - 1);
}

void
tarn_histogram_merge(struct tarn_histogram *dst, const struct tarn_histogram *src)
{
	for (uint32_t i = 0; i < TARN_HISTOGRAM_BUCKET_COUNT; i++)
		dst->bucket[i] += src->bucket[i];
}

void
tarn_histogram_reset(struct tarn_histogram *histogram)
{
	memset(histogram, 0, sizeof(*histogram));
}

uint64_t
tarn_histogram_count(const struct tarn_histogram *histogram)
{
	uint64_t count = 0;

	for (uint32_t i = 0; i < TARN_HISTOGRAM_BUCKET_COUNT; i++)
		count += histogram->bucket[i];
	return count;
}

uint64_t
tarn_histogram_percentile_ns(const struct tarn_histogram *histogram, double percent)
{
	uint64_t total = tarn_histogram_count(histogram), rank, seen = 0;
	uint32_t i = 0;

	if (total == 0)
		return 0;
	percent = fmin(fmax(percent, 0.0), 100.0);
	rank = (uint64_t)ceil(percent / 100.0 * (double)total);
	rank = tarn_min_u64(tarn_max_u64(rank, 1), total);
	while ((seen += histogram->bucket[i]) < rank)
		i++;
	return tarn_histogram_bucket_start_ns(i + 1) - 1;
}
