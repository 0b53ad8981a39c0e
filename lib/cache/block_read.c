/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lookups of runs of blocks. Neighbours that lie side by side in the log, and in the user's
 * buffers, are one device read. Each request has one read of its own and borrows more from its
 * shard; where there are none, it goes on when one of its reads has ended.
 *
 * Each block is verified by the checksum that its slot had when the read began. A clean block that
 * fails is a miss from now on (by a tombstone), a dirty one is an error.
 */
#include <errno.h>
#include <string.h>

#include "lib/cache/block.h"
#include "lib/cache/internal.h"

static void feed(struct block_op *op);

static struct block_read *
read_get(struct block_op *op)
{
	struct shard *shard = op->shard;
	struct block_read *read = shard->free_reads;

	if (op->own.op == NULL)
		read = &op->own;
	else if (read != NULL)
		shard->free_reads = read->next;
	if (read != NULL)
		read->op = op;
	return read;
}

static void
read_put(struct block_op *op, struct block_read *read)
{
	read->op = NULL;
	if (read == &op->own)
		return;
	read->next = op->shard->free_reads;
	op->shard->free_reads = read;
}

/* Block n is not what was stored, or cannot be read. */
static void
bad_block(struct block_op *op, uint32_t n, uint32_t place, bool unreadable)
{
	struct tarn_cache_block_req *user = block_user(op);
	struct shard *shard = op->shard;
	struct disk_entry entry = {
		.kind = DISK_FORGET_BLOCKS,
		.length = 1,
		.identity = user->first_block + n,
		.volume = user->volume_id,
	};
	struct index_slot *slot;
	struct log_slot log_slot;

	block_map_clear(user->hit, n);
	if (block_map_test(user->dirty, n)) {
		block_map_set(user->bad, n);
		op->outcome = -EIO;
		shard->counters.crc_error_dirty += !unreadable;
		return;
	}
	shard->counters.crc_error_clean += !unreadable;
	shard->counters.miss[unreadable ? TARN_CACHE_MISS_IO : TARN_CACHE_MISS_CRC]++;
	slot = index_find(&shard->index, index_block_id(user->volume_id, entry.identity));
	if (slot != NULL && slot->place == place && (slot->id & INDEX_DIRTY) == 0 &&
	    log_append(shard, LOG_TOMBSTONE, &entry, 0, &log_slot) == 0)
		index_remove(&shard->index, slot);
}

static void
judge(struct block_read *read, int status)
{
	struct shard *shard = read->op->shard;

	shard->counters.read_error_count += status != 0;
	for (uint32_t i = 0; i < read->count; i++) {
		uint32_t place = read->place + i;
		uint32_t unit = place % shard->segment_blocks * DISK_BLOCK_UNITS;

		if (tarn_likely(status == 0 && tarn_crc32c(format_seed(read->read.seed, unit),
							   read->buf + (size_t)i * DISK_BLOCK,
							   DISK_BLOCK) == read->crc32c[i]))
			shard->counters.hit_device++;
		else
			bad_block(read->op, read->first + i, place, status != 0);
	}
}

/* Go on with the next block of a read that failed as a whole. */
static void
next_of_rest(struct block_read *read)
{
	read->rest--;
	read->first++;
	read->place++;
	read->buf += DISK_BLOCK;
	memmove(read->crc32c, read->crc32c + 1, (read->rest + 1) * sizeof(read->crc32c[0]));
}

static void
blocks_read(struct log_read *log_read_, int status)
{
	struct block_read *read = tarn_container_of(log_read_, struct block_read, read);
	struct block_op *op = read->op;

	if (tarn_unlikely(status != 0 && read->count > 1)) {
		/* Which of them it is that cannot be read, each tells for itself. */
		read->rest = read->count - 1;
		read->count = 1;
	} else {
		judge(read, status);
		if (tarn_likely(read->rest == 0)) {
			read_put(op, read);
			op->pending_reads--;
			feed(op);
			return;
		}
		next_of_rest(read);
	}
	log_read(op->shard, &read->read, read->place, read->buf, 1);
}

