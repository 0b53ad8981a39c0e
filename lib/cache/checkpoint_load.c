/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading a checkpoint back, and finding the newest. A window of chunks is read side by side, the
 * table of segments first: it tells which lives of segments the index means where headers are lost.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cache/checkpoint.h"
#include "lib/cache/recover.h"

#define LOAD_WINDOW 8
#define PREFETCH 16 /* slots ahead: their memory is on its way */

static const uint32_t load_order[DISK_CHUNK_KIND_COUNT] = {
	DISK_CHUNK_SEGMENTS,
	DISK_CHUNK_INDEX,
	DISK_CHUNK_BANS,
};

struct load;

struct chunk_read {
	struct sure_read read;
	struct load *load;
	struct disk_chunk *chunk;
	uint64_t offset;
	uint32_t kind, index;
	bool busy;
};

struct load {
	struct shard *shard;
	const struct disk_checkpoint *checkpoint;
	uint32_t area;
	bool clean;
	int status;
	uint32_t next_kind;	 /* in load_order */
	uint32_t next_index;	 /* of the chunk to be read next */
	uint32_t tables_pending; /* chunks of the table of segments */
	uint32_t pending;
	struct chunk_read reads[LOAD_WINDOW];
	tarn_io_cb done;
	void *arg;
};

static void feed(struct load *load);

static void
finish(struct load *load)
{
	tarn_io_cb done = load->done;
	void *arg = load->arg;
	int status = load->status;
	struct shard *shard = load->shard;

	for (uint32_t i = 0; i < LOAD_WINDOW; i++)
		tarn_iobuf_put(load->reads[i].chunk);
	free(load);
	if (status != 0) {
		index_clear(&shard->index);
		ban_retire(&shard->bans, UINT64_MAX);
	} else {
		index_recount(&shard->index);
	}
	done(arg, status);
}

/* --- What is in the chunks --- */

/* The head of the log when a chunk was copied: a sequence, and its place. */
struct head {
	uint64_t sequence, number;
};

/* The life of a segment that was meant then. */
static uint64_t
sequence_then(const struct shard *shard, uint64_t number, const struct head *head)
{
	uint64_t back = head->number - number;

	return head->sequence - (number <= head->number ? back : back + shard->segment_count);
}

static void
take_slot(struct load *load, const struct index_slot *from, const struct head *head)
{
	struct shard *shard = load->shard;
	struct index *index = &shard->index;
	uint64_t id = from->id & ~INDEX_MARKS;
	bool dirty = (from->id & INDEX_DIRTY) != 0;
	uint32_t number = from->place >> shard->segment_shift;
	struct index_slot *slot;

	if (index_kind(from) == 0 || number >= shard->segment_count ||
	    shard->segments[number].sequence != sequence_then(shard, number, head))
		return;
	slot = index_find(index, id);
	if (slot != NULL && shard_slot_position(shard, slot) >= shard_slot_position(shard, from))
		return;
	if (slot == NULL)
		slot = index_insert(index, id);
	if (slot == NULL && dirty)
		slot = index_insert_over_clean(index, id);
	if (slot == NULL)
		return;
	slot->place = from->place;
	slot->info = from->info;
	slot->id = (slot->id & ~(uint64_t)INDEX_HITS) | (from->id & INDEX_HITS);
	index_set_dirty(index, slot, dirty);
	index_clear_suspect(index, slot);
	if ((from->id & INDEX_SUSPECT) != 0)
		index_set_suspect(index, slot);
}

static void
take_index(struct load *load, const struct disk_chunk *chunk)
{
	struct index *index = &load->shard->index;
	uint64_t from = (uint64_t)chunk->index * DISK_CHUNK_DATA;
	const struct index_slot *slots = (const struct index_slot *)(const void *)(chunk + 1);
	uint32_t count = chunk->length_bytes / sizeof(*slots);
	struct head head = {
		.sequence = chunk->head_sequence,
		.number = chunk->head_sequence % load->shard->segment_count,
	};

	if (load->clean) {
		memcpy((uint8_t *)index->buckets + from, slots, chunk->length_bytes);
		return;
	}
	for (uint32_t i = 0; i < count; i++) {
		if (i + PREFETCH < count)
			index_prefetch(index, slots[i + PREFETCH].id);
		take_slot(load, &slots[i], &head);
	}
}

/* The states in a chunk of the table, and the place of the first. */
struct table {
	const struct disk_segment_state *states;
	uint64_t first;
	uint32_t count;
};

static struct table
table_of(const struct disk_chunk *chunk)
{
	return (struct table){
		.states = (const struct disk_segment_state *)(const void *)(chunk + 1),
		.first =
		    (uint64_t)chunk->index * (DISK_CHUNK_DATA / sizeof(struct disk_segment_state)),
		.count = chunk->length_bytes / sizeof(struct disk_segment_state),
	};
}

