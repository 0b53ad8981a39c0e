/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include "lib/cache/internal.h"

/* What start.c and stop.c share: making and ending the parts of a cache. Control reactor. */

/** \return NULL: no memory. */
struct tarn_cache *life_new(void);
/** Of a cache that life_open() has not seen. */
void life_free(struct tarn_cache *cache);
/** stop.c: memory for a stop. */
struct stop *stop_new(void);
/** Name, bdev, claim, channel, identity of boot and device, time. */
int life_open(struct tarn_cache *cache, const struct tarn_cache_opts *opts,
	      const struct tarn_cache_env *env, struct tarn_reason *reason);
/** From the superblock: memory of all shards. */
int life_make_shards(struct tarn_cache *cache);
/** From a checkpoint of a clean stop, whose index and segments are in place. */
void life_clean_shard(struct shard *shard, const struct disk_checkpoint_shard *part);
/** Time does not begin before this. */
void life_not_before(struct tarn_cache *cache, uint64_t time_s);
/** In the list, and taking requests. */
void life_running(struct tarn_cache *cache);
/** End whatever parts there are, and free it; then done. */
void life_close(struct tarn_cache *cache, void (*done)(struct tarn_cache *cache, void *arg),
		void *arg);
void life_uuid_text(const uint8_t uuid[16], char ret[37]);
/** Begin a checkpoint that nobody waits for. */
void life_checkpoint(struct tarn_cache *cache);
/** Checkpoints at intervals, of a cache that runs; 0: none. \return 0, or -ENOMEM: as before. */
int life_set_interval(struct tarn_cache *cache, uint32_t interval_s);
