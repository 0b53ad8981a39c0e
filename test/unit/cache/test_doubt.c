/* SPDX-License-Identifier: BSD-3-Clause */
/* What a failed flush puts in doubt, and what is told before all of that is settled. */
#include <errno.h>
#include <stdlib.h>

#include "lib/cache/recover.h"
#include "test/unit/cache/stage.h"
#include "test/unit/cache/volatile.h"

#define LARGE_BYTES 140000 /* a batch of its own goes out beside another */

static void
setup(void)
{
	stage_setup();
	stage.opts.shard_count = 1;
	stage.opts.segment_bytes = 256 * 1024;
}

static void
stored(struct tarn_cache_op *op)
{
	*(bool *)op->arg = true;
}

static void
store(struct tarn_cache_op *op, const char *key, void *buf, uint64_t bytes, bool *done)
{
	*op = (struct tarn_cache_op){
		.cache = stage.cache,
		.key = key,
		.key_bytes = 1,
		.buf = buf,
		.buf_bytes = bytes,
		.cb = stored,
		.arg = done,
	};
	tarn_cache_store(op);
	stage_turns(20);
}

static void
test_what_was_written_before_a_failed_flush_and_committed_after_it_is_durable(void)
{
	static const uint8_t uuid[16] = { 1 };
	uint8_t *large = malloc(LARGE_BYTES);
	struct tarn_cache_op ops[2];
	bool done[2] = { false, false };

	stage_fill(large, LARGE_BYTES, 1, 1);
	stage_start();
	stage_store_many(0, 5, 3000, 1, 1);
	CU_ASSERT(stage_flush() == 0);
	stage_inject(TARN_IO_WRITE, TARN_ERROR_PENDING, 1, 0);
	store(&ops[0], "a", large, 5000, &done[0]);
	store(&ops[1], "b", large, LARGE_BYTES, &done[1]);
	CU_ASSERT_FATAL(stage.cache->shards[0].inflight_count == 1 && !done[0] && !done[1]);
	stage_inject(TARN_IO_FLUSH, TARN_ERROR_FAILURE, 1, 0);
	CU_ASSERT(stage_volume_set(uuid, 1) == -EIO);
	volatile_let_go();
	stage_clear();
	stage_turns(100);
	CU_ASSERT(done[0] && done[1] && ops[1].status == 0);
	CU_ASSERT(stage_flush() == 0);
	stage_power_loss(1);
	stage_start();
	CU_ASSERT(stage.cache->info.damaged_segments == 0);
	CU_ASSERT(stage_lookup("a") == 0 && stage_lookup("b") == 0);
	CU_ASSERT(stage_op.value_bytes == LARGE_BYTES);
	CU_ASSERT(stage_same(stage_value, LARGE_BYTES, 1, 1));
	free(large);
}

static void
waited(struct log_waiter *waiter, int status)
{
	waiter->position = status == 0 ? UINT64_MAX : 0;
}

/* A gap is closed, and durable, and the header that is to tell of it hangs. \return its start. */
static uint64_t
untold_gap(struct shard **ret)
{
	struct shard *shard;
	uint64_t from;

	stage_start();
	stage_store_many(0, 5, 3000, 1, 1);
	CU_ASSERT(stage_flush() == 0);
	shard = &stage.cache->shards[0];
	from = shard->durable;
	stage_store_many(5, 5, 3000, 1, 1);
	stage_inject(TARN_IO_FLUSH, TARN_ERROR_FAILURE, 1, 0);
	CU_ASSERT(stage_flush() == -EIO);
	for (uint32_t i = 0; i < 1000 && !shard->gap_unpublished; i++)
		stage_turns(1);
	stage_inject(TARN_IO_WRITE, TARN_ERROR_PENDING, UINT64_MAX, 0);
	stage_turns(100);
	CU_ASSERT_FATAL(shard->gap_unpublished && shard->durable > from);
	*ret = shard;
	return from;
}

