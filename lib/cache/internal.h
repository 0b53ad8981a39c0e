/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <stdatomic.h>

#include "lib/cache/shard.h"

/* A cache as a whole: its shards, superblock, flush cycle, checkpoints. The control reactor's,
 * where nothing else is said. */

#define CACHE_MAGIC UINT64_C(0x7461726e63616368)

enum cache_state {
	CACHE_STARTING,
	CACHE_RUNNING,
	CACHE_STOPPING, /* takes no requests */
};

/* What is no log, and has to be durable: the superblock, a checkpoint. See flush.c. */
struct flush_request {
	TAILQ_ENTRY(flush_request) link;
	uint64_t mark; /* flush_mark(), from before the first write */
	tarn_io_cb cb;
	void *arg;
};
TAILQ_HEAD(flush_requests, flush_request);

/* One device flush at a time, for all shards and requests. */
struct flush_cycle {
	struct tarn_io io;
	bool running, again;
	uint32_t pending; /* shards that have not answered */
	int status;
	uint64_t failure_count;
	struct flush_requests waiting, taken; /* taken: by the cycle that is running */
};

struct checkpoint; /* checkpoint.c */
struct closing;	   /* life.c */
struct stop;	   /* stop.c */
struct super_io;   /* super.c */

struct tarn_cache {
	uint64_t magic;
	char name[TARN_CACHE_NAME_MAX + 1];
	atomic_int state; /* enum cache_state */
	struct tarn_bdev_desc *desc;
	struct tarn_channel *channel; /* the control reactor's */
	struct disk_super *super;     /* as it was written last; I/O memory */
	uint64_t super_sequence;      /* of the copy that was written, or tried, last */
	uint32_t super_slot;	      /* where cache->super lies; the other is written next */
	struct super_io *super_io;
	uint32_t seed; /* of checksums */
	uint64_t rng;
	uint8_t boot_id[16];
	uint64_t disk_sequence;
	bool
	    memory_read; /* what recovery reads may come from the memory of a kernel that goes on */

	uint32_t shard_count;
	struct shard *shards;
	uint32_t segment_bytes;
	uint64_t segment_count; /* of each shard */

	/* Time: never before what was logged. Any thread. */
	uint64_t anchor_s, anchor_ns;

	/* Any thread. */
	atomic_int_fast64_t default_ttl_s;
	atomic_uint_fast64_t max_object_bytes;
	uint32_t checkpoint_interval_s;

	struct flush_cycle flush;
	struct checkpoint *checkpoint; /* the one being written; NULL: none */
	uint64_t checkpoint_sequence;  /* of the newest that is whole */
	uint64_t checkpoint_tried;     /* of the one that was begun last */
	uint64_t checkpoint_count;     /* since statistics were reset */
	struct tarn_poller *checkpoint_poller;
	bool claimed, listed;
	/* What the end needs, had since the beginning: it does not fail for want of memory. */
	struct closing *closing;
	struct stop *stop;
	uint32_t busy_count; /* calls on all shards, walks: a stop waits for their end */
	struct tarn_cache_info info;
	TAILQ_ENTRY(tarn_cache) link;
};

/** Unix time as far as this cache is concerned. Any reactor. */
static inline uint64_t
cache_now_s(const struct tarn_cache *cache)
{
	return cache->anchor_s + (tarn_boot_ns() - cache->anchor_ns) / 1000000000;
}

void flush_cache_init(struct tarn_cache *cache);
/** \return what flush_device() wants to know from before the writes that it is for. */
uint64_t flush_mark(const struct tarn_cache *cache);
/**
 * A device flush for what was written since request->mark was taken. cb(arg, 0): it is durable;
 * -EIO: it may not be, because this flush failed, or another one since then.
 */
void flush_device(struct tarn_cache *cache, struct flush_request *request, tarn_io_cb cb,
		  void *arg);

/** A number from a generator that the environment seeded (splitmix64). */
static inline uint64_t
cache_random(uint64_t *state)
{
	uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

/** The shard of a block: by its 1 MiB extent. Any thread. */
static inline uint32_t
cache_block_shard(const struct tarn_cache *cache, uint32_t volume, uint64_t block)
{
	uint64_t x = (block / TARN_CACHE_EXTENT_BLOCKS + ((uint64_t)volume << 40)) *
		     UINT64_C(0x9e3779b97f4a7c15);

	return (uint32_t)(((x >> 32) * cache->shard_count) >> 32);
}

/** The shard of an object: by the low half of its hash, the index has the upper one. */
static inline uint32_t
cache_object_shard(const struct tarn_cache *cache, uint64_t hash)
{
	return (uint32_t)(((hash & UINT32_MAX) * cache->shard_count) >> 32);
}
