/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include "lib/cache/log.h"
#include "lib/cache/sure_read.h"

/*
 * Reading the entries of one segment, from its trailer or batch by batch. Used by reclaim, by
 * recovery and by the offline check; never writes. On the channel's reactor.
 */
struct scan {
	/* What to read. */
	struct tarn_channel *channel;
	uint64_t offset_bytes; /* of the segment on the device */
	uint32_t segment_blocks;
	uint32_t seed;
	uint64_t epoch, sequence;
	uint32_t end_limit; /* batches from this block on do not belong to the log */
	bool use_trailer;   /* where it is whole, believe it and read no batch */
	uint32_t
	    verify_from; /* batches that end beyond this block: their payload is verified too */
	void (*done)(struct scan *scan, int status);
	void *arg;

	/* What came of it. */
	struct disk_entry *entries; /* I/O memory; the caller's to put, by scan_fini() */
	uint32_t entry_count;
	uint32_t end_block;			/* of the batches that are whole */
	uint32_t batch_count;			/* with a header */
	uint64_t tail, durable, time_s, number; /* the highest of all */
	bool by_trailer;
	bool read_error; /* the scan ended where a block could not be read */

	/* Its own. */
	struct sure_read read;
	uint8_t *buf; /* a window of the segment */
	uint32_t window_block, window_count, window_max;
	uint8_t *payload;
	uint32_t payload_blocks, entries_max;
	bool *lost; /* blocks of a payload that cannot be read; NULL: it was read at once */
	uint32_t lost_next;
};

/**
 * done is called once, with 0 or -ENOMEM, perhaps inside the call. A hole is not an error. The
 * structure was zero before its first use; scan_fini() ends each.
 */
void scan_start(struct scan *scan);
void scan_fini(struct scan *scan);
/**
 * Add what the index has of the segment from where the scan ended to end_block. \return 0 or
 * -ENOMEM.
 */
int scan_add_from_index(struct scan *scan, const struct shard *shard, uint32_t end_block);

/*
 * The rules of it, without I/O, for the offline check: scan->entries has room for entries_max, or
 * holds a trailer. Each takes what it names if that is whole, and \return whether it was.
 */
void scan_reset(struct scan *scan);
bool scan_footer_sound(const struct scan *scan, const struct disk_footer *footer);
bool scan_take_trailer(struct scan *scan, uint32_t block_count);
bool scan_batch_sound(const struct scan *scan, const struct disk_batch *batch);
/** A sound batch whose payload is not looked at. */
void scan_take_batch(struct scan *scan, const struct disk_batch *batch);
/** A sound batch; scan->lost says which blocks of the payload could not be read, if not NULL. */
bool scan_take_verified(struct scan *scan, const struct disk_batch *batch, const uint8_t *payload);
/** Records without a batch, in the block at end_block. */
bool scan_take_packed(struct scan *scan, const void *block);
