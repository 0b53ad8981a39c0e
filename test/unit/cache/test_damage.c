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

static uint64_t places; /* blocks of the shard */

static void
begin(void)
{
	stage_start();
	places = (uint64_t)stage.cache->shards[0].segment_count * SEGMENT_BLOCKS;
}

/* The device's byte of a position in the log. */
static uint64_t
byte_of(uint64_t position)
{
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

	begin();
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
	CU_ASSERT(stage_info().damaged_segments == 0 && stage_info().suspect_entries == 0);
	CU_ASSERT(stage_found(0, 70, 1) == 70);
}

/* --- What stands in for a header --- */

/* Objects k0 to k99, and of volume 1 dirty blocks 0 to 9, in several segments; all flushed. */
static void
fill_more(void)
{
	for (uint32_t i = 0; i < 10; i++) {
		stage_store_many(i * 10, 10, 3000, 1, 4);
		CU_ASSERT(stage_block(TARN_CACHE_BLOCK_STORE, TARN_CACHE_BLOCK_DIRTY, i, 1, 1) ==
			  0);
	}
	CU_ASSERT(stage_flush() == 0);
	stage_store_many(100, 1, 3000, 1, 1); /* a batch that says so */
	CU_ASSERT(stage_flush() == 0);
	CU_ASSERT_FATAL(stage.cache->shards[0].head >= 4);
}

static void
fill(void)
{
	begin();
	fill_more();
}

static uint32_t
count_blocks(void)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < 10; i++)
		count += stage_block(TARN_CACHE_BLOCK_LOOKUP, 0, i, 1, 0) == 0 &&
			 stage_req.hit[0] == 1 && stage_req.dirty[0] == 1 && stage_block_is(0, 1);
	return count;
}

static bool
all_is_there(void)
{
	return stage_info().damaged_segments == 0 && stage_info().suspect_entries == 0 &&
	       stage_found(0, 101, 1) == 101 && count_blocks() == 10;
}

static uint64_t
segment_byte(uint64_t sequence)
{
	return byte_of(sequence * SEGMENT_BLOCKS);
}

/* One bit of a block. */
static void
flip(uint64_t at)
{
	uint8_t byte;

	stage_raw(TARN_IO_READ, &byte, at + 1000, 1);
	byte ^= 4;
	stage_raw(TARN_IO_WRITE, &byte, at + 1000, 1);
}

static void
test_no_segment_needs_its_header(void)
{
	uint64_t head;

	fill();
	head = stage.cache->shards[0].head;
	stage_crash();
	for (uint64_t sequence = 1; sequence <= head; sequence++)
		flip(segment_byte(sequence));
	stage_start();
	CU_ASSERT(all_is_there());
	/* It goes on from there. */
	stage_store_many(0, 101, 3000, 2, 8);
	CU_ASSERT(stage_flush() == 0);
	stage_crash();
	stage_start();
	CU_ASSERT(stage_info().damaged_segments == 0 && stage_found(0, 101, 2) == 101);
}

static void
test_a_header_that_cannot_be_read_is_not_needed_either(void)
{
	fill();
	stage_crash();
	stage_unreadable(segment_byte(2), DISK_BLOCK);
	stage_start();
	stage_clear();
	CU_ASSERT(all_is_there());
}

static void
test_an_error_that_passes_costs_nothing(void)
{
	fill();
	CU_ASSERT(stage_checkpoint() == 0);
	stage_crash();
	for (uint64_t at = 0; at < 40; at++) {
		/* Of the superblocks, the checkpoint, the headers, batches: twice in a row. */
		stage_inject(TARN_IO_READ, TARN_ERROR_FAILURE, 2, at);
		stage_start();
		stage_clear();
		CU_ASSERT(stage_info().damaged_segments == 0 && !stage_info().checkpoint_damaged);
		CU_ASSERT(stage_found(0, 101, 1) == 101 && count_blocks() == 10);
		stage_crash();
	}
}

static void
test_one_superblock_that_can_be_read_is_enough(void)
{
	fill();
	stage_crash();
	stage_unreadable(DISK_BLOCK, DISK_BLOCK);
	stage_start();
	stage_clear();
	CU_ASSERT(all_is_there());
	stage_crash();
	stage_unreadable(0, 2 * DISK_BLOCK);
	CU_ASSERT(stage_open() == -EIO);
	stage_clear();
	stage_start();
	CU_ASSERT(all_is_there());
}

