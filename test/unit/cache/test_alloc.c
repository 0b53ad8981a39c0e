/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Each allocation of a call fails in turn, alone or with all that follow, until the call needs no
 * further one: it is refused with -ENOMEM, or does without; nothing is lost, and the next works.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "test/unit/cache/alloc_fault.h"
#include "test/unit/cache/stage.h"
#include "test/unit/cache/volatile.h"

#define ALLOCATIONS_MAX 2000
#define OBJECT_COUNT 60

static uint8_t *image; /* what each attempt finds on the device */

static void
setup(void)
{
	stage_setup_one();
	stage.opts.checkpoint_interval_s = 3600;
	stage_device(STAGE_BYTES);
	image = calloc(1, STAGE_BYTES);
}

static void
teardown(void)
{
	alloc_fault_disarm();
	free(image);
	stage_teardown();
}

static void
take_image(void)
{
	stage_raw(TARN_IO_READ, image, 0, STAGE_BYTES);
}

static void
put_image(void)
{
	stage_raw(TARN_IO_WRITE, image, 0, STAGE_BYTES);
	volatile_touch();
}

static bool
refused(int status)
{
	return status == 0 || status == -ENOMEM;
}

/* --- Creating --- */

/*
 * Create it on the image, again and again. \return allocations that a create makes. objects: what
 * there is to be found.
 */
static uint32_t
create_all(bool on, uint32_t objects)
{
	for (uint32_t n = 1; n < ALLOCATIONS_MAX; n++) {
		bool struck;
		int status;

		put_image();
		alloc_fault_arm(n, on);
		status = stage_open();
		struck = alloc_fault_disarm();
		CU_ASSERT(refused(status) && (struck || status == 0));
		CU_ASSERT((status == 0) == (stage.cache != NULL));
		CU_ASSERT(status == 0 || stage.reason.text[0] != '\0');
		CU_ASSERT(status == 0 || tarn_cache_find("cache") == NULL);
		/* With what is left behind, or without: it starts now. */
		if (status != 0)
			stage_start();
		CU_ASSERT(stage.cache->checkpoint_poller != NULL);
		CU_ASSERT(stage_info().damaged_segments == 0);
		CU_ASSERT(stage_found(0, objects, 1) == objects);
		CU_ASSERT(stage_stop() == 0);
		if (!struck)
			return n - 1;
	}
	return ALLOCATIONS_MAX;
}

static void
create_both_ways(uint32_t objects)
{
	uint32_t count = create_all(false, objects);

	CU_ASSERT(count > 20 && count < ALLOCATIONS_MAX);
	CU_ASSERT(create_all(true, objects) <= count);
}

static void
test_a_format_without_memory_is_refused_and_the_next_one_works(void)
{
	create_both_ways(0);
}

static void
test_a_clean_start_without_memory_is_refused_and_the_next_one_works(void)
{
	stage_start();
	stage_store_many(0, OBJECT_COUNT, 3000, 1, 8);
	CU_ASSERT(stage_stop() == 0);
	take_image();
	create_both_ways(OBJECT_COUNT);
}

/* Bans, values with batches of their own, and a checkpoint in the middle. */
static void
leave_log(bool checkpoint)
{
	stage_start();
	stage_store_many(0, OBJECT_COUNT / 2, 3000, 1, 8);
	CU_ASSERT(stage_purge("q") == 0 && stage_purge("r") == 0);
	CU_ASSERT(stage_store("large", stage_value, 50000) == 0);
	if (checkpoint)
		CU_ASSERT(stage_checkpoint() == 0);
	stage_store_many(OBJECT_COUNT / 2, OBJECT_COUNT / 2, 3000, 1, 8);
	CU_ASSERT(stage_purge("s") == 0);
	CU_ASSERT(stage_block(TARN_CACHE_BLOCK_STORE, TARN_CACHE_BLOCK_DIRTY, 0, 8, 1) == 0);
	stage_crash();
	take_image();
}

static void
test_a_recovery_without_memory_is_refused_and_the_next_one_works(void)
{
	leave_log(false);
	create_both_ways(OBJECT_COUNT);
}

