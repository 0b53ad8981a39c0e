/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Load on a cache, and checks of it: see cache_load.h.
 *
 *   start: open the marks' bdev --> find or make the volume --> a request in each slot
 *   slot:  done --> note --> next one, or, when stopping, nothing; the last one ends the run
 *   check: the same with lookups of one item after the other
 *
 * An item has one request at a time, so that its versions are asked for in order. A store that
 * fails is one that may be there or not.
 */
#include "test/lab/daemon/cache_load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tarn/bdev.h"
#include "tarn/env.h"
#include "tarn/util.h"

struct cache_load {
	char name[CACHE_LOAD_NAME_MAX + 1];
	struct record record;
	bool *busy; /* of each item */
	uint64_t random;
	struct cache_load_opts opts;
	struct cache_load_stats stats;
	struct cache_check_opts check_opts;
	struct cache_load_check check;
	/* While it runs, or checks. */
	struct tarn_cache *cache;
	struct slot *slots;
	uint8_t *memory;
	uint32_t inflight_count, since_flush_count, since_mark_count, check_next;
	uint64_t submit_count;
	bool checking, stopping, flushing, marking;
	struct tarn_bdev_desc *mark_desc;
	struct tarn_channel *mark_channel;
	struct tarn_io mark_io;
	uint8_t *mark_data;
	struct tarn_msg msg;
	int status;
	cache_load_cb started, ended;
	void *started_arg, *ended_arg;
	TAILQ_ENTRY(cache_load) link;
};

static TAILQ_HEAD(, cache_load) loads = TAILQ_HEAD_INITIALIZER(loads);

static void load_next(struct slot *slot);

/* --- Life --- */

struct cache_load *
cache_load_find(const char *name)
{
	struct cache_load *load;

	TAILQ_FOREACH (load, &loads, link) {
		if (strcmp(load->name, name) == 0)
			return load;
	}
	return NULL;
}

int
cache_load_create(const char *name, const char *path, const struct record_head *like)
{
	struct cache_load *load;
	int status;

	if (cache_load_find(name) != NULL)
		return -EEXIST;
	load = calloc(1, sizeof(*load));
	if (load == NULL)
		return -ENOMEM;
	status = record_open(&load->record, path, like);
	if (status != 0) {
		free(load);
		return status;
	}
	load->busy = calloc(record_count(&load->record), sizeof(*load->busy));
	tarn_assert(load->busy != NULL);
	(void)strncpy(load->name, name, CACHE_LOAD_NAME_MAX);
	load->random = like->seed;
	TAILQ_INSERT_TAIL(&loads, load, link);
	return 0;
}

void
cache_load_delete(struct cache_load *load)
{
	tarn_assert(load->slots == NULL);
	TAILQ_REMOVE(&loads, load, link);
	record_close(&load->record);
	free(load->busy);
	free(load);
}

const struct cache_load_stats *
cache_load_stats(const struct cache_load *load)
{
	return &load->stats;
}

const struct cache_load_check *
cache_load_checked(const struct cache_load *load)
{
	return &load->check;
}

static void
finish(struct cache_load *load)
{
	cache_load_cb cb = load->ended;

	if (load->mark_channel != NULL)
		tarn_channel_put(load->mark_channel);
	if (load->mark_desc != NULL)
		tarn_bdev_close(load->mark_desc);
	tarn_iobuf_put(load->mark_data);
	tarn_iobuf_put(load->memory);
	free(load->slots);
	load->mark_channel = NULL;
	load->mark_desc = NULL;
	load->mark_data = NULL;
	load->memory = NULL;
	load->slots = NULL;
	load->stats.running = false;
	load->ended = NULL;
	if (cb != NULL)
		cb(load->ended_arg, 0);
}

static void
end_if_quiet(struct cache_load *load)
{
	if (load->stopping && load->inflight_count == 0)
		finish(load);
}

static void
request_ended(struct cache_load *load, int status)
{
	load->inflight_count--;
	if (status == 0)
		return;
	load->stats.by_errno[tarn_min_u64((uint64_t)-status, CACHE_LOAD_ERRNO_MAX - 1)]++;
	if (status == -ESHUTDOWN)
		load->stopping = true;
}

/* --- Marks and flushes --- */

