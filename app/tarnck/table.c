/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The shards as recovery sees them before it reads the log: headers, and for those that are lost a
 * checkpoint's table of segments, if one can be had; see judge_table().
 */
#include <errno.h>
#include <stdlib.h>

#include "ck.h"
#include "lib/cache/recover.h"

/* The shard as recovery sees it when all headers are read. */
static int
make(struct ck *ck, uint32_t number)
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

/* A segment that the table knows, and of which nothing else is left that says so. */
static void
take(struct ck *ck, uint32_t number, uint32_t place)
{
	const struct found_segment *found = &ck->shards[number].recovery->found[place];
	struct ck_segment *segment = &ck->shards[number].segments[place];
	struct ck_place at = { number, found->sequence, 0, false };

	if (found->sequence == segment->sequence)
		return;
	ck_segment_take(ck, segment, found);
	ck_find_log(ck, &at, "segment header",
		    "shard %u, segment %llu: its header is not there, or not whole; a checkpoint's "
		    "table of segments stands in for it",
		    number, (unsigned long long)found->sequence);
}

static int
take_tables(struct ck *ck, uint32_t number)
{
	struct recovery *recovery = ck->shards[number].recovery;
	struct shard *shard = recovery->shard;
	int told = ck->tried_checkpoint[0];

	if (told < 0)
		return 0;
	shard->segments = calloc(shard->segment_count, sizeof(*shard->segments));
	if (shard->segments == NULL)
		return -ENOMEM;
	for (uint32_t place = 0; place < shard->segment_count; place++)
		shard->segments[place].sequence = recovery->found[place].sequence;
	judge_checkpoint_header(recovery, &ck->checkpoint[told].header.shard[number]);
	ck_checkpoint_tables(ck, shard);
	judge_table(recovery);
	free(shard->segments);
	shard->segments = NULL;
	for (uint32_t place = 0; place < shard->segment_count; place++)
		take(ck, number, place);
	return 0;
}

int
ck_take_tables(struct ck *ck)
{
	for (uint32_t number = 0; number < ck->best->shard_count; number++) {
		int rc = make(ck, number);

		if (rc == 0)
			rc = take_tables(ck, number);
		if (rc != 0)
			return tarn_reason_set(&ck->reason, rc, "no memory for shard %u", number);
	}
	return 0;
}

void
ck_tables_fini(struct ck *ck)
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