static void
test_a_recovery_from_a_checkpoint_without_memory_is_refused_and_the_next_one_works(void)
{
	leave_log(true);
	create_both_ways(OBJECT_COUNT);
}

/* --- Calls on a running cache --- */

static int
look_up(void)
{
	int status = stage_lookup("k1");

	CU_ASSERT(status != 0 || stage_same(stage_value, 3000, 1, 1));
	return status;
}

static int
look_up_large(void)
{
	return stage_lookup("large");
}

static int
look_up_range(void)
{
	return stage_lookup_range("large", 10000, 9000);
}

static int
store_large(void)
{
	return stage_store("large", stage_value, 90000);
}

static int
touch(void)
{
	return stage_touch("large", 1000);
}

static int
exists(void)
{
	return stage_exists("k2");
}

static int
store_blocks(void)
{
	return stage_block(TARN_CACHE_BLOCK_STORE, 0, 100, 16, 3);
}

static int
look_up_blocks(void)
{
	return stage_block(TARN_CACHE_BLOCK_LOOKUP, 0, 0, 8, 0);
}

static int
purge(void)
{
	return stage_purge("nothing");
}

static int
set_volume(void)
{
	static const uint8_t uuid[16] = { 9 };

	return stage_volume_set(uuid, 4);
}

static int
ban(void)
{
	return stage_ban(1000, 10);
}

static int
set_interval(void)
{
	struct tarn_cache_settings settings, now;
	int status;

	tarn_cache_get_settings(stage.cache, &settings);
	settings.checkpoint_interval_s += 60;
	status = tarn_cache_set_settings(stage.cache, &settings);
	tarn_cache_get_settings(stage.cache, &now);
	CU_ASSERT(now.checkpoint_interval_s ==
		  settings.checkpoint_interval_s - (status == 0 ? 0 : 60));
	CU_ASSERT(stage.cache->checkpoint_poller != NULL);
	return status;
}

struct answer {
	bool done;
	int status;
};

static int
wait_for(const struct answer *answer)
{
	for (uint32_t i = 0; i < 100000 && !answer->done; i++)
		stage_turns(1);
	CU_ASSERT_FATAL(answer->done);
	return answer->status;
}

static void
listed(void *arg, int status, const struct tarn_cache_key_info *infos, uint32_t count,
       uint64_t cursor)
{
	(void)infos;
	(void)cursor;
	CU_ASSERT(status != 0 || count > 0);
	*(struct answer *)arg = (struct answer){ true, status };
}

static int
list_keys(void)
{
	struct answer answer = { 0 };

	tarn_cache_list_keys(stage.cache, 0, 100, listed, &answer);
	return wait_for(&answer);
}

static void
expired(void *arg, int status, uint64_t count)
{
	(void)count;
	*(struct answer *)arg = (struct answer){ true, status };
}

static int
expire(void)
{
	struct answer answer = { 0 };

	tarn_cache_expire(stage.cache, expired, &answer);
	return wait_for(&answer);
}

static const struct {
	const char *name;
	int (*fn)(void);
} calls[] = {
	{ "lookup", look_up },
	{ "lookup of a large value", look_up_large },
	{ "lookup of a range", look_up_range },
	{ "store", store_large },
	{ "touch", touch },
	{ "exists", exists },
	{ "store of blocks", store_blocks },
	{ "lookup of blocks", look_up_blocks },
	{ "purge", purge },
	{ "volume_set", set_volume },
	{ "ban", ban },
	{ "list_keys", list_keys },
	{ "expire", expire },
	{ "flush", stage_flush },
	{ "checkpoint", stage_checkpoint },
	{ "set_settings", set_interval },
};

/* \return how many allocations the call makes. */
static uint32_t
call_all(uint32_t call, bool on)
{
	for (uint32_t n = 1; n < ALLOCATIONS_MAX; n++) {
		bool struck, good;
		int status;

		alloc_fault_arm(n, on);
		status = calls[call].fn();
		struck = alloc_fault_disarm();
		good = refused(status) && (struck || status == 0) && calls[call].fn() == 0;
		if (!good)
			printf("# %s, allocation %u: %d\n", calls[call].name, n, status);
		CU_ASSERT(good);
		if (!struck)
			return n - 1;
	}
	return ALLOCATIONS_MAX;
}

