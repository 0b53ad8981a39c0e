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
#include "lib/cache/recover.h"

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

void
ck_segment_take(const struct ck *ck, struct ck_segment *segment, const struct found_segment *found)
{
	if (found->sequence <= segment->sequence)
		return;
	segment->epoch = found->epoch;
	segment->sequence = found->sequence;
	segment->previous = found->previous;
	segment->previous_end = found->previous_end;
	segment->header_tail = segment->tail = found->tail;
	segment->header_durable = segment->durable = found->durable;
	segment->time_s = segment->latest_s = found->time_s;
	segment->gap_start = found->gap_start;
	segment->gap_end = found->gap_end;
	segment->seed = format_segment_seed(ck->seed, found->epoch);
	segment->header = CK_HEADER_GOOD;
	segment->header_end = 1;
}

/* Whether a segment of that sequence may lie there. */
static bool
belongs(const struct ck *ck, const struct ck_place *place, uint64_t sequence, uint32_t shard)
{
	return sequence != 0 && shard == place->shard &&
	       sequence % ck->best->segment_count == place->sequence;
}

/* What stands in for a header that is not whole; see headers.c. place->sequence: its place. */
static void
find_stand_in(struct ck *ck, struct ck_segment *segment, const struct ck_place *place)
{
	uint64_t offset_bytes = ck_segment_offset(ck, place->shard, place->sequence);
	uint64_t last = (uint64_t)(ck->segment_blocks - 1) * DISK_BLOCK;
	const struct disk_footer *footer = format_trailer_footer(ck->buf, 1);
	const struct disk_batch *batch = (const struct disk_batch *)(const void *)ck->buf;
	struct found_segment found;

	if (ck_read(ck, ck->buf, DISK_BLOCK, offset_bytes + last) == 0 &&
	    format_footer_verify(footer, format_segment_seed(ck->seed, footer->epoch),
				 footer->sequence, ck->segment_blocks) == 0 &&
	    belongs(ck, place, footer->sequence, footer->shard)) {
		found = judge_of_footer(footer);
		ck_segment_take(ck, segment, &found);
	}
	if (ck_read(ck, ck->buf, DISK_BLOCK, offset_bytes + DISK_BLOCK) != 0)
		return;
	segment->unreadable = false;
	if (format_batch_verify(batch, format_segment_seed(ck->seed, batch->epoch), batch->sequence,
				1) == 0 &&
	    belongs(ck, place, batch->sequence, batch->shard)) {
		found = judge_of_batch(batch);
		ck_segment_take(ck, segment, &found);
	}
}

static void
tell_of_bad_header(struct ck *ck, const struct ck_segment *segment, const struct ck_place *at,
		   int rc)
{
	struct ck_place place = { at->shard, segment->sequence, 0, false };

	if (segment->sequence != 0)
		ck_find_log(ck, &place, "segment header",
			    "shard %u, segment %llu: its header is %s; its footer or first batch "
			    "stands in for it",
			    at->shard, (unsigned long long)segment->sequence,
			    rc == -EBADMSG ? "not whole" : "not readable");
	else if (rc != -EBADMSG)
		ck_find(ck, "segment header", ck_segment_offset(ck, at->shard, at->sequence),
			"shard %u, place %llu: cannot be read: %s", at->shard,
			(unsigned long long)at->sequence, strerror(-rc));
	else
		ck_find_note(ck, "segment header", ck_segment_offset(ck, at->shard, at->sequence),
			     "shard %u, place %llu: not whole, or of another place", at->shard,
			     (unsigned long long)at->sequence);
}

static void
read_header(struct ck *ck, const struct ck_place *place)
{
	struct ck_segment *segment = &ck->shards[place->shard].segments[place->sequence];
	const struct disk_segment *header = (const struct disk_segment *)(const void *)ck->buf;
	uint64_t offset_bytes = ck_segment_offset(ck, place->shard, place->sequence);
	int rc = ck_read(ck, ck->buf, DISK_BLOCK, offset_bytes);
	bool claims;

	if (rc == 0)
		rc = format_segment_verify(header, format_offset_seed(ck->seed, offset_bytes));
	if (rc == 0 && (!belongs(ck, place, header->sequence, header->shard) ||
			memcmp(header->uuid, ck->best->uuid, sizeof(header->uuid)) != 0))
		rc = -EBADMSG;
	if (rc == 0) {
		struct found_segment found = judge_of_header(header);

		ck_segment_take(ck, segment, &found);
		return;
	}
	segment->header = CK_HEADER_BLANK;
	if (rc == -EBADMSG && is_blank(header))
		return;
	segment->header = CK_HEADER_FOREIGN;
	if (rc == -EBADMSG && is_foreign(header, offset_bytes))
		return;
	claims = rc != -EBADMSG || header->head.magic == DISK_SEGMENT_MAGIC ||
		 memcmp(header->uuid, ck->best->uuid, sizeof(header->uuid)) == 0;
	segment->header = claims ? CK_HEADER_BAD : CK_HEADER_BLANK;
	segment->unreadable = rc != -EBADMSG;
	find_stand_in(ck, segment, place);
	if (claims || segment->sequence != 0)
		tell_of_bad_header(ck, segment, place, rc);
}

int
ck_read_headers(struct ck *ck)
{
	for (uint32_t place = 0; place < ck->best->segment_count; place++)
		for (uint32_t shard = 0; shard < ck->best->shard_count; shard++)
			read_header(ck, &(struct ck_place){ shard, place, 0, false });
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
	if (format_batch_sound(batch, walk->ck->best->segment_bytes)) {
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

/* Segments older than a tail that is durable have been given up; see chain.c, learn_tail(). */
static uint64_t
known_tail(const struct ck *ck, uint32_t shard)
{
	uint64_t tail = 0, durable = 0;

	for (uint32_t place = 0; place < ck->best->segment_count; place++)
		durable = tarn_max_u64(durable, ck->shards[shard].segments[place].header_durable);
	for (uint32_t place = 0; place < ck->best->segment_count; place++) {
		const struct ck_segment *segment = &ck->shards[shard].segments[place];

		if (ck_position(ck, segment->sequence, 1) <= durable)
			tail = tarn_max_u64(tail, segment->header_tail);
	}
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
