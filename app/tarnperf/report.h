/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <stdio.h>

#include "run.h"

/** For people. */
void perf_report_text(const struct perf_run *run, FILE *out);
/** For programs: one JSON object. \return the text, for free(), or NULL for want of memory. */
char *perf_report_json(const struct perf_run *run);
