/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "test/unit/cache/stage.h"

static void
test_a_stored_value_is_found_with_its_size(void)
{
	stage_start();
	CU_ASSERT(stage_lookup("key") == -ENOENT);
	CU_ASSERT(stage_store("key", "value", 5) == 0);
	CU_ASSERT(stage_lookup("key") == 0);
	CU_ASSERT(stage_op.value_bytes == 5 && stage_op.result_bytes == 5);
	CU_ASSERT(memcmp(stage_value, "value", 5) == 0);
	CU_ASSERT(stage_exists("key") == 0 && stage_op.value_bytes == 5);
}

static void
test_a_value_is_found_from_the_device_once_its_batch_is_written(void)
{
	struct tarn_cache_stats *stats = calloc(1, sizeof(*stats));

	stage_start();
	CU_ASSERT(stage_store("key", "value", 5) == 0);
	CU_ASSERT(stage_lookup("key") == 0);
	stage_stats(stats);
	CU_ASSERT(stats->total.hit_device == 1 && stats->total.hit_ram == 0);
	free(stats);
}

static void
test_a_later_store_replaces_an_earlier_one(void)
{
	stage_start();
	CU_ASSERT(stage_store("key", "one", 3) == 0);
	CU_ASSERT(stage_store("key", "two and more", 12) == 0);
	CU_ASSERT(stage_lookup("key") == 0 && stage_op.value_bytes == 12);
	CU_ASSERT(memcmp(stage_value, "two and more", 12) == 0);
}

static void
test_a_removed_key_is_a_miss(void)
{
	stage_start();
	CU_ASSERT(stage_remove("key") == -ENOENT);
	CU_ASSERT(stage_store("key", "value", 5) == 0);
	CU_ASSERT(stage_remove("key") == 0);
	CU_ASSERT(stage_lookup("key") == -ENOENT);
}

static void
test_values_of_every_size_come_back(void)
{
	static const uint32_t sizes[] = { 0,	1,    15,   16,	   100,	  4000,	  4040,	  4095,
					  4096, 4097, 8192, 12345, 65536, 131071, 131072, 131073 };
	uint8_t *value = malloc(200000);

	stage.opts.segment_bytes = 256 * 1024;
	stage_device(48u << 20);
	stage_start();
	for (uint32_t i = 0; i < tarn_array_count(sizes); i++) {
		char key[16];

		snprintf(key, sizeof(key), "s%u", sizes[i]);
		stage_fill(value, sizes[i], i, 1);
		CU_ASSERT(stage_store(key, value, sizes[i]) == 0);
	}
	for (uint32_t i = 0; i < tarn_array_count(sizes); i++) {
		char key[16];

		snprintf(key, sizeof(key), "s%u", sizes[i]);
		CU_ASSERT(stage_lookup(key) == 0);
		CU_ASSERT(stage_op.value_bytes == sizes[i]);
		CU_ASSERT(stage_same(stage_value, sizes[i], i, 1));
	}
	free(value);
}

static void
test_a_range_of_a_large_value_is_read_without_the_rest(void)
{
	static const uint32_t at[] = { 0, 1, 4095, 4096, 100000, 899999, 900000 };
	uint8_t *value = malloc(900000);

	stage.opts.segment_bytes = 1024 * 1024;
	stage_device(160u << 20);
	stage_start();
	stage_fill(value, 900000, 7, 1);
	CU_ASSERT(stage_store("large", value, 900000) == 0);
	for (uint32_t i = 0; i < tarn_array_count(at); i++) {
		uint64_t want = tarn_min_u64(5000, 900000 - at[i]);

		CU_ASSERT(stage_lookup_range("large", at[i], 5000) == 0);
		CU_ASSERT(stage_op.value_bytes == 900000 && stage_op.result_bytes == want);
		CU_ASSERT(memcmp(stage_value, value + at[i], want) == 0);
	}
	CU_ASSERT(stage_lookup_range("large", 900001, 1) == -EINVAL);
	free(value);
}

static void
test_a_value_that_fills_a_segment_is_stored_and_one_byte_more_is_not(void)
{
	struct tarn_cache_info info;
	uint8_t *value;

	stage_start();
	tarn_cache_get_info(stage.cache, &info);
	value = malloc(info.max_object_bytes + 1);
	stage_fill(value, info.max_object_bytes + 1, 3, 1);
	CU_ASSERT(stage_store("whole", value, info.max_object_bytes) == 0);
	CU_ASSERT(stage_lookup("whole") == 0);
	CU_ASSERT(stage_same(stage_value, info.max_object_bytes, 3, 1));
	CU_ASSERT(stage_store("whole", value, info.max_object_bytes + 1) == -E2BIG);
	/* The old value must not stay under a key whose store was refused. */
	CU_ASSERT(stage_lookup("whole") == -ENOENT);
	free(value);
}

