/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Recovery of one shard:
 *
 *	headers --all read--> chain --> checkpoint [--damaged: without] --> probe --> scans
 *	scans --applied in order, to the end of the log--> bans --> finish
 *
 * Scans run side by side and are applied in order. Invariant: nothing is applied behind a hole,
 * unless the hole lies below the greatest durable position: then it is damage, not the log's end.
 */
#include "lib/cache/recover.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void feed_headers(struct recovery *recovery);
static void feed_scans(struct recovery *recovery);
static void next_ban(struct recovery *recovery);

static void
finish(struct recovery *recovery, int status)
{
	struct fan_slot *slot = recovery->slot;

	for (uint32_t i = 0; i < RECOVER_HEADERS; i++)
		tarn_iobuf_put(recovery->reads[i].disk);
	for (uint32_t i = 0; i < RECOVER_SCANS; i++)
		scan_fini(&recovery->scans[i]);
	tarn_iobuf_put(recovery->ban_buf);
	slot->shard->recovered = (struct shard_recovered){
		.checkpoint_used = recovery->checkpoint_used,
		.checkpoint_damaged = recovery->checkpoint_damaged,
		.entry_count = recovery->entry_count,
		.damaged_count = recovery->damaged_count,
		.time_s = recovery->time_s,
	};
	free(recovery->bans);
	free(recovery->chain);
	free(recovery->found);
	free(recovery);
	fan_answer(slot, status);
}

/* --- Bans, last --- */

static void
ban_read(void *arg, int status)
{
	struct recovery *recovery = arg;
	const struct found_ban *ban = &recovery->bans[recovery->next_ban++];
	const struct segment *segment = segment_of(recovery->shard, ban->sequence);
	const uint8_t *payload =
	    recovery->ban_buf + (size_t)(ban->place % DISK_BLOCK_UNITS) * DISK_UNIT;
	struct disk_entry entry = {
		.kind = DISK_BAN,
		.length = ban->length,
		.place = ban->place,
	};

	entry.crc32c = tarn_crc32c(format_seed(segment->seed, ban->place), payload, ban->length);
	/* Its checksum was noted with it. */
	if (status != 0 || entry.crc32c != ban->crc32c ||
	    !format_payload_verify(&entry, payload, segment->seed))
		payload = NULL;
	replay_ban(recovery, ban, payload);
	next_ban(recovery);
}

static void
next_ban(struct recovery *recovery)
{
	struct shard *shard = recovery->shard;
	const struct found_ban *ban;
	uint32_t blocks;

	if (recovery->status != 0 || recovery->next_ban == recovery->ban_count) {
		if (recovery->status == 0)
			replay_finish(recovery);
		finish(recovery, recovery->status);
		return;
	}
	ban = &recovery->bans[recovery->next_ban];
	blocks = (uint32_t)(tarn_align_up((uint64_t)(ban->place % DISK_BLOCK_UNITS) * DISK_UNIT +
					      ban->length,
					  DISK_BLOCK) /
			    DISK_BLOCK);
	tarn_iobuf_put(recovery->ban_buf);
	recovery->ban_buf = tarn_iobuf_get((size_t)blocks * DISK_BLOCK);
	if (recovery->ban_buf == NULL) {
		finish(recovery, -ENOMEM);
		return;
	}
	tarn_bdev_read(
	    shard->channel, &recovery->ban_io, recovery->ban_buf, (uint64_t)blocks * DISK_BLOCK,
	    shard_offset(shard, shard_place(shard, ban->sequence, ban->place / DISK_BLOCK_UNITS)),
	    0, ban_read, recovery);
}

/* --- Scans --- */

/*
 * Where the gap around a hole ends: the hole is none of the log's, because all of it was written
 * again behind that. 0: there is none. A header tells of the newest gap only, so all are asked.
 */
static uint64_t
gap_around(const struct recovery *recovery, uint64_t position)
{
	uint64_t end = 0;

	for (uint32_t i = 0; i < recovery->shard->segment_count; i++) {
		const struct found_segment *found = &recovery->found[i];

		if (position >= found->gap_start && position < found->gap_end &&
		    recovery->durable >= found->gap_end)
			end = tarn_max_u64(end, found->gap_end);
	}
	return end;
}

