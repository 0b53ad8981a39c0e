/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Opening and formatting a cache:
 *
 *	open --> examine --> [format: superblocks] --> shards --> [load: clean, or recover]
 *	     --> flush --> superblock (this boot; not clean) --> serve
 *
 * Each step ends in start_fail() or in the next. The exclusive claim comes before the first read,
 * the flush before the first service, and this boot's identity is written last: whoever dies before
 * that finds the old one, and recovers as this start did.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/cache/boot.h"
#include "lib/cache/checkpoint.h"
#include "lib/cache/geometry.h"
#include "lib/cache/life.h"
#include "lib/cache/recover.h"
#include "lib/cache/super.h"
#include "tarn/log.h"

struct start {
	struct tarn_cache *cache;
	struct tarn_cache_opts opts;
	struct tarn_cache_env env;
	char *name, *bdev_name, *uuid;
	tarn_cache_create_cb cb;
	void *arg;
	struct tarn_reason reason;
	int status;
	uint8_t *buf; /* the first bytes of the device */
	uint64_t buf_bytes;
	struct tarn_io io;
	struct sure_read read;
	uint32_t copy; /* of the superblock, that is read */
	struct tarn_msg msg;
	struct super_write write;
	struct fan fan;
	struct checkpoint_found found;
	uint64_t start_ns;
	bool format;
	bool unreadable; /* the first bytes cannot be read at once */
};

static void load(struct start *start);
static void flush(struct start *start);
static void read_copy(struct start *start);

static void
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

static void
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

static void
serve_shard(struct fan_slot *slot)
{
	slot->shard->running = true;
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
	flush(start);
}