static void
test_keys_of_any_bytes_and_lengths(void)
{
	char key[1100];

	stage_start();
	memset(key, 'x', sizeof(key));
	key[1024] = '\0';
	CU_ASSERT(stage_store(key, "long", 4) == 0 && stage_lookup(key) == 0);
	key[1024] = 'x';
	key[1025] = '\0';
	CU_ASSERT(stage_store(key, "longer", 6) == -EINVAL);
	CU_ASSERT(stage_store("", "empty", 5) == -EINVAL && stage_lookup("") == -EINVAL);
	CU_ASSERT(stage_store("with\nnewline", "nl", 2) == 0);
	CU_ASSERT(stage_lookup("with\nnewline") == 0 && stage_lookup("with") == -ENOENT);
}

struct nul_case {
	bool done;
};

static void
nul_done(struct tarn_cache_op *op)
{
	((struct nul_case *)op->arg)->done = true;
}

static int
nul_op(void (*fn)(struct tarn_cache_op *op), const void *key, uint32_t key_bytes, void *value)
{
	struct nul_case nul = { 0 };
	struct tarn_cache_op op = {
		.cache = stage.cache,
		.key = key,
		.key_bytes = key_bytes,
		.buf = value,
		.buf_bytes = 1,
		.cb = nul_done,
		.arg = &nul,
	};

	fn(&op);
	for (int i = 0; i < 1000 && !nul.done; i++)
		stage_turns(1);
	return op.status;
}

static void
test_a_key_goes_on_behind_a_nul(void)
{
	char out[1];

	stage_start();
	CU_ASSERT(nul_op(tarn_cache_store, "a\0b", 3, "1") == 0);
	CU_ASSERT(nul_op(tarn_cache_store, "a\0c", 3, "2") == 0);
	CU_ASSERT(nul_op(tarn_cache_lookup, "a\0b", 3, out) == 0 && out[0] == '1');
	CU_ASSERT(nul_op(tarn_cache_lookup, "a\0c", 3, out) == 0 && out[0] == '2');
	CU_ASSERT(nul_op(tarn_cache_lookup, "a", 1, out) == -ENOENT);
}

static void
test_conditions_of_a_store(void)
{
	stage_start();
	CU_ASSERT(stage_store_opts("k", "0", 1, TARN_CACHE_IF_PRESENT, 0) == -ENOENT);
	CU_ASSERT(stage_store_opts("k", "1", 1, TARN_CACHE_IF_ABSENT, 0) == 0);
	CU_ASSERT(stage_store_opts("k", "2", 1, TARN_CACHE_IF_ABSENT, 0) == -EEXIST);
	CU_ASSERT(stage_lookup("k") == 0 && stage_value[0] == '1');
	CU_ASSERT(stage_store_opts("k", "3", 1, TARN_CACHE_IF_PRESENT, 0) == 0);
	CU_ASSERT(stage_lookup("k") == 0 && stage_value[0] == '3');
}

static void
test_an_expired_object_is_a_miss_at_once_and_absent_to_conditions(void)
{
	stage_start();
	CU_ASSERT(stage_store_opts("k", "v", 1, 0, 10) == 0);
	stage_time(9);
	CU_ASSERT(stage_lookup("k") == 0 && stage_op.expiry_s != 0);
	stage_time(3);
	CU_ASSERT(stage_lookup("k") == -ENOENT);
	CU_ASSERT(stage_store_opts("k", "w", 1, TARN_CACHE_IF_ABSENT, 0) == 0);
	CU_ASSERT(stage_lookup("k") == 0 && stage_value[0] == 'w');
}

static void
test_a_touch_gives_a_new_time_to_live(void)
{
	stage_start();
	CU_ASSERT(stage_touch("k", 10) == -ENOENT);
	CU_ASSERT(stage_store_opts("k", "v", 1, 0, 10) == 0);
	CU_ASSERT(stage_touch("k", 100) == 0);
	stage_time(50);
	CU_ASSERT(stage_lookup("k") == 0 && stage_value[0] == 'v');
	CU_ASSERT(stage_touch("k", TARN_CACHE_TTL_NEVER) == 0);
	stage_time(1000);
	CU_ASSERT(stage_lookup("k") == 0 && stage_op.expiry_s == 0);
}

