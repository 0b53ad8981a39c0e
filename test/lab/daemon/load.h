/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "tarn/bdev.h"

/*
 * Load that knows what the device must hold. Each block of a load's range has a version, written
 * into each of its sectors; the record of what was submitted, acknowledged and made durable
 * outlives the bdev, so that a device that lost its power can be checked afterwards (contract C2).
 * Control reactor only.
 */
#define LOAD_NAME_MAX 63
#define LOAD_BLOCK_BYTES 4096u
#define LOAD_DEPTH_MAX 128

struct load; /* Opaque. */

struct load_opts {
	uint32_t depth;	       /* I/Os in flight */
	uint32_t read_percent; /* reads among 100 I/Os */
	uint32_t fua_percent;  /* FUA among 100 writes */
	uint32_t flush_every;  /* a flush after so many I/Os; 0: none */
	uint64_t io_count;     /* end after so many; 0: when stopped */
};

#define LOAD_ERRNO_MAX 256
struct load_stats {
	uint64_t ok_count[TARN_IO_OP_COUNT], error_count[TARN_IO_OP_COUNT];
	uint64_t by_errno[LOAD_ERRNO_MAX]; /* errors of all kinds */
	uint64_t wrong_count;		   /* reads that returned what must not be there */
	bool running, removed;		   /* removed: the last bdev went away under it */
};

/** What a whole read of the range found, in blocks. */
struct load_check {
	uint64_t checked_count; /* blocks that must hold something */
	uint64_t lost_count;	/* of these: a sector older than what was flushed */
	uint64_t wrong_count;	/* a sector of another block, or that was never written so */
	uint64_t error_count;	/* could not be read */
};

/**
 * A record of block_count blocks, nothing of them written. seed: of what a load does.
 * \return NULL for want of memory, or the name is taken.
 */
struct load *load_create(const char *name, uint64_t block_count, uint64_t seed);
struct load *load_find(const char *name);
void load_delete(struct load *load);

/** Begin on this bdev, from its first byte. \return 0, -EBUSY (it runs), -ENOSPC (the bdev is
 * smaller than the record) or what opening it failed with. */
int load_start(struct load *load, const char *bdev_name, const struct load_opts *opts);
/** done(arg, 0) when nothing is in flight and the bdev is closed; also where it does not run. */
void load_stop(struct load *load, tarn_io_cb done, void *arg);
const struct load_stats *load_stats(const struct load *load);
/** Read all of it, then done(arg, 0). \return as load_start(). */
int load_check_start(struct load *load, const char *bdev_name, tarn_io_cb done, void *arg);
const struct load_check *load_check(const struct load *load);
