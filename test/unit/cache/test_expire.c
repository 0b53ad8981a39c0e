/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "test/unit/cache/stage.h"

struct answer {
	bool done;
	int status;
	uint64_t dropped_count;
};

static void
answered(void *arg, int status, uint64_t dropped_count)
{
	*(struct answer *)arg = (struct answer){ true, status, dropped_count };
}

/* \return how many were dropped. */
static uint64_t
expire(void)
{
	struct answer answer = { 0 };

	tarn_cache_expire(stage.cache, answered, &answer);
	for (uint32_t i = 0; i < 100000 && !answer.done; i++)
		stage_turns(1);
	CU_ASSERT_FATAL(answer.done && answer.status == 0);
	return answer.dropped_count;
}

static uint64_t
entry_count(void)
{
	uint64_t count = 0;

	for (uint32_t i = 0; i < stage.cache->shard_count; i++)
		count += stage.cache->shards[i].index.entry_count;
	return count;
}

static void
store_some(const char *prefix, uint32_t count, int64_t ttl_s)
{
	for (uint32_t i = 0; i < count; i++) {
		char key[24];

		snprintf(key, sizeof(key), "%s%u", prefix, i);
		CU_ASSERT(stage_store_opts(key, stage_value, 3000, 0, ttl_s) == 0);
	}
}

static void
test_what_has_expired_is_dropped_and_nothing_else(void)
{
	stage.opts.segment_bytes = 128 * 1024;
	stage_start();
	store_some("short", 100, 10);
	store_some("long", 40, 1000);
	store_some("ever", 40, 0);
	CU_ASSERT(expire() == 0 && entry_count() == 180);
	stage_time(20);
	CU_ASSERT(expire() == 100 && entry_count() == 80);
	CU_ASSERT(expire() == 0);
	CU_ASSERT(stage_lookup("short7") == -ENOENT);
	CU_ASSERT(stage_lookup("long7") == 0 && stage_lookup("ever7") == 0);
	stage_time(1000);
	CU_ASSERT(expire() == 40 && stage_lookup("ever39") == 0);
}

static void
test_an_older_version_that_has_not_expired_does_not_come_back(void)
{
	stage.opts.shard_count = 1;
	stage_start();
	CU_ASSERT(stage_store("key", "older", 5) == 0);
	CU_ASSERT(stage_flush() == 0);
	CU_ASSERT(stage_store_opts("key", "newer", 5, 0, 5) == 0);
	stage_time(10);
	CU_ASSERT(expire() == 1 && stage_lookup("key") == -ENOENT);
	stage.env.wall_time_s = STAGE_WALL_S + 10;
	stage_crash();
	stage_start();
	CU_ASSERT(stage_lookup("key") == -ENOENT);
	CU_ASSERT(expire() == 1 && stage_flush() == 0);
	stage_power_loss(5);
	stage_start();
	CU_ASSERT(stage_lookup("key") == -ENOENT);
}

/* What is in a gap is not read by recovery: what it stood over would be the newest. */
static void
test_nor_out_of_a_gap(void)
{
	stage.opts.shard_count = 1;
	stage_start();
	CU_ASSERT(stage_store("key", "older", 5) == 0);
	CU_ASSERT(stage_flush() == 0);
	CU_ASSERT(stage_store_opts("key", "newer", 5, 0, 5) == 0);
	stage_time(10);
	CU_ASSERT(expire() == 1);
	stage_inject(TARN_IO_FLUSH, TARN_ERROR_FAILURE, 1, 0);
	CU_ASSERT(stage_flush() == -EIO);
	stage_clear();
	CU_ASSERT(stage_flush() == 0);
	CU_ASSERT(stage_lookup("key") == -ENOENT);
	stage.env.wall_time_s = STAGE_WALL_S + 10;
	stage_power_loss(5);
	stage_start();
	CU_ASSERT(stage_lookup("key") == -ENOENT);
}

UT_SUITE(cache_expire, stage_setup, stage_teardown,
	 UT_CASE(test_what_has_expired_is_dropped_and_nothing_else),
	 UT_CASE(test_an_older_version_that_has_not_expired_does_not_come_back),
	 UT_CASE(test_nor_out_of_a_gap));
