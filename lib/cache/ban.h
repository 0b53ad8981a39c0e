/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "lib/cache/disk.h"

/*
 * Bans: rules against entries that lie before them in the log (as in Varnish). A shard's own, its
 * reactor only. They are bounded, and retire when the tail has passed them.
 */
#define BAN_COUNT_MAX 64
#define BAN_PREFIX_MAX 1024

struct ban {
	struct disk_ban rule; /* its position, in units, is always filled in here */
	uint8_t prefix[BAN_PREFIX_MAX];
};

struct ban_list {
	struct ban *bans; /* BAN_COUNT_MAX, in no order */
	uint32_t count, prefix_count, block_count;
};

int ban_list_init(struct ban_list *list);
void ban_list_fini(struct ban_list *list);
/**
 * Add a rule, unless a later one covers it; what it covers goes. Its position is set.
 * \return 0, or -ENOSPC.
 */
int ban_add(struct ban_list *list, const struct disk_ban *rule, const void *prefix);
/** \return whether there is room for this rule, with a position behind all others. */
bool ban_room(const struct ban_list *list, const struct disk_ban *rule, const void *prefix);
/** Those before the position (units) have nothing left to ban. */
void ban_retire(struct ban_list *list, uint64_t position);
/** A ban moved with its batch. */
void ban_move(struct ban_list *list, uint64_t from_position, uint64_t to_position);

bool ban_match_block(const struct ban_list *list, uint32_t volume, uint64_t block,
		     uint64_t position);
bool ban_match_key(const struct ban_list *list, const void *key, uint32_t key_bytes,
		   uint64_t position);

static inline bool
ban_hits_block(const struct ban_list *list, uint32_t volume, uint64_t block, uint64_t position)
{
	return list->block_count != 0 && ban_match_block(list, volume, block, position);
}

static inline bool
ban_hits_key(const struct ban_list *list, const void *key, uint32_t key_bytes, uint64_t position)
{
	return list->prefix_count != 0 && ban_match_key(list, key, key_bytes, position);
}
