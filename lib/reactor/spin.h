/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <stdbool.h>
#include <stdint.h>

/*
 * Whether a reactor that has run out of work polls for a while or sleeps at once. Which of the two
 * sees the next work sooner depends on who brings it: polling saves the wake-up, but where the
 * work is done by kernel threads (loop devices, devices without NOWAIT) or by the host, it takes
 * the CPU from them. So both are tried, a few idle periods each, and the better one is kept; on a
 * tie, sleep. One for each reactor; no thread but its own.
 */
struct spin {
	uint64_t max_ns;		   /* the longest to poll */
	bool polls;			   /* the way in force */
	bool trying;			   /* it is being measured */
	uint32_t period_count, miss_count; /* in it; polls that ended without work */
	uint64_t idle_ns;		   /* in it, summed */
	uint64_t polls_mean_ns;		   /* what the first half of a trial found */
	bool kept_polls;		   /* the last decision */
	uint64_t keep_ns, keep_until_ns;
};

void spin_init(struct spin *spin, uint64_t max_ns);
/** \return how long to poll before sleep, now. */
uint64_t spin_for_ns(const struct spin *spin);
/** Work has come, after idle_ns without any. */
void spin_idle_over(struct spin *spin, uint64_t idle_ns, uint64_t now_ns);
