/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writing a checkpoint:
 *
 *	shards, side by side:  note start --> chunk, chunk, ... --> fence: durable through end
 *	control reactor:       flush --> header --> flush --> published
 *
 * Until the header is there the area holds nothing that would verify; the other area stays as it
 * was. The index goes on changing meanwhile: see doc/cache-design.md, Checkpoints.
 */
#include "lib/cache/checkpoint.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A shard's part of it. */
struct part {
	struct checkpoint *checkpoint;
	struct fan_slot *slot;
	struct tarn_io io;
	struct disk_chunk *chunk; /* I/O memory: head and data */
	uint32_t kind, index;	  /* of the chunk that is written next */
	struct disk_checkpoint_shard disk;
};

struct checkpoint {
	struct fan fan;
	struct tarn_cache *cache;
	bool clean;
	uint32_t area;
	uint64_t sequence;
	struct disk_checkpoint *disk;
	struct tarn_io io;
	struct flush_request flush;
	tarn_io_cb done;
	void *arg;
	struct part part[TARN_CACHE_SHARD_MAX];
};

static void write_next(struct part *part);

static void
finish(struct checkpoint *checkpoint, int status)
{
	struct tarn_cache *cache = checkpoint->cache;
	tarn_io_cb done = checkpoint->done;
	void *arg = checkpoint->arg;

	if (status == 0)
		cache->checkpoint_sequence = checkpoint->sequence;
	for (uint32_t i = 0; i < TARN_CACHE_SHARD_MAX; i++)
		tarn_iobuf_put(checkpoint->part[i].chunk);
	tarn_iobuf_put(checkpoint->disk);
	free(checkpoint);
	cache->checkpoint = NULL;
	done(arg, status);
}

/* --- A shard's chunks --- */

static uint32_t
chunk_count(const struct part *part, uint32_t kind)
{
	const struct disk_super *super = part->checkpoint->cache->super;

	switch (kind) {
	case DISK_CHUNK_INDEX:
		return geometry_index_chunks(super->bucket_count);
	case DISK_CHUNK_SEGMENTS:
		return geometry_segment_chunks(super->segment_count);
	default:
		return 1;
	}
}

static uint32_t
fill_index(const struct shard *shard, uint32_t number, uint8_t *data)
{
	uint64_t bytes = (uint64_t)shard->index.bucket_count * sizeof(struct index_bucket);
	uint64_t from = (uint64_t)number * DISK_CHUNK_DATA;
	uint32_t length = (uint32_t)tarn_min_u64(DISK_CHUNK_DATA, bytes - from);

	memcpy(data, (const uint8_t *)shard->index.buckets + from, length);
	return length;
}

static uint32_t
fill_segments(const struct shard *shard, uint32_t number, uint8_t *data)
{
	struct disk_segment_state *states = (struct disk_segment_state *)(void *)data;
	uint32_t per_chunk = DISK_CHUNK_DATA / sizeof(*states);
	uint32_t from = number * per_chunk;
	uint32_t count = 0;

	for (; count < per_chunk && from + count < shard->segment_count; count++) {
		const struct segment *segment = &shard->segments[from + count];
		bool live = segment->sequence >= shard->freed && segment->sequence <= shard->head;

		states[count] = (struct disk_segment_state){ 0 };
		if (!live)
			continue;
		states[count].epoch = segment->epoch;
		states[count].sequence = segment->sequence;
		states[count].end_block = segment->end_block;
		states[count].flags = segment->trailer ? DISK_SEGMENT_TRAILER : 0;
	}
	return count * (uint32_t)sizeof(*states);
}

static uint32_t
fill_bans(const struct shard *shard, uint8_t *data)
{
	uint32_t length = 0;

	for (uint32_t i = 0; i < shard->bans.count; i++) {
		const struct ban *ban = &shard->bans.bans[i];

		memcpy(data + length, &ban->rule, sizeof(ban->rule));
		length += (uint32_t)sizeof(ban->rule);
		memcpy(data + length, ban->prefix, ban->rule.prefix_bytes);
		memset(data + length + ban->rule.prefix_bytes, 0, 16);
		length += (uint32_t)tarn_align_up(ban->rule.prefix_bytes, 8);
	}
	return length;
}

static void
fenced(struct log_waiter *waiter, int status)
{
	struct fan_slot *slot = tarn_container_of(waiter, struct fan_slot, waiter);
	struct checkpoint *checkpoint = tarn_container_of(slot->fan, struct checkpoint, fan);
	struct shard *shard = slot->shard;
	struct part *part = &checkpoint->part[shard->number];

	/* Everything that the chunks know of is before this. */
	part->disk.end = flush_sure(shard);
	if (checkpoint->clean) {
		part->disk.head = shard->head;
		part->disk.head_end = shard->durable % shard->segment_blocks;
		part->disk.floor = tarn_max_u64(shard->head, shard->next_floor);
	}
	fan_answer(slot, status);
}

static void
chunks_written(struct part *part)
{
	struct shard *shard = part->slot->shard;

	part->disk.tail = shard->durable_tail;
	part->disk.head = shard->head;
	part->disk.batch_number = shard->batch_number;
	part->disk.entry_count = shard->index.entry_count;
	log_fence(shard, &part->slot->waiter, true, fenced);
}

static void
chunk_written(void *arg, int status)
{
	struct part *part = arg;

	if (status != 0) {
		fan_answer(part->slot, status);
		return;
	}
	part->slot->shard->counters.checkpoint_bytes += DISK_CHUNK_BYTES;
	part->disk.chunk_count[part->kind]++;
	part->index++;
	write_next(part);
}