static void
mark_done(void *arg, int status)
{
	struct cache_load *load = arg;

	load->marking = false;
	load->stats.mark_count += status == 0;
	load->stats.mark_error_count += status != 0;
	request_ended(load, status);
	end_if_quiet(load);
}

static void
mark(struct cache_load *load)
{
	load->marking = true;
	load->since_mark_count = 0;
	load->record.head->mark++;
	memcpy(load->mark_data, load->record.head, load->record.bytes);
	load->inflight_count++;
	tarn_bdev_write(load->mark_channel, &load->mark_io, load->mark_data, load->record.bytes, 0,
			0, mark_done, load);
}

static void
flush_done(void *arg, int status)
{
	struct cache_load *load = arg;

	load->flushing = false;
	if (status == 0) {
		load->stats.flush_count++;
		record_flush_done(&load->record);
		load->since_mark_count = load->opts.mark_every; /* it is due */
	} else {
		load->stats.flush_error_count++;
	}
	request_ended(load, status);
	end_if_quiet(load);
}

static void
flush(struct cache_load *load)
{
	load->flushing = true;
	load->since_flush_count = 0;
	load->inflight_count++;
	record_flush_begins(&load->record);
	tarn_cache_flush(load->cache, flush_done, load);
}

static void
flush_and_mark_when_due(struct cache_load *load)
{
	load->since_flush_count++;
	load->since_mark_count++;
	if (load->opts.flush_every != 0 && !load->flushing &&
	    load->since_flush_count > load->opts.flush_every)
		flush(load);
	if (load->mark_channel != NULL && !load->marking &&
	    load->since_mark_count > load->opts.mark_every)
		mark(load);
}

/* --- Requests --- */

/* splitmix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014). */
static uint32_t
random_below(struct cache_load *load, uint32_t limit)
{
	uint64_t z = load->random += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (uint32_t)((z ^ (z >> 31)) % limit);
}

static void
say_wrong(const struct cache_load *load, uint32_t number, uint32_t found,
	  const struct record_rules *rules, char text[160])
{
	static const char *const verdicts[] = { "good", "lost", "old", "wrong" };
	const struct record_item *item = &load->record.items[number];

	(void)snprintf(text, 160,
		       "item %u: found %u (%s); asked %u, acked %u, flushed %u, settled %u, top %u",
		       number, found, verdicts[record_judge(&load->record, number, found, rules)],
		       item->asked, item->acked, item->flushed, item->settled, item->top);
}

/* Changes failed: what they were to replace may be forgotten, and is still on the device. */
static bool
has_failed(const struct cache_load *load)
{
	return load->stats.error_count[SLOT_STORE] != 0 ||
	       load->stats.error_count[SLOT_REMOVE] != 0;
}

static void
note_lookup(struct cache_load *load, const struct slot *slot)
{
	const struct record_rules rules = {
		.evict = load->opts.evict,
		.failed = has_failed(load),
	};
	enum record_verdict verdict;

	for (uint32_t i = 0; i < slot->count; i++) {
		if (slot->bad[i]) {
			load->stats.bad_count++;
			continue;
		}
		load->stats.hit_count += slot->found[i] != 0;
		verdict = record_judge(&load->record, slot->item + i, slot->found[i], &rules);
		if (verdict != RECORD_GOOD && load->stats.lost_count + load->stats.wrong_count == 0)
			say_wrong(load, slot->item + i, slot->found[i], &rules,
				  load->stats.first_wrong);
		load->stats.lost_count += verdict == RECORD_LOST;
		load->stats.wrong_count += verdict == RECORD_OLD || verdict == RECORD_WRONG;
	}
}

static void
note(struct cache_load *load, const struct slot *slot)
{
	if (slot->status != 0) {
		load->stats.error_count[slot->kind]++;
		return;
	}
	load->stats.ok_count[slot->kind]++;
	if (slot->kind == SLOT_LOOKUP)
		note_lookup(load, slot);
	if (slot->kind == SLOT_LOOKUP || slot->kind == SLOT_TOUCH)
		return;
	if (slot->kind == SLOT_REMOVE && has_failed(load))
		return; /* of what was forgotten, it could not be written */
	for (uint32_t i = 0; i < slot->count; i++) {
		struct record_item *item = &load->record.items[slot->item + i];

		item->acked = item->asked;
		/* A removal of what is not there need not write anything. */
		if (slot->durable && slot->kind == SLOT_STORE)
			item->flushed = item->asked;
	}
}

