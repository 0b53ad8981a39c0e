/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tarn/log.h"
#include "test/unit/cache/impossible.h"
#include "test/unit/cache/stage.h"

static void
test_a_clean_stop_and_start_brings_everything_back(void)
{
	stage_start();
	CU_ASSERT(stage_info().formatted);
	stage_store_many(0, 500, 1000, 1, 16);
	CU_ASSERT(stage_purge("k49") == 0);
	CU_ASSERT(stage_stop() == 0);
	stage_start();
	CU_ASSERT(stage_info().clean_start && !stage_info().formatted &&
		  !stage_info().checkpoint_damaged);
	for (uint32_t i = 0; i < stage.cache->shard_count; i++) {
		struct shard *shard = &stage.cache->shards[i];

		/* The segment that was open is not taken for a dead one. */
		CU_ASSERT(shard->head != 0 &&
			  segment_of(shard, shard->head)->end_block ==
			      shard->committed % shard->segment_blocks &&
			  segment_of(shard, shard->head)->end_block > 1);
	}
	CU_ASSERT(stage_found_of(0, 490, 1000, 1) == 489);
	CU_ASSERT(stage_lookup("k49") == -ENOENT && stage_lookup("k495") == -ENOENT);
	CU_ASSERT(stage_store("new", "v", 1) == 0 && stage_lookup("new") == 0);
}

static void
test_all_that_was_acknowledged_is_there_after_a_process_crash(void)
{
	stage_start();
	stage_store_many(0, 1000, 1000, 1, 32);
	stage_store_many(100, 50, 1000, 2, 8);
	CU_ASSERT(stage_remove("k7") == 0);
	stage_crash();
	stage_start();
	CU_ASSERT(!stage_info().clean_start && stage_info().same_boot &&
		  !stage_info().checkpoint_used);
	CU_ASSERT(stage_info().damaged_segments == 0);
	CU_ASSERT(stage_found_of(0, 7, 1000, 1) == 7 && stage_found_of(8, 92, 1000, 1) == 92);
	CU_ASSERT(stage_found_of(100, 50, 1000, 2) == 50);
	CU_ASSERT(stage_found_of(150, 850, 1000, 1) == 850);
	CU_ASSERT(stage_lookup("k7") == -ENOENT);
}

static void
test_a_crash_after_a_crash_finds_both_lives(void)
{
	stage_start();
	for (uint32_t life = 0; life < 6; life++) {
		stage_store_many(life * 50, 50, 2000, 1, 8);
		stage_crash();
		stage_start();
		CU_ASSERT(stage_found_of(0, (life + 1) * 50, 2000, 1) == (life + 1) * 50);
	}
}

static void
test_a_crash_after_a_clean_start_replays_over_its_checkpoint(void)
{
	stage_start();
	stage_store_many(0, 300, 1000, 1, 16);
	CU_ASSERT(stage_stop() == 0);
	stage_start();
	stage_store_many(100, 100, 1000, 2, 16);
	CU_ASSERT(stage_remove("k0") == 0);
	stage_crash();
	stage_start();
	CU_ASSERT(stage_info().checkpoint_used && !stage_info().clean_start);
	CU_ASSERT(stage_lookup("k0") == -ENOENT);
	CU_ASSERT(stage_found_of(1, 99, 1000, 1) == 99 && stage_found_of(100, 100, 1000, 2) == 100);
	CU_ASSERT(stage_found_of(200, 100, 1000, 1) == 100);
}

static void
test_a_running_checkpoint_is_where_recovery_begins(void)
{
	stage_start();
	stage_store_many(0, 300, 1000, 1, 16);
	CU_ASSERT(stage_purge("k29") == 0);
	CU_ASSERT(stage_checkpoint() == 0);
	stage_store_many(300, 100, 1000, 1, 16);
	stage_crash();
	stage_start();
	CU_ASSERT(stage_info().checkpoint_used);
	CU_ASSERT(stage_found_of(0, 29, 1000, 1) == 29 && stage_found_of(300, 100, 1000, 1) == 100);
	CU_ASSERT(stage_lookup("k29") == -ENOENT && stage_lookup("k299") == -ENOENT);
}

