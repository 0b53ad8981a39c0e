/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include "tarn/bdev_driver.h"

/*
 * A driver with a volatile write cache, for one device: what was written and not flushed may be
 * there after power loss, sector by sector, or not.
 */
#define VOLATILE_SECTOR 512

struct volatile_disk {
	uint64_t size_bytes; /* set before the device is created */
	uint8_t *data;	     /* as reads see it */
	uint8_t *flushed;    /* as it was at the last flush */
	bool *written;	     /* by page of 4096 bytes, since the last flush */
	/* Since whenever a test sets them to 0. */
	uint32_t count[TARN_IO_OP_COUNT]; /* of I/Os */
	uint32_t turn_max;		  /* that one turn of the reactor found submitted */
};
extern struct volatile_disk volatile_disk;

void volatile_free(void);
/** data and flushed were set from outside: any page may differ. */
void volatile_touch(void);
/** A kernel has given up on what was not flushed: reads find it, and no flush writes it. */
void volatile_let_go(void);
/** The power fails: each sector written since the last flush is kept or lost, by the seed. */
void volatile_lose(uint8_t *data, const uint8_t *flushed, uint64_t seed);
