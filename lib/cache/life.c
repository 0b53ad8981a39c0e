/* SPDX-License-Identifier: BSD-3-Clause */
/* Making and ending the parts of a cache, and the list of caches. See life.h. */
#include "lib/cache/life.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/cache/boot.h"
#include "lib/cache/checkpoint.h"
#include "lib/cache/fan.h"
#include "lib/cache/super.h"
#include "tarn/name.h"

static TAILQ_HEAD(, tarn_cache) caches = TAILQ_HEAD_INITIALIZER(caches);

struct closing {
	struct fan fan;
	struct tarn_msg msg;
	struct tarn_cache *cache;
	void (*done)(struct tarn_cache *cache, void *arg);
	void *arg;
};

struct tarn_cache *
life_new(void)
{
	struct tarn_cache *cache = calloc(1, sizeof(*cache));

	if (cache == NULL)
		return NULL;
	cache->magic = CACHE_MAGIC;
	flush_cache_init(cache);
	cache->closing = calloc(1, sizeof(*cache->closing));
	cache->stop = stop_new();
	if (cache->closing != NULL && cache->stop != NULL)
		return cache;
	life_free(cache);
	return NULL;
}

void
life_free(struct tarn_cache *cache)
{
	if (cache == NULL)
		return;
	cache->magic = 0;
	free(cache->closing);
	free(cache->stop);
	free(cache);
}

/* --- Checkpoints at intervals --- */

static int
checkpoint_poll(void *arg)
{
	struct tarn_cache *cache = arg;

	if (cache->checkpoint != NULL || atomic_load(&cache->state) != CACHE_RUNNING)
		return 0;
	life_checkpoint(cache);
	return 1;
}

int
life_set_interval(struct tarn_cache *cache, uint32_t interval_s)
{
	struct tarn_poller_opts opts = {
		.name = "cache_checkpoint",
		.fn = checkpoint_poll,
		.arg = cache,
		.period_us = (uint64_t)interval_s * 1000000,
	};
	struct tarn_poller *poller = NULL;

	if (interval_s != 0) {
		poller = tarn_poller_register(&opts);
		if (poller == NULL)
			return -ENOMEM;
	}
	tarn_poller_unregister(&cache->checkpoint_poller);
	cache->checkpoint_poller = poller;
	cache->checkpoint_interval_s = interval_s;
	return 0;
}

/* --- Opening --- */

static int
check_name(const char *name, struct tarn_reason *reason)
{
	const struct tarn_cache *cache;

	if (name == NULL || name[0] == '\0' || strlen(name) > TARN_CACHE_NAME_MAX)
		return tarn_reason_set(reason, -EINVAL, "name: a cache's name has 1 to %u bytes",
				       TARN_CACHE_NAME_MAX);
	if (!tarn_name_valid(name))
		return tarn_reason_set(reason, -EINVAL,
				       "name: a cache's name has no control characters, and not "
				       "only spaces");
	TAILQ_FOREACH (cache, &caches, link)
		if (strcmp(cache->name, name) == 0)
			return tarn_reason_set(reason, -EEXIST, "there is a cache '%s' already",
					       name);
	return 0;
}

static void
take_env(struct tarn_cache *cache, const struct tarn_cache_env *env)
{
	static const uint8_t zero[16];
	struct tarn_bdev *bdev = tarn_bdev_desc_bdev(cache->desc);

	if (env->seed != 0)
		cache->rng = env->seed;
	else
		boot_random(&cache->rng, sizeof(cache->rng));
	cache->anchor_ns = tarn_boot_ns();
	cache->anchor_s = env->wall_time_s != 0 ? env->wall_time_s : (uint64_t)time(NULL);
	if (memcmp(env->boot_id, zero, sizeof(zero)) != 0) {
		memcpy(cache->boot_id, env->boot_id, sizeof(cache->boot_id));
		cache->disk_sequence = env->disk_sequence;
	} else {
		boot_id_get(cache->boot_id);
		cache->disk_sequence = boot_disk_sequence(bdev);
	}
}

int
life_open(struct tarn_cache *cache, const struct tarn_cache_opts *opts,
	  const struct tarn_cache_env *env, struct tarn_reason *reason)
{
	int status = check_name(opts->name, reason);

	if (status != 0)
		return status;
	if (opts->default_ttl_s < 0)
		return tarn_reason_set(reason, -EINVAL, "default_ttl_s: below 0");
	tarn_strcpy(cache->name, sizeof(cache->name), opts->name);
	TAILQ_INSERT_TAIL(&caches, cache, link);
	cache->listed = true; /* its name is taken; it is found when it runs */
	if (opts->bdev_name == NULL)
		return tarn_reason_set(reason, -EINVAL, "bdev_name: is missing");
	status = tarn_bdev_open(opts->bdev_name, true, NULL, NULL, &cache->desc);
	if (status != 0)
		return tarn_reason_set(reason, status, "bdev '%s': %s", opts->bdev_name,
				       strerror(-status));
	status = tarn_bdev_claim(cache->desc, "cache");
	if (status != 0)
		return tarn_reason_set(reason, status, "bdev '%s' is in use", opts->bdev_name);
	cache->claimed = true;
	status = tarn_channel_get(cache->desc, &cache->channel);
	if (status != 0)
		return status;
	take_env(cache, env);
	cache->default_ttl_s = opts->default_ttl_s;
	cache->max_object_bytes = opts->max_object_bytes;
	return life_set_interval(cache, opts->checkpoint_interval_s);
}

