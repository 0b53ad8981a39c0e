/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <stdio.h>

#include "process.h"
#include "tarn/histogram.h"

/* What the reports of devices and of caches have in common. */
struct cJSON;

/** \return 0 where the whole is 0. */
double perf_ratio(double part, double whole);
/** ", p50 1.23, p90 …", in us. */
void perf_percentiles_text(const struct tarn_histogram *histogram, FILE *out);
/** Microseconds with three places. */
void perf_add_us(struct cJSON *object, const char *name, double value_us);
/** Add "latency_us" with mean and percentiles. \return it. */
struct cJSON *perf_add_latency(struct cJSON *parent, const struct tarn_histogram *histogram,
			       uint64_t sum_ns, uint64_t count);
/** The line of CPU time for each of count things of that name. */
void perf_cpu_text(const struct perf_time *time, double count, const char *thing, FILE *out);
/** Add "cpu"; each_name: "us_per_io" or the like. */
void perf_add_cpu(struct cJSON *root, const struct perf_time *time, double count,
		  const char *each_name);
/** Add "version" and "machine". */
void perf_add_about(struct cJSON *root);
/** \return the text, for free(), or NULL for want of memory. root is gone. */
char *perf_print(struct cJSON *root);
