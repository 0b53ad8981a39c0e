/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cache/format.h"
#include "lib/cache/geometry.h"
#include "test/unit/cache/impossible.h"
#include "test/unit/common/ut.h"

#define SEED 0x12345678u

static _Alignas(4096) uint8_t block[DISK_BLOCK];

static void
flip(size_t bit)
{
	block[bit / 8] ^= (uint8_t)(1u << (bit % 8));
}

static void
good_super(void)
{
	struct disk_super *super = (struct disk_super *)(void *)block;
	struct tarn_cache_opts opts = { .shard_count = 2 };

	memset(block, 0, sizeof(block));
	CU_ASSERT_FATAL(geometry_choose(super, 64u << 20, &opts, NULL) == 0);
	super->next_volume_id = 3;
	super->volume[4].id = 2;
	super->sequence = 7;
	format_super_seal(super);
}

static void
test_super_verify_refuses_every_flipped_bit(void)
{
	uint32_t admitted = 0;

	good_super();
	for (size_t bit = 0; bit < sizeof(block) * 8; bit++) {
		flip(bit);
		admitted += format_super_verify((void *)block) == 0;
		flip(bit);
	}
	CU_ASSERT(admitted == 0);
	CU_ASSERT(format_super_verify((void *)block) == 0);
}

static void
good_batch(void)
{
	struct disk_batch *batch = (struct disk_batch *)(void *)block;

	memset(block, 0, sizeof(block));
	batch->sequence = 9;
	batch->block = 5;
	batch->block_count = 2;
	batch->entry_count = 1;
	batch->entry[0].kind = DISK_FORGET_OBJECT;
	batch->entry[0].place = 6 * DISK_BLOCK_UNITS;
	format_batch_seal(batch, SEED);
}

static void
test_batch_verify_refuses_every_flipped_bit_and_every_other_place(void)
{
	uint32_t admitted = 0;

	good_batch();
	for (size_t bit = 0; bit < sizeof(block) * 8; bit++) {
		flip(bit);
		admitted += format_batch_verify((void *)block, SEED, 9, 5) == 0;
		flip(bit);
	}
	CU_ASSERT(format_batch_verify((void *)block, SEED, 9, 5) == 0);
	admitted += format_batch_verify((void *)block, SEED, 9, 6) == 0;
	admitted += format_batch_verify((void *)block, SEED, 10, 5) == 0;
	/* An older life of the segment. */
	admitted += format_batch_verify((void *)block, SEED + 1, 9, 5) == 0;
	CU_ASSERT(admitted == 0);
}

static void
test_segment_and_footer_and_checkpoint_verify_refuse_every_flipped_bit(void)
{
	struct disk_segment *segment = (struct disk_segment *)(void *)block;
	struct disk_footer *footer = (struct disk_footer *)(void *)block;
	struct disk_checkpoint *checkpoint = (struct disk_checkpoint *)(void *)block;
	uint32_t admitted = 0;

	memset(block, 0, sizeof(block));
	segment->sequence = 3;
	segment->epoch = 99;
	segment->tail = 1;
	format_segment_seal(segment, SEED);
	for (size_t bit = 0; bit < sizeof(block) * 8; bit++) {
		flip(bit);
		admitted += format_segment_verify(segment, SEED) == 0;
		flip(bit);
	}
	memset(block, 0, sizeof(block));
	footer->sequence = 3;
	footer->end_block = 20;
	footer->trailer_block = 30;
	footer->entry_count = 124; /* one more would not fit beside it */
	format_footer_seal(footer, SEED, 31);
	for (size_t bit = 0; bit < sizeof(*footer) * 8; bit++) {
		flip(bit);
		admitted += format_footer_verify(footer, SEED, 3, 31) == 0;
		flip(bit);
	}
	memset(block, 0, sizeof(block));
	checkpoint->shard_count = 2;
	format_checkpoint_seal(checkpoint, SEED);
	for (size_t bit = 0; bit < sizeof(block) * 8; bit++) {
		flip(bit);
		admitted += format_checkpoint_verify(checkpoint, SEED) == 0;
		flip(bit);
	}
	CU_ASSERT(admitted == 0);
}

static uint32_t
read_packed(uint32_t number, bool verify, struct disk_entry *entries)
{
	struct format_packed where = {
		.segment_seed = SEED, .block = 3, .number = number, .verify = verify
	};

	return format_packed_read(block, &where, entries);
}

