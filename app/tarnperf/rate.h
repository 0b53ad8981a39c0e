/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <stdbool.h>
#include <stdint.h>

/*
 * A limit of I/Os per second: the n-th may start n intervals after the first. Whoever fell behind
 * may catch up what was missed in the last 10 ms and no more, so that a stall is not followed by a
 * storm.
 */
#define PERF_RATE_CATCH_UP_NS UINT64_C(10000000)

struct perf_rate {
	double interval_ns; /* 0: no limit */
	double due_ns;	    /* when the next may start, counted from start_ns */
	uint64_t start_ns;
};

/** per_second 0 is no limit. */
void perf_rate_init(struct perf_rate *rate, double per_second, uint64_t now_ns);
/** \return whether an I/O may start now; it is then counted. */
bool perf_rate_take(struct perf_rate *rate, uint64_t now_ns);
/** \return nanoseconds until the next may start. */
uint64_t perf_rate_wait_ns(const struct perf_rate *rate, uint64_t now_ns);