/* Whether the segments that are missing before this one lie in the gap. */
static bool
gap_explains(const struct recovery *recovery, uint64_t sequence)
{
	const struct shard *shard = recovery->shard;

	return shard_position(shard, sequence, 0) <=
	       gap_around(recovery, shard_position(shard, recovery->last, recovery->last_end));
}

/* A segment of the chain has been read: apply it, and see whether the log goes on behind it. */
static void
apply(struct recovery *recovery, struct scan *scan, struct chain_link *link)
{
	struct shard *shard = recovery->shard;
	uint64_t end = shard_position(shard, scan->sequence, scan->end_block);
	bool last = link->end == UINT32_MAX;

	/* What is before the first that is read is the checkpoint's, or see check_beginning(). */
	if (link->broken && recovery->last != 0 && !gap_explains(recovery, scan->sequence)) {
		link->damage = shard_position(shard, scan->sequence, 0);
		link[-1].damage = 0; /* the same hole, seen from before */
	}
	recovery->tail = tarn_max_u64(recovery->tail, scan->tail);
	recovery->tail = tarn_max_u64(
	    recovery->tail, recovery->found[shard_segment_number(shard, scan->sequence)].tail);
	recovery->durable = tarn_max_u64(recovery->durable, scan->durable);
	recovery->time_s = tarn_max_u64(recovery->time_s, scan->time_s);
	recovery->batch_number = tarn_max_u64(recovery->batch_number, scan->number);
	replay_segment(recovery, scan);
	recovery->last = scan->sequence;
	recovery->last_end = scan->end_block;
	if (last ? end >= recovery->durable : scan->end_block >= link->end)
		return;
	if (gap_around(recovery, end) != 0)
		return;
	if (end >= recovery->durable)
		recovery->log_ended = true;
	else
		link->damage = tarn_max_u64(
		    link->damage,
		    tarn_min_u64(shard_position(shard, scan->sequence,
						last ? shard->segment_blocks : link->end),
				 recovery->durable));
}

static void
drain_scans(struct recovery *recovery)
{
	while (recovery->next_apply < recovery->next_scan && !recovery->log_ended) {
		uint32_t i = recovery->next_apply % RECOVER_SCANS;

		if (!recovery->scan_done[i])
			return;
		apply(recovery, &recovery->scans[i], &recovery->chain[recovery->next_apply]);
		scan_fini(&recovery->scans[i]);
		recovery->next_apply++;
	}
}

static void
scanned(struct scan *scan, int status)
{
	struct recovery *recovery = scan->arg;

	recovery->scan_done[scan - recovery->scans] = true;
	recovery->scan_pending--;
	if (status != 0)
		recovery->status = status;
	feed_scans(recovery);
}

static void
start_scan(struct recovery *recovery, struct scan *scan, const struct chain_link *link,
	   void (*done)(struct scan *scan, int status))
{
	struct shard *shard = recovery->shard;
	const struct found_segment *found =
	    &recovery->found[shard_segment_number(shard, link->sequence)];
	uint64_t start = shard_position(shard, link->sequence, 0);

	scan->channel = shard->channel;
	scan->offset_bytes = shard_offset(shard, shard_place(shard, link->sequence, 0));
	scan->segment_blocks = shard->segment_blocks;
	scan->seed = found->seed;
	scan->epoch = found->epoch;
	scan->sequence = link->sequence;
	scan->end_limit = link->end;
	/* Payload below the durable position is on the device, or its reader will notice. */
	scan->use_trailer = link->end != UINT32_MAX && start + link->end <= recovery->durable;
	scan->verify_from = recovery->durable <= start
				? 0
				: (uint32_t)tarn_min_u64(recovery->durable - start, UINT32_MAX);
	scan->done = done;
	scan->arg = recovery;
	scan_start(scan);
}

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
	struct shard *shard = recovery->shard;
	uint64_t floor = tarn_max_u64(recovery->from, recovery->tail);
	bool flushed = shard_position(shard, floor, 1) <= recovery->durable;

	if (recovery->first < recovery->chain_count) {
		uint64_t sequence = recovery->chain[recovery->first].sequence;
		uint64_t previous = recovery->found[shard_segment_number(shard, sequence)].previous;

		if (sequence <= floor || previous < floor)
			return;
		if (flushed)
			add_damage(recovery, shard_position(shard, sequence, 0));
		else
			begin_empty(recovery);
	} else if (recovery->from != 0 && shard_position(shard, floor, 1) < recovery->durable) {
		add_damage(recovery, recovery->durable);
	}
}

