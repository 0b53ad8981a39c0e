/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include "lib/cache/read.h"
#include "lib/cache/scan.h"

/*
 * Appending live entries of one segment again: reads of a window of them, verified, each checked
 * against the index and the bans at the moment of its append. Its shard's reactor.
 */
#define MOVER_WINDOW 32

enum move_state { MOVE_FREE, MOVE_READING, MOVE_RETRY, MOVE_READY };

struct move {
	struct log_read read;
	struct mover *mover;
	uint8_t state;	 /* enum move_state */
	uint8_t tries;	 /* to read it */
	bool bad;	 /* it could not be read, or is not what it should be */
	uint64_t due_ns; /* MOVE_RETRY: not before then */
	const struct disk_entry *entry;
	uint8_t *buf; /* the blocks that it lies in */
	uint32_t block_count;
};

struct mover {
	struct shard *shard;
	uint64_t sequence; /* of the segment */
	const struct disk_entry *entries;
	uint32_t entry_count, next;
	uint32_t busy_count;	/* moves not free */
	int64_t credit_units;	/* of clean entries that may yet be appended again */
	bool abandoned;		/* what was read has been forgotten: it is not done with */
	bool everything;	/* a gap: all that lives from `from_position` on, tombstones too */
	uint64_t from_position; /* units */
	struct move moves[MOVER_WINDOW];
};

void mover_start(struct mover *mover, const struct disk_entry *entries, uint32_t entry_count);
/** Do a bounded piece of work. \return how much; 0: wait for reads, or for room in the log. */
int mover_step(struct mover *mover);
/** Whether some read is on its way. */
bool mover_reading(const struct mover *mover);
/** Whether something may yet come of reads: on their way, or to be tried again. */
bool mover_waiting(const struct mover *mover);
/**
 * Forget what was read and has yet to be appended. No step after that: it is called again until it
 * returns true. \return false: reads are under way.
 */
bool mover_abandon(struct mover *mover);
/** No read is on its way: give back what was read. */
void mover_fini(struct mover *mover);
static inline bool
mover_done(const struct mover *mover)
{
	return mover->next == mover->entry_count && mover->busy_count == 0;
}

/** Where the index has this entry of a segment; NULL: it is not live. */
struct index_slot *mover_slot(struct shard *shard, uint64_t sequence,
			      const struct disk_entry *entry);
/** In units: where the entry lies in the log. */
static inline uint64_t
mover_position(const struct shard *shard, uint64_t sequence, const struct disk_entry *entry)
{
	return shard_position(shard, sequence, 0) * DISK_BLOCK_UNITS + entry->place;
}
/** mover_control.c. \return false: no room in the log now. */
bool mover_control(struct mover *mover, const struct disk_entry *entry);
