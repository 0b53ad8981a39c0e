/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Load with a record; see load.h.
 *
 *   record of one block:  flushed <= acknowledged <= submitted
 *   write   submitted + 1; on success acknowledged = that; with FUA flushed = that, too
 *   flush   copies acknowledged at its submission to `fenced`; on success flushed = fenced
 *   read    every sector is of a version from acknowledged to submitted
 *   check   every sector is of a version from flushed to submitted
 *
 * A block has one I/O at a time, so that its versions reach the device in order. Power loss may
 * leave sectors of several unflushed versions side by side: sectors are judged one by one.
 */
#include "test/lab/daemon/load.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tarn/env.h"
#include "tarn/util.h"

#define SECTOR_BYTES 512u
#define SECTORS_PER_BLOCK (LOAD_BLOCK_BYTES / SECTOR_BYTES)
#define SECTOR_MAGIC UINT64_C(0x6c6f61646c6f6164)
#define CHECK_BLOCKS 64u /* read at once by a check */

struct sector {
	uint64_t magic, record, block, version;
	uint64_t fill[(SECTOR_BYTES - 32) / 8];
};

struct block {
	uint32_t submitted, acknowledged, fenced, flushed;
	bool busy;
};

struct slot {
	struct load *load;
	struct tarn_io io;
	enum tarn_io_op op;
	uint64_t block;
	uint32_t version;
	bool fua;
	struct sector *data;
};

struct load {
	char name[LOAD_NAME_MAX + 1];
	uint64_t block_count, random;
	uint64_t record; /* tells its blocks from what an earlier record left on the device */
	struct block *blocks;
	struct load_opts opts;
	struct load_stats stats;
	struct load_check check;
	/* While it runs, or checks. */
	struct tarn_bdev_desc *desc;
	struct tarn_channel *channel;
	uint8_t *memory;
	struct slot slots[LOAD_DEPTH_MAX];
	uint32_t inflight_count, since_flush_count;
	uint64_t submit_count, check_next;
	bool stopping, flushing;
	tarn_io_cb done;
	void *done_arg;
	TAILQ_ENTRY(load) link;
};

static TAILQ_HEAD(, load) loads = TAILQ_HEAD_INITIALIZER(loads);

