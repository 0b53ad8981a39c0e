/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading a segment's entries:
 *
 *	footer --whole--> trailer --whole--> done
 *	   |                 |
 *	   +--otherwise------+--> batch: header [--> payload] --whole--> next batch
 *	                              |--not whole, or end_limit: done
 *
 * Headers are found by position alone: each says where the next one is.
 */
#include "lib/cache/scan.h"

#include <errno.h>
#include <string.h>

#include "tarn/env.h"

static void next_batch(struct scan *scan);

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
	scan->done(scan, status);
}

static void
read_blocks(struct scan *scan, void *buf, uint32_t block, uint32_t block_count, tarn_io_cb cb)
{
	tarn_bdev_read(scan->channel, &scan->io, buf, (uint64_t)block_count * DISK_BLOCK,
		       scan->offset_bytes + (uint64_t)block * DISK_BLOCK, TARN_IO_BACKGROUND, cb,
		       scan);
}

static bool
entries_valid(const struct scan *scan, const struct disk_entry *entries, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		if (!format_entry_valid(&entries[i], scan->segment_blocks * DISK_BLOCK))
			return false;
	return true;
}

static void
note(struct scan *scan, uint64_t tail, uint64_t durable, uint64_t time_s)
{
	scan->tail = tarn_max_u64(scan->tail, tail);
	scan->durable = tarn_max_u64(scan->durable, durable);
	scan->time_s = tarn_max_u64(scan->time_s, time_s);
}

/* --- Batch by batch --- */

static void
take_batch(struct scan *scan)
{
	const struct disk_batch *batch = (const struct disk_batch *)(const void *)scan->buf;

	memcpy(&scan->entries[scan->entry_count], batch->entry,
	       batch->entry_count * sizeof(batch->entry[0]));
	scan->entry_count += batch->entry_count;
	scan->batch_count++;
	scan->number = batch->number;
	scan->end_block = batch->block + batch->block_count;
	note(scan, batch->tail, batch->durable, batch->time_s);
	next_batch(scan);
}

static void
payload_read(void *arg, int status)
{
	struct scan *scan = arg;
	const struct disk_batch *batch = (const struct disk_batch *)(const void *)scan->buf;
	uint64_t base = (uint64_t)(batch->block + 1) * DISK_BLOCK;

	scan->read_error |= status != 0;
	for (uint32_t i = 0; i < batch->entry_count && status == 0; i++) {
		const struct disk_entry *entry = &batch->entry[i];
		uint64_t at = (uint64_t)entry->place * DISK_UNIT;

		if (format_entry_has_payload(entry) &&
		    !format_payload_verify(entry, scan->payload + (at - base), scan->seed))
			status = -EBADMSG;
	}
	if (status != 0)
		finish(scan, 0);
	else
		take_batch(scan);
}

/* Whether all payloads lie within their batch. */
static bool
payloads_inside(const struct disk_batch *batch)
{
	uint64_t from = (uint64_t)(batch->block + 1) * DISK_BLOCK;
	uint64_t to = (uint64_t)(batch->block + batch->block_count) * DISK_BLOCK;

	for (uint32_t i = 0; i < batch->entry_count; i++) {
		const struct disk_entry *entry = &batch->entry[i];
		uint64_t at = (uint64_t)entry->place * DISK_UNIT;

		if (format_entry_has_payload(entry) &&
		    (at < from || !tarn_range_within(at - from, entry->length, to - from)))
			return false;
	}
	return true;
}

