/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "tarn/cache.h"

/*
 * The cache as volumes use it: 4 KiB blocks under a volume's id and a block number, clean or dirty.
 *
 * Requests are made on a reactor, and complete there. A request lies within one extent of 256
 * blocks (1 MiB), which belongs to one shard; what is larger is several requests. Requests of one
 * reactor to one extent take effect in the order in which they were made. The volume serialises
 * overlapping writes, and writes against fills, as far as its clients can tell; the engine holds
 * what C5 to C8 promise whatever the volume does.
 */
#define TARN_CACHE_BLOCK_BYTES 4096
#define TARN_CACHE_EXTENT_BLOCKS 256
#define TARN_CACHE_VOLUME_MAX 60 /* registered at a time */
#define TARN_CACHE_BLOCK_BITS 40 /* of a block number */
#define TARN_CACHE_MAP_WORDS (TARN_CACHE_EXTENT_BLOCKS / 64)

/* --- Volumes' identities. Control reactor. --- */

struct tarn_cache_volume {
	uint8_t uuid[16];
	/*
	 * 1 to 16383, never used twice in the life of the format: blocks of a volume that was
	 * forgotten may lie in the log, so that its number must not mean another one.
	 */
	uint32_t id;
	uint64_t generation; /* the volume's: how often its core went its own way */
};

/**
 * Find a volume's identity by volume->uuid or make one, and set its generation. Durable, in the
 * superblock, when cb runs; volume->id is filled in before. -ENOSPC: there are 60 already; -EUSERS:
 * all 16,383 numbers have been used, the cache has to be formatted anew; -EIO;
 * -ESHUTDOWN.
 */
void tarn_cache_volume_set(struct tarn_cache *cache, struct tarn_cache_volume *volume,
			   tarn_cache_cb cb, void *arg);
/** Forget an identity, durably. Its blocks were banned before. -ENOENT, -EIO, -ESHUTDOWN. */
void tarn_cache_volume_forget(struct tarn_cache *cache, const uint8_t uuid[16], tarn_cache_cb cb,
			      void *arg);
/** \return 0 with *ret, or -ENOENT. */
int tarn_cache_volume_get(const struct tarn_cache *cache, const uint8_t uuid[16],
			  struct tarn_cache_volume *ret);

/* --- Requests --- */

enum tarn_cache_block_kind {
	/*
	 * Write blocks, clean or (TARN_CACHE_BLOCK_DIRTY) dirty. Completes when acknowledged (C5);
	 * with TARN_CACHE_BLOCK_FUA when durable.
	 * -ENOSPC: dirty blocks have their share of the shard (70 %), or the index is full. Older
	 * versions are then still there: where the write goes past the cache, forget them first.
	 */
	TARN_CACHE_BLOCK_STORE,
	/*
	 * Store clean what was read from the core after a lookup: `token` is that lookup's. Blocks
	 * that were stored, filled or forgotten since are skipped. Rides along; completes when
	 * taken, not when written. 0 also where nothing was taken: for want of space, or all newer.
	 */
	TARN_CACHE_BLOCK_FILL,
	/*
	 * Read what is cached into its place in iov; `hit` and `dirty` tell of which blocks that
	 * is. A clean block that cannot be read or verified is a miss; a dirty one is in `bad`, and
	 * status is -EIO.
	 */
	TARN_CACHE_BLOCK_LOOKUP,
	/* The same without reading: iov is not used. */
	TARN_CACHE_BLOCK_PROBE,
	/*
	 * These blocks are on the core, flushed: mark clean those that are dirty and were not
	 * stored since the lookup whose token is `token`. Logged; completes when acknowledged.
	 */
	TARN_CACHE_BLOCK_CLEAN,
	/*
	 * Tombstones: the blocks are not cached any more. Completes when acknowledged, or FUA. With
	 * -EIO those that were dirty may be errors until the next start, which finds them again.
	 */
	TARN_CACHE_BLOCK_FORGET,
};

#define TARN_CACHE_BLOCK_DIRTY 0x1
#define TARN_CACHE_BLOCK_FUA 0x2
/* CLEAN: only versions that a completed flush covers; others stay dirty. */
#define TARN_CACHE_BLOCK_DURABLE_ONLY 0x4

struct tarn_cache_block_req;
typedef void (*tarn_cache_block_cb)(struct tarn_cache_block_req *req);