/* splitmix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014). */
static uint64_t
random_next(struct load *load)
{
	uint64_t z = load->random += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* --- What a block holds --- */

static void
block_fill(const struct load *load, struct sector *data, uint64_t block, uint32_t version)
{
	for (uint32_t i = 0; i < SECTORS_PER_BLOCK; i++) {
		data[i].magic = SECTOR_MAGIC;
		data[i].record = load->record;
		data[i].block = block * SECTORS_PER_BLOCK + i;
		data[i].version = version;
		for (uint32_t word = 0; word < tarn_array_count(data[i].fill); word++)
			data[i].fill[word] = data[i].block * 31 + version + word;
	}
}

/*
 * \return the version that this record wrote; 0 for what was there before it; more than any version
 * for what the record wrote elsewhere, or not so.
 */
static uint64_t
sector_version(const struct load *load, const struct sector *sector, uint64_t place)
{
	if (sector->magic != SECTOR_MAGIC || sector->record != load->record)
		return 0;
	if (sector->block != place)
		return UINT64_MAX;
	for (uint32_t word = 0; word < tarn_array_count(sector->fill); word++) {
		if (sector->fill[word] != place * 31 + sector->version + word)
			return UINT64_MAX;
	}
	return sector->version;
}

enum verdict { VERDICT_GOOD, VERDICT_OLD, VERDICT_WRONG };

static enum verdict
block_judge(const struct load *load, const struct sector *data, uint64_t block, uint32_t least)
{
	enum verdict verdict = VERDICT_GOOD;

	for (uint32_t i = 0; i < SECTORS_PER_BLOCK; i++) {
		uint64_t version = sector_version(load, &data[i], block * SECTORS_PER_BLOCK + i);

		if (version > load->blocks[block].submitted)
			return VERDICT_WRONG;
		if (version < least)
			verdict = VERDICT_OLD;
	}
	return verdict;
}

/* --- Life --- */

struct load *
load_find(const char *name)
{
	struct load *load;

	TAILQ_FOREACH (load, &loads, link) {
		if (strcmp(load->name, name) == 0)
			return load;
	}
	return NULL;
}

struct load *
load_create(const char *name, uint64_t block_count, uint64_t seed)
{
	struct load *load = load_find(name) == NULL ? calloc(1, sizeof(*load)) : NULL;

	if (load == NULL)
		return NULL;
	load->blocks = calloc(block_count, sizeof(*load->blocks));
	if (load->blocks == NULL) {
		free(load);
		return NULL;
	}
	(void)strncpy(load->name, name, LOAD_NAME_MAX);
	load->block_count = block_count;
	load->random = seed;
	load->record = tarn_now_ns();
	TAILQ_INSERT_TAIL(&loads, load, link);
	return load;
}

void
load_delete(struct load *load)
{
	tarn_assert(load->desc == NULL);
	TAILQ_REMOVE(&loads, load, link);
	free(load->blocks);
	free(load);
}

const struct load_stats *
load_stats(const struct load *load)
{
	return &load->stats;
}

const struct load_check *
load_check(const struct load *load)
{
	return &load->check;
}

static void
finish(struct load *load)
{
	tarn_io_cb done = load->done;

	tarn_channel_put(load->channel);
	tarn_bdev_close(load->desc);
	tarn_iobuf_put(load->memory);
	load->channel = NULL;
	load->desc = NULL;
	load->memory = NULL;
	load->stats.running = false;
	load->done = NULL;
	if (done != NULL)
		done(load->done_arg, 0);
}

static void
end_if_quiet(struct load *load)
{
	if (load->stopping && load->inflight_count == 0)
		finish(load);
}

static void
on_event(struct tarn_bdev *bdev, enum tarn_bdev_event event, void *arg)
{
	struct load *load = arg;

	(void)bdev;
	if (event != TARN_BDEV_EVENT_REMOVE)
		return;
	load->stats.removed = true;
	load->stopping = true;
	end_if_quiet(load);
}

static int
open_bdev(struct load *load, const char *bdev_name, bool write, size_t memory_bytes)
{
	int status;

	if (load->desc != NULL)
		return -EBUSY;
	status = tarn_bdev_open(bdev_name, write, on_event, load, &load->desc);
	if (status != 0)
		return status;
	if (tarn_bdev_size_bytes(tarn_bdev_desc_bdev(load->desc)) <
	    load->block_count * LOAD_BLOCK_BYTES)
		status = -ENOSPC;
	load->memory = status == 0 ? tarn_iobuf_get(memory_bytes) : NULL;
	if (status == 0 && load->memory == NULL)
		status = -ENOMEM;
	if (status == 0)
		status = tarn_channel_get(load->desc, &load->channel);
	if (status == 0) {
		load->stopping = false;
		load->inflight_count = 0;
		load->stats.running = true;
		load->stats.removed = false;
		return 0;
	}
	if (load->memory != NULL)
		tarn_iobuf_put(load->memory);
	tarn_bdev_close(load->desc);
	load->memory = NULL;
	load->desc = NULL;
	return status;
}

/* --- Load --- */

static void slot_next(struct slot *slot);

static void
flush_acknowledged(struct load *load, bool fence)
{
	for (uint64_t i = 0; i < load->block_count; i++) {
		struct block *block = &load->blocks[i];

		if (fence)
			block->fenced = block->acknowledged;
		else
			block->flushed =
			    block->fenced > block->flushed ? block->fenced : block->flushed;
	}
}

static void
note_success(struct slot *slot)
{
	struct load *load = slot->load;
	struct block *block = &load->blocks[slot->block];

	switch (slot->op) {
	case TARN_IO_WRITE:
		block->acknowledged = slot->version;
		if (slot->fua)
			block->flushed = slot->version;
		break;
	case TARN_IO_READ:
		if (block_judge(load, slot->data, slot->block, block->acknowledged) != VERDICT_GOOD)
			load->stats.wrong_count++;
		break;
	default:
		flush_acknowledged(load, false);
		break;
	}
}

static void
slot_done(void *arg, int status)
{
	struct slot *slot = arg;
	struct load *load = slot->load;

	if (status == 0) {
		load->stats.ok_count[slot->op]++;
		note_success(slot);
	} else {
		load->stats.error_count[slot->op]++;
		load->stats.by_errno[tarn_min_u64((uint64_t)-status, LOAD_ERRNO_MAX - 1)]++;
	}
	if (slot->op == TARN_IO_FLUSH)
		load->flushing = false;
	else
		load->blocks[slot->block].busy = false;
	load->inflight_count--;
	slot_next(slot);
}

static void
slot_flush(struct slot *slot)
{
	struct load *load = slot->load;

	slot->op = TARN_IO_FLUSH;
	load->flushing = true;
	load->since_flush_count = 0;
	flush_acknowledged(load, true);
	tarn_bdev_flush(load->channel, &slot->io, slot_done, slot);
}

static void
slot_transfer(struct slot *slot)
{
	struct load *load = slot->load;
	uint64_t offset_bytes;
	bool read = random_next(load) % 100 < load->opts.read_percent;

	do {
		slot->block = random_next(load) % load->block_count;
	} while (load->blocks[slot->block].busy);
	load->blocks[slot->block].busy = true;
	slot->op = read ? TARN_IO_READ : TARN_IO_WRITE;
	offset_bytes = slot->block * LOAD_BLOCK_BYTES;
	if (read) {
		tarn_bdev_read(load->channel, &slot->io, slot->data, LOAD_BLOCK_BYTES, offset_bytes,
			       0, slot_done, slot);
		return;
	}
	slot->version = ++load->blocks[slot->block].submitted;
	slot->fua = random_next(load) % 100 < load->opts.fua_percent;
	block_fill(load, slot->data, slot->block, slot->version);
	tarn_bdev_write(load->channel, &slot->io, slot->data, LOAD_BLOCK_BYTES, offset_bytes,
			slot->fua ? TARN_IO_FUA : 0, slot_done, slot);
}

static void
slot_next(struct slot *slot)
{
	struct load *load = slot->load;

	if (load->opts.io_count != 0 && load->submit_count >= load->opts.io_count)
		load->stopping = true;
	if (load->stopping) {
		end_if_quiet(load);
		return;
	}
	load->submit_count++;
	load->inflight_count++;
	load->since_flush_count++;
	if (load->opts.flush_every != 0 && !load->flushing &&
	    load->since_flush_count > load->opts.flush_every)
		slot_flush(slot);
	else
		slot_transfer(slot);
}

int
load_start(struct load *load, const char *bdev_name, const struct load_opts *opts)
{
	int status = open_bdev(load, bdev_name, true, (size_t)LOAD_DEPTH_MAX * LOAD_BLOCK_BYTES);

	if (status != 0)
		return status;
	tarn_assert(opts->depth <= LOAD_DEPTH_MAX && opts->depth < load->block_count);
	load->opts = *opts;
	load->submit_count = 0;
	load->since_flush_count = 0;
	for (uint32_t i = 0; i < opts->depth; i++) {
		load->slots[i].load = load;
		load->slots[i].data =
		    (struct sector *)(load->memory + (size_t)i * LOAD_BLOCK_BYTES);
		slot_next(&load->slots[i]);
	}
	return 0;
}

void
load_stop(struct load *load, tarn_io_cb done, void *arg)
{
	if (load->desc == NULL) {
		done(arg, 0);
		return;
	}
	load->done = done;
	load->done_arg = arg;
	load->stopping = true;
	end_if_quiet(load);
}

/* --- Checking --- */

static void check_next(struct load *load);

static uint64_t
check_count(const struct load *load)
{
	return tarn_min_u64(CHECK_BLOCKS, load->block_count - load->check_next);
}

static void
check_done(void *arg, int status)
{
	struct load *load = arg;
	uint64_t count = check_count(load);

	load->inflight_count--;
	for (uint64_t i = 0; i < count; i++) {
		uint64_t number = load->check_next + i;
		const struct sector *data =
		    (const struct sector *)(load->memory + i * LOAD_BLOCK_BYTES);
		uint32_t flushed = load->blocks[number].flushed;

		load->check.checked_count += flushed > 0;
		if (status != 0) {
			load->check.error_count++;
			continue;
		}
		switch (block_judge(load, data, number, flushed)) {
		case VERDICT_GOOD:
			break;
		case VERDICT_OLD:
			load->check.lost_count++;
			break;
		case VERDICT_WRONG:
			load->check.wrong_count++;
			break;
		}
	}
	load->check_next += count;
	check_next(load);
}

static void
check_next(struct load *load)
{
	if (load->check_next == load->block_count)
		load->stopping = true;
	if (load->stopping) {
		end_if_quiet(load);
		return;
	}
	load->inflight_count++;
	tarn_bdev_read(load->channel, &load->slots[0].io, load->memory,
		       check_count(load) * LOAD_BLOCK_BYTES, load->check_next * LOAD_BLOCK_BYTES, 0,
		       check_done, load);
}

int
load_check_start(struct load *load, const char *bdev_name, tarn_io_cb done, void *arg)
{
	int status = open_bdev(load, bdev_name, false, (size_t)CHECK_BLOCKS * LOAD_BLOCK_BYTES);

	if (status != 0)
		return status;
	load->check = (struct load_check){ 0 };
	load->check_next = 0;
	load->done = done;
	load->done_arg = arg;
	check_next(load);
	return 0;
}
