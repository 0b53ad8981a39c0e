/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Batches: memory that looks as the device will. A batch is placed when it is opened, so that
 * entries know their place, and checksums their seed, when they are appended; where a write fails,
 * the batch is laid out again elsewhere (batch_rebase).
 */
#include <errno.h>
#include <string.h>

#include "lib/cache/internal.h"

static struct batch *
free_batch(struct shard *shard)
{
	for (uint32_t i = 0; i < SHARD_BATCH_COUNT; i++)
		if (shard->batches[i].state == BATCH_FREE)
			return &shard->batches[i];
	return NULL;
}

int
batch_open(struct shard *shard, uint32_t payload_blocks, bool packed, struct batch **ret)
{
	struct batch *batch = free_batch(shard);

	if (batch == NULL)
		return -EAGAIN;
	batch->buf = batch->own_buf;
	batch->limit_blocks = packed ? BATCH_BLOCKS - 1 : BATCH_BLOCKS;
	if (1 + payload_blocks > BATCH_BLOCKS) {
		void *buf = tarn_iobuf_get((size_t)(1 + payload_blocks) * DISK_BLOCK);

		if (buf == NULL)
			return -ENOMEM;
		batch->buf = buf;
		batch->limit_blocks = 1 + payload_blocks;
	}
	memset(batch->buf, 0, DISK_BLOCK);
	batch->state = BATCH_OPEN;
	batch->packed = packed;
	batch->urgent = false;
	batch->item.type = LOG_BATCH;
	batch->item.sequence = shard->head;
	batch->block = shard->cursor;
	batch->block_count = 0;
	batch->cursor = packed ? 0 : DISK_BLOCK_UNITS;
	batch->opened_ns = tarn_reactor_turn_ns();
	memset(batch->undo_map, 0, sizeof(batch->undo_map));
	TAILQ_INIT(&batch->waiters);
	*ret = batch;
	return 0;
}

void
batch_free(struct shard *shard, struct batch *batch)
{
	if (batch->buf != batch->own_buf)
		tarn_iobuf_put(batch->buf);
	batch->buf = batch->own_buf;
	batch->state = BATCH_FREE;
	if (shard->last_batch == batch)
		shard->last_batch = NULL;
}

static void
add_to_trailer(struct shard *shard, const struct batch *batch, const struct disk_batch *disk)
{
	struct trailer *trailer = shard->trailer;
	struct disk_entry *entries = (struct disk_entry *)(void *)trailer->buf;

	memcpy(&entries[trailer->entry_count], disk->entry,
	       disk->entry_count * sizeof(disk->entry[0]));
	trailer->entry_count += disk->entry_count;
	trailer->time_s = tarn_max_u64(trailer->time_s, disk->time_s);
	if (batch->packed)
		return;
	trailer->batch_count++;
	trailer->tail = tarn_max_u64(trailer->tail, disk->tail);
	trailer->durable = tarn_max_u64(trailer->durable, disk->durable);
	trailer->number = disk->number;
}

/*
 * What is behind a gap is found by those who know of it: so who says that it is durable lies in a
 * segment whose header tells of the gap.
 */
static uint64_t
durable_to_tell(const struct shard *shard)
{
	return shard->head_gap_end == shard->gap_end
		   ? shard->durable
		   : tarn_min_u64(shard->durable, shard->gap_start);
}

/* Give a batch its final place, and the shard's state of now, where it has a header to say so. */
static void
finish(struct shard *shard, struct batch *batch)
{
	struct disk_batch *disk = batch_disk(batch);
	const struct segment *segment = segment_of(shard, shard->head);

	shard->cursor += batch->block_count;
	disk->time_s = cache_now_s(shard->cache);
	if (batch->packed) {
		add_to_trailer(shard, batch, disk);
		return;
	}
	disk->epoch = segment->epoch;
	disk->sequence = segment->sequence;
	disk->block = batch->block;
	disk->block_count = batch->block_count;
	disk->shard = shard->number;
	/* Laid out again it says what it did: what moved since may lie behind it. */
	if (!shard->repairing)
		disk->tail = shard->tail;
	shard->told_tail = tarn_max_u64(shard->told_tail, disk->tail);
	disk->durable = durable_to_tell(shard);
	disk->number = ++shard->batch_number;
	disk->first_number = shard->trailer->entry_count;
	disk->previous = shard->trailer->previous;
	disk->previous_end = shard->trailer->previous_end;
	disk->gap_start = shard->gap_start;
	disk->gap_end = shard->gap_end;
	format_batch_seal(disk, segment->seed);
	add_to_trailer(shard, batch, disk);
}