/* Records of 200 bytes, one behind the other, from number 7 on. \return how many fit. */
static uint32_t
good_records(void)
{
	uint32_t count = 0;

	memset(block, 0, sizeof(block));
	for (uint32_t at = 0; at + 256 <= DISK_BLOCK; at += 256) {
		struct disk_record *record = (struct disk_record *)(void *)(block + at);

		record->value_bytes = 200;
		record->key_bytes = 16;
		record->hash = count;
		record->expiry_s = 55;
		record->number = 7 + count++;
		format_record_seal(record, SEED, 3 * DISK_BLOCK_UNITS + at / DISK_UNIT);
	}
	return count;
}

static void
test_records_without_a_batch_are_read_by_number_and_place(void)
{
	struct disk_entry entries[FORMAT_PACKED_MAX];
	struct format_packed where = { .segment_seed = SEED, .number = 7, .verify = true };
	uint32_t count = good_records();

	CU_ASSERT(count == 16 && read_packed(7, true, entries) == 16);
	CU_ASSERT(entries[5].kind == DISK_OBJECT_ENTRY && entries[5].identity == 5);
	CU_ASSERT(entries[5].length == 252 && entries[5].expiry_s == 55);
	CU_ASSERT(entries[5].place == 3 * DISK_BLOCK_UNITS + 5 * 16);
	CU_ASSERT(format_entry_valid(&entries[5], 1 << 20));
	entries[0].place = DISK_BLOCK_UNITS; /* nothing but a header is before it */
	CU_ASSERT(format_entry_valid(&entries[0], 1 << 20));
	entries[0].place--;
	CU_ASSERT(!format_entry_valid(&entries[0], 1 << 20));
	CU_ASSERT(read_packed(6, true, entries) == 0);
	where.block = 4;
	CU_ASSERT(format_packed_read(block, &where, entries) == 0);
	where.block = 3;
	where.segment_seed++;
	CU_ASSERT(format_packed_read(block, &where, entries) == 0);
}

static void
test_records_without_a_batch_end_at_the_first_that_is_not_whole(void)
{
	struct disk_entry entries[FORMAT_PACKED_MAX];
	uint32_t wrong = 0;

	good_records();
	for (size_t bit = 0; bit < 56 * 8; bit++) {
		flip(9 * 256 * 8 + bit);
		wrong += read_packed(7, true, entries) != (bit < 52 * 8 ? 9u : 0u);
		wrong += read_packed(7, false, entries) != (bit < 52 * 8 ? 9u : 16u);
		flip(9 * 256 * 8 + bit);
	}
	CU_ASSERT(wrong == 0);
}

static void
test_chunk_verify_looks_at_the_data_too(void)
{
	struct disk_chunk *chunk = calloc(1, DISK_BLOCK + 64);
	uint8_t *data = (uint8_t *)(chunk + 1);

	chunk->length_bytes = 64;
	memset(data, 0x33, 64);
	format_chunk_seal(chunk, SEED);
	CU_ASSERT(format_chunk_verify(chunk, SEED) == 0);
	data[63] ^= 1;
	CU_ASSERT(format_chunk_verify(chunk, SEED) != 0);
	data[63] ^= 1;
	CU_ASSERT(format_chunk_verify(chunk, SEED + 1) != 0);
	free(chunk);
}

static void
test_records_are_bound_to_their_place_and_whole(void)
{
	uint8_t memory[8192] = { 0 };
	struct disk_record *record = (struct disk_record *)(void *)memory;
	struct disk_entry entry = { .kind = DISK_OBJECT_ENTRY, .place = 512, .identity = 5 };
	uint32_t admitted = 0, head;

	record->key_bytes = 3;
	record->value_bytes = 5000;
	record->hash = 5;
	head = format_record_head_bytes(3, 5000);
	CU_ASSERT(head == 32 + 4 + 8);
	entry.length = head + 5000;
	memcpy(record + 1, "key", 3);
	memset(memory + head, 0x44, 5000);
	entry.crc32c = format_record_seal(record, SEED, entry.place);
	CU_ASSERT(format_payload_verify(&entry, record, SEED));
	for (size_t bit = 0; bit < entry.length * 8; bit++) {
		memory[bit / 8] ^= (uint8_t)(1u << (bit % 8));
		admitted += format_payload_verify(&entry, record, SEED);
		memory[bit / 8] ^= (uint8_t)(1u << (bit % 8));
	}
	CU_ASSERT(admitted == 0);
	entry.place++;
	CU_ASSERT(!format_payload_verify(&entry, record, SEED));
}

