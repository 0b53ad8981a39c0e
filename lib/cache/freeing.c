/* SPDX-License-Identifier: BSD-3-Clause */
/* Giving segments back, oldest first; see freeing.h. Contract C6. */
#include "lib/cache/freeing.h"

#include "lib/cache/internal.h"
#include "lib/cache/mover.h"

#define DROP_STEP 256 /* entries dropped in one step */

static const struct freeing_segment *
oldest(const struct shard *shard, const struct freeing *freeing)
{
	const struct freeing_segment *segment =
	    &freeing->segments[shard->freed % SHARD_FREEING_MAX];

	return segment->sequence == shard->freed ? segment : NULL;
}

void
freeing_add(struct freeing *freeing, uint64_t sequence, struct disk_entry *entries,
	    uint32_t entry_count)
{
	struct freeing_segment *segment = &freeing->segments[sequence % SHARD_FREEING_MAX];

	tarn_assert(segment->sequence == 0);
	*segment = (struct freeing_segment){
		.sequence = sequence,
		.entries = entries,
		.entry_count = entry_count,
	};
}

static void
drop_entry(struct shard *shard, uint64_t sequence, const struct disk_entry *entry)
{
	struct index_slot *slot = mover_slot(shard, sequence, entry);

	if (slot == NULL)
		return;
	if (entry->expiry_s != 0 && entry->expiry_s <= cache_now_s(shard->cache))
		shard->counters.expired_count++;
	else if (entry->kind == DISK_BLOCK_ENTRY &&
		 ban_hits_block(&shard->bans, entry->volume, entry->identity,
				mover_position(shard, sequence, entry)))
		shard->counters.banned_count++;
	else
		shard->counters.dropped_count++;
	index_remove(&shard->index, slot);
}

static void
free_segment(struct shard *shard, struct freeing_segment *freed)
{
	struct segment *segment = segment_of(shard, freed->sequence);

	segment_set_state(shard, segment, SEGMENT_FREE);
	shard->freed = freed->sequence + 1;
	ban_retire(&shard->bans, shard_position(shard, shard->freed, 0) * DISK_BLOCK_UNITS);
	tarn_iobuf_put(freed->entries);
	*freed = (struct freeing_segment){ 0 };
	shard->counters.segment_freed_count++;
	shard_unblock(shard);
}

bool
freeing_under_way(const struct shard *shard, const struct freeing *freeing)
{
	return oldest(shard, freeing) != NULL && shard->durable_tail > shard->freed;
}

bool
freeing_ready(const struct shard *shard, const struct freeing *freeing)
{
	const struct freeing_segment *segment = oldest(shard, freeing);

	return freeing_under_way(shard, freeing) && segment->next < segment->entry_count;
}

int
freeing_step(struct shard *shard, struct freeing *freeing)
{
	struct freeing_segment *segment = &freeing->segments[shard->freed % SHARD_FREEING_MAX];
	int work = 0;

	if (!freeing_under_way(shard, freeing))
		return 0;
	while (segment->next < segment->entry_count && work < DROP_STEP) {
		drop_entry(shard, segment->sequence, &segment->entries[segment->next++]);
		work++;
	}
	if (segment->next == segment->entry_count &&
	    segment_of(shard, segment->sequence)->reader_count == 0) {
		free_segment(shard, segment);
		work++;
	}
	return work;
}

void
freeing_durable(struct shard *shard, struct freeing *freeing)
{
	if (freeing_under_way(shard, freeing) && !freeing_ready(shard, freeing))
		freeing_step(shard, freeing);
}

void
freeing_fini(struct freeing *freeing)
{
	for (uint32_t i = 0; i < SHARD_FREEING_MAX; i++)
		tarn_iobuf_put(freeing->segments[i].entries);
}
