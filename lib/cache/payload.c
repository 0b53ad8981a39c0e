/* SPDX-License-Identifier: BSD-3-Clause */
/* Verifying what entries speak of: blocks, records, bans. See format.h. */
#include "lib/cache/format.h"

#include <errno.h>

#include "lib/cache/index.h"
#include "tarn/cache_block.h"

/* Whether the index can tell of these blocks, of one request; none, where a batch says no more. */
static bool
blocks_valid(const struct disk_entry *entry, uint64_t count)
{
	return entry->volume < 1u << INDEX_VOLUME_BITS && count <= TARN_CACHE_EXTENT_BLOCKS &&
	       tarn_range_within(entry->identity, count, UINT64_C(1) << INDEX_BLOCK_BITS);
}

bool
format_entry_valid(const struct disk_entry *entry, uint32_t segment_bytes)
{
	uint64_t at = (uint64_t)entry->place * DISK_UNIT;
	uint64_t first = format_entry_packs(entry->kind, entry->length) ? 1 : 2; /* a batch's */

	if (entry->reserved != 0 ||
	    (entry->flags & ~(DISK_ENTRY_DIRTY | DISK_ENTRY_SUSPECT)) != 0 ||
	    at < first * DISK_BLOCK)
		return false;
	switch (entry->kind) {
	case DISK_BLOCK_ENTRY:
		return entry->length == DISK_BLOCK && at % DISK_BLOCK == 0 &&
		       blocks_valid(entry, 1) &&
		       tarn_range_within(at, entry->length, segment_bytes);
	case DISK_OBJECT_ENTRY:
		return entry->length > sizeof(struct disk_record) &&
		       tarn_range_within(at, entry->length, segment_bytes);
	case DISK_BAN:
		return entry->length >= sizeof(struct disk_ban) &&
		       tarn_range_within(at, entry->length, segment_bytes);
	case DISK_FORGET_BLOCKS:
	case DISK_CLEAN_BLOCKS:
		return at <= segment_bytes && blocks_valid(entry, entry->length);
	case DISK_FORGET_OBJECT:
		return at <= segment_bytes;
	default:
		return false;
	}
}

bool
format_entries_valid(const struct disk_entry *entries, uint32_t entry_count, uint32_t segment_bytes)
{
	for (uint32_t i = 0; i < entry_count; i++)
		if (!format_entry_valid(&entries[i], segment_bytes))
			return false;
	return true;
}

bool
format_batch_sound(const struct disk_batch *batch, uint32_t segment_bytes)
{
	uint64_t from = (uint64_t)(batch->block + 1) * DISK_BLOCK;
	uint64_t to = (uint64_t)(batch->block + batch->block_count) * DISK_BLOCK;

	if (!format_entries_valid(batch->entry, batch->entry_count, segment_bytes))
		return false;
	for (uint32_t i = 0; i < batch->entry_count; i++) {
		const struct disk_entry *entry = &batch->entry[i];
		uint64_t at = (uint64_t)entry->place * DISK_UNIT;

		if (format_entry_has_payload(entry) &&
		    (at < from || !tarn_range_within(at - from, entry->length, to - from)))
			return false;
	}
	return true;
}

static uint32_t
record_crc(const struct disk_record *record, uint32_t segment_seed, uint32_t place)
{
	static const uint32_t zero;
	uint32_t crc = tarn_crc32c(format_seed(segment_seed, place), &zero, sizeof(zero));
	uint32_t head_bytes = format_record_head_bytes(record->key_bytes, record->value_bytes);

	return tarn_crc32c(crc, (const uint8_t *)record + sizeof(zero), head_bytes - sizeof(zero));
}

uint32_t
format_record_seal(struct disk_record *record, uint32_t segment_seed, uint32_t place)
{
	uint32_t *table = format_record_table(record);
	const uint8_t *value = (const uint8_t *)record +
			       format_record_head_bytes(record->key_bytes, record->value_bytes);

	for (uint32_t n = 0; n < format_value_chunks(record->value_bytes); n++) {
		uint64_t from = (uint64_t)n * FORMAT_CHUNK_BYTES;

		table[n] =
		    tarn_crc32c(format_chunk_seed(segment_seed, place, n), value + from,
				tarn_min_u64(FORMAT_CHUNK_BYTES, record->value_bytes - from));
	}
	record->crc32c = record_crc(record, segment_seed, place);
	return record->crc32c;
}