static void
test_a_checkpoint_stands_in_for_what_is_lost_of_a_segment(void)
{
	fill();
	CU_ASSERT(stage_checkpoint() == 0);
	stage_crash();
	/* Header, first batch's header and footer. */
	flip(segment_byte(2));
	flip(segment_byte(2) + DISK_BLOCK);
	flip(segment_byte(3) - DISK_BLOCK);
	stage_start();
	CU_ASSERT(stage_info().checkpoint_used);
	CU_ASSERT(all_is_there());
	/* And its blocks are moved when their turn comes. */
	stage_store_many(0, 6000, 3000, 2, 16);
	CU_ASSERT(stage.cache->shards[0].freed > 3);
	CU_ASSERT(count_blocks() == 10);
}

/* --- Damage --- */

/* Each object is as it was, or a miss; each block is as it was, an error, or (if may_miss) none. */
static bool
nothing_is_wrong(bool may_miss)
{
	for (uint32_t i = 0; i <= 100; i++) {
		char key[16];
		int status;

		snprintf(key, sizeof(key), "k%u", i);
		status = stage_lookup(key);
		if (status != -ENOENT &&
		    (status != 0 || !stage_same(stage_value, stage_op.value_bytes, i, 1)))
			return false;
	}
	for (uint32_t i = 0; i < 10; i++) {
		int status = stage_block(TARN_CACHE_BLOCK_LOOKUP, 0, i, 1, 0);
		bool right = status == 0 && stage_req.hit[0] == 1 && stage_block_is(0, 1);
		bool miss = status == 0 && stage_req.hit[0] == 0;

		if (!right && !(miss && may_miss) && status != -EIO)
			return false;
	}
	return true;
}

static void
lose_segment(uint64_t sequence)
{
	wipe(segment_byte(sequence), SEGMENT_BLOCKS * DISK_BLOCK);
}

static void
test_the_loss_of_the_oldest_segment_is_told(void)
{
	fill();
	stage_crash();
	lose_segment(1);
	stage_start();
	CU_ASSERT(stage_info().damaged_segments == 1);
	CU_ASSERT(stage_found(0, 10, 1) == 0 && stage_found(90, 11, 1) == 11);
	CU_ASSERT(nothing_is_wrong(true));
}

static void
test_the_loss_of_a_segment_drops_what_is_clean_before_it_and_suspects_what_is_dirty(void)
{
	fill();
	stage_crash();
	lose_segment(3);
	stage_start();
	CU_ASSERT(stage_info().damaged_segments == 1 && stage_info().suspect_entries >= 2);
	CU_ASSERT(stage_found(0, 10, 1) == 0 && stage_found(90, 11, 1) == 11);
	CU_ASSERT(stage_block(TARN_CACHE_BLOCK_LOOKUP, 0, 0, 1, 0) == -EIO);
	CU_ASSERT(nothing_is_wrong(true));
	/* It stays so, also when the suspect blocks are moved. */
	stage_store_many(1000, 6000, 3000, 2, 16);
	CU_ASSERT(stage.cache->shards[0].freed > 3);
	CU_ASSERT(stage_block(TARN_CACHE_BLOCK_LOOKUP, 0, 0, 1, 0) == -EIO);
}

static void
test_a_segment_that_cannot_be_read_is_damage(void)
{
	fill();
	stage_crash();
	stage_unreadable(segment_byte(3), SEGMENT_BLOCKS * DISK_BLOCK);
	stage_start();
	CU_ASSERT(stage_info().damaged_segments == 1 && stage_info().suspect_entries >= 2);
	CU_ASSERT(nothing_is_wrong(true));
}

static void
test_what_was_dropped_does_not_come_back_when_it_can_be_read_again(void)
{
	fill();
	stage_crash();
	stage_unreadable(segment_byte(3), SEGMENT_BLOCKS * DISK_BLOCK);
	stage_start();
	stage_clear();
	CU_ASSERT(stage_info().damaged_segments == 1 && stage_found(0, 10, 1) == 0);
	/* It is not there, so that this needs no tombstone. */
	CU_ASSERT(stage_remove("k0") == -ENOENT);
	CU_ASSERT(stage_flush() == 0);
	stage_store_many(1000, 1, 3000, 1, 1);
	for (uint32_t i = 0; i < 2; i++) {
		stage_crash();
		stage_start();
		CU_ASSERT(stage_info().damaged_segments == 0 && stage_info().suspect_entries >= 2);
		CU_ASSERT(stage_found(0, 10, 1) == 0 && stage_found(1000, 1, 1) == 1);
		CU_ASSERT(stage_found(90, 11, 1) == 11);
		CU_ASSERT(nothing_is_wrong(true));
	}
	/* Until the log has passed it. */
	stage_store_many(1000, 6000, 3000, 2, 16);
	CU_ASSERT(stage.cache->shards[0].freed > 3);
	CU_ASSERT(stage.cache->shards[0].bans.count == 0);
}

