/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Segments: first all headers, which say what belongs to the log at all; then each segment that
 * may, whole. Where the log's own reader stops at the first hole, this one goes on: past a payload
 * that is not whole by its batch's header, past a header that is not whole to the next block that
 * verifies as one of this life and place.
 */
#include <errno.h>
#include <string.h>

#include "ck.h"

/* --- Headers --- */

static bool
is_blank(const void *block)
{
	const uint8_t *bytes = block;

	return bytes[0] == 0 && memcmp(bytes, bytes + 1, DISK_BLOCK - 1) == 0;
}

/* Whether it is a whole header of another cache, which had this device before. */
static bool
is_foreign(const struct disk_segment *header, uint64_t offset_bytes)
{
	uint32_t seed = format_offset_seed(format_cache_seed(header->uuid), offset_bytes);

	return format_segment_verify(header, seed) == 0;
}

static void
take_header(struct ck *ck, struct ck_segment *segment, const struct disk_segment *header)
{
	segment->header = CK_HEADER_GOOD;
	segment->epoch = header->epoch;
	segment->sequence = header->sequence;
	segment->previous = header->previous;
	segment->previous_end = header->previous_end;
	segment->tail = header->tail;
	segment->durable = header->durable;
	segment->time_s = segment->latest_s = header->time_s;
	segment->gap_start = header->gap_start;
	segment->gap_end = header->gap_end;
	segment->seed = format_segment_seed(ck->seed, header->epoch);
	segment->header_end = 1;
}

static void
read_header(struct ck *ck, uint32_t shard, uint32_t place)
{
	struct ck_segment *segment = &ck->shards[shard].segments[place];
	const struct disk_segment *header = (const struct disk_segment *)(const void *)ck->buf;
	uint64_t offset_bytes = ck_segment_offset(ck, shard, place);
	int rc = ck_read(ck, ck->buf, DISK_BLOCK, offset_bytes);

	if (rc == 0)
		rc = format_segment_verify(header, format_offset_seed(ck->seed, offset_bytes));
	if (rc == 0 &&
	    (header->shard != shard || header->sequence % ck->best->segment_count != place ||
	     memcmp(header->uuid, ck->best->uuid, sizeof(header->uuid)) != 0))
		rc = -EBADMSG;
	if (rc == 0) {
		take_header(ck, segment, header);
		return;
	}
	segment->header = CK_HEADER_BAD;
	if (rc != -EBADMSG)
		ck_find(ck, "segment header", offset_bytes,
			"shard %u, place %u: cannot be read: %s", shard, place, strerror(-rc));
	else if (is_blank(header))
		segment->header = CK_HEADER_BLANK;
	else if (is_foreign(header, offset_bytes))
		segment->header = CK_HEADER_FOREIGN;
	else if (header->head.magic == DISK_SEGMENT_MAGIC ||
		 memcmp(header->uuid, ck->best->uuid, sizeof(header->uuid)) == 0)
		ck_find_note(ck, "segment header", offset_bytes,
			     "shard %u, place %u: not whole, or of another place", shard, place);
	else
		segment->header = CK_HEADER_BLANK;
}

int
ck_read_headers(struct ck *ck)
{
	for (uint32_t place = 0; place < ck->best->segment_count; place++)
		for (uint32_t shard = 0; shard < ck->best->shard_count; shard++)
			read_header(ck, shard, place);
	return 0;
}

/* --- Batches --- */

/* What is known while a segment is walked. */
struct walk {
	struct ck *ck;
	uint32_t shard;
	struct ck_segment *segment;
	uint32_t limit; /* the last block: it ends with the footer, if anything */
	uint64_t number;
	bool broken; /* a header was not whole: what follows is for naming only */
};

static const struct disk_batch *
batch_at(const struct ck *ck, uint32_t block)
{
	return (const struct disk_batch *)(const void *)(ck->buf + (uint64_t)block * DISK_BLOCK);
}

/* Whether the block was meant to be a batch of this life of the segment. */
static bool
claims(const struct walk *walk, const struct disk_batch *batch)
{
	return batch->epoch == walk->segment->epoch || (batch->head.magic == DISK_BATCH_MAGIC &&
							batch->sequence == walk->segment->sequence);
}

static bool
header_whole(const struct walk *walk, uint32_t block)
{
	const struct disk_batch *batch = batch_at(walk->ck, block);

	return format_batch_verify(batch, walk->segment->seed, walk->segment->sequence, block) ==
		   0 &&
	       batch->epoch == walk->segment->epoch && batch->block_count <= walk->limit - block;
}