bool
format_record_verify(const struct disk_record *record, uint64_t length_bytes, uint64_t record_bytes,
		     uint32_t segment_seed, uint32_t place)
{
	uint64_t head_bytes, whole_bytes;

	if (length_bytes < sizeof(*record) || record->key_bytes == 0)
		return false;
	head_bytes = format_record_head_bytes(record->key_bytes, record->value_bytes);
	whole_bytes = head_bytes + record->value_bytes;
	/* The index knows the length in units only. */
	if (tarn_align_up(whole_bytes, DISK_UNIT) != tarn_align_up(record_bytes, DISK_UNIT) ||
	    head_bytes > length_bytes || record->reserved != 0)
		return false;
	return record->crc32c == record_crc(record, segment_seed, place);
}

static bool
record_whole(const struct disk_entry *entry, const struct disk_record *record,
	     uint32_t segment_seed)
{
	const uint32_t *table;
	const uint8_t *value;

	if (!format_record_verify(record, entry->length, entry->length, segment_seed,
				  entry->place) ||
	    record->hash != entry->identity || record->crc32c != entry->crc32c)
		return false;
	table = format_record_table((struct disk_record *)(uintptr_t)record);
	value = (const uint8_t *)record +
		format_record_head_bytes(record->key_bytes, record->value_bytes);
	for (uint32_t n = 0; n < format_value_chunks(record->value_bytes); n++) {
		uint64_t from = (uint64_t)n * FORMAT_CHUNK_BYTES;
		uint64_t bytes = tarn_min_u64(FORMAT_CHUNK_BYTES, record->value_bytes - from);

		if (table[n] != tarn_crc32c(format_chunk_seed(segment_seed, entry->place, n),
					    value + from, bytes))
			return false;
	}
	return true;
}

/* The entry of the record at `record`. \return false: there is none, in so many bytes. */
static bool
packed_entry(const struct disk_record *record, uint64_t length_bytes, uint32_t segment_seed,
	     struct disk_entry *ret)
{
	uint64_t bytes;

	if (length_bytes < sizeof(*record) || record->value_bytes >= DISK_BLOCK)
		return false;
	bytes = format_record_bytes(record);
	if (bytes > length_bytes ||
	    !format_record_verify(record, bytes, bytes, segment_seed, ret->place))
		return false;
	ret->kind = DISK_OBJECT_ENTRY;
	ret->length = (uint32_t)bytes;
	ret->identity = record->hash;
	ret->crc32c = record->crc32c;
	ret->expiry_s = record->expiry_s;
	return true;
}

uint32_t
format_packed_read(const void *block, const struct format_packed *where, struct disk_entry *ret)
{
	uint32_t count = 0, at = 0;

	while (at < DISK_BLOCK) {
		const struct disk_record *record =
		    (const struct disk_record *)(const void *)((const uint8_t *)block + at);

		ret[count] = (struct disk_entry){
			.place = where->block * DISK_BLOCK_UNITS + at / DISK_UNIT,
		};
		if (!packed_entry(record, DISK_BLOCK - at, where->segment_seed, &ret[count]) ||
		    record->number != where->number + count)
			break;
		if (where->verify &&
		    !format_payload_verify(&ret[count], record, where->segment_seed))
			return 0;
		at += (uint32_t)tarn_align_up(ret[count++].length, DISK_UNIT);
	}
	return count;
}

static bool
ban_whole(const struct disk_entry *entry, const struct disk_ban *ban)
{
	if (ban->kind < DISK_BAN_BLOCKS || ban->kind > DISK_BAN_DAMAGE)
		return false;
	if (ban->kind == DISK_BAN_DAMAGE && ban->position == 0)
		return false;
	return ban->reserved_end == 0 && ban->prefix_bytes == entry->length - sizeof(*ban);
}

bool
format_payload_verify(const struct disk_entry *entry, const void *payload, uint32_t segment_seed)
{
	uint32_t seed = format_seed(segment_seed, entry->place);

	if (entry->kind == DISK_OBJECT_ENTRY)
		return record_whole(entry, payload, segment_seed);
	if (entry->crc32c != tarn_crc32c(seed, payload, entry->length))
		return false;
	return entry->kind != DISK_BAN || ban_whole(entry, payload);
}
