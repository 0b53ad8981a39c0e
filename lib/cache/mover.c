/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Appending live entries again; see mover.h.
 *
 *	move:  FREE --wanted--> READING --read--> READY --appended, or not live any more--> FREE
 *	       READING --bad, and it matters--> RETRY --some time later--> READING
 *
 * A dirty block that cannot be read or verified, also not after several tries, is appended all the
 * same, marked lost: it must go on being an error, and must not become a miss.
 */
#include "lib/cache/mover.h"

#include <errno.h>
#include <string.h>

#include "lib/cache/internal.h"

#define STEP_ENTRIES 256       /* looked at in one step */
#define MOVE_TRIES 6	       /* to read what would be lost otherwise */
#define MOVE_RETRY_NS 10000000 /* until the first further one; then twice as long each time */
#define CREDIT_SEGMENTS 2      /* worth of clean entries appended again in a row */

struct index_slot *
mover_slot(struct shard *shard, uint64_t sequence, const struct disk_entry *entry)
{
	bool object = entry->kind == DISK_OBJECT_ENTRY;
	struct index_slot *slot;

	if (!object && entry->kind != DISK_BLOCK_ENTRY)
		return NULL;
	slot = index_find(&shard->index, object ? index_object_id(entry->identity)
						: index_block_id(entry->volume, entry->identity));
	if (slot == NULL ||
	    slot->place != shard_place(shard, sequence, entry->place / DISK_BLOCK_UNITS))
		return NULL;
	if (object && (slot->info & 0xff) != entry->place % DISK_BLOCK_UNITS)
		return NULL;
	return slot;
}

static uint64_t
units_of(const struct disk_entry *entry)
{
	return tarn_align_up(entry->length, DISK_UNIT) / DISK_UNIT;
}

/* --- Reading --- */

static void
move_free(struct mover *mover, struct move *move)
{
	tarn_iobuf_put(move->buf);
	move->buf = NULL;
	move->state = MOVE_FREE;
	mover->busy_count--;
}

/* Whether something is lost if this cannot be read. */
static bool
matters(const struct move *move)
{
	const struct mover *mover = move->mover;
	const struct index_slot *slot = mover_slot(mover->shard, mover->sequence, move->entry);

	return slot != NULL && (mover->everything || (slot->id & INDEX_DIRTY) != 0);
}

static void
move_read(struct log_read *read, int status)
{
	struct move *move = tarn_container_of(read, struct move, read);
	const struct disk_entry *entry = move->entry;
	const uint8_t *payload = move->buf + (size_t)(entry->place % DISK_BLOCK_UNITS) * DISK_UNIT;

	move->bad = status != 0 || !format_payload_verify(entry, payload, read->seed);
	if (move->bad && ++move->tries < MOVE_TRIES && matters(move)) {
		move->state = MOVE_RETRY;
		move->due_ns = tarn_now_ns() + (MOVE_RETRY_NS << (move->tries - 1));
	} else {
		move->state = MOVE_READY;
	}
}

static void
read_entry(struct move *move)
{
	struct mover *mover = move->mover;
	uint32_t block = move->entry->place / DISK_BLOCK_UNITS;

	move->state = MOVE_READING;
	move->read.done = move_read;
	log_read_background(mover->shard, &move->read,
			    shard_place(mover->shard, mover->sequence, block), move->buf,
			    move->block_count);
}

/* \return 0, -EAGAIN: none is free, or -ENOMEM. */
static int
move_start(struct mover *mover, const struct disk_entry *entry)
{
	uint32_t in_block = entry->place % DISK_BLOCK_UNITS * DISK_UNIT;
	struct move *move = NULL;

	for (uint32_t i = 0; i < MOVER_WINDOW && move == NULL; i++)
		if (mover->moves[i].state == MOVE_FREE)
			move = &mover->moves[i];
	if (move == NULL)
		return -EAGAIN;
	move->block_count = (in_block + entry->length + DISK_BLOCK - 1) / DISK_BLOCK;
	move->buf = tarn_iobuf_get((size_t)move->block_count * DISK_BLOCK);
	if (move->buf == NULL)
		return -ENOMEM;
	move->mover = mover;
	move->entry = entry;
	move->tries = 0;
	mover->busy_count++;
	mover->credit_units -= (int64_t)units_of(entry);
	read_entry(move);
	return 0;
}

/* --- Appending --- */

static const struct disk_record *
record_of(const struct move *move)
{
	return (const struct disk_record *)(const void *)(move->buf + (size_t)(move->entry->place %
									       DISK_BLOCK_UNITS) *
									  DISK_UNIT);
}

static void
account_bad(struct shard *shard, const struct index_slot *slot)
{
	if ((slot->id & INDEX_DIRTY) != 0)
		shard->counters.crc_error_dirty++;
	else
		shard->counters.crc_error_clean++;
}

