/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A shard's memory, its poller, and the queue of work that waits for room in its log.
 *
 * Tasks that found no room wait in order, and new ones queue behind them. Everything that gives
 * room (a commit, a freed segment) tries them again.
 */
#include "lib/cache/shard.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/cache/block.h"
#include "lib/cache/fan.h"
#include "lib/cache/internal.h"
#include "lib/cache/reclaim.h"

#define RIDE_ALONG_NS 2000000
#define SWEEP_STEP 4096 /* slots looked at in one turn */

/* --- Tasks --- */

void
shard_block(struct shard *shard, struct shard_task *task)
{
	TAILQ_INSERT_TAIL(&shard->blocked, task, link);
	shard->counters.throttled_count++;
}

static void
retry(void *arg)
{
	struct shard *shard = arg;
	struct shard_tasks tasks = TAILQ_HEAD_INITIALIZER(tasks);
	struct shard_task *task;

	/* One that finds no room again queues first: those behind it keep their order. */
	TAILQ_CONCAT(&tasks, &shard->blocked, link);
	while ((task = TAILQ_FIRST(&tasks)) != NULL && TAILQ_EMPTY(&shard->blocked)) {
		TAILQ_REMOVE(&tasks, task, link);
		task->run(task);
	}
	TAILQ_CONCAT(&shard->blocked, &tasks, link);
}

void
shard_unblock(struct shard *shard)
{
	if (!TAILQ_EMPTY(&shard->blocked))
		tarn_deferred_schedule(&shard->retry);
}

static void
settle(void *arg)
{
	struct shard *shard = arg;
	struct shard_settleds settleds = TAILQ_HEAD_INITIALIZER(settleds);
	struct shard_settled *settled;

	/* Who is told may ask for more, which may settle at once: that is for the next turn. */
	TAILQ_CONCAT(&settleds, &shard->settled, link);
	while ((settled = TAILQ_FIRST(&settleds)) != NULL) {
		TAILQ_REMOVE(&settleds, settled, link);
		settled->fn(settled);
	}
}

void
shard_settle(struct shard *shard, struct shard_settled *settled,
	     void (*fn)(struct shard_settled *settled))
{
	settled->fn = fn;
	TAILQ_INSERT_TAIL(&shard->settled, settled, link);
	tarn_deferred_schedule(&shard->settle);
}

static void
kick(void *arg)
{
	log_kick(arg, false);
}

/* --- The poller --- */

/*
 * Blocks that a ban hits leave the index, some at a time: it is logged already, and dirty ones are
 * to be counted no longer.
 */
static int
sweep(struct shard *shard)
{
	uint64_t count = index_slot_count(&shard->index);

	for (uint32_t i = 0; i < SWEEP_STEP && shard->sweep_next < count; i++) {
		struct index_slot *slot = index_at(&shard->index, shard->sweep_next++);

		if (index_kind(slot) == INDEX_KIND_BLOCK &&
		    ban_hits_block(&shard->bans, index_volume(slot), index_block(slot),
				   shard_slot_position(shard, slot))) {
			shard->counters.banned_count++;
			index_remove(&shard->index, slot);
		}
	}
	shard->sweeping = shard->sweep_next < count;
	return 1;
}

static void
quiesce_flushed(struct log_waiter *waiter, int status)
{
	struct shard *shard = tarn_container_of(waiter, struct shard, quiesce_waiter);

	(void)status; /* where it failed there is a gap, to be closed first */
	shard->quiesce_waiting = false;
}

/*
 * A flush that fails after the end has been told of would open a gap: I/O that nobody waits for,
 * and a clean end that is none. \return whether no flush can do that any more.
 */
static bool
quiesce_durable(struct shard *shard)
{
	if (shard->failed || (shard->committed <= shard->durable && !shard->gap_unpublished))
		return !shard->quiesce_waiting;
	if (!shard->quiesce_waiting) {
		shard->quiesce_waiting = true;
		log_fence(shard, &shard->quiesce_waiter, true, quiesce_flushed);
	}
	return false;
}

/* Everything that was accepted has ended, and the log is written and durable: say so. */
static void
quiesce(struct shard *shard)
{
	struct fan_slot *slot = shard->quiesce;

	if (shard->op_count != 0 || shard_is_blocked(shard))
		return;
	reclaim_hold(shard);
	/* Where the log has failed a gap stays open. */
	if (!reclaim_idle(shard) || (shard->gap_open && !shard->failed) || shard->sweeping)
		return;
	if (shard->open_batch != NULL)
		log_kick(shard, true);
	else if (shard->segment_is_open && !shard->failed)
		segment_seal(shard);
	for (uint32_t i = 0; i < TRAILER_COUNT; i++)
		if (shard->trailers[i].writing || (shard->trailers[i].busy && !shard->failed))
			return;
	if (log_busy(shard) || shard->repairing || shard->open_batch != NULL ||
	    !quiesce_durable(shard))
		return;
	shard->quiesce = NULL;
	fan_answer(slot, shard->failed ? -EIO : 0);
}

static int
shard_poll(void *arg)
{
	struct shard *shard = arg;
	int work = 0;

	if (shard->open_batch != NULL && !shard->open_batch->urgent)
		log_kick(shard, false);
	if (shard->running)
		work = reclaim_step(shard);
	if (tarn_unlikely(shard->sweeping))
		work += sweep(shard);
	if (tarn_unlikely(shard->quiesce != NULL))
		quiesce(shard);
	__atomic_store_n(&shard->gauge_dirty, shard->index.dirty_count, __ATOMIC_RELAXED);
	return work;
}

