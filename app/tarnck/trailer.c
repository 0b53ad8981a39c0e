/* SPDX-License-Identifier: BSD-3-Clause */
/* The second copy of a segment's entries, at its end: verified, and compared with the first. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ck.h"

/* The footer lies in the trailer's last block. */
static void
find_at(struct ck *ck, const struct ck_place *place, const char *what, const char *text)
{
	ck_find_log(ck, place, what, "shard %u, segment %llu, block %u: %s", place->shard,
		    (unsigned long long)place->sequence, place->block, text);
}

/* What begins at a block of the log. */
struct item {
	const struct disk_entry *entries;
	uint32_t entry_count, block_count;
	struct disk_entry packed[FORMAT_PACKED_MAX];
};

/* \return false: neither a batch nor records, which it was a moment ago. */
static bool
item_read(struct item *item, const struct ck_segment *segment, const void *at, uint32_t block,
	  uint32_t number)
{
	struct format_packed where = {
		.segment_seed = segment->seed,
		.block = block,
		.number = number,
	};
	const struct disk_batch *batch = at;

	if (format_batch_verify(batch, segment->seed, segment->sequence, block) == 0) {
		item->entries = batch->entry;
		item->entry_count = batch->entry_count;
		item->block_count = batch->block_count;
		return true;
	}
	item->entries = item->packed;
	item->block_count = 1;
	item->entry_count = format_packed_read(at, &where, item->packed);
	return item->entry_count != 0;
}

/* Whether the trailer says the same as the batches, of which all are whole. */
static bool
agrees(const struct ck *ck, const struct ck_segment *segment, const struct disk_footer *footer)
{
	const uint8_t *copy = ck->buf + (uint64_t)footer->trailer_block * DISK_BLOCK;
	struct item item;
	uint32_t number = 0;

	if (footer->end_block != segment->header_end ||
	    footer->entry_count != segment->entry_count ||
	    footer->batch_count != segment->batch_count)
		return false;
	for (uint32_t block = 1; block < segment->header_end; block += item.block_count) {
		const uint8_t *at = ck->buf + (uint64_t)block * DISK_BLOCK;
		uint64_t bytes;

		if (!item_read(&item, segment, at, block, number))
			return false;
		bytes = item.entry_count * sizeof(item.entries[0]);
		if (memcmp(copy, item.entries, bytes) != 0)
			return false;
		copy += bytes;
		number += item.entry_count;
	}
	return true;
}

void
ck_check_trailer(struct ck *ck, uint32_t shard, struct ck_segment *segment)
{
	const struct disk_footer *footer = format_trailer_footer(ck->buf, ck->segment_blocks);
	uint32_t blocks = ck->segment_blocks;
	struct ck_place at = { shard, segment->sequence, blocks - 1, true };
	const uint8_t *trailer;

	if (format_footer_verify(footer, segment->seed, segment->sequence, blocks) != 0 ||
	    footer->epoch != segment->epoch) {
		if (footer->epoch == segment->epoch || (footer->head.magic == DISK_FOOTER_MAGIC &&
							footer->sequence == segment->sequence))
			find_at(ck, &at, "footer", "the footer is not whole");
		return;
	}
	at.block = footer->trailer_block;
	trailer = ck->buf + (uint64_t)footer->trailer_block * DISK_BLOCK;
	if (footer->trailer_crc32c != format_trailer_crc(trailer, blocks - footer->trailer_block,
							 segment->seed, footer->trailer_block)) {
		find_at(ck, &at, "trailer", "the trailer is not whole");
		return;
	}
	/* Recovery believes no such trailer. */
	if (!format_entries_valid((const struct disk_entry *)(const void *)trailer,
				  footer->entry_count, ck->best->segment_bytes)) {
		find_at(ck, &at, "trailer", "the trailer has entries that cannot be");
		return;
	}
	segment->trailer = true;
	segment->trailer_end = footer->end_block;
	segment->tail = tarn_max_u64(segment->tail, footer->tail);
	segment->durable = tarn_max_u64(segment->durable, footer->durable);
	segment->latest_s = tarn_max_u64(segment->latest_s, footer->time_s);
	if (segment->header_end >= footer->end_block && !agrees(ck, segment, footer))
		find_at(ck, &at, "trailer", "the trailer says other than the batches");
	else if (segment->header_end < footer->end_block && !segment->claims_more) {
		struct ck_place place = { shard, segment->sequence, segment->header_end, false };

		ck_find_log(ck, &place, "batch",
			    "shard %u, segment %llu, block %u: there is no batch, and the footer "
			    "says that they go on to block %u",
			    shard, (unsigned long long)segment->sequence, segment->header_end,
			    footer->end_block);
	}
}
