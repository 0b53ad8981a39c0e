/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading a segment's entries:
 *
 *	footer --whole--> trailer --whole--> done
 *	   |                 |
 *	   +--otherwise------+--> batch: header [--> payload] --whole--> next batch
 *	                          records without a batch --whole--> next block
 *	                              |--not whole, or end_limit: done
 *
 * Headers are found by position alone: each says where the next one is. Records that need no batch
 * follow each other by their numbers, so that none is passed over. The segment is read in windows;
 * where one cannot be read, block by block from then on.
 */
#include "lib/cache/scan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tarn/env.h"

#define WINDOW_BLOCKS 32

static void walk(struct scan *scan);
static void read_payload_block(struct scan *scan);

void
scan_fini(struct scan *scan)
{
	tarn_iobuf_put(scan->entries);
	tarn_iobuf_put(scan->buf);
	tarn_iobuf_put(scan->payload);
	scan->entries = NULL;
	scan->buf = scan->payload = NULL;
}

static void
finish(struct scan *scan, int status)
{
	tarn_iobuf_put(scan->buf);
	tarn_iobuf_put(scan->payload);
	scan->buf = scan->payload = NULL;
	scan->payload_blocks = 0;
	free(scan->lost);
	scan->lost = NULL;
	scan->done(scan, status);
}

static void
read_blocks(struct scan *scan, void *buf, uint32_t block, uint32_t block_count, tarn_io_cb cb)
{
	scan->read.channel = scan->channel;
	scan->read.buf = buf;
	scan->read.length_bytes = (uint64_t)block_count * DISK_BLOCK;
	scan->read.offset_bytes = scan->offset_bytes + (uint64_t)block * DISK_BLOCK;
	scan->read.flags = TARN_IO_BACKGROUND;
	sure_read(&scan->read, cb, scan);
}

static void
note(struct scan *scan, uint64_t tail, uint64_t durable, uint64_t time_s)
{
	scan->tail = tarn_max_u64(scan->tail, tail);
	scan->durable = tarn_max_u64(scan->durable, durable);
	scan->time_s = tarn_max_u64(scan->time_s, time_s);
}

/* --- Batch by batch --- */

void
scan_take_batch(struct scan *scan, const struct disk_batch *batch)
{
	memcpy(&scan->entries[scan->entry_count], batch->entry,
	       batch->entry_count * sizeof(batch->entry[0]));
	scan->entry_count += batch->entry_count;
	scan->batch_count++;
	scan->number = batch->number;
	scan->end_block = batch->block + batch->block_count;
	note(scan, batch->tail, batch->durable, batch->time_s);
}

/* What of the window begins at end_block. */
static const void *
at_end(const struct scan *scan)
{
	return scan->buf + (size_t)(scan->end_block - scan->window_block) * DISK_BLOCK;
}

/* Whether a block of the batch's payload that an entry has its own in cannot be read. */
static bool
is_lost(const struct scan *scan, const struct disk_batch *batch, const struct disk_entry *entry)
{
	uint32_t first = entry->place / DISK_BLOCK_UNITS - batch->block - 1;
	uint64_t bytes = (uint64_t)(entry->place % DISK_BLOCK_UNITS) * DISK_UNIT + entry->length;

	if (scan->lost == NULL || !format_entry_has_payload(entry))
		return false;
	for (uint32_t i = 0; i * (uint64_t)DISK_BLOCK < bytes; i++)
		if (scan->lost[first + i])
			return true;
	return false;
}

/*
 * What cannot be read is not torn, as far as anybody knows. It may hide a dirty block that was
 * flushed: so blocks are errors from here on, and objects are forgotten. Bans are read again later.
 */
static void
give_up(struct disk_entry *entry)
{
	if (entry->kind == DISK_BLOCK_ENTRY) {
		entry->flags |= DISK_ENTRY_DIRTY | DISK_ENTRY_SUSPECT;
	} else if (entry->kind == DISK_OBJECT_ENTRY) {
		entry->kind = DISK_FORGET_OBJECT;
		entry->length = 0;
	}
}

bool
scan_take_verified(struct scan *scan, const struct disk_batch *batch, const uint8_t *payload)
{
	uint64_t base = (uint64_t)(batch->block + 1) * DISK_BLOCK;
	uint32_t first = scan->entry_count;

	for (uint32_t i = 0; i < batch->entry_count; i++) {
		const struct disk_entry *entry = &batch->entry[i];
		uint64_t at = (uint64_t)entry->place * DISK_UNIT;

		if (format_entry_has_payload(entry) && !is_lost(scan, batch, entry) &&
		    !format_payload_verify(entry, payload + (at - base), scan->seed))
			return false;
	}
	scan_take_batch(scan, batch);
	for (uint32_t i = 0; i < batch->entry_count; i++)
		if (is_lost(scan, batch, &batch->entry[i]))
			give_up(&scan->entries[first + i]);
	return true;
}