static uint64_t
shard_may_sleep(void *arg)
{
	struct shard *shard = arg;

	if ((shard->running && reclaim_ready(shard)) || shard->sweeping || shard->quiesce != NULL)
		return TARN_SLEEP_NO;
	return shard->open_batch != NULL ? RIDE_ALONG_NS : TARN_SLEEP_ANY;
}

int
shard_start(struct shard *shard)
{
	struct tarn_poller_opts opts = {
		.name = "cache_shard",
		.fn = shard_poll,
		.arg = shard,
		.may_sleep_ns = shard_may_sleep,
	};
	int status = tarn_channel_get(shard->cache->desc, &shard->channel);

	if (status != 0)
		return status;
	shard->poller = tarn_poller_register(&opts);
	if (shard->poller != NULL)
		return 0;
	tarn_channel_put(shard->channel);
	shard->channel = NULL;
	return -ENOMEM;
}

void
shard_stop(struct shard *shard)
{
	tarn_poller_unregister(&shard->poller);
	if (shard->channel != NULL)
		tarn_channel_put(shard->channel);
	shard->channel = NULL;
}

/* --- Memory --- */

static int
log_init(struct shard *shard)
{
	size_t trailer_bytes =
	    tarn_align_up((uint64_t)shard->segment_blocks * TRAILER_ENTRIES_PER_BLOCK *
			      sizeof(struct disk_entry),
			  DISK_BLOCK) +
	    2 * DISK_BLOCK;

	TAILQ_INIT(&shard->items);
	TAILQ_INIT(&shard->redo);
	for (uint32_t i = 0; i < SHARD_BATCH_COUNT; i++) {
		struct batch *batch = &shard->batches[i];

		batch->item.shard = shard;
		batch->own_buf = tarn_iobuf_get(SHARD_BATCH_BYTES);
		batch->buf = batch->own_buf;
		if (batch->own_buf == NULL)
			return -ENOMEM;
	}
	for (uint32_t i = 0; i < SHARD_HEADER_COUNT; i++) {
		shard->headers[i].item.shard = shard;
		shard->headers[i].disk = tarn_iobuf_get(DISK_BLOCK);
		if (shard->headers[i].disk == NULL)
			return -ENOMEM;
	}
	for (uint32_t i = 0; i < TRAILER_COUNT; i++) {
		shard->trailers[i].shard = shard;
		shard->trailers[i].buf = tarn_iobuf_get(trailer_bytes);
		if (shard->trailers[i].buf == NULL)
			return -ENOMEM;
	}
	return 0;
}

/* 70 % of what the segments hold that are not kept in reserve. */
static uint64_t
dirty_limit(const struct shard *shard)
{
	uint64_t segments = shard->segment_count - 2 * SHARD_RESERVE;
	uint64_t blocks = (uint64_t)(shard->segment_blocks - 3) * DISK_BATCH_ENTRIES / BATCH_BLOCKS;

	return segments * blocks * 7 / 10;
}

static int
reads_init(struct shard *shard)
{
	shard->reads = calloc(SHARD_READ_COUNT, sizeof(*shard->reads));
	for (uint32_t i = 0; shard->reads != NULL && i < SHARD_READ_COUNT; i++) {
		shard->reads[i].next = shard->free_reads;
		shard->free_reads = &shard->reads[i];
	}
	return shard->reads != NULL ? 0 : -ENOMEM;
}

int
shard_init(struct tarn_cache *cache, struct shard *shard, uint32_t number)
{
	int status;

	shard->cache = cache;
	shard->number = number;
	shard->reactor = tarn_reactor_get(number % tarn_reactor_count());
	shard->segment_count = (uint32_t)cache->segment_count;
	shard->segment_blocks = cache->segment_bytes / DISK_BLOCK;
	shard->segment_shift = (uint32_t)__builtin_ctz(shard->segment_blocks);
	shard->rng = cache_random(&cache->rng);
	shard->freed = shard->tail = shard->told_tail = 1;
	shard->dirty_limit = dirty_limit(shard);
	shard->kick = (struct tarn_deferred){ .fn = kick, .arg = shard };
	shard->retry = (struct tarn_deferred){ .fn = retry, .arg = shard };
	shard->settle = (struct tarn_deferred){ .fn = settle, .arg = shard };
	TAILQ_INIT(&shard->blocked);
	TAILQ_INIT(&shard->settled);
	for (uint32_t i = 0; i < SHARD_ORDER_LISTS; i++)
		TAILQ_INIT(&shard->order.lists[i]);
	flush_init(shard);
	shard->segments = calloc(shard->segment_count, sizeof(*shard->segments));
	if (shard->segments == NULL)
		return -ENOMEM;
	status = index_init(&shard->index, cache->super->bucket_count);
	if (status == 0)
		status = ban_list_init(&shard->bans);
	if (status == 0)
		status = reads_init(shard);
	if (status == 0)
		status = log_init(shard);
	return status == 0 ? reclaim_init(shard) : status;
}

void
shard_fini(struct shard *shard)
{
	reclaim_fini(shard);
	for (uint32_t i = 0; i < SHARD_BATCH_COUNT; i++)
		tarn_iobuf_put(shard->batches[i].own_buf);
	for (uint32_t i = 0; i < SHARD_HEADER_COUNT; i++)
		tarn_iobuf_put(shard->headers[i].disk);
	for (uint32_t i = 0; i < TRAILER_COUNT; i++)
		tarn_iobuf_put(shard->trailers[i].buf);
	ban_list_fini(&shard->bans);
	index_fini(&shard->index);
	free(shard->reads);
	free(shard->segments);
	shard->reads = NULL;
	shard->segments = NULL;
}
