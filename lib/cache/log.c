/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Appending to the log, and group commit.
 *
 *	batch:  FREE --batch_open--> OPEN --batch_close--> CLOSED --commit.c--> FREE
 *
 * One batch is open at a time. It closes at the end of the turn when somebody waits for it and
 * nothing is on its way to the device; when it has URGENT_BLOCKS and fewer than URGENT_DEPTH items
 * are on their way; when the next entry does not fit; when it is old, or a fence wants it.
 */
#include <errno.h>
#include <string.h>

#include "lib/cache/internal.h"

#define URGENT_BLOCKS 33 /* a header and 128 KiB */
#define URGENT_DEPTH 4
#define RIDE_ALONG_NS 2000000 /* what nobody waits for closes its batch after so long */

uint64_t
shard_offset(const struct shard *shard, uint32_t place)
{
	const struct tarn_cache *cache = shard->cache;
	uint64_t segment = place / shard->segment_blocks;
	uint64_t block = place % shard->segment_blocks;

	return cache->super->data_offset +
	       (segment * cache->shard_count + shard->number) * cache->segment_bytes +
	       block * DISK_BLOCK;
}

/* Where in the batch a payload would begin: a block, where that saves one on reading. */
static uint32_t
align_cursor(uint32_t cursor, uint8_t kind, uint32_t payload_bytes)
{
	uint32_t in_block = cursor % DISK_BLOCK_UNITS;
	uint32_t units = (payload_bytes + DISK_UNIT - 1) / DISK_UNIT;
	uint32_t spans = (in_block + units + DISK_BLOCK_UNITS - 1) / DISK_BLOCK_UNITS;
	uint32_t needs = (units + DISK_BLOCK_UNITS - 1) / DISK_BLOCK_UNITS;

	if (in_block != 0 && (kind == DISK_BLOCK_ENTRY || spans > needs))
		return cursor - in_block + DISK_BLOCK_UNITS;
	return cursor;
}

static bool
fits(const struct shard *shard, uint8_t kind, uint32_t payload_bytes)
{
	const struct batch *batch = shard->open_batch;
	const struct disk_batch *disk = (const struct disk_batch *)(const void *)batch->buf;
	uint64_t end;

	if (disk->entry_count == DISK_BATCH_ENTRIES ||
	    (batch->packed && !format_entry_packs(kind, payload_bytes)))
		return false;
	end = align_cursor(batch->cursor, kind, payload_bytes);
	end += (payload_bytes + DISK_UNIT - 1) / DISK_UNIT;
	end = (end + DISK_BLOCK_UNITS - 1) / DISK_BLOCK_UNITS;
	return end <= batch->limit_blocks &&
	       segment_fits(shard, (uint32_t)end, disk->entry_count + 1);
}

static void
close_open_batch(struct shard *shard)
{
	struct batch *batch = shard->open_batch;

	shard->open_batch = NULL;
	batch_close(shard, batch);
	batch_submit(shard, batch);
}

/* Have a segment open in which a batch of so many blocks has room. */
static int
make_room(struct shard *shard, enum log_class class, uint32_t block_count)
{
	int status;

	if (shard->segment_is_open && segment_fits(shard, block_count, 1))
		return 0;
	if (shard->segment_is_open)
		segment_seal(shard);
	status = segment_open(shard, class);
	if (status != 0)
		return status;
	tarn_assert(segment_fits(shard, block_count, 1));
	return 0;
}

static int
have_batch(struct shard *shard, enum log_class class, const struct disk_entry *entry,
	   uint32_t payload_bytes)
{
	uint32_t blocks = (payload_bytes + DISK_BLOCK - 1) / DISK_BLOCK;
	bool packed = format_entry_packs(entry->kind, payload_bytes);
	int status;

	if (shard->open_batch != NULL && fits(shard, entry->kind, payload_bytes))
		return 0;
	if (shard->open_batch != NULL)
		close_open_batch(shard);
	status = make_room(shard, class, packed ? blocks : 1 + blocks);
	if (status != 0)
		return status;
	/* The first of a segment says what its header does, for where that is lost. */
	return batch_open(shard, blocks, packed && shard->cursor != 1, &shard->open_batch);
}

