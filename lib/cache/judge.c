/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The judgement of recovery: what headers and batches say of the log's tail and of durability, and
 * what a hole means. See recover.h, and doc/cache-design.md, Recovery.
 */
#include "lib/cache/recover.h"

/* --- What is known before the chain --- */

/* What a segment's header says, its footer and its first batch repeat under the same names. */
#define FOUND(disk)                                                                                \
	((struct found_segment){                                                                   \
	    .sequence = (disk)->sequence,                                                          \
	    .epoch = (disk)->epoch,                                                                \
	    .previous = (disk)->previous,                                                          \
	    .previous_end = (disk)->previous_end,                                                  \
	    .tail = (disk)->tail,                                                                  \
	    .durable = (disk)->durable,                                                            \
	    .time_s = (disk)->time_s,                                                              \
	    .gap_start = (disk)->gap_start,                                                        \
	    .gap_end = (disk)->gap_end,                                                            \
	})

struct found_segment
judge_of_header(const struct disk_segment *disk)
{
	return FOUND(disk);
}

struct found_segment
judge_of_footer(const struct disk_footer *disk)
{
	return FOUND(disk);
}

struct found_segment
judge_of_batch(const struct disk_batch *disk)
{
	return FOUND(disk);
}

void
judge_found(struct recovery *recovery, uint32_t number, const struct found_segment *found)
{
	if (found->sequence <= recovery->found[number].sequence)
		return;
	recovery->found[number] = *found;
	if (found->sequence > recovery->max_sequence) {
		recovery->max_sequence = found->sequence;
		recovery->gap_start = found->gap_start;
		recovery->gap_end = found->gap_end;
	}
	recovery->durable = tarn_max_u64(recovery->durable, found->durable);
	recovery->time_s = tarn_max_u64(recovery->time_s, found->time_s);
}

/* The greatest end of a gap of which it is not known that the log is durable beyond it; or 0. */
static uint64_t
open_gap_end(const struct recovery *recovery)
{
	uint64_t end = 0;

	for (uint32_t i = 0; i < recovery->shard->segment_count; i++) {
		const struct found_segment *found = &recovery->found[i];

		if (found->gap_end > found->gap_start && found->gap_end > recovery->durable)
			end = tarn_max_u64(end, found->gap_end);
	}
	return end;
}

/*
 * The newest segment's, which say what was durable when the log ended. And where there is a gap,
 * further ones: it was closed by a batch behind it, and holes in it may cut the chain before that.
 */
struct found_segment *
judge_probe_next(const struct recovery *recovery)
{
	const struct shard *shard = recovery->shard;
	uint64_t gap_end = open_gap_end(recovery);
	struct found_segment *best = NULL;

	for (uint32_t i = 0; i < shard->segment_count; i++) {
		struct found_segment *found = &recovery->found[i];

		if (found->sequence == 0 || found->probed)
			continue;
		if (found->sequence != recovery->max_sequence &&
		    (gap_end == 0 || shard_position(shard, found->sequence, 0) < gap_end))
			continue;
		if (best == NULL || found->sequence > best->sequence)
			best = found;
	}
	return best;
}

void
judge_probed(struct recovery *recovery, const struct scan *scan)
{
	recovery_found(recovery, scan->sequence)->probed = true;
	recovery->durable = tarn_max_u64(recovery->durable, scan->durable);
}

void
judge_checkpoint_header(struct recovery *recovery, const struct disk_checkpoint_shard *part)
{
	recovery->tail = tarn_max_u64(recovery->tail, part->tail);
	recovery->durable = tarn_max_u64(recovery->durable, part->end);
}

/* What a segment of the checkpoint's table goes on from: the one before it that is not dead. */
static void
table_previous(const struct recovery *recovery, struct found_segment *found)
{
	const struct shard *shard = recovery->shard;

	for (uint64_t sequence = found->sequence - 1; sequence != 0; sequence--) {
		const struct segment *segment =
		    &shard->segments[shard_segment_number(shard, sequence)];

		if (segment->sequence != sequence)
			break;
		found->previous = sequence;
		found->previous_end = segment->end_block;
		if (segment->end_block != 0)
			return;
	}
	found->previous = found->sequence - 1;
	found->previous_end = 0;
}

void
judge_table(struct recovery *recovery)
{
	const struct shard *shard = recovery->shard;

	for (uint32_t i = 0; i < shard->segment_count; i++) {
		const struct segment *segment = &shard->segments[i];
		struct found_segment found = {
			.sequence = segment->sequence,
			.epoch = segment->epoch,
			.seed = segment->seed,
		};

		if (segment->sequence <= recovery->found[i].sequence)
			continue;
		table_previous(recovery, &found);
		judge_found(recovery, i, &found);
	}
}

void
judge_checkpoint(struct recovery *recovery, const struct disk_checkpoint_shard *part)
{
	recovery->batch_number = part->batch_number;
	recovery->from = part->start / recovery->shard->segment_blocks;
	while (recovery->first < recovery->chain_count &&
	       recovery->chain[recovery->first].sequence < recovery->from)
		recovery->first++;
}

