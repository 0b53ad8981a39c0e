/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Walks over the index: dirty blocks, for volumes after a start, and keys, for debugging. A walk
 * goes on slot by slot between other work; slots do not move, so that what stays is met once.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cache/internal.h"
#include "lib/cache/read.h"

#define STEP_SLOTS 4096
#define TOLD_BLOCKS 256

uint64_t
tarn_cache_dirty_count(const struct tarn_cache *cache)
{
	uint64_t count = 0;

	for (uint32_t i = 0; i < cache->shard_count; i++)
		count += __atomic_load_n(&cache->shards[i].gauge_dirty, __ATOMIC_RELAXED);
	return count;
}

uint64_t
tarn_cache_dirty_limit(const struct tarn_cache *cache)
{
	uint64_t limit = 0;

	for (uint32_t i = 0; i < cache->shard_count; i++)
		limit += cache->shards[i].dirty_limit;
	return limit;
}

/* --- Dirty blocks --- */

struct dirty_walk {
	struct tarn_msg msg;
	struct tarn_cache *cache;
	struct tarn_cache_dirty_walk what;
	uint32_t shard;
	uint64_t next;
	tarn_cache_cb cb;
	void *arg;
};

static void
dirty_walked(void *arg)
{
	struct dirty_walk *walk = arg;

	walk->cache->busy_count--;
	walk->cb(walk->arg, 0);
	free(walk);
}

static void
dirty_refused(void *arg)
{
	struct dirty_walk *walk = arg;

	walk->cb(walk->arg, -ESHUTDOWN);
	free(walk);
}

static void
dirty_step(void *arg)
{
	struct dirty_walk *walk = arg;
	struct shard *shard = &walk->cache->shards[walk->shard];
	struct tarn_cache_dirty_block blocks[TOLD_BLOCKS];
	uint64_t end = index_slot_count(&shard->index);
	uint32_t count = 0;

	for (uint32_t i = 0; i < STEP_SLOTS && walk->next < end && count < TOLD_BLOCKS; i++) {
		const struct index_slot *slot = index_at(&shard->index, walk->next++);

		if (index_kind(slot) != INDEX_KIND_BLOCK || (slot->id & INDEX_DIRTY) == 0 ||
		    (walk->what.volume_id != 0 && index_volume(slot) != walk->what.volume_id) ||
		    ban_hits_block(&shard->bans, index_volume(slot), index_block(slot),
				   shard_slot_position(shard, slot)))
			continue;
		blocks[count++] = (struct tarn_cache_dirty_block){ .volume_id = index_volume(slot),
								   .block = index_block(slot) };
	}
	if (count != 0)
		walk->what.fn(walk->what.fn_arg, blocks, count);
	if (walk->next == end) {
		walk->shard++;
		walk->next = 0;
	}
	if (walk->shard == walk->cache->shard_count)
		tarn_msg_send(tarn_reactor_get(0), &walk->msg, dirty_walked, walk);
	else
		tarn_msg_send(walk->cache->shards[walk->shard].reactor, &walk->msg, dirty_step,
			      walk);
}

void
tarn_cache_each_dirty(struct tarn_cache *cache, const struct tarn_cache_dirty_walk *what,
		      tarn_cache_cb cb, void *arg)
{
	struct dirty_walk *walk = calloc(1, sizeof(*walk));

	tarn_assert(tarn_on_control_reactor());
	if (walk == NULL) {
		cb(arg, -ENOMEM);
		return;
	}
	*walk = (struct dirty_walk){
		.cache = cache,
		.what = *what,
		.cb = cb,
		.arg = arg,
	};
	if (atomic_load(&cache->state) != CACHE_RUNNING) {
		tarn_msg_send(tarn_reactor_get(0), &walk->msg, dirty_refused, walk);
		return;
	}
	cache->busy_count++;
	tarn_msg_send(cache->shards[0].reactor, &walk->msg, dirty_step, walk);
}

/* --- Keys --- */

struct key_walk {
	struct tarn_msg msg;
	struct tarn_cache *cache; /* NULL: it is stopping, or gone */
	struct log_read read;
	uint32_t shard;
	uint64_t next; /* slot */
	uint32_t place, info;
	uint64_t position, there; /* there: bytes of the record that are read */
	uint8_t *buf;
	int status;
	uint32_t count, max_count;
	struct tarn_cache_key_info *infos;
	tarn_cache_list_cb cb;
	void *arg;
};

/* The cursor: shard and slot, from 1. */
#define CURSOR_SHARD_SHIFT 56

static void key_step(void *arg);

static void
keys_walked(void *arg)
{
	struct key_walk *walk = arg;
	uint64_t cursor = 0;

	if (walk->cache != NULL)
		walk->cache->busy_count--;
	if (walk->cache != NULL && walk->shard < walk->cache->shard_count)
		cursor = ((uint64_t)walk->shard << CURSOR_SHARD_SHIFT | walk->next) + 1;
	walk->cb(walk->arg, walk->status, walk->infos, walk->count, cursor);
	tarn_iobuf_put(walk->buf);
	free(walk->infos);
	free(walk);
}

