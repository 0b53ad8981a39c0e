/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Statistics: counted by each channel on its own reactor; gathered, and reset, by a message that
 * visits the reactors one after another, so that neither takes a lock or tears a count.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bdev/internal.h"

struct bdev_sampling {
	struct tarn_bdev *bdev;
	struct tarn_poller *poller;
	uint64_t period_us;
	uint64_t depth, io_time_us, weighted_io_time_us;
	uint64_t sum; /* of the visit under way */
	bool visiting;
	bool ended; /* freed when the visit is over */
};

/* --- Counting --- */

void
stats_start(struct tarn_channel *channel)
{
	for (int op = 0; op < TARN_IO_OP_COUNT; op++)
		channel->stats.op[op].min_latency_ns = UINT64_MAX;
}

void
stats_complete(struct tarn_channel *channel, const struct tarn_io *io, int status, uint64_t now_ns)
{
	struct tarn_op_stats *op = &channel->stats.op[io->op];
	uint64_t latency_ns = now_ns > io->submit_ns ? now_ns - io->submit_ns : 0;

	channel->stats.queue_depth--;
	op->count++;
	if (tarn_likely(status == 0))
		op->bytes += io->length_bytes;
	else
		op->error_count++;
	op->latency_ns += latency_ns;
	if (latency_ns < op->min_latency_ns)
		op->min_latency_ns = latency_ns;
	if (latency_ns > op->max_latency_ns)
		op->max_latency_ns = latency_ns;
	tarn_histogram_add(&channel->histogram[io->op], latency_ns);
}

static void
op_stats_add(struct tarn_op_stats *sum, const struct tarn_op_stats *op)
{
	if (op->count == 0)
		return;
	/* A maximum of 0: nothing since minimum and maximum were reset. */
	if (op->max_latency_ns != 0 &&
	    (sum->max_latency_ns == 0 || op->min_latency_ns < sum->min_latency_ns))
		sum->min_latency_ns = op->min_latency_ns;
	sum->max_latency_ns = tarn_max_u64(sum->max_latency_ns, op->max_latency_ns);
	sum->count += op->count;
	sum->bytes += op->bytes;
	sum->error_count += op->error_count;
	sum->latency_ns += op->latency_ns;
}

static void
channel_stats_add(struct tarn_channel_stats *sum, const struct tarn_channel_stats *stats)
{
	for (int op = 0; op < TARN_IO_OP_COUNT; op++)
		op_stats_add(&sum->op[op], &stats->op[op]);
	sum->queue_depth += stats->queue_depth;
	sum->queue_depth_max += stats->queue_depth_max;
	sum->split_count += stats->split_count;
	sum->merge_count += stats->merge_count;
	sum->wait_count += stats->wait_count;
	sum->driver_submit_count += stats->driver_submit_count;
}

void
stats_retire(struct tarn_channel *channel)
{
	struct tarn_bdev *bdev = channel->bdev;

	pthread_mutex_lock(&bdev->retired_lock);
	/* Depths are of the living. */
	channel->stats.queue_depth_max = 0;
	channel_stats_add(&bdev->retired, &channel->stats);
	for (int op = 0; op < TARN_IO_OP_COUNT; op++)
		tarn_histogram_merge(&bdev->retired_histogram[op], &channel->histogram[op]);
	pthread_mutex_unlock(&bdev->retired_lock);
}

/* --- Gathering --- */

struct gathering {
	struct tarn_bdev *bdev;
	enum tarn_stats_reset reset;
	bool with_histograms, reset_histograms;
	struct tarn_bdev_stats *stats; /* NULL: only reset */
	tarn_bdev_stats_cb cb;
	void *arg;
};

