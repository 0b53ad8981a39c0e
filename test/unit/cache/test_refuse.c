/* SPDX-License-Identifier: BSD-3-Clause */
/* Wrong names, sizes and geometry; stores on a device that fails; memory that is used up. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tarn/env.h"
#include "test/unit/cache/stage.h"

static bool
said(const char *word)
{
	return strstr(stage.reason.text, word) != NULL;
}

static void
refused(int status, const char *word)
{
	CU_ASSERT(stage_open() == status);
	CU_ASSERT(tarn_cache_next(NULL) == NULL);
	CU_ASSERT(said(word));
	if (!said(word))
		printf("# \"%s\" is not in: %s\n", word, stage.reason.text);
}

static void
test_names_that_cannot_be_shown_are_refused(void)
{
	static const char *const names[] = { "",     "a\nb",	 "\x1b[2J", "\x7f",
					     "a\tb", "\xc2\x9b", " ",	    "   " };

	for (size_t i = 0; i < tarn_array_count(names); i++) {
		stage.opts.name = names[i];
		refused(-EINVAL, "name");
	}
	stage.opts.name = "schl\xc3\xbcssel / 1, \"quoted\"";
	CU_ASSERT(stage_open() == 0);
}

static void
test_a_device_that_is_too_small_is_named_with_its_cache(void)
{
	static const uint64_t sizes[] = { 4096, 8192, 1 << 20, 8u << 20 };

	stage_device(8u << 20);
	for (size_t i = 0; i < tarn_array_count(sizes); i++) {
		if (sizes[i] != sizes[0])
			CU_ASSERT(said("cache 'cache' on bdev 'disk'"));
		refused(-ENOSPC, "disk");
	}
	CU_ASSERT(said("8388608 bytes are too few"));
}

static void
test_geometry_that_cannot_be_is_refused_by_its_option(void)
{
	stage.opts.shard_count = TARN_CACHE_SHARD_MAX + 1;
	refused(-EINVAL, "cache 'cache' on bdev 'disk': shard_count: 17");
	stage.opts.shard_count = 1;
	stage.opts.segment_bytes = 200000;
	refused(-EINVAL, "segment_bytes: 200000");
	stage.opts.segment_bytes = 64 * 1024;
	refused(-EINVAL, "segment_bytes: 65536");
	stage.opts.segment_bytes = 32u << 20;
	refused(-EINVAL, "segment_bytes: 33554432");
	stage.opts.segment_bytes = 0;
	stage.opts.expected_entry_bytes = 63;
	refused(-EINVAL, "expected_entry_bytes: 63");
	stage.opts.expected_entry_bytes = 4097;
	refused(-EINVAL, "expected_entry_bytes: 4097");
}

static void
test_other_geometry_than_what_is_there_is_refused_and_nothing_is_written(void)
{
	stage_start();
	CU_ASSERT(stage_store("k", "v", 1) == 0 && stage_stop() == 0);
	stage.opts.shard_count = 3;
	refused(-EINVAL, "cache 'cache' on bdev 'disk': shard_count: the cache there has 2, not 3");
	stage.opts.shard_count = 0;
	stage.opts.segment_bytes = 1 << 20;
	refused(-EINVAL, "segment_bytes: the cache there has");
	stage.opts.segment_bytes = 0;
	stage_start();
	CU_ASSERT(stage.cache->info.clean_start && stage_lookup("k") == 0);
}

static void
create_second(void *arg, int status, struct tarn_cache *cache, const struct tarn_reason *reason)
{
	CU_ASSERT(cache == NULL);
	*(int *)arg = status;
	stage.reason = *reason;
}

static int
second(const char *name)
{
	struct tarn_cache_opts opts = stage.opts;
	int status = 1;

	opts.name = name;
	tarn_cache_create(&opts, create_second, &status);
	for (int i = 0; i < 1000 && status == 1; i++)
		stage_turns(1);
	return status;
}

static void
test_a_second_cache_of_that_name_or_on_that_device_is_refused(void)
{
	stage_start();
	CU_ASSERT(stage_store("k", "v", 1) == 0);
	CU_ASSERT(second("cache") == -EEXIST && said("cache"));
	CU_ASSERT(second("other") == -EBUSY && said("disk"));
	CU_ASSERT(stage_lookup("k") == 0);
}

static void
test_a_store_that_the_device_refuses_is_never_a_wrong_hit(void)
{
	struct tarn_cache_settings settings;
	uint32_t wrong = 0;
	int status;

	stage_start();
	tarn_cache_get_settings(stage.cache, &settings);
	for (uint32_t round = 0; round < 40; round++) {
		CU_ASSERT(stage_store("k", "old", 3) == 0);
		stage_inject(TARN_IO_WRITE, TARN_ERROR_FAILURE, 1 + round % 3, round % 4);
		status = stage_store("k", "newer", 5);
		CU_ASSERT(status == 0 || status == -EIO);
		stage_clear();
		if (stage_lookup("k") == 0)
			wrong += stage_op.value_bytes != 5 || memcmp(stage_value, "newer", 5) != 0;
		else
			CU_ASSERT(status != 0);
	}
	CU_ASSERT(wrong == 0);
}

/* Take all of the I/O memory, so that nobody else gets any. */
static uint32_t
take_all(void **bufs, uint32_t room)
{
	uint32_t count = 0;

	for (size_t bytes = TARN_IOMEM_CHUNK_BYTES; bytes >= 4096; bytes /= 2) {
		while (count < room && (bufs[count] = tarn_iobuf_get(bytes)) != NULL)
			count++;
	}
	return count;
}