static void
write_next(struct part *part)
{
	struct shard *shard = part->slot->shard;
	struct tarn_cache *cache = shard->cache;
	struct disk_chunk *chunk = part->chunk;
	uint8_t *data = (uint8_t *)(chunk + 1);
	uint64_t offset;

	while (part->kind < DISK_CHUNK_KIND_COUNT && part->index == chunk_count(part, part->kind)) {
		part->kind++;
		part->index = 0;
	}
	if (part->kind == DISK_CHUNK_KIND_COUNT) {
		chunks_written(part);
		return;
	}
	memset(chunk, 0, DISK_BLOCK);
	chunk->sequence = part->checkpoint->sequence;
	chunk->shard = shard->number;
	chunk->kind = part->kind;
	chunk->index = part->index;
	chunk->head_sequence = shard->head;
	if (part->kind == DISK_CHUNK_INDEX)
		chunk->length_bytes = fill_index(shard, part->index, data);
	else if (part->kind == DISK_CHUNK_SEGMENTS)
		chunk->length_bytes = fill_segments(shard, part->index, data);
	else
		chunk->length_bytes = fill_bans(shard, data);
	offset = geometry_chunk_offset(cache->super, part->checkpoint->area, shard->number,
				       part->kind, part->index);
	format_chunk_seal(chunk, format_offset_seed(cache->seed, offset));
	tarn_bdev_write(shard->channel, &part->io, chunk, DISK_CHUNK_BYTES, offset,
			TARN_IO_BACKGROUND, chunk_written, part);
}

static void
shard_begin(struct fan_slot *slot)
{
	struct checkpoint *checkpoint = tarn_container_of(slot->fan, struct checkpoint, fan);
	struct shard *shard = slot->shard;
	struct part *part = &checkpoint->part[shard->number];

	part->checkpoint = checkpoint;
	part->slot = slot;
	if (shard->failed) {
		fan_answer(slot, -EIO);
		return;
	}
	part->chunk = tarn_iobuf_get(DISK_CHUNK_BYTES);
	if (part->chunk == NULL) {
		fan_answer(slot, -ENOMEM);
		return;
	}
	memset(part->chunk, 0, DISK_CHUNK_BYTES);
	part->disk.start = shard_position(
	    shard, shard->head,
	    shard->segment_is_open ? shard->cursor : segment_of(shard, shard->head)->end_block);
	write_next(part);
}

/* --- Publishing --- */

static void
published(void *arg, int status)
{
	finish(arg, status);
}

static void
header_written(void *arg, int status)
{
	struct checkpoint *checkpoint = arg;

	if (status != 0)
		finish(checkpoint, status);
	else
		flush_device(checkpoint->cache, &checkpoint->flush, published, checkpoint);
}

static void
chunks_durable(void *arg, int status)
{
	struct checkpoint *checkpoint = arg;
	struct tarn_cache *cache = checkpoint->cache;
	struct disk_checkpoint *disk = checkpoint->disk;
	uint64_t offset = cache->super->checkpoint_offset[checkpoint->area];

	if (status != 0) {
		finish(checkpoint, status);
		return;
	}
	memset(disk, 0, DISK_BLOCK);
	disk->flags = checkpoint->clean ? DISK_CHECKPOINT_CLEAN : 0;
	disk->shard_count = cache->shard_count;
	disk->sequence = checkpoint->sequence;
	memcpy(disk->uuid, cache->super->uuid, sizeof(disk->uuid));
	disk->time_s = cache_now_s(cache);
	disk->bucket_count = cache->super->bucket_count;
	for (uint32_t i = 0; i < cache->shard_count; i++)
		disk->shard[i] = checkpoint->part[i].disk;
	format_checkpoint_seal(disk, format_offset_seed(cache->seed, offset));
	tarn_bdev_write(cache->channel, &checkpoint->io, disk, DISK_BLOCK, offset, 0,
			header_written, checkpoint);
}

static void
shards_done(struct fan *fan, int status)
{
	struct checkpoint *checkpoint = tarn_container_of(fan, struct checkpoint, fan);

	if (status != 0)
		finish(checkpoint, status);
	else
		flush_device(checkpoint->cache, &checkpoint->flush, chunks_durable, checkpoint);
}

/*
 * One that came to nothing may have left its header: with a sequence of its own in the same area
 * the next one's chunks cannot be taken for that header's.
 */
static uint64_t
next_sequence(const struct tarn_cache *cache)
{
	uint64_t sequence = cache->checkpoint_sequence + 1;

	while (sequence <= cache->checkpoint_tried)
		sequence += 2;
	return sequence;
}

void
checkpoint_write(struct tarn_cache *cache, bool clean, tarn_io_cb done, void *arg)
{
	struct checkpoint *checkpoint;

	if (cache->checkpoint != NULL) {
		done(arg, -EBUSY);
		return;
	}
	checkpoint = calloc(1, sizeof(*checkpoint));
	if (checkpoint != NULL)
		checkpoint->disk = tarn_iobuf_get(DISK_BLOCK);
	if (checkpoint == NULL || checkpoint->disk == NULL) {
		free(checkpoint);
		done(arg, -ENOMEM);
		return;
	}
	cache->checkpoint = checkpoint;
	checkpoint->cache = cache;
	checkpoint->flush.mark = flush_mark(cache);
	checkpoint->clean = clean;
	checkpoint->sequence = cache->checkpoint_tried = next_sequence(cache);
	checkpoint->area = checkpoint_area(checkpoint->sequence);
	checkpoint->done = done;
	checkpoint->arg = arg;
	checkpoint->fan.cache = cache;
	checkpoint->fan.fn = shard_begin;
	checkpoint->fan.done = shards_done;
	fan_out(&checkpoint->fan);
}