void
checkpoint_take_table(struct shard *shard, const struct disk_chunk *chunk, uint32_t cache_seed,
		      bool clean)
{
	struct table table = table_of(chunk);

	for (uint32_t i = 0; i < table.count; i++) {
		const struct disk_segment_state *state = &table.states[i];
		struct segment *segment = &shard->segments[table.first + i];

		/* What headers have told is as new, or newer. */
		if (!clean && state->sequence < segment->sequence)
			continue;
		segment->sequence = state->sequence;
		segment->epoch = state->epoch;
		segment->seed = format_segment_seed(cache_seed, segment->epoch);
		segment->end_block = state->end_block;
		segment->trailer = (state->flags & DISK_SEGMENT_TRAILER) != 0;
	}
}

/* The rule that begins at a byte of a chunk. \return its bytes; 0: that cannot be one. */
static uint64_t
ban_at(const struct disk_chunk *chunk, uint64_t at, struct disk_ban *ret)
{
	uint64_t left = chunk->length_bytes - at;

	if (left < sizeof(*ret))
		return 0;
	memcpy(ret, (const uint8_t *)(chunk + 1) + at, sizeof(*ret));
	if (ret->prefix_bytes > BAN_PREFIX_MAX || ret->prefix_bytes > left - sizeof(*ret))
		return 0;
	return sizeof(*ret) + tarn_align_up(ret->prefix_bytes, 8);
}

static int
take_bans(struct load *load, const struct disk_chunk *chunk)
{
	struct disk_ban rule;
	uint64_t bytes;

	for (uint64_t at = 0; at < chunk->length_bytes; at += bytes) {
		const uint8_t *prefix = (const uint8_t *)(chunk + 1) + at + sizeof(rule);

		bytes = ban_at(chunk, at, &rule);
		if (ban_add(&load->shard->bans, &rule, prefix) != 0)
			return -EBADMSG;
	}
	return 0;
}

/* --- Whether they can be so --- */

static bool
table_sound(const struct disk_chunk *chunk, const struct disk_super *super)
{
	struct table table = table_of(chunk);

	if (table.first + table.count > super->segment_count)
		return false;
	for (uint32_t i = 0; i < table.count; i++) {
		const struct disk_segment_state *state = &table.states[i];

		if (state->end_block > super->segment_bytes / DISK_BLOCK ||
		    (state->sequence != 0 &&
		     state->sequence % super->segment_count != table.first + i))
			return false;
	}
	return true;
}

static bool
bans_sound(const struct disk_chunk *chunk)
{
	struct disk_ban rule;
	uint64_t bytes;

	for (uint64_t at = 0; at < chunk->length_bytes; at += bytes) {
		bytes = ban_at(chunk, at, &rule);
		if (bytes == 0)
			return false;
	}
	return true;
}

bool
checkpoint_chunk_sound(const struct disk_chunk *chunk, const struct disk_super *super)
{
	uint64_t bytes = (uint64_t)super->bucket_count * sizeof(struct index_bucket);
	uint64_t from = (uint64_t)chunk->index * DISK_CHUNK_DATA;

	if (chunk->kind == DISK_CHUNK_SEGMENTS)
		return table_sound(chunk, super);
	if (chunk->kind == DISK_CHUNK_BANS)
		return bans_sound(chunk);
	return from < bytes && chunk->length_bytes == tarn_min_u64(DISK_CHUNK_DATA, bytes - from);
}

static int
take(struct load *load, const struct chunk_read *read)
{
	const struct tarn_cache *cache = load->shard->cache;
	const struct disk_chunk *chunk = read->chunk;
	uint32_t seed = format_offset_seed(cache->seed, read->offset);

	if (format_chunk_verify(chunk, seed) != 0 ||
	    chunk->sequence != load->checkpoint->sequence || chunk->shard != load->shard->number ||
	    chunk->kind != read->kind || chunk->index != read->index ||
	    !checkpoint_chunk_sound(chunk, cache->super))
		return -EBADMSG;
	if (chunk->kind == DISK_CHUNK_BANS)
		return take_bans(load, chunk);
	if (chunk->kind == DISK_CHUNK_INDEX)
		take_index(load, chunk);
	else
		checkpoint_take_table(load->shard, chunk, cache->seed, load->clean);
	return 0;
}

static void
chunk_read(void *arg, int status)
{
	struct chunk_read *read = arg;
	struct load *load = read->load;

	read->busy = false;
	load->pending--;
	load->tables_pending -= read->kind == DISK_CHUNK_SEGMENTS;
	if (status == 0)
		status = take(load, read);
	if (load->status == 0)
		load->status = status;
	feed(load);
}

/* --- Reading them --- */

static uint32_t
chunk_count(const struct load *load, uint32_t kind)
{
	return load->checkpoint->shard[load->shard->number].chunk_count[kind];
}

