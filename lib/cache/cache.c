/* SPDX-License-Identifier: BSD-3-Clause */
/* What concerns a cache as a whole while it runs: flush, checkpoint, bans, settings. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cache/checkpoint.h"
#include "lib/cache/life.h"

/* One call on all shards for a user. */
struct whole {
	struct fan fan;
	struct tarn_msg msg;
	tarn_cache_cb cb;
	void *arg;
	int status;
	struct disk_ban rule;
	uint8_t prefix[TARN_CACHE_KEY_MAX];
	/* tarn_cache_set_clean_cb() */
	tarn_cache_clean_cb clean_fn;
	void *clean_arg;
};

static void
tell(void *arg)
{
	struct whole *whole = arg;

	whole->cb(whole->arg, whole->status);
	free(whole);
}

static void
whole_done(struct fan *fan, int status)
{
	struct whole *whole = tarn_container_of(fan, struct whole, fan);

	fan->cache->busy_count--;
	whole->status = status;
	tell(whole);
}

/* \return NULL: no memory, and cb has been told. */
static struct whole *
whole_new(struct tarn_cache *cache, tarn_cache_cb cb, void *arg)
{
	struct whole *whole = calloc(1, sizeof(*whole));

	tarn_assert(tarn_on_control_reactor() && cache->magic == CACHE_MAGIC);
	if (whole == NULL) {
		cb(arg, -ENOMEM);
		return NULL;
	}
	whole->cb = cb;
	whole->arg = arg;
	whole->fan.cache = cache;
	whole->fan.done = whole_done;
	return whole;
}

/* Go, or tell later that it does not. */
static void
whole_start(struct whole *whole, int status, void (*fn)(struct fan_slot *slot))
{
	if (status == 0 && atomic_load(&whole->fan.cache->state) != CACHE_RUNNING)
		status = -ESHUTDOWN;
	whole->status = status;
	whole->fan.fn = fn;
	if (status != 0)
		tarn_msg_send(tarn_reactor_get(0), &whole->msg, tell, whole);
	else {
		whole->fan.cache->busy_count++;
		fan_out(&whole->fan);
	}
}

static void
waited(struct log_waiter *waiter, int status)
{
	fan_answer(tarn_container_of(waiter, struct fan_slot, waiter), status);
}

/* --- Flush --- */

static void
flush_shard(struct fan_slot *slot)
{
	log_fence(slot->shard, &slot->waiter, true, waited);
}

void
tarn_cache_flush(struct tarn_cache *cache, tarn_cache_cb cb, void *arg)
{
	struct whole *whole = whole_new(cache, cb, arg);

	if (whole != NULL)
		whole_start(whole, 0, flush_shard);
}

/* --- Checkpoint --- */

struct ask {
	struct tarn_cache *cache;
	struct tarn_msg msg;
	tarn_cache_cb cb;
	void *arg;
};

static void
asked(void *arg, int status)
{
	struct ask *ask = arg;

	if (status == 0)
		ask->cache->checkpoint_count++;
	ask->cb(ask->arg, status);
	free(ask);
}

static void
begin_checkpoint(void *arg)
{
	struct ask *ask = arg;

	if (atomic_load(&ask->cache->state) != CACHE_RUNNING)
		asked(ask, -ESHUTDOWN);
	else
		checkpoint_write(ask->cache, false, asked, ask);
}

void
tarn_cache_checkpoint(struct tarn_cache *cache, tarn_cache_cb cb, void *arg)
{
	struct ask *ask = calloc(1, sizeof(*ask));

	if (ask == NULL) {
		cb(arg, -ENOMEM);
		return;
	}
	*ask = (struct ask){ .cache = cache, .cb = cb, .arg = arg };
	tarn_msg_send(tarn_reactor_get(0), &ask->msg, begin_checkpoint, ask);
}

static void
interval_done(void *arg, int status)
{
	struct tarn_cache *cache = arg;

	cache->checkpoint_count += status == 0;
}

void
life_checkpoint(struct tarn_cache *cache)
{
	checkpoint_write(cache, false, interval_done, cache);
}

/* --- Bans --- */

static void ban_shard(struct fan_slot *slot);

static void
ban_task(struct shard_task *task)
{
	ban_shard(tarn_container_of(task, struct fan_slot, task));
}