/* All is read. Below the tail, which is known now, segments may have been written over. */
static void
judge(struct recovery *recovery)
{
	uint64_t tail = shard_position(recovery->shard, recovery->tail, 0);

	for (uint32_t i = recovery->first; i < recovery->chain_count; i++)
		if (recovery->chain[i].damage > tail)
			add_damage(recovery, recovery->chain[i].damage);
	check_beginning(recovery);
}

static void
feed_scans(struct recovery *recovery)
{
	if (recovery->feeding)
		return; /* a scan that ended inside its call: the loop below sees it */
	recovery->feeding = true;
	for (;;) {
		uint32_t i = recovery->next_scan % RECOVER_SCANS;

		if (recovery->status == 0)
			drain_scans(recovery);
		if (recovery->log_ended || recovery->status != 0 ||
		    recovery->next_scan == recovery->chain_count ||
		    recovery->next_scan - recovery->next_apply == RECOVER_SCANS)
			break;
		recovery->scan_done[i] = false;
		recovery->scan_pending++;
		start_scan(recovery, &recovery->scans[i], &recovery->chain[recovery->next_scan++],
			   scanned);
	}
	recovery->feeding = false;
	if (recovery->scan_pending == 0 && (recovery->status != 0 || recovery->log_ended ||
					    recovery->next_apply == recovery->chain_count)) {
		judge(recovery);
		next_ban(recovery);
	}
}

/* --- Before: what the newest batches know of durability --- */

static void
probed(struct scan *scan, int status)
{
	struct recovery *recovery = scan->arg;

	if (status == 0)
		recovery->durable = tarn_max_u64(recovery->durable, scan->durable);
	scan_fini(scan);
	feed_scans(recovery);
}

static void
probe(struct recovery *recovery)
{
	if (recovery->chain_count == 0)
		feed_scans(recovery);
	else
		start_scan(recovery, &recovery->scans[0],
			   &recovery->chain[recovery->chain_count - 1], probed);
}

/* --- The checkpoint --- */

static void
checkpoint_loaded(void *arg, int status)
{
	struct recovery *recovery = arg;
	struct shard *shard = recovery->shard;
	const struct disk_checkpoint_shard *part = &recovery->checkpoint->shard[shard->number];
	uint64_t from = part->start / shard->segment_blocks;

	if (status == -EBADMSG || status == -EIO) {
		recovery->checkpoint_damaged = true;
	} else if (status != 0) {
		finish(recovery, status);
		return;
	} else {
		recovery->checkpoint_used = true;
		recovery->tail = tarn_max_u64(recovery->tail, part->tail);
		recovery->durable = tarn_max_u64(recovery->durable, part->end);
		recovery->batch_number = part->batch_number;
		recovery->from = from;
		while (recovery->first < recovery->chain_count &&
		       recovery->chain[recovery->first].sequence < from)
			recovery->first++;
		recovery->next_apply = recovery->next_scan = recovery->first;
	}
	probe(recovery);
}

static void
headers_read(struct recovery *recovery)
{
	struct shard *shard = recovery->shard;
	int status;

	/* What others say of the tail counts once they turn out to be part of the log. */
	for (uint32_t i = 0; i < shard->segment_count; i++)
		if (shard_position(shard, recovery->found[i].sequence, 1) <= recovery->durable)
			recovery->tail = tarn_max_u64(recovery->tail, recovery->found[i].tail);
	status = chain_build(recovery);
	if (status != 0) {
		finish(recovery, status);
		return;
	}
	/* Which life of each segment a place means, from here on. */
	for (uint32_t i = 0; i < shard->segment_count; i++) {
		shard->segments[i].sequence = recovery->found[i].sequence;
		shard->segments[i].epoch = recovery->found[i].epoch;
		shard->segments[i].seed = recovery->found[i].seed;
	}
	if (recovery->checkpoint != NULL)
		checkpoint_load(shard, recovery->checkpoint, false, checkpoint_loaded, recovery);
	else
		probe(recovery);
}

