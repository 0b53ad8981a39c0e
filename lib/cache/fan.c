/* SPDX-License-Identifier: BSD-3-Clause */
/* One call for all shards; see fan.h. */
#include "lib/cache/fan.h"

#include "lib/cache/internal.h"

static void
visit(void *arg)
{
	struct fan_slot *slot = arg;

	slot->fan->fn(slot);
}

void
fan_out(struct fan *fan)
{
	uint32_t count = fan->cache->shard_count;

	fan->pending = count;
	for (uint32_t i = 0; i < count; i++) {
		struct fan_slot *slot = &fan->slot[i];

		slot->fan = fan;
		slot->shard = &fan->cache->shards[i];
		slot->status = 0;
		tarn_msg_send(slot->shard->reactor, &slot->msg, visit, slot);
	}
}

static void
answered(void *arg)
{
	struct fan *fan = arg;
	int status = 0;

	if (--fan->pending != 0)
		return;
	for (uint32_t i = 0; i < fan->cache->shard_count && status == 0; i++)
		status = fan->slot[i].status;
	fan->done(fan, status);
}

void
fan_answer(struct fan_slot *slot, int status)
{
	slot->status = status;
	tarn_msg_send(tarn_reactor_get(0), &slot->msg, answered, slot->fan);
}
