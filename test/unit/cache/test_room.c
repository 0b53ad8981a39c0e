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
	stage_setup();
	stats = calloc(1, sizeof(*stats));
	stage.opts.shard_count = 1;
	stage.opts.segment_bytes = 128 * 1024;
	stage_device(16u << 20);
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

UT_SUITE(cache_room, setup, teardown,
	 UT_CASE(test_with_everything_used_half_of_each_segment_is_appended_again_and_not_more));
