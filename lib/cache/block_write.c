/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Storing, filling, cleaning and forgetting blocks. A request may span several batches, and wait
 * for room between two blocks: it then goes on where it was. What it tells at the end, it tells
 * when its last entry is committed, and so all before it.
 *
 * Tokens: every change of a block by its volume gets a number. A fill or a clean says which number
 * it knew; where the block's is higher by now, somebody was faster, and nothing is done.
 */
#include <errno.h>
#include <string.h>

#include "lib/cache/block.h"
#include "lib/cache/internal.h"

static void
waited(struct log_waiter *waiter, int status)
{
	struct block_op *op = tarn_container_of(waiter, struct block_op, waiter);

	block_finish(op, status != 0 ? status : op->outcome);
}

static void
finish_writes(struct block_op *op)
{
	const struct tarn_cache_block_req *user = block_user(op);
	bool durable = (user->flags & TARN_CACHE_BLOCK_FUA) != 0;

	if (user->kind == TARN_CACHE_BLOCK_FILL)
		block_finish(op, op->outcome);
	else
		log_fence(op->shard, &op->waiter, durable, waited);
}

static void
changed(struct block_op *op, uint32_t n)
{
	const struct tarn_cache_block_req *user = block_user(op);

	*block_token(op->shard, user->volume_id, user->first_block + n) = ++op->shard->token;
}

/* --- Store and fill --- */

/* How many blocks of the request would become dirty. */
static uint32_t
newly_dirty(struct block_op *op)
{
	const struct tarn_cache_block_req *user = block_user(op);
	uint32_t count = 0;

	for (uint32_t n = 0; n < user->block_count; n++) {
		const struct index_slot *slot = index_find(
		    &op->shard->index, index_block_id(user->volume_id, user->first_block + n));

		count += slot == NULL || (slot->id & INDEX_DIRTY) == 0;
	}
	return count;
}

static bool
admitted(struct block_op *op)
{
	const struct tarn_cache_block_req *user = block_user(op);
	struct shard *shard = op->shard;

	if ((user->flags & TARN_CACHE_BLOCK_DIRTY) == 0 ||
	    shard->index.dirty_count + user->block_count <= shard->dirty_limit)
		return true;
	return shard->index.dirty_count + newly_dirty(op) <= shard->dirty_limit;
}

/* \return 0, -EAGAIN, -ENOSPC (index) or -EIO. */
static int
put_block(struct block_op *op, struct index_slot *slot, const uint8_t *data, bool dirty)
{
	const struct tarn_cache_block_req *user = block_user(op);
	struct index *index = &op->shard->index;
	uint64_t block = user->first_block + op->next;
	struct disk_entry entry = {
		.kind = DISK_BLOCK_ENTRY,
		.flags = dirty ? DISK_ENTRY_DIRTY : 0,
		.length = DISK_BLOCK,
		.identity = block,
		.volume = user->volume_id,
	};
	enum log_class class = LOG_FOREGROUND;
	bool added = slot == NULL;
	struct log_slot place;
	int status;

	if (added)
		slot = index_insert(index, index_block_id(user->volume_id, block));
	if (slot == NULL)
		return -ENOSPC;
	status = log_append(op->shard, class, &entry, DISK_BLOCK, &place);
	if (tarn_unlikely(status != 0)) {
		if (added)
			index_remove(index, slot);
		return status;
	}
	memcpy(place.payload, data, DISK_BLOCK);
	place.entry->crc32c =
	    tarn_crc32c(format_seed(place.seed, place.place), place.payload, DISK_BLOCK);
	if ((slot->id & INDEX_DIRTY) != 0)
		log_note_undo(op->shard, slot);
	slot->place = place.block;
	slot->info = place.entry->crc32c;
	slot->id &= ~(uint64_t)INDEX_HITS;
	index_clear_suspect(index, slot);
	index_set_dirty(index, slot, dirty);
	return 0;
}

/* Whether a fill is not older than what is known of the block. */
static bool
fill_wanted(struct block_op *op)
{
	const struct tarn_cache_block_req *user = block_user(op);
	struct shard *shard = op->shard;
	uint64_t block = user->first_block + op->next;

	return block_slot(op, op->next) == NULL && shard->ban_token <= user->token &&
	       *block_token(shard, user->volume_id, block) <= user->token;
}

static const uint8_t *
data_of_next(const struct block_op *op)
{
	const struct iovec *iov = &block_user((struct block_op *)(uintptr_t)op)->iov[op->iov_index];

	return (const uint8_t *)iov->iov_base + op->iov_offset;
}

/* \return 0 to go on, -EAGAIN, or what ends the request. */
static int
store_next(struct block_op *op)
{
	const struct tarn_cache_block_req *user = block_user(op);
	struct shard *shard = op->shard;
	bool fill = user->kind == TARN_CACHE_BLOCK_FILL;
	bool dirty = !fill && (user->flags & TARN_CACHE_BLOCK_DIRTY) != 0;
	int status = 0;

	if (fill && !fill_wanted(op)) {
		shard->counters.fill_skipped_count++;
	} else {
		struct index_slot *slot = index_find(
		    &shard->index, index_block_id(user->volume_id, user->first_block + op->next));

		status = put_block(op, slot, data_of_next(op), dirty);
		if (status == 0) {
			shard->counters.fill_count += fill;
			shard->counters.store_count += !fill;
			shard->counters.store_bytes += fill ? 0 : DISK_BLOCK;
			if (!fill)
				changed(op, op->next);
		}
	}
	return status;
}