static void
reset_channel(struct tarn_channel *channel, enum tarn_stats_reset reset)
{
	struct tarn_channel_stats *stats = &channel->stats;
	uint32_t depth = stats->queue_depth;

	if (reset == TARN_STATS_RESET_ALL) {
		memset(stats, 0, sizeof(*stats));
		for (int op = 0; op < TARN_IO_OP_COUNT; op++)
			tarn_histogram_reset(&channel->histogram[op]);
	}
	if (reset == TARN_STATS_RESET_ERRORS) {
		for (int op = 0; op < TARN_IO_OP_COUNT; op++)
			stats->op[op].error_count = 0;
		return;
	}
	for (int op = 0; op < TARN_IO_OP_COUNT; op++) {
		stats->op[op].min_latency_ns = UINT64_MAX;
		stats->op[op].max_latency_ns = 0;
	}
	stats->queue_depth = depth;
	stats->queue_depth_max = depth;
}

static void
gather_channel(struct gathering *gathering, const struct tarn_channel *channel, uint32_t index)
{
	struct tarn_bdev_stats *stats = gathering->stats;
	uint32_t slot = stats->channel_count;

	channel_stats_add(&stats->total, &channel->stats);
	if (gathering->with_histograms) {
		for (int op = 0; op < TARN_IO_OP_COUNT; op++)
			tarn_histogram_merge(&stats->histogram[op], &channel->histogram[op]);
	}
	/* Several users' channels on one reactor are shown as one. */
	if (slot != 0 && stats->channel[slot - 1].reactor_index == index)
		slot--;
	else
		stats->channel_count++;
	stats->channel[slot].reactor_index = index;
	channel_stats_add(&stats->channel[slot].stats, &channel->stats);
}

static void
gather_visit(void *arg)
{
	struct gathering *gathering = arg;
	uint32_t index = tarn_reactor_index(tarn_reactor_self());
	struct tarn_channel *channel;

	TAILQ_FOREACH (channel, &gathering->bdev->channels[index], bdev_link) {
		if (gathering->stats != NULL)
			gather_channel(gathering, channel, index);
		if (gathering->reset_histograms) {
			for (int op = 0; op < TARN_IO_OP_COUNT; op++)
				tarn_histogram_reset(&channel->histogram[op]);
		}
		if (gathering->reset != TARN_STATS_KEEP)
			reset_channel(channel, gathering->reset);
	}
}

/* What channels that are gone have left, and the sampled depth. */
static void
gather_rest(struct gathering *gathering)
{
	struct tarn_bdev_stats *stats = gathering->stats;
	struct tarn_bdev *bdev = gathering->bdev;

	pthread_mutex_lock(&bdev->retired_lock);
	if (stats != NULL) {
		channel_stats_add(&stats->total, &bdev->retired);
		for (int op = 0; gathering->with_histograms && op < TARN_IO_OP_COUNT; op++)
			tarn_histogram_merge(&stats->histogram[op], &bdev->retired_histogram[op]);
	}
	if (gathering->reset == TARN_STATS_RESET_ALL)
		memset(&bdev->retired, 0, sizeof(bdev->retired));
	for (int op = 0; gathering->reset == TARN_STATS_RESET_MAXMIN && op < TARN_IO_OP_COUNT;
	     op++) {
		bdev->retired.op[op].min_latency_ns = 0;
		bdev->retired.op[op].max_latency_ns = 0;
	}
	for (int op = 0; gathering->reset == TARN_STATS_RESET_ERRORS && op < TARN_IO_OP_COUNT; op++)
		bdev->retired.op[op].error_count = 0;
	if (gathering->reset == TARN_STATS_RESET_ALL || gathering->reset_histograms)
		memset(bdev->retired_histogram, 0, sizeof(bdev->retired_histogram));
	pthread_mutex_unlock(&bdev->retired_lock);
	if (stats != NULL && bdev->sampling != NULL) {
		stats->sampling_period_us = bdev->sampling->period_us;
		stats->sampled_depth = bdev->sampling->depth;
		stats->io_time_us = bdev->sampling->io_time_us;
		stats->weighted_io_time_us = bdev->sampling->weighted_io_time_us;
	}
}

static void
gather_done(void *arg)
{
	struct gathering gathering = *(struct gathering *)arg;

	gather_rest(&gathering);
	free(arg);
	gathering.cb(gathering.arg, 0);
	bdev_unhold(gathering.bdev);
}

