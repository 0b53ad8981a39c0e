/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A start from its superblock on; see start.h.
 *
 *	shards --> [load: clean, or recover] --> flush
 *	       --> superblock (this boot; not clean) --> serve
 */
#include "lib/cache/start.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cache/recover.h"
#include "tarn/log.h"

static void load(struct start *start);
static void flush(struct start *start);

void
start_free(struct start *start)
{
	checkpoint_found_fini(&start->found);
	tarn_iobuf_put(start->buf);
	free(start->name);
	free(start->bdev_name);
	free(start->uuid);
	free(start);
}

static void
failed(struct tarn_cache *cache, void *arg)
{
	struct start *start = arg;

	(void)cache;
	start->cb(start->arg, start->status, NULL, &start->reason);
	start_free(start);
}

void
start_fail(struct start *start, int status)
{
	if (start->reason.text[0] == '\0')
		tarn_reason_set(&start->reason, status, "cache '%s' on bdev '%s': %s",
				start->opts.name, start->opts.bdev_name, strerror(-status));
	start->status = status;
	life_close(start->cache, failed, start);
}

/* --- Serve --- */

static void
served(struct fan *fan, int status)
{
	struct start *start = tarn_container_of(fan, struct start, fan);
	struct tarn_cache *cache = start->cache;

	(void)status;
	cache->info.recovery_us = (tarn_now_ns() - start->start_ns) / 1000;
	life_running(cache);
	start->cb(start->arg, 0, cache, &start->reason);
	start_free(start);
}

/*
 * Recovery has found that flushed log is damaged: what is clean before it is dropped. It may be
 * there at the next start, where a read failed that does not then; but what is removed meanwhile
 * leaves no tombstone, since it is not there. So the log says what was dropped, before all else.
 */
static void
note_damage(struct shard *shard)
{
	struct disk_ban rule = { .kind = DISK_BAN_DAMAGE };
	struct disk_entry entry = { .kind = DISK_BAN, .length = sizeof(rule) };
	struct log_slot place;
	int status = log_append(shard, LOG_TOMBSTONE, &entry, entry.length, &place);

	if (status == -EAGAIN)
		shard_block(shard, &shard->damage_task);
	if (status != 0)
		return;
	/* What was lost may have reached farther than the log does now; what comes is whole. */
	rule.position = tarn_min_u64(shard->recovered.damage, place.position);
	memcpy(place.payload, &rule, sizeof(rule));
	place.entry->crc32c =
	    tarn_crc32c(format_seed(place.seed, place.place), place.payload, entry.length);
	/* So that it goes along where a gap is closed. */
	(void)ban_add(&shard->bans, &rule, NULL);
}

static void
note_task(struct shard_task *task)
{
	note_damage(tarn_container_of(task, struct shard, damage_task));
}

static void
serve_shard(struct fan_slot *slot)
{
	struct shard *shard = slot->shard;

	shard->running = true;
	shard->damage_task.run = note_task;
	if (shard->recovered.damage > shard_position(shard, shard->tail, 0) * DISK_BLOCK_UNITS)
		note_damage(shard);
	fan_answer(slot, 0);
}

static void
super_written(struct super_write *write, int status)
{
	struct start *start = tarn_container_of(write, struct start, write);

	if (status != 0) {
		start_fail(start, status);
		return;
	}
	start->fan.fn = serve_shard;
	start->fan.done = served;
	fan_out(&start->fan);
}

static void
super_open(struct super_write *write, struct disk_super *super)
{
	struct tarn_cache *cache = write->cache;
	struct tarn_bdev_info info;

	tarn_bdev_get_info(tarn_bdev_desc_bdev(cache->desc), &info);
	super->flags = info.write_cache ? DISK_SUPER_WRITE_CACHE : 0;
	super->time_s = cache_now_s(cache);
	super->disk_sequence = cache->disk_sequence;
	super->checkpoint_sequence = 0;
	memcpy(super->boot_id, cache->boot_id, sizeof(super->boot_id));
}

static void
flushed(void *arg, int status)
{
	struct start *start = arg;

	if (status != 0) {
		start_fail(start, status);
		return;
	}
	start->write.change = super_open;
	start->write.done = super_written;
	super_write(start->cache, &start->write);
}

static void
flush(struct start *start)
{
	tarn_bdev_flush(start->cache->channel, &start->io, flushed, start);
}

/* --- Load --- */

static void
gather(struct tarn_cache *cache)
{
	struct tarn_cache_info *info = &cache->info;

	for (uint32_t i = 0; i < cache->shard_count; i++) {
		const struct shard *shard = &cache->shards[i];

		info->checkpoint_used |= shard->recovered.checkpoint_used;
		info->checkpoint_damaged |= shard->recovered.checkpoint_damaged;
		info->recovered_entries += shard->index.entry_count;
		info->suspect_entries += shard->index.suspect_count;
		info->damaged_segments += shard->recovered.damaged_count;
		life_not_before(cache, shard->recovered.time_s);
	}
}