static void
test_calls_without_memory_are_refused_and_the_cache_goes_on(void)
{
	stage_start();
	stage_store_many(0, OBJECT_COUNT, 3000, 1, 8);
	CU_ASSERT(store_large() == 0);
	CU_ASSERT(stage_block(TARN_CACHE_BLOCK_STORE, TARN_CACHE_BLOCK_DIRTY, 0, 8, 1) == 0);
	for (uint32_t i = 0; i < tarn_array_count(calls); i++) {
		uint32_t count = call_all(i, false);

		CU_ASSERT(count < ALLOCATIONS_MAX && call_all(i, true) <= count);
		CU_ASSERT(stage_found(0, OBJECT_COUNT, 1) == OBJECT_COUNT);
	}
}

static void
test_reclaim_without_memory_costs_clean_objects_and_no_dirty_blocks(void)
{
	static uint8_t value[3000];
	uint32_t count, refused_count = 0;

	stage_start();
	count = stage.cache->shards[0].segment_count * 40;
	CU_ASSERT(stage_block(TARN_CACHE_BLOCK_STORE, TARN_CACHE_BLOCK_DIRTY, 0, 64, 1) == 0);
	for (uint32_t i = 0; i < count; i++) {
		char key[16];
		int status;

		snprintf(key, sizeof(key), "r%u", i);
		alloc_fault_arm(i % 5 + 1, i % 7 == 0);
		status = stage_store(key, value, sizeof(value));
		alloc_fault_disarm();
		CU_ASSERT_FATAL(refused(status));
		refused_count += status != 0;
	}
	CU_ASSERT(stage.cache->shards[0].tail > 2 && refused_count < count / 2);
	for (uint32_t i = 0; i < 64; i += 8)
		CU_ASSERT(stage_block(TARN_CACHE_BLOCK_LOOKUP, 0, i, 8, 0) == 0 &&
			  stage_req.hit[0] == 0xff && stage_block_is(0, 1) && stage_block_is(7, 1));
	CU_ASSERT(tarn_cache_dirty_count(stage.cache) == 64);
}

static void
test_a_stop_without_memory_ends_the_cache_and_the_next_start_finds_everything(void)
{
	for (int on = 0; on < 2; on++) {
		bool struck = true;

		for (uint32_t n = 1; struck && n < ALLOCATIONS_MAX; n++) {
			int status;

			stage_start();
			stage_store_many(0, OBJECT_COUNT, 3000, 1, 8);
			alloc_fault_arm(n, on != 0);
			status = stage_stop();
			struck = alloc_fault_disarm();
			CU_ASSERT(refused(status) && (struck || status == 0));
			CU_ASSERT(tarn_cache_find("cache") == NULL);
			stage_start();
			CU_ASSERT(stage_info().damaged_segments == 0);
			CU_ASSERT(stage_found(0, OBJECT_COUNT, 1) == OBJECT_COUNT);
			CU_ASSERT(stage_stop() == 0);
		}
		CU_ASSERT(!struck);
	}
}

UT_SUITE(
    cache_alloc, setup, teardown,
    UT_CASE(test_a_format_without_memory_is_refused_and_the_next_one_works),
    UT_CASE(test_a_clean_start_without_memory_is_refused_and_the_next_one_works),
    UT_CASE(test_a_recovery_without_memory_is_refused_and_the_next_one_works),
    UT_CASE(test_a_recovery_from_a_checkpoint_without_memory_is_refused_and_the_next_one_works),
    UT_CASE(test_calls_without_memory_are_refused_and_the_cache_goes_on),
    UT_CASE(test_reclaim_without_memory_costs_clean_objects_and_no_dirty_blocks),
    UT_CASE(test_a_stop_without_memory_ends_the_cache_and_the_next_start_finds_everything));
