/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The life of a segment, as drawn in doc/cache-design.md:
 *
 *	FREE --segment_open--> OPEN --segment_seal, repair--> SEALING --trailer--> SEALED
 *	SEALED --reclaim--> RECLAIMING --tail appended--> FREEING --durable, no reader--> FREE
 *
 * A segment that never got a header is SEALED with end_block 0: dead, and reclaimed as such.
 */
#include <errno.h>
#include <string.h>

#include "lib/cache/internal.h"

/* Opened until a flush begins: fewer where there are few, or where they are large. */
#define FLUSH_SEGMENTS_MAX 4
#define FLUSH_SEGMENTS_MIN 2
#define FLUSH_BLOCKS 1024

struct segment *
segment_of(struct shard *shard, uint64_t sequence)
{
	return &shard->segments[shard_segment_number(shard, sequence)];
}

void
segment_set_state(struct shard *shard, struct segment *segment, enum segment_state state)
{
	static const uint8_t legal[SEGMENT_STATE_COUNT] = {
		[SEGMENT_FREE] = 1 << SEGMENT_OPEN | 1 << SEGMENT_SEALED,
		[SEGMENT_OPEN] = 1 << SEGMENT_SEALING | 1 << SEGMENT_SEALED,
		[SEGMENT_SEALING] = 1 << SEGMENT_SEALED,
		[SEGMENT_SEALED] = 1 << SEGMENT_RECLAIMING,
		[SEGMENT_RECLAIMING] = 1 << SEGMENT_FREEING | 1 << SEGMENT_SEALED,
		[SEGMENT_FREEING] = 1 << SEGMENT_FREE,
	};

	(void)shard;
	tarn_assert((legal[segment->state] & (1u << state)) != 0);
	tarn_assert(state != SEGMENT_FREE || segment->reader_count == 0);
	segment->state = (uint8_t)state;
}

uint64_t
segment_free_count(const struct shard *shard)
{
	uint64_t next = tarn_max_u64(shard->head, shard->next_floor) + 1;

	return shard->freed + shard->segment_count - next;
}

/* --- Opening --- */

static struct log_header *
free_header(struct shard *shard)
{
	for (uint32_t i = 0; i < SHARD_HEADER_COUNT; i++)
		if (!shard->headers[i].used)
			return &shard->headers[i];
	return NULL;
}

static struct trailer *
free_trailer(struct shard *shard)
{
	for (uint32_t i = 0; i < TRAILER_COUNT; i++)
		if (!shard->trailers[i].busy)
			return &shard->trailers[i];
	return NULL;
}

static void
header_fill(struct shard *shard, struct log_header *header, const struct segment *segment)
{
	struct disk_segment *disk = header->disk;
	uint64_t offset = shard_offset(shard, shard_place(shard, segment->sequence, 0));

	memset(disk, 0, DISK_BLOCK);
	disk->epoch = segment->epoch;
	disk->sequence = segment->sequence;
	disk->previous = shard->head;
	if (shard->head != 0)
		disk->previous_end = segment_of(shard, shard->head)->end_block;
	/* Dead segments are passed over: what the log goes on from is the last with anything. */
	while (disk->previous != 0 && disk->previous_end == 0) {
		disk->previous--;
		if (disk->previous < shard->freed || disk->previous == 0)
			disk->previous = 0;
		else
			disk->previous_end = segment_of(shard, disk->previous)->end_block;
	}
	disk->shard = shard->number;
	/* In a repair, what moved and has yet to be laid out again does not count. */
	if (!shard->repairing)
		shard->told_tail = shard->tail;
	disk->tail = shard->told_tail;
	disk->durable = shard->durable;
	disk->time_s = cache_now_s(shard->cache);
	disk->gap_start = shard->gap_start;
	disk->gap_end = shard->head_gap_end = shard->gap_end;
	memcpy(disk->uuid, shard->cache->super->uuid, sizeof(disk->uuid));
	format_segment_seal(disk, format_offset_seed(shard->cache->seed, offset));
}

/* Segments that are passed over, because recovery saw their sequences, are dead. */
static void
pass_over(struct shard *shard, uint64_t from, uint64_t to)
{
	for (uint64_t sequence = from; sequence < to; sequence++) {
		struct segment *segment = segment_of(shard, sequence);

		segment_set_state(shard, segment, SEGMENT_SEALED);
		segment->sequence = sequence;
		segment->epoch = 0;
		segment->seed = 0;
		segment->end_block = 0;
		segment->trailer = false;
	}
}

/*
 * What no flush has made durable is bounded by what is free (has_room()): have one begin
 * while there is half of that left. And recovery takes a hole above the durable position that it
 * knows of, from headers, for the end of the log: so that is not to be far behind.
 */
static void
flush_ahead(struct shard *shard)
{
	uint64_t durable = shard->durable / shard->segment_blocks;
	uint64_t few = FLUSH_SEGMENTS_MIN + shard->segment_count / 256;
	uint64_t large = tarn_max_u64(FLUSH_SEGMENTS_MIN, FLUSH_BLOCKS / shard->segment_blocks);
	uint64_t limit = tarn_min_u64(FLUSH_SEGMENTS_MAX, tarn_min_u64(few, large));

	limit = tarn_min_u64(limit, segment_free_count(shard) / 2);
	if (shard->head - tarn_min_u64(durable, shard->head) >= limit)
		flush_want_position(shard, shard_position(shard, shard->head - 1, 0));
}