static bool told_of_checkpoint;

static void
log_line(enum tarn_log_level level, const char *line)
{
	told_of_checkpoint |=
	    level == TARN_LOG_WARNING && strstr(line, "its checkpoint is damaged") != NULL;
}

static void
test_a_damaged_checkpoint_costs_nothing_but_time_and_is_told(void)
{
	uint8_t block[4096];
	uint64_t at[2];

	stage_start();
	stage_store_many(0, 300, 1000, 1, 16);
	for (int i = 0; i < 2; i++)
		at[i] = stage.cache->super->checkpoint_offset[i] + 3 * 4096;
	CU_ASSERT(stage_stop() == 0);
	/* A block of the first index chunk of each area. */
	memset(block, 0x5a, sizeof(block));
	for (int i = 0; i < 2; i++)
		stage_raw(TARN_IO_WRITE, block, at[i], sizeof(block));
	told_of_checkpoint = false;
	tarn_log_set_sink(log_line);
	stage_start();
	tarn_log_set_sink(NULL);
	CU_ASSERT(told_of_checkpoint);
	CU_ASSERT(stage_info().checkpoint_damaged && !stage_info().clean_start &&
		  !stage_info().checkpoint_used);
	CU_ASSERT(stage_found_of(0, 300, 1000, 1) == 300);
}

static void
test_expiry_holds_across_a_crash_and_a_clock_that_was_set_back(void)
{
	stage_start();
	CU_ASSERT(stage_store_opts("k", "v", 1, 0, 100) == 0);
	stage_time(101);
	CU_ASSERT(stage_store("later", "v", 1) == 0); /* the time is in its batch */
	stage_crash();
	stage.env.wall_time_s = STAGE_WALL_S - 500;
	stage_start();
	CU_ASSERT(stage_lookup("k") == -ENOENT);
	CU_ASSERT(stage_lookup("later") == 0);
	CU_ASSERT(cache_now_s(stage.cache) >= STAGE_WALL_S + 101);
}

static void
test_volumes_keep_their_ids_and_generations(void)
{
	static const uint8_t one[16] = { 1 }, two[16] = { 2 };
	struct tarn_cache_volume volume;

	stage_start();
	CU_ASSERT(stage_volume_set(one, 5) == 0 && stage_volume_set(two, 6) == 0);
	CU_ASSERT(tarn_cache_volume_get(stage.cache, two, &volume) == 0);
	CU_ASSERT(volume.id == 2 && volume.generation == 6);
	CU_ASSERT(stage_volume_set(one, 7) == 0);
	stage_crash();
	stage_start();
	CU_ASSERT(tarn_cache_volume_get(stage.cache, one, &volume) == 0);
	CU_ASSERT(volume.id == 1 && volume.generation == 7);
	CU_ASSERT(stage_volume_forget(one) == 0);
	CU_ASSERT(stage_volume_forget(one) == -ENOENT);
	CU_ASSERT(stage_volume_set(one, 0) == 0);
	CU_ASSERT(tarn_cache_volume_get(stage.cache, one, &volume) == 0 && volume.id == 3);
}

/* --- What is refused --- */

static void
test_what_is_not_a_cache_is_not_formatted_without_force(void)
{
	uint8_t block[4096];

	stage_device(STAGE_BYTES);
	memset(block, 0, sizeof(block));
	block[1080] = 0x53; /* as ext4 has */
	stage_raw(TARN_IO_WRITE, block, 0, sizeof(block));
	CU_ASSERT(stage_open() == -EEXIST && strstr(stage.reason.text, "force") != NULL);
	stage.opts.force = true;
	CU_ASSERT(stage_open() == 0 && stage_info().formatted);
}

static void
flip(uint64_t at)
{
	uint8_t block[4096];

	stage_raw(TARN_IO_READ, block, at, sizeof(block));
	block[40] ^= 1;
	stage_raw(TARN_IO_WRITE, block, at, sizeof(block));
}