static void
payload_there(struct scan *scan)
{
	bool taken = scan_take_verified(scan, at_end(scan), scan->payload);

	free(scan->lost);
	scan->lost = NULL;
	if (taken)
		walk(scan);
	else
		finish(scan, 0);
}

static void
payload_block_read(void *arg, int status)
{
	struct scan *scan = arg;

	scan->lost[scan->lost_next++] = status != 0;
	read_payload_block(scan);
}

static void
read_payload_block(struct scan *scan)
{
	const struct disk_batch *batch = at_end(scan);
	uint32_t next = scan->lost_next;

	if (next == batch->block_count - 1)
		payload_there(scan);
	else
		read_blocks(scan, scan->payload + (size_t)next * DISK_BLOCK,
			    batch->block + 1 + next, 1, payload_block_read);
}

static void
payload_read(void *arg, int status)
{
	struct scan *scan = arg;
	const struct disk_batch *batch = at_end(scan);

	if (status == 0) {
		payload_there(scan);
		return;
	}
	scan->lost_next = 0;
	scan->lost = calloc(batch->block_count - 1, sizeof(scan->lost[0]));
	if (scan->lost == NULL)
		finish(scan, -ENOMEM);
	else
		read_payload_block(scan);
}

bool
scan_batch_sound(const struct scan *scan, const struct disk_batch *batch)
{
	if (format_batch_verify(batch, scan->seed, scan->sequence, scan->end_block) != 0 ||
	    batch->epoch != scan->epoch || batch->block_count > scan->segment_blocks ||
	    batch->block + batch->block_count > scan->end_limit)
		return false;
	if (batch->first_number != scan->entry_count ||
	    (scan->batch_count != 0 && batch->number != scan->number + 1))
		return false;
	return format_batch_sound(batch, scan->segment_blocks * DISK_BLOCK) &&
	       scan->entry_count + batch->entry_count <= scan->entries_max;
}

static bool
have_payload_buf(struct scan *scan, uint32_t block_count)
{
	if (scan->payload_blocks >= block_count)
		return true;
	tarn_iobuf_put(scan->payload);
	scan->payload = tarn_iobuf_get((size_t)block_count * DISK_BLOCK);
	scan->payload_blocks = scan->payload != NULL ? block_count : 0;
	return scan->payload != NULL;
}

enum walked { WALK_ON, WALK_WAIT, WALK_END };

static enum walked
walk_batch(struct scan *scan)
{
	const struct disk_batch *batch = at_end(scan);

	if (!scan_batch_sound(scan, batch))
		return WALK_END;
	if (batch->block + batch->block_count <= scan->verify_from || batch->block_count == 1) {
		scan_take_batch(scan, batch);
		return WALK_ON;
	}
	if (!have_payload_buf(scan, batch->block_count - 1)) {
		finish(scan, -ENOMEM);
		return WALK_WAIT;
	}
	read_blocks(scan, scan->payload, batch->block + 1, batch->block_count - 1, payload_read);
	return WALK_WAIT;
}

bool
scan_take_packed(struct scan *scan, const void *block)
{
	const struct disk_record *first = block;
	struct disk_entry entries[FORMAT_PACKED_MAX];
	struct format_packed where = {
		.segment_seed = scan->seed,
		.block = scan->end_block,
		.number = scan->entry_count,
		.verify = scan->end_block >= scan->verify_from,
	};
	uint32_t count = format_packed_read(first, &where, entries);

	if (count == 0 || scan->entry_count + count > scan->entries_max)
		return false;
	memcpy(&scan->entries[scan->entry_count], entries, count * sizeof(entries[0]));
	scan->entry_count += count;
	scan->end_block++;
	note(scan, 0, 0, first->stored_s);
	return true;
}

static void
window_read(void *arg, int status)
{
	struct scan *scan = arg;

	if (status != 0 && scan->window_count == 1) {
		scan->read_error = true;
		finish(scan, 0);
		return;
	}
	if (status != 0) {
		scan->window_max = 1;
		scan->window_count = 0;
	}
	walk(scan);
}

static void
walk(struct scan *scan)
{
	enum walked walked = WALK_ON;

	while (walked == WALK_ON && scan->end_block < scan->end_limit) {
		const struct disk_head *head;

		if (scan->end_block - scan->window_block >= scan->window_count) {
			scan->window_block = scan->end_block;
			scan->window_count = (uint32_t)tarn_min_u64(
			    scan->window_max, scan->end_limit - scan->end_block);
			read_blocks(scan, scan->buf, scan->window_block, scan->window_count,
				    window_read);
			return;
		}
		head = at_end(scan);
		if (head->magic == DISK_BATCH_MAGIC)
			walked = walk_batch(scan);
		else
			walked = scan_take_packed(scan, head) ? WALK_ON : WALK_END;
	}
	if (walked != WALK_WAIT)
		finish(scan, 0);
}