int
life_make_shards(struct tarn_cache *cache)
{
	const struct disk_super *super = cache->super;
	uint64_t largest = (uint64_t)super->segment_bytes - 8 * DISK_BLOCK;
	void *memory;

	cache->seed = format_cache_seed(super->uuid);
	cache->segment_bytes = super->segment_bytes;
	cache->segment_count = super->segment_count;
	cache->info.max_object_bytes = largest;
	if (cache->max_object_bytes == 0 || cache->max_object_bytes > largest)
		cache->max_object_bytes = largest;
	memory = aligned_alloc(
	    TARN_CACHE_LINE_BYTES,
	    tarn_align_up(super->shard_count * sizeof(struct shard), TARN_CACHE_LINE_BYTES));
	if (memory == NULL)
		return -ENOMEM;
	memset(memory, 0, super->shard_count * sizeof(struct shard));
	cache->shards = memory;
	for (uint32_t i = 0; i < super->shard_count; i++) {
		int status;

		cache->shard_count = i + 1;
		status = shard_init(cache, &cache->shards[i], i);
		if (status != 0)
			return status;
	}
	return 0;
}

void
life_clean_shard(struct shard *shard, const struct disk_checkpoint_shard *part)
{
	for (uint64_t sequence = part->tail; sequence <= part->head; sequence++) {
		struct segment *segment = segment_of(shard, sequence);

		if (segment->sequence != sequence)
			*segment = (struct segment){ .sequence = sequence };
		segment->state = SEGMENT_SEALED;
	}
	/* It was open when the image was made. */
	if (part->head != 0)
		segment_of(shard, part->head)->end_block = (uint32_t)part->head_end;
	shard->freed = shard->tail = part->tail;
	shard->durable_tail = shard->committed_tail = shard->told_tail = part->tail;
	shard->head = part->head;
	shard->next_floor = tarn_max_u64(part->head, part->floor);
	if (part->tail <= part->head) /* otherwise the log is empty: see replay_finish() */
		shard->committed = shard->durable =
		    shard_position(shard, part->head, (uint32_t)part->head_end);
	shard->batch_number = part->batch_number;
}

void
life_not_before(struct tarn_cache *cache, uint64_t time_s)
{
	uint64_t now_s = cache_now_s(cache);

	if (time_s > now_s)
		cache->anchor_s += time_s - now_s;
}

void
life_running(struct tarn_cache *cache)
{
	atomic_store(&cache->state, CACHE_RUNNING);
}

/* --- Ending --- */

static void
free_all(struct closing *closing)
{
	struct tarn_cache *cache = closing->cache;

	for (uint32_t i = 0; i < cache->shard_count; i++)
		shard_fini(&cache->shards[i]);
	free(cache->shards);
	super_fini(cache);
	tarn_poller_unregister(&cache->checkpoint_poller);
	if (cache->channel != NULL)
		tarn_channel_put(cache->channel);
	if (cache->claimed)
		tarn_bdev_release(cache->desc);
	if (cache->desc != NULL)
		tarn_bdev_close(cache->desc);
	if (cache->listed)
		TAILQ_REMOVE(&caches, cache, link);
	closing->done(cache, closing->arg);
	life_free(cache);
}

static void
shards_stopped(struct fan *fan, int status)
{
	(void)status;
	free_all(tarn_container_of(fan, struct closing, fan));
}

static void
stop_shard(struct fan_slot *slot)
{
	shard_stop(slot->shard);
	fan_answer(slot, 0);
}

static void
close_now(void *arg)
{
	struct closing *closing = arg;

	closing->fan.cache = closing->cache;
	closing->fan.fn = stop_shard;
	closing->fan.done = shards_stopped;
	if (closing->cache->shard_count != 0)
		fan_out(&closing->fan);
	else
		free_all(closing);
}

void
life_close(struct tarn_cache *cache, void (*done)(struct tarn_cache *cache, void *arg), void *arg)
{
	struct closing *closing = cache->closing;

	closing->cache = cache;
	closing->done = done;
	closing->arg = arg;
	/* Later: the I/O whose callback this may be is over by then. */
	tarn_msg_send(tarn_reactor_get(0), &closing->msg, close_now, closing);
}

/* --- Names --- */

void
life_uuid_text(const uint8_t uuid[16], char ret[37])
{
	snprintf(ret, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
		 uuid[0], uuid[1], uuid[2], uuid[3], uuid[4], uuid[5], uuid[6], uuid[7], uuid[8],
		 uuid[9], uuid[10], uuid[11], uuid[12], uuid[13], uuid[14], uuid[15]);
}

struct tarn_cache *
tarn_cache_next(struct tarn_cache *cache)
{
	do
		cache = cache == NULL ? TAILQ_FIRST(&caches) : TAILQ_NEXT(cache, link);
	while (cache != NULL && atomic_load(&cache->state) == CACHE_STARTING);
	return cache;
}

struct tarn_cache *
tarn_cache_find(const char *name)
{
	struct tarn_cache *cache = tarn_cache_next(NULL);

	while (cache != NULL && strcmp(cache->name, name) != 0)
		cache = tarn_cache_next(cache);
	return cache;
}

const char *
tarn_cache_name(const struct tarn_cache *cache)
{
	return cache->name;
}

const char *
tarn_cache_bdev_name(const struct tarn_cache *cache)
{
	return tarn_bdev_name(tarn_bdev_desc_bdev(cache->desc));
}