static void
test_one_damaged_superblock_is_enough_and_two_are_refused(void)
{
	stage_start();
	CU_ASSERT(stage_store("k", "v", 1) == 0);
	CU_ASSERT(stage_stop() == 0);
	flip(0);
	stage_start();
	CU_ASSERT(stage_lookup("k") == 0);
	CU_ASSERT(stage_stop() == 0);
	flip(4096);
	stage_start();
	CU_ASSERT(stage_lookup("k") == 0);
	CU_ASSERT(stage_stop() == 0);
	flip(0);
	flip(4096);
	CU_ASSERT(stage_open() == -EUCLEAN);
}

static void
test_a_newer_version_another_uuid_and_other_geometry_are_refused(void)
{
	struct disk_super *super = malloc(4096);

	stage_start();
	CU_ASSERT(stage_stop() == 0);
	stage.opts.uuid = "00000000-0000-4000-8000-000000000000";
	CU_ASSERT(stage_open() == -ENOTUNIQ);
	stage.opts.uuid = NULL;
	stage.opts.shard_count = 3;
	CU_ASSERT(stage_open() == -EINVAL && strstr(stage.reason.text, "shard_count") != NULL);
	stage.opts.shard_count = 0;
	stage_start();
	CU_ASSERT(stage_stop() == 0);
	stage_raw(TARN_IO_READ, super, 0, 4096);
	super->head.version = DISK_VERSION + 1;
	impossible_seal(super);
	stage_raw(TARN_IO_WRITE, super, 0, 4096);
	CU_ASSERT(stage_open() == -EPROTONOSUPPORT);
	free(super);
}

static void
test_a_device_that_is_too_small_is_refused_with_a_reason(void)
{
	stage_device(1u << 20);
	CU_ASSERT(stage_open() == -ENOSPC && strstr(stage.reason.text, "too few") != NULL);
}

/* --- Power loss --- */

/* What a key may have after power loss: 0 unknown, otherwise a version. */
static bool
allowed(uint32_t key, uint32_t flushed_version, uint32_t last_version)
{
	char name[16];

	snprintf(name, sizeof(name), "k%u", key);
	if (stage_lookup(name) != 0)
		return true; /* a clean entry may be dropped; checked where it was flushed */
	for (uint32_t version = flushed_version; version <= last_version; version++)
		if (stage_same(stage_value, stage_op.value_bytes, key, version))
			return true;
	return false;
}

static void
power_loss(uint64_t seed)
{
	stage_start();
	stage_store_many(0, 200, 3000, 1, 32);
	CU_ASSERT(stage_flush() == 0);
	stage_store_many(0, 150, 3000, 2, 16);
	stage_store_many(50, 100, 3000, 3, 16);
	stage_power_loss(seed);
	stage_start();
	CU_ASSERT(!stage_info().same_boot && stage_info().damaged_segments == 0);
	CU_ASSERT(stage_found_of(150, 50, 3000, 1) == 50); /* flushed, and not written since */
	for (uint32_t key = 0; key < 150; key++)
		CU_ASSERT(allowed(key, 1, key < 50 ? 2 : 3));
	/* It goes on, and loses power again. */
	stage_store_many(500, 50, 3000, 1, 8);
	CU_ASSERT(stage_flush() == 0);
	stage_store_many(600, 50, 3000, 1, 8);
	stage_power_loss(seed + 1000);
	stage_start();
	CU_ASSERT(stage_info().damaged_segments == 0);
	CU_ASSERT(stage_found_of(500, 50, 3000, 1) == 50 && stage_found_of(150, 50, 3000, 1) == 50);
	CU_ASSERT(stage_stop() == 0);
	stage.opts.force = true; /* format anew for the next seed, under another identity */
	stage.env.seed++;
	stage_start();
	CU_ASSERT(stage_stop() == 0);
	stage.opts.force = false;
}

static void
test_power_loss_keeps_what_was_flushed_and_no_mixture(void)
{
	for (uint64_t seed = 1; seed <= 12; seed++)
		power_loss(seed);
}

