/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A write of the log has failed. What was committed stays; the segment that it ended in is closed
 * there, and what was not committed is laid out again in new segments, in its order.
 *
 * Invariant: nothing at or behind the failed item has been acknowledged, and nothing of it will be
 * found by recovery once the next segment's header, which says where the log went on, is on the
 * device.
 */
#include <errno.h>

#include "lib/cache/internal.h"

static void
fail_waiters(struct log_waiters *waiters)
{
	struct log_waiter *waiter;

	while ((waiter = TAILQ_FIRST(waiters)) != NULL) {
		TAILQ_REMOVE(waiters, waiter, link);
		waiter->done(waiter, -EIO);
	}
}

/* --- A log that fails for good --- */

void
log_note_undo(struct shard *shard, const struct index_slot *slot)
{
	struct batch *batch = shard->last_batch;
	uint32_t number = batch_disk(batch)->entry_count - 1;

	batch->undo_map[number / 64] |= UINT64_C(1) << (number % 64);
	if (slot != NULL)
		batch->undo[number] = (struct batch_undo){
			.place = slot->place,
			.info = slot->info,
			.suspect = (slot->id & INDEX_SUSPECT) != 0,
		};
}

/* The tombstone of dirty blocks is not written: they must not become misses. */
static void
undo_forget(struct shard *shard, const struct disk_entry *entry, uint32_t place)
{
	for (uint32_t i = 0; i < entry->length; i++) {
		uint64_t id = index_block_id(entry->volume, entry->identity + i);
		struct index_slot *slot = index_find(&shard->index, id);

		if (slot == NULL)
			slot = index_insert(&shard->index, id);
		if (slot == NULL)
			slot = index_insert_over_clean(&shard->index, id);
		if (slot == NULL)
			continue; /* all that could give way is dirty */
		slot->place = place;
		index_set_dirty(&shard->index, slot, true);
		index_set_suspect(&shard->index, slot);
	}
}

static void
undo_stored(struct shard *shard, const struct disk_entry *entry, uint32_t place,
	    const struct batch_undo *undo)
{
	bool object = entry->kind == DISK_OBJECT_ENTRY;
	struct index_slot *slot =
	    index_find(&shard->index, object ? index_object_id(entry->identity)
					     : index_block_id(entry->volume, entry->identity));

	if (slot == NULL || slot->place != place)
		return;
	if (undo == NULL) {
		index_remove(&shard->index, slot);
		return;
	}
	slot->place = undo->place;
	slot->info = undo->info;
	index_set_dirty(&shard->index, slot, true);
	index_clear_suspect(&shard->index, slot);
	if (undo->suspect)
		index_set_suspect(&shard->index, slot);
}

/*
 * What had been appended is not on the device: it is not in the cache either. From the newest entry
 * to the oldest, so that what one gives back, an older one may take.
 */
static void
undo_batch(struct shard *shard, struct batch *batch)
{
	const struct disk_batch *disk = batch_disk(batch);

	for (uint32_t i = disk->entry_count; i-- > 0;) {
		const struct disk_entry *entry = &disk->entry[i];
		uint32_t place =
		    shard_place(shard, batch->item.sequence, entry->place / DISK_BLOCK_UNITS);
		bool noted = (batch->undo_map[i / 64] >> (i % 64) & 1) != 0;

		if (entry->kind == DISK_OBJECT_ENTRY || entry->kind == DISK_BLOCK_ENTRY)
			undo_stored(shard, entry, place, noted ? &batch->undo[i] : NULL);
		else if (noted)
			undo_forget(shard, entry, place);
	}
}

/* All that is not committed, in order of position. */
static void
take_all(struct shard *shard, struct log_items *ret)
{
	TAILQ_INIT(ret);
	TAILQ_CONCAT(ret, &shard->items, link);
	TAILQ_CONCAT(ret, &shard->redo, link);
	if (shard->open_batch != NULL)
		TAILQ_INSERT_TAIL(ret, &shard->open_batch->item, link);
	shard->open_batch = NULL;
}