static void
test_what_is_durable_behind_a_gap_is_not_told_before_the_gap(void)
{
	struct log_waiter waiter = { .done = waited, .durable = true };
	struct shard *shard;
	uint64_t from = untold_gap(&shard);

	CU_ASSERT(flush_sure(shard) == from);
	waiter.position = shard->durable;
	flush_wait(shard, &waiter);
	stage_turns(100);
	CU_ASSERT(waiter.position == shard->durable);
	stage_clear();
	stage_turns(100);
	CU_ASSERT(waiter.position == UINT64_MAX && !shard->gap_unpublished);
	CU_ASSERT(flush_sure(shard) == shard->durable);
}

static void
flushed(void *arg, int status)
{
	*(int *)arg = status;
}

static void
test_a_gap_that_opens_again_and_grows_keeps_its_start(void)
{
	struct flush_request requests[2];
	struct shard *shard;
	uint64_t from = untold_gap(&shard);

	stage_inject(TARN_IO_FLUSH, TARN_ERROR_FAILURE, 2, 0);
	for (uint32_t i = 0; i < 2; i++) {
		int status = 1;

		flush_device(stage.cache, &requests[i], flushed, &status);
		stage_turns(100);
		CU_ASSERT(status == -EIO && shard->gap_open && shard->doubt_start == from);
	}
	stage_clear();
	CU_ASSERT(stage_flush() == 0);
	CU_ASSERT(shard->gap_start == from && shard->durable >= shard->gap_end);
}

static void
test_a_batch_does_not_pass_over_a_gap_that_its_segment_does_not_know(void)
{
	struct disk_batch *batch = malloc(DISK_BLOCK);
	struct shard *shard;
	uint32_t block;

	stage_start();
	stage_store_many(0, 2, 5000, 1, 1);
	CU_ASSERT(stage_flush() == 0);
	shard = &stage.cache->shards[0];
	shard->gap_start = shard->durable - 1;
	shard->gap_end = shard->durable;
	block = shard->cursor;
	stage_store_many(2, 1, 5000, 1, 1);
	stage_raw(TARN_IO_READ, batch, shard_offset(shard, shard_place(shard, shard->head, block)),
		  DISK_BLOCK);
	CU_ASSERT(batch->sequence == shard->head && batch->durable == shard->gap_start);
	shard->gap_start = shard->gap_end = 0;
	free(batch);
}

static void
test_a_log_does_not_begin_with_segments_that_a_later_one_passes_over(void)
{
	struct shard shard = { .segment_count = 8, .segment_blocks = 32, .segment_shift = 5 };
	struct found_segment found[8] = {
		[3] = { .sequence = 3, .previous = 2, .previous_end = 31 },
		[5] = { .sequence = 5, .previous = 4, .previous_end = 31 },
		[6] = { .sequence = 6, .previous = 1, .previous_end = 9, .tail = 1 },
		[7] = { .sequence = 7, .previous = 6, .previous_end = 31, .tail = 1 },
		[0] = { .sequence = 8, .previous = 7, .previous_end = 31, .tail = 1 },
		[1] = { .sequence = 9, .previous = 8, .previous_end = 31, .tail = 2 },
	};
	struct recovery recovery = {
		.shard = &shard,
		.found = found,
		.max_sequence = 9,
		.durable = UINT64_C(8) * 32,
		.tail = 1,
	};

	CU_ASSERT(claims_judge(&recovery) == 0 && chain_build(&recovery) == 0);
	CU_ASSERT(recovery.chain_count == 4);
	CU_ASSERT(recovery.chain[0].sequence == 6 && !recovery.chain[0].broken);
	CU_ASSERT(recovery.chain[1].sequence == 7 && !recovery.chain[1].broken);
	free(recovery.chain);
}

UT_SUITE(cache_doubt, setup, stage_teardown,
	 UT_CASE(test_what_was_written_before_a_failed_flush_and_committed_after_it_is_durable),
	 UT_CASE(test_what_is_durable_behind_a_gap_is_not_told_before_the_gap),
	 UT_CASE(test_a_gap_that_opens_again_and_grows_keeps_its_start),
	 UT_CASE(test_a_batch_does_not_pass_over_a_gap_that_its_segment_does_not_know),
	 UT_CASE(test_a_log_does_not_begin_with_segments_that_a_later_one_passes_over));
