/* SPDX-License-Identifier: BSD-3-Clause */
/* A shard's list of bans. Short, so searched from end to end; see ban.h. */
#include "lib/cache/ban.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tarn/util.h"

int
ban_list_init(struct ban_list *list)
{
	*list = (struct ban_list){ .bans = calloc(BAN_COUNT_MAX, sizeof(struct ban)) };
	return list->bans != NULL ? 0 : -ENOMEM;
}

void
ban_list_fini(struct ban_list *list)
{
	free(list->bans);
	list->bans = NULL;
}

static void
drop(struct ban_list *list, uint32_t i)
{
	list->prefix_count -= list->bans[i].rule.kind == DISK_BAN_PREFIX;
	list->block_count -= list->bans[i].rule.kind == DISK_BAN_BLOCKS;
	list->bans[i] = list->bans[--list->count];
}

static uint64_t
end_of(const struct disk_ban *rule)
{
	uint64_t end;

	return __builtin_add_overflow(rule->from, rule->count, &end) ? UINT64_MAX : end;
}

/* Whether a later rule (or the same) bans all that an earlier one does. */
static bool
covers(const struct disk_ban *rule, const void *prefix, const struct disk_ban *old,
       const void *old_prefix)
{
	if (rule->kind != old->kind || rule->position < old->position)
		return false;
	if (rule->kind == DISK_BAN_PREFIX)
		return rule->prefix_bytes <= old->prefix_bytes &&
		       (rule->prefix_bytes == 0 ||
			memcmp(prefix, old_prefix, rule->prefix_bytes) == 0);
	return rule->volume == old->volume && rule->from <= old->from &&
	       end_of(rule) >= end_of(old);
}

int
ban_add(struct ban_list *list, const struct disk_ban *rule, const void *prefix)
{
	struct ban *ban;

	for (uint32_t i = 0; i < list->count; i++)
		if (covers(&list->bans[i].rule, list->bans[i].prefix, rule, prefix))
			return 0;
	for (uint32_t i = list->count; i-- > 0;)
		if (covers(rule, prefix, &list->bans[i].rule, list->bans[i].prefix))
			drop(list, i);
	if (list->count == BAN_COUNT_MAX)
		return -ENOSPC;
	ban = &list->bans[list->count++];
	ban->rule = *rule;
	if (rule->prefix_bytes != 0)
		memcpy(ban->prefix, prefix, rule->prefix_bytes);
	list->prefix_count += rule->kind == DISK_BAN_PREFIX;
	list->block_count += rule->kind == DISK_BAN_BLOCKS;
	return 0;
}

bool
ban_room(const struct ban_list *list, const struct disk_ban *rule, const void *prefix)
{
	struct disk_ban last = *rule;

	last.position = UINT64_MAX;
	for (uint32_t i = 0; i < list->count; i++)
		if (covers(&last, prefix, &list->bans[i].rule, list->bans[i].prefix))
			return true;
	return list->count < BAN_COUNT_MAX;
}

void
ban_retire(struct ban_list *list, uint64_t position)
{
	for (uint32_t i = list->count; i-- > 0;)
		if (list->bans[i].rule.position <= position)
			drop(list, i);
}

void
ban_move(struct ban_list *list, uint64_t from_position, uint64_t to_position)
{
	for (uint32_t i = 0; i < list->count; i++)
		if (list->bans[i].rule.position == from_position)
			list->bans[i].rule.position = to_position;
}

bool
ban_match_block(const struct ban_list *list, uint32_t volume, uint64_t block, uint64_t position)
{
	for (uint32_t i = 0; i < list->count; i++) {
		const struct disk_ban *rule = &list->bans[i].rule;

		if (rule->kind == DISK_BAN_BLOCKS && rule->volume == volume &&
		    position < rule->position && block >= rule->from && block < end_of(rule))
			return true;
	}
	return false;
}

bool
ban_match_key(const struct ban_list *list, const void *key, uint32_t key_bytes, uint64_t position)
{
	for (uint32_t i = 0; i < list->count; i++) {
		const struct disk_ban *rule = &list->bans[i].rule;

		if (rule->kind == DISK_BAN_PREFIX && position < rule->position &&
		    key_bytes >= rule->prefix_bytes &&
		    (rule->prefix_bytes == 0 ||
		     memcmp(key, list->bans[i].prefix, rule->prefix_bytes) == 0))
			return true;
	}
	return false;
}
