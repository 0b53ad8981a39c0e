/* SPDX-License-Identifier: BSD-3-Clause */
/* Superblocks; and devices that are not what the cache left: refused, and nothing is written. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "test/unit/cache/impossible.h"
#include "test/unit/cache/stage.h"
#include "test/unit/cache/volatile.h"

#define SEGMENT_BYTES (128 * 1024)

static uint8_t *image;
static struct disk_super super;

static void
setup(void)
{
	stage_setup();
	stage.opts.shard_count = 1;
	stage.opts.segment_bytes = SEGMENT_BYTES;
	image = malloc(STAGE_BYTES);
}

static void
teardown(void)
{
	free(image);
	stage_teardown();
}

/* Stores that are followed by a stop; super is what lies on the device then. */
static void
make(void)
{
	stage_start();
	stage_store_many(0, 100, 3000, 1, 8);
	CU_ASSERT(stage_stop() == 0);
	stage_raw(TARN_IO_READ, &super, 0, sizeof(super));
}

static void
flip(uint64_t at)
{
	uint8_t block[4096];

	stage_raw(TARN_IO_READ, block, at, sizeof(block));
	block[200] ^= 1;
	stage_raw(TARN_IO_WRITE, block, at, sizeof(block));
}

static void
put_super(uint32_t copy)
{
	format_super_seal(&super);
	stage_raw(TARN_IO_WRITE, &super, (uint64_t)copy * DISK_BLOCK, sizeof(super));
}

/* It is refused so, and the device stays as it is. */
static bool
refused(int status)
{
	memcpy(image, volatile_disk.data, STAGE_BYTES);
	return stage_open() == status && stage.reason.text[0] != '\0' &&
	       memcmp(image, volatile_disk.data, STAGE_BYTES) == 0;
}

/* --- The two copies --- */

static void
test_each_copy_of_the_superblock_tells_everything(void)
{
	static const uint8_t uuids[4][16] = { { 1 }, { 2 }, { 3 }, { 4 } };
	struct tarn_cache_volume volume;

	make();
	for (uint32_t i = 0; i < 4; i++) {
		/* Not clean any more, and a volume that is new: in whichever copy is left. */
		stage_start();
		stage_store_many(0, 100, 3000, i + 2, 8);
		CU_ASSERT(stage_volume_set(uuids[i], 1) == 0);
		CU_ASSERT(stage_flush() == 0);
		stage_crash();
		flip(i % 2 * DISK_BLOCK);
		stage_start();
		CU_ASSERT(!stage.cache->info.clean_start);
		CU_ASSERT(stage_found(0, 100, i + 2) == 100);
		CU_ASSERT(tarn_cache_volume_get(stage.cache, uuids[i], &volume) == 0 &&
			  volume.id == i + 1);
		CU_ASSERT(stage_stop() == 0);
		flip(i % 2 * DISK_BLOCK);
		stage_start();
		CU_ASSERT(stage.cache->info.clean_start);
		CU_ASSERT(stage_stop() == 0);
	}
}

static void
test_a_superblock_of_which_one_copy_cannot_be_written_is_enough(void)
{
	static const uint8_t uuid[16] = { 1 };
	struct tarn_cache_volume volume;

	stage_start();
	stage_inject(TARN_IO_WRITE, TARN_ERROR_FAILURE, 1, 1);
	CU_ASSERT(stage_volume_set(uuid, 1) == 0);
	stage_inject(TARN_IO_WRITE, TARN_ERROR_FAILURE, 1, 0);
	CU_ASSERT(stage_volume_set(uuid, 2) == -EIO);
	stage_clear();
	stage_crash();
	stage_start();
	CU_ASSERT(tarn_cache_volume_get(stage.cache, uuid, &volume) == 0 && volume.generation == 1);
}

static void
test_a_flush_that_fails_for_a_superblock_leaves_the_log_in_doubt(void)
{
	static const uint8_t uuid[16] = { 1 };
	const struct shard *shard;

	stage_start();
	shard = &stage.cache->shards[0];
	stage_store_many(0, 10, 3000, 1, 8);
	CU_ASSERT(shard->committed > shard->durable);
	stage_inject(TARN_IO_FLUSH, TARN_ERROR_FAILURE, 1, 0);
	CU_ASSERT(stage_volume_set(uuid, 1) == -EIO);
	CU_ASSERT(shard->counters.flush_error_count == 1 && shard->durable < shard->committed);
	CU_ASSERT(stage_flush() == 0 && shard->gap_end > shard->gap_start &&
		  shard->durable >= shard->gap_end);
}

