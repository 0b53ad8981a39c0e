/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <stdint.h>

#include "opts.h"
#include "tarn/bdev.h"
#include "tarn/bdev_stats.h"

/* A device under load. */
struct perf_target {
	struct tarn_bdev *bdev;
	struct tarn_bdev_desc *desc;
	struct tarn_bdev_info info;
	uint64_t first_block, block_count;	    /* of the region, in I/Os of block_bytes */
	struct tarn_bdev_stats *stats;		    /* of the measurement, once gathered */
	uint64_t submit_count_before, submit_count; /* system calls that submitted; 0: not told */
};

struct perf_targets {
	struct perf_target target[PERF_DEVICE_COUNT_MAX];
	uint32_t count;
};

/**
 * Create the bdevs that the options name, or those of the config, without opening them: the cache
 * does. As perf_targets_open() otherwise.
 */
int perf_targets_make(struct perf_targets *targets, const struct perf_opts *opts,
		      struct tarn_reason *reason);
/**
 * Create the bdevs that the options name, or those of the config, and open them. Control reactor;
 * blocks.
 * \return 0, or -errno with the reason; what was made is then gone again, except bdevs, which
 * tarn_framework_stop() ends in both cases.
 */
int perf_targets_open(struct perf_targets *targets, const struct perf_opts *opts,
		      struct tarn_reason *reason);
/** Every channel was put. */
void perf_targets_close(struct perf_targets *targets);