static void
test_what_cannot_be_read_behind_the_log_may_have_been_flushed(void)
{
	uint64_t head;

	fill();
	head = stage.cache->shards[0].head;
	stage_crash();
	/* The segment that nobody opened: it cannot be known. */
	stage_unreadable(segment_byte(head + 1), SEGMENT_BLOCKS * DISK_BLOCK);
	stage_start();
	CU_ASSERT(stage_info().damaged_segments == 1 && stage_info().suspect_entries == 10);
	CU_ASSERT(nothing_is_wrong(false));
}

static void
test_a_batch_that_cannot_be_read_at_the_end_of_the_log_is_damage(void)
{
	uint64_t end;

	fill();
	stage_store_many(0, 1, 3000, 2, 1); /* flushed, and no header says so */
	CU_ASSERT(stage_flush() == 0);
	end = stage.cache->shards[0].durable;
	stage_crash();
	stage_unreadable(byte_of(end - 2), DISK_BLOCK);
	stage_start();
	stage_clear();
	CU_ASSERT(stage_info().damaged_segments == 1);
	CU_ASSERT(stage_lookup("k0") == -ENOENT);
}

static void
test_a_payload_that_cannot_be_read_is_no_end_of_the_log(void)
{
	uint64_t at;

	begin();
	/* None of it is flushed, and the process dies. */
	CU_ASSERT(stage_block(TARN_CACHE_BLOCK_STORE, 0, 0, 2, 1) == 0);
	at = byte_of(stage.cache->shards[0].committed - 2);
	CU_ASSERT(stage_block(TARN_CACHE_BLOCK_STORE, TARN_CACHE_BLOCK_DIRTY, 5, 1, 1) == 0);
	stage_crash();
	stage_unreadable(at, DISK_BLOCK);
	stage_start();
	stage_clear();
	/* It is not known whether it was flushed, nor what of the block was before. */
	CU_ASSERT(stage_info().damaged_segments == 0 && stage_info().suspect_entries == 1);
	CU_ASSERT(stage_block(TARN_CACHE_BLOCK_LOOKUP, 0, 0, 1, 0) == -EIO);
	CU_ASSERT(stage_block(TARN_CACHE_BLOCK_LOOKUP, 0, 1, 1, 0) == 0 && stage_block_is(0, 1));
	CU_ASSERT(stage_block(TARN_CACHE_BLOCK_LOOKUP, 0, 5, 1, 0) == 0 && stage_block_is(0, 1));
}

/* --- A partial restore --- */

static void
test_a_segment_in_the_place_of_another_is_not_believed(void)
{
	uint8_t *segment = malloc(SEGMENT_BLOCKS * DISK_BLOCK);

	for (uint32_t clean = 0; clean < 2; clean++) {
		stage.opts.force = clean != 0;
		fill();
		stage.opts.force = false;
		if (clean == 0)
			stage_crash();
		else
			CU_ASSERT(stage_stop() == 0);
		stage_raw(TARN_IO_READ, segment, segment_byte(1), SEGMENT_BLOCKS * DISK_BLOCK);
		stage_raw(TARN_IO_WRITE, segment, segment_byte(2), SEGMENT_BLOCKS * DISK_BLOCK);
		stage_start();
		CU_ASSERT(nothing_is_wrong(clean == 0));
		CU_ASSERT((stage_info().damaged_segments == 0) == (clean != 0));
		stage_clear();
		CU_ASSERT(stage_stop() == 0);
	}
	free(segment);
}

static void
test_an_older_image_of_a_segment_is_damage(void)
{
	uint8_t *segment = malloc(SEGMENT_BLOCKS * DISK_BLOCK);
	uint64_t sequence;

	begin();
	stage_store_many(1000, 10, 3000, 1, 4);
	sequence = stage.cache->shards[0].head;
	/* The same life, with fewer batches in it. */
	CU_ASSERT(stage_flush() == 0);
	stage_raw(TARN_IO_READ, segment, segment_byte(sequence), SEGMENT_BLOCKS * DISK_BLOCK);
	fill_more();
	stage_crash();
	stage_raw(TARN_IO_WRITE, segment, segment_byte(sequence), SEGMENT_BLOCKS * DISK_BLOCK);
	stage_start();
	CU_ASSERT(stage_info().damaged_segments == 1);
	CU_ASSERT(nothing_is_wrong(true));
	CU_ASSERT(stage_found(90, 11, 1) == 11);
	free(segment);
}

