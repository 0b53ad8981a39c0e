/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Superblocks: one copy is written, and flushed, then the other, so that one is always whole, and
 * each of them tells everything; after a failure it is the one that failed again.
 *
 *	IDLE --super_write--> write --> flush --> write --> flush --> done --queue--> write, or IDLE
 */
#include "lib/cache/super.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tarn/log.h"

struct super_io {
	struct tarn_io io;
	struct flush_request flush;
	bool second;		 /* the other copy is whole already */
	struct disk_super *next; /* what is being written */
	TAILQ_HEAD(, super_write) queue;
};

static void begin(struct tarn_cache *cache);
static void write_copy(struct tarn_cache *cache, uint32_t slot);

int
super_init(struct tarn_cache *cache)
{
	struct super_io *super_io = calloc(1, sizeof(*super_io));

	cache->super_io = super_io;
	if (super_io == NULL)
		return -ENOMEM;
	TAILQ_INIT(&super_io->queue);
	super_io->next = tarn_iobuf_get(DISK_BLOCK);
	cache->super = tarn_iobuf_get(DISK_BLOCK);
	if (super_io->next == NULL || cache->super == NULL)
		return -ENOMEM;
	memset(cache->super, 0, DISK_BLOCK);
	return 0;
}

void
super_fini(struct tarn_cache *cache)
{
	if (cache->super_io != NULL)
		tarn_iobuf_put(cache->super_io->next);
	tarn_iobuf_put(cache->super);
	free(cache->super_io);
	cache->super_io = NULL;
	cache->super = NULL;
}

static void
finish(struct tarn_cache *cache, int status)
{
	struct super_io *super_io = cache->super_io;
	struct super_write *write = TAILQ_FIRST(&super_io->queue);

	if (status == 0) {
		memcpy(cache->super, super_io->next, DISK_BLOCK);
		cache->super_slot ^= 1; /* the copy that was written first, and is whole */
	}
	TAILQ_REMOVE(&super_io->queue, write, link);
	if (!TAILQ_EMPTY(&super_io->queue))
		begin(cache);
	write->done(write, status);
}

/* One copy is enough for the change to be made; where the other fails it is written next. */
static void
second_ended(struct tarn_cache *cache, int status)
{
	if (status != 0)
		tarn_warning("cache '%s': one of its two superblocks could not be written: %s",
			     cache->name, strerror(-status));
	finish(cache, 0);
}

static void
flushed(void *arg, int status)
{
	struct tarn_cache *cache = arg;
	struct super_io *super_io = cache->super_io;

	if (super_io->second) {
		second_ended(cache, status);
	} else if (status != 0) {
		finish(cache, status);
	} else {
		super_io->second = true;
		write_copy(cache, cache->super_slot);
	}
}

static void
written(void *arg, int status)
{
	struct tarn_cache *cache = arg;

	if (status == 0)
		flush_device(cache, &cache->super_io->flush, flushed, cache);
	else if (cache->super_io->second)
		second_ended(cache, status);
	else
		finish(cache, status);
}

static void
write_copy(struct tarn_cache *cache, uint32_t slot)
{
	cache->super_io->flush.mark = flush_mark(cache);
	tarn_bdev_write(cache->channel, &cache->super_io->io, cache->super_io->next, DISK_BLOCK,
			(uint64_t)slot * DISK_BLOCK, 0, written, cache);
}

static void
begin(struct tarn_cache *cache)
{
	struct super_io *super_io = cache->super_io;
	struct super_write *write = TAILQ_FIRST(&super_io->queue);
	struct disk_super *next = super_io->next;

	memcpy(next, cache->super, DISK_BLOCK);
	write->change(write, next);
	/* Another one also after a failure, of which it is not known what it left. */
	next->sequence = ++cache->super_sequence;
	format_super_seal(next);
	super_io->second = false;
	write_copy(cache, cache->super_slot ^ 1);
}

void
super_write(struct tarn_cache *cache, struct super_write *write)
{
	bool idle = TAILQ_EMPTY(&cache->super_io->queue);

	write->cache = cache;
	TAILQ_INSERT_TAIL(&cache->super_io->queue, write, link);
	if (idle)
		begin(cache);
}

/* --- Examining --- */

static bool
all_zero(const uint8_t *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (bytes[i] != 0)
			return false;
	return true;
}

enum super_finding
super_examine(const void *start, size_t start_bytes, struct disk_super *ret, uint32_t *ret_slot)
{
	const struct disk_super *best = NULL;
	bool claimed = false, newer = false;

	for (uint32_t i = 0; i < 2; i++) {
		const struct disk_super *super =
		    (const struct disk_super *)(const void *)((const uint8_t *)start +
							      (size_t)i * DISK_BLOCK);
		int status = format_super_verify(super);

		claimed |= format_super_claims(super);
		newer |= status == -EPROTONOSUPPORT;
		if (status == 0 && (best == NULL || super->sequence > best->sequence)) {
			best = super;
			*ret_slot = i;
		}
	}
	if (newer)
		return SUPER_NEWER;
	if (best != NULL) {
		memcpy(ret, best, DISK_BLOCK);
		return SUPER_GOOD;
	}
	if (claimed)
		return SUPER_DAMAGED;
	return all_zero(start, start_bytes) ? SUPER_BLANK : SUPER_FOREIGN;
}
