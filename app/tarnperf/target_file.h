/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include "opts.h"
#include "tarn/reason.h"

/**
 * Hold a path against the load, before anything opens it: whatever a write would destroy needs
 * --destroy-data, and what is absent or empty is made by --create.
 * \return 0, or with the reason -EPERM (holds data, is a device), -EINVAL (empty), -ENOENT, or what
 * making the file failed with.
 */
int perf_target_file_check(const char *path, const struct perf_opts *opts,
			   struct tarn_reason *reason);