/* --- Reading a segment of the chain --- */

bool
judge_by_trailer(const struct recovery *recovery, const struct chain_link *link)
{
	return link->end != UINT32_MAX &&
	       shard_position(recovery->shard, link->sequence, link->end) <= recovery->durable;
}

/* Payload below the durable position is on the device, or its reader will notice. */
uint32_t
judge_verify_from(const struct recovery *recovery, const struct chain_link *link)
{
	uint64_t start = shard_position(recovery->shard, link->sequence, 0);

	return recovery->durable <= start
		   ? 0
		   : (uint32_t)tarn_min_u64(recovery->durable - start, UINT32_MAX);
}

/* Whether the segments that are missing before this one lie in the gap. */
static bool
gap_explains(const struct recovery *recovery, uint64_t sequence)
{
	const struct shard *shard = recovery->shard;

	return shard_position(shard, sequence, 0) <=
	       claims_gap_around(recovery,
				 shard_position(shard, recovery->last, recovery->last_end));
}

void
judge_segment(struct recovery *recovery, struct chain_link *link, const struct scan *scan)
{
	const struct shard *shard = recovery->shard;
	uint64_t end = shard_position(shard, scan->sequence, scan->end_block);
	bool last = link->end == UINT32_MAX;

	/* What is before the first that is read is the checkpoint's, or see check_beginning(). */
	if (link->broken && recovery->last != 0 && !gap_explains(recovery, scan->sequence)) {
		link->damage = shard_position(shard, scan->sequence, 0);
		link[-1].damage = 0; /* the same hole, seen from before */
	}
	recovery->tail = tarn_max_u64(recovery->tail, scan->tail);
	recovery->tail =
	    tarn_max_u64(recovery->tail, recovery_found(recovery, scan->sequence)->tail);
	recovery->durable = tarn_max_u64(recovery->durable, scan->durable);
	recovery->time_s = tarn_max_u64(recovery->time_s, scan->time_s);
	recovery->batch_number = tarn_max_u64(recovery->batch_number, scan->number);
	recovery->last = scan->sequence;
	recovery->last_end = link->read_end = scan->end_block;
	if (last ? end >= recovery->durable && !scan->read_error : scan->end_block >= link->end)
		return;
	if (claims_gap_around(recovery, end) != 0)
		return;
	if (end >= recovery->durable)
		recovery->log_ended = true;
	if (end >= recovery->durable && scan->read_error)
		link->damage = end; /* not torn: it may have been flushed, and nobody noted it */
	else if (end < recovery->durable)
		link->damage = tarn_max_u64(
		    link->damage,
		    tarn_min_u64(shard_position(shard, scan->sequence,
						last ? shard->segment_blocks : link->end),
				 recovery->durable));
}

/* --- The end --- */

static void
add_damage(struct recovery *recovery, uint64_t position)
{
	recovery->damaged_count++;
	recovery->damage = tarn_max_u64(recovery->damage, position * DISK_BLOCK_UNITS);
}

/* The log's first segment is missing, and was never flushed: nothing behind it was, either. */
static void
begin_empty(struct recovery *recovery)
{
	index_clear(&recovery->shard->index);
	recovery->ban_count = 0;
	recovery->entry_count = 0;
	recovery->last = 0;
}

/* Whether what was read begins where it has to: at the tail, or at the checkpoint's start. */
static void
check_beginning(struct recovery *recovery)
{
	const struct shard *shard = recovery->shard;
	uint64_t floor = tarn_max_u64(recovery->from, recovery->tail);
	bool flushed = shard_position(shard, floor, 1) <= recovery->durable;

	if (recovery->first < recovery->chain_count) {
		uint64_t sequence = recovery->chain[recovery->first].sequence;
		uint64_t previous = recovery_found(recovery, sequence)->previous;

		if (sequence <= floor || previous < floor ||
		    shard_position(shard, sequence, 0) <=
			claims_gap_around(recovery, shard_position(shard, floor, 0)))
			return;
		if (flushed)
			add_damage(recovery, shard_position(shard, sequence, 0));
		else
			begin_empty(recovery);
	} else if (recovery->from != 0 && shard_position(shard, floor, 1) < recovery->durable) {
		add_damage(recovery, recovery->durable);
	}
}

/* Below the tail, which is known now, segments may have been written over. */
void
judge_end(struct recovery *recovery)
{
	uint64_t tail = shard_position(recovery->shard, recovery->tail, 0);

	for (uint32_t i = recovery->first; i < recovery->chain_count; i++)
		if (recovery->chain[i].damage > tail)
			add_damage(recovery, recovery->chain[i].damage);
	check_beginning(recovery);
	/* The segment that would be next cannot be read: it may have been flushed, too. */
	if (recovery_found(recovery, recovery->max_sequence + 1)->unreadable)
		add_damage(recovery,
			   shard_position(recovery->shard, recovery->max_sequence + 1, 0));
}