int
segment_open(struct shard *shard, enum log_class class)
{
	uint64_t sequence = tarn_max_u64(shard->head, shard->next_floor) + 1;
	static const uint64_t keep[] = {
		[LOG_FOREGROUND] = SHARD_RESERVE,
		[LOG_TOMBSTONE] = SHARD_RESERVE - 1,
		[LOG_RESERVE] = 0,
	};
	struct log_header *header = free_header(shard);
	struct trailer *trailer = free_trailer(shard);
	struct segment *segment;

	if (header == NULL || trailer == NULL || segment_free_count(shard) <= keep[class])
		return -EAGAIN;
	tarn_assert(!shard->segment_is_open);
	pass_over(shard, shard->head + 1, sequence);
	segment = segment_of(shard, sequence);
	segment_set_state(shard, segment, SEGMENT_OPEN);
	segment->sequence = sequence;
	do
		segment->epoch = cache_random(&shard->rng);
	while (segment->epoch == 0);
	segment->seed = format_segment_seed(shard->cache->seed, segment->epoch);
	segment->end_block = 0;
	segment->trailer = false;
	header_fill(shard, header, segment);
	header->used = true;
	header->item.type = LOG_HEADER;
	header->item.sequence = sequence;
	shard->head = sequence;
	shard->cursor = 1;
	shard->segment_is_open = true;
	trailer->busy = true;
	trailer->sequence = sequence;
	trailer->entry_count = trailer->batch_count = 0;
	trailer->tail = trailer->durable = trailer->time_s = trailer->number = 0;
	trailer->previous = header->disk->previous;
	trailer->previous_end = header->disk->previous_end;
	shard->trailer = trailer;
	shard->counters.log_bytes += DISK_BLOCK;
	log_item_submit(shard, &header->item, header->disk, shard_place(shard, sequence, 0), 1);
	flush_ahead(shard);
	return 0;
}

/* --- Sealing --- */

bool
segment_fits(const struct shard *shard, uint32_t block_count, uint32_t entry_count)
{
	uint32_t entries = shard->trailer->entry_count + entry_count;

	return entries <= shard->segment_blocks * TRAILER_ENTRIES_PER_BLOCK &&
	       shard->cursor + block_count + format_trailer_blocks(entries) <=
		   shard->segment_blocks;
}

void
segment_seal(struct shard *shard)
{
	struct segment *segment = segment_of(shard, shard->head);

	tarn_assert(shard->segment_is_open && shard->open_batch == NULL);
	segment_set_state(shard, segment, SEGMENT_SEALING);
	segment->end_block = shard->cursor;
	shard->segment_is_open = false;
	shard->trailer = NULL;
	shard->counters.segment_sealed_count++;
	segment_trailers(shard);
}

static void
trailer_done(void *arg, int status)
{
	struct trailer *trailer = arg;
	struct shard *shard = trailer->shard;
	struct segment *segment = segment_of(shard, trailer->sequence);

	trailer->busy = trailer->writing = false;
	segment->trailer = status == 0;
	shard->counters.write_error_count += status != 0;
	segment_set_state(shard, segment, SEGMENT_SEALED);
	if (shard->repairing)
		log_repair_go_on(shard);
	shard_unblock(shard);
}

static void
trailer_write(struct shard *shard, struct trailer *trailer)
{
	struct segment *segment = segment_of(shard, trailer->sequence);
	uint32_t blocks = format_trailer_blocks(trailer->entry_count);
	uint32_t first = shard->segment_blocks - blocks;
	size_t used = (size_t)trailer->entry_count * sizeof(struct disk_entry);
	struct disk_footer *footer = format_trailer_footer(trailer->buf, blocks);

	memset(trailer->buf + used, 0, (size_t)blocks * DISK_BLOCK - used);
	footer->epoch = segment->epoch;
	footer->sequence = segment->sequence;
	footer->end_block = segment->end_block;
	footer->trailer_block = first;
	footer->entry_count = trailer->entry_count;
	footer->trailer_crc32c = format_trailer_crc(trailer->buf, blocks, segment->seed, first);
	footer->shard = shard->number;
	footer->batch_count = trailer->batch_count;
	footer->tail = trailer->tail;
	footer->durable = trailer->durable;
	footer->time_s = trailer->time_s;
	footer->number = trailer->number;
	footer->previous = trailer->previous;
	footer->previous_end = trailer->previous_end;
	footer->gap_start = shard->gap_start;
	footer->gap_end = shard->gap_end;
	format_footer_seal(footer, segment->seed, shard->segment_blocks);
	trailer->writing = true;
	shard->counters.log_bytes += (uint64_t)blocks * DISK_BLOCK;
	tarn_bdev_write(shard->channel, &trailer->io, trailer->buf, (uint64_t)blocks * DISK_BLOCK,
			shard_offset(shard, shard_place(shard, segment->sequence, first)), 0,
			trailer_done, trailer);
}

void
segment_trailers(struct shard *shard)
{
	for (uint32_t i = 0; i < TRAILER_COUNT; i++) {
		struct trailer *trailer = &shard->trailers[i];
		struct segment *segment = segment_of(shard, trailer->sequence);

		if (!trailer->busy || trailer->writing || segment->state != SEGMENT_SEALING)
			continue;
		if (shard->committed >=
		    shard_position(shard, segment->sequence, segment->end_block))
			trailer_write(shard, trailer);
	}
}