static void
find_at(const struct walk *walk, uint32_t block, const char *what, const char *text)
{
	struct ck_place place = { walk->shard, walk->segment->sequence, block, false };

	ck_find_log(walk->ck, &place, what, "shard %u, segment %llu, block %u: %s", walk->shard,
		    (unsigned long long)walk->segment->sequence, block, text);
}

static const char *
entry_what(const struct disk_entry *entry)
{
	switch (entry->kind) {
	case DISK_BLOCK_ENTRY:
		return "block";
	case DISK_OBJECT_ENTRY:
		return "record";
	case DISK_BAN:
		return "ban";
	default:
		return "entry";
	}
}

/* Whether an entry can be so, and its payload lies within its batch. */
static bool
entry_sound(const struct ck *ck, const struct disk_batch *batch, const struct disk_entry *entry)
{
	uint64_t from = (uint64_t)(batch->block + 1) * DISK_BLOCK;
	uint64_t to = (uint64_t)(batch->block + batch->block_count) * DISK_BLOCK;
	uint64_t at = (uint64_t)entry->place * DISK_UNIT;

	if (!format_entry_valid(entry, ck->best->segment_bytes))
		return false;
	return !format_entry_has_payload(entry) ||
	       (at >= from && tarn_range_within(at - from, entry->length, to - from));
}

static bool
entries_sound(const struct ck *ck, const struct disk_batch *batch)
{
	for (uint32_t i = 0; i < batch->entry_count; i++)
		if (!entry_sound(ck, batch, &batch->entry[i]))
			return false;
	return true;
}

static bool
entry_whole(const struct walk *walk, const struct disk_entry *entry)
{
	return !format_entry_has_payload(entry) ||
	       format_payload_verify(entry, walk->ck->buf + (uint64_t)entry->place * DISK_UNIT,
				     walk->segment->seed);
}

/* Entry i of the batch, or of the records without one, at a block. */
static void
find_entry(struct walk *walk, uint32_t block, uint32_t i, const struct disk_entry *entry)
{
	struct ck_segment *segment = walk->segment;
	struct ck_place place = { walk->shard, segment->sequence, block, false };

	ck_find_log(walk->ck, &place, entry_what(entry),
		    "shard %u, segment %llu, block %u, entry %u (%s %llx): %u bytes at byte %llu "
		    "of the segment are not whole",
		    walk->shard, (unsigned long long)segment->sequence, block, i, entry_what(entry),
		    (unsigned long long)entry->identity, entry->length,
		    (unsigned long long)entry->place * DISK_UNIT);
	if (!walk->broken && segment->bad_payload == 0)
		segment->bad_payload = block;
}

static void
check_entries(struct walk *walk, const struct disk_batch *batch)
{
	for (uint32_t i = 0; i < batch->entry_count; i++)
		if (!entry_whole(walk, &batch->entry[i]))
			find_entry(walk, batch->block, i, &batch->entry[i]);
}

static void
take_batch(struct walk *walk, const struct disk_batch *batch)
{
	struct ck_segment *segment = walk->segment;

	if (!walk->broken && ((segment->batch_count != 0 && batch->number != walk->number + 1) ||
			      batch->first_number != segment->entry_count)) {
		find_at(walk, batch->block, "batch", "its number does not follow");
		walk->broken = true;
	}
	walk->number = batch->number;
	if (entries_sound(walk->ck, batch)) {
		check_entries(walk, batch);
	} else if (!walk->broken) {
		find_at(walk, batch->block, "batch", "it has entries that cannot be");
		walk->broken = true;
	}
	walk->ck->batch_count++;
	walk->ck->entry_count += batch->entry_count;
	if (walk->ck->opts->dump >= CK_DUMP_BATCHES)
		ck_dump_batch(walk->ck, walk->shard, batch);
	if (walk->broken)
		return;
	segment->batch_count++;
	segment->entry_count += batch->entry_count;
	segment->header_end = batch->block + batch->block_count;
	segment->tail = tarn_max_u64(segment->tail, batch->tail);
	segment->durable = tarn_max_u64(segment->durable, batch->durable);
	segment->latest_s = tarn_max_u64(segment->latest_s, batch->time_s);
}

