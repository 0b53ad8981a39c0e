/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include "lib/cache/fan.h"
#include "lib/cache/geometry.h"
#include "lib/cache/internal.h"
#include "lib/cache/sure_read.h"

/* Checkpoints: writing them, and finding them at a start. Control reactor. */

/**
 * Write one; clean: at a stop, when all shards are quiet. done(arg, 0) once it is durable. -EBUSY
 * while one is written; -EIO; -ENOMEM.
 */
void checkpoint_write(struct tarn_cache *cache, bool clean, tarn_io_cb done, void *arg);

/** Where a checkpoint lies: they take turns. */
static inline uint32_t
checkpoint_area(uint64_t sequence)
{
	return sequence % 2;
}

/** \return whether what a verified chunk holds can be so, for a cache laid out like that. */
bool checkpoint_chunk_sound(const struct disk_chunk *chunk, const struct disk_super *super);
/**
 * Take in a sound chunk of the table of segments: what it says of places of which the shard does
 * not know as much; clean: of all.
 */
void checkpoint_take_table(struct shard *shard, const struct disk_chunk *chunk, uint32_t cache_seed,
			   bool clean);
/** \return whether a checkpoint has as many chunks of a shard as there are, of each kind. */
bool checkpoint_counts_agree(const struct disk_checkpoint_shard *part,
			     const struct disk_super *super);

/* The headers of both areas, as they are on the device. */
struct checkpoint_found {
	struct tarn_cache *cache;
	struct disk_checkpoint *disk[2]; /* I/O memory */
	int best;			 /* area of the newest, or -1: none verifies */
	int older;			 /* the other's, or -1 */
	tarn_io_cb done;
	void *arg;
	struct sure_read read;
	uint32_t next;
};
/** done(arg, 0) or -ENOMEM; checkpoint_found_fini() in either case. */
void checkpoint_find(struct tarn_cache *cache, struct checkpoint_found *found, tarn_io_cb done,
		     void *arg);
/** Where the newest is damaged: have the next one written over that, not over the other. */
void checkpoint_keep_older(struct tarn_cache *cache, const struct checkpoint_found *found);
void checkpoint_found_fini(struct checkpoint_found *found);
