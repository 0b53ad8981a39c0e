/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Dropping what has expired, on request. When an object expires stands in its entry in the log, so
 * that a walk reads the trailers of segments, and no object:
 *
 *	next --sealed--> scan --entries--> drop, some in a turn --> next, or: past the head, done
 *	next --open, or its trailer on its way--> the same from the trailer's copy in memory
 *
 * Nothing is logged: what was dropped is still the newest version in the log, so that a recovery
 * finds it expired, and not an older one; and reclaim comes to the older ones first. But for gaps,
 * which are not read again: see mover_control.c.
 */
#include <errno.h>
#include <stdlib.h>

#include "lib/cache/fan.h"
#include "lib/cache/internal.h"
#include "lib/cache/mover.h"

#define STEP_ENTRIES 512 /* looked at in one turn */

struct expire;

struct expire_part {
	struct expire *expire;
	struct fan_slot *slot;
	struct tarn_msg msg;
	struct scan scan;
	uint64_t sequence, last; /* of segments */
	uint32_t next;		 /* entry */
	bool scanned;
	uint64_t dropped_count;
};

struct expire {
	struct fan fan;
	struct tarn_msg msg;
	tarn_cache_expire_cb cb;
	void *arg;
	struct expire_part part[TARN_CACHE_SHARD_MAX];
};

static void step(void *arg);

static void
tell(void *arg)
{
	struct expire *expire = arg;

	expire->cb(expire->arg, -ESHUTDOWN, 0);
	free(expire);
}

static void
expired(struct fan *fan, int status)
{
	struct expire *expire = tarn_container_of(fan, struct expire, fan);
	uint64_t dropped_count = 0;

	for (uint32_t i = 0; i < fan->cache->shard_count; i++)
		dropped_count += expire->part[i].dropped_count;
	fan->cache->busy_count--;
	expire->cb(expire->arg, status, dropped_count);
	free(expire);
}

/* --- On a shard --- */

static void
drop(struct expire_part *part, const struct disk_entry *entry)
{
	struct shard *shard = part->slot->shard;
	struct index_slot *slot;

	if (entry->expiry_s == 0 || entry->expiry_s > cache_now_s(shard->cache))
		return;
	slot = mover_slot(shard, part->sequence, entry);
	if (slot == NULL)
		return;
	index_remove(&shard->index, slot);
	shard->counters.expired_count++;
	part->dropped_count++;
}

static void
next_segment(struct expire_part *part)
{
	scan_fini(&part->scan);
	part->scanned = false;
	part->next = 0;
	part->sequence++;
}

static void
go_on(struct expire_part *part)
{
	tarn_msg_send(part->slot->shard->reactor, &part->msg, step, part);
}

/* A bounded number of the entries that there are. \return whether these were all. */
static bool
look_at(struct expire_part *part, const struct disk_entry *entries, uint32_t entry_count)
{
	for (uint32_t i = 0; i < STEP_ENTRIES && part->next < entry_count; i++)
		drop(part, &entries[part->next++]);
	return part->next >= entry_count;
}

static void
scanned(struct scan *scan, int status)
{
	struct expire_part *part = scan->arg;

	if (status != 0) {
		scan_fini(scan);
		fan_answer(part->slot, status);
		return;
	}
	part->scanned = true;
	go_on(part);
}

static void
scan_segment(struct expire_part *part, const struct segment *segment)
{
	struct shard *shard = part->slot->shard;
	struct scan *scan = &part->scan;

	scan->channel = shard->channel;
	scan->offset_bytes = shard_offset(shard, shard_place(shard, part->sequence, 0));
	scan->segment_blocks = shard->segment_blocks;
	scan->seed = segment->seed;
	scan->epoch = segment->epoch;
	scan->sequence = part->sequence;
	scan->end_limit = segment->end_block;
	scan->use_trailer = segment->trailer;
	scan->verify_from = UINT32_MAX;
	scan->done = scanned;
	scan->arg = part;
	scan_start(scan);
}

/* The copy in memory of what the segment's trailer will hold. NULL: it is written. */
static const struct trailer *
trailer_of(const struct shard *shard, uint64_t sequence)
{
	for (uint32_t i = 0; i < TRAILER_COUNT; i++)
		if (shard->trailers[i].busy && shard->trailers[i].sequence == sequence)
			return &shard->trailers[i];
	return NULL;
}

static void
step(void *arg)
{
	struct expire_part *part = arg;
	struct shard *shard = part->slot->shard;
	const struct trailer *trailer;
	const struct segment *segment;

	if (part->sequence < shard->freed && !part->scanned)
		part->sequence = shard->freed;
	if (part->sequence > part->last) {
		fan_answer(part->slot, 0);
		return;
	}
	segment = segment_of(shard, part->sequence);
	trailer = trailer_of(shard, part->sequence);
	if (part->scanned) {
		/* Freed meanwhile, its entries are in the index no more. */
		if (segment->sequence != part->sequence ||
		    look_at(part, part->scan.entries, part->scan.entry_count))
			next_segment(part);
		go_on(part);
	} else if (trailer != NULL) {
		if (look_at(part, (const struct disk_entry *)(void *)trailer->buf,
			    trailer->entry_count))
			next_segment(part);
		go_on(part);
	} else if (segment->end_block <= 1) {
		next_segment(part);
		go_on(part);
	} else {
		part->next = 0;
		scan_segment(part, segment);
	}
}

static void
begin(struct fan_slot *slot)
{
	struct expire *expire = tarn_container_of(slot->fan, struct expire, fan);
	struct shard *shard = slot->shard;
	struct expire_part *part = &expire->part[shard->number];

	part->expire = expire;
	part->slot = slot;
	part->sequence = shard->freed;
	part->last = shard->head;
	step(part);
}

void
tarn_cache_expire(struct tarn_cache *cache, tarn_cache_expire_cb cb, void *arg)
{
	struct expire *expire = calloc(1, sizeof(*expire));

	tarn_assert(tarn_on_control_reactor() && cache->magic == CACHE_MAGIC);
	if (expire == NULL) {
		cb(arg, -ENOMEM, 0);
		return;
	}
	expire->cb = cb;
	expire->arg = arg;
	expire->fan.cache = cache;
	expire->fan.fn = begin;
	expire->fan.done = expired;
	if (atomic_load(&cache->state) != CACHE_RUNNING) {
		tarn_msg_send(tarn_reactor_get(0), &expire->msg, tell, expire);
		return;
	}
	cache->busy_count++;
	fan_out(&expire->fan);
}
