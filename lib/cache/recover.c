/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Recovery of one shard:
 *
 *	headers --all read--> checkpoint [--damaged: the older one] --> probe --> chain --> scans
 *	scans --applied in order, to the end of the log--> bans --> rewrite --> finish
 *
 * Scans run side by side and are applied in order. Invariant: nothing is applied behind a hole,
 * unless the hole lies below the greatest durable position: then it is damage, not the log's end.
 */
#include "lib/cache/recover.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void feed_scans(struct recovery *recovery);
static void next_ban(struct recovery *recovery);
static void probe(struct recovery *recovery);
static void scanned(struct scan *scan, int status);

static void
finish(struct recovery *recovery, int status)
{
	struct fan_slot *slot = recovery->slot;

	headers_fini(recovery);
	for (uint32_t i = 0; i < RECOVER_SCANS; i++)
		scan_fini(&recovery->scans[i]);
	tarn_iobuf_put(recovery->ban_buf);
	slot->shard->recovered = (struct shard_recovered){
		.checkpoint_used = recovery->checkpoint_used,
		.checkpoint_damaged = recovery->checkpoint_damaged,
		.entry_count = recovery->entry_count,
		.damaged_count = recovery->damaged_count,
		.damage = recovery->damage > recovery->damage_logged ? recovery->damage : 0,
		.time_s = recovery->time_s,
	};
	free(recovery->bans);
	free(recovery->chain);
	free(recovery->gaps);
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
		if (recovery->status != 0) {
			finish(recovery, recovery->status);
			return;
		}
		replay_finish(recovery);
		rewrite_start(recovery, finish);
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
	recovery->ban_read.channel = shard->channel;
	recovery->ban_read.buf = recovery->ban_buf;
	recovery->ban_read.length_bytes = (uint64_t)blocks * DISK_BLOCK;
	recovery->ban_read.offset_bytes =
	    shard_offset(shard, shard_place(shard, ban->sequence, ban->place / DISK_BLOCK_UNITS));
	sure_read(&recovery->ban_read, ban_read, recovery);
}

/* --- Scans --- */

static void
drain_scans(struct recovery *recovery)
{
	while (recovery->next_apply < recovery->next_scan && !recovery->log_ended) {
		uint32_t i = recovery->next_apply % RECOVER_SCANS;

		if (!recovery->scan_done[i])
			return;
		replay_segment(recovery, &recovery->scans[i]);
		judge_segment(recovery, &recovery->chain[recovery->next_apply],
			      &recovery->scans[i]);
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
start_scan(struct recovery *recovery, struct scan *scan, const struct found_segment *found,
	   void (*done)(struct scan *scan, int status))
{
	struct shard *shard = recovery->shard;

	scan->channel = shard->channel;
	scan->offset_bytes = shard_offset(shard, shard_place(shard, found->sequence, 0));
	scan->segment_blocks = shard->segment_blocks;
	scan->seed = found->seed;
	scan->epoch = found->epoch;
	scan->sequence = found->sequence;
	scan->done = done;
	scan->arg = recovery;
	scan_start(scan);
}

static void
scan_link(struct recovery *recovery, struct scan *scan, const struct chain_link *link)
{
	const struct found_segment *found = recovery_found(recovery, link->sequence);

	scan->end_limit = claims_end(recovery, link);
	scan->use_trailer = judge_by_trailer(recovery, link);
	scan->verify_from = judge_verify_from(recovery, link);
	start_scan(recovery, scan, found, scanned);
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
		scan_link(recovery, &recovery->scans[i], &recovery->chain[recovery->next_scan++]);
	}
	recovery->feeding = false;
	if (recovery->scan_pending == 0 && (recovery->status != 0 || recovery->log_ended ||
					    recovery->next_apply == recovery->chain_count)) {
		judge_end(recovery);
		next_ban(recovery);
	}
}

/* --- The chain --- */

static void
build_chain(struct recovery *recovery)
{
	struct shard *shard = recovery->shard;
	int status = claims_judge(recovery);

	if (status == 0)
		status = chain_build(recovery);
	if (status != 0) {
		finish(recovery, status);
		return;
	}
	if (recovery->checkpoint_used)
		judge_checkpoint(recovery, &recovery->checkpoint->shard[shard->number]);
	recovery->next_apply = recovery->next_scan = recovery->first;
	feed_scans(recovery);
}

/* --- What batches know of durability --- */

static void
probed(struct scan *scan, int status)
{
	struct recovery *recovery = scan->arg;

	if (status != 0) {
		scan_fini(scan);
		finish(recovery, status);
		return;
	}
	judge_probed(recovery, scan);
	scan_fini(scan);
	probe(recovery);
}

/* One after the other: there is one, but where flushes have failed. */
static void
probe(struct recovery *recovery)
{
	const struct found_segment *found = judge_probe_next(recovery);
	struct scan *scan = &recovery->scans[0];

	if (found == NULL) {
		build_chain(recovery);
		return;
	}
	scan->end_limit = UINT32_MAX;
	scan->use_trailer = true;
	scan->verify_from = UINT32_MAX;
	start_scan(recovery, scan, found, probed);
}

/* --- The checkpoint --- */

static void
checkpoint_loaded(void *arg, int status)
{
	struct recovery *recovery = arg;

	if (status != 0 && status != -EBADMSG && status != -EIO) {
		finish(recovery, status);
		return;
	}
	recovery->checkpoint_damaged |= status != 0;
	if (status != 0 && recovery->older != NULL) {
		recovery->checkpoint = recovery->older;
		recovery->older = NULL;
		checkpoint_load(recovery->shard, recovery->checkpoint, false, checkpoint_loaded,
				recovery);
		return;
	}
	recovery->checkpoint_used = status == 0;
	judge_table(recovery);
	probe(recovery);
}

void
recover_found(struct recovery *recovery, int status)
{
	struct shard *shard = recovery->shard;

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
	if (recovery->checkpoint == NULL) {
		probe(recovery);
		return;
	}
	judge_checkpoint_header(recovery, &recovery->checkpoint->shard[shard->number]);
	checkpoint_load(shard, recovery->checkpoint, false, checkpoint_loaded, recovery);
}

/* --- The beginning --- */

void
recover_shard(struct fan_slot *slot, const struct disk_checkpoint *checkpoint,
	      const struct disk_checkpoint *older)
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
	recovery->older = older;
	recovery->tail = 1;
	recovery->found = calloc(shard->segment_count, sizeof(*recovery->found));
	if (recovery->found == NULL) {
		finish(recovery, -ENOMEM);
		return;
	}
	headers_read(recovery);
}