/*
 * What is in reserve is not for the batch of others either; and all that no flush has made durable
 * must fit into what is free, for a failed flush has it appended again before anything is freed.
 */
static bool
has_room(struct shard *shard, enum log_class class)
{
	uint64_t free_count = segment_free_count(shard);
	uint64_t durable = tarn_max_u64(flush_sure(shard) / shard->segment_blocks, shard->freed);

	if (class == LOG_RESERVE)
		return true;
	if (shard->gap_open || free_count + (class == LOG_TOMBSTONE) < SHARD_RESERVE)
		return false;
	if (shard->head < durable + free_count)
		return true;
	flush_want_position(
	    shard,
	    shard_position(shard, shard->head - tarn_min_u64(free_count - 1, shard->head), 0));
	return false;
}

int
log_append(struct shard *shard, enum log_class class, const struct disk_entry *entry,
	   uint32_t payload_bytes, struct log_slot *ret)
{
	struct disk_batch *disk;
	struct batch *batch;
	uint32_t cursor;
	int status;

	if (tarn_unlikely(shard->failed))
		return -EIO;
	if (tarn_unlikely(shard->repairing || shard->item_failed))
		return -EAGAIN;
	if (!has_room(shard, class))
		return -EAGAIN;
	status = have_batch(shard, class, entry, payload_bytes);
	if (tarn_unlikely(status != 0))
		return status;
	batch = shard->open_batch;
	disk = batch_disk(batch);
	cursor = align_cursor(batch->cursor, entry->kind, payload_bytes);
	/* What the buffer held before is nobody's business. */
	if (cursor != batch->cursor)
		memset(batch_data(batch) + (size_t)batch->cursor * DISK_UNIT, 0,
		       (size_t)(cursor - batch->cursor) * DISK_UNIT);
	batch->cursor = cursor;
	ret->number = shard->trailer->entry_count + disk->entry_count;
	ret->entry = &disk->entry[disk->entry_count++];
	*ret->entry = *entry;
	ret->place = batch->block * DISK_BLOCK_UNITS + batch->cursor;
	ret->entry->place = ret->place;
	ret->payload = batch_data(batch) + (size_t)batch->cursor * DISK_UNIT;
	ret->block = shard_place(shard, shard->head, ret->place / DISK_BLOCK_UNITS);
	ret->seed = segment_of(shard, shard->head)->seed;
	ret->position = shard_position(shard, shard->head, 0) * DISK_BLOCK_UNITS + ret->place;
	batch->cursor += (payload_bytes + DISK_UNIT - 1) / DISK_UNIT;
	shard->last_batch = batch;
	if (disk->entry_count == 1)
		tarn_deferred_schedule(&shard->kick);
	return 0;
}

int
log_bare_batch(struct shard *shard)
{
	static const struct disk_entry bare = { .kind = DISK_CLEAN_BLOCKS };
	int status;

	if (shard->failed)
		return -EIO;
	if (shard->repairing || shard->item_failed)
		return -EAGAIN;
	status = have_batch(shard, LOG_RESERVE, &bare, 0);
	if (status != 0)
		return status;
	shard->last_batch = shard->open_batch;
	shard->open_batch->urgent = true;
	tarn_deferred_schedule(&shard->kick);
	return 0;
}

int
log_telling_batch(struct shard *shard)
{
	if (shard->failed)
		return -EIO;
	if (shard->repairing || shard->item_failed)
		return -EAGAIN;
	if (shard->segment_is_open && shard->head_gap_end != shard->gap_end) {
		if (shard->open_batch != NULL)
			close_open_batch(shard);
		segment_seal(shard);
	}
	return log_bare_batch(shard);
}

