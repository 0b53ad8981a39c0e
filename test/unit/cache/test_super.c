/* SPDX-License-Identifier: BSD-3-Clause */
/* Superblocks; and devices that are not what the cache left: refused, and nothing is written. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

static uint32_t
count_found(uint32_t first, uint32_t count, uint32_t version)
{
	uint32_t found = 0;

	for (uint32_t i = first; i < first + count; i++) {
		char key[16];

		snprintf(key, sizeof(key), "k%u", i);
		if (stage_lookup(key) != 0)
			continue;
		CU_ASSERT(stage_op.value_bytes == 3000 &&
			  stage_same(stage_value, 3000, i, version));
		found++;
	}
	return found;
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
		CU_ASSERT(count_found(0, 100, i + 2) == 100);
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
		uint32_t zero = 0, crc;

		stage.opts.force = true;
		make();
		stage.opts.force = false;
		super.head.version = DISK_VERSION + 1;
		crc = tarn_crc32c(0, &super, offsetof(struct disk_head, crc32c));
		crc = tarn_crc32c(crc, &zero, sizeof(zero));
		super.head.crc32c = tarn_crc32c(crc, (uint8_t *)&super + sizeof(super.head),
						sizeof(super) - sizeof(super.head));
		stage_raw(TARN_IO_WRITE, &super, (uint64_t)copy * DISK_BLOCK, sizeof(super));
		CU_ASSERT(refused(-EPROTONOSUPPORT));
	}
}

static void
test_a_device_that_has_shrunk_is_refused_and_nothing_is_written(void)
{
	make();
	super.device_bytes += SEGMENT_BYTES;
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
	 UT_CASE(test_a_device_that_has_shrunk_is_refused_and_nothing_is_written),
	 UT_CASE(test_the_device_of_another_cache_is_refused_and_nothing_is_written));