static bool
batch_sound(const struct scan *scan, const struct disk_batch *batch)
{
	if (format_batch_verify(batch, scan->seed, scan->sequence, scan->end_block) != 0 ||
	    batch->epoch != scan->epoch || batch->block_count > scan->segment_blocks ||
	    batch->block + batch->block_count > scan->end_limit)
		return false;
	if (scan->batch_count != 0 && batch->number != scan->number + 1)
		return false;
	return entries_valid(scan, batch->entry, batch->entry_count) && payloads_inside(batch) &&
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

static void
header_read(void *arg, int status)
{
	struct scan *scan = arg;
	const struct disk_batch *batch = (const struct disk_batch *)(const void *)scan->buf;

	scan->read_error |= status != 0;
	if (status != 0 || !batch_sound(scan, batch)) {
		finish(scan, 0);
	} else if (batch->block + batch->block_count <= scan->verify_from ||
		   batch->block_count == 1) {
		take_batch(scan);
	} else if (!have_payload_buf(scan, batch->block_count - 1)) {
		finish(scan, -ENOMEM);
	} else {
		read_blocks(scan, scan->payload, batch->block + 1, batch->block_count - 1,
			    payload_read);
	}
}

static void
next_batch(struct scan *scan)
{
	if (scan->end_block >= scan->end_limit)
		finish(scan, 0);
	else
		read_blocks(scan, scan->buf, scan->end_block, 1, header_read);
}

static void
by_batches(struct scan *scan)
{
	size_t bytes;

	scan->entries_max = scan->segment_blocks * TRAILER_ENTRIES_PER_BLOCK;
	bytes = scan->entries_max * sizeof(struct disk_entry);
	tarn_iobuf_put(scan->entries);
	scan->entries = tarn_iobuf_get(bytes);
	scan->entry_count = 0;
	scan->end_block = 1;
	if (scan->entries == NULL)
		finish(scan, -ENOMEM);
	else
		next_batch(scan);
}

/* --- By the trailer --- */

static void
trailer_read(void *arg, int status)
{
	struct scan *scan = arg;
	const struct disk_footer *footer = (const struct disk_footer *)(const void *)scan->buf;
	uint32_t last = scan->segment_blocks - 1;

	if (status != 0 ||
	    footer->trailer_crc32c != format_trailer_crc(scan->entries,
							 last - footer->trailer_block, scan->seed,
							 footer->trailer_block) ||
	    !entries_valid(scan, scan->entries, footer->entry_count)) {
		by_batches(scan);
		return;
	}
	scan->by_trailer = true;
	scan->entry_count = footer->entry_count;
	scan->batch_count = footer->batch_count;
	scan->end_block = footer->end_block;
	scan->number = footer->number;
	note(scan, footer->tail, footer->durable, footer->time_s);
	finish(scan, 0);
}

static void
footer_read(void *arg, int status)
{
	struct scan *scan = arg;
	const struct disk_footer *footer = (const struct disk_footer *)(const void *)scan->buf;
	uint32_t last = scan->segment_blocks - 1;
	uint32_t blocks;

	if (status != 0 || format_footer_verify(footer, scan->seed, scan->sequence, last) != 0 ||
	    footer->epoch != scan->epoch || footer->end_block > scan->end_limit) {
		by_batches(scan);
		return;
	}
	blocks = last - footer->trailer_block;
	scan->entries = tarn_iobuf_get((size_t)(blocks == 0 ? 1 : blocks) * DISK_BLOCK);
	if (scan->entries == NULL)
		finish(scan, -ENOMEM);
	else if (blocks == 0)
		trailer_read(scan, 0);
	else
		read_blocks(scan, scan->entries, footer->trailer_block, blocks, trailer_read);
}

void
scan_start(struct scan *scan)
{
	scan->entries = NULL;
	scan->payload = NULL;
	scan->payload_blocks = 0;
	scan->entry_count = scan->batch_count = 0;
	scan->end_block = 1;
	scan->tail = scan->durable = scan->time_s = scan->number = 0;
	scan->by_trailer = scan->read_error = false;
	if (scan->end_limit > scan->segment_blocks - 1)
		scan->end_limit = scan->segment_blocks - 1;
	scan->buf = tarn_iobuf_get(DISK_BLOCK);
	if (scan->buf == NULL)
		finish(scan, -ENOMEM);
	else if (scan->use_trailer)
		read_blocks(scan, scan->buf, scan->segment_blocks - 1, 1, footer_read);
	else
		by_batches(scan);
}
