/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "lib/cache/format.h"
#include "lib/cache/index.h"
#include "tarn/bdev.h"

/*
 * The log of a shard: segments, batches, the order of their writes. All on the shard's reactor.
 *
 * Positions are in blocks (sequence * segment_blocks + block) or, where entries are compared, in
 * units (that * DISK_BLOCK_UNITS + unit). A place is a block of the shard: where on the device.
 */
struct shard;

/* --- Segments --- */

enum segment_state {
	SEGMENT_FREE,	    /* outside tail to head */
	SEGMENT_OPEN,	    /* the head */
	SEGMENT_SEALING,    /* takes no more batches; not all committed, or no trailer yet */
	SEGMENT_SEALED,	    /* as it will be */
	SEGMENT_RECLAIMING, /* the oldest: what is to be kept is being appended again */
	SEGMENT_FREEING,    /* waits for the durable tail and its readers */
};
#define SEGMENT_STATE_COUNT 6

struct segment {
	uint64_t sequence; /* 0: never used */
	uint64_t epoch;
	uint32_t seed;
	uint32_t end_block; /* sealed: where its batches end; 0: no entries at all (dead) */
	uint32_t reader_count;
	uint8_t state;
	bool trailer; /* there is a trailer on the device */
};

/* --- Items: what is written, in order of position --- */

enum log_item_type { LOG_HEADER, LOG_BATCH };

struct log_item {
	TAILQ_ENTRY(log_item) link;
	struct shard *shard;
	struct tarn_io io;
	uint8_t type; /* enum log_item_type */
	bool done;
	int status;
	uint64_t sequence; /* of its segment */
};
TAILQ_HEAD(log_items, log_item);

struct log_header {
	struct log_item item;
	struct disk_segment *disk;
	bool used;
};

/* Who waits for an entry. The caller's memory; in one list at a time. */
struct log_waiter {
	TAILQ_ENTRY(log_waiter) link;
	/** 0, or -EIO: the log failed, or (durable) the flush. May append again. */
	void (*done)(struct log_waiter *waiter, int status);
	uint64_t position; /* blocks: the end of its batch, from commit on */
	bool durable;	   /* not before a device flush */
};
TAILQ_HEAD(log_waiters, log_waiter);

enum batch_state { BATCH_FREE, BATCH_OPEN, BATCH_CLOSED };

#define BATCH_BLOCKS (1 + DISK_BATCH_ENTRIES)
#define BATCH_BYTES_KEPT (DISK_BATCH_ENTRIES * DISK_BLOCK) /* payload that needs no new memory */
#define BATCH_UNDO_WORDS ((DISK_BATCH_ENTRIES + 63) / 64)

/* What the index said of a dirty block before an entry took its place. */
struct batch_undo {
	uint32_t place, info;
	bool suspect;
};

struct batch {
	struct log_item item;
	uint8_t *buf;	       /* header block, then payload */
	uint8_t *own_buf;      /* buf, unless the batch is a large one */
	uint8_t state;	       /* enum batch_state */
	bool packed;	       /* of records that need no batch: the header stays in RAM */
	bool urgent;	       /* somebody waits for it */
	uint32_t block;	       /* place in its segment */
	uint32_t block_count;  /* once closed */
	uint32_t limit_blocks; /* while open */
	uint32_t cursor;       /* units from the start of its data */
	uint64_t opened_ns;
	struct log_waiters waiters;
	uint64_t undo_map[BATCH_UNDO_WORDS]; /* entries that took the place of something dirty */
	struct batch_undo undo[DISK_BATCH_ENTRIES];
};

static inline struct disk_batch *
batch_disk(struct batch *batch)
{
	return (struct disk_batch *)(void *)batch->buf;
}

/* What of it goes to the device. */
static inline uint8_t *
batch_data(const struct batch *batch)
{
	return batch->packed ? batch->buf + DISK_BLOCK : batch->buf;
}

/* Copies of the entries of one segment, until its trailer is written. */
struct trailer {
	struct tarn_io io;
	struct shard *shard;
	uint8_t *buf; /* entries, padding, footer */
	uint64_t sequence;
	uint32_t entry_count;
	uint32_t batch_count; /* those with a header on the device */
	uint64_t tail, durable, time_s, number;
	uint64_t previous; /* as the segment's header says */
	uint32_t previous_end;
	bool busy;    /* belongs to a segment that is open or sealing */
	bool writing; /* is on its way to the device */
};
#define TRAILER_COUNT 2
#define TRAILER_ENTRIES_PER_BLOCK 24 /* room in memory; a segment with more is sealed early */

