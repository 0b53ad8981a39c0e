/* SPDX-License-Identifier: BSD-3-Clause */
/* Checkpoints that come to nothing, or are damaged. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cache/geometry.h"
#include "test/unit/cache/stage.h"

static void
setup(void)
{
	stage_setup();
	stage.opts.shard_count = 1;
}

static void
test_a_checkpoint_that_failed_leaves_its_sequence_and_the_good_area_alone(void)
{
	uint64_t good;

	stage_start();
	stage_store_many(0, 10, 3000, 1, 4);
	CU_ASSERT(stage_checkpoint() == 0);
	good = stage.cache->checkpoint_sequence;
	CU_ASSERT(stage_flush() == 0);
	for (uint32_t i = 1; i <= 3; i++) {
		/* The one after the header, which is on the device then. */
		stage_inject(TARN_IO_FLUSH, TARN_ERROR_FAILURE, 1, 1);
		CU_ASSERT(stage_checkpoint() == -EIO);
		stage_clear();
		CU_ASSERT(stage.cache->checkpoint_sequence == good);
		CU_ASSERT(stage.cache->checkpoint_tried == good + 2 * i - 1);
	}
	CU_ASSERT(stage_checkpoint() == 0);
	CU_ASSERT(stage.cache->checkpoint_sequence == good + 7);
	CU_ASSERT(stage_checkpoint() == 0);
	CU_ASSERT(stage.cache->checkpoint_sequence == good + 8);
}

static void
test_where_the_newest_is_damaged_the_older_one_is_used_and_kept(void)
{
	struct tarn_cache_info info;
	uint8_t block[4096];
	uint64_t sequence, at;

	stage_start();
	stage_store_many(0, 100, 3000, 1, 16);
	CU_ASSERT(stage_remove("k7") == 0 && stage_checkpoint() == 0);
	stage_store_many(100, 100, 3000, 1, 16);
	CU_ASSERT(stage_remove("k8") == 0 && stage_checkpoint() == 0);
	stage_store_many(200, 20, 3000, 1, 16);
	sequence = stage.cache->checkpoint_sequence;
	at = stage.cache->super->checkpoint_offset[sequence % 2] + 3 * 4096;
	stage_crash();
	memset(block, 0x5a, sizeof(block));
	stage_raw(TARN_IO_WRITE, block, at, sizeof(block));
	stage_start();
	tarn_cache_get_info(stage.cache, &info);
	CU_ASSERT(info.checkpoint_damaged && info.checkpoint_used && info.damaged_segments == 0);
	for (uint32_t i = 0; i < 220; i++) {
		char key[16];

		snprintf(key, sizeof(key), "k%u", i);
		CU_ASSERT(stage_lookup(key) == (i == 7 || i == 8 ? -ENOENT : 0));
	}
	CU_ASSERT(stage_checkpoint() == 0);
	CU_ASSERT(stage.cache->checkpoint_sequence == sequence + 2);
}

/* What a chunk holds that cannot be, though its checksums are right. */
static const struct {
	enum disk_chunk_kind kind;
	uint32_t at, value;    /* a word of its data */
	uint32_t length_bytes; /* 0: as it is */
} unsound[] = {
	/* A sequence at another's place, one that is enormous, and an end beyond its segment. */
	{ DISK_CHUNK_SEGMENTS, 1 * 32 + 8, 2, 0 },
	{ DISK_CHUNK_SEGMENTS, 2 * 32 + 12, UINT32_MAX, 0 },
	{ DISK_CHUNK_SEGMENTS, 1 * 32 + 16, UINT32_MAX, 0 },
	{ DISK_CHUNK_SEGMENTS, 0, 0, DISK_CHUNK_DATA },
	{ DISK_CHUNK_INDEX, 0, 0, 64 },
	{ DISK_CHUNK_BANS, offsetof(struct disk_ban, prefix_bytes), UINT32_MAX, 0 },
	{ DISK_CHUNK_BANS, 0, 0, 8 },
};

static void
test_a_chunk_that_holds_what_cannot_be_counts_as_damaged(void)
{
	struct disk_chunk *chunk = malloc(DISK_CHUNK_BYTES);

	for (uint32_t i = 0; i < tarn_array_count(unsound); i++) {
		uint32_t seed;
		uint64_t at;

		stage.opts.force = true;
		stage.env.seed++; /* another uuid */
		stage_start();
		stage.opts.force = false;
		stage_store_many(0, 100, 3000, 1, 16);
		CU_ASSERT(stage_purge("q") == 0 && stage_checkpoint() == 0);
		at = geometry_chunk_offset(stage.cache->super, stage.cache->checkpoint_sequence % 2,
					   0, unsound[i].kind, 0);
		seed = format_offset_seed(stage.cache->seed, at);
		stage_crash();
		stage_raw(TARN_IO_READ, chunk, at, DISK_CHUNK_BYTES);
		CU_ASSERT_FATAL(format_chunk_verify(chunk, seed) == 0);
		if (unsound[i].length_bytes != 0)
			chunk->length_bytes = unsound[i].length_bytes;
		else
			memcpy((uint8_t *)(chunk + 1) + unsound[i].at, &unsound[i].value, 4);
		format_chunk_seal(chunk, seed);
		stage_raw(TARN_IO_WRITE, chunk, at, DISK_CHUNK_BYTES);
		stage_start();
		CU_ASSERT(stage_info().checkpoint_damaged && stage_info().damaged_segments == 0);
		CU_ASSERT(stage_found(0, 100, 1) == 100);
		CU_ASSERT(stage_stop() == 0);
	}
	free(chunk);
}

UT_SUITE(cache_checkpoint, setup, stage_teardown,
	 UT_CASE(test_a_checkpoint_that_failed_leaves_its_sequence_and_the_good_area_alone),
	 UT_CASE(test_where_the_newest_is_damaged_the_older_one_is_used_and_kept),
	 UT_CASE(test_a_chunk_that_holds_what_cannot_be_counts_as_damaged));
