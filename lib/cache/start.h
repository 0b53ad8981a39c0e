/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include "lib/cache/checkpoint.h"
#include "lib/cache/life.h"
#include "lib/cache/super.h"

/*
 * Opening and formatting a cache:
 *
 *	examine.c: open --> examine --> [format: superblocks]
 *	start.c:   --> shards --> [load: clean, or recover] --> flush
 *	           --> superblock (this boot; not clean) --> serve
 *
 * Each step ends in start_fail() or in the next. The exclusive claim comes before the first read,
 * the flush before the first service, and this boot's identity is written last: whoever dies before
 * that finds the old one, and recovers as this start did. Control reactor.
 */
struct start {
	struct tarn_cache *cache;
	struct tarn_cache_opts opts;
	struct tarn_cache_env env;
	char *name, *bdev_name, *uuid;
	tarn_cache_create_cb cb;
	void *arg;
	struct tarn_reason reason;
	int status;
	uint8_t *buf; /* the first bytes of the device */
	uint64_t buf_bytes;
	struct tarn_io io;
	struct sure_read read;
	uint32_t copy; /* of the superblock, that is read */
	struct tarn_msg msg;
	struct super_write write;
	struct fan fan;
	struct checkpoint_found found;
	uint64_t start_ns;
	bool format;
	bool unreadable; /* the first bytes cannot be read at once */
};

void start_free(struct start *start);
/** End what there is of the cache, and tell the caller. */
void start_fail(struct start *start, int status);
/** The superblock is known: go on to the end. */
void start_shards(struct start *start);
