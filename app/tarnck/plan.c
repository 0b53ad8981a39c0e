/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What recovery would do (doc/cache-design.md, "Recovery"), by its own code: the chain of segments
 * is chain_build()'s, from headers as recovery would have found them. Then along the chain, as far
 * as each segment is whole: a hole below the durable position is damage, one above it is where the
 * log ends.
 */
#include <errno.h>
#include <stdlib.h>

#include "ck.h"
#include "lib/cache/recover.h"

/* The shard as recovery sees it when all headers are read. */
static int
recovery_make(struct ck *ck, uint32_t number)
{
	struct ck_shard *shard = &ck->shards[number];
	uint32_t count = ck->best->segment_count;
	struct recovery *recovery = calloc(1, sizeof(*recovery));

	shard->recovery = recovery;
	if (recovery == NULL)
		return -ENOMEM;
	recovery->shard = calloc(1, sizeof(*recovery->shard));
	recovery->found = calloc(count, sizeof(*recovery->found));
	if (recovery->shard == NULL || recovery->found == NULL)
		return -ENOMEM;
	recovery->shard->number = number;
	recovery->shard->segment_count = count;
	recovery->shard->segment_blocks = ck->segment_blocks;
	recovery->shard->segment_shift = (uint32_t)__builtin_ctz(ck->segment_blocks);
	for (uint32_t place = 0; place < count; place++) {
		const struct ck_segment *segment = &shard->segments[place];

		if (segment->header != CK_HEADER_GOOD)
			continue;
		recovery->found[place] = (struct found_segment){
			.sequence = segment->sequence,
			.epoch = segment->epoch,
			.previous = segment->previous,
			.previous_end = segment->previous_end,
			.seed = segment->seed,
		};
		if (segment->sequence > recovery->max_sequence) {
			recovery->max_sequence = segment->sequence;
			recovery->gap_start = segment->gap_start;
			recovery->gap_end = segment->gap_end;
		}
		recovery->tail = tarn_max_u64(recovery->tail, segment->tail);
		recovery->durable = tarn_max_u64(recovery->durable, segment->durable);
	}
	return chain_build(recovery);
}

static void
use_checkpoint(struct ck *ck, uint32_t number)
{
	struct recovery *recovery = ck->shards[number].recovery;
	const struct disk_checkpoint_shard *part;

	if (ck->used_checkpoint < 0)
		return;
	part = &ck->checkpoint[ck->used_checkpoint].header.shard[number];
	recovery->tail = tarn_max_u64(recovery->tail, part->tail);
	recovery->durable = tarn_max_u64(recovery->durable, part->end);
	recovery->batch_number = part->batch_number;
	while (recovery->first < recovery->chain_count &&
	       recovery->chain[recovery->first].sequence < part->start / ck->segment_blocks)
		recovery->first++;
}

/* How far recovery would get in a segment. */
static uint32_t
complete_end(const struct ck *ck, const struct recovery *recovery, const struct ck_segment *segment,
	     const struct chain_link *link)
{
	uint32_t end = segment->header_end;

	if (link->end != UINT32_MAX && segment->trailer && segment->trailer_end <= link->end &&
	    ck_position(ck, segment->sequence, link->end) <= recovery->durable)
		end = segment->trailer_end;
	else if (segment->bad_payload != 0 &&
		 ck_position(ck, segment->sequence, segment->bad_payload) >= recovery->durable)
		end = segment->bad_payload;
	return (uint32_t)tarn_min_u64(end, link->end);
}

static bool
in_gap(const struct recovery *recovery, uint64_t position)
{
	return position >= recovery->gap_start && position < recovery->gap_end &&
	       recovery->durable >= recovery->gap_end;
}

/* What a checkpoint covers costs nothing but what reads find: recovery does not look there. */
static void
count_damage(struct ck *ck, uint32_t number, const struct chain_link *link, uint64_t position)
{
	const struct recovery *recovery = ck->shards[number].recovery;
	struct ck_plan *plan = &ck->shards[number].plan;

	if (link < &recovery->chain[recovery->first])
		return;
	plan->damage_count++;
	plan->damage_position = tarn_max_u64(plan->damage_position, position);
}

static void
find_missing(struct ck *ck, uint32_t number, uint64_t sequence)
{
	struct ck_place place = { number, sequence, 0, false };

	ck_find_log(ck, &place, "segment header",
		    "shard %u, segment %llu: its header is not there, or not whole", number,
		    (unsigned long long)sequence);
}