/* --- Waiting --- */

void
log_wait(struct shard *shard, struct log_waiter *waiter, bool durable,
	 void (*done)(struct log_waiter *waiter, int status))
{
	struct batch *batch = shard->last_batch;

	tarn_assert(batch != NULL && batch->state != BATCH_FREE);
	waiter->done = done;
	waiter->durable = durable;
	TAILQ_INSERT_TAIL(&batch->waiters, waiter, link);
	batch->urgent = true;
	tarn_deferred_schedule(&shard->kick);
}

static struct batch *
newest_batch(struct shard *shard)
{
	struct log_item *item;

	if (shard->open_batch != NULL)
		return shard->open_batch;
	if (!TAILQ_EMPTY(&shard->redo))
		return tarn_container_of(TAILQ_LAST(&shard->redo, log_items), struct batch, item);
	TAILQ_FOREACH_REVERSE(item, &shard->items, log_items, link)
	if (item->type == LOG_BATCH)
		return tarn_container_of(item, struct batch, item);
	return NULL;
}

void
log_fence(struct shard *shard, struct log_waiter *waiter, bool durable,
	  void (*done)(struct log_waiter *waiter, int status))
{
	struct batch *batch = newest_batch(shard);

	waiter->done = done;
	waiter->durable = durable;
	if (batch != NULL) {
		TAILQ_INSERT_TAIL(&batch->waiters, waiter, link);
		batch->urgent = true;
		tarn_deferred_schedule(&shard->kick);
		return;
	}
	waiter->position = shard->committed;
	if (durable && !shard->failed)
		flush_wait(shard, waiter);
	else
		done(waiter, shard->failed ? -EIO : 0);
}

void
log_kick(struct shard *shard, bool force)
{
	struct batch *batch = shard->open_batch;
	uint32_t blocks;

	if (batch == NULL || shard->item_failed || shard->repairing)
		return;
	blocks = (batch->cursor + DISK_BLOCK_UNITS - 1) / DISK_BLOCK_UNITS;
	if (force ||
	    (batch->urgent && (shard->inflight_count == 0 ||
			       (blocks >= URGENT_BLOCKS && shard->inflight_count < URGENT_DEPTH))))
		close_open_batch(shard);
	else if (!batch->urgent && tarn_now_ns() - batch->opened_ns >= RIDE_ALONG_NS)
		close_open_batch(shard);
}

bool
log_busy(const struct shard *shard)
{
	return shard->inflight_count != 0;
}

/* --- Reading what is not on the device yet --- */

static const uint8_t *
ram_in(const struct log_items *items, uint64_t sequence, uint32_t block)
{
	const struct log_item *item;

	TAILQ_FOREACH (item, items, link) {
		const struct batch *batch = tarn_container_of(item, struct batch, item);

		if (item->type == LOG_BATCH && item->sequence == sequence &&
		    block >= batch->block && block < batch->block + batch->block_count)
			return batch_data(batch) + (size_t)(block - batch->block) * DISK_BLOCK;
	}
	return NULL;
}

const uint8_t *
log_ram(struct shard *shard, uint32_t place)
{
	uint64_t sequence = shard_segment_at(shard, place)->sequence;
	uint32_t block = place % shard->segment_blocks;
	const struct batch *open = shard->open_batch;
	const uint8_t *found;

	if (tarn_likely(shard_position(shard, sequence, block) < shard->committed) &&
	    tarn_likely(TAILQ_EMPTY(&shard->redo)))
		return NULL;
	if (open != NULL && open->item.sequence == sequence && block >= open->block)
		return batch_data(open) + (size_t)(block - open->block) * DISK_BLOCK;
	found = ram_in(&shard->items, sequence, block);
	return found != NULL ? found : ram_in(&shard->redo, sequence, block);
}
