/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <stdbool.h>
#include <stdint.h>

/*
 * Finds the smallest queue depth that keeps throughput within 3 % of the best, with the mean
 * latency below a target if there is one. Pure: it is fed with what happened in each window of time
 * and says what depth the next one shall have. Within lib/bdev.
 */
enum depth_auto_state { DEPTH_DESCEND, DEPTH_CEILING, DEPTH_REFINE, DEPTH_HOLD };

struct depth_auto_window {
	uint64_t span_ns;
	uint64_t completed_count;
	uint64_t latency_ns; /* sum over what completed, of the time in the driver */
	bool binding;	     /* I/O waited because the depth was reached */
};

struct depth_auto {
	uint32_t depth; /* now */
	uint32_t max;
	uint64_t latency_target_ns; /* 0: none */
	enum depth_auto_state state;
	/*
	 * The measurement under way, of several windows; the first after a change does not count.
	 */
	uint32_t window_count, binding_count;
	struct depth_auto_window sum;
	/* The search. */
	double best;	    /* I/Os per ns, within the latency target */
	uint32_t low, high; /* CEILING: in time, too slow; REFINE: too few, enough */
	double low_rate;
	/* Holding. */
	double hold_rate;
	bool hold_binding;
	uint32_t hold_count, odd_count;
};

void depth_auto_init(struct depth_auto *self, uint32_t max, uint64_t latency_target_ns);
/** \return the depth for the next window. Windows with next to no I/O change nothing. */
uint32_t depth_auto_window(struct depth_auto *self, const struct depth_auto_window *window);
