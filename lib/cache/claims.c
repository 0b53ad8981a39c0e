/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which claims of the headers count, before the chain is built:
 *
 * - Where a header goes on from one before its predecessor, what lies between is not part of the
 *   log: the end of the log that a recovery found, or a failed write, came before it. What such a
 *   segment says of the tail may rest on entries that are lost.
 * - What lies in a gap that is closed was written again behind it, and that is durable. It is not
 *   read at all: part of it is lost perhaps, and what stands there instead may be of a log that
 *   ended before, of which it is no longer known that it did.
 */
#include <errno.h>
#include <stdlib.h>

#include "lib/cache/recover.h"

/* From the newest to the oldest: the least predecessor so far. */
static void
drop_passed_over(struct recovery *recovery)
{
	uint32_t count = recovery->shard->segment_count;
	uint64_t low = UINT64_MAX;

	for (uint32_t i = 0; i < count && i < recovery->max_sequence; i++) {
		struct found_segment *found = recovery_found(recovery, recovery->max_sequence - i);

		if (found->sequence != recovery->max_sequence - i)
			continue;
		if (low < found->sequence) {
			found->tail = 0;
			found->passed_over = true;
		}
		low = tarn_min_u64(low, found->previous);
	}
}

/* \return 0 or -ENOMEM. Headers repeat the newest gap: there are few that differ. */
static int
add_gap(struct recovery *recovery, uint64_t start, uint64_t end)
{
	struct closed_gap *gaps;

	for (uint32_t i = 0; i < recovery->gap_count; i++)
		if (recovery->gaps[i].start == start && recovery->gaps[i].end == end)
			return 0;
	gaps = realloc(recovery->gaps, (recovery->gap_count + 1) * sizeof(*gaps));
	if (gaps == NULL)
		return -ENOMEM;
	gaps[recovery->gap_count++] = (struct closed_gap){ start, end };
	recovery->gaps = gaps;
	return 0;
}

uint64_t
claims_gap_around(const struct recovery *recovery, uint64_t position)
{
	uint64_t end = 0;

	for (uint32_t i = 0; i < recovery->gap_count; i++)
		if (position >= recovery->gaps[i].start && position < recovery->gaps[i].end)
			end = tarn_max_u64(end, recovery->gaps[i].end);
	return end;
}

uint32_t
claims_end(const struct recovery *recovery, const struct chain_link *link)
{
	uint64_t from = shard_position(recovery->shard, link->sequence, 0);
	uint64_t end = from + link->end;

	for (uint32_t i = 0; i < recovery->gap_count; i++)
		if (recovery->gaps[i].end > from)
			end = tarn_min_u64(end, tarn_max_u64(recovery->gaps[i].start, from));
	return (uint32_t)(end - from);
}

int
claims_judge(struct recovery *recovery)
{
	const struct shard *shard = recovery->shard;

	drop_passed_over(recovery);
	for (uint32_t i = 0; i < shard->segment_count; i++) {
		const struct found_segment *found = &recovery->found[i];

		/* Who tells of one was right when it was written: it was closed, durably. */
		if (found->gap_end > found->gap_start &&
		    add_gap(recovery, found->gap_start, found->gap_end) != 0)
			return -ENOMEM;
	}
	for (uint32_t i = 0; i < shard->segment_count && recovery->gap_count != 0; i++) {
		struct found_segment *found = &recovery->found[i];

		if (claims_gap_around(recovery, shard_position(shard, found->sequence, 0)) != 0)
			found->tail = 0;
	}
	return 0;
}
