/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <stddef.h>
#include <stdint.h>

/*
 * Data that can be checked. Each 512 bytes stand for themselves, whatever the size of the I/O that
 * wrote or reads them: where on the device they belong, which run and which write of that run they
 * come from, and a CRC over all of it. So a block that is damaged, in the wrong place, stale or
 * never written is told apart.
 */
#define PERF_PATTERN_BYTES 512
#define PERF_PATTERN_ANY_GENERATION UINT64_MAX

enum perf_pattern_result {
	PERF_PATTERN_GOOD,
	PERF_PATTERN_ABSENT,	 /* no such data: never written, or overwritten by something else */
	PERF_PATTERN_DAMAGED,	 /* the CRC is wrong */
	PERF_PATTERN_OTHER_RUN,	 /* another --seed */
	PERF_PATTERN_MISPLACED,	 /* good data of another offset */
	PERF_PATTERN_GENERATION, /* good data of another write: an older one, as a rule */
};

struct perf_pattern_error {
	enum perf_pattern_result result;
	uint64_t offset_bytes; /* of the 512 bytes concerned */
	uint64_t expected,
	    found; /* run, offset or generation; 0 where there is nothing to compare */
};

/* Which data belongs somewhere. */
struct perf_pattern {
	uint64_t offset_bytes; /* on the device, a multiple of 512 */
	uint64_t run;
	uint64_t generation; /* of the write */
};

/** Fill a buffer, a multiple of 512. */
void perf_pattern_fill(void *buf, size_t length_bytes, const struct perf_pattern *pattern);
/**
 * Check what was read. The generation may be PERF_PATTERN_ANY_GENERATION.
 * \return the first thing that is wrong, with *ret_error, or PERF_PATTERN_GOOD.
 */
enum perf_pattern_result perf_pattern_check(const void *buf, size_t length_bytes,
					    const struct perf_pattern *pattern,
					    struct perf_pattern_error *ret_error);
const char *perf_pattern_result_text(enum perf_pattern_result result);