static void
seal_payload(struct move *move, const struct log_slot *slot)
{
	const struct disk_entry *entry = move->entry;
	const uint8_t *payload = move->buf + (size_t)(entry->place % DISK_BLOCK_UNITS) * DISK_UNIT;

	memcpy(slot->payload, payload, slot->entry->length);
	if (entry->kind == DISK_OBJECT_ENTRY) {
		struct disk_record *record = (struct disk_record *)(void *)slot->payload;

		record->number = slot->number;
		slot->entry->crc32c = format_record_seal(record, slot->seed, slot->place);
	} else {
		slot->entry->crc32c =
		    tarn_crc32c(format_seed(slot->seed, slot->place), slot->payload, entry->length);
	}
}

/* Whether a move that was read still makes sense. */
static bool
wanted_now(struct mover *mover, const struct move *move, const struct index_slot *slot)
{
	struct shard *shard = mover->shard;
	const struct disk_entry *entry = move->entry;
	uint64_t position = mover_position(shard, mover->sequence, entry);
	const struct disk_record *record;

	if (slot == NULL)
		return false;
	if (entry->kind == DISK_BLOCK_ENTRY)
		return !ban_hits_block(&shard->bans, entry->volume, entry->identity, position) &&
		       (!move->bad || (slot->id & INDEX_DIRTY) != 0);
	if (move->bad)
		return false;
	record = record_of(move);
	return !ban_hits_key(&shard->bans, record + 1, record->key_bytes, position);
}

/*
 * A clean entry of a gap that cannot be read, or for which there is no memory: it is not written
 * again, and power loss may take it, so that an older version would come back. \return as
 * log_append().
 */
static int
forget(struct mover *mover, const struct move *move, struct index_slot *slot)
{
	bool object = move->entry->kind == DISK_OBJECT_ENTRY;
	struct disk_entry entry = {
		.kind = object ? DISK_FORGET_OBJECT : DISK_FORGET_BLOCKS,
		.length = object ? 0 : 1,
		.identity = move->entry->identity,
		.volume = move->entry->volume,
	};
	struct log_slot place;
	int status = log_append(mover->shard, LOG_RESERVE, &entry, 0, &place);

	if (status == 0)
		index_remove(&mover->shard->index, slot);
	return status;
}

/* Nothing is appended, but a tombstone where one is needed. \return as move_append(). */
static int
move_nothing(struct mover *mover, struct move *move, struct index_slot *slot)
{
	int status = 0;

	if (mover->everything && slot != NULL)
		status = forget(mover, move, slot);
	if (status == 0) {
		mover->credit_units += (int64_t)units_of(move->entry);
		move_free(mover, move);
	}
	return status;
}

/* \return 0 when the move is over, -EAGAIN, or -EIO: the log failed. */
static int
move_append(struct mover *mover, struct move *move)
{
	struct shard *shard = mover->shard;
	struct index_slot *slot = mover_slot(shard, mover->sequence, move->entry);
	struct disk_entry entry = *move->entry;
	struct log_slot place;
	int status;

	if (slot != NULL && move->bad)
		account_bad(shard, slot);
	/* Not live any more: perhaps it has expired, and nothing else says so. */
	if (slot == NULL && mover->everything && !mover_control(mover, move->entry))
		return -EAGAIN;
	if (!wanted_now(mover, move, slot)) {
		/* Banned, and not written again: who looked would find a checksum that fails. */
		if (slot != NULL && !move->bad && mover->everything &&
		    entry.kind == DISK_OBJECT_ENTRY)
			index_remove(&shard->index, slot);
		return move_nothing(mover, move, move->bad ? slot : NULL);
	}
	entry.flags = 0;
	if ((slot->id & INDEX_DIRTY) != 0)
		entry.flags |= DISK_ENTRY_DIRTY;
	if (move->bad || (slot->id & INDEX_SUSPECT) != 0)
		entry.flags |= DISK_ENTRY_SUSPECT;
	if (entry.kind == DISK_OBJECT_ENTRY) {
		/* An entry that was made from the index's slot does not know them. */
		entry.length = (uint32_t)format_record_bytes(record_of(move));
		entry.expiry_s = record_of(move)->expiry_s;
	}
	status = log_append(shard, LOG_RESERVE, &entry, entry.length, &place);
	/* A large object, so it is clean: it goes rather than have all wait for memory. */
	if (status == -ENOMEM)
		return move_nothing(mover, move, slot);
	if (status != 0)
		return status;
	seal_payload(move, &place);
	if ((slot->id & INDEX_DIRTY) != 0)
		log_note_undo(shard, slot);
	slot->place = place.block;
	slot->id &= ~(uint64_t)INDEX_HITS;
	if (entry.kind == DISK_BLOCK_ENTRY)
		slot->info = place.entry->crc32c;
	else
		slot->info = (slot->info & ~0xffu) | place.place % DISK_BLOCK_UNITS;
	if ((entry.flags & DISK_ENTRY_SUSPECT) != 0)
		index_set_suspect(&shard->index, slot);
	shard->counters.reappended_count++;
	move_free(mover, move);
	return 0;
}

