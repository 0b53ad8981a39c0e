/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a start finds on the device, and makes of it; see start.h.
 *
 *	open --> examine --> [format: superblocks] --> start_shards()
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/cache/geometry.h"
#include "lib/cache/start.h"

static void read_copy(struct start *start);

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
