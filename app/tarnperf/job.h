/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include "opts.h"
#include "pattern.h"
#include "random.h"
#include "rate.h"
#include "target.h"
#include "tarn/bdev.h"
#include "tarn/reactor.h"
#include "verify.h"
#include "zipf.h"

#define PERF_JOB_ERROR_MAX 8

struct perf_slot; /* One of a job's I/Os. Opaque. */

/*
 * A job keeps `depth` I/Os of one load going on one device from one reactor. What the fast path
 * reads comes first. The functions below run on the job's reactor; the control reactor sends them
 * there.
 */
struct perf_job {
	struct tarn_channel *channel;
	uint64_t budget; /* I/Os that may still start */
	uint64_t first_block, block_count;
	uint64_t block_bytes;
	struct perf_random random;
	uint64_t next_block; /* of a sequential load, counted from first_block */
	uint64_t done_count; /* read by the control reactor as it changes */
	uint32_t flags;	     /* of each I/O */
	bool plain;	     /* reads only or writes only, uniform or sequential, nothing else */
	bool writes;	     /* what plain does */
	bool sequential;
	bool gated;   /* I/Os start by permission: batches, rate */
	bool checked; /* verify: the map is kept */
	bool closing; /* the read pass after --verify */
	bool running;
	struct perf_slot *slots;
	struct perf_slot **parked; /* those not in flight */
	uint32_t parked_count;
	uint32_t depth;

	const struct perf_opts *opts;
	struct perf_target *target;
	struct tarn_reactor *reactor;
	uint64_t limit; /* the budget of the measurement */
	uint64_t seed;
	struct perf_zipf zipf;
	struct perf_rate rate;
	double rate_per_second;
	struct perf_verify verify;
	struct tarn_poller *pacer;
	uint32_t write_count; /* since the last flush */

	uint64_t verified_count;
	uint64_t verify_error_count;
	struct perf_pattern_error verify_errors[PERF_JOB_ERROR_MAX];
	uint64_t error_count;
	int first_error;
	uint64_t first_error_offset;
	uint8_t first_error_op;

	/* To the run that owns it: on the control reactor. */
	void (*done)(struct perf_job *job, int status); /* the command has ended */
	void (*failed)(struct perf_job *job);		/* the first I/O that failed */
	void *run;
	int status;
	struct tarn_msg command_msg, stop_msg, done_msg, failed_msg;
};

/** Take the channel and the memory. done(0 or -errno). */
void perf_job_open(void *job);
/** Start; done(0) when the budget is used up, or after perf_job_stop(), and all I/O has ended. */
void perf_job_start(void *job);
/** The warm-up is over: the budget counts from here. */
void perf_job_measure(void *job);
/** Start nothing more. */
void perf_job_stop(void *job);
/** Read everything written and check it. done(0) as for perf_job_start(). */
void perf_job_verify(void *job);
/** Give back what perf_job_open() took, also after its failure. done(0). */
void perf_job_close(void *job);
