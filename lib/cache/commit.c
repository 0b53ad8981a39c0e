/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writing items, and committing them in order (contract C5).
 *
 * An item's write may complete in any order; the front of the list commits while it has been
 * written. Who waits for a batch is told at its commit, or, durable, by a flush that begins after
 * it. A failed item stops everything behind it until nothing is on its way; then repair.c lays the
 * rest out again.
 */
#include "lib/cache/internal.h"

static void
commit_batch(struct shard *shard, struct batch *batch, struct log_waiters *done)
{
	const struct disk_batch *disk = batch_disk(batch);
	struct log_waiter *waiter;

	shard->committed =
	    shard_position(shard, batch->item.sequence, batch->block + batch->block_count);
	if (!batch->packed)
		shard->committed_tail = tarn_max_u64(shard->committed_tail, disk->tail);
	while ((waiter = TAILQ_FIRST(&batch->waiters)) != NULL) {
		TAILQ_REMOVE(&batch->waiters, waiter, link);
		waiter->position = shard->committed;
		if (waiter->durable)
			flush_wait(shard, waiter);
		else
			TAILQ_INSERT_TAIL(done, waiter, link);
	}
	batch_free(shard, batch);
}

static void
commit_header(struct shard *shard, struct log_header *header)
{
	shard->committed = shard_position(shard, header->item.sequence, 1);
	shard->committed_tail = tarn_max_u64(shard->committed_tail, header->disk->tail);
	header->used = false;
}

static void
commit_front(struct shard *shard, struct log_waiters *done)
{
	struct log_item *item;

	while ((item = TAILQ_FIRST(&shard->items)) != NULL && item->done && item->status == 0) {
		TAILQ_REMOVE(&shard->items, item, link);
		shard->failure_count = 0;
		if (item->type == LOG_BATCH)
			commit_batch(shard, tarn_container_of(item, struct batch, item), done);
		else
			commit_header(shard, tarn_container_of(item, struct log_header, item));
	}
}

static void
item_done(void *arg, int status)
{
	struct log_item *item = arg;
	struct shard *shard = item->shard;
	struct log_waiters done = TAILQ_HEAD_INITIALIZER(done);
	struct log_waiter *waiter;

	item->done = true;
	item->status = status;
	shard->inflight_count--;
	if (status != 0) {
		shard->counters.write_error_count++;
		shard->item_failed = true;
	}
	commit_front(shard, &done);
	segment_trailers(shard);
	if (shard->inflight_count == 0 && shard->failed)
		log_drop(shard);
	else if (shard->inflight_count == 0 && shard->item_failed)
		log_repair(shard);
	else if (shard->repairing)
		log_repair_go_on(shard);
	/* Everything is settled: those who are told may append again. */
	while ((waiter = TAILQ_FIRST(&done)) != NULL) {
		TAILQ_REMOVE(&done, waiter, link);
		waiter->done(waiter, 0);
	}
	tarn_deferred_schedule(&shard->kick);
	shard_unblock(shard);
}

void
log_item_submit(struct shard *shard, struct log_item *item, void *buf, uint32_t block,
		uint32_t block_count)
{
	item->done = false;
	item->status = 0;
	TAILQ_INSERT_TAIL(&shard->items, item, link);
	shard->inflight_count++;
	tarn_bdev_write(shard->channel, &item->io, buf, (uint64_t)block_count * DISK_BLOCK,
			shard_offset(shard, block), 0, item_done, item);
}
