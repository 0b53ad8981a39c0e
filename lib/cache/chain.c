/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The chain of segments, from their headers alone.
 *
 * Each header names the segment that it goes on from. Where several go on from the same one, the
 * one with the greatest sequence is right: it was opened because the others came to nothing (a
 * failed write, a crash before they were durable), and it, too, holds whatever of them counts.
 */
#include <errno.h>
#include <stdlib.h>

#include "lib/cache/recover.h"

static struct found_segment *
found_of(struct recovery *recovery, uint64_t sequence)
{
	struct found_segment *found =
	    &recovery->found[shard_segment_number(recovery->shard, sequence)];

	return sequence != 0 && found->sequence == sequence ? found : NULL;
}

static void
link_successors(struct recovery *recovery)
{
	for (uint32_t i = 0; i < recovery->shard->segment_count; i++) {
		const struct found_segment *found = &recovery->found[i];
		struct found_segment *before = found_of(recovery, found->previous);

		if (found->sequence < recovery->tail || found->sequence == 0 || before == NULL ||
		    before->sequence < recovery->tail)
			continue;
		before->successor = tarn_max_u64(before->successor, found->sequence);
	}
}

/*
 * Where the chain begins: what goes on from below the tail; failing that, the oldest there is of
 * those that belong to the log.
 */
static uint64_t
first_of(struct recovery *recovery)
{
	uint64_t best = 0, oldest = 0;

	for (uint32_t i = 0; i < recovery->shard->segment_count; i++) {
		const struct found_segment *found = &recovery->found[i];

		if (found->sequence == 0 || found->sequence < recovery->tail)
			continue;
		if (found->previous < recovery->tail)
			best = tarn_max_u64(best, found->sequence);
		if (!found->passed_over && (oldest == 0 || found->sequence < oldest))
			oldest = found->sequence;
	}
	return best != 0 ? best : oldest;
}

/* The oldest segment behind `sequence` that is known to have been flushed. 0: none. */
static uint64_t
flushed_behind(struct recovery *recovery, uint64_t sequence)
{
	uint64_t oldest = 0;

	for (uint32_t i = 0; i < recovery->shard->segment_count; i++) {
		const struct found_segment *found = &recovery->found[i];

		if (found->sequence > sequence && !found->passed_over &&
		    shard_position(recovery->shard, found->sequence, 1) <= recovery->durable &&
		    (oldest == 0 || found->sequence < oldest))
			oldest = found->sequence;
	}
	return oldest;
}

/* What headers say of the tail counts once they are durable; others may yet be part of the log. */
static void
learn_tail(struct recovery *recovery)
{
	for (uint32_t i = 0; i < recovery->shard->segment_count; i++) {
		const struct found_segment *found = &recovery->found[i];

		if (shard_position(recovery->shard, found->sequence, 1) <= recovery->durable)
			recovery->tail = tarn_max_u64(recovery->tail, found->tail);
	}
}

int
chain_build(struct recovery *recovery)
{
	uint64_t sequence;
	bool broken = false;

	learn_tail(recovery);
	recovery->chain = calloc(recovery->shard->segment_count + 1, sizeof(*recovery->chain));
	if (recovery->chain == NULL)
		return -ENOMEM;
	link_successors(recovery);
	sequence = first_of(recovery);
	while (sequence != 0) {
		const struct found_segment *found = found_of(recovery, sequence);
		struct chain_link *link = &recovery->chain[recovery->chain_count++];

		*link = (struct chain_link){ .sequence = sequence,
					     .end = UINT32_MAX,
					     .broken = broken };
		broken = false;
		sequence = found->successor;
		if (sequence != 0) {
			link->end = found_of(recovery, sequence)->previous_end;
		} else {
			sequence = flushed_behind(recovery, found->sequence);
			broken = sequence != 0;
		}
	}
	return 0;
}