static void
test_times_to_live_at_their_edges(void)
{
	stage_start();
	CU_ASSERT(stage_store_opts("k", "v", 1, 0, -1) == -EINVAL);
	CU_ASSERT(stage_store_opts("far", "v", 1, 0, INT64_MAX - 1) == 0);
	CU_ASSERT(stage_lookup("far") == 0 && stage_op.expiry_s == 0);
	CU_ASSERT(stage_store_opts("past", "v", 1, TARN_CACHE_EXPIRY_AT, 1) == 0);
	CU_ASSERT(stage_lookup("past") == -ENOENT);
	CU_ASSERT(stage_store_opts("at", "v", 1, TARN_CACHE_EXPIRY_AT, STAGE_WALL_S + 100) == 0);
	CU_ASSERT(stage_lookup("at") == 0 && stage_op.expiry_s == STAGE_WALL_S + 100);
}

static void
test_the_default_time_to_live_can_change(void)
{
	struct tarn_cache_settings settings;

	stage.opts.default_ttl_s = 10;
	stage_start();
	CU_ASSERT(stage_store("k", "v", 1) == 0);
	tarn_cache_get_settings(stage.cache, &settings);
	settings.default_ttl_s = 1000;
	CU_ASSERT(tarn_cache_set_settings(stage.cache, &settings) == 0);
	CU_ASSERT(stage_store("l", "v", 1) == 0);
	stage_time(20);
	CU_ASSERT(stage_lookup("k") == -ENOENT && stage_lookup("l") == 0);
	settings.default_ttl_s = -1;
	CU_ASSERT(tarn_cache_set_settings(stage.cache, &settings) == -EINVAL);
}

static void
test_a_purge_hits_what_was_stored_before_it_and_nothing_after(void)
{
	stage_start();
	CU_ASSERT(stage_store("a/1", "v", 1) == 0 && stage_store("a/2", "v", 1) == 0);
	CU_ASSERT(stage_store("b/1", "v", 1) == 0);
	CU_ASSERT(stage_purge("a/") == 0);
	CU_ASSERT(stage_lookup("a/1") == -ENOENT && stage_lookup("a/2") == -ENOENT);
	CU_ASSERT(stage_lookup("b/1") == 0);
	CU_ASSERT(stage_store("a/1", "w", 1) == 0);
	CU_ASSERT(stage_lookup("a/1") == 0 && stage_value[0] == 'w');
	CU_ASSERT(stage_purge("") == 0);
	CU_ASSERT(stage_lookup("a/1") == -ENOENT && stage_lookup("b/1") == -ENOENT);
}

static void
test_bans_are_bounded(void)
{
	char prefix[16];
	int status = 0;

	stage_start();
	for (uint32_t i = 0; i < BAN_COUNT_MAX; i++) {
		snprintf(prefix, sizeof(prefix), "p%u/", i);
		status |= stage_purge(prefix);
	}
	CU_ASSERT(status == 0);
	CU_ASSERT(stage_purge("another/") == -ENOSPC);
}

static void
test_a_lent_value_stays_until_it_is_released(void)
{
	struct nul_case nul = { 0 };
	struct tarn_cache_op op = {
		.key = "k",
		.key_bytes = 1,
		.flags = TARN_CACHE_LEND,
		.cb = nul_done,
		.arg = &nul,
	};

	stage_start();
	CU_ASSERT(stage_store("k", "value", 5) == 0);
	op.cache = stage.cache;
	tarn_cache_lookup(&op);
	for (int i = 0; i < 1000 && !nul.done; i++)
		stage_turns(1);
	CU_ASSERT_FATAL(op.status == 0 && op.lent != NULL && op.result_bytes == 5);
	CU_ASSERT(stage_store("k", "other", 5) == 0);
	CU_ASSERT(memcmp(op.lent, "value", 5) == 0);
	tarn_cache_release(&op);
	CU_ASSERT(op.lent == NULL);
}

struct listing {
	bool done;
	uint64_t cursor;
	uint32_t count;
	uint8_t seen[100];
};

static void
listed(void *arg, int status, const struct tarn_cache_key_info *infos, uint32_t info_count,
       uint64_t cursor)
{
	struct listing *listing = arg;

	CU_ASSERT(status == 0);
	for (uint32_t i = 0; i < info_count; i++) {
		char key[16] = "";

		memcpy(key, infos[i].key, tarn_min_u64(infos[i].key_bytes, 15));
		listing->seen[atoi(key + 1)]++;
	}
	listing->count += info_count;
	listing->cursor = cursor;
	listing->done = true;
}