/* --- Choosing --- */

static bool
budget_left(const struct mover *mover, const struct disk_entry *entry)
{
	return mover->credit_units >= (int64_t)units_of(entry);
}

static bool
wanted(struct mover *mover, const struct disk_entry *entry, const struct index_slot *slot)
{
	struct shard *shard = mover->shard;
	uint64_t position = mover_position(shard, mover->sequence, entry);

	if (entry->kind == DISK_BLOCK_ENTRY &&
	    ban_hits_block(&shard->bans, entry->volume, entry->identity, position))
		return false;
	if (mover->everything)
		return position >= mover->from_position;
	if ((slot->id & INDEX_DIRTY) != 0)
		return true;
	if (entry->expiry_s != 0 && entry->expiry_s <= cache_now_s(shard->cache))
		return false;
	return (slot->id & INDEX_HITS) != 0 && budget_left(mover, entry);
}

/* \return whether the entry is dealt with. */
static bool
look_at(struct mover *mover, const struct disk_entry *entry)
{
	const struct index_slot *slot = mover_slot(mover->shard, mover->sequence, entry);
	int status;

	if (slot == NULL)
		return !mover->everything || mover_control(mover, entry);
	if (!wanted(mover, entry, slot))
		return true;
	status = move_start(mover, entry);
	/* Without memory what may go goes: it would hold up all that wait for room. */
	return status == 0 ||
	       (status == -ENOMEM && !mover->everything && (slot->id & INDEX_DIRTY) == 0);
}

/*
 * Half a segment for each, and what earlier ones left of theirs: those that are used gather in some
 * segments, where they were appended again side by side.
 */
static int64_t
credit_with(const struct mover *mover)
{
	int64_t units = (int64_t)mover->shard->segment_blocks * DISK_BLOCK_UNITS;
	int64_t credit = mover->credit_units < 0 ? 0 : mover->credit_units;

	credit += units / 2;
	return credit < CREDIT_SEGMENTS * units ? credit : CREDIT_SEGMENTS * units;
}

void
mover_start(struct mover *mover, const struct disk_entry *entries, uint32_t entry_count)
{
	tarn_assert(mover->busy_count == 0);
	mover->entries = entries;
	mover->entry_count = entry_count;
	mover->next = 0;
	if (!mover->everything)
		mover->credit_units = credit_with(mover);
	mover->abandoned = false;
}

int
mover_step(struct mover *mover)
{
	int work = 0;

	tarn_assert(!mover->abandoned);
	for (uint32_t i = 0; i < MOVER_WINDOW && mover->busy_count != 0; i++)
		if (mover->moves[i].state == MOVE_RETRY && tarn_now_ns() >= mover->moves[i].due_ns)
			read_entry(&mover->moves[i]);
	for (uint32_t i = 0; i < MOVER_WINDOW && mover->busy_count != 0; i++) {
		if (mover->moves[i].state != MOVE_READY)
			continue;
		if (move_append(mover, &mover->moves[i]) != 0)
			return work;
		work++;
	}
	for (uint32_t i = 0; i < STEP_ENTRIES && mover->next < mover->entry_count; i++) {
		if (!look_at(mover, &mover->entries[mover->next]))
			return work;
		mover->next++;
		work++;
	}
	return work;
}

static bool
any_in(const struct mover *mover, enum move_state state)
{
	for (uint32_t i = 0; i < MOVER_WINDOW; i++)
		if (mover->moves[i].state == state)
			return true;
	return false;
}

bool
mover_reading(const struct mover *mover)
{
	return any_in(mover, MOVE_READING);
}

bool
mover_waiting(const struct mover *mover)
{
	return any_in(mover, MOVE_READING) || any_in(mover, MOVE_RETRY);
}

bool
mover_abandon(struct mover *mover)
{
	mover->abandoned = true;
	for (uint32_t i = 0; i < MOVER_WINDOW; i++)
		if (mover->moves[i].state == MOVE_READY || mover->moves[i].state == MOVE_RETRY)
			move_free(mover, &mover->moves[i]);
	return mover->busy_count == 0;
}

void
mover_fini(struct mover *mover)
{
	for (uint32_t i = 0; i < MOVER_WINDOW; i++)
		tarn_iobuf_put(mover->moves[i].buf);
}
