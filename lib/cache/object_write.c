/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Storing, touching and removing objects: an entry in the log, the index moved in the same breath,
 * and an answer when it is committed.
 *
 * A store that is refused over an existing key leaves a tombstone: the old value must not be found
 * by someone who was told that there is a new one.
 */
#include <errno.h>
#include <string.h>

#include "lib/cache/internal.h"
#include "lib/cache/op.h"

static struct index_slot *
find(struct op *op)
{
	return index_find(&op->shard->index, index_object_id(op->hash));
}

static uint32_t
slot_info(const struct log_slot *place, uint64_t bytes)
{
	return (uint32_t)(tarn_align_up(bytes, DISK_UNIT) / DISK_UNIT) << 8 |
	       place->place % DISK_BLOCK_UNITS;
}

/* \return 0 with the place of a record of so many bytes to fill in, or as log_append(). */
static int
append_record(struct op *op, uint64_t bytes, struct log_slot *ret)
{
	struct disk_entry entry = {
		.kind = DISK_OBJECT_ENTRY,
		.length = (uint32_t)bytes,
		.identity = op->hash,
		.expiry_s = op->expiry_s,
	};

	return log_append(op->shard, LOG_FOREGROUND, &entry, (uint32_t)bytes, ret);
}

/* \return 0: the tombstone is appended; or as log_append(). */
static int
append_forget(struct op *op)
{
	struct disk_entry entry = { .kind = DISK_FORGET_OBJECT, .identity = op->hash };
	struct log_slot place;

	return log_append(op->shard, LOG_TOMBSTONE, &entry, 0, &place);
}

static void
block_op(struct op *op, void (*run)(struct shard_task *task))
{
	op_order_hold(op);
	op->task.run = run;
	shard_block(op->shard, &op->task);
}

void
op_drop_bad(struct op *op)
{
	struct index_slot *slot = find(op);

	if (slot == NULL || slot->place != op->place || slot->info != op->info)
		return;
	/* Without room it stays, and is found to be bad again. */
	if (append_forget(op) == 0)
		index_remove(&op->shard->index, slot);
}

/* --- Store --- */

static void
store_task(struct shard_task *task)
{
	struct op *op = tarn_container_of(task, struct op, task);

	op_store(op);
}

/* Refuse, with a tombstone where there is something that the store was meant to replace. */
static void
refuse(struct op *op, enum tarn_cache_reject reason, int status)
{
	struct index_slot *slot = find(op);
	int append;

	if (slot == NULL) {
		/* In a log that failed there may be an older one, which is found after a start. */
		op_reject(op, reason, op->shard->failed ? -EIO : status);
		return;
	}
	append = append_forget(op);
	if (append == -EAGAIN) {
		block_op(op, store_task);
		return;
	}
	index_remove(&op->shard->index, slot);
	if (append != 0) {
		/* Not logged: what it was to replace is found again after a start. */
		op_reject(op, reason, append);
		return;
	}
	op->shard->counters.reject[reason]++;
	op_wait(op, status);
}

/* Copy and checksum while it is at hand. */
static void
fill_record(struct op *op, const struct log_slot *place)
{
	const struct tarn_cache_op *user = op_user(op);
	struct disk_record *record = (struct disk_record *)(void *)place->payload;
	uint8_t *key = (uint8_t *)(record + 1);

	*record = (struct disk_record){
		.value_bytes = (uint32_t)user->buf_bytes,
		.key_bytes = (uint16_t)user->key_bytes,
		.expiry_s = op->expiry_s,
		.hash = op->hash,
		.number = place->number,
		.stored_s = (uint32_t)tarn_min_u64(cache_now_s(op->shard->cache), UINT32_MAX),
	};
	memcpy(key, user->key, user->key_bytes);
	memset(key + user->key_bytes, 0, tarn_align_up(user->key_bytes, 4) - user->key_bytes);
	if (user->buf_bytes != 0)
		memcpy((uint8_t *)record +
			   format_record_head_bytes(user->key_bytes, user->buf_bytes),
		       user->buf, user->buf_bytes);
	place->entry->crc32c = format_record_seal(record, place->seed, place->place);
}

static uint64_t
largest_record(const struct shard *shard)
{
	return (uint64_t)(shard->segment_blocks - 4) * DISK_BLOCK;
}

/* \return whether the condition holds, or there is none; otherwise the op goes its own way. */
static bool
condition(struct op *op, const struct index_slot *slot)
{
	uint32_t flags = op_user(op)->flags & (TARN_CACHE_IF_ABSENT | TARN_CACHE_IF_PRESENT);

	if (flags == 0)
		return true;
	if (slot == NULL) {
		if ((flags & TARN_CACHE_IF_PRESENT) == 0)
			return true;
		op_finish(op, -ENOENT);
		return false;
	}
	/* Looked at, and nothing has changed since. */
	if (op->condition_met && slot->place == op->place && slot->info == op->info)
		return true;
	op->condition_met = false;
	op_order_hold(op);
	op_read(op);
	return false;
}

