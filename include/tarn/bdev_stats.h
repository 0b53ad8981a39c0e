/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "tarn/histogram.h"

/*
 * Statistics of a bdev, of one channel or of all. Gathering visits each reactor by message, so that
 * every count is exact and no I/O pays for it.
 */
struct tarn_bdev;

struct tarn_op_stats {
	uint64_t count; /* completed, also with an error */
	uint64_t bytes; /* of those that succeeded */
	uint64_t error_count;
	uint64_t latency_ns;			 /* sum */
	uint64_t min_latency_ns, max_latency_ns; /* 0 when there was none */
};

struct tarn_channel_stats {
	struct tarn_op_stats op[5]; /* by enum tarn_io_op */
	uint32_t queue_depth;	    /* submitted to lib/bdev, not completed, now */
	uint32_t queue_depth_max;
	uint64_t split_count, merge_count,
	    wait_count;		      /* I/Os split; merged into a neighbour; that had to wait */
	uint64_t driver_submit_count; /* I/Os handed to the driver */
};

struct tarn_bdev_stats {
	struct tarn_channel_stats total; /* channels that are gone included */
	/* Sampled queue depth, once tarn_bdev_set_qd_sampling() asked for it. */
	uint64_t sampling_period_us; /* 0: not sampled */
	uint64_t sampled_depth;
	uint64_t io_time_us, weighted_io_time_us;
	uint32_t channel_count;
	struct {
		uint32_t reactor_index;
		struct tarn_channel_stats stats;
	} channel[64];
	/* One for each operation, or all zero unless asked for. */
	struct tarn_histogram histogram[5];
};

enum tarn_stats_reset {
	TARN_STATS_KEEP,
	TARN_STATS_RESET_MAXMIN, /* minimum, maximum, queue depth maximum */
	TARN_STATS_RESET_ALL,
	TARN_STATS_RESET_ERRORS, /* counts of errors only */
};

/** stats is the caller's again when this is called. On the reactor that asked. */
typedef void (*tarn_bdev_stats_cb)(void *arg, int status);

/**
 * Gather (stats NULL: only reset), and reset as asked in the same visit so that nothing is lost
 * between. Control reactor. The bdev is held until cb. status 0 or -ENOMEM.
 */
void tarn_bdev_get_stats(struct tarn_bdev *bdev, enum tarn_stats_reset reset, bool with_histograms,
			 struct tarn_bdev_stats *stats, tarn_bdev_stats_cb cb, void *arg);
/** Sample the queue depth every period_us; 0 stops. Control reactor. \return 0 or -ENOMEM. */
int tarn_bdev_set_qd_sampling(struct tarn_bdev *bdev, uint64_t period_us);
/** \return the period in force, 0 for none. Control reactor. */
uint64_t tarn_bdev_get_qd_sampling(const struct tarn_bdev *bdev);
/**
 * Histograms are kept always; this is SPDK's bdev_enable_histogram: enabling resets them, disabling
 * makes tarn_bdev_histogram_enabled() say no. Control reactor.
 */
void tarn_bdev_enable_histogram(struct tarn_bdev *bdev, bool enable, tarn_bdev_stats_cb cb,
				void *arg);
bool tarn_bdev_histogram_enabled(const struct tarn_bdev *bdev);