/* Mark what the slot says. \return whether its contents are to be had. */
static bool
mark(struct block_op *op, uint32_t n, struct index_slot *slot)
{
	struct tarn_cache_block_req *user = block_user(op);

	if (slot == NULL) {
		op->shard->counters.miss[TARN_CACHE_MISS_ABSENT]++;
		return false;
	}
	if ((slot->id & INDEX_DIRTY) != 0)
		block_map_set(user->dirty, n);
	if (tarn_unlikely((slot->id & INDEX_SUSPECT) != 0)) {
		block_map_set(user->bad, n);
		op->outcome = -EIO;
		return false;
	}
	block_map_set(user->hit, n);
	return true;
}

/* Extend a read by the blocks that follow, in the request as in the log. */
static void
extend(struct block_op *op, struct block_read *read, uint64_t contiguous)
{
	const struct tarn_cache_block_req *user = block_user(op);

	while (op->next < user->block_count && read->count < contiguous &&
	       read->count < BLOCK_READ_MAX) {
		struct index_slot *slot = block_slot(op, op->next);
		uint64_t ignored;

		if (slot == NULL || slot->place != read->place + read->count ||
		    (slot->id & INDEX_SUSPECT) != 0 || slot->place % op->shard->segment_blocks == 0)
			return;
		if (tarn_unlikely(log_ram(op->shard, slot->place) != NULL))
			return;
		mark(op, op->next, slot);
		index_hit(slot);
		read->crc32c[read->count++] = slot->info;
		op->next++;
		block_buf_next(op, &ignored);
	}
}

/* \return false: no read is to be had now. */
static bool
one_block(struct block_op *op)
{
	struct shard *shard = op->shard;
	struct index_slot *slot = block_slot(op, op->next);
	const uint8_t *ram = slot != NULL ? log_ram(shard, slot->place) : NULL;
	struct block_read *read;
	uint64_t contiguous;

	if (slot == NULL || (slot->id & INDEX_SUSPECT) != 0 || ram != NULL) {
		uint8_t *buf = block_buf_next(op, &contiguous);

		if (mark(op, op->next++, slot)) {
			memcpy(buf, ram, DISK_BLOCK);
			shard->counters.hit_ram++;
			index_hit(slot);
		}
		return true;
	}
	read = read_get(op);
	if (read == NULL)
		return false;
	mark(op, op->next, slot);
	index_hit(slot);
	read->first = op->next++;
	read->count = 1;
	read->rest = 0;
	read->place = slot->place;
	read->crc32c[0] = slot->info;
	read->buf = block_buf_next(op, &contiguous);
	extend(op, read, contiguous);
	read->read.done = blocks_read;
	op->pending_reads++;
	log_read(shard, &read->read, read->place, read->buf, read->count);
	return true;
}

static void
feed(struct block_op *op)
{
	const struct tarn_cache_block_req *user = block_user(op);

	while (op->next < user->block_count && one_block(op))
		;
	if (op->pending_reads != 0)
		return;
	/* It has a read of its own: it cannot be stuck for want of one. */
	tarn_assert(op->next == user->block_count);
	block_finish(op, op->outcome);
}

static void
probe(struct block_op *op)
{
	struct tarn_cache_block_req *user = block_user(op);

	for (uint32_t n = 0; n < user->block_count; n++) {
		const struct index_slot *slot = block_slot(op, n);

		if (slot == NULL)
			continue;
		block_map_set((slot->id & INDEX_SUSPECT) != 0 ? user->bad : user->hit, n);
		if ((slot->id & INDEX_DIRTY) != 0)
			block_map_set(user->dirty, n);
	}
	block_finish(op, 0);
}

void
block_lookup(struct block_op *op)
{
	struct tarn_cache_block_req *user = block_user(op);

	user->token = op->shard->token;
	if (user->kind == TARN_CACHE_BLOCK_PROBE)
		probe(op);
	else
		feed(op);
}
