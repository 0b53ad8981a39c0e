/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "rng.h"

/*
 * The medium of the simulated device, in memory that outlives the process that uses it. What reads
 * see, and beside it what would be there after power loss: between the two lies the volatile write
 * cache, sector by sector.
 *
 * Flat memory, no pointers: it is shared by processes. One thread at a time.
 */
#define DEVICE_SECTOR 512 /* bytes: written whole or not at all */
#define DEVICE_BLOCK 4096
#define DEVICE_BYTES_MAX (UINT64_C(52) << 20)
#define DEVICE_SECTORS_MAX (DEVICE_BYTES_MAX / DEVICE_SECTOR)
#define DEVICE_BLOCKS_MAX (DEVICE_BYTES_MAX / DEVICE_BLOCK)
#define DEVICE_SHARDS_MAX 16

struct device {
	/* Set by its user. */
	uint64_t size_bytes;
	bool write_cache; /* otherwise what is written is durable when it completes */
	struct rng rng;
	/* How many in a thousand fail with -EIO. */
	uint32_t write_fail_per_mille, flush_fail_per_mille, read_fail_per_mille;
	/* Counted. */
	uint64_t write_count; /* completed; numbers the writes */
	uint64_t flush_count; /* that succeeded and made something durable */
	uint64_t failed_count;
	uint32_t segment_count[DEVICE_SHARDS_MAX]; /* segment headers written, by shard */
	/* Its own. */
	uint64_t flushing; /* the last write that a flush under way covers; 0: none is */
	uint32_t flushing_count;
	uint32_t generation[DEVICE_SECTORS_MAX]; /* write that is not durable yet; 0: all are */
	uint32_t durable_at[DEVICE_BLOCKS_MAX];	 /* flush_count when this block became durable */
	bool touched[DEVICE_BLOCKS_MAX];
	bool unreadable[DEVICE_BLOCKS_MAX]; /* until it is written */
	uint64_t
	    volatile_map[DEVICE_BLOCKS_MAX / 64]; /* blocks with sectors that are not durable */
	uint8_t image[DEVICE_BYTES_MAX];	  /* what reads see */
	/* What survives of sectors that are not durable: the place of each, and those places. */
	uint32_t kept_at[DEVICE_SECTORS_MAX];
	uint32_t kept_free[DEVICE_SECTORS_MAX], kept_free_count, kept_count;
	uint8_t kept[DEVICE_SECTORS_MAX][DEVICE_SECTOR];
};

/** Blank again, whatever it was; counters, faults and size are 0. */
void device_reset(struct device *device);

/** \return false: some block of it is unreadable. */
bool device_read(const struct device *device, const struct iovec *iov, uint32_t iov_count,
		 uint64_t offset_bytes);
/** A write completes. fua: it is durable at once. */
void device_write(struct device *device, const struct iovec *iov, uint32_t iov_count,
		  uint64_t offset_bytes, bool fua);
/** A write ends without having completed: any subset of its sectors is there. */
void device_tear(struct device *device, const struct iovec *iov, uint32_t iov_count,
		 uint64_t offset_bytes);
void device_zero(struct device *device, uint64_t offset_bytes, uint64_t length_bytes);

/** A flush is submitted. \return what it covers, for its end. */
uint64_t device_flush_begin(struct device *device);
/** It completes: what it covers is durable. */
void device_flush_end(struct device *device, uint64_t covers);
/**
 * It fails: of what it covers, some is durable, some will be by a later flush, and some never will
 * be, although nobody is told again.
 */
void device_flush_fail(struct device *device, uint64_t covers);

/** Power is lost, and comes back: each sector that was not durable is there or not. */
void device_power_loss(struct device *device);
/**
 * Flip a bit of what was made durable at least `flushes` flushes ago and lies in the range, or make
 * its block unreadable.
 * \return the place of its sector, or UINT64_MAX: nothing there is that old.
 */
uint64_t device_corrupt(struct device *device, uint64_t from_bytes, uint64_t to_bytes,
			uint32_t flushes);
