/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include "tarn/bdev.h"
#include "tarn/bdev_opts.h"
#include "test/unit/common/ut.h"

/*
 * A wrapper "top" on a ram device "base" of 1 MiB in blocks of 512 bytes; one reactor turned by
 * hand, by the fake clock.
 */
#define STACK_BLOCK 512
#define STACK_BYTES (1u << 20)
#define STACK_IO_COUNT 128

/* One I/O and what became of it. */
struct stack_io {
	struct tarn_io io;
	uint8_t buf[4 * STACK_BLOCK];
	uint32_t done_count;
	int status;
};
extern struct stack_io stack_ios[STACK_IO_COUNT];
extern struct tarn_channel *stack_channel;

/** For a suite's setup: base only. */
void stack_start(void);
/** Make the wrapper and open it. */
void stack_wrap(const char *driver, const void *opts);
/** Close and delete what there is; for a suite's teardown. */
void stack_stop(void);

void stack_turn(uint32_t turns);
/** Submit one I/O of `blocks` blocks; the buffer holds what the test put there. */
void stack_submit(struct stack_io *one, enum tarn_io_op op, uint64_t block, uint32_t blocks);
/** The same, and turn until it is done, at most 1,000 turns. \return its status, or 1: not done. */
int stack_do(struct stack_io *one, enum tarn_io_op op, uint64_t block, uint32_t blocks);
