/* SPDX-License-Identifier: BSD-3-Clause */
/* What is laid out again after a failed write, as it is on the device. */
#include <errno.h>
#include <stdlib.h>

#include "test/unit/cache/stage.h"

static void
stored(struct tarn_cache_op *op)
{
	*(bool *)op->arg = true;
}

static void
test_what_is_laid_out_again_says_no_later_tail_than_it_did_before(void)
{
	bool done = false;
	struct tarn_cache_op op = {
		.key = "key",
		.key_bytes = 3,
		.buf = stage_value,
		.buf_bytes = 5000,
		.cb = stored,
		.arg = &done,
	};
	struct disk_segment *header = malloc(DISK_BLOCK);
	struct disk_batch *batch = malloc(DISK_BLOCK);
	struct shard *shard;
	uint64_t tail, at;

	stage_start();
	stage_store_many(0, 100, 3000, 1, 8);
	shard = &stage.cache->shards[0];
	tail = shard->tail;
	stage_inject(TARN_IO_WRITE, TARN_ERROR_FAILURE, 1, 0);
	op.cache = stage.cache;
	tarn_cache_store(&op);
	/* Its batch is on its way: what the tail moves for now is behind it. */
	for (uint32_t i = 0; i < 100 && (shard->open_batch != NULL || !log_busy(shard)); i++)
		tarn_reactor_turn(shard->reactor);
	CU_ASSERT_FATAL(log_busy(shard));
	shard->tail = tail + 1;
	for (uint32_t i = 0; i < 100 && !done; i++)
		stage_turns(1);
	CU_ASSERT(done && op.status == 0);
	shard->tail = tail;
	at = shard_offset(shard, shard_place(shard, shard->head, 0));
	stage_raw(TARN_IO_READ, header, at, DISK_BLOCK);
	stage_raw(TARN_IO_READ, batch, at + DISK_BLOCK, DISK_BLOCK);
	CU_ASSERT(header->sequence == shard->head && header->tail == tail);
	CU_ASSERT(batch->sequence == shard->head && batch->entry_count == 1);
	CU_ASSERT(batch->tail == tail && shard->committed_tail == tail);
	free(header);
	free(batch);
}

UT_SUITE(cache_repair, stage_setup_one, stage_teardown,
	 UT_CASE(test_what_is_laid_out_again_says_no_later_tail_than_it_did_before));