void
log_drop(struct shard *shard)
{
	struct log_waiters waiters = TAILQ_HEAD_INITIALIZER(waiters);
	struct log_items items;
	struct log_item *item;

	tarn_assert(shard->failed && shard->inflight_count == 0);
	take_all(shard, &items);
	TAILQ_FOREACH_REVERSE(item, &items, log_items, link)
	if (item->type == LOG_BATCH)
		undo_batch(shard, tarn_container_of(item, struct batch, item));
	while ((item = TAILQ_FIRST(&items)) != NULL) {
		TAILQ_REMOVE(&items, item, link);
		if (item->type == LOG_HEADER) {
			tarn_container_of(item, struct log_header, item)->used = false;
		} else {
			struct batch *batch = tarn_container_of(item, struct batch, item);

			TAILQ_CONCAT(&waiters, &batch->waiters, link);
			batch_free(shard, batch);
		}
	}
	shard->repairing = false; /* nothing is left of what was to be laid out */
	fail_waiters(&waiters);
	flush_fail_waiters(shard);
	shard_unblock(shard);
}

void
log_fail(struct shard *shard)
{
	if (shard->failed)
		return;
	shard->failed = true;
	if (shard->inflight_count == 0)
		log_drop(shard);
}

/* Close what is open at what is committed; segments without anything committed are dead. */
static void
cut_log(struct shard *shard)
{
	uint64_t last = shard->committed / shard->segment_blocks;

	for (uint64_t sequence = tarn_max_u64(last, 1); sequence <= shard->head; sequence++) {
		struct segment *segment = segment_of(shard, sequence);

		if (segment->sequence != sequence ||
		    (segment->state != SEGMENT_OPEN && segment->state != SEGMENT_SEALING))
			continue;
		if (segment->state == SEGMENT_SEALING &&
		    shard->committed >= shard_position(shard, sequence, segment->end_block))
			continue; /* whole; its trailer is on its way */
		segment->end_block =
		    sequence == last ? (uint32_t)(shard->committed % shard->segment_blocks) : 0;
		for (uint32_t i = 0; i < TRAILER_COUNT; i++)
			if (shard->trailers[i].busy && shard->trailers[i].sequence == sequence)
				shard->trailers[i].busy = false;
		segment_set_state(shard, segment, SEGMENT_SEALED);
	}
	shard->segment_is_open = false;
	shard->trailer = NULL;
	shard->told_tail =
	    shard->committed_tail; /* headers that said more are not laid out again */
}

void
log_repair_go_on(struct shard *shard)
{
	struct log_item *item;

	while (!shard->item_failed && !shard->failed &&
	       (item = TAILQ_FIRST(&shard->redo)) != NULL) {
		struct batch *batch = tarn_container_of(item, struct batch, item);

		if (shard->segment_is_open &&
		    !segment_fits(shard, batch->block_count, batch_disk(batch)->entry_count))
			segment_seal(shard);
		if (!shard->segment_is_open && segment_open(shard, LOG_RESERVE) != 0) {
			/* A trailer or header will be free again, or a segment never. */
			if (segment_free_count(shard) == 0)
				log_fail(shard);
			return;
		}
		TAILQ_REMOVE(&shard->redo, item, link);
		batch_rebase(shard, batch);
		batch_submit(shard, batch);
	}
	shard->repairing = !TAILQ_EMPTY(&shard->redo);
}

void
log_repair(struct shard *shard)
{
	struct log_items items;
	struct log_item *item;

	tarn_assert(shard->inflight_count == 0 && shard->item_failed);
	if (++shard->failure_count >= SHARD_WRITE_FAILURES) {
		log_fail(shard);
		return;
	}
	if (shard->open_batch != NULL)
		batch_close(shard, shard->open_batch);
	take_all(shard, &items);
	cut_log(shard);
	shard->item_failed = false;
	shard->repairing = true;
	while ((item = TAILQ_FIRST(&items)) != NULL) {
		TAILQ_REMOVE(&items, item, link);
		if (item->type == LOG_HEADER)
			tarn_container_of(item, struct log_header, item)->used = false;
		else
			TAILQ_INSERT_TAIL(&shard->redo, item, link);
	}
	log_repair_go_on(shard);
}