static void
load_done(struct slot *slot)
{
	struct cache_load *load = slot->arg;

	note(load, slot);
	for (uint32_t i = 0; i < slot->count; i++)
		load->busy[slot->item + i] = false;
	request_ended(load, slot->status);
	load_next(slot);
}

/* Choose kind and items. Stores and removals are of items whose next version is of that kind. */
static void
choose(struct cache_load *load, struct slot *slot)
{
	const struct record *record = &load->record;
	uint32_t chance = random_below(load, 100);
	uint32_t reach;
	bool gone;

	do {
		slot->item = random_below(load, record_count(record));
	} while (load->busy[slot->item]);
	gone = record_gone(record, slot->item, record->items[slot->item].asked + 1);
	if (chance < load->opts.read_percent)
		slot->kind = SLOT_LOOKUP;
	else if (chance < load->opts.read_percent + 5 && !record_is_block(record, slot->item))
		slot->kind = SLOT_TOUCH;
	else
		slot->kind = gone ? SLOT_REMOVE : SLOT_STORE;
	slot->durable = slot->kind != SLOT_LOOKUP && slot->kind != SLOT_TOUCH &&
			random_below(load, 100) < load->opts.durable_percent;
	reach = 1 + random_below(load, slot_reach(record, slot->item));
	for (slot->count = 1; slot->count < reach; slot->count++) {
		uint32_t next = slot->item + slot->count;

		if (load->busy[next] ||
		    (slot->kind != SLOT_LOOKUP &&
		     record_gone(record, next, record->items[next].asked + 1) != gone))
			break;
	}
}

static void
load_next(struct slot *slot)
{
	struct cache_load *load = slot->arg;

	if (load->opts.io_count != 0 && load->submit_count >= load->opts.io_count)
		load->stopping = true;
	if (load->stopping) {
		end_if_quiet(load);
		return;
	}
	load->submit_count++;
	load->inflight_count++;
	choose(load, slot);
	for (uint32_t i = 0; i < slot->count; i++) {
		load->busy[slot->item + i] = true;
		if (slot->kind == SLOT_STORE || slot->kind == SLOT_REMOVE)
			load->record.items[slot->item + i].asked++;
	}
	slot_submit(slot);
	flush_and_mark_when_due(load);
}

/* --- Checking --- */

static void
check_next(struct slot *slot)
{
	struct cache_load *load = slot->arg;

	if (load->check_next == record_count(&load->record))
		load->stopping = true;
	if (load->stopping) {
		end_if_quiet(load);
		return;
	}
	load->inflight_count++;
	slot->kind = SLOT_LOOKUP;
	slot->item = load->check_next;
	slot->count = slot_reach(&load->record, slot->item);
	load->check_next += slot->count;
	slot_submit(slot);
}

static void
check_item(struct cache_load *load, uint32_t item, uint32_t found)
{
	struct cache_load_check *check = &load->check;
	enum record_verdict verdict =
	    record_judge(&load->record, item, found, &load->check_opts.rules);

	check->hit_count += found != 0;
	if (verdict != RECORD_GOOD && check->first[0] == '\0')
		say_wrong(load, item, found, &load->check_opts.rules, check->first);
	check->lost_count += verdict == RECORD_LOST;
	check->old_count += verdict == RECORD_OLD;
	check->wrong_count += verdict == RECORD_WRONG;
	if (load->check_opts.settle && verdict == RECORD_GOOD)
		record_settle(&load->record, item, found);
}

static void
check_done(struct slot *slot)
{
	struct cache_load *load = slot->arg;

	for (uint32_t i = 0; i < slot->count; i++) {
		load->check.checked_count++;
		if (slot->status != 0 || slot->bad[i])
			load->check.error_count++;
		else
			check_item(load, slot->item + i, slot->found[i]);
	}
	request_ended(load, slot->status);
	check_next(slot);
}

/* --- Beginning --- */

static void
told(void *arg)
{
	struct cache_load *load = arg;

	load->started(load->started_arg, load->status);
}

