/* SPDX-License-Identifier: BSD-3-Clause */
/* What a clean stop leaves for the next start. */
#include <errno.h>
#include <stdlib.h>

#include "test/unit/cache/stage.h"

static void
test_sequences_seen_behind_the_logs_end_are_passed_over_after_a_clean_stop_too(void)
{
	struct shard *shard;
	uint64_t head, floor;

	stage_start();
	stage_store_many(0, 10, 3000, 1, 4);
	shard = &stage.cache->shards[0];
	head = shard->head;
	floor = shard->next_floor = head + 2; /* as recovery sets it */
	CU_ASSERT(stage_stop() == 0);
	stage_start();
	shard = &stage.cache->shards[0];
	CU_ASSERT(shard->head == head && shard->next_floor == floor);
	stage_store_many(10, 1, 3000, 1, 1);
	CU_ASSERT(shard->head == floor + 1);
	CU_ASSERT(stage_lookup("k3") == 0 && stage_lookup("k10") == 0);
}

static uint32_t
slots_without_a_segment(const struct shard *shard)
{
	uint32_t count = 0;

	for (uint64_t i = 0; i < index_slot_count(&shard->index); i++) {
		const struct index_slot *slot =
		    index_at((struct index *)(uintptr_t)&shard->index, i);

		count += index_kind(slot) != 0 &&
			 shard_segment_at(shard, slot->place)->state == SEGMENT_FREE;
	}
	return count;
}

static void
test_no_entry_is_left_of_what_was_being_freed_at_a_clean_stop(void)
{
	uint32_t key = 130000;

	stage_device(32u << 20);
	stage.opts.segment_bytes = 256 * 1024;
	stage.opts.expected_entry_bytes = 128;
	stage_start();
	stage_store_many(0, key, 64, 1, 128);
	for (uint32_t round = 0; round < 5; round++) {
		const struct shard *shard = &stage.cache->shards[0];

		for (uint32_t i = 0; i < 1000 && shard->freed == shard->tail; i++, key += 40)
			stage_store_many(key, 40, 64, 1, 40);
		CU_ASSERT(shard->freed != shard->tail);
		CU_ASSERT(stage_stop() == 0);
		stage_start();
		CU_ASSERT(slots_without_a_segment(&stage.cache->shards[0]) == 0);
	}
}

/* --- Calls during a stop --- */

#define CALL_COUNT 6

struct calls {
	uint32_t count;
	int status[CALL_COUNT];
};

static void
called(void *arg, int status)
{
	struct calls *calls = arg;

	CU_ASSERT_FATAL(calls->count < CALL_COUNT);
	calls->status[calls->count++] = status;
}

static void
listed(void *arg, int status, const struct tarn_cache_key_info *infos, uint32_t info_count,
       uint64_t cursor)
{
	(void)infos;
	CU_ASSERT(info_count == 0 && cursor == 0);
	called(arg, status);
}

static void
walked(void *arg, const struct tarn_cache_dirty_block *blocks, uint32_t count)
{
	(void)arg;
	(void)blocks;
	(void)count;
	CU_FAIL("a walk of a cache that stops");
}

static void
test_what_is_asked_of_a_cache_that_stops_is_refused_and_what_was_asked_before_ends_first(void)
{
	struct tarn_cache_stats *stats = calloc(1, sizeof(*stats));
	struct tarn_cache_volume volume = { .uuid = { 1 } };
	struct tarn_cache_dirty_walk walk = { .fn = walked };
	struct calls before = { 0 }, calls = { 0 };

	stage_start();
	stage_store_many(0, 10, 3000, 1, 4);
	tarn_cache_get_stats(stage.cache, false, stats, called, &before);
	tarn_cache_volume_set(stage.cache, &volume, called, &before);
	tarn_cache_stop(stage.cache, called, &before);
	tarn_cache_get_stats(stage.cache, true, NULL, called, &calls);
	tarn_cache_list_keys(stage.cache, 0, 10, listed, &calls);
	tarn_cache_each_dirty(stage.cache, &walk, called, &calls);
	tarn_cache_volume_set(stage.cache, &volume, called, &calls);
	tarn_cache_volume_forget(stage.cache, volume.uuid, called, &calls);
	tarn_cache_flush(stage.cache, called, &calls);
	CU_ASSERT(calls.count == 0 && before.count == 0);
	for (uint32_t i = 0; i < 10000 && before.count < 3; i++)
		stage_turns(1);
	stage.cache = NULL;
	CU_ASSERT(before.count == 3);
	CU_ASSERT(before.status[0] == 0 && before.status[1] == 0 && before.status[2] == 0);
	CU_ASSERT(stats->total.store_count == 10);
	CU_ASSERT(calls.count == CALL_COUNT);
	for (uint32_t i = 0; i < CALL_COUNT; i++)
		CU_ASSERT(calls.status[i] == -ESHUTDOWN);
	free(stats);
}

UT_SUITE(
    cache_stop, stage_setup_one, stage_teardown,
    UT_CASE(test_sequences_seen_behind_the_logs_end_are_passed_over_after_a_clean_stop_too),
    UT_CASE(test_no_entry_is_left_of_what_was_being_freed_at_a_clean_stop),
    UT_CASE(
	test_what_is_asked_of_a_cache_that_stops_is_refused_and_what_was_asked_before_ends_first));
