/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <stdbool.h>

#include "lib/cache/disk.h"
#include "lib/cache/disk_super.h"
#include "tarn/util.h"

/*
 * Sealing and verifying what is on the device. A verify function admits a block only if magic,
 * version, checksum by the right seed, reserved bytes and the ranges of its fields are right.
 * \return 0, -EBADMSG, or -EPROTONOSUPPORT: a newer version, otherwise whole. Any thread.
 */

/* --- Seeds --- */

uint32_t format_cache_seed(const uint8_t uuid[16]);
/** Of headers that lie at a fixed place of the device. */
uint32_t format_offset_seed(uint32_t cache_seed, uint64_t offset_bytes);
uint32_t format_segment_seed(uint32_t cache_seed, uint64_t epoch);
/** Of what lies in a segment, `place` units from its start. */
static inline uint32_t
format_seed(uint32_t segment_seed, uint32_t place)
{
	return segment_seed ^ (place * UINT32_C(0x9e3779b1));
}

/* --- Blocks --- */

/** Each fills in magic, version and checksum, and asserts that verify admits what came of it. */
void format_super_seal(struct disk_super *super);
int format_super_verify(const struct disk_super *super);
/** \return whether it was meant to be a superblock, whole or not. */
bool format_super_claims(const struct disk_super *super);

void format_segment_seal(struct disk_segment *segment, uint32_t seed);
int format_segment_verify(const struct disk_segment *segment, uint32_t seed);

void format_batch_seal(struct disk_batch *batch, uint32_t segment_seed);
/** Also that it says to lie in this life of the segment at this block. */
int format_batch_verify(const struct disk_batch *batch, uint32_t segment_seed, uint64_t sequence,
			uint32_t block);

/** Of a segment of so many blocks. */
void format_footer_seal(struct disk_footer *footer, uint32_t segment_seed, uint32_t segment_blocks);
int format_footer_verify(const struct disk_footer *footer, uint32_t segment_seed, uint64_t sequence,
			 uint32_t segment_blocks);
/** Blocks of the trailer of a segment with so many entries, the footer included. */
static inline uint32_t
format_trailer_blocks(uint32_t entry_count)
{
	uint64_t bytes =
	    (uint64_t)entry_count * sizeof(struct disk_entry) + sizeof(struct disk_footer);

	return (uint32_t)((bytes + DISK_BLOCK - 1) / DISK_BLOCK);
}
/** The footer of a trailer of so many blocks. */
static inline struct disk_footer *
format_trailer_footer(void *trailer, uint32_t block_count)
{
	uint8_t *end = (uint8_t *)trailer + (size_t)block_count * DISK_BLOCK;

	return (struct disk_footer *)(void *)(end - sizeof(struct disk_footer));
}
/** The checksum of a trailer of so many blocks, without its footer. */
uint32_t format_trailer_crc(const void *trailer, uint32_t block_count, uint32_t segment_seed,
			    uint32_t block);

void format_checkpoint_seal(struct disk_checkpoint *checkpoint, uint32_t seed);
int format_checkpoint_verify(const struct disk_checkpoint *checkpoint, uint32_t seed);

/** Head and data, which follows it in memory. */
void format_chunk_seal(struct disk_chunk *chunk, uint32_t seed);
int format_chunk_verify(const struct disk_chunk *chunk, uint32_t seed);

/* --- Entries' payloads --- */

/** \return whether kind, length, place and reserved bytes can be so in a segment of that size. */
bool format_entry_valid(const struct disk_entry *entry, uint32_t segment_bytes);
bool format_entries_valid(const struct disk_entry *entries, uint32_t entry_count,
			  uint32_t segment_bytes);
/** \return whether all entries of a verified batch can be so, with their payloads inside it. */
bool format_batch_sound(const struct disk_batch *batch, uint32_t segment_bytes);
static inline bool
format_entry_has_payload(const struct disk_entry *entry)
{
	return entry->kind == DISK_BLOCK_ENTRY || entry->kind == DISK_OBJECT_ENTRY ||
	       entry->kind == DISK_BAN;
}
/** \return whether the payload is what the entry says. Also all of a record's value. */
bool format_payload_verify(const struct disk_entry *entry, const void *payload,
			   uint32_t segment_seed);

#define FORMAT_CHUNK_BYTES 4096 /* of a value under one checksum */

static inline uint32_t
format_value_chunks(uint64_t value_bytes)
{
	return (uint32_t)((value_bytes + FORMAT_CHUNK_BYTES - 1) / FORMAT_CHUNK_BYTES);
}

/** Bytes of a record before its value. */
static inline uint32_t
format_record_head_bytes(uint32_t key_bytes, uint64_t value_bytes)
{
	return (uint32_t)(sizeof(struct disk_record) + tarn_align_up(key_bytes, 4) +
			  4 * (uint64_t)format_value_chunks(value_bytes));
}

static inline uint64_t
format_record_bytes(const struct disk_record *record)
{
	return format_record_head_bytes(record->key_bytes, record->value_bytes) +
	       (uint64_t)record->value_bytes;
}

static inline uint32_t *
format_record_table(struct disk_record *record)
{
	return (uint32_t *)(void *)((uint8_t *)(record + 1) + tarn_align_up(record->key_bytes, 4));
}

/** The seed of chunk n of the value of a record at `place`. */
static inline uint32_t
format_chunk_seed(uint32_t segment_seed, uint32_t place, uint32_t n)
{
	return format_seed(segment_seed, place + 1 + n);
}

#define FORMAT_PACKED_MAX (DISK_BLOCK / sizeof(struct disk_record)) /* more than fit a block */

/** \return whether an entry of that kind and size needs no batch; see struct disk_record. */
static inline bool
format_entry_packs(uint8_t kind, uint64_t payload_bytes)
{
	return kind == DISK_OBJECT_ENTRY && payload_bytes <= DISK_BLOCK;
}
/* Where a block lies in which there may be records without a batch. */
struct format_packed {
	uint32_t segment_seed;
	uint32_t block;	 /* of the segment */
	uint32_t number; /* of the first record: entries of the segment before it */
	bool verify;	 /* the values, too */
};
/**
 * \return how many there are, with their entries in ret[FORMAT_PACKED_MAX]; 0: none, or a value
 * that was to be verified is not whole.
 */
uint32_t format_packed_read(const void *block, const struct format_packed *where,
			    struct disk_entry *ret);

/** Fill in the checksums of a record that is whole in memory. \return that of its head. */
uint32_t format_record_seal(struct disk_record *record, uint32_t segment_seed, uint32_t place);
/**
 * \return whether the head at `record`, of which `length_bytes` are there, is whole and belongs to
 * a record of record_bytes.
 */
bool format_record_verify(const struct disk_record *record, uint64_t length_bytes,
			  uint64_t record_bytes, uint32_t segment_seed, uint32_t place);
