/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One request to a cache: see cache_slot.h. Blocks of the record lie 64 to an extent, so that there
 * are some on every shard.
 */
#include "test/lab/daemon/cache_slot.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tarn/util.h"

#define BLOCKS_PER_EXTENT 64u

static uint32_t
block_of(const struct record *record, uint32_t item)
{
	return item - record->head->object_count;
}

uint32_t
slot_reach(const struct record *record, uint32_t item)
{
	if (!record_is_block(record, item))
		return 1;
	return (uint32_t)tarn_min_u64(tarn_min_u64(SLOT_ITEMS_MAX, record_count(record) - item),
				      BLOCKS_PER_EXTENT -
					  block_of(record, item) % BLOCKS_PER_EXTENT);
}

static bool
map_has(const uint64_t *map, uint32_t bit)
{
	return (map[bit / 64] >> bit % 64 & 1) != 0;
}

static void
found_value(struct slot *slot, uint32_t index, const uint8_t *value, uint64_t value_bytes)
{
	uint32_t version = record_version(slot->record, slot->item + index, value, value_bytes);

	slot->found[index] = version != 0 ? version : SLOT_FOUND_WRONG;
}

/* --- Objects --- */

static void
object_done(struct tarn_cache_op *op)
{
	struct slot *slot = op->arg;

	slot->status = op->status;
	if (op->status == -ENOENT && slot->kind != SLOT_STORE)
		slot->status = 0;
	if (slot->kind == SLOT_LOOKUP && op->status == 0)
		found_value(slot, 0, slot->data, op->value_bytes);
	slot->done(slot);
}

static void
object_submit(struct slot *slot)
{
	struct tarn_cache_op *op = &slot->op;

	op->cache = slot->cache;
	op->key_bytes = (uint32_t)snprintf(slot->key, sizeof(slot->key), "object/%u", slot->item);
	op->key = slot->key;
	op->flags = slot->durable ? TARN_CACHE_DURABLE : 0;
	op->buf = slot->data;
	op->buf_bytes = RECORD_VALUE_MAX;
	op->cb = object_done;
	op->arg = slot;
	switch (slot->kind) {
	case SLOT_STORE:
		op->buf_bytes = record_value(slot->record, slot->item,
					     slot->record->items[slot->item].asked, slot->data);
		tarn_cache_store(op);
		break;
	case SLOT_REMOVE:
		tarn_cache_remove(op);
		break;
	case SLOT_TOUCH:
		op->ttl_s = TARN_CACHE_TTL_NEVER;
		tarn_cache_touch(op);
		op->ttl_s = TARN_CACHE_TTL_DEFAULT;
		break;
	default:
		tarn_cache_lookup(op);
		break;
	}
}

/* --- Blocks --- */

static void
block_done(struct tarn_cache_block_req *req)
{
	struct slot *slot = req->arg;

	slot->status = req->status;
	for (uint32_t i = 0; slot->kind == SLOT_LOOKUP && i < slot->count; i++) {
		slot->bad[i] = map_has(req->bad, i);
		if (slot->bad[i])
			slot->status = 0; /* it is this block's */
		else if (map_has(req->hit, i))
			found_value(slot, i, slot->data + (size_t)i * RECORD_BLOCK_BYTES,
				    RECORD_BLOCK_BYTES);
	}
	slot->done(slot);
}

static void
block_submit(struct slot *slot)
{
	struct tarn_cache_block_req *req = &slot->req;
	uint32_t block = block_of(slot->record, slot->item);

	slot->iov = (struct iovec){ slot->data, (size_t)slot->count * RECORD_BLOCK_BYTES };
	req->cache = slot->cache;
	req->flags = slot->durable ? TARN_CACHE_BLOCK_FUA : 0;
	req->block_count = (uint16_t)slot->count;
	req->volume_id = slot->volume_id;
	req->first_block = (uint64_t)block / BLOCKS_PER_EXTENT * TARN_CACHE_EXTENT_BLOCKS +
			   block % BLOCKS_PER_EXTENT;
	req->iov = &slot->iov;
	req->iov_count = 1;
	req->cb = block_done;
	req->arg = slot;
	switch (slot->kind) {
	case SLOT_STORE:
		req->kind = TARN_CACHE_BLOCK_STORE;
		req->flags |= TARN_CACHE_BLOCK_DIRTY;
		for (uint32_t i = 0; i < slot->count; i++)
			record_value(slot->record, slot->item + i,
				     slot->record->items[slot->item + i].asked,
				     slot->data + (size_t)i * RECORD_BLOCK_BYTES);
		break;
	case SLOT_REMOVE:
		req->kind = TARN_CACHE_BLOCK_FORGET;
		break;
	default:
		req->kind = TARN_CACHE_BLOCK_LOOKUP;
		break;
	}
	tarn_cache_block_submit(req);
}

static void
nothing_found(void *arg)
{
	struct slot *slot = arg;

	slot->done(slot);
}

void
slot_submit(struct slot *slot)
{
	slot->status = 0;
	memset(slot->found, 0, sizeof(slot->found));
	memset(slot->bad, 0, sizeof(slot->bad));
	if (!record_is_block(slot->record, slot->item))
		object_submit(slot);
	else if (slot->volume_id != 0)
		block_submit(slot);
	else
		tarn_msg_send(tarn_reactor_get(0), &slot->msg, nothing_found, slot);
}

/* --- The volume --- */

struct volume_wish {
	struct tarn_cache_volume volume;
	struct tarn_msg msg;
	slot_volume_cb cb;
	void *arg;
};

static void
volume_known(void *arg, int status)
{
	struct volume_wish *wish = arg;

	wish->cb(wish->arg, status, status == 0 ? wish->volume.id : 0);
	free(wish);
}

static void
volume_told(void *arg)
{
	volume_known(arg, 0);
}

void
slot_volume(struct tarn_cache *cache, const struct record *record, bool create, slot_volume_cb cb,
	    void *arg)
{
	struct volume_wish *wish = calloc(1, sizeof(*wish));
	int status;

	tarn_assert(wish != NULL);
	wish->cb = cb;
	wish->arg = arg;
	memcpy(wish->volume.uuid, &record->head->seed, sizeof(record->head->seed));
	wish->volume.uuid[15] = 1;
	status = tarn_cache_volume_get(cache, wish->volume.uuid, &wish->volume);
	if (status == -ENOENT && create)
		tarn_cache_volume_set(cache, &wish->volume, volume_known, wish);
	else
		tarn_msg_send(tarn_reactor_get(0), &wish->msg, volume_told, wish);
}
