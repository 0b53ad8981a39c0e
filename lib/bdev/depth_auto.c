/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The search for a depth.
 *
 *	DESCEND --halve while it is enough; too few--> REFINE --bisected--> HOLD
 *	   ^ \--first depth within the target--> CEILING --bisected--> DESCEND (or HOLD)
 *	   \--------------- now and then, or when throughput or latency change ------------ HOLD
 *
 * It comes from above, where throughput is at its best and a step down costs little. Only a depth
 * that was reached (I/O waited for it) can be too small: throughput that falls otherwise is the
 * users' doing.
 */
#include "depth_auto.h"

#include <string.h>

#define KEEP 0.97	  /* of the best throughput */
#define MEASURE_WINDOWS 7 /* the first is for the change to settle */
#define UNSURE_WINDOWS 19 /* where noise could decide */
#define UNSURE 0.04
#define HOLD_WINDOWS 300
#define HOLD_WINDOWS_MIN 10
#define DRIFT 0.15
#define ODD_WINDOWS 3
#define COMPLETED_MIN 16 /* less says nothing */

static void
measure(struct depth_auto *self, enum depth_auto_state state, uint32_t depth)
{
	self->state = state;
	self->depth = depth;
	self->window_count = 0;
	self->binding_count = 0;
	memset(&self->sum, 0, sizeof(self->sum));
}

static void
descend_from(struct depth_auto *self, uint32_t depth)
{
	self->best = 0;
	self->low = 0;
	self->high = 0;
	measure(self, DEPTH_DESCEND, depth);
}

void
depth_auto_init(struct depth_auto *self, uint32_t max, uint64_t latency_target_ns)
{
	memset(self, 0, sizeof(*self));
	self->max = max > 0 ? max : 1;
	self->latency_target_ns = latency_target_ns;
	descend_from(self, self->max);
}

static void
hold(struct depth_auto *self, uint32_t depth, double rate, bool binding)
{
	measure(self, DEPTH_HOLD, depth);
	self->hold_rate = rate;
	self->hold_binding = binding;
	self->hold_count = 0;
	self->odd_count = 0;
}

static bool
in_time(const struct depth_auto *self, const struct depth_auto_window *sum)
{
	return self->latency_target_ns == 0 ||
	       sum->latency_ns <= self->latency_target_ns * sum->completed_count;
}

/* A depth that is enough, all above known: the next smaller one, until there is none. */
static void
below(struct depth_auto *self, double rate, bool binding)
{
	uint32_t depth = self->depth;

	self->high = depth;
	self->low_rate = rate;
	if (depth == 1)
		hold(self, 1, rate, binding);
	else
		measure(self, DEPTH_DESCEND, depth / 2);
}

static void
refine(struct depth_auto *self, bool binding)
{
	if (self->high - self->low <= 1 + self->high / 16)
		hold(self, self->high, self->low_rate, binding);
	else
		measure(self, DEPTH_REFINE, self->low + (self->high - self->low) / 2);
}

static void
descended(struct depth_auto *self, double rate, bool binding)
{
	uint32_t depth = self->depth;

	if (!in_time(self, &self->sum) && depth > 1) {
		/* What is too slow is no measure of throughput. */
		self->best = 0;
		self->high = depth;
		measure(self, DEPTH_DESCEND, depth / 2);
		return;
	}
	if (self->best == 0 && self->high > depth + 1 && in_time(self, &self->sum)) {
		self->low = depth;
		self->low_rate = rate;
		measure(self, DEPTH_CEILING, depth + (self->high - depth) / 2);
		return;
	}
	if (rate > self->best)
		self->best = rate;
	if (!binding || rate >= KEEP * self->best) {
		below(self, rate, binding);
		return;
	}
	self->low = depth;
	refine(self, true);
}

/* Between a depth in time and one too slow: the largest in time has the best throughput allowed. */
static void
ceiling_measured(struct depth_auto *self, double rate, bool binding)
{
	if (in_time(self, &self->sum)) {
		self->low = self->depth;
		self->low_rate = rate;
	} else {
		self->high = self->depth;
	}
	if (self->high - self->low > 1 + self->low / 16) {
		measure(self, DEPTH_CEILING, self->low + (self->high - self->low) / 2);
		return;
	}
	self->best = self->low_rate;
	self->depth = self->low;
	below(self, self->low_rate, binding);
}

static void
refined(struct depth_auto *self, double rate, bool binding)
{
	if (!binding || rate >= KEEP * self->best) {
		self->high = self->depth;
		self->low_rate = rate;
	} else {
		self->low = self->depth;
	}
	refine(self, true);
}

/* Whether this window is unlike those that the depth was chosen by. */
static bool
odd(const struct depth_auto *self, const struct depth_auto_window *window, double rate)
{
	if (window->binding && !self->hold_binding)
		return true;
	if (!in_time(self, window) && self->depth > 1)
		return true;
	return window->binding &&
	       (rate > self->hold_rate * (1 + DRIFT) || rate < self->hold_rate * (1 - DRIFT));
}

static void
held(struct depth_auto *self, const struct depth_auto_window *window)
{
	double rate = (double)window->completed_count / (double)window->span_ns;

	self->hold_count++;
	self->odd_count = odd(self, window, rate) ? self->odd_count + 1 : 0;
	if (self->hold_count >= HOLD_WINDOWS ||
	    (self->odd_count >= ODD_WINDOWS && self->hold_count >= HOLD_WINDOWS_MIN))
		descend_from(self, self->max);
}

/* Whether it is worth the time to look longer. */
static bool
unsure(const struct depth_auto *self, double rate)
{
	return self->window_count < UNSURE_WINDOWS && rate > (KEEP - UNSURE) * self->best &&
	       rate < (KEEP + UNSURE / 4) * self->best;
}

static void
measured(struct depth_auto *self)
{
	double rate = (double)self->sum.completed_count / (double)self->sum.span_ns;
	bool binding = self->binding_count * 2 >= self->window_count - 1;

	if (unsure(self, rate))
		return;
	switch (self->state) {
	case DEPTH_DESCEND:
		descended(self, rate, binding);
		break;
	case DEPTH_CEILING:
		ceiling_measured(self, rate, binding);
		break;
	case DEPTH_REFINE:
		refined(self, rate, binding);
		break;
	case DEPTH_HOLD:
		break;
	}
}

uint32_t
depth_auto_window(struct depth_auto *self, const struct depth_auto_window *window)
{
	if (window->completed_count < COMPLETED_MIN || window->span_ns == 0)
		return self->depth;
	if (self->state == DEPTH_HOLD) {
		held(self, window);
		return self->depth;
	}
	if (self->window_count++ == 0)
		return self->depth;
	self->sum.span_ns += window->span_ns;
	self->sum.completed_count += window->completed_count;
	self->sum.latency_ns += window->latency_ns;
	self->binding_count += window->binding;
	if (self->window_count >= MEASURE_WINDOWS)
		measured(self);
	return self->depth;
}