static void
recover_one(struct fan_slot *slot)
{
	struct start *start = tarn_container_of(slot->fan, struct start, fan);
	int best = start->found.best;

	recover_shard(slot, best >= 0 ? start->found.disk[best] : NULL);
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

static void
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

/* --- Format --- */

static void
format_written(struct super_write *write, int status)
{
	struct start *start = tarn_container_of(write, struct start, write);

	if (status != 0)
		start_fail(start, status);
	else
		start_shards(start);
}

static void
format_change(struct super_write *write, struct disk_super *super)
{
	struct start *start = tarn_container_of(write, struct start, write);

	memcpy(super, start->buf, DISK_BLOCK);
}

/* geometry.c speaks of options and sizes alone: here it is said of which cache, and where. */
static int
name_geometry(struct start *start, int status)
{
	struct tarn_reason why = start->reason;

	if (status == 0)
		return 0;
	return tarn_reason_set(&start->reason, status, "cache '%s' on bdev '%s': %s",
			       start->opts.name, start->bdev_name, why.text);
}

static void
format(struct start *start)
{
	struct tarn_cache *cache = start->cache;
	struct disk_super *super = (struct disk_super *)(void *)start->buf;
	uint64_t size = tarn_bdev_size_bytes(tarn_bdev_desc_bdev(cache->desc));
	int status;

	memset(super, 0, DISK_BLOCK);
	status = name_geometry(start, geometry_choose(super, size, &start->opts, &start->reason));
	if (status != 0) {
		start_fail(start, status);
		return;
	}
	for (uint32_t i = 0; i < 2; i++) {
		uint64_t random = cache_random(&cache->rng);

		memcpy(super->uuid + i * sizeof(random), &random, sizeof(random));
	}
	super->uuid[6] = (uint8_t)((super->uuid[6] & 0x0f) | 0x40); /* RFC 9562, version 4 */
	super->uuid[8] = (uint8_t)((super->uuid[8] & 0x3f) | 0x80);
	super->format_time_s = super->time_s = cache_now_s(cache);
	super->next_volume_id = 1;
	cache->info.formatted = true;
	start->format = true;
	start->write.change = format_change;
	start->write.done = format_written;
	super_write(cache, &start->write);
}

/* --- Examine --- */

static int
check_uuid(struct start *start)
{
	char text[37];

	life_uuid_text(start->cache->super->uuid, text);
	if (start->uuid == NULL || strcasecmp(start->uuid, text) == 0)
		return 0;
	return tarn_reason_set(&start->reason, -ENOTUNIQ, "bdev '%s' holds cache %s, not %s",
			       start->bdev_name, text, start->uuid);
}

static void
open_found(struct start *start)
{
	struct tarn_cache *cache = start->cache;
	uint64_t size = tarn_bdev_size_bytes(tarn_bdev_desc_bdev(cache->desc));
	int status = check_uuid(start);

	if (status == 0 && cache->super->device_bytes > size)
		status = tarn_reason_set(&start->reason, -ENOSPC,
					 "bdev '%s' has %" PRIu64
					 " bytes; the cache on it was made for %" PRIu64,
					 start->bdev_name, size, cache->super->device_bytes);
	if (status == 0)
		status = name_geometry(start,
				       geometry_agrees(cache->super, &start->opts, &start->reason));
	if (status != 0) {
		start_fail(start, status);
		return;
	}
	life_not_before(cache, cache->super->time_s);
	start_shards(start);
}

static int
refusal(struct start *start, enum super_finding finding)
{
	const char *bdev = start->bdev_name;

	switch (finding) {
	case SUPER_FOREIGN:
		return tarn_reason_set(&start->reason, -EEXIST,
				       "bdev '%s' is not blank, and holds no cache; force "
				       "formats it and loses what is there",
				       bdev);
	case SUPER_DAMAGED:
		return tarn_reason_set(&start->reason, -EUCLEAN,
				       "bdev '%s': both superblocks of the cache are damaged; "
				       "force formats it and loses what is there",
				       bdev);
	default:
		return tarn_reason_set(&start->reason, -EPROTONOSUPPORT,
				       "bdev '%s' holds a cache of a newer version", bdev);
	}
}

static void
examine(struct start *start)
{
	struct tarn_cache *cache = start->cache;
	enum super_finding finding =
	    super_examine(start->buf, start->buf_bytes, cache->super, &cache->super_slot);

	if (finding == SUPER_GOOD)
		cache->super_sequence = cache->super->sequence;
	if (finding == SUPER_BLANK && start->uuid != NULL && !start->opts.force)
		start_fail(start,
			   tarn_reason_set(&start->reason, -ENOTUNIQ,
					   "bdev '%s' is blank; the cache that was asked for "
					   "has the uuid %s",
					   start->bdev_name, start->uuid));
	else if (start->opts.force || (finding == SUPER_BLANK && !start->unreadable))
		format(start);
	else if (finding == SUPER_GOOD)
		open_found(start);
	else if (start->unreadable && finding != SUPER_NEWER)
		start_fail(start, tarn_reason_set(&start->reason, -EIO,
						  "bdev '%s': no superblock of a cache can be read",
						  start->bdev_name));
	else
		start_fail(start, refusal(start, finding));
}

static void
copy_read(void *arg, int status)
{
	struct start *start = arg;

	if (status != 0)
		memset(start->read.buf, 0, DISK_BLOCK);
	if (start->copy++ == 0)
		read_copy(start);
	else
		examine(start);
}

static void
read_copy(struct start *start)
{
	start->read.offset_bytes = (uint64_t)start->copy * DISK_BLOCK;
	start->read.buf = start->buf + start->read.offset_bytes;
	start->read.length_bytes = DISK_BLOCK;
	sure_read(&start->read, copy_read, start);
}

static void
examined(void *arg, int status)
{
	struct start *start = arg;

	if (status == 0) {
		examine(start);
		return;
	}
	/* One of the two superblocks is enough. */
	memset(start->buf, 0, start->buf_bytes);
	start->unreadable = true;
	read_copy(start);
}

/* --- Open --- */

static int
check_block_size(struct start *start)
{
	struct tarn_bdev_info info;

	tarn_bdev_get_info(tarn_bdev_desc_bdev(start->cache->desc), &info);
	if (DISK_BLOCK % info.block_size == 0 && DISK_BLOCK % info.buffer_align == 0)
		return 0;
	return tarn_reason_set(&start->reason, -EINVAL,
			       "bdev '%s': blocks of %u bytes do not divide %u", start->bdev_name,
			       info.block_size, DISK_BLOCK);
}

static void
examine_device(struct start *start)
{
	start->read.channel = start->cache->channel;
	start->read.buf = start->buf;
	start->read.length_bytes = start->buf_bytes;
	sure_read(&start->read, examined, start);
}

static void
open_bdev(void *arg)
{
	struct start *start = arg;
	struct tarn_cache *cache = start->cache;
	uint64_t size;
	int status;

	start->start_ns = tarn_now_ns();
	status = life_open(cache, &start->opts, &start->env, &start->reason);
	if (status == 0)
		status = check_block_size(start);
	if (status == 0)
		status = super_init(cache);
	if (status != 0) {
		start_fail(start, status);
		return;
	}
	size = tarn_bdev_size_bytes(tarn_bdev_desc_bdev(cache->desc));
	start->buf_bytes = tarn_min_u64(SUPER_EXAMINE_BYTES, size & ~(uint64_t)(DISK_BLOCK - 1));
	start->buf = tarn_iobuf_get(SUPER_EXAMINE_BYTES);
	if (start->buf == NULL || start->buf_bytes < 2 * DISK_BLOCK)
		start_fail(start, start->buf == NULL ? -ENOMEM : -ENOSPC);
	else
		examine_device(start);
}

static char *
copy(const char *text, bool *failed_to)
{
	char *ret = text != NULL ? strdup(text) : NULL;

	*failed_to |= text != NULL && ret == NULL;
	return ret;
}

void
tarn_cache_create(const struct tarn_cache_opts *opts, tarn_cache_create_cb cb, void *arg)
{
	static const struct tarn_reason no_memory = { "no memory" };
	struct start *start = calloc(1, sizeof(*start));
	bool lacking = start == NULL;

	if (start != NULL) {
		start->cache = life_new();
		start->opts = *opts;
		start->opts.name = start->name = copy(opts->name, &lacking);
		start->opts.bdev_name = start->bdev_name = copy(opts->bdev_name, &lacking);
		start->opts.uuid = start->uuid = copy(opts->uuid, &lacking);
		if (opts->env != NULL)
			start->env = *opts->env;
		start->cb = cb;
		start->arg = arg;
		lacking |= start->cache == NULL;
	}
	if (lacking) {
		if (start != NULL) {
			life_free(start->cache);
			start_free(start);
		}
		cb(arg, -ENOMEM, NULL, &no_memory);
		return;
	}
	tarn_msg_send(tarn_reactor_get(0), &start->msg, open_bdev, start);
}