static void
take_record(struct key_walk *walk, const struct disk_record *record, uint64_t there, uint32_t seed)
{
	struct shard *shard = &walk->cache->shards[walk->shard];
	struct tarn_cache_key_info *info = &walk->infos[walk->count];
	uint32_t unit =
	    walk->place % shard->segment_blocks * DISK_BLOCK_UNITS + (walk->info & 0xff);
	uint64_t bytes = (uint64_t)(walk->info >> 8) * DISK_UNIT;

	if (!format_record_verify(record, there, bytes, seed, unit) ||
	    (record->expiry_s != 0 && record->expiry_s <= cache_now_s(walk->cache)) ||
	    ban_hits_key(&shard->bans, record + 1, record->key_bytes, walk->position))
		return;
	info->key_bytes = record->key_bytes;
	info->value_bytes = record->value_bytes;
	info->expiry_s = record->expiry_s;
	memcpy(info->key, record + 1, record->key_bytes);
	walk->count++;
}

static void
key_read(struct log_read *read, int status)
{
	struct key_walk *walk = tarn_container_of(read, struct key_walk, read);
	uint32_t in_block = (walk->info & 0xff) * DISK_UNIT;

	if (status == 0)
		take_record(walk, (const struct disk_record *)(void *)(walk->buf + in_block),
			    walk->there, read->seed);
	tarn_iobuf_put(walk->buf);
	walk->buf = NULL;
	key_step(walk);
}

/* \return 0: the walk goes on at once, -EAGAIN: when it has been read, or -ENOMEM. */
static int
one_key(struct key_walk *walk, const struct index_slot *slot)
{
	struct shard *shard = &walk->cache->shards[walk->shard];
	uint64_t bytes = (uint64_t)(slot->info >> 8) * DISK_UNIT;
	uint32_t in_block = (slot->info & 0xff) * DISK_UNIT;
	const uint8_t *ram = log_ram(shard, slot->place);
	uint64_t blocks;

	walk->place = slot->place;
	walk->info = slot->info;
	walk->position = shard_slot_position(shard, slot);
	walk->there = tarn_min_u64(bytes, format_record_head_bytes(TARN_CACHE_KEY_MAX, bytes));
	if (ram != NULL) {
		take_record(walk, (const struct disk_record *)(const void *)(ram + in_block),
			    walk->there, shard_segment_at(shard, slot->place)->seed);
		return 0;
	}
	blocks = tarn_align_up(in_block + walk->there, DISK_BLOCK) / DISK_BLOCK;
	walk->buf = tarn_iobuf_get(blocks * DISK_BLOCK);
	if (walk->buf == NULL)
		return -ENOMEM;
	walk->read.done = key_read;
	log_read(shard, &walk->read, slot->place, walk->buf, (uint32_t)blocks);
	return -EAGAIN;
}

static void
key_step(void *arg)
{
	struct key_walk *walk = arg;
	struct shard *shard = &walk->cache->shards[walk->shard];
	uint64_t end = index_slot_count(&shard->index);
	int status = 0;

	for (uint32_t i = 0; i < STEP_SLOTS && walk->next < end && status == 0; i++) {
		const struct index_slot *slot;

		if (walk->count == walk->max_count)
			break;
		slot = index_at(&shard->index, walk->next++);
		if (index_kind(slot) == INDEX_KIND_OBJECT)
			status = one_key(walk, slot);
	}
	if (status == -EAGAIN)
		return;
	if (status != 0) {
		/* The cursor stays before the one that could not be read: it is not passed over. */
		walk->next--;
		walk->status = walk->count == 0 ? status : 0;
		tarn_msg_send(tarn_reactor_get(0), &walk->msg, keys_walked, walk);
		return;
	}
	if (walk->next == end) {
		walk->shard++;
		walk->next = 0;
	}
	if (walk->count == walk->max_count || walk->shard == walk->cache->shard_count)
		tarn_msg_send(tarn_reactor_get(0), &walk->msg, keys_walked, walk);
	else
		tarn_msg_send(walk->cache->shards[walk->shard].reactor, &walk->msg, key_step, walk);
}

void
tarn_cache_list_keys(struct tarn_cache *cache, uint64_t cursor, uint32_t max_count,
		     tarn_cache_list_cb cb, void *arg)
{
	struct key_walk *walk = calloc(1, sizeof(*walk));
	bool ended;

	tarn_assert(tarn_on_control_reactor() && max_count != 0);
	if (walk == NULL) {
		cb(arg, -ENOMEM, NULL, 0, 0);
		return;
	}
	walk->cb = cb;
	walk->arg = arg;
	if (atomic_load(&cache->state) != CACHE_RUNNING) {
		walk->status = -ESHUTDOWN;
		tarn_msg_send(tarn_reactor_get(0), &walk->msg, keys_walked, walk);
		return;
	}
	cache->busy_count++;
	walk->cache = cache;
	walk->max_count = max_count;
	walk->infos = calloc(max_count, sizeof(*walk->infos));
	if (cursor != 0) {
		walk->shard = (uint32_t)((cursor - 1) >> CURSOR_SHARD_SHIFT);
		walk->next = (cursor - 1) & ((UINT64_C(1) << CURSOR_SHARD_SHIFT) - 1);
	}
	walk->status = walk->infos == NULL ? -ENOMEM : 0;
	ended = walk->infos == NULL || walk->shard >= cache->shard_count ||
		walk->next > index_slot_count(&cache->shards[walk->shard].index);
	if (ended) {
		walk->shard = cache->shard_count;
		tarn_msg_send(tarn_reactor_get(0), &walk->msg, keys_walked, walk);
	} else {
		tarn_msg_send(cache->shards[walk->shard].reactor, &walk->msg, key_step, walk);
	}
}
