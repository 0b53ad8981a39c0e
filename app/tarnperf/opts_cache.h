/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include "opts.h"

/* Functions of the options' table: \return 0, -EINVAL or -ERANGE. */
int perf_set_cache(struct perf_opts *opts, const char *value);
int perf_set_value_size(struct perf_opts *opts, const char *value);
int perf_set_segment(struct perf_opts *opts, const char *value);
int perf_set_entry(struct perf_opts *opts, const char *value);
/** \return 0, or -EINVAL with the reason: what contradicts. */
int perf_check_cache(const struct perf_opts *opts, struct tarn_reason *reason);
