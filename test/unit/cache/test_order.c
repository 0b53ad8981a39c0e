/* SPDX-License-Identifier: BSD-3-Clause */
/* Operations on one key, of which one reads first or waits for room. */
#include <errno.h>
#include <stdlib.h>

#include "lib/cache/reclaim.h"
#include "test/unit/cache/stage.h"

static void
setup(void)
{
	stage_setup();
	stage.opts.shard_count = 1;
	stage.opts.segment_bytes = 128 * 1024;
	stage_device(16u << 20);
}

static void
op_done(struct tarn_cache_op *op)
{
	++*(uint32_t *)op->arg;
}

static struct tarn_cache_op
op_of_key(const char *key, uint32_t *done)
{
	return (struct tarn_cache_op){
		.cache = stage.cache,
		.key = key,
		.key_bytes = (uint32_t)strlen(key),
		.cb = op_done,
		.arg = done,
	};
}

static struct tarn_cache_op
store_of(const char *key, const char *value, uint32_t flags, uint32_t *done)
{
	struct tarn_cache_op op = op_of_key(key, done);

	op.buf = (void *)(uintptr_t)value;
	op.buf_bytes = strlen(value);
	op.flags = flags;
	return op;
}

static void
turn_until(const uint32_t *done, uint32_t count)
{
	for (uint32_t i = 0; i < 10000 && *done < count; i++)
		stage_turns(1);
	CU_ASSERT_FATAL(*done == count);
}

static bool
value_is(const char *key, const char *value)
{
	return stage_lookup(key) == 0 && stage_op.value_bytes == strlen(value) &&
	       memcmp(stage_value, value, strlen(value)) == 0;
}

static void
test_a_store_that_reads_first_is_not_overtaken_by_the_next_of_its_key(void)
{
	uint32_t done = 0;
	struct tarn_cache_op ops[4], *list[4];

	stage_start();
	CU_ASSERT(stage_store("k", "old", 3) == 0 && stage_store("l", "old", 3) == 0);
	ops[0] = store_of("k", "one", TARN_CACHE_IF_PRESENT, &done);
	ops[1] = store_of("k", "two", 0, &done);
	ops[2] = store_of("k", "three", TARN_CACHE_IF_ABSENT, &done);
	ops[3] = store_of("l", "four", 0, &done);
	for (uint32_t i = 0; i < 4; i++)
		list[i] = &ops[i];
	tarn_cache_submit(list, 4, TARN_CACHE_STORE);
	turn_until(&done, 4);
	CU_ASSERT(ops[0].status == 0 && ops[1].status == 0 && ops[2].status == -EEXIST);
	CU_ASSERT(value_is("k", "two") && value_is("l", "four"));
	CU_ASSERT(stage.cache->shards[0].order.count == 0);
}

static void
test_stores_removals_and_touches_of_a_key_keep_their_order(void)
{
	uint32_t done = 0;
	struct tarn_cache_op ops[6];

	stage_start();
	CU_ASSERT(stage_store("k", "old", 3) == 0);
	ops[0] = op_of_key("k", &done);
	ops[0].ttl_s = 1000;
	ops[1] = op_of_key("k", &done);
	ops[2] = store_of("k", "one", TARN_CACHE_IF_PRESENT, &done);
	ops[3] = store_of("k", "two", TARN_CACHE_IF_ABSENT, &done);
	ops[4] = op_of_key("k", &done);
	ops[4].ttl_s = 5000;
	ops[5] = op_of_key("k", &done);
	tarn_cache_touch(&ops[0]);
	tarn_cache_remove(&ops[1]);
	tarn_cache_store(&ops[2]);
	tarn_cache_store(&ops[3]);
	tarn_cache_touch(&ops[4]);
	turn_until(&done, 5);
	CU_ASSERT(ops[0].status == 0 && ops[0].expiry_s == STAGE_WALL_S + 1001);
	CU_ASSERT(ops[1].status == 0 && ops[2].status == -ENOENT && ops[3].status == 0);
	CU_ASSERT(ops[4].status == 0 && ops[4].expiry_s == STAGE_WALL_S + 5001);
	CU_ASSERT(value_is("k", "two") && stage_op.expiry_s == STAGE_WALL_S + 5001);
	CU_ASSERT(stage.cache->shards[0].order.count == 0);
}

static void
test_a_removal_needs_no_room_where_stores_wait_but_waits_for_those_of_its_key(void)
{
	uint8_t *value = calloc(1, 4000);
	uint32_t done = 0, removed = 0, stored = 0;
	struct tarn_cache_op store, remove;
	struct shard *shard;

	stage_start();
	CU_ASSERT(stage_store("k", "old", 3) == 0 && stage_store("l", "old", 3) == 0);
	CU_ASSERT(stage_store("n", "old", 3) == 0);
	shard = &stage.cache->shards[0];
	reclaim_hold(shard);
	do {
		store = store_of("k", "", 0, &done);
		store.buf = value;
		store.buf_bytes = 4000;
		tarn_cache_store(&store);
		for (uint32_t i = 0; i < 300 && done == stored; i++)
			stage_turns(1);
	} while (done == ++stored && stored < 10000);
	CU_ASSERT_FATAL(done + 1 == stored && shard_is_blocked(shard));
	CU_ASSERT(stage_remove("l") == 0 && stage_lookup("l") == -ENOENT);
	CU_ASSERT(segment_free_count(shard) >= SHARD_RESERVE - 1);
	remove = op_of_key("k", &removed);
	tarn_cache_remove(&remove);
	stage_turns(300);
	CU_ASSERT(done + 1 == stored && removed == 0);
	/* Nothing but the end of the log ends this: a removal finds that nothing can be written. */
	stage_inject(TARN_IO_WRITE, TARN_ERROR_FAILURE, UINT64_MAX, 0);
	CU_ASSERT(stage_remove("n") == -EIO);
	turn_until(&done, stored);
	turn_until(&removed, 1);
	CU_ASSERT(store.status == -EIO && remove.status == -EIO);
	CU_ASSERT(shard->order.count == 0);
	free(value);
}

UT_SUITE(cache_order, setup, stage_teardown,
	 UT_CASE(test_a_store_that_reads_first_is_not_overtaken_by_the_next_of_its_key),
	 UT_CASE(test_stores_removals_and_touches_of_a_key_keep_their_order),
	 UT_CASE(test_a_removal_needs_no_room_where_stores_wait_but_waits_for_those_of_its_key));