static void
test_entries_outside_their_segment_are_refused(void)
{
	struct disk_entry entry = { .kind = DISK_BLOCK_ENTRY, .length = 4096 };

	entry.place = 2 * DISK_BLOCK_UNITS;
	CU_ASSERT(format_entry_valid(&entry, 128 * 1024));
	entry.place = 1 * DISK_BLOCK_UNITS; /* where the first batch's header is */
	CU_ASSERT(!format_entry_valid(&entry, 128 * 1024));
	entry.place = 31 * DISK_BLOCK_UNITS;
	CU_ASSERT(format_entry_valid(&entry, 128 * 1024));
	entry.place = 32 * DISK_BLOCK_UNITS;
	CU_ASSERT(!format_entry_valid(&entry, 128 * 1024));
	entry.place = 2 * DISK_BLOCK_UNITS + 1;
	CU_ASSERT(!format_entry_valid(&entry, 128 * 1024));
	entry.place = 2 * DISK_BLOCK_UNITS;
	entry.flags = 0x80;
	CU_ASSERT(!format_entry_valid(&entry, 128 * 1024));
	entry.flags = 0;
	entry.kind = 77;
	CU_ASSERT(!format_entry_valid(&entry, 128 * 1024));
}

static void
test_entries_of_blocks_that_the_index_cannot_tell_are_refused(void)
{
	struct disk_entry entry = { .kind = DISK_FORGET_BLOCKS, .place = 2 * DISK_BLOCK_UNITS };

	entry.volume = (1u << 14) - 1;
	entry.length = 256;
	entry.identity = (UINT64_C(1) << 40) - 256;
	CU_ASSERT(format_entry_valid(&entry, 128 * 1024));
	entry.identity++;
	CU_ASSERT(!format_entry_valid(&entry, 128 * 1024));
	entry.identity = 0;
	entry.length = 257;
	CU_ASSERT(!format_entry_valid(&entry, 128 * 1024));
	entry.length = UINT32_MAX;
	CU_ASSERT(!format_entry_valid(&entry, 128 * 1024));
	entry.length = 1;
	entry.volume++;
	CU_ASSERT(!format_entry_valid(&entry, 128 * 1024));
	entry.kind = DISK_BLOCK_ENTRY;
	entry.length = 4096;
	CU_ASSERT(!format_entry_valid(&entry, 128 * 1024));
}

static void
test_geometry_fits_its_device(void)
{
	struct tarn_cache_opts opts = { 0 };

	for (uint64_t size = 12u << 20; size < UINT64_C(1) << 44; size = size * 5 / 3) {
		struct disk_super super = { 0 };

		size &= ~UINT64_C(4095);
		CU_ASSERT_FATAL(geometry_choose(&super, size, &opts, NULL) == 0);
		CU_ASSERT(super.segment_count >= GEOMETRY_SEGMENTS_MIN);
		CU_ASSERT(super.data_offset + (uint64_t)super.segment_count * super.shard_count *
						  super.segment_bytes <=
			  size);
		CU_ASSERT(super.checkpoint_offset[1] + super.checkpoint_bytes == super.data_offset);
		CU_ASSERT(geometry_valid(&super));
		/* 24 bytes of index for each 4 KiB of device, and a bucket more. */
		CU_ASSERT((uint64_t)super.bucket_count * 64 * super.shard_count <=
			  size / 4096 * 24 + super.shard_count * 1024);
	}
}

static void
test_a_superblock_with_an_impossible_field_is_refused_though_its_checksum_is_right(void)
{
	struct disk_super *super = (struct disk_super *)(void *)block;
	const char *name;
	uint32_t count = 0;

	for (;; count++) {
		int status;

		good_super();
		impossible_seal(super);
		CU_ASSERT(format_super_verify(super) == 0);
		name = impossible_super(count, super);
		if (name == NULL)
			break;
		status = format_super_verify(super);
		if (status != -EBADMSG)
			printf("# case %u, %s: admitted\n", count, name);
		CU_ASSERT(status == -EBADMSG);
	}
	CU_ASSERT(count > 50);
}

UT_SUITE(
    cache_format, NULL, NULL, UT_CASE(test_super_verify_refuses_every_flipped_bit),
    UT_CASE(test_batch_verify_refuses_every_flipped_bit_and_every_other_place),
    UT_CASE(test_segment_and_footer_and_checkpoint_verify_refuse_every_flipped_bit),
    UT_CASE(test_records_without_a_batch_are_read_by_number_and_place),
    UT_CASE(test_records_without_a_batch_end_at_the_first_that_is_not_whole),
    UT_CASE(test_chunk_verify_looks_at_the_data_too),
    UT_CASE(test_records_are_bound_to_their_place_and_whole),
    UT_CASE(test_entries_outside_their_segment_are_refused),
    UT_CASE(test_entries_of_blocks_that_the_index_cannot_tell_are_refused),
    UT_CASE(test_a_superblock_with_an_impossible_field_is_refused_though_its_checksum_is_right),
    UT_CASE(test_geometry_fits_its_device));