static void
test_keys_are_listed_once_by_a_cursor(void)
{
	struct listing listing = { 0 };

	stage_start();
	stage_store_many(0, 100, 50, 1, 10);
	do {
		listing.done = false;
		tarn_cache_list_keys(stage.cache, listing.cursor, 7, listed, &listing);
		for (int i = 0; i < 10000 && !listing.done; i++)
			stage_turns(1);
		CU_ASSERT_FATAL(listing.done);
	} while (listing.cursor != 0);
	CU_ASSERT(listing.count == 100);
	for (uint32_t i = 0; i < 100; i++)
		CU_ASSERT(listing.seen[i] == 1);
}

static void
test_a_value_over_the_limit_leaves_alone_what_a_condition_keeps(void)
{
	uint64_t bytes = 17u * 1024 * 1024;

	stage_start();
	CU_ASSERT(stage_store("key", "value", 5) == 0);
	CU_ASSERT(stage_store_opts("key", stage_value, bytes, TARN_CACHE_IF_ABSENT, 0) == -EEXIST);
	CU_ASSERT(stage_lookup("key") == 0 && stage_op.value_bytes == 5);
	CU_ASSERT(stage_store_opts("no", stage_value, bytes, TARN_CACHE_IF_PRESENT, 0) == -ENOENT);
	CU_ASSERT(stage_store_opts("key", stage_value, bytes, TARN_CACHE_IF_PRESENT, 0) == -E2BIG);
	CU_ASSERT(stage_lookup("key") == -ENOENT);
}

static void
test_a_range_of_no_bytes_is_a_hit_wherever_it_lies(void)
{
	uint64_t bytes = 200 * 1024;

	stage.opts.segment_bytes = 1024 * 1024;
	stage_device(256u * 1024 * 1024);
	stage_start();
	memset(stage_value, 0x11, bytes);
	CU_ASSERT(stage_store("key", stage_value, bytes) == 0);
	for (uint64_t at = 0; at <= bytes; at += 1024)
		CU_ASSERT(stage_lookup_range("key", at, 0) == 0 && stage_op.result_bytes == 0);
	CU_ASSERT(stage_lookup_range("key", bytes, 4096) == 0 && stage_op.result_bytes == 0);
	CU_ASSERT(stage_lookup_range("key", bytes + 1, 4096) == -EINVAL);
}

static void
look_again(struct tarn_cache_op *op)
{
	CU_ASSERT(op->status == -ENOENT);
	if (++*(uint32_t *)op->arg < 100)
		tarn_cache_lookup(op);
}

static void
test_a_closed_loop_of_misses_leaves_the_reactor_to_others(void)
{
	static struct tarn_cache_op op;
	uint32_t count = 0, before;

	stage_start();
	op = (struct tarn_cache_op){
		.cache = stage.cache, .key = "key", .key_bytes = 3, .cb = look_again, .arg = &count
	};
	tarn_cache_lookup(&op);
	do {
		before = count;
		stage_turns(1);
		CU_ASSERT(count - before <= 2);
	} while (count < 100);
}

UT_SUITE(cache_objects, stage_setup, stage_teardown,
	 UT_CASE(test_a_stored_value_is_found_with_its_size),
	 UT_CASE(test_a_value_is_found_from_the_device_once_its_batch_is_written),
	 UT_CASE(test_a_later_store_replaces_an_earlier_one), UT_CASE(test_a_removed_key_is_a_miss),
	 UT_CASE(test_values_of_every_size_come_back),
	 UT_CASE(test_a_range_of_a_large_value_is_read_without_the_rest),
	 UT_CASE(test_a_value_that_fills_a_segment_is_stored_and_one_byte_more_is_not),
	 UT_CASE(test_keys_of_any_bytes_and_lengths), UT_CASE(test_a_key_goes_on_behind_a_nul),
	 UT_CASE(test_conditions_of_a_store),
	 UT_CASE(test_a_value_over_the_limit_leaves_alone_what_a_condition_keeps),
	 UT_CASE(test_a_range_of_no_bytes_is_a_hit_wherever_it_lies),
	 UT_CASE(test_a_closed_loop_of_misses_leaves_the_reactor_to_others),
	 UT_CASE(test_an_expired_object_is_a_miss_at_once_and_absent_to_conditions),
	 UT_CASE(test_a_touch_gives_a_new_time_to_live), UT_CASE(test_times_to_live_at_their_edges),
	 UT_CASE(test_the_default_time_to_live_can_change),
	 UT_CASE(test_a_purge_hits_what_was_stored_before_it_and_nothing_after),
	 UT_CASE(test_bans_are_bounded), UT_CASE(test_a_lent_value_stays_until_it_is_released),
	 UT_CASE(test_keys_are_listed_once_by_a_cursor));