/*
 * Each segment but the newest two is what it was, or was at an earlier time, or another's. A log of
 * which the newest are old, too, is an old log: nothing on the device could say otherwise.
 */
static void
shuffle(const uint8_t *old, uint64_t head, uint64_t seed)
{
	const uint64_t bytes = SEGMENT_BLOCKS * DISK_BLOCK;
	uint8_t *now = malloc(STAGE_BYTES);

	stage_raw(TARN_IO_READ, now, 0, STAGE_BYTES);
	for (uint64_t sequence = 1; sequence + 1 < head; sequence++) {
		uint64_t other;

		seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		other = 1 + (seed >> 40) % head;
		if (seed >> 62 == 0)
			stage_raw(TARN_IO_WRITE, now + segment_byte(other), segment_byte(sequence),
				  bytes);
		else if (seed >> 62 == 1)
			stage_raw(TARN_IO_WRITE, (void *)(uintptr_t)(old + segment_byte(sequence)),
				  segment_byte(sequence), bytes);
	}
	free(now);
}

static void
test_segments_shuffled_by_a_partial_restore_bring_nothing_old_back(void)
{
	uint8_t *old = malloc(STAGE_BYTES);
	uint64_t head, suspect = 0, damaged = 0;

	for (uint64_t seed = 1; seed <= 8; seed++) {
		stage.opts.force = true;
		stage.env.seed++;
		fill();
		stage.opts.force = false;
		stage_raw(TARN_IO_READ, old, 0, STAGE_BYTES);
		for (uint32_t i = 0; i < 10; i++)
			CU_ASSERT(stage_block(TARN_CACHE_BLOCK_STORE, TARN_CACHE_BLOCK_DIRTY, i, 1,
					      2) == 0);
		stage_store_many(0, 101, 3000, 2, 4);
		CU_ASSERT(stage_flush() == 0);
		stage_store_many(101, 1, 3000, 2, 1); /* a batch that says so */
		CU_ASSERT(stage_flush() == 0);
		head = stage.cache->shards[0].head;
		stage_crash();
		shuffle(old, head, seed);
		stage_start();
		damaged += stage_info().damaged_segments;
		/* What is found is of the second version: stage_found() looks. */
		CU_ASSERT((stage_found(0, 102, 2) < 102) == (stage_info().damaged_segments != 0));
		for (uint32_t i = 0; i < 10; i++) {
			int status = stage_block(TARN_CACHE_BLOCK_LOOKUP, 0, i, 1, 0);

			CU_ASSERT(status == -EIO || stage_req.hit[0] == 0 || stage_block_is(0, 2));
			suspect += status == -EIO;
		}
		CU_ASSERT(stage_stop() == 0);
	}
	CU_ASSERT(suspect != 0 && damaged > 4);
	free(old);
}

UT_SUITE(
    cache_damage, setup, stage_teardown,
    UT_CASE(test_what_a_failed_flush_lost_is_found_where_it_was_written_again),
    UT_CASE(test_no_segment_needs_its_header),
    UT_CASE(test_a_header_that_cannot_be_read_is_not_needed_either),
    UT_CASE(test_an_error_that_passes_costs_nothing),
    UT_CASE(test_one_superblock_that_can_be_read_is_enough),
    UT_CASE(test_a_checkpoint_stands_in_for_what_is_lost_of_a_segment),
    UT_CASE(test_the_loss_of_the_oldest_segment_is_told),
    UT_CASE(test_the_loss_of_a_segment_drops_what_is_clean_before_it_and_suspects_what_is_dirty),
    UT_CASE(test_a_segment_that_cannot_be_read_is_damage),
    UT_CASE(test_what_was_dropped_does_not_come_back_when_it_can_be_read_again),
    UT_CASE(test_what_cannot_be_read_behind_the_log_may_have_been_flushed),
    UT_CASE(test_a_batch_that_cannot_be_read_at_the_end_of_the_log_is_damage),
    UT_CASE(test_a_payload_that_cannot_be_read_is_no_end_of_the_log),
    UT_CASE(test_a_segment_in_the_place_of_another_is_not_believed),
    UT_CASE(test_an_older_image_of_a_segment_is_damage),
    UT_CASE(test_segments_shuffled_by_a_partial_restore_bring_nothing_old_back));
