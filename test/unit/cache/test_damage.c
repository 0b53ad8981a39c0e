/* SPDX-License-Identifier: BSD-3-Clause */
/* What recovery makes of a log of which parts are missing. One shard; block 0 of the shard is
 * place 0 of segment 0. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "test/unit/cache/stage.h"

#define SEGMENT_BLOCKS 32

static void
setup(void)
{
	stage_setup();
	stage.opts.shard_count = 1;
	stage.opts.segment_bytes = SEGMENT_BLOCKS * DISK_BLOCK;
}

static uint32_t
count_found(uint32_t first, uint32_t count, uint32_t version)
{
	uint32_t found = 0;

	for (uint32_t i = first; i < first + count; i++) {
		char key[16];

		snprintf(key, sizeof(key), "k%u", i);
		found += stage_lookup(key) == 0 && stage_op.value_bytes == 3000 &&
			 stage_same(stage_value, 3000, i, version);
	}
	return found;
}

static struct tarn_cache_info
info(void)
{
	struct tarn_cache_info ret;

	tarn_cache_get_info(stage.cache, &ret);
	return ret;
}

/* The device's byte of a position in the log. */
static uint64_t
byte_of(uint64_t position)
{
	uint64_t places =
	    (uint64_t)stage.cache->shards[0].segment_count * stage.cache->shards[0].segment_blocks;

	return stage.data_offset + position % places * DISK_BLOCK;
}

static void
wipe(uint64_t at, uint64_t bytes)
{
	uint8_t *zeroes = calloc(1, bytes);

	stage_raw(TARN_IO_WRITE, zeroes, at, bytes);
	free(zeroes);
}

/* --- Gaps --- */

static void
test_what_a_failed_flush_lost_is_found_where_it_was_written_again(void)
{
	uint64_t at, bytes;

	stage_start();
	stage_store_many(0, 10, 3000, 1, 4);
	CU_ASSERT(stage_flush() == 0);
	stage_inject(TARN_IO_FLUSH, TARN_ERROR_FAILURE, 1, 0);
	stage_store_many(10, 60, 3000, 1, 8);
	stage_flush(); /* or one that began by itself fails */
	CU_ASSERT(stage_flush() == 0);
	at = byte_of(stage.cache->shards[0].gap_start);
	bytes = byte_of(stage.cache->shards[0].gap_end) - at;
	CU_ASSERT_FATAL(bytes > SEGMENT_BLOCKS * DISK_BLOCK);
	stage_crash();
	/* Headers in it, too: the chain is cut, and only a batch behind it says that it is over. */
	wipe(at, bytes);
	stage_start();
	CU_ASSERT(info().damaged_segments == 0 && info().suspect_entries == 0);
	CU_ASSERT(count_found(0, 70, 1) == 70);
}

UT_SUITE(cache_damage, setup, stage_teardown,
	 UT_CASE(test_what_a_failed_flush_lost_is_found_where_it_was_written_again));
