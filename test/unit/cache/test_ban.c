/* SPDX-License-Identifier: BSD-3-Clause */
/* Bans that take the place of others. */
#include <errno.h>

#include "test/unit/cache/stage.h"

static void
test_a_purge_of_everything_takes_the_place_of_all_others_before_a_crash_and_after(void)
{
	struct tarn_cache_info info;
	char prefix[16];
	int status = 0;

	stage_device(16u << 20);
	stage_start();
	CU_ASSERT(stage_store("old", "v", 1) == 0);
	for (uint32_t i = 0; i < BAN_COUNT_MAX; i++) {
		snprintf(prefix, sizeof(prefix), "p%u/", i);
		status |= stage_purge(prefix);
	}
	CU_ASSERT(status == 0 && stage_purge("another/") == -ENOSPC);
	CU_ASSERT(stage_purge("p1/2/") == -ENOSPC && stage_purge("p1") == 0);
	CU_ASSERT(stage_purge("") == 0 && stage_purge("another/") == 0);
	CU_ASSERT(stage_store("new", "v", 1) == 0 && stage_flush() == 0);
	CU_ASSERT(stage_checkpoint() == 0);
	stage_crash();
	stage_start();
	tarn_cache_get_info(stage.cache, &info);
	CU_ASSERT(info.checkpoint_used && info.damaged_segments == 0);
	CU_ASSERT(stage.cache->shards[0].bans.count == 2);
	CU_ASSERT(stage_lookup("old") == -ENOENT && stage_lookup("new") == 0);
}

UT_SUITE(
    cache_ban, stage_setup_one, stage_teardown,
    UT_CASE(test_a_purge_of_everything_takes_the_place_of_all_others_before_a_crash_and_after));
