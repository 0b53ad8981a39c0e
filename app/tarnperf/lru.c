/* SPDX-License-Identifier: BSD-3-Clause */
/* A doubly linked list in two arrays; a key that is not in it points to itself. */
#include "lru.h"

#include <errno.h>
#include <stdlib.h>

int
perf_lru_init(struct perf_lru *lru, uint64_t key_count, uint64_t room)
{
	*lru = (struct perf_lru){ .key_count = key_count, .room = room };
	if (key_count > INT32_MAX)
		return -ENOMEM;
	lru->next = calloc(key_count + 1, sizeof(*lru->next));
	lru->previous = calloc(key_count + 1, sizeof(*lru->previous));
	if (lru->next == NULL || lru->previous == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i <= key_count; i++)
		lru->next[i] = lru->previous[i] = i;
	return 0;
}

void
perf_lru_fini(struct perf_lru *lru)
{
	free(lru->next);
	free(lru->previous);
	lru->next = lru->previous = NULL;
}

static void
unlink_key(struct perf_lru *lru, uint32_t key)
{
	lru->next[lru->previous[key]] = lru->next[key];
	lru->previous[lru->next[key]] = lru->previous[key];
	lru->next[key] = lru->previous[key] = key;
}

bool
perf_lru_access(struct perf_lru *lru, uint64_t key)
{
	uint32_t head = (uint32_t)lru->key_count, mine = (uint32_t)key;
	bool hit = lru->next[mine] != mine;

	lru->access_count++;
	lru->hit_count += hit;
	if (hit)
		unlink_key(lru, mine);
	else if (lru->used == lru->room)
		unlink_key(lru, lru->previous[head]);
	else
		lru->used++;
	lru->next[mine] = lru->next[head];
	lru->previous[mine] = head;
	lru->previous[lru->next[head]] = mine;
	lru->next[head] = mine;
	return hit;
}
