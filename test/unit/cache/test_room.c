/* SPDX-License-Identifier: BSD-3-Clause */
/* What takes room in the log, and what has to do with less. */
#include <errno.h>
#include <stdlib.h>

#include "test/unit/cache/stage.h"

#define VALUE 8000 /* two blocks with its head */

static struct tarn_cache_stats *stats;

static void
setup(void)
{
	stage_setup_one();
	stats = calloc(1, sizeof(*stats));
}

static void
teardown(void)
{
	free(stats);
	stage_teardown();
}

static void
look_up_all(uint32_t first, uint32_t count)
{
	for (uint32_t i = first; i < first + count; i++) {
		char key[16];

		snprintf(key, sizeof(key), "k%u", i);
		stage_lookup_range(key, 0, 0);
	}
}

static void
test_with_everything_used_half_of_each_segment_is_appended_again_and_not_more(void)
{
	struct tarn_cache_counters *now = &stats->total;
	uint64_t freed, again;

	stage_device(16u << 20);
	stage_start();
	stage_store_many(0, 2000, VALUE, 1, 32);
	look_up_all(0, 2000);
	stage_stats(stats);
	freed = now->segment_freed_count;
	again = now->reappended_count;
	stage_store_many(2000, 200, VALUE, 1, 32);
	stage_stats(stats);
	freed = now->segment_freed_count - freed;
	again = now->reappended_count - again;
	CU_ASSERT(freed > 10);
	/* Two blocks of 32 each; a segment may have been appended from and not be free yet. */
	CU_ASSERT(again > freed * 4 && again <= (freed + SHARD_FREEING_MAX + 1) * 8);
}

/* --- No I/O memory --- */

#define HOARD_MAX 4096

static uint32_t
hoard_size(void **bufs, uint32_t count, size_t bytes)
{
	while (count < HOARD_MAX && (bufs[count] = tarn_iobuf_get(bytes)) != NULL)
		count++;
	return count;
}

static void
test_a_large_store_for_which_there_is_no_memory_is_refused_and_leaves_nothing_old(void)
{
	void **bufs = calloc(HOARD_MAX, sizeof(*bufs));
	uint8_t *value = calloc(1, 700000);
	uint32_t count;

	stage_device(96u << 20);
	stage.opts.segment_bytes = 1 << 20;
	stage_start();
	CU_ASSERT(stage_store("large", value, 700000) == 0 && stage_lookup("large") == 0);
	CU_ASSERT(stage_store("other", value, 700000) == 0);
	count = hoard_size(bufs, hoard_size(bufs, 0, 2 << 20), 1 << 20);
	CU_ASSERT(stage_store("large", value, 700000) == -ENOMEM);
	CU_ASSERT(stage_store("new", value, 700000) == -ENOMEM);
	CU_ASSERT(stage_lookup("large") == -ENOENT && stage_exists("other") == 0);
	CU_ASSERT(stage_store("small", value, 1000) == 0);
	stage_stats(stats);
	CU_ASSERT(stats->total.reject[TARN_CACHE_REJECT_MEMORY] == 2);
	while (count > 0)
		tarn_iobuf_put(bufs[--count]);
	CU_ASSERT(stage_store("large", value, 700000) == 0 && stage_lookup("large") == 0);
	free(value);
	free(bufs);
}

UT_SUITE(
    cache_room, setup, teardown,
    UT_CASE(test_with_everything_used_half_of_each_segment_is_appended_again_and_not_more),
    UT_CASE(test_a_large_store_for_which_there_is_no_memory_is_refused_and_leaves_nothing_old));