static void
tell(const struct tarn_cache *cache)
{
	const struct tarn_cache_info *info = &cache->info;

	if (info->checkpoint_damaged)
		tarn_warning("cache '%s': its checkpoint is damaged, and the log was read instead",
			     cache->name);
	if (info->damaged_segments != 0)
		tarn_warning("cache '%s': flushed log is damaged in %" PRIu64
			     " places; clean entries before that are dropped, %" PRIu64
			     " dirty blocks cannot be trusted and are read as errors",
			     cache->name, info->damaged_segments, info->suspect_entries);
}

static void
recovered(struct fan *fan, int status)
{
	struct start *start = tarn_container_of(fan, struct start, fan);

	if (status != 0) {
		start_fail(start, status);
		return;
	}
	gather(start->cache);
	tell(start->cache);
	checkpoint_keep_older(start->cache, &start->found);
	flush(start);
}

static void
recover_one(struct fan_slot *slot)
{
	struct start *start = tarn_container_of(slot->fan, struct start, fan);
	int best = start->found.best, older = start->found.older;
	const struct disk_checkpoint *second = older >= 0 ? start->found.disk[older] : NULL;

	if (best >= 0)
		recover_shard(slot, start->found.disk[best], second);
	else
		recover_shard(slot, second, NULL);
}

static void
recover(struct start *start)
{
	start->cache->info.clean_start = false;
	start->fan.fn = recover_one;
	start->fan.done = recovered;
	fan_out(&start->fan);
}

static void
clean_loaded(struct fan *fan, int status)
{
	struct start *start = tarn_container_of(fan, struct start, fan);

	if (status == -EBADMSG || status == -EIO) {
		/* All shards: those that loaded begin anew. */
		start->cache->info.checkpoint_damaged = true;
		start->found.best = -1;
		recover(start);
	} else {
		recovered(fan, status);
	}
}

static void
clean_shard_loaded(void *arg, int status)
{
	struct fan_slot *slot = arg;
	struct start *start = tarn_container_of(slot->fan, struct start, fan);
	const struct disk_checkpoint *disk = start->found.disk[start->found.best];

	if (status == 0)
		life_clean_shard(slot->shard, &disk->shard[slot->shard->number]);
	fan_answer(slot, status);
}

static void
load_clean(struct fan_slot *slot)
{
	struct start *start = tarn_container_of(slot->fan, struct start, fan);

	checkpoint_load(slot->shard, start->found.disk[start->found.best], true, clean_shard_loaded,
			slot);
}

/* Whether only the process died, for certain; and whether that is possible. */
static void
compare_boots(struct tarn_cache *cache)
{
	const struct disk_super *super = cache->super;
	bool boot = memcmp(cache->boot_id, super->boot_id, sizeof(cache->boot_id)) == 0;
	bool known = cache->disk_sequence != 0 && super->disk_sequence != 0;
	bool disk = cache->disk_sequence == super->disk_sequence;

	cache->info.same_boot = boot && known && disk;
	cache->memory_read = boot && (!known || disk);
}

static void
checkpoints_found(void *arg, int status)
{
	struct start *start = arg;
	struct tarn_cache *cache = start->cache;
	const struct disk_checkpoint *best =
	    start->found.best >= 0 ? start->found.disk[start->found.best] : NULL;
	bool clean = (cache->super->flags & DISK_SUPER_CLEAN) != 0;

	if (status != 0) {
		start_fail(start, status);
		return;
	}
	if (best != NULL) {
		cache->checkpoint_sequence = best->sequence;
		life_not_before(cache, best->time_s);
	}
	cache->checkpoint_sequence =
	    tarn_max_u64(cache->checkpoint_sequence, cache->super->checkpoint_sequence);
	compare_boots(cache);
	if (!clean) {
		recover(start);
	} else if (best != NULL && (best->flags & DISK_CHECKPOINT_CLEAN) != 0 &&
		   best->sequence == cache->super->checkpoint_sequence) {
		cache->info.clean_start = true;
		start->fan.fn = load_clean;
		start->fan.done = clean_loaded;
		fan_out(&start->fan);
	} else {
		cache->info.checkpoint_damaged = true;
		recover(start);
	}
}

static void
load(struct start *start)
{
	checkpoint_find(start->cache, &start->found, checkpoints_found, start);
}

/* --- Shards --- */

static void
shards_started(struct fan *fan, int status)
{
	struct start *start = tarn_container_of(fan, struct start, fan);

	if (status != 0)
		start_fail(start, status);
	else if (start->format)
		flush(start);
	else
		load(start);
}

static void
start_shard(struct fan_slot *slot)
{
	fan_answer(slot, shard_start(slot->shard));
}

void
start_shards(struct start *start)
{
	struct tarn_cache *cache = start->cache;
	int status = life_make_shards(cache);

	if (status != 0) {
		start_fail(start, status);
		return;
	}
	start->fan.cache = cache;
	start->fan.fn = start_shard;
	start->fan.done = shards_started;
	fan_out(&start->fan);
}
