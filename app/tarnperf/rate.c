/* SPDX-License-Identifier: BSD-3-Clause */
/* Pacing. Times are kept as doubles from the start: exact to a nanosecond for a hundred days. */
#include "rate.h"

#include <math.h>

void
perf_rate_init(struct perf_rate *rate, double per_second, uint64_t now_ns)
{
	rate->interval_ns = per_second > 0 ? 1e9 / per_second : 0;
	rate->due_ns = 0;
	rate->start_ns = now_ns;
}

bool
perf_rate_take(struct perf_rate *rate, uint64_t now_ns)
{
	double now = (double)(now_ns - rate->start_ns);

	if (rate->interval_ns == 0)
		return true;
	if (now < rate->due_ns)
		return false;
	rate->due_ns = fmax(rate->due_ns, now - (double)PERF_RATE_CATCH_UP_NS) + rate->interval_ns;
	return true;
}

uint64_t
perf_rate_wait_ns(const struct perf_rate *rate, uint64_t now_ns)
{
	double now = (double)(now_ns - rate->start_ns);

	return rate->due_ns > now ? (uint64_t)ceil(rate->due_ns - now) : 0;
}