/* One shard, one store at a time: one write behind the other. Damage the third. */
static void
tear_the_third(uint64_t value_bytes, bool batches)
{
	struct disk_batch *batch = malloc(4096);
	/* The first of a segment is a batch in any case: two blocks. */
	uint64_t offset, found = 0, wanted = batches ? 3 : 4;

	stage.opts.shard_count = 1;
	stage_start();
	for (uint32_t i = 0; i < 6; i++)
		stage_store_many(i, 1, value_bytes, 1, 1);
	offset = stage.cache->super->data_offset +
		 1 * (uint64_t)stage.cache->segment_bytes; /* sequence 1 lies at place 1 */
	stage_crash();
	for (uint64_t block = 1; block < 30; block++) {
		stage_raw(TARN_IO_READ, batch, offset + block * 4096, 4096);
		if ((!batches || batch->head.magic == DISK_BATCH_MAGIC) && ++found == wanted) {
			memset(batch, 0x77, 512);
			stage_raw(TARN_IO_WRITE, batch, offset + block * 4096, 4096);
			break;
		}
	}
	CU_ASSERT(found == wanted);
	stage_start();
	CU_ASSERT(stage_found_of(0, 6, value_bytes, 1) == 2);
	stage_store_many(2, 1, value_bytes, 9, 1);
	stage_crash();
	stage_start();
	/* What was behind the hole stays gone, also when the log has gone on. */
	CU_ASSERT(stage_found_of(0, 2, value_bytes, 1) == 2 &&
		  stage_found_of(2, 1, value_bytes, 9) == 1);
	CU_ASSERT(stage_found_of(3, 3, value_bytes, 1) == 0);
	free(batch);
}

static void
test_what_lies_behind_a_torn_batch_is_not_believed(void)
{
	tear_the_third(6000, true);
}

static void
test_what_lies_behind_a_torn_record_without_a_batch_is_not_believed(void)
{
	tear_the_third(3000, false);
}

static void
test_a_sealed_segment_is_read_by_its_trailer(void)
{
	uint64_t offset;

	stage.opts.shard_count = 1;
	stage.opts.segment_bytes = 128 * 1024;
	stage_start();
	stage_store_many(0, 150, 3000, 1, 4);
	CU_ASSERT(stage.cache->shards[0].head > 4);
	CU_ASSERT(stage_flush() == 0);
	offset = stage.cache->super->data_offset + (uint64_t)stage.cache->segment_bytes + 2 * 4096;
	stage_crash();
	memset(stage_value, 0x77, 4096);
	stage_raw(TARN_IO_WRITE, stage_value, offset, 4096); /* the first record of segment 1 */
	stage_start();
	CU_ASSERT(stage.cache->info.damaged_segments == 0);
	CU_ASSERT(stage_found_of(0, 1, 3000, 1) == 0 && stage_found_of(1, 149, 3000, 1) == 149);
}

UT_SUITE(cache_recovery, stage_setup, stage_teardown,
	 UT_CASE(test_a_clean_stop_and_start_brings_everything_back),
	 UT_CASE(test_all_that_was_acknowledged_is_there_after_a_process_crash),
	 UT_CASE(test_a_crash_after_a_crash_finds_both_lives),
	 UT_CASE(test_a_crash_after_a_clean_start_replays_over_its_checkpoint),
	 UT_CASE(test_a_running_checkpoint_is_where_recovery_begins),
	 UT_CASE(test_a_damaged_checkpoint_costs_nothing_but_time_and_is_told),
	 UT_CASE(test_expiry_holds_across_a_crash_and_a_clock_that_was_set_back),
	 UT_CASE(test_volumes_keep_their_ids_and_generations),
	 UT_CASE(test_what_is_not_a_cache_is_not_formatted_without_force),
	 UT_CASE(test_one_damaged_superblock_is_enough_and_two_are_refused),
	 UT_CASE(test_a_newer_version_another_uuid_and_other_geometry_are_refused),
	 UT_CASE(test_a_device_that_is_too_small_is_refused_with_a_reason),
	 UT_CASE(test_power_loss_keeps_what_was_flushed_and_no_mixture),
	 UT_CASE(test_a_sealed_segment_is_read_by_its_trailer),
	 UT_CASE(test_what_lies_behind_a_torn_batch_is_not_believed),
	 UT_CASE(test_what_lies_behind_a_torn_record_without_a_batch_is_not_believed));