static void
by_batches(struct scan *scan)
{
	size_t bytes;

	bytes = scan->entries_max * sizeof(struct disk_entry);
	tarn_iobuf_put(scan->entries);
	scan->entries = tarn_iobuf_get(bytes);
	scan->entry_count = 0;
	scan->end_block = 1;
	scan->window_block = scan->window_count = 0;
	if (scan->entries == NULL)
		finish(scan, -ENOMEM);
	else
		walk(scan);
}

/* --- By the trailer --- */

bool
scan_footer_sound(const struct scan *scan, const struct disk_footer *footer)
{
	return format_footer_verify(footer, scan->seed, scan->sequence, scan->segment_blocks) ==
		   0 &&
	       footer->epoch == scan->epoch && footer->end_block <= scan->end_limit;
}

bool
scan_take_trailer(struct scan *scan, uint32_t block_count)
{
	const struct disk_footer *footer = format_trailer_footer(scan->entries, block_count);

	/* It is verified again, where the trailer was read after it. */
	if (!scan_footer_sound(scan, footer) ||
	    footer->trailer_crc32c !=
		format_trailer_crc(scan->entries, block_count, scan->seed, footer->trailer_block) ||
	    !format_entries_valid(scan->entries, footer->entry_count,
				  scan->segment_blocks * DISK_BLOCK))
		return false;
	scan->by_trailer = true;
	scan->entry_count = footer->entry_count;
	scan->batch_count = footer->batch_count;
	scan->end_block = footer->end_block;
	scan->number = footer->number;
	note(scan, footer->tail, footer->durable, footer->time_s);
	return true;
}

static void
trailer_read(void *arg, int status)
{
	struct scan *scan = arg;

	if (status == 0 && scan_take_trailer(scan, scan->window_count))
		finish(scan, 0);
	else
		by_batches(scan);
}

/* The end of the segment has been read, and in it perhaps all of the trailer. */
static void
footer_read(void *arg, int status)
{
	struct scan *scan = arg;
	const struct disk_footer *footer = format_trailer_footer(scan->buf, scan->window_count);
	uint32_t blocks, there = scan->window_count;

	if (status != 0 || !scan_footer_sound(scan, footer)) {
		by_batches(scan);
		return;
	}
	blocks = scan->segment_blocks - footer->trailer_block;
	scan->window_count = blocks;
	scan->entries = tarn_iobuf_get((size_t)blocks * DISK_BLOCK);
	if (scan->entries == NULL) {
		finish(scan, -ENOMEM);
	} else if (blocks <= there) {
		memcpy(scan->entries, scan->buf + (size_t)(there - blocks) * DISK_BLOCK,
		       (size_t)blocks * DISK_BLOCK);
		trailer_read(scan, 0);
	} else {
		read_blocks(scan, scan->entries, footer->trailer_block, blocks, trailer_read);
	}
}

/* With the footer as much as a trailer has: a second read is for those that are longer. */
static void
read_footer(struct scan *scan)
{
	uint32_t blocks = format_trailer_blocks(scan->segment_blocks);

	scan->window_count = (uint32_t)tarn_min_u64(blocks, WINDOW_BLOCKS);
	read_blocks(scan, scan->buf, scan->segment_blocks - scan->window_count, scan->window_count,
		    footer_read);
}

void
scan_reset(struct scan *scan)
{
	scan->entries = NULL;
	scan->payload = NULL;
	scan->payload_blocks = 0;
	scan->entry_count = scan->batch_count = 0;
	scan->entries_max = scan->segment_blocks * TRAILER_ENTRIES_PER_BLOCK;
	scan->end_block = 1;
	scan->tail = scan->durable = scan->time_s = scan->number = 0;
	scan->by_trailer = scan->read_error = false;
	if (scan->end_limit > scan->segment_blocks - 1)
		scan->end_limit = scan->segment_blocks - 1;
}

void
scan_start(struct scan *scan)
{
	scan_reset(scan);
	scan->window_max = WINDOW_BLOCKS;
	scan->buf = tarn_iobuf_get((size_t)WINDOW_BLOCKS * DISK_BLOCK);
	if (scan->buf == NULL)
		finish(scan, -ENOMEM);
	else if (scan->use_trailer)
		read_footer(scan);
	else
		by_batches(scan);
}
