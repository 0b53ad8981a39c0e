/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "test/lab/daemon/cache_slot.h"

/*
 * Load on a cache, of objects and dirty blocks, with a record of what the cache must hold, in a
 * file that outlives the daemon (record.h); and checks of a cache against it. Control reactor only.
 */
#define CACHE_LOAD_NAME_MAX 63
#define CACHE_LOAD_DEPTH_MAX 64
#define CACHE_LOAD_ERRNO_MAX 256
#define CACHE_LOAD_CHECK_DEPTH 16

struct cache_load; /* Opaque. */

struct cache_load_opts {
	const char *cache_name;
	uint32_t depth;		    /* requests in flight */
	uint32_t read_percent;	    /* lookups among 100 requests */
	uint32_t durable_percent;   /* durable ones among 100 changes */
	uint32_t flush_every;	    /* a flush of the cache after so many requests; 0: none */
	uint32_t mark_every;	    /* a mark after so many, and after each flush */
	uint64_t io_count;	    /* end after so many; 0: when stopped */
	bool evict;		    /* objects may have left the cache */
	const char *mark_bdev_name; /* marks: its first blocks; NULL: none */
};

struct cache_load_stats {
	uint64_t ok_count[SLOT_KIND_COUNT], error_count[SLOT_KIND_COUNT];
	uint64_t flush_count, flush_error_count, mark_count, mark_error_count;
	uint64_t hit_count;
	uint64_t bad_count; /* dirty blocks that could not be read */
	uint64_t by_errno[CACHE_LOAD_ERRNO_MAX];
	uint64_t lost_count;  /* lookups that did not find what must be there */
	uint64_t wrong_count; /* lookups that found an older version, or what nobody stored */
	char first_wrong[160];
	bool running;
};

struct cache_load_check {
	uint64_t checked_count, hit_count; /* items; found */
	uint64_t lost_count;		   /* not found, and must be there */
	uint64_t old_count;		   /* a version older than must be there */
	uint64_t wrong_count;		   /* what nobody stored: a mixture, or another item's */
	uint64_t error_count;		   /* lookups that failed, and dirty blocks that are bad */
	char first[160];		   /* of the three above: which, and what was expected */
};

/** status: 0 or -errno. */
typedef void (*cache_load_cb)(void *arg, int status);

/** A load by that name, on the record in a file; like: see record_open(). \return 0 or -errno. */
int cache_load_create(const char *name, const char *path, const struct record_head *like);
struct cache_load *cache_load_find(const char *name);
/** It must not run. The file stays. */
void cache_load_delete(struct cache_load *load);

/** cb when it runs. -EBUSY, -ENODEV (no such cache), or the volume's or the marks' bdev's error. */
void cache_load_start(struct cache_load *load, const struct cache_load_opts *opts, cache_load_cb cb,
		      void *arg);
/** cb with 0 when nothing is in flight; also where it does not run. */
void cache_load_stop(struct cache_load *load, cache_load_cb cb, void *arg);
const struct cache_load_stats *cache_load_stats(const struct cache_load *load);

struct cache_check_opts {
	const char *cache_name;
	struct record_rules rules;
	bool settle; /* from now on, what is found is what must be there */
};
/** Look up every item, then cb. -EBUSY, -ENODEV. */
void cache_load_check(struct cache_load *load, const struct cache_check_opts *opts,
		      cache_load_cb cb, void *arg);
/** What the last check found. */
const struct cache_load_check *cache_load_checked(const struct cache_load *load);
