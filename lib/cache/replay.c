/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Applying the log to the index: each entry only where the index holds nothing newer, by position.
 * So it does not matter what a checkpoint knew already.
 */
#include <errno.h>
#include <stdlib.h>

#include "lib/cache/recover.h"

#define PREFETCH 16 /* entries ahead: their memory is on its way */

static uint64_t
entry_id(const struct disk_entry *entry)
{
	return entry->kind == DISK_OBJECT_ENTRY || entry->kind == DISK_FORGET_OBJECT
		   ? index_object_id(entry->identity)
		   : index_block_id(entry->volume, entry->identity);
}

static void
apply_stored(struct recovery *recovery, uint64_t sequence, uint64_t position,
	     const struct disk_entry *entry)
{
	struct shard *shard = recovery->shard;
	struct index *index = &shard->index;
	uint64_t id = entry_id(entry);
	struct index_slot *slot = index_find(index, id);

	if (slot != NULL && shard_slot_position(shard, slot) >= position)
		return;
	if (slot == NULL)
		slot = index_insert(index, id);
	if (slot == NULL && (entry->flags & DISK_ENTRY_DIRTY) != 0)
		slot = index_insert_over_clean(index, id);
	if (slot == NULL) {
		recovery->lost_count++;
		return;
	}
	recovery->entry_count++;
	slot->place = shard_place(shard, sequence, entry->place / DISK_BLOCK_UNITS);
	slot->id &= ~(uint64_t)INDEX_HITS;
	index_clear_suspect(index, slot);
	if (entry->kind == DISK_OBJECT_ENTRY) {
		slot->info = (uint32_t)(tarn_align_up(entry->length, DISK_UNIT) / DISK_UNIT) << 8 |
			     entry->place % DISK_BLOCK_UNITS;
		return;
	}
	slot->info = entry->crc32c;
	index_set_dirty(index, slot, (entry->flags & DISK_ENTRY_DIRTY) != 0);
	if ((entry->flags & DISK_ENTRY_SUSPECT) != 0)
		index_set_suspect(index, slot);
}

static void
apply_control(struct recovery *recovery, uint64_t position, const struct disk_entry *entry)
{
	struct shard *shard = recovery->shard;
	uint32_t count = entry->kind == DISK_FORGET_OBJECT ? 1 : entry->length;
	struct disk_entry one = *entry;

	for (uint32_t i = 0; i < count; i++, one.identity++) {
		struct index_slot *slot = index_find(&shard->index, entry_id(&one));

		if (slot == NULL || shard_slot_position(shard, slot) >= position)
			continue;
		if (entry->kind == DISK_CLEAN_BLOCKS)
			index_set_dirty(&shard->index, slot, false);
		else
			index_remove(&shard->index, slot);
	}
}

static void
note_ban(struct recovery *recovery, uint64_t sequence, uint64_t position,
	 const struct disk_entry *entry)
{
	if (recovery->ban_count == recovery->ban_max) {
		uint32_t max = recovery->ban_max == 0 ? 64 : recovery->ban_max * 2;
		struct found_ban *bans = realloc(recovery->bans, max * sizeof(*bans));

		if (bans == NULL) {
			recovery->status = -ENOMEM;
			return;
		}
		recovery->bans = bans;
		recovery->ban_max = max;
	}
	recovery->bans[recovery->ban_count++] = (struct found_ban){
		.sequence = sequence,
		.position = position,
		.place = entry->place,
		.length = entry->length,
		.crc32c = entry->crc32c,
	};
}

void
replay_segment(struct recovery *recovery, const struct scan *scan)
{
	uint64_t base = shard_position(recovery->shard, scan->sequence, 0) * DISK_BLOCK_UNITS;

	for (uint32_t i = 0; i < scan->entry_count; i++) {
		const struct disk_entry *entry = &scan->entries[i];
		uint64_t position = base + entry->place;

		if (i + PREFETCH < scan->entry_count)
			index_prefetch(&recovery->shard->index, entry_id(entry + PREFETCH));

		if (entry->kind == DISK_BLOCK_ENTRY || entry->kind == DISK_OBJECT_ENTRY)
			apply_stored(recovery, scan->sequence, position, entry);
		else if (entry->kind == DISK_BAN)
			note_ban(recovery, scan->sequence, position, entry);
		else
			apply_control(recovery, position, entry);
	}
}

