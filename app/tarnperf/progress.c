/* SPDX-License-Identifier: BSD-3-Clause */
/* The line on stderr: one that is written over on a terminal, one after the other elsewhere. */
#include "progress.h"

#include <stdio.h>
#include <unistd.h>

#include "tarn/env.h"

static bool
wanted(const struct perf_run *run)
{
	return !run->opts->quiet && (run->opts->progress || isatty(STDERR_FILENO));
}

void
perf_progress(struct perf_run *run, const char *phase, uint64_t elapsed_ns)
{
	uint64_t now_ns = tarn_now_ns(), count = 0;
	double iops, limit_s = (double)run->opts->duration_ns / 1e9;
	char until[32] = "";

	if (run->progress_ns == 0)
		run->progress_ns = now_ns;
	if (now_ns - run->progress_ns < 1000000000 || !wanted(run))
		return;
	for (uint32_t i = 0; i < run->job_count; i++)
		count += __atomic_load_n(&run->jobs[i].done_count, __ATOMIC_RELAXED);
	iops = (double)(count - run->progress_count) * 1e9 / (double)(now_ns - run->progress_ns);
	run->progress_ns = now_ns;
	run->progress_count = count;
	if (limit_s > 0)
		snprintf(until, sizeof(until), " of %.0f", limit_s);
	fprintf(stderr, "%s%s %.0f%s s: %.0f IOPS, %.1f MiB/s%s",
		isatty(STDERR_FILENO) ? "\r\033[K" : "", phase, (double)elapsed_ns / 1e9, until,
		iops, iops * (double)run->opts->block_bytes / 0x1p20,
		isatty(STDERR_FILENO) ? "" : "\n");
	fflush(stderr);
}

void
perf_progress_end(struct perf_run *run)
{
	if (wanted(run) && isatty(STDERR_FILENO))
		fputs("\r\033[K", stderr);
}