static void
gather(const struct gathering *wanted)
{
	struct gathering *gathering = malloc(sizeof(*gathering));

	tarn_assert(tarn_on_control_reactor());
	if (gathering == NULL) {
		wanted->cb(wanted->arg, -ENOMEM);
		return;
	}
	*gathering = *wanted;
	if (tarn_reactor_for_each(gather_visit, gather_done, gathering) != 0) {
		free(gathering);
		wanted->cb(wanted->arg, -ENOMEM);
		return;
	}
	bdev_hold(wanted->bdev);
}

void
tarn_bdev_get_stats(struct tarn_bdev *bdev, enum tarn_stats_reset reset, bool with_histograms,
		    struct tarn_bdev_stats *stats, tarn_bdev_stats_cb cb, void *arg)
{
	struct gathering wanted = {
		.bdev = bdev,
		.reset = reset,
		.with_histograms = with_histograms,
		.stats = stats,
		.cb = cb,
		.arg = arg,
	};

	if (stats != NULL)
		memset(stats, 0, sizeof(*stats));
	gather(&wanted);
}

void
tarn_bdev_enable_histogram(struct tarn_bdev *bdev, bool enable, tarn_bdev_stats_cb cb, void *arg)
{
	struct gathering wanted = {
		.bdev = bdev,
		.reset_histograms = enable,
		.cb = cb,
		.arg = arg,
	};

	bdev->histogram_enabled = enable;
	gather(&wanted);
}

bool
tarn_bdev_histogram_enabled(const struct tarn_bdev *bdev)
{
	return bdev->histogram_enabled;
}

/* --- Sampling the queue depth --- */

static void
sample_visit(void *arg)
{
	struct bdev_sampling *sampling = arg;
	uint32_t index = tarn_reactor_index(tarn_reactor_self());
	const struct tarn_channel *channel;

	TAILQ_FOREACH (channel, &sampling->bdev->channels[index], bdev_link)
		sampling->sum += channel->stats.queue_depth;
}

static void
sample_done(void *arg)
{
	struct bdev_sampling *sampling = arg;
	struct tarn_bdev *bdev = sampling->bdev;

	sampling->visiting = false;
	if (sampling->ended) {
		free(sampling);
	} else {
		sampling->depth = sampling->sum;
		if (sampling->sum != 0)
			sampling->io_time_us += sampling->period_us;
		sampling->weighted_io_time_us += sampling->sum * sampling->period_us;
	}
	bdev_unhold(bdev);
}

static int
sample(void *arg)
{
	struct bdev_sampling *sampling = arg;

	if (sampling->visiting)
		return 0; /* a reactor is slower than the period */
	sampling->sum = 0;
	if (tarn_reactor_for_each(sample_visit, sample_done, sampling) != 0)
		return 0;
	sampling->visiting = true;
	bdev_hold(sampling->bdev);
	return 1;
}

void
stats_sampling_free(struct tarn_bdev *bdev)
{
	struct bdev_sampling *sampling = bdev->sampling;

	if (sampling == NULL)
		return;
	bdev->sampling = NULL;
	tarn_poller_unregister(&sampling->poller);
	if (sampling->visiting)
		sampling->ended = true;
	else
		free(sampling);
}

uint64_t
tarn_bdev_get_qd_sampling(const struct tarn_bdev *bdev)
{
	return bdev->sampling != NULL ? bdev->sampling->period_us : 0;
}

int
tarn_bdev_set_qd_sampling(struct tarn_bdev *bdev, uint64_t period_us)
{
	struct tarn_poller_opts opts = {
		.name = "bdev_sampling",
		.fn = sample,
		.period_us = period_us,
	};
	struct bdev_sampling *sampling;

	tarn_assert(tarn_on_control_reactor());
	stats_sampling_free(bdev);
	if (period_us == 0)
		return 0;
	sampling = calloc(1, sizeof(*sampling));
	if (sampling == NULL)
		return -ENOMEM;
	sampling->bdev = bdev;
	sampling->period_us = period_us;
	opts.arg = sampling;
	sampling->poller = tarn_poller_register(&opts);
	if (sampling->poller == NULL) {
		free(sampling);
		return -ENOMEM;
	}
	bdev->sampling = sampling;
	return 0;
}
