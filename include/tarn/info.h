/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <stdbool.h>
#include <stdint.h>

/*
 * Takes the facts that something tells of itself (effective mode, reasons, counters), one call
 * each; grouped by begin and end. Names and values are the sink's until the call returns.
 */
struct tarn_info_sink {
	void (*begin)(void *arg, const char *name);
	void (*end)(void *arg);
	void (*text)(void *arg, const char *name, const char *value);
	void (*number)(void *arg, const char *name, uint64_t value);
	void (*flag)(void *arg, const char *name, bool value);
	void *arg;
};
