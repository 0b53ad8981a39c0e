/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A segment as recovery reads it: the rules are lib/cache/scan.c's, the reads come one after the
 * other.
 */
#include <errno.h>
#include <stdlib.h>

#include "ck.h"
#include "lib/cache/recover.h"

/* Where a segment is read from. */
struct reader {
	struct ck *ck;
	struct scan *scan;
	uint64_t offset_bytes;
};

static int
read_blocks(const struct reader *reader, void *buf, uint32_t block, uint32_t count)
{
	return ck_read(reader->ck, buf, (uint64_t)count * DISK_BLOCK,
		       reader->offset_bytes + (uint64_t)block * DISK_BLOCK);
}

static bool
by_trailer(const struct reader *reader)
{
	struct ck *ck = reader->ck;
	const struct disk_footer *footer = format_trailer_footer(ck->buf, 1);
	uint32_t block = ck->segment_blocks - 1;

	if (read_blocks(reader, ck->buf, block, 1) != 0 || !scan_footer_sound(reader->scan, footer))
		return false;
	block = footer->trailer_block;
	return read_blocks(reader, reader->scan->entries, block, ck->segment_blocks - block) == 0 &&
	       scan_take_trailer(reader->scan, ck->segment_blocks - block);
}

/* \return whether the batch, whose header lies at the start of ck->buf, is whole; or -ENOMEM. */
static int
take_batch(const struct reader *reader)
{
	struct scan *scan = reader->scan;
	const struct disk_batch *batch = (const struct disk_batch *)(const void *)reader->ck->buf;
	uint32_t blocks = batch->block_count - 1;
	uint8_t *payload = reader->ck->buf + DISK_BLOCK;
	bool taken;

	if (!scan_batch_sound(scan, batch))
		return 0;
	if (batch->block + batch->block_count <= scan->verify_from || blocks == 0) {
		scan_take_batch(scan, batch);
		return 1;
	}
	if (read_blocks(reader, payload, batch->block + 1, blocks) != 0) {
		scan->lost = calloc(blocks, sizeof(scan->lost[0]));
		if (scan->lost == NULL)
			return -ENOMEM;
		for (uint32_t i = 0; i < blocks; i++)
			scan->lost[i] = read_blocks(reader, payload + (size_t)i * DISK_BLOCK,
						    batch->block + 1 + i, 1) != 0;
	}
	taken = scan_take_verified(scan, batch, payload);
	free(scan->lost);
	scan->lost = NULL;
	return taken;
}

static int
by_batches(const struct reader *reader)
{
	struct scan *scan = reader->scan;
	const struct disk_head *head = (const struct disk_head *)(const void *)reader->ck->buf;
	int taken = 1;

	while (taken == 1 && scan->end_block < scan->end_limit) {
		scan->read_error = read_blocks(reader, reader->ck->buf, scan->end_block, 1) != 0;
		if (scan->read_error)
			return 0;
		taken = head->magic == DISK_BATCH_MAGIC ? take_batch(reader)
							: scan_take_packed(scan, head);
	}
	return taken < 0 ? taken : 0;
}

int
ck_scan(struct ck *ck, uint32_t shard, const struct ck_segment *segment, struct scan *scan)
{
	struct reader reader = {
		.ck = ck,
		.scan = scan,
		.offset_bytes =
		    ck_segment_offset(ck, shard, segment->sequence % ck->best->segment_count),
	};

	scan->segment_blocks = ck->segment_blocks;
	scan->seed = segment->seed;
	scan->epoch = segment->epoch;
	scan->sequence = segment->sequence;
	scan_reset(scan);
	scan->entries = aligned_alloc(
	    DISK_BLOCK, tarn_align_up(scan->entries_max * sizeof(scan->entries[0]), DISK_BLOCK));
	if (scan->entries == NULL)
		return -ENOMEM;
	return scan->use_trailer && by_trailer(&reader) ? 0 : by_batches(&reader);
}

void
ck_scan_fini(struct scan *scan)
{
	free(scan->entries);
	scan->entries = NULL;
}
