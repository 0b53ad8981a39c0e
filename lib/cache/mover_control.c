/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Entries without payload, and bans, of a gap: what they said must not get lost, and must not hit
 * what was appended since.
 *
 *	forget:  appended again where the index has nothing: there may be an older version below
 *	clean:   appended again for blocks that are clean, and lie before the gap
 *	ban:     appended again with the position that it had
 *	expired: an object that was dropped without a word (expire.c) is forgotten, as there may be
 *		 an older version below that is not
 */
#include "lib/cache/mover.h"

#include <string.h>

#include "lib/cache/internal.h"

typedef bool (*run_fn)(const struct mover *mover, uint32_t volume, uint64_t block);

static bool
absent(const struct mover *mover, uint32_t volume, uint64_t block)
{
	return index_find(&mover->shard->index, index_block_id(volume, block)) == NULL;
}

static bool
clean_below(const struct mover *mover, uint32_t volume, uint64_t block)
{
	const struct index_slot *slot =
	    index_find(&mover->shard->index, index_block_id(volume, block));

	return slot != NULL && (slot->id & INDEX_DIRTY) == 0 &&
	       shard_slot_position(mover->shard, slot) < mover->from_position;
}

/* Append the entry for each run of its blocks of which fn is true. \return false: no room. */
static bool
append_runs(struct mover *mover, const struct disk_entry *entry, run_fn fn)
{
	struct log_slot place;
	uint32_t i = 0;

	while (i < entry->length) {
		struct disk_entry run = *entry;
		uint32_t from = i;

		while (i < entry->length && fn(mover, entry->volume, entry->identity + i))
			i++;
		if (i == from) {
			i++;
			continue;
		}
		run.identity += from;
		run.length = i - from;
		/* Said twice it is as true: a run may be appended again after -EAGAIN. */
		if (log_append(mover->shard, LOG_RESERVE, &run, 0, &place) != 0)
			return false;
	}
	return true;
}

static bool
append_ban(struct mover *mover, const struct disk_entry *entry)
{
	uint64_t position = mover_position(mover->shard, mover->sequence, entry);
	const struct ban_list *bans = &mover->shard->bans;
	struct log_slot place;

	for (uint32_t i = 0; i < bans->count; i++) {
		const struct ban *ban = &bans->bans[i];
		struct disk_entry moved = *entry;

		/* One of damage speaks of what is before it: any place may be its own. */
		if (ban->rule.position != position && ban->rule.kind != DISK_BAN_DAMAGE)
			continue;
		moved.length = (uint32_t)sizeof(ban->rule) + ban->rule.prefix_bytes;
		if (log_append(mover->shard, LOG_RESERVE, &moved, moved.length, &place) != 0)
			return false;
		memcpy(place.payload, &ban->rule, sizeof(ban->rule));
		memcpy(place.payload + sizeof(ban->rule), ban->prefix, ban->rule.prefix_bytes);
		place.entry->crc32c =
		    tarn_crc32c(format_seed(place.seed, place.place), place.payload, moved.length);
	}
	return true;
}

static bool
append_expired(const struct mover *mover, const struct disk_entry *entry)
{
	struct disk_entry forget = { .kind = DISK_FORGET_OBJECT, .identity = entry->identity };
	struct log_slot place;

	if (entry->expiry_s == 0 || entry->expiry_s > cache_now_s(mover->shard->cache) ||
	    index_find(&mover->shard->index, index_object_id(entry->identity)) != NULL)
		return true;
	return log_append(mover->shard, LOG_RESERVE, &forget, 0, &place) == 0;
}

bool
mover_control(struct mover *mover, const struct disk_entry *entry)
{
	struct log_slot place;

	if (mover_position(mover->shard, mover->sequence, entry) < mover->from_position)
		return true;
	switch (entry->kind) {
	case DISK_FORGET_BLOCKS:
		return append_runs(mover, entry, absent);
	case DISK_CLEAN_BLOCKS:
		return append_runs(mover, entry, clean_below);
	case DISK_FORGET_OBJECT:
		return index_find(&mover->shard->index, index_object_id(entry->identity)) != NULL ||
		       log_append(mover->shard, LOG_RESERVE, entry, 0, &place) == 0;
	case DISK_BAN:
		return append_ban(mover, entry);
	case DISK_OBJECT_ENTRY:
		return append_expired(mover, entry);
	default:
		return true;
	}
}