/* --- What is refused --- */

static void
test_damaged_superblocks_are_refused_and_nothing_is_written(void)
{
	make();
	flip(0);
	flip(DISK_BLOCK);
	CU_ASSERT(refused(-EUCLEAN));
}

static void
test_a_newer_version_in_either_copy_is_refused_and_nothing_is_written(void)
{
	for (uint32_t copy = 0; copy < 2; copy++) {
		stage.opts.force = true;
		make();
		stage.opts.force = false;
		super.head.version = DISK_VERSION + 1;
		impossible_seal(&super);
		stage_raw(TARN_IO_WRITE, &super, (uint64_t)copy * DISK_BLOCK, sizeof(super));
		CU_ASSERT(refused(-EPROTONOSUPPORT));
	}
}

static void
test_an_impossible_superblock_is_refused_and_nothing_is_written(void)
{
	struct disk_super good;
	const char *name;

	make();
	good = super;
	for (uint32_t n = 0; (name = impossible_super(n, &super)) != NULL; n++, super = good) {
		bool ok;

		for (uint64_t copy = 0; copy < 2; copy++)
			stage_raw(TARN_IO_WRITE, &super, copy * DISK_BLOCK, sizeof(super));
		ok = refused(-EUCLEAN);
		if (!ok)
			printf("# case %u, %s: not refused\n", n, name);
		CU_ASSERT_FATAL(ok);
	}
}

static void
test_an_impossible_superblock_does_not_count_although_it_is_newer(void)
{
	make();
	for (uint32_t copy = 0; copy < 2; copy++) {
		struct disk_super good = super;

		super.sequence += 10;
		super.segment_count--;
		impossible_seal(&super);
		stage_raw(TARN_IO_WRITE, &super, (uint64_t)copy * DISK_BLOCK, sizeof(super));
		stage_raw(TARN_IO_WRITE, &good, (uint64_t)(1 - copy) * DISK_BLOCK, sizeof(good));
		stage_start();
		CU_ASSERT(stage_found(0, 100, 1) == 100);
		CU_ASSERT(stage_stop() == 0);
		stage_raw(TARN_IO_READ, &super, 0, sizeof(super));
	}
}

static void
test_a_device_that_has_shrunk_is_refused_and_nothing_is_written(void)
{
	make();
	super.device_bytes += SEGMENT_BYTES;
	super.segment_count++;
	put_super(0);
	put_super(1);
	CU_ASSERT(refused(-ENOSPC));
}

static void
test_the_device_of_another_cache_is_refused_and_nothing_is_written(void)
{
	char uuid[37];

	make();
	snprintf(uuid, sizeof(uuid),
		 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
		 super.uuid[0], super.uuid[1], super.uuid[2], super.uuid[3], super.uuid[4],
		 super.uuid[5], super.uuid[6], super.uuid[7], super.uuid[8], super.uuid[9],
		 super.uuid[10], super.uuid[11], super.uuid[12], super.uuid[13], super.uuid[14],
		 super.uuid[15]);
	stage.opts.force = true;
	stage.env.seed++;
	make();
	stage.opts.force = false;
	stage.opts.uuid = uuid;
	CU_ASSERT(refused(-ENOTUNIQ));
	stage.opts.uuid = NULL;
	stage.opts.segment_bytes = 2 * SEGMENT_BYTES;
	CU_ASSERT(refused(-EINVAL));
}

UT_SUITE(cache_super, setup, teardown, UT_CASE(test_each_copy_of_the_superblock_tells_everything),
	 UT_CASE(test_a_superblock_of_which_one_copy_cannot_be_written_is_enough),
	 UT_CASE(test_a_flush_that_fails_for_a_superblock_leaves_the_log_in_doubt),
	 UT_CASE(test_damaged_superblocks_are_refused_and_nothing_is_written),
	 UT_CASE(test_a_newer_version_in_either_copy_is_refused_and_nothing_is_written),
	 UT_CASE(test_an_impossible_superblock_is_refused_and_nothing_is_written),
	 UT_CASE(test_an_impossible_superblock_does_not_count_although_it_is_newer),
	 UT_CASE(test_a_device_that_has_shrunk_is_refused_and_nothing_is_written),
	 UT_CASE(test_the_device_of_another_cache_is_refused_and_nothing_is_written));