/* --- Appending --- */

enum log_class {
	LOG_FOREGROUND,
	LOG_TOMBSTONE, /* may use one of the segments in reserve */
	LOG_RESERVE,   /* reclaim, tails: may use all of them */
};

/* Where an entry came to lie; valid until the next call into the log. */
struct log_slot {
	struct disk_entry *entry; /* in the batch's header; the caller completes crc32c */
	uint8_t *payload;
	uint32_t place;	   /* units from the segment's start */
	uint32_t block;	   /* place: block of the shard */
	uint32_t seed;	   /* the segment's */
	uint32_t number;   /* among the segment's entries: a record says it */
	uint64_t position; /* in units */
};

/**
 * Make room for an entry and its payload. The caller fills both in at once, and moves the index.
 * \return 0 with *ret; -EAGAIN: no batch or segment is free now (see shard_block()); -EIO: failed;
 * -ENOMEM: payload_bytes is more than BATCH_BYTES_KEPT, and there is no I/O memory for that. Nobody
 * tells when there is: it is not to be waited for.
 */
int log_append(struct shard *shard, enum log_class class, const struct disk_entry *entry,
	       uint32_t payload_bytes, struct log_slot *ret);
/**
 * Have a batch open, if need be one without entries, whose header will say the tail of now; as if
 * an entry had been appended to it that somebody waits for. \return as log_append().
 */
int log_bare_batch(struct shard *shard);
/**
 * The same, in a segment whose own header tells of the gap that was closed last: recovery reads
 * those first, whatever may be missing between them.
 */
int log_telling_batch(struct shard *shard);
/**
 * The entry appended last takes the place of a dirty version: where the log fails before it is
 * written, that version is there again. Called before the index is changed.
 * \param slot  a stored entry's; NULL: a tombstone, whose blocks are errors in that case.
 */
void log_note_undo(struct shard *shard, const struct index_slot *slot);
/** Be told when the entry appended last is committed or durable. It makes its batch urgent. */
void log_wait(struct shard *shard, struct log_waiter *waiter, bool durable,
	      void (*done)(struct log_waiter *waiter, int status));
/** Be told when all that was appended so far is committed or durable. */
void log_fence(struct shard *shard, struct log_waiter *waiter, bool durable,
	       void (*done)(struct log_waiter *waiter, int status));
/** Close the open batch if the rules of group commit say so; force: whatever they say. */
void log_kick(struct shard *shard, bool force);
/** Nothing is written any more: all who wait get -EIO. */
void log_fail(struct shard *shard);
/** Whether some item is on its way. */
bool log_busy(const struct shard *shard);

/** \return the blocks from `block` on (a place) in RAM, or NULL: they are on the device. */
const uint8_t *log_ram(struct shard *shard, uint32_t block);

/* --- segment.c --- */

/** \return how many segments may still be opened. */
uint64_t segment_free_count(const struct shard *shard);
/** Open the next segment. \return 0, -EAGAIN or -EIO. */
int segment_open(struct shard *shard, enum log_class class);
/** Close the open segment at the cursor. */
void segment_seal(struct shard *shard);
/** \return whether a batch at the cursor may have so much, and the trailer fits behind it. */
bool segment_fits(const struct shard *shard, uint32_t block_count, uint32_t entry_count);
/** Write the trailers whose batches are all committed. */
void segment_trailers(struct shard *shard);
void segment_set_state(struct shard *shard, struct segment *segment, enum segment_state state);
struct segment *segment_of(struct shard *shard, uint64_t sequence);

/* --- batch.c --- */

/** Take a free batch and place it at the cursor. \return 0, -EAGAIN: none, or -ENOMEM. */
int batch_open(struct shard *shard, uint32_t payload_blocks, bool packed, struct batch **ret);
/** Fill in and seal the header; the cursor moves behind it. */
void batch_close(struct shard *shard, struct batch *batch);
/** Move a closed batch to the cursor of the open segment: places, checksums, index. */
void batch_rebase(struct shard *shard, struct batch *batch);
void batch_submit(struct shard *shard, struct batch *batch);
void batch_free(struct shard *shard, struct batch *batch);

/* --- commit.c --- */

void log_item_submit(struct shard *shard, struct log_item *item, void *buf, uint32_t block,
		     uint32_t block_count);

/* --- repair.c --- */

/** The first item has failed, and none is on its way. */
void log_repair(struct shard *shard);
/** Lay out more of what waits for that. */
void log_repair_go_on(struct shard *shard);
/** The log has failed and nothing is on its way: tell everyone. */
void log_drop(struct shard *shard);
