/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include "run.h"

/** Tell on stderr once a second how far the run is. Control reactor, often. */
void perf_progress(struct perf_run *run, const char *phase, uint64_t elapsed_ns);
/** Leave the line that it was told on. */
void perf_progress_end(struct perf_run *run);