#define TARN_CACHE_BLOCK_REQ_BYTES 576

/* The caller's memory, zeroed once; the engine's from the call until cb starts. */
struct tarn_cache_block_req {
	struct tarn_cache *cache;
	uint8_t kind; /* enum tarn_cache_block_kind */
	uint8_t flags;
	uint16_t block_count; /* 1 to 256; first_block + block_count within one extent */
	uint32_t volume_id;
	uint64_t first_block;
	const struct iovec *iov; /* block_count * 4 KiB: lengths are multiples of 4 KiB,
				  * addresses as the bdev asks */
	uint32_t iov_count;
	uint64_t token; /* in: FILL, CLEAN; out: LOOKUP, PROBE */
	tarn_cache_block_cb cb;
	void *arg;
	/* The result; bit n is block first_block + n. */
	int status;
	uint64_t hit[TARN_CACHE_MAP_WORDS], dirty[TARN_CACHE_MAP_WORDS], bad[TARN_CACHE_MAP_WORDS];
	_Alignas(16) uint8_t engine[TARN_CACHE_BLOCK_REQ_BYTES];
};
/**
 * On a reactor; cb there, exactly once, never inside the call. status: 0, -EINVAL (range), -EIO,
 * -ENOSPC, -ESHUTDOWN.
 */
void tarn_cache_block_submit(struct tarn_cache_block_req *req);

struct tarn_cache_block_range {
	uint32_t volume_id;
	uint64_t first_block;
	uint64_t block_count; /* UINT64_MAX: all from there on */
};
/**
 * Ban a range of a volume's blocks: none of them, clean or dirty, is found once cb has status 0.
 * One log entry for any length. Control reactor. -ENOSPC as purge; -EINVAL: no volume.
 */
void tarn_cache_block_ban(struct tarn_cache *cache, const struct tarn_cache_block_range *range,
			  tarn_cache_cb cb, void *arg);

/* --- Reclaim and cleaning --- */

/*
 * A notice, not a handshake: these blocks are dirty, and lie in the segment that reclaim works on
 * now, the oldest of the shard. Each such segment is told of once, in calls of up to 256 blocks, in
 * order of their place in the log, all volumes' mixed. On the shard's reactor: take note and
 * return; no request is made from within.
 *
 * Reclaim then waits up to 50 ms, or not at all where free segments are short. A block that is
 * cleaned (TARN_CACHE_BLOCK_CLEAN, acknowledged), forgotten or overwritten by then costs nothing
 * more; one that is dirty still is written again at the head of the log, stays dirty, and is told
 * of again when the log has wrapped. So a volume that takes no notice, or longer, loses no data and
 * no space for ever, but has each of its dirty blocks written once per round of the log. That is
 * too late to begin cleaning on a slow core: clean by age and share well before, and take the
 * notice as a hint what to do first.
 */
struct tarn_cache_dirty_block {
	uint32_t volume_id;
	uint64_t block;
};
typedef void (*tarn_cache_clean_cb)(void *arg, const struct tarn_cache_dirty_block *blocks,
				    uint32_t block_count);
/** One for each cache; NULL removes it. Control reactor; in force when cb has run. */
void tarn_cache_set_clean_cb(struct tarn_cache *cache, tarn_cache_clean_cb fn, void *fn_arg,
			     tarn_cache_cb cb, void *arg);

struct tarn_cache_dirty_walk {
	uint32_t volume_id; /* 0: of all */
	tarn_cache_clean_cb fn;
	void *fn_arg;
};
/**
 * Call walk->fn on the shards' reactors, in turn, with all dirty blocks of a volume, some at a time
 * and in no order; then cb. How a volume finds its dirty blocks after a start. Control reactor.
 * -ESHUTDOWN: the cache is stopping.
 */
void tarn_cache_each_dirty(struct tarn_cache *cache, const struct tarn_cache_dirty_walk *walk,
			   tarn_cache_cb cb, void *arg);
/** Dirty blocks of all shards, a moment ago. Any thread. */
uint64_t tarn_cache_dirty_count(const struct tarn_cache *cache);
/**
 * How many may be dirty: 70 % of what the shards hold, each shard's for itself. A store beyond is
 * -ENOSPC; the volume writes through then, or waits for its cleaner. Any thread.
 */
uint64_t tarn_cache_dirty_limit(const struct tarn_cache *cache);
