/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading records: lookup, exists, and what touch and conditional stores need to know first.
 *
 *	slot --in RAM--> record
 *	slot --small, or all of it wanted--> read whole --verified--> record
 *	slot --otherwise--> read head --verified--> read the blocks of the range --verified--> value
 *
 * Nothing is believed before its checksum; then the key, the expiry and the bans are looked at.
 */
#include <errno.h>
#include <string.h>

#include "lib/cache/internal.h"
#include "lib/cache/op.h"

#define WHOLE_BYTES (128 * 1024) /* records up to this are read in one piece */

static uint64_t
record_bytes(const struct op *op)
{
	return (uint64_t)(op->info >> 8) * DISK_UNIT;
}

static uint32_t
record_unit(const struct op *op)
{
	return op->place % op->shard->segment_blocks * DISK_BLOCK_UNITS + (op->info & 0xff);
}

/* A record that is whole, of which the head was verified. \return a reason, or -1: a hit. */
static int
judge(struct op *op, const struct disk_record *record)
{
	struct tarn_cache_op *user = op_user(op);

	if (record->key_bytes != user->key_bytes ||
	    memcmp(record + 1, user->key, user->key_bytes) != 0)
		return TARN_CACHE_MISS_KEY;
	if (record->expiry_s != 0 && record->expiry_s <= cache_now_s(op->shard->cache))
		return TARN_CACHE_MISS_EXPIRED;
	if (ban_hits_key(&op->shard->bans, user->key, user->key_bytes, op->position))
		return TARN_CACHE_MISS_BANNED;
	user->value_bytes = record->value_bytes;
	user->expiry_s = record->expiry_s;
	return -1;
}

static void
missed(struct op *op, enum tarn_cache_miss reason)
{
	if (op->kind == TARN_CACHE_STORE)
		op_condition_read(op, false);
	else
		op_miss(op, reason);
}

static void
damaged(struct op *op, bool unreadable)
{
	if (unreadable)
		op->shard->counters.read_error_count++;
	else
		op->shard->counters.crc_error_clean++;
	op_drop_bad(op);
	missed(op, unreadable ? TARN_CACHE_MISS_IO : TARN_CACHE_MISS_CRC);
}

/* Which part of the value is asked for. \return false: it lies beyond. */
static bool
range_of(const struct tarn_cache_op *user, uint64_t *ret_bytes)
{
	uint64_t left;

	if (user->offset_bytes > user->value_bytes)
		return false;
	left = user->value_bytes - user->offset_bytes;
	*ret_bytes = (user->flags & TARN_CACHE_LEND) != 0 && user->buf_bytes == 0
			 ? left
			 : tarn_min_u64(left, user->buf_bytes);
	return true;
}

/* `value` is where the value would begin, of which the chunks of the range are there. */
static bool
chunks_whole(struct op *op, const uint32_t *table, const uint8_t *value, uint64_t offset,
	     uint64_t bytes)
{
	uint64_t value_bytes = op_user(op)->value_bytes;
	uint32_t from, to;

	if (bytes == 0)
		return true;
	from = (uint32_t)(offset / FORMAT_CHUNK_BYTES);
	to = (uint32_t)((offset + bytes - 1) / FORMAT_CHUNK_BYTES);
	for (uint32_t n = from; n <= to; n++) {
		uint64_t at = (uint64_t)n * FORMAT_CHUNK_BYTES;
		uint64_t length = tarn_min_u64(FORMAT_CHUNK_BYTES, value_bytes - at);

		if (table[n] != tarn_crc32c(format_chunk_seed(op->read.seed, record_unit(op), n),
					    value + at, length))
			return false;
	}
	return true;
}

static void
deliver(struct op *op, const uint8_t *from, uint64_t bytes)
{
	struct tarn_cache_op *user = op_user(op);

	user->result_bytes = bytes;
	if ((user->flags & TARN_CACHE_LEND) != 0)
		user->lent = from;
	else if (bytes != 0)
		memcpy(user->buf, from, bytes);
	op_finish(op, 0);
}

/* --- Parts of large values --- */

static void
part_read(struct log_read *read, int status)
{
	struct op *op = tarn_container_of(read, struct op, read);
	struct disk_record *record =
	    (struct disk_record *)(void *)(op->head_buf + (op->info & 0xff) * DISK_UNIT);
	uint64_t offset = op_user(op)->offset_bytes;
	const uint8_t *value = op->buf + op->value_at;
	uint64_t bytes = 0;

	range_of(op_user(op), &bytes);
	if (status != 0 || !chunks_whole(op, format_record_table(record), value, offset, bytes))
		damaged(op, status != 0);
	else
		deliver(op, value + offset, bytes);
}

