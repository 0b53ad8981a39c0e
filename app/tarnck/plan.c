/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What recovery would do (doc/cache-design.md, "Recovery"), by its own rules: judge.c, claims.c and
 * chain.c are given what was found on the device, and say what to read, and what it means.
 */
#include <errno.h>

#include "ck.h"
#include "lib/cache/recover.h"

/* Everything before the scans. */
static int
prepare(struct ck *ck, uint32_t number)
{
	struct recovery *recovery = ck->shards[number].recovery;
	int used = ck_checkpoint_of(ck, number);
	struct found_segment *found;
	int rc;

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
	if (rc == 0 && used >= 0)
		judge_checkpoint(recovery, &ck->checkpoint[used].header.shard[number]);
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
	int rc = prepare(ck, number);

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