static void
store(struct block_op *op)
{
	const struct tarn_cache_block_req *user = block_user(op);
	struct shard *shard = op->shard;
	int status = 0;
	uint64_t ignored;

	if (!op->started && !admitted(op)) {
		shard->counters.reject[TARN_CACHE_REJECT_DIRTY_FULL] += user->block_count;
		block_finish(op, -ENOSPC);
		return;
	}
	op->started = true;
	while (op->next < user->block_count) {
		status = store_next(op);
		if (status != 0)
			break;
		block_buf_next(op, &ignored);
		op->next++;
	}
	if (status == -EAGAIN && user->kind != TARN_CACHE_BLOCK_FILL) {
		block_wait_for_room(op);
		return;
	}
	if (status != 0 && user->kind != TARN_CACHE_BLOCK_FILL) {
		shard->counters.reject[status == -ENOSPC ? TARN_CACHE_REJECT_INDEX_FULL
							 : TARN_CACHE_REJECT_FAILED]++;
		op->outcome = status;
	}
	if (shard->failed && user->kind != TARN_CACHE_BLOCK_FILL)
		block_finish(op, -EIO);
	else
		finish_writes(op);
}

/* --- Clean and forget: entries for runs of blocks --- */

static bool
clean_wanted(struct block_op *op, uint32_t n)
{
	const struct tarn_cache_block_req *user = block_user(op);
	struct shard *shard = op->shard;
	const struct index_slot *slot = block_slot(op, n);

	if (slot == NULL || (slot->id & INDEX_DIRTY) == 0 ||
	    *block_token(shard, user->volume_id, user->first_block + n) > user->token)
		return false;
	return (user->flags & TARN_CACHE_BLOCK_DURABLE_ONLY) == 0 ||
	       shard_slot_position(shard, slot) < flush_sure(shard) * DISK_BLOCK_UNITS;
}

static bool
forget_wanted(struct block_op *op, uint32_t n)
{
	const struct tarn_cache_block_req *user = block_user(op);

	return index_find(&op->shard->index,
			  index_block_id(user->volume_id, user->first_block + n)) != NULL;
}

static void
apply(struct block_op *op, uint32_t n)
{
	const struct tarn_cache_block_req *user = block_user(op);
	struct index *index = &op->shard->index;
	struct index_slot *slot =
	    index_find(index, index_block_id(user->volume_id, user->first_block + n));

	if (user->kind == TARN_CACHE_BLOCK_FORGET) {
		index_remove(index, slot);
		return;
	}
	index_set_dirty(index, slot, false);
	op->shard->counters.clean_count++;
}

static bool
is_dirty(struct block_op *op, uint32_t n)
{
	const struct tarn_cache_block_req *user = block_user(op);
	const struct index_slot *slot =
	    index_find(&op->shard->index, index_block_id(user->volume_id, user->first_block + n));

	return slot != NULL && (slot->id & INDEX_DIRTY) != 0;
}

/*
 * Append one entry for the run of wanted blocks, as dirty as the first, that begins at next.
 * \return as log_append().
 */
static int
append_run(struct block_op *op, bool (*want)(struct block_op *op, uint32_t n))
{
	const struct tarn_cache_block_req *user = block_user(op);
	bool forget = user->kind == TARN_CACHE_BLOCK_FORGET;
	struct disk_entry entry = {
		.kind = forget ? DISK_FORGET_BLOCKS : DISK_CLEAN_BLOCKS,
		.identity = user->first_block + op->next,
		.volume = user->volume_id,
	};
	struct log_slot place;
	bool dirty = is_dirty(op, op->next);
	uint32_t end = op->next;
	int status;

	while (end < user->block_count && want(op, end) && is_dirty(op, end) == dirty)
		end++;
	entry.length = end - op->next;
	status = log_append(op->shard, forget ? LOG_TOMBSTONE : LOG_FOREGROUND, &entry, 0, &place);
	if (status == 0 && forget && dirty)
		log_note_undo(op->shard, NULL);
	for (; status == 0 && op->next < end; op->next++)
		apply(op, op->next);
	return status;
}

static void
run_entries(struct block_op *op)
{
	const struct tarn_cache_block_req *user = block_user(op);
	bool forget = user->kind == TARN_CACHE_BLOCK_FORGET;
	bool (*want)(struct block_op *, uint32_t) = forget ? forget_wanted : clean_wanted;

	for (uint32_t n = 0; forget && !op->started && n < user->block_count; n++)
		changed(op, n);
	op->started = true;
	while (op->next < user->block_count) {
		int status = 0;

		if (want(op, op->next))
			status = append_run(op, want);
		else
			op->next++;
		if (status == -EAGAIN) {
			block_wait_for_room(op);
			return;
		}
		if (status != 0) {
			block_finish(op, status);
			return;
		}
	}
	finish_writes(op);
}

void
block_write(struct block_op *op)
{
	switch (block_user(op)->kind) {
	case TARN_CACHE_BLOCK_STORE:
	case TARN_CACHE_BLOCK_FILL:
		store(op);
		break;
	default:
		run_entries(op);
		break;
	}
}