/* The head is verified and is a hit: read the blocks in which the range lies. */
static void
read_part(struct op *op, const struct disk_record *record, uint64_t bytes)
{
	uint64_t offset = op_user(op)->offset_bytes;
	uint64_t value_at = (op->info & 0xff) * DISK_UNIT +
			    format_record_head_bytes(record->key_bytes, record->value_bytes);
	uint64_t from = value_at + offset / FORMAT_CHUNK_BYTES * FORMAT_CHUNK_BYTES;
	uint64_t to = value_at + tarn_min_u64(tarn_align_up(offset + bytes, FORMAT_CHUNK_BYTES),
					      record->value_bytes);
	uint32_t first = (uint32_t)(from / DISK_BLOCK);
	uint32_t count = (uint32_t)((to + DISK_BLOCK - 1) / DISK_BLOCK) - first;

	op->head_buf = op->buf;
	op->buf = tarn_iobuf_get((size_t)count * DISK_BLOCK);
	if (op->buf == NULL) {
		op_finish(op, -ENOMEM);
		return;
	}
	op->value_at = (int64_t)value_at - (int64_t)first * DISK_BLOCK;
	op->read.done = part_read;
	log_read(op->shard, &op->read, op->place + first, op->buf, count);
}

/* --- A record, or its head, is there --- */

static void
have_record(struct op *op, struct disk_record *record, bool head_only)
{
	struct tarn_cache_op *user = op_user(op);
	int reason = judge(op, record);
	const uint8_t *value;
	uint64_t bytes;

	if (reason >= 0) {
		missed(op, (enum tarn_cache_miss)reason);
		return;
	}
	if (op->kind == TARN_CACHE_STORE) {
		op_condition_read(op, true);
		return;
	}
	if (op->kind == TARN_CACHE_EXISTS) {
		op_finish(op, 0);
		return;
	}
	value = (const uint8_t *)record +
		format_record_head_bytes(record->key_bytes, record->value_bytes);
	if (op->kind == TARN_CACHE_TOUCH) {
		if (op->hit_ram ||
		    chunks_whole(op, format_record_table(record), value, 0, record->value_bytes))
			op_touch_read(op, record);
		else
			damaged(op, false);
		return;
	}
	if (!range_of(user, &bytes))
		op_finish(op, -EINVAL);
	else if (bytes == 0)
		deliver(op, value, 0);
	else if (head_only)
		read_part(op, record, bytes);
	else if (op->hit_ram ||
		 chunks_whole(op, format_record_table(record), value, user->offset_bytes, bytes))
		deliver(op, value + user->offset_bytes, bytes);
	else
		damaged(op, false);
}

static void
record_read(struct log_read *read, int status)
{
	struct op *op = tarn_container_of(read, struct op, read);
	struct disk_record *record =
	    (struct disk_record *)(void *)(op->buf + (op->info & 0xff) * DISK_UNIT);
	uint64_t there = op->head_only ? op->head_bytes : record_bytes(op);

	if (status != 0 ||
	    !format_record_verify(record, there, record_bytes(op), read->seed, record_unit(op)))
		damaged(op, status != 0);
	else
		have_record(op, record, op->head_only);
}

/* A copy of what is in RAM, where it is lent: the batch goes on. */
static void
from_ram(struct op *op, const uint8_t *block)
{
	uint32_t in_block = (op->info & 0xff) * DISK_UNIT;
	struct disk_record *record = (struct disk_record *)(void *)(uintptr_t)(block + in_block);

	op->hit_ram = true;
	if (op->kind == TARN_CACHE_LOOKUP && (op_user(op)->flags & TARN_CACHE_LEND) != 0) {
		op->buf = tarn_iobuf_get(record_bytes(op));
		if (op->buf == NULL) {
			op_finish(op, -ENOMEM);
			return;
		}
		memcpy(op->buf, record, record_bytes(op));
		record = (struct disk_record *)(void *)op->buf;
	}
	have_record(op, record, false);
}

/* Whether the whole record is read at once. */
static bool
wants_whole(struct op *op)
{
	const struct tarn_cache_op *user = op_user(op);

	if (op->kind == TARN_CACHE_TOUCH)
		return true;
	if (op->kind != TARN_CACHE_LOOKUP)
		return false;
	return record_bytes(op) <= WHOLE_BYTES ||
	       (user->offset_bytes == 0 &&
		(user->buf_bytes >= record_bytes(op) ||
		 ((user->flags & TARN_CACHE_LEND) != 0 && user->buf_bytes == 0)));
}

void
op_read(struct op *op)
{
	struct shard *shard = op->shard;
	struct index_slot *slot = index_find(&shard->index, index_object_id(op->hash));
	const uint8_t *ram;
	uint64_t bytes;

	if (slot == NULL) {
		missed(op, TARN_CACHE_MISS_ABSENT);
		return;
	}
	op->place = slot->place;
	op->info = slot->info;
	op->position = shard_slot_position(shard, slot);
	if (op->kind == TARN_CACHE_LOOKUP)
		index_hit(slot);
	ram = log_ram(shard, slot->place);
	if (ram != NULL) {
		from_ram(op, ram);
		return;
	}
	op->head_only = !wants_whole(op);
	op->head_bytes = (uint32_t)tarn_min_u64(
	    record_bytes(op), format_record_head_bytes(TARN_CACHE_KEY_MAX, record_bytes(op)));
	bytes = (op->info & 0xff) * DISK_UNIT + (op->head_only ? op->head_bytes : record_bytes(op));
	bytes = tarn_align_up(bytes, DISK_BLOCK);
	op->buf = tarn_iobuf_get(bytes);
	if (op->buf == NULL) {
		op_finish(op, -ENOMEM);
		return;
	}
	op->read.done = record_read;
	log_read(shard, &op->read, op->place, op->buf, (uint32_t)(bytes / DISK_BLOCK));
}
