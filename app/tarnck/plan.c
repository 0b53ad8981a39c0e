/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What recovery would do (doc/cache-design.md, "Recovery"), by its own rules: judge.c, claims.c and
 * chain.c are given what was found on the device, and say what to read, and what it means.
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
	recovery->tail = 1;
	recovery->shard->number = number;
	recovery->shard->segment_count = count;
	recovery->shard->segment_blocks = ck->segment_blocks;
	recovery->shard->segment_shift = (uint32_t)__builtin_ctz(ck->segment_blocks);
	for (uint32_t place = 0; place < count; place++) {
		const struct ck_segment *segment = &shard->segments[place];
		struct found_segment found = {
			.sequence = segment->sequence,
			.epoch = segment->epoch,
			.previous = segment->previous,
			.previous_end = segment->previous_end,
			.tail = segment->header_tail,
			.durable = segment->header_durable,
			.time_s = segment->time_s,
			.gap_start = segment->gap_start,
			.gap_end = segment->gap_end,
			.seed = segment->seed,
		};

		judge_found(recovery, place, &found);
		recovery->found[place].unreadable = segment->unreadable;
	}
	return 0;
}

/* \return what the checkpoint in an area says of the shard; NULL: there is none (-1). */
static const struct disk_checkpoint_shard *
part_of(const struct ck *ck, int area, uint32_t number)
{
	return area < 0 ? NULL : &ck->checkpoint[area].header.shard[number];
}

/* Everything before the scans. */
static int
prepare(struct ck *ck, uint32_t number)
{
	struct recovery *recovery = ck->shards[number].recovery;
	const struct disk_checkpoint_shard *told = part_of(ck, ck->tried_checkpoint[0], number);
	const struct disk_checkpoint_shard *used =
	    part_of(ck, ck_checkpoint_of(ck, number), number);
	struct found_segment *found;
	int rc;

	if (told != NULL)
		judge_checkpoint_header(recovery, told);
	while ((found = judge_probe_next(recovery)) != NULL) {
		struct scan scan = {
			.end_limit = UINT32_MAX,
			.use_trailer = true,
			.verify_from = UINT32_MAX,
		};

		rc = ck_scan(ck, number, ck_segment_of(ck, number, found->sequence), &scan);
		judge_probed(recovery, &scan);
		ck_scan_fini(&scan);
		if (rc != 0)
			return rc;
	}
	rc = claims_judge(recovery);
	if (rc == 0)
		rc = chain_build(recovery);
	if (rc == 0 && used != NULL)
		judge_checkpoint(recovery, used);
	return rc;
}

static void
find_missing(struct ck *ck, uint32_t number, uint64_t sequence)
{
	struct ck_place place = { number, sequence, 0, false };

	ck_find_log(ck, &place, "segment header",
		    "shard %u, segment %llu: its header is not there, or not whole", number,
		    (unsigned long long)sequence);
}

/* Read a segment of the chain. What a checkpoint covers is not read by recovery, but for stock. */
static int
follow(struct ck *ck, uint32_t number, struct chain_link *link)
{
	struct recovery *recovery = ck->shards[number].recovery;
	struct ck_plan *plan = &ck->shards[number].plan;
	struct ck_segment *segment = ck_segment_of(ck, number, link->sequence);
	struct scan scan = {
		.end_limit = claims_end(recovery, link),
		.use_trailer = judge_by_trailer(recovery, link),
		.verify_from = judge_verify_from(recovery, link),
	};
	int rc = ck_scan(ck, number, segment, &scan);

	if (rc == 0 && link >= &recovery->chain[recovery->first])
		judge_segment(recovery, link, &scan);
	segment->followed = true;
	segment->log_end = scan.end_block;
	plan->followed_count++;
	plan->head = link->sequence;
	plan->end_block = scan.end_block;
	ck_scan_fini(&scan);
	return rc;
}

/*
 * Whether the segment before this one is missing, and that matters. What a checkpoint covers is not
 * recovery's business, but it is damage all the same.
 */
static bool
is_cut(const struct ck *ck, const struct recovery *recovery, const struct chain_link *link)
{
	uint64_t previous = ck_segment_of(ck, recovery->shard->number, link->sequence)->previous;
	bool missing = link->broken || (link == recovery->chain && previous >= recovery->tail);

	if (link > &recovery->chain[recovery->first])
		return link->damage == ck_position(ck, link->sequence, 0);
	return missing && (recovery->damaged_count != 0 || recovery->first != 0) &&
	       claims_gap_around(recovery, ck_position(ck, previous, 0)) == 0;
}

static void
conclude(struct ck *ck, uint32_t number)
{
	struct recovery *recovery = ck->shards[number].recovery;
	struct ck_plan *plan = &ck->shards[number].plan;

	if (!ck->clean_start)
		judge_end(recovery);
	plan->tail = recovery->tail;
	plan->durable = recovery->durable;
	plan->damage_count = recovery->damaged_count;
	plan->damage_position = recovery->damage / DISK_BLOCK_UNITS;
	for (uint32_t i = 0; i < recovery->chain_count; i++) {
		const struct chain_link *link = &recovery->chain[i];

		if (is_cut(ck, recovery, link))
			find_missing(ck, number,
				     ck_segment_of(ck, number, link->sequence)->previous);
		if (recovery->last == 0 && !ck->clean_start && i >= recovery->first)
			ck_segment_of(ck, number, link->sequence)->followed = false;
	}
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
	int area = ck_checkpoint_of(ck, number);
	struct ck_place place = { number, 0, 0, false };

	if (area < 0 || !(ck->best->flags & DISK_SUPER_CLEAN))
		return;
	header = &ck->checkpoint[area].header;
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

	if (rc == 0)
		rc = prepare(ck, number);
	if (rc != 0)
		return rc;
	recovery = ck->shards[number].recovery;
	plan->start = recovery->chain_count > recovery->first
			  ? ck_position(ck, recovery->chain[recovery->first].sequence, 0)
			  : 0;
	for (uint32_t i = 0; i < recovery->chain_count && !recovery->log_ended && rc == 0; i++)
		rc = follow(ck, number, &recovery->chain[i]);
	if (rc != 0)
		return rc;
	conclude(ck, number);
	plan->why = end_reason(ck, number);
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
		free(recovery->gaps);
		free(recovery);
	}
}