/* --- Headers --- */

static void
take_header(struct recovery *recovery, const struct disk_segment *disk, uint32_t number)
{
	struct shard *shard = recovery->shard;
	struct found_segment *found = &recovery->found[number];
	uint64_t offset = shard_offset(shard, number * shard->segment_blocks);
	uint32_t seed = shard->cache->seed;

	if (format_segment_verify(disk, format_offset_seed(seed, offset)) != 0 ||
	    disk->shard != shard->number || shard_segment_number(shard, disk->sequence) != number ||
	    memcmp(disk->uuid, shard->cache->super->uuid, sizeof(disk->uuid)) != 0)
		return;
	*found = (struct found_segment){
		.sequence = disk->sequence,
		.epoch = disk->epoch,
		.previous = disk->previous,
		.previous_end = disk->previous_end,
		.tail = disk->tail,
		.gap_start = disk->gap_start,
		.gap_end = disk->gap_end,
		.seed = format_segment_seed(seed, disk->epoch),
	};
	if (disk->sequence > recovery->max_sequence) {
		recovery->max_sequence = disk->sequence;
		recovery->gap_start = disk->gap_start;
		recovery->gap_end = disk->gap_end;
	}
	recovery->durable = tarn_max_u64(recovery->durable, disk->durable);
	recovery->time_s = tarn_max_u64(recovery->time_s, disk->time_s);
}

static void
header_read(void *arg, int status)
{
	struct header_read *read = arg;
	struct recovery *recovery = read->recovery;

	if (status == 0)
		take_header(recovery, read->disk, read->number);
	read->number = UINT32_MAX;
	recovery->header_pending--;
	feed_headers(recovery);
}

static void
feed_headers(struct recovery *recovery)
{
	struct shard *shard = recovery->shard;

	for (uint32_t i = 0; i < RECOVER_HEADERS; i++) {
		struct header_read *read = &recovery->reads[i];

		if (read->number != UINT32_MAX || recovery->next_header == shard->segment_count)
			continue;
		read->number = recovery->next_header++;
		recovery->header_pending++;
		tarn_bdev_read(shard->channel, &read->io, read->disk, DISK_BLOCK,
			       shard_offset(shard, read->number * shard->segment_blocks), 0,
			       header_read, read);
	}
	if (recovery->header_pending == 0)
		headers_read(recovery);
}

void
recover_shard(struct fan_slot *slot, const struct disk_checkpoint *checkpoint)
{
	struct recovery *recovery = calloc(1, sizeof(*recovery));
	struct shard *shard = slot->shard;

	if (recovery == NULL) {
		fan_answer(slot, -ENOMEM);
		return;
	}
	/* A checkpoint of a clean stop may have been whole for this shard, and not for others. */
	index_clear(&shard->index);
	ban_retire(&shard->bans, UINT64_MAX);
	memset(shard->segments, 0, shard->segment_count * sizeof(*shard->segments));
	recovery->shard = shard;
	recovery->slot = slot;
	recovery->checkpoint = checkpoint;
	recovery->tail = 1;
	recovery->found = calloc(shard->segment_count, sizeof(*recovery->found));
	if (recovery->found == NULL) {
		finish(recovery, -ENOMEM);
		return;
	}
	for (uint32_t i = 0; i < RECOVER_HEADERS; i++) {
		recovery->reads[i].recovery = recovery;
		recovery->reads[i].number = UINT32_MAX;
		recovery->reads[i].disk = tarn_iobuf_get(DISK_BLOCK);
		if (recovery->reads[i].disk == NULL) {
			finish(recovery, -ENOMEM);
			return;
		}
	}
	feed_headers(recovery);
}