static void
test_without_io_memory_operations_fail_or_wait_and_nothing_is_lost(void)
{
	const uint32_t room = 1u << 20, bytes = 60000;
	void **bufs = calloc(room, sizeof(*bufs));
	uint8_t *value = malloc(bytes);
	uint32_t count;
	bool stored;
	int status;

	stage.opts.segment_bytes = 128 * 1024;
	stage_start();
	stage_fill(value, bytes, 1, 1);
	CU_ASSERT(stage_store("kept", value, bytes) == 0);
	count = take_all(bufs, room);
	CU_ASSERT(count > 0 && count < room);
	status = stage_lookup("kept");
	CU_ASSERT(status == -ENOMEM || (status == 0 && stage_same(stage_value, bytes, 1, 1)));
	status = stage_store("new", "v", 1);
	CU_ASSERT(status == -ENOMEM || status == 0);
	stored = status == 0;
	status = stage_exists("new");
	CU_ASSERT(status == -ENOMEM || (status == 0) == stored);
	while (count > 0)
		tarn_iobuf_put(bufs[--count]);
	CU_ASSERT((stage_exists("new") == 0) == stored);
	CU_ASSERT(stage_lookup("kept") == 0 && stage_same(stage_value, bytes, 1, 1));
	CU_ASSERT(stage_store("later", "v", 1) == 0 && stage_lookup("later") == 0);
	free(value);
	free(bufs);
}

static void
test_times_to_live_do_not_overflow(void)
{
	static const int64_t never[] = { INT64_MAX, INT64_MAX - 1, INT64_MAX - STAGE_WALL_S,
					 UINT32_MAX, INT64_C(1) << 40 };

	stage_start();
	for (size_t i = 0; i < tarn_array_count(never); i++) {
		CU_ASSERT(stage_store_opts("k", "v", 1, 0, never[i]) == 0);
		CU_ASSERT(stage_lookup("k") == 0 && stage_op.expiry_s == 0);
		CU_ASSERT(stage_store_opts("at", "v", 1, TARN_CACHE_EXPIRY_AT, never[i]) == 0);
		CU_ASSERT(stage_lookup("at") == 0);
	}
	/* The last second that has a number, and the one after it. */
	CU_ASSERT(stage_store_opts("k", "v", 1, TARN_CACHE_EXPIRY_AT, UINT32_MAX - 1) == 0);
	CU_ASSERT(stage_lookup("k") == 0 && stage_op.expiry_s == UINT32_MAX - 1);
	CU_ASSERT(stage_store_opts("k", "v", 1, 0, INT64_MIN) == -EINVAL);
	CU_ASSERT(stage_touch("k", -1) == -EINVAL && stage_touch("k", INT64_MIN) == -EINVAL);
	CU_ASSERT(stage_lookup("k") == 0);
}

UT_SUITE(cache_refuse, stage_setup, stage_teardown,
	 UT_CASE(test_names_that_cannot_be_shown_are_refused),
	 UT_CASE(test_a_device_that_is_too_small_is_named_with_its_cache),
	 UT_CASE(test_geometry_that_cannot_be_is_refused_by_its_option),
	 UT_CASE(test_other_geometry_than_what_is_there_is_refused_and_nothing_is_written),
	 UT_CASE(test_a_second_cache_of_that_name_or_on_that_device_is_refused),
	 UT_CASE(test_a_store_that_the_device_refuses_is_never_a_wrong_hit),
	 UT_CASE(test_without_io_memory_operations_fail_or_wait_and_nothing_is_lost),
	 UT_CASE(test_times_to_live_do_not_overflow));
