/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "tarn/cache.h"
#include "tarn/histogram.h"

/* What a cache is, and what it counts. */

struct tarn_cache_info {
	const char *name, *bdev_name;
	uint8_t uuid[16];
	uint64_t device_bytes;
	uint64_t data_bytes; /* in segments */
	uint32_t shard_count, segment_bytes, segment_count;
	uint64_t index_slot_count;
	uint64_t index_bytes;
	uint64_t max_object_bytes; /* that a segment holds */
	uint64_t format_time_s;
	bool failed; /* the log cannot be written: stores are refused, lookups go on */
	/* How it was opened. */
	bool formatted, clean_start;
	bool same_boot;		 /* the process died, the device did not */
	bool checkpoint_used;	 /* otherwise all segments were read */
	bool checkpoint_damaged; /* one was there and failed verification */
	uint64_t recovery_us;
	uint64_t recovered_entries;
	uint64_t suspect_entries;  /* dirty, but perhaps older than what was lost */
	uint64_t damaged_segments; /* of old, flushed log */
};
/** Control reactor. */
void tarn_cache_get_info(const struct tarn_cache *cache, struct tarn_cache_info *ret_info);

enum tarn_cache_miss {
	TARN_CACHE_MISS_ABSENT,
	TARN_CACHE_MISS_EXPIRED,
	TARN_CACHE_MISS_BANNED,
	TARN_CACHE_MISS_KEY, /* another key with the same hash */
	TARN_CACHE_MISS_CRC,
	TARN_CACHE_MISS_IO,
};
#define TARN_CACHE_MISS_COUNT 6

enum tarn_cache_reject {
	TARN_CACHE_REJECT_SIZE,
	TARN_CACHE_REJECT_INDEX_FULL,
	TARN_CACHE_REJECT_DIRTY_FULL,
	TARN_CACHE_REJECT_MEMORY,
	TARN_CACHE_REJECT_FAILED, /* the log cannot be written */
};
#define TARN_CACHE_REJECT_COUNT 5

/* Counters since the start or the last reset, then what is now. Blocks count one by one. */
struct tarn_cache_counters {
	uint64_t hit_ram, hit_device;
	uint64_t miss[TARN_CACHE_MISS_COUNT];
	uint64_t hit_bytes;
	uint64_t store_count, store_bytes, fill_count, fill_skipped_count;
	uint64_t reject[TARN_CACHE_REJECT_COUNT];
	uint64_t remove_count, touch_count, clean_count;
	uint64_t reappended_count, dropped_count, expired_count, banned_count;
	uint64_t crc_error_clean, crc_error_dirty, read_error_count;
	uint64_t batch_count, batch_entry_count, log_bytes, write_error_count;
	uint64_t flush_count, flush_error_count;
	uint64_t segment_sealed_count, segment_freed_count, throttled_count;
	uint64_t checkpoint_count, checkpoint_bytes;
};

struct tarn_cache_gauges {
	uint64_t entry_count, object_count, dirty_count, suspect_count;
	uint64_t index_slot_count;
	uint64_t head_position, durable_position, tail_position; /* blocks of log since format */
	uint32_t segments_free, segments_open, segments_sealed, segments_reclaiming;
	uint32_t ban_count;
	uint64_t ram_bytes;
};

struct tarn_cache_stats {
	struct tarn_cache_counters total; /* of all shards */
	struct tarn_cache_gauges now;	  /* sums; positions are shard 0's */
	uint32_t shard_count;
	struct {
		uint32_t reactor_index;
		struct tarn_cache_counters counters;
		struct tarn_cache_gauges now;
	} shard[TARN_CACHE_SHARD_MAX];
	/* From the operation's arrival at its shard to its end; objects, and blocks by request. */
	struct tarn_histogram hit, miss, store;
};

/**
 * Gather into stats (NULL: only reset), and with reset start counting anew. Control reactor; stats
 * is the caller's again when cb runs. -ESHUTDOWN: the cache is stopping; -ENOMEM.
 */
void tarn_cache_get_stats(struct tarn_cache *cache, bool reset, struct tarn_cache_stats *stats,
			  tarn_cache_cb cb, void *arg);
