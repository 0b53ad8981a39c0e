/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ending a cache:
 *
 *	refuse new requests --> quiesce: those accepted end, the log is sealed, written and durable
 *	--> checkpoint, clean [delete: instead, superblocks are zeroed]
 *	--> superblock: clean --> close
 *
 * What fails on the way is told, and the end is reached all the same: the next start recovers.
 */
#include <errno.h>
#include <stdlib.h>

#include "lib/cache/checkpoint.h"
#include "lib/cache/life.h"
#include "lib/cache/reclaim.h"
#include "lib/cache/super.h"

struct stop {
	struct tarn_cache *cache;
	tarn_cache_cb cb;
	void *arg;
	int status;
	bool erase, force;
	struct tarn_msg msg;
	struct tarn_io io;
	struct fan fan;
	struct super_write write;
};

static void
closed(struct tarn_cache *cache, void *arg)
{
	struct stop *stop = arg;

	(void)cache;
	stop->cb(stop->arg, stop->status);
	free(stop);
}

/* A flush cycle may still be telling shards of its end. */
static void
close_when_idle(void *arg)
{
	struct stop *stop = arg;

	if (flush_cycle_idle(stop->cache))
		life_close(stop->cache, closed, stop);
	else
		tarn_msg_send(tarn_reactor_get(0), &stop->msg, close_when_idle, stop);
}

static void
ended(struct stop *stop, int status)
{
	if (stop->status == 0)
		stop->status = status;
	close_when_idle(stop);
}

/* --- A clean end --- */

static void
super_written(struct super_write *write, int status)
{
	ended(tarn_container_of(write, struct stop, write), status);
}

static void
super_clean(struct super_write *write, struct disk_super *super)
{
	super->flags |= DISK_SUPER_CLEAN;
	super->checkpoint_sequence = write->cache->checkpoint_sequence;
	super->time_s = cache_now_s(write->cache);
}

static void
checkpointed(void *arg, int status)
{
	struct stop *stop = arg;

	if (status != 0) {
		ended(stop, status);
		return;
	}
	stop->write.change = super_clean;
	stop->write.done = super_written;
	super_write(stop->cache, &stop->write);
}

/* --- An end with nothing left --- */

static void
erase_flushed(void *arg, int status)
{
	ended(arg, status);
}

static void
erased(void *arg, int status)
{
	struct stop *stop = arg;

	if (status != 0)
		ended(stop, status);
	else
		tarn_bdev_flush(stop->cache->channel, &stop->io, erase_flushed, stop);
}

/* All shards are quiet. */
static bool
has_dirty(const struct tarn_cache *cache)
{
	uint64_t dirty = 0;

	for (uint32_t i = 0; i < cache->shard_count; i++)
		dirty += cache->shards[i].index.dirty_count;
	return dirty != 0;
}

static void
quiet(struct fan *fan, int status)
{
	struct stop *stop = tarn_container_of(fan, struct stop, fan);

	/* Dirty blocks that were on their way when the delete was asked for were acknowledged. */
	if (stop->erase && !stop->force && has_dirty(stop->cache)) {
		stop->erase = false;
		stop->status = -EBUSY;
	}
	if (stop->erase)
		tarn_bdev_write_zeroes(stop->cache->channel, &stop->io, 0, SUPER_EXAMINE_BYTES, 0,
				       erased, stop);
	else if (status != 0)
		ended(stop, status);
	else
		checkpoint_write(stop->cache, true, checkpointed, stop);
}

/* --- Quiet --- */

static void
quiesce_shard(struct fan_slot *slot)
{
	slot->shard->quiesce = slot;
}

static void
quiesce(void *arg)
{
	struct stop *stop = arg;

	/* What is under way on all shards ends first; nothing else begins. */
	if (stop->cache->checkpoint != NULL || stop->cache->busy_count != 0) {
		tarn_msg_send(tarn_reactor_get(0), &stop->msg, quiesce, stop);
		return;
	}
	stop->fan.cache = stop->cache;
	stop->fan.fn = quiesce_shard;
	stop->fan.done = quiet;
	fan_out(&stop->fan);
}

struct stop *
stop_new(void)
{
	return calloc(1, sizeof(struct stop));
}

struct refusal {
	struct tarn_msg msg;
	tarn_cache_cb cb;
	void *arg;
	int status;
};

static void
refused(void *arg)
{
	struct refusal *refusal = arg;

	refusal->cb(refusal->arg, refusal->status);
	free(refusal);
}

static void
refuse(tarn_cache_cb cb, void *arg, int status)
{
	struct refusal *refusal = calloc(1, sizeof(*refusal));

	if (refusal == NULL) {
		cb(arg, status);
		return;
	}
	*refusal = (struct refusal){ .cb = cb, .arg = arg, .status = status };
	tarn_msg_send(tarn_reactor_get(0), &refusal->msg, refused, refusal);
}

static void
stop(struct tarn_cache *cache, bool erase, bool force, tarn_cache_cb cb, void *arg)
{
	struct stop *stop;
	int running = CACHE_RUNNING;

	if (!atomic_compare_exchange_strong(&cache->state, &running, CACHE_STOPPING)) {
		refuse(cb, arg, -ESHUTDOWN);
		return;
	}
	stop = cache->stop;
	cache->stop = NULL;
	stop->cache = cache;
	stop->cb = cb;
	stop->arg = arg;
	stop->erase = erase;
	stop->force = force;
	life_set_interval(cache, 0);
	tarn_msg_send(tarn_reactor_get(0), &stop->msg, quiesce, stop);
}

void
tarn_cache_stop(struct tarn_cache *cache, tarn_cache_cb cb, void *arg)
{
	stop(cache, false, false, cb, arg);
}

void
tarn_cache_delete(struct tarn_cache *cache, bool force, tarn_cache_cb cb, void *arg)
{
	if (!force && tarn_cache_dirty_count(cache) != 0)
		refuse(cb, arg, -EBUSY);
	else
		stop(cache, true, force, cb, arg);
}