/* \return 0, or an error that cb hears of. */
static int
begin(struct cache_load *load, const char *cache_name, uint32_t depth, bool checking)
{
	struct tarn_cache *cache = tarn_cache_find(cache_name);

	if (load->slots != NULL)
		return -EBUSY;
	if (cache == NULL)
		return -ENODEV;
	load->slots = calloc(depth, sizeof(*load->slots));
	load->memory = tarn_iobuf_get((size_t)depth * SLOT_BYTES);
	tarn_assert(load->slots != NULL && load->memory != NULL);
	load->cache = cache;
	load->checking = checking;
	load->stopping = load->flushing = load->marking = false;
	load->inflight_count = 0;
	for (uint32_t i = 0; i < depth; i++) {
		load->slots[i].record = &load->record;
		load->slots[i].cache = cache;
		load->slots[i].data = load->memory + (size_t)i * SLOT_BYTES;
		load->slots[i].done = checking ? check_done : load_done;
		load->slots[i].arg = load;
	}
	return 0;
}

static int
open_marks(struct cache_load *load, const char *bdev_name)
{
	int status = tarn_bdev_open(bdev_name, true, NULL, NULL, &load->mark_desc);

	if (status == 0)
		status = tarn_channel_get(load->mark_desc, &load->mark_channel);
	if (status == 0 &&
	    tarn_bdev_size_bytes(tarn_bdev_desc_bdev(load->mark_desc)) < load->record.bytes)
		status = -ENOSPC;
	load->mark_data = status == 0 ? tarn_iobuf_get(load->record.bytes) : NULL;
	return status == 0 && load->mark_data == NULL ? -ENOMEM : status;
}

static void
run(void *arg, int status, uint32_t volume_id)
{
	struct cache_load *load = arg;
	uint32_t depth = load->checking ? CACHE_LOAD_CHECK_DEPTH : load->opts.depth;

	load->inflight_count--;
	if (status != 0) {
		finish(load);
		load->started(load->started_arg, status);
		return;
	}
	load->stats.running = true;
	for (uint32_t i = 0; i < depth; i++)
		load->slots[i].volume_id = volume_id;
	if (!load->checking)
		load->started(load->started_arg, 0);
	for (uint32_t i = 0; i < depth && load->slots != NULL; i++)
		(load->checking ? check_next : load_next)(&load->slots[i]);
}

void
cache_load_start(struct cache_load *load, const struct cache_load_opts *opts, cache_load_cb cb,
		 void *arg)
{
	load->started = cb;
	load->started_arg = arg;
	load->status = begin(load, opts->cache_name, opts->depth, false);
	if (load->status == 0) {
		load->opts = *opts;
		load->stats = (struct cache_load_stats){ 0 };
		load->submit_count = load->since_flush_count = load->since_mark_count = 0;
		load->ended = NULL;
		if (opts->mark_bdev_name != NULL)
			load->status = open_marks(load, opts->mark_bdev_name);
		if (load->status != 0)
			finish(load);
	}
	load->opts.cache_name = load->opts.mark_bdev_name = NULL; /* the caller's */
	if (load->status != 0) {
		tarn_msg_send(tarn_reactor_get(0), &load->msg, told, load);
		return;
	}
	load->inflight_count++;
	slot_volume(load->cache, &load->record, true, run, load);
}

void
cache_load_stop(struct cache_load *load, cache_load_cb cb, void *arg)
{
	if (load->slots == NULL) {
		cb(arg, 0);
		return;
	}
	load->ended = cb;
	load->ended_arg = arg;
	load->stopping = true;
	end_if_quiet(load);
}

void
cache_load_check(struct cache_load *load, const struct cache_check_opts *opts, cache_load_cb cb,
		 void *arg)
{
	load->started = cb;
	load->started_arg = arg;
	load->status = begin(load, opts->cache_name, CACHE_LOAD_CHECK_DEPTH, true);
	if (load->status != 0) {
		tarn_msg_send(tarn_reactor_get(0), &load->msg, told, load);
		return;
	}
	load->check_opts = *opts;
	load->check_opts.cache_name = NULL;
	load->check = (struct cache_load_check){ 0 };
	load->check_next = 0;
	load->ended = cb;
	load->ended_arg = arg;
	load->inflight_count++;
	slot_volume(load->cache, &load->record, false, run, load);
}