/* Records that need no batch. \return false: there are none in the block. */
static bool
take_packed(struct walk *walk, uint32_t block)
{
	struct ck *ck = walk->ck;
	struct ck_segment *segment = walk->segment;
	const uint8_t *data = ck->buf + (uint64_t)block * DISK_BLOCK;
	const struct disk_record *first = (const struct disk_record *)(const void *)data;
	struct disk_entry entries[FORMAT_PACKED_MAX];
	struct format_packed where = {
		.segment_seed = segment->seed,
		.block = block,
		.number = walk->broken ? first->number : segment->entry_count,
	};
	uint32_t count = format_packed_read(first, &where, entries);

	for (uint32_t i = 0; i < count; i++) {
		uint64_t at = (uint64_t)entries[i].place * DISK_UNIT;

		if (!format_payload_verify(&entries[i], ck->buf + at, segment->seed))
			find_entry(walk, block, i, &entries[i]);
	}
	ck->entry_count += count;
	if (count != 0 && ck->opts->dump >= CK_DUMP_BATCHES)
		ck_dump_packed(ck, walk->shard, segment->sequence, entries, count);
	if (count != 0 && !walk->broken) {
		segment->entry_count += count;
		segment->header_end = block + 1;
		segment->latest_s = tarn_max_u64(segment->latest_s, first->stored_s);
	}
	return count != 0;
}

static void
walk_batches(struct walk *walk)
{
	uint32_t block = 1;

	while (block < walk->limit) {
		const struct disk_batch *batch = batch_at(walk->ck, block);

		if (header_whole(walk, block)) {
			take_batch(walk, batch);
			block += batch->block_count;
			continue;
		}
		if (take_packed(walk, block)) {
			block++;
			continue;
		}
		if (!walk->broken && claims(walk, batch)) {
			walk->segment->claims_more = true;
			find_at(walk, block, "batch", "its header is not whole");
		}
		walk->broken = true;
		block++;
	}
}

/* Read a segment; what cannot be read counts as zero, so as not whole. */
static void
read_segment(struct ck *ck, uint32_t shard, const struct ck_segment *segment)
{
	uint64_t offset_bytes =
	    ck_segment_offset(ck, shard, segment->sequence % ck->best->segment_count);

	if (ck_read(ck, ck->buf, ck->best->segment_bytes, offset_bytes) == 0)
		return;
	for (uint32_t block = 0; block < ck->segment_blocks; block++) {
		uint64_t at = (uint64_t)block * DISK_BLOCK;
		int rc = ck_read(ck, ck->buf + at, DISK_BLOCK, offset_bytes + at);

		if (rc == 0)
			continue;
		memset(ck->buf + at, 0, DISK_BLOCK);
		ck_find(ck, "medium", offset_bytes + at,
			"shard %u, segment %llu, block %u: cannot be read: %s", shard,
			(unsigned long long)segment->sequence, block, strerror(-rc));
	}
}

static void
check_segment(struct ck *ck, uint32_t shard, struct ck_segment *segment)
{
	struct walk walk = {
		.ck = ck,
		.shard = shard,
		.segment = segment,
		.limit = ck->segment_blocks - 1,
	};

	read_segment(ck, shard, segment);
	if (ck->opts->dump != CK_DUMP_NONE)
		ck_dump_segment(ck, shard, segment);
	walk_batches(&walk);
	ck_check_trailer(ck, shard, segment);
	segment->checked = true;
	ck->checked_segment_count++;
	ck->shards[shard].latest_s = tarn_max_u64(ck->shards[shard].latest_s, segment->latest_s);
}

/* Segments older than the tail that some header knows have been given up. */
static uint64_t
known_tail(const struct ck *ck, uint32_t shard)
{
	uint64_t tail = 0;

	for (uint32_t place = 0; place < ck->best->segment_count; place++)
		tail = tarn_max_u64(tail, ck->shards[shard].segments[place].tail);
	return tail;
}

int
ck_check_segments(struct ck *ck)
{
	uint64_t tails[DISK_CHECKPOINT_SHARDS] = { 0 };

	for (uint32_t shard = 0; shard < ck->best->shard_count; shard++) {
		tails[shard] = known_tail(ck, shard);
		for (uint32_t place = 0; place < ck->best->segment_count; place++)
			if (ck->shards[shard].segments[place].sequence >= tails[shard])
				ck->total_bytes += ck->best->segment_bytes;
	}
	ck->total_bytes += ck->read_bytes;
	for (uint32_t place = 0; place < ck->best->segment_count; place++) {
		for (uint32_t shard = 0; shard < ck->best->shard_count; shard++) {
			struct ck_segment *segment = &ck->shards[shard].segments[place];

			if (segment->header == CK_HEADER_GOOD && segment->sequence >= tails[shard])
				check_segment(ck, shard, segment);
		}
	}
	return 0;
}