/* The rule into the log, and in force, in the same breath. */
static int
append_ban(struct shard *shard, const struct whole *whole)
{
	struct disk_ban rule = whole->rule;
	struct disk_entry entry = {
		.kind = DISK_BAN,
		.length = (uint32_t)sizeof(rule) + rule.prefix_bytes,
	};
	struct log_slot place;
	int status;

	if (!ban_room(&shard->bans, &rule, whole->prefix))
		return -ENOSPC;
	status = log_append(shard, LOG_FOREGROUND, &entry, entry.length, &place);
	if (status != 0)
		return status;
	memcpy(place.payload, &rule, sizeof(rule));
	memcpy(place.payload + sizeof(rule), whole->prefix, rule.prefix_bytes);
	place.entry->crc32c =
	    tarn_crc32c(format_seed(place.seed, place.place), place.payload, entry.length);
	rule.position = place.position;
	tarn_assert(ban_add(&shard->bans, &rule, whole->prefix) == 0);
	if (rule.kind == DISK_BAN_BLOCKS) {
		shard->ban_token = ++shard->token;
		shard->sweep_next = 0;
		shard->sweeping = true;
	}
	return 0;
}

static void
ban_shard(struct fan_slot *slot)
{
	struct whole *whole = tarn_container_of(slot->fan, struct whole, fan);
	struct shard *shard = slot->shard;
	int status = append_ban(shard, whole);

	if (status == -EAGAIN) {
		slot->task.run = ban_task;
		shard_block(shard, &slot->task);
	} else if (status != 0) {
		fan_answer(slot, status);
	} else {
		log_wait(shard, &slot->waiter, false, waited);
	}
}

void
tarn_cache_purge(struct tarn_cache *cache, const void *prefix, uint32_t prefix_bytes,
		 tarn_cache_cb cb, void *arg)
{
	struct whole *whole = whole_new(cache, cb, arg);

	if (whole == NULL)
		return;
	whole->rule.kind = DISK_BAN_PREFIX;
	whole->rule.prefix_bytes = prefix_bytes;
	if (prefix_bytes <= sizeof(whole->prefix) && prefix_bytes != 0)
		memcpy(whole->prefix, prefix, prefix_bytes);
	whole_start(whole, prefix_bytes <= sizeof(whole->prefix) ? 0 : -ENAMETOOLONG, ban_shard);
}

void
tarn_cache_block_ban(struct tarn_cache *cache, const struct tarn_cache_block_range *range,
		     tarn_cache_cb cb, void *arg)
{
	struct whole *whole = whole_new(cache, cb, arg);

	if (whole == NULL)
		return;
	whole->rule.kind = DISK_BAN_BLOCKS;
	whole->rule.volume = range->volume_id;
	whole->rule.from = range->first_block;
	whole->rule.count = range->block_count;
	whole_start(whole, range->volume_id != 0 ? 0 : -EINVAL, ban_shard);
}

/* --- Cleaning --- */

static void
set_clean_cb_shard(struct fan_slot *slot)
{
	struct whole *whole = tarn_container_of(slot->fan, struct whole, fan);

	slot->shard->clean_fn = whole->clean_fn;
	slot->shard->clean_arg = whole->clean_arg;
	fan_answer(slot, 0);
}

void
tarn_cache_set_clean_cb(struct tarn_cache *cache, tarn_cache_clean_cb fn, void *fn_arg,
			tarn_cache_cb cb, void *arg)
{
	struct whole *whole = whole_new(cache, cb, arg);

	if (whole == NULL)
		return;
	whole->clean_fn = fn;
	whole->clean_arg = fn_arg;
	whole_start(whole, 0, set_clean_cb_shard);
}

/* --- Settings --- */

void
tarn_cache_get_settings(const struct tarn_cache *cache, struct tarn_cache_settings *ret)
{
	ret->default_ttl_s = atomic_load(&cache->default_ttl_s);
	ret->max_object_bytes = atomic_load(&cache->max_object_bytes);
	ret->checkpoint_interval_s = cache->checkpoint_interval_s;
}

int
tarn_cache_set_settings(struct tarn_cache *cache, const struct tarn_cache_settings *settings)
{
	uint64_t largest = cache->info.max_object_bytes;

	if (settings->default_ttl_s < 0 || settings->max_object_bytes > largest)
		return -EINVAL;
	if (settings->checkpoint_interval_s != cache->checkpoint_interval_s) {
		int status = life_set_interval(cache, settings->checkpoint_interval_s);

		if (status != 0)
			return status;
	}
	atomic_store(&cache->default_ttl_s, settings->default_ttl_s);
	atomic_store(&cache->max_object_bytes,
		     settings->max_object_bytes != 0 ? settings->max_object_bytes : largest);
	return 0;
}
