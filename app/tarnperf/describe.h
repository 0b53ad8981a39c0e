/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include "target.h"

struct cJSON;

/**
 * How many system calls of this bdev's driver have submitted I/O so far; 0: it does not say.
 * Control reactor.
 */
uint64_t perf_describe_submit_count(struct tarn_bdev *bdev);
/**
 * What the devices are and what their drivers say of themselves. \return an array, or NULL for want
 * of memory.
 */
struct cJSON *perf_describe_targets(const struct perf_targets *targets);
