/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include "tarn/cache.h"
#include "tarn/cache_block.h"
#include "test/lab/daemon/record.h"

/*
 * One request to a cache, of a record's items: one object, or blocks that lie side by side. Control
 * reactor only.
 */
#define SLOT_ITEMS_MAX 4u
#define SLOT_BYTES 20480u /* of I/O memory for each */
#define SLOT_FOUND_WRONG UINT32_MAX

enum slot_kind {
	SLOT_LOOKUP,
	SLOT_STORE,
	SLOT_REMOVE, /* blocks: forget */
	SLOT_TOUCH,  /* objects only */
	SLOT_KIND_COUNT,
};

struct slot {
	/* Who asks, and where; as long as the slot is used. */
	const struct record *record;
	struct tarn_cache *cache;
	uint32_t volume_id; /* 0: there is no volume, and no block is found */
	uint8_t *data;
	void (*done)(struct slot *slot);
	void *arg;
	/* The request. Stores and removals are of the version asked for last. */
	enum slot_kind kind;
	uint32_t item, count; /* within slot_reach() */
	bool durable;
	/* The result: of a removal and a touch, -ENOENT is a success. */
	int status;
	uint32_t found[SLOT_ITEMS_MAX]; /* lookups: a version, 0 or SLOT_FOUND_WRONG */
	bool bad[SLOT_ITEMS_MAX];	/* lookups: a dirty block that cannot be read */
	/* Its own. */
	char key[32];
	struct iovec iov;
	struct tarn_msg msg;
	struct tarn_cache_op op;
	struct tarn_cache_block_req req;
};

/** done(slot) once, later. */
void slot_submit(struct slot *slot);
/** \return how many items from this one on may be part of one request. */
uint32_t slot_reach(const struct record *record, uint32_t item);

/** status 0: *ret_id is the record's volume. Made where create is set; otherwise it may be 0. */
typedef void (*slot_volume_cb)(void *arg, int status, uint32_t volume_id);
void slot_volume(struct tarn_cache *cache, const struct record *record, bool create,
		 slot_volume_cb cb, void *arg);
