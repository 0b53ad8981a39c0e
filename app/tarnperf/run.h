/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include "job.h"
#include "opts.h"
#include "process.h"
#include "target.h"
#include "tarn/histogram.h"

/* What was measured, summed over devices and jobs. */
struct perf_op_result {
	uint64_t count, bytes, error_count;
	uint64_t latency_ns, min_latency_ns, max_latency_ns; /* latency_ns is a sum */
	struct tarn_histogram histogram;
};

struct perf_result {
	struct perf_time time;
	struct perf_op_result op[3]; /* read, write, flush, as in enum tarn_io_op */
	uint64_t submit_count;	     /* system calls that submitted, where drivers tell; or 0 */
	uint64_t verified_count, verify_error_count;
	bool interrupted;
};

/* One run from start to end. Opaque but for the report. */
struct perf_run {
	const struct perf_opts *opts;
	struct perf_targets targets;
	struct perf_job *jobs;
	uint32_t job_count;
	uint32_t reactor_count;
	struct perf_result result;
	struct cJSON *devices; /* what drivers say of themselves, taken while they are open */
	struct tarn_reason reason;
	int status; /* exit status */
	/* run.c's own. */
	uint32_t phase;
	uint32_t pending_count;	  /* jobs that have not answered */
	uint32_t targets_pending; /* whose statistics are under way */
	struct perf_clock clock;  /* of the phase */
	struct tarn_poller *tick;
	uint64_t progress_ns, progress_count;
};

/**
 * Do the whole run: reactors are made, run and gone again. The calling thread becomes the control
 * reactor. SIGINT and SIGTERM end the measurement and keep what there is; the second time they end
 * the program.
 * \return the exit status: 0, 1 (I/O or verify errors) or 2 (refused; run->reason says why).
 */
int perf_run(struct perf_run *run, const struct perf_opts *opts);
void perf_run_fini(struct perf_run *run);
