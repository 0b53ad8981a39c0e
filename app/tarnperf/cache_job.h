/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include "lru.h"
#include "opts.h"
#include "random.h"
#include "tarn/cache.h"
#include "tarn/histogram.h"
#include "tarn/reactor.h"
#include "zipf.h"

struct cache_slot; /* One operation in flight. Opaque. */

enum perf_cache_op { PERF_CACHE_HIT, PERF_CACHE_MISS, PERF_CACHE_STORE };
#define PERF_CACHE_OP_COUNT 3

struct perf_cache_counts {
	uint64_t count[PERF_CACHE_OP_COUNT], latency_ns[PERF_CACHE_OP_COUNT];
	uint64_t bytes[PERF_CACHE_OP_COUNT];
	struct tarn_histogram histogram[PERF_CACHE_OP_COUNT];
	uint64_t rejected_count; /* stores refused for want of space */
	uint64_t error_count, checked_count, wrong_count;
	int first_error;
};

/*
 * A job keeps `depth` operations going on one cache from one reactor. The functions below run on
 * that reactor; the control reactor sends them there, and done() is called there.
 */
struct cache_job {
	const struct perf_opts *opts;
	struct tarn_cache *cache;
	struct tarn_reactor *reactor;
	uint32_t number, job_count;
	uint64_t limit; /* operations of the measurement */

	struct perf_random random;
	struct perf_zipf zipf;
	uint64_t budget, next_key, last_key;
	uint64_t scan_key;
	uint64_t generation;
	bool filling, running, counting;
	struct cache_slot *slots;
	struct cache_slot **parked;
	struct tarn_cache_op **ops; /* of a batch */
	uint32_t parked_count;
	struct perf_lru lru;
	struct perf_cache_counts counts;
	uint64_t done_count; /* read by the control reactor as it changes */

	void (*done)(struct cache_job *job, int status);
	void *run;
	int status;
	struct tarn_msg command_msg, stop_msg, done_msg;
};

void cache_job_open(void *job);
/** Store every key of this job's part once. */
void cache_job_fill(void *job);
/** Until the limit, or cache_job_stop(). */
void cache_job_start(void *job);
/** The warm-up is over: count from here. */
void cache_job_measure(void *job);
/** Start nothing more; what ends from here on is not counted. */
void cache_job_stop(void *job);
void cache_job_close(void *job);