static void
feed(struct load *load)
{
	const struct disk_super *super = load->shard->cache->super;

	for (uint32_t i = 0; i < LOAD_WINDOW && load->status == 0; i++) {
		struct chunk_read *read = &load->reads[i];

		while (load->next_kind < DISK_CHUNK_KIND_COUNT &&
		       load->next_index == chunk_count(load, load_order[load->next_kind])) {
			load->next_kind++;
			load->next_index = 0;
		}
		if (read->busy || load->next_kind == DISK_CHUNK_KIND_COUNT)
			continue;
		if (load->next_kind != 0 && load->tables_pending != 0)
			break;
		read->busy = true;
		read->kind = load_order[load->next_kind];
		read->index = load->next_index++;
		load->tables_pending += read->kind == DISK_CHUNK_SEGMENTS;
		read->offset = geometry_chunk_offset(super, load->area, load->shard->number,
						     read->kind, read->index);
		load->pending++;
		read->read.channel = load->shard->channel;
		read->read.buf = read->chunk;
		read->read.length_bytes = DISK_CHUNK_BYTES;
		read->read.offset_bytes = read->offset;
		sure_read(&read->read, chunk_read, read);
	}
	if (load->pending == 0)
		finish(load);
}

bool
checkpoint_counts_agree(const struct disk_checkpoint_shard *part, const struct disk_super *super)
{
	const uint32_t *count = part->chunk_count;

	return count[DISK_CHUNK_INDEX] == geometry_index_chunks(super->bucket_count) &&
	       count[DISK_CHUNK_SEGMENTS] == geometry_segment_chunks(super->segment_count) &&
	       count[DISK_CHUNK_BANS] == 1;
}

void
checkpoint_load(struct shard *shard, const struct disk_checkpoint *checkpoint, bool clean,
		tarn_io_cb done, void *arg)
{
	struct load *load = calloc(1, sizeof(*load));

	if (load == NULL) {
		done(arg, -ENOMEM);
		return;
	}
	load->shard = shard;
	load->checkpoint = checkpoint;
	load->area = checkpoint_area(checkpoint->sequence);
	load->clean = clean;
	load->done = done;
	load->arg = arg;
	if (!checkpoint_counts_agree(&checkpoint->shard[shard->number], shard->cache->super))
		load->status = -EBADMSG;
	for (uint32_t i = 0; i < LOAD_WINDOW; i++) {
		load->reads[i].load = load;
		load->reads[i].chunk = tarn_iobuf_get(DISK_CHUNK_BYTES);
		if (load->reads[i].chunk == NULL)
			load->status = -ENOMEM;
	}
	feed(load);
}

/* --- Finding the newest --- */

static void read_header(struct checkpoint_found *found);

static bool
usable(const struct checkpoint_found *found, uint32_t area)
{
	const struct tarn_cache *cache = found->cache;
	const struct disk_checkpoint *disk = found->disk[area];
	uint64_t offset = cache->super->checkpoint_offset[area];

	return format_checkpoint_verify(disk, format_offset_seed(cache->seed, offset)) == 0 &&
	       memcmp(disk->uuid, cache->super->uuid, sizeof(disk->uuid)) == 0 &&
	       checkpoint_area(disk->sequence) == area && disk->shard_count == cache->shard_count &&
	       disk->bucket_count == cache->super->bucket_count;
}

static void
header_read(void *arg, int status)
{
	struct checkpoint_found *found = arg;
	uint32_t area = found->next++;

	if (status != 0 || !usable(found, area)) {
		/* Not to be had. */
	} else if (found->best < 0 ||
		   found->disk[area]->sequence > found->disk[found->best]->sequence) {
		found->older = found->best;
		found->best = (int)area;
	} else {
		found->older = (int)area;
	}
	if (found->next < 2)
		read_header(found);
	else
		found->done(found->arg, 0);
}

static void
read_header(struct checkpoint_found *found)
{
	found->read.channel = found->cache->channel;
	found->read.buf = found->disk[found->next];
	found->read.length_bytes = DISK_BLOCK;
	found->read.offset_bytes = found->cache->super->checkpoint_offset[found->next];
	sure_read(&found->read, header_read, found);
}

void
checkpoint_find(struct tarn_cache *cache, struct checkpoint_found *found, tarn_io_cb done,
		void *arg)
{
	found->cache = cache;
	found->best = found->older = -1;
	found->next = 0;
	found->done = done;
	found->arg = arg;
	for (int i = 0; i < 2; i++)
		found->disk[i] = tarn_iobuf_get(DISK_BLOCK);
	if (found->disk[0] == NULL || found->disk[1] == NULL)
		done(arg, -ENOMEM);
	else
		read_header(found);
}

void
checkpoint_keep_older(struct tarn_cache *cache, const struct checkpoint_found *found)
{
	if (!cache->info.checkpoint_damaged || found->older < 0)
		return;
	cache->checkpoint_tried = cache->checkpoint_sequence;
	cache->checkpoint_sequence = found->disk[found->older]->sequence;
}

void
checkpoint_found_fini(struct checkpoint_found *found)
{
	for (int i = 0; i < 2; i++) {
		tarn_iobuf_put(found->disk[i]);
		found->disk[i] = NULL;
	}
}
