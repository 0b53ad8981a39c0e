/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include "lib/cache/internal.h"
#include "tarn/bdev_opts.h"
#include "test/unit/common/ut.h"

/*
 * A cache on an error bdev on one with a volatile write cache, with two reactors turned by hand on
 * one thread and the fake clock. What is on the device outlives the cache: a crash is to forget the
 * cache, and open it again.
 */
#define STAGE_BYTES (24u * 1024 * 1024)
#define STAGE_WALL_S 1000000 /* Unix time at the start */

struct stage {
	struct tarn_cache *cache;
	struct tarn_reason reason; /* of the last create */
	struct tarn_cache_env env;
	struct tarn_cache_opts opts;
	uint64_t device_bytes, data_offset;
};
extern struct stage stage;

void stage_setup(void);
/** The same, for a cache of one shard with segments of 128 KiB. */
void stage_setup_one(void);
void stage_teardown(void);
/** Give the device this size; before the first stage_open(). */
void stage_device(uint64_t bytes);
/** \return what tarn_cache_create() came to. */
int stage_open(void);
/** Open, which must succeed. */
void stage_start(void);
/** A clean stop. \return its status. */
int stage_stop(void);
int stage_delete(bool force);
/**
 * The process dies: what is on the device at this moment is what the next start finds. Nothing of
 * the cache that was is used again.
 */
void stage_crash(void);
/** The same for the machine: sectors that were not flushed are there or not, by the seed. */
void stage_power_loss(uint64_t seed);
void stage_turns(uint32_t count);
/** Let time go by. */
void stage_time(uint64_t seconds);
/** Inject errors. */
void stage_inject(int op, enum tarn_error_type type, uint64_t count, uint64_t skip_count);
/** Reads that touch these bytes of the device fail. */
void stage_unreadable(uint64_t offset_bytes, uint64_t length_bytes);
void stage_clear(void);
/** Read or change what is on the device behind the cache's back. */
void stage_raw(enum tarn_io_op op, void *buf, uint64_t offset_bytes, uint64_t length_bytes);

/* --- Objects, one at a time, waited for. \return the status. --- */

int stage_store(const char *key, const void *value, uint64_t bytes);
int stage_store_opts(const char *key, const void *value, uint64_t bytes, uint32_t flags,
		     int64_t ttl_s);
/** Into a buffer of the stage's: see stage_value. */
int stage_lookup(const char *key);
int stage_lookup_range(const char *key, uint64_t offset, uint64_t bytes);
int stage_remove(const char *key);
int stage_touch(const char *key, int64_t ttl_s);
int stage_exists(const char *key);
int stage_flush(void);
int stage_checkpoint(void);
int stage_purge(const char *prefix);
int stage_volume_set(const uint8_t uuid[16], uint64_t generation);
int stage_volume_forget(const uint8_t uuid[16]);
/** Ban blocks of volume 1. */
int stage_ban(uint64_t first, uint64_t count);
extern uint8_t *stage_value;
extern struct tarn_cache_op stage_op; /* of the last lookup */
/** Fill with what depends on key and version, and compare. */
void stage_fill(void *buf, uint64_t bytes, uint32_t key, uint32_t version);
bool stage_same(const void *buf, uint64_t bytes, uint32_t key, uint32_t version);

/* --- Many at a time --- */

/** Store objects "k0" … of `bytes` each, with so many in flight. All must succeed. */
void stage_store_many(uint32_t first, uint32_t count, uint64_t bytes, uint32_t version,
		      uint32_t depth);

/** \return how many of them are found. Each must be whole, and of that version. */
uint32_t stage_found_of(uint32_t first, uint32_t count, uint64_t bytes, uint32_t version);
/** The same, of 3000 bytes. */
uint32_t stage_found(uint32_t first, uint32_t count, uint32_t version);

/* --- Blocks of volume 1 --- */

int stage_block(enum tarn_cache_block_kind kind, uint32_t flags, uint64_t first, uint32_t count,
		uint32_t version);
extern struct tarn_cache_block_req stage_req; /* of the last one */
/** \return whether block n of the last lookup has this version. */
bool stage_block_is(uint32_t n, uint32_t version);

void stage_stats(struct tarn_cache_stats *stats);
struct tarn_cache_info stage_info(void);
