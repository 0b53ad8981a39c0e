/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include "tarn/bdev.h"
#include "tarn/bdev_opts.h"
#include "test/unit/common/ut.h"

/* A device "mem" without a file behind it, on one reactor that is turned by hand. */
extern struct tarn_bdev *mem_bdev;
extern struct tarn_channel *mem_channel;
extern uint32_t mem_resize_count; /* events seen */

/** For a suite: reactors and I/O memory, and the end of these and of the device. */
void mem_start(void);
void mem_stop(void);
/** Create it and open it for writing. \return what tarn_bdev_create() did. */
int mem_open(const char *driver, const void *opts, struct tarn_reason *reason);

/** Submit and turn until it is done. \return its status. */
int mem_io(enum tarn_io_op op, void *buf, uint64_t length_bytes, uint64_t offset_bytes);
/** Turn so often, whatever happens. */
void mem_turn(uint32_t turn_count);