void
replay_ban(struct recovery *recovery, const struct found_ban *found, const void *payload)
{
	uint64_t tail = shard_position(recovery->shard, recovery->tail, 0) * DISK_BLOCK_UNITS;
	const struct disk_ban *ban = payload;
	struct disk_ban rule;

	/* Below the tail segments may have been written over, and what it banned is gone. */
	if (ban == NULL && found->position <= tail)
		return;
	if (ban == NULL) {
		/* It may have banned anything before it. */
		recovery->damaged_count++;
		recovery->damage = tarn_max_u64(recovery->damage, found->position);
		return;
	}
	rule = *ban;
	if (rule.position == 0)
		rule.position = found->position;
	/* Those of the checkpoint that are over by now would take the room of others. */
	ban_retire(&recovery->shard->bans, tail);
	if (rule.position <= tail)
		return;
	if (rule.kind == DISK_BAN_DAMAGE) {
		recovery->damage = tarn_max_u64(recovery->damage, rule.position);
		recovery->damage_logged = tarn_max_u64(recovery->damage_logged, rule.position);
	}
	if (ban_add(&recovery->shard->bans, &rule, ban + 1) != 0)
		recovery->damage = tarn_max_u64(recovery->damage, rule.position);
}

/* --- The end --- */

/* One pass over the index: what is before the tail, or before damage, or banned. */
static void
sweep(struct recovery *recovery)
{
	struct shard *shard = recovery->shard;
	struct index *index = &shard->index;

	for (uint64_t i = 0; i < index_slot_count(index); i++) {
		struct index_slot *slot = index_at(index, i);
		uint64_t position, sequence;

		if (index_kind(slot) == 0)
			continue;
		position = shard_slot_position(shard, slot);
		sequence = position / DISK_BLOCK_UNITS / shard->segment_blocks;
		if (sequence < recovery->tail ||
		    (index_kind(slot) == INDEX_KIND_BLOCK &&
		     ban_hits_block(&shard->bans, index_volume(slot), index_block(slot), position)))
			index_remove(index, slot);
		else if (position < recovery->damage && (slot->id & INDEX_DIRTY) == 0)
			index_remove(index, slot);
		else if (position < recovery->damage)
			index_set_suspect(index, slot);
	}
}

/* Segments from tail to the last: those of the chain are sealed, others dead. */
static void
set_segments(struct recovery *recovery)
{
	struct shard *shard = recovery->shard;
	uint32_t next = 0;

	for (uint64_t sequence = recovery->tail; sequence <= recovery->last; sequence++) {
		struct segment *segment = segment_of(shard, sequence);
		const struct chain_link *link;

		while (next < recovery->chain_count && recovery->chain[next].sequence < sequence)
			next++;
		link = next < recovery->chain_count && recovery->chain[next].sequence == sequence
			   ? &recovery->chain[next]
			   : NULL;
		segment_set_state(shard, segment, SEGMENT_SEALED);
		if (link == NULL) {
			*segment =
			    (struct segment){ .sequence = sequence, .state = SEGMENT_SEALED };
			continue;
		}
		segment->end_block = sequence == recovery->last ? recovery->last_end
				     : link->end != UINT32_MAX	? link->end
				     : link->read_end != 0	? link->read_end
								: shard->segment_blocks - 1;
		segment->trailer = true; /* perhaps; reading it shows */
	}
}

void
replay_finish(struct recovery *recovery)
{
	struct shard *shard = recovery->shard;

	/* A log is never longer than its shard, whatever a header says. */
	if (recovery->last >= shard->segment_count)
		recovery->tail =
		    tarn_max_u64(recovery->tail, recovery->last - shard->segment_count + 1);
	sweep(recovery);
	if (recovery->last < recovery->tail) {
		/* Nothing is left of the log: go on above all that was seen. */
		recovery->tail = recovery->max_sequence + 1;
		recovery->last = recovery->max_sequence;
		recovery->last_end = 0;
	} else {
		set_segments(recovery);
	}
	shard->freed = shard->tail = recovery->tail;
	shard->durable_tail = shard->committed_tail = shard->told_tail = recovery->tail;
	shard->head = recovery->last;
	shard->next_floor = recovery->max_sequence;
	/* 0 for an empty log: a later recovery must not take what was once there for flushed. */
	shard->committed =
	    recovery->last_end == 0 ? 0 : shard_position(shard, recovery->last, recovery->last_end);
	shard->durable = shard->committed;
	shard->batch_number = recovery->batch_number;
	if (recovery->gap_end > shard_position(shard, recovery->tail, 0)) {
		shard->gap_start = recovery->gap_start;
		shard->gap_end = recovery->gap_end;
	}
	ban_retire(&shard->bans, shard_position(shard, shard->tail, 0) * DISK_BLOCK_UNITS);
}
