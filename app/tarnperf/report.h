/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <stdio.h>

#include "run.h"

/** For people. */
void perf_report_text(const struct perf_run *run, FILE *out);
/** For programs: one JSON object. \return 0 or -ENOMEM. */
int perf_report_json(const struct perf_run *run, FILE *out);
struct cJSON;
/** Add what produced the result: version and machine. */
void perf_report_about(struct cJSON *root);