/* \return whether the log goes on behind this segment. */
static bool
follow(struct ck *ck, uint32_t number, const struct chain_link *link)
{
	struct recovery *recovery = ck->shards[number].recovery;
	struct ck_plan *plan = &ck->shards[number].plan;
	struct ck_segment *segment = ck_segment_of(ck, number, link->sequence);
	bool last = link->end == UINT32_MAX, first = link == recovery->chain;
	uint64_t end;

	if (link->broken || (first && segment->previous >= recovery->tail)) {
		count_damage(ck, number, link, ck_position(ck, link->sequence, 0));
		find_missing(ck, number, segment->previous);
		if (link->broken && link > &recovery->chain[recovery->first])
			plan->damage_count--; /* the same hole, found at its other end */
	}
	recovery->tail = tarn_max_u64(recovery->tail, segment->tail);
	recovery->durable = tarn_max_u64(recovery->durable, segment->durable);
	segment->followed = true;
	segment->log_end = complete_end(ck, recovery, segment, link);
	plan->followed_count++;
	plan->head = recovery->last = link->sequence;
	plan->end_block = recovery->last_end = segment->log_end;
	end = ck_position(ck, link->sequence, segment->log_end);
	if ((last ? end >= recovery->durable : segment->log_end >= link->end) ||
	    in_gap(recovery, end))
		return true;
	if (end >= recovery->durable)
		return false;
	count_damage(
	    ck, number, link,
	    tarn_min_u64(ck_position(ck, link->sequence, last ? ck->segment_blocks : link->end),
			 recovery->durable));
	return true;
}

static const char *
end_reason(const struct ck *ck, uint32_t number)
{
	const struct ck_plan *plan = &ck->shards[number].plan;
	const struct ck_segment *head = ck_segment_of(ck, number, plan->head);

	if (plan->followed_count == 0)
		return "no segment belongs to it";
	if (ck->best->flags & DISK_SUPER_CLEAN)
		return "the cache was stopped there";
	if (head->trailer && head->trailer_end == plan->end_block)
		return "its last segment was full, and none after it is there";
	if (head->bad_payload != 0 && head->bad_payload == plan->end_block)
		return "the batch there has a payload that is not whole";
	if (head->claims_more)
		return "the batch there is not whole";
	return "nothing of the log is behind it";
}

/* Where the checkpoint of a clean stop says that the log ends, it must. */
static void
check_clean_end(struct ck *ck, uint32_t number)
{
	const struct ck_plan *plan = &ck->shards[number].plan;
	const struct disk_checkpoint *header;
	const struct disk_checkpoint_shard *part;
	struct ck_place place = { number, 0, 0, false };

	if (ck->used_checkpoint < 0 || !(ck->best->flags & DISK_SUPER_CLEAN))
		return;
	header = &ck->checkpoint[ck->used_checkpoint].header;
	part = &header->shard[number];
	if (!(header->flags & DISK_CHECKPOINT_CLEAN) || part->head == 0 ||
	    part->head < plan->tail ||
	    (plan->head == part->head && plan->end_block >= part->head_end))
		return;
	place.sequence = part->head;
	place.block = plan->head == part->head ? plan->end_block : 0;
	ck_find_log(ck, &place, place.block == 0 ? "segment header" : "batch",
		    "shard %u, segment %llu, block %u: not whole, and the checkpoint says that the "
		    "log went on to block %llu",
		    number, (unsigned long long)part->head, place.block,
		    (unsigned long long)part->head_end);
}

static int
plan_shard(struct ck *ck, uint32_t number)
{
	struct ck_plan *plan = &ck->shards[number].plan;
	struct recovery *recovery;
	int rc = recovery_make(ck, number);

	if (rc != 0)
		return rc;
	recovery = ck->shards[number].recovery;
	use_checkpoint(ck, number);
	plan->start = recovery->chain_count > recovery->first
			  ? ck_position(ck, recovery->chain[recovery->first].sequence, 0)
			  : 0;
	for (uint32_t i = 0; i < recovery->chain_count; i++) {
		/*
		 * What a checkpoint covers is not read by recovery, but known to it all the same.
		 */
		if (!follow(ck, number, &recovery->chain[i]) && i >= recovery->first)
			break;
	}
	plan->tail = recovery->tail;
	plan->durable = recovery->durable;
	plan->why = end_reason(ck, number);
	recovery->damage = plan->damage_position * DISK_BLOCK_UNITS;
	check_clean_end(ck, number);
	return 0;
}

int
ck_make_plans(struct ck *ck)
{
	for (uint32_t number = 0; number < ck->best->shard_count; number++) {
		int rc = plan_shard(ck, number);

		if (rc != 0)
			return tarn_reason_set(&ck->reason, rc, "no memory for shard %u", number);
	}
	return 0;
}

void
ck_plans_fini(struct ck *ck)
{
	for (uint32_t number = 0; ck->shards != NULL && number < ck->best->shard_count; number++) {
		struct recovery *recovery = ck->shards[number].recovery;

		if (recovery == NULL)
			continue;
		free(recovery->shard);
		free(recovery->found);
		free(recovery->chain);
		free(recovery->bans);
		free(recovery);
	}
}