void
batch_close(struct shard *shard, struct batch *batch)
{
	uint32_t in_block = batch->cursor % DISK_BLOCK_UNITS;

	tarn_assert(batch->state == BATCH_OPEN && batch->item.sequence == shard->head &&
		    batch->block == shard->cursor);
	/* What the buffer held before is nobody's business. */
	if (in_block != 0)
		memset(batch_data(batch) + (size_t)batch->cursor * DISK_UNIT, 0,
		       (size_t)(DISK_BLOCK_UNITS - in_block) * DISK_UNIT);
	batch->block_count = (batch->cursor + DISK_BLOCK_UNITS - 1) / DISK_BLOCK_UNITS;
	batch->state = BATCH_CLOSED;
	finish(shard, batch);
}

void
batch_submit(struct shard *shard, struct batch *batch)
{
	shard->counters.batch_count++;
	shard->counters.batch_entry_count += batch_disk(batch)->entry_count;
	shard->counters.log_bytes += (uint64_t)batch->block_count * DISK_BLOCK;
	log_item_submit(shard, &batch->item, batch_data(batch),
			shard_place(shard, batch->item.sequence, batch->block), batch->block_count);
}

/* --- Laying out again --- */

/* The index follows an entry that it points to. */
static void
slot_follow(struct shard *shard, const struct disk_entry *entry, uint32_t old_block,
	    uint32_t new_block)
{
	bool object = entry->kind == DISK_OBJECT_ENTRY;
	struct index_slot *slot =
	    index_find(&shard->index, object ? index_object_id(entry->identity)
					     : index_block_id(entry->volume, entry->identity));
	uint32_t unit = entry->place % DISK_BLOCK_UNITS;

	if (slot == NULL || slot->place != old_block || (object && (slot->info & 0xff) != unit))
		return;
	slot->place = new_block;
	if (!object)
		slot->info = entry->crc32c;
}

void
batch_rebase(struct shard *shard, struct batch *batch)
{
	struct disk_batch *disk = batch_disk(batch);
	const struct segment *segment = segment_of(shard, shard->head);
	uint64_t old_base = shard_position(shard, batch->item.sequence, 0) * DISK_BLOCK_UNITS;
	uint64_t new_base = shard_position(shard, shard->head, 0) * DISK_BLOCK_UNITS;
	uint32_t old_block = batch->block;

	for (uint32_t i = 0; i < disk->entry_count; i++) {
		struct disk_entry *entry = &disk->entry[i];
		uint32_t old_place = entry->place;
		uint32_t offset = old_place - old_block * DISK_BLOCK_UNITS;
		uint8_t *payload = batch_data(batch) + (size_t)offset * DISK_UNIT;
		uint32_t from, to;

		entry->place = shard->cursor * DISK_BLOCK_UNITS + offset;
		from = shard_place(shard, batch->item.sequence, old_place / DISK_BLOCK_UNITS);
		to = shard_place(shard, shard->head, entry->place / DISK_BLOCK_UNITS);
		if (!format_entry_has_payload(entry))
			continue;
		if (entry->kind == DISK_OBJECT_ENTRY) {
			struct disk_record *record = (struct disk_record *)(void *)payload;

			record->number = shard->trailer->entry_count + i;
			entry->crc32c = format_record_seal(record, segment->seed, entry->place);
		} else {
			entry->crc32c = tarn_crc32c(format_seed(segment->seed, entry->place),
						    payload, entry->length);
		}
		if (entry->kind == DISK_BAN)
			ban_move(&shard->bans, old_base + old_place, new_base + entry->place);
		else
			slot_follow(shard, entry, from, to);
	}
	batch->item.sequence = shard->head;
	batch->block = shard->cursor;
	finish(shard, batch);
}
