/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <stdint.h>

/*
 * Values on the command line as numbers. Each returns 0 with *ret, or -EINVAL (not of that form, or
 * negative) or -ERANGE (does not fit).
 */

/** "4096", "4k", "4KiB", "1.5g": bytes, units of 1024. */
int perf_value_size(const char *text, uint64_t *ret);
/** "10", "0.5", "500ms", "20us", "2m": nanoseconds; seconds where there is no unit. */
int perf_value_duration(const char *text, uint64_t *ret);
/** "1000000", "250k", "1.5M": a count, units of 1000. */
int perf_value_count(const char *text, uint64_t *ret);