void
op_condition_read(struct op *op, bool present)
{
	uint32_t flags = op_user(op)->flags;

	tarn_iobuf_put(op->buf);
	op->buf = NULL;
	op->hit_ram = false;
	if (present && (flags & TARN_CACHE_IF_ABSENT) != 0) {
		op_finish(op, -EEXIST);
	} else if (!present && (flags & TARN_CACHE_IF_PRESENT) != 0) {
		op_finish(op, -ENOENT);
	} else {
		op->condition_met = true;
		op_store(op);
	}
}

static void
store(struct op *op, struct index_slot *slot, uint64_t bytes)
{
	struct index *index = &op->shard->index;
	bool added = slot == NULL;
	struct log_slot place;
	int status;

	if (added)
		slot = index_insert(index, index_object_id(op->hash));
	if (slot == NULL) {
		op_reject(op, TARN_CACHE_REJECT_INDEX_FULL, -ENOSPC);
		return;
	}
	status = append_record(op, bytes, &place);
	if (tarn_unlikely(status != 0)) {
		if (added)
			index_remove(index, slot);
		if (status == -EAGAIN)
			block_op(op, store_task);
		else if (status == -ENOMEM)
			refuse(op, TARN_CACHE_REJECT_MEMORY, -ENOMEM);
		else
			refuse(op, TARN_CACHE_REJECT_FAILED, -EIO);
		return;
	}
	fill_record(op, &place);
	slot->place = place.block;
	slot->info = slot_info(&place, bytes);
	slot->id &= ~(uint64_t)INDEX_HITS;
	op_wait(op, 0);
}

void
op_store(struct op *op)
{
	const struct tarn_cache_op *user = op_user(op);
	struct shard *shard = op->shard;
	struct index_slot *slot;
	uint64_t bytes;

	if (tarn_unlikely(op->task.run == NULL && shard_is_blocked(shard))) {
		block_op(op, store_task);
		return;
	}
	slot = find(op);
	if (!condition(op, slot))
		return;
	if (user->buf_bytes > UINT32_MAX ||
	    user->buf_bytes >
		atomic_load_explicit(&shard->cache->max_object_bytes, memory_order_relaxed)) {
		refuse(op, TARN_CACHE_REJECT_SIZE, -E2BIG);
		return;
	}
	bytes = format_record_head_bytes(user->key_bytes, user->buf_bytes) + user->buf_bytes;
	if (bytes > largest_record(shard))
		refuse(op, TARN_CACHE_REJECT_SIZE, -E2BIG);
	else
		store(op, slot, bytes);
}

/* --- Touch --- */

static void
touch_task(struct shard_task *task)
{
	op_read(tarn_container_of(task, struct op, task));
}

void
op_touch_read(struct op *op, const struct disk_record *record)
{
	uint64_t bytes = format_record_bytes(record);
	struct index_slot *slot = find(op);
	struct disk_record *copy;
	struct log_slot place;
	int status;

	if (slot == NULL || slot->place != op->place || slot->info != op->info) {
		/* Stored again or removed meanwhile: touch what is there now. */
		tarn_iobuf_put(op->buf);
		op->buf = NULL;
		op->hit_ram = false;
		op_read(op);
		return;
	}
	status = append_record(op, bytes, &place);
	if (status == -EAGAIN) {
		tarn_iobuf_put(op->buf);
		op->buf = NULL;
		op->hit_ram = false;
		block_op(op, touch_task);
		return;
	}
	if (status != 0) {
		op_finish(op, status);
		return;
	}
	memcpy(place.payload, record, bytes);
	copy = (struct disk_record *)(void *)place.payload;
	copy->expiry_s = op->expiry_s;
	copy->number = place.number;
	place.entry->crc32c = format_record_seal(copy, place.seed, place.place);
	slot->place = place.block;
	slot->info = slot_info(&place, bytes);
	op_user(op)->expiry_s = op->expiry_s;
	op_wait(op, 0);
}

/* --- Remove --- */

static void
remove_task(struct shard_task *task)
{
	op_remove(tarn_container_of(task, struct op, task));
}

void
op_remove(struct op *op)
{
	struct shard *shard = op->shard;
	struct index_slot *slot;
	int status;

	/* Not behind stores of other keys that wait for room: it may have some all the same. */
	slot = find(op);
	if (slot == NULL) {
		/* In a log that failed there may be one that is found after a start. */
		op_finish(op, shard->failed ? -EIO : -ENOENT);
		return;
	}
	status = append_forget(op);
	if (status == -EAGAIN) {
		block_op(op, remove_task);
		return;
	}
	index_remove(&shard->index, slot);
	if (status != 0)
		op_finish(op, status);
	else
		op_wait(op, 0);
}
