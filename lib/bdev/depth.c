/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Channels whose depth adapts: a timed poller feeds depth_auto.c with windows of what the channel
 * did.
 */
#include <errno.h>
#include <stdlib.h>

#include "lib/bdev/depth_auto.h"
#include "lib/bdev/internal.h"
#include "tarn/env.h"

#define WINDOW_US 100000
#define WINDOW_IDLE_US 1000000 /* without I/O, so that an idle daemon sleeps */

struct channel_auto {
	struct depth_auto search;
	struct tarn_poller *poller;
	uint64_t since_ns;
	/* The channel's counts when the window began. */
	uint64_t completed_count, latency_ns;
	uint32_t full_count;
	bool idle;
};

static void
set_depth(struct tarn_channel *channel, uint32_t depth)
{
	const struct tarn_bdev *bdev = channel->bdev;

	if (depth == channel->depth_limit)
		return;
	channel->depth_limit = depth;
	/* The share that background I/O may have stays. */
	channel->background_limit =
	    (uint32_t)tarn_max_u64((uint64_t)bdev->background_depth * depth / bdev->queue_depth, 1);
	atomic_store_explicit(&channel->bdev->depth_now, depth, memory_order_relaxed);
	if (!TAILQ_EMPTY(&channel->waiting) || !TAILQ_EMPTY(&channel->waiting_background))
		channel_stall(channel);
}

static void
count_window(struct tarn_channel *channel, uint64_t now_ns, struct depth_auto_window *window)
{
	struct channel_auto *self = channel->depth_auto;
	uint64_t completed_count = 0, latency_ns = 0;

	for (int op = TARN_IO_READ; op <= TARN_IO_WRITE; op++) {
		completed_count += channel->stats.op[op].count;
		latency_ns += channel->stats.op[op].latency_ns;
	}
	window->span_ns = now_ns - self->since_ns;
	/* Counts go back when somebody resets them: that window says nothing. */
	window->completed_count =
	    completed_count >= self->completed_count ? completed_count - self->completed_count : 0;
	/* What waits here does not wait in the driver: there it is never more than the depth. */
	window->latency_ns =
	    tarn_min_u64(latency_ns >= self->latency_ns ? latency_ns - self->latency_ns : 0,
			 channel->depth_limit * window->span_ns);
	window->binding = channel->full_count != self->full_count;
	self->since_ns = now_ns;
	self->completed_count = completed_count;
	self->latency_ns = latency_ns;
	self->full_count = channel->full_count;
}

static int
window_ends(void *arg)
{
	struct tarn_channel *channel = arg;
	struct channel_auto *self = channel->depth_auto;
	struct depth_auto_window window = { 0 };
	bool idle;

	count_window(channel, tarn_now_ns(), &window);
	idle = window.completed_count == 0;
	if (idle != self->idle) {
		self->idle = idle;
		tarn_poller_set_period(self->poller, idle ? WINDOW_IDLE_US : WINDOW_US);
	}
	if (idle)
		return 0;
	set_depth(channel, depth_auto_window(&self->search, &window));
	return 1;
}

int
depth_start(struct tarn_channel *channel)
{
	const struct tarn_bdev_common_opts *common = channel->bdev->opts;
	struct tarn_poller_opts opts = {
		.name = "bdev_depth",
		.fn = window_ends,
		.arg = channel,
		.period_us = WINDOW_US,
	};
	struct channel_auto *self;

	if (!common->queue_depth_auto)
		return 0;
	self = calloc(1, sizeof(*self));
	if (self == NULL)
		return -ENOMEM;
	depth_auto_init(&self->search, channel->depth_limit, common->latency_target_us * 1000);
	self->since_ns = tarn_now_ns();
	self->poller = tarn_poller_register(&opts);
	if (self->poller == NULL) {
		free(self);
		return -ENOMEM;
	}
	channel->depth_auto = self;
	return 0;
}

void
depth_stop(struct tarn_channel *channel)
{
	if (channel->depth_auto == NULL)
		return;
	tarn_poller_unregister(&channel->depth_auto->poller);
	free(channel->depth_auto);
	channel->depth_auto = NULL;
}
