/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <stdbool.h>
#include <stdint.h>

/*
 * What a job has written where: a generation for each block of its region, and which of them are in
 * flight. No two I/Os of a verifying job touch the same block at a time (whichever came last could
 * not be told), and regions of jobs do not overlap. So what a read must find is always known.
 */
struct perf_verify {
	uint32_t *state; /* generation << 1 | in flight */
	uint64_t block_count;
	uint64_t cursor; /* of the closing read pass */
};

/** \return 0 or -ENOMEM. Ended by perf_verify_fini(). */
int perf_verify_init(struct perf_verify *verify, uint64_t block_count);
void perf_verify_fini(struct perf_verify *verify);
/** Take the block asked for, or the next one that is not in flight; there is one. \return which. */
uint64_t perf_verify_take(struct perf_verify *verify, uint64_t block);
/** The I/O on it has ended. */
void perf_verify_put(struct perf_verify *verify, uint64_t block);
/** \return how often this run has written it; 0: never. */
uint32_t perf_verify_generation(const struct perf_verify *verify, uint64_t block);
/** The block is about to be written once more. \return its new generation. */
uint32_t perf_verify_bump(struct perf_verify *verify, uint64_t block);
/** A write failed: nobody knows what is there, so it is not checked until it is written again. */
void perf_verify_forget(struct perf_verify *verify, uint64_t block);
/** Walk over the written blocks. \return whether there was one more, in *ret_block. */
bool perf_verify_walk(struct perf_verify *verify, uint64_t *ret_block);
