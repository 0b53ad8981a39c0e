/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <stdbool.h>

#include "opts.h"
#include "tarn/reason.h"

/* What every run has: memory, reactors, signals, the framework with its configuration; the time. */

struct perf_process {
	const struct perf_opts *opts;
	uint64_t iomem_bytes; /* 0: the default */
	/* On the control reactor, once the configuration is loaded or has failed. */
	void (*started)(void *arg, int status, const char *error);
	void *arg;
};

/**
 * Run until tarn_reactors_stop(). The calling thread becomes the control reactor. SIGINT and
 * SIGTERM are noted; the second one ends the program.
 * \return the status given there, or -errno with the reason: it did not start.
 */
int perf_process_run(const struct perf_process *process, struct tarn_reason *reason);
/** Whether a signal said that the run is to end. */
bool perf_process_interrupted(void);

struct perf_time {
	double duration_s;
	double user_s, system_s; /* CPU time of the process, kernel threads of its rings included */
};
struct perf_clock {
	uint64_t start_ns;
	struct perf_time start;
};
void perf_clock_start(struct perf_clock *clock);
/** \return what has passed since. */
struct perf_time perf_clock_read(const struct perf_clock *clock);
