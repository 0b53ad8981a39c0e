/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reclaim of the oldest segment, and closing of gaps: one machine, one segment at a time.
 *
 *	IDLE --few free segments--> SCAN --entries--> HINT --told, or urgent--> MOVE
 *	MOVE --all moved--> IDLE, and the segment waits in `freeing`
 *	freeing: --tail durable--> its entries leave the index, in steps --no reader--> FREE
 *
 * The tail is said by the headers of the segments and batches that come. One flush makes it durable
 * for all segments that wait; hasten() sees to it while there is still room.
 *
 *	IDLE --gap--> GAP_NEXT --sealed--> GAP_SCAN --entries--> GAP_MOVE --all moved--> GAP_NEXT
 *	GAP_NEXT --none left--> GAP_FENCE --committed--> IDLE (flush_gap_closed)
 *
 * Contract C6: `freed` moves only behind the durable tail; until then the entries stay in the
 * index, so that whatever supersedes them is logged.
 */
#include "lib/cache/reclaim.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cache/freeing.h"
#include "lib/cache/internal.h"
#include "lib/cache/mover.h"

#define HINT_NS 50000000      /* how long the volumes may clean before their blocks are moved */
#define HINT_BLOCKS 256	      /* told at a time */
#define FLUSH_AHEAD 3	      /* free segments beside the reserve when a flush begins */
#define GAP_TRIES 6	      /* to read the headers of a segment */
#define GAP_RETRY_NS 10000000 /* until the first further one; then twice as long each time */

enum reclaim_state {
	RECLAIM_IDLE,
	RECLAIM_SCAN,
	RECLAIM_HINT,
	RECLAIM_MOVE,
	GAP_NEXT,
	GAP_SCAN,
	GAP_MOVE,
	GAP_FENCE,
};

struct reclaim {
	struct shard *shard;
	enum reclaim_state state;
	bool held;
	bool gap_again; /* a gap has opened, or grew, since the machine last began one */
	uint64_t gap_sequence;
	uint32_t gap_tries; /* to read that segment's headers */
	uint64_t gap_due_ns;
	uint64_t hint_until_ns;
	struct scan scan;
	struct mover mover;
	struct log_waiter fence;
	struct freeing freeing;
};

int
reclaim_init(struct shard *shard)
{
	struct reclaim *reclaim = calloc(1, sizeof(*reclaim));

	if (reclaim == NULL)
		return -ENOMEM;
	reclaim->shard = shard;
	reclaim->mover.shard = shard;
	shard->reclaim = reclaim;
	return 0;
}

void
reclaim_fini(struct shard *shard)
{
	struct reclaim *reclaim = shard->reclaim;

	if (reclaim == NULL)
		return;
	scan_fini(&reclaim->scan);
	mover_fini(&reclaim->mover);
	freeing_fini(&reclaim->freeing);
	free(reclaim);
	shard->reclaim = NULL;
}

void
reclaim_hold(struct shard *shard)
{
	shard->reclaim->held = true;
}

void
reclaim_durable(struct shard *shard)
{
	freeing_durable(shard, &shard->reclaim->freeing);
}

/* --- The oldest segment --- */

/* Segments that one flush frees. */
static uint64_t
flock(const struct shard *shard)
{
	uint64_t share = shard->segment_count / 128;

	return share == 0 ? 1 : tarn_min_u64(share, SHARD_FREEING_MAX);
}

/* Segments that wait in `freeing`. */
static uint64_t
waiting_count(const struct shard *shard)
{
	return shard->tail - shard->freed;
}

/* It has slots for entries of an expected size: smaller ones fill it before the device. */
static bool
index_nearly_full(const struct shard *shard)
{
	return shard->index.entry_count * 10 >= index_slot_count(&shard->index) * 9;
}

static bool
segments_are_few(const struct shard *shard)
{
	return segment_free_count(shard) + waiting_count(shard) <
	       SHARD_RESERVE + FLUSH_AHEAD + flock(shard);
}

static bool
wants_reclaim(const struct reclaim *reclaim)
{
	const struct shard *shard = reclaim->shard;

	/* What is left while a gap is not known to all is for the header that tells of it. */
	return !reclaim->held && !shard->failed && shard->running && !shard->gap_open &&
	       !shard->gap_unpublished && shard->tail < shard->head &&
	       waiting_count(shard) < SHARD_FREEING_MAX &&
	       (segments_are_few(shard) || index_nearly_full(shard)) &&
	       shard->segments[shard_segment_number(shard, shard->tail)].state == SEGMENT_SEALED;
}

static void
scan_segment(struct reclaim *reclaim, uint64_t sequence, void (*done)(struct scan *, int))
{
	struct shard *shard = reclaim->shard;
	const struct segment *segment = segment_of(shard, sequence);
	struct scan *scan = &reclaim->scan;

	scan->channel = shard->channel;
	scan->offset_bytes = shard_offset(shard, shard_place(shard, sequence, 0));
	scan->segment_blocks = shard->segment_blocks;
	scan->seed = segment->seed;
	scan->epoch = segment->epoch;
	scan->sequence = sequence;
	scan->end_limit = segment->end_block;
	scan->use_trailer = segment->trailer;
	scan->verify_from = UINT32_MAX;
	scan->done = done;
	scan->arg = reclaim;
	scan_start(scan);
}

/* Tell the volumes what is dirty here. */
static bool
hint(struct reclaim *reclaim)
{
	struct tarn_cache_dirty_block blocks[HINT_BLOCKS];
	struct shard *shard = reclaim->shard;
	uint32_t count = 0;
	bool any = false;

	if (shard->clean_fn == NULL)
		return false;
	for (uint32_t i = 0; i < reclaim->scan.entry_count; i++) {
		const struct disk_entry *entry = &reclaim->scan.entries[i];
		const struct index_slot *slot;

		if (entry->kind != DISK_BLOCK_ENTRY)
			continue;
		slot = mover_slot(shard, shard->tail, entry);
		if (slot == NULL || (slot->id & INDEX_DIRTY) == 0)
			continue;
		any = true;
		blocks[count++] = (struct tarn_cache_dirty_block){ .volume_id = entry->volume,
								   .block = entry->identity };
		if (count == HINT_BLOCKS) {
			shard->clean_fn(shard->clean_arg, blocks, count);
			count = 0;
		}
	}
	if (count != 0)
		shard->clean_fn(shard->clean_arg, blocks, count);
	return any;
}

static void
begin_move(struct reclaim *reclaim)
{
	reclaim->mover.sequence = reclaim->shard->tail;
	reclaim->mover.everything = false;
	mover_start(&reclaim->mover, reclaim->scan.entries, reclaim->scan.entry_count);
	reclaim->state = RECLAIM_MOVE;
}

static void
scanned(struct scan *scan, int status)
{
	struct reclaim *reclaim = scan->arg;
	struct shard *shard = reclaim->shard;
	struct segment *segment = segment_of(shard, shard->tail);

	/* Headers that cannot be read: the index knows what is live behind them. */
	if (status == 0 && scan->end_block < segment->end_block)
		status = scan_add_from_index(scan, shard, segment->end_block);
	if (status != 0) {
		/* No memory: it is tried again at a later step. */
		scan_fini(scan);
		segment_set_state(shard, segment, SEGMENT_SEALED);
		reclaim->state = RECLAIM_IDLE;
		return;
	}
	reclaim->state = RECLAIM_HINT;
	reclaim->hint_until_ns = hint(reclaim) ? tarn_now_ns() + HINT_NS : 0;
}

static void
begin_reclaim(struct reclaim *reclaim)
{
	struct shard *shard = reclaim->shard;
	struct segment *segment = segment_of(shard, shard->tail);

	segment_set_state(shard, segment, SEGMENT_RECLAIMING);
	reclaim->state = RECLAIM_SCAN;
	if (segment->end_block > 1) {
		scan_segment(reclaim, shard->tail, scanned);
		return;
	}
	scan_fini(&reclaim->scan); /* dead, or nothing was written into it */
	reclaim->scan.entry_count = 0;
	begin_move(reclaim);
}

/*
 * A gap has opened, and until it is closed no tail becomes durable to make room in `freeing`: the
 * segment is taken up again after that. What was moved of it is not live there any more.
 */
static int
give_up(struct reclaim *reclaim)
{
	struct shard *shard = reclaim->shard;

	scan_fini(&reclaim->scan);
	segment_set_state(shard, segment_of(shard, reclaim->mover.sequence), SEGMENT_SEALED);
	reclaim->state = RECLAIM_IDLE;
	return 1;
}

/* Whether nothing can be appended any more, and nothing is under way that could change that. */
static bool
log_is_full(const struct reclaim *reclaim)
{
	const struct shard *shard = reclaim->shard;
	bool busy = log_busy(shard) || shard->trailers[0].busy || shard->trailers[1].busy;

	/* Segments become free once a told tail is durable, and any gap is known to all. */
	return segment_free_count(shard) == 0 && !shard->segment_is_open && !busy &&
	       !shard->repairing && !mover_waiting(&reclaim->mover) &&
	       (shard->gap_open || shard->gap_unpublished || shard->told_tail <= shard->freed);
}

void
reclaim_check_room(struct shard *shard)
{
	if (log_is_full(shard->reclaim))
		log_fail(shard);
}

/* There was no room, or reads are under way. */
static int
stuck(struct reclaim *reclaim)
{
	if (reclaim->state != GAP_MOVE && reclaim->gap_again)
		return mover_abandon(&reclaim->mover) ? give_up(reclaim) : 0;
	reclaim_check_room(reclaim->shard);
	return 0;
}

/* All is moved: from here on each header says so, and lies behind what was moved. */
static void
move_tail(struct reclaim *reclaim)
{
	struct shard *shard = reclaim->shard;
	uint64_t sequence = reclaim->mover.sequence;

	tarn_assert(sequence == shard->tail);
	shard->tail++;
	freeing_add(&reclaim->freeing, sequence, reclaim->scan.entries, reclaim->scan.entry_count);
	reclaim->scan.entries = NULL;
	segment_set_state(shard, segment_of(shard, sequence), SEGMENT_FREEING);
	reclaim->state = RECLAIM_IDLE;
}

/* Have the tail said and made durable when segments have to become free. */
static void
hasten(struct reclaim *reclaim)
{
	struct shard *shard = reclaim->shard;

	if (waiting_count(shard) == 0 || shard->durable_tail == shard->tail || shard->gap_open ||
	    shard->failed)
		return;
	if (segment_free_count(shard) >= SHARD_RESERVE + FLUSH_AHEAD &&
	    waiting_count(shard) < SHARD_FREEING_MAX && !index_nearly_full(shard))
		return;
	if (shard->committed_tail > shard->freed) {
		if (shard->durable_tail < shard->committed_tail)
			flush_want_tail(shard, shard->committed_tail);
	} else if (shard->told_tail <= shard->freed && log_bare_batch(shard) != 0 &&
		   log_is_full(reclaim)) {
		log_fail(shard);
	}
}

/* --- Gaps --- */

static void
gap_fenced(struct log_waiter *waiter, int status)
{
	struct reclaim *reclaim = tarn_container_of(waiter, struct reclaim, fence);

	reclaim->state = RECLAIM_IDLE;
	if (status == 0 && !reclaim->gap_again)
		flush_gap_closed(reclaim->shard);
}

static void
gap_scanned(struct scan *scan, int status)
{
	struct reclaim *reclaim = scan->arg;
	struct shard *shard = reclaim->shard;
	const struct segment *segment = segment_of(shard, reclaim->gap_sequence);

	if (status == -ENOMEM ||
	    (scan->end_block < segment->end_block && ++reclaim->gap_tries < GAP_TRIES)) {
		reclaim->gap_due_ns = tarn_now_ns() + (GAP_RETRY_NS << reclaim->gap_tries);
		reclaim->state = GAP_NEXT;
		return;
	}
	if (scan->end_block < segment->end_block) {
		/* What was in it is not known: nothing here can be promised any more. */
		scan_fini(scan);
		reclaim->state = RECLAIM_IDLE;
		log_fail(shard);
		return;
	}
	reclaim->mover.sequence = reclaim->gap_sequence;
	reclaim->mover.everything = true;
	reclaim->mover.from_position = shard->doubt_start * DISK_BLOCK_UNITS;
	mover_start(&reclaim->mover, scan->entries, scan->entry_count);
	reclaim->state = GAP_MOVE;
}

static int
gap_next(struct reclaim *reclaim)
{
	struct shard *shard = reclaim->shard;

	if (tarn_now_ns() < reclaim->gap_due_ns)
		return 0;
	scan_fini(&reclaim->scan);
	/* Segments that reclaim has done with have nothing to write again. */
	reclaim->gap_sequence = tarn_max_u64(reclaim->gap_sequence, shard->tail);
	if (shard_position(shard, reclaim->gap_sequence, 0) >= shard->doubt_end) {
		reclaim->state = GAP_FENCE;
		log_fence(shard, &reclaim->fence, false, gap_fenced);
		return 1;
	}
	if (segment_of(shard, reclaim->gap_sequence)->end_block <= 1 &&
	    segment_of(shard, reclaim->gap_sequence)->state == SEGMENT_SEALED) {
		reclaim->gap_sequence++;
		return 1;
	}
	if (segment_of(shard, reclaim->gap_sequence)->state != SEGMENT_SEALED)
		return 0; /* its trailer is on its way */
	reclaim->state = GAP_SCAN;
	scan_segment(reclaim, reclaim->gap_sequence, gap_scanned);
	return 1;
}

static int
begin_gap(struct reclaim *reclaim)
{
	struct shard *shard = reclaim->shard;

	reclaim->gap_again = false;
	reclaim->gap_tries = 0;
	reclaim->gap_due_ns = 0;
	reclaim->gap_sequence = shard->doubt_start / shard->segment_blocks;
	if (reclaim->gap_sequence == 0)
		reclaim->gap_sequence = 1;
	reclaim->state = GAP_NEXT;
	return 1;
}

void
reclaim_gap(struct shard *shard)
{
	shard->reclaim->gap_again = true;
}

/* --- The machine --- */

static int
idle_step(struct reclaim *reclaim)
{
	if (reclaim->gap_again && !reclaim->shard->failed)
		return begin_gap(reclaim);
	if (!wants_reclaim(reclaim))
		return 0;
	begin_reclaim(reclaim);
	return 1;
}

static int
hint_step(struct reclaim *reclaim)
{
	if (tarn_now_ns() < reclaim->hint_until_ns &&
	    segment_free_count(reclaim->shard) >= SHARD_RESERVE + FLUSH_AHEAD)
		return 0;
	begin_move(reclaim);
	return 1;
}

static int
move_step(struct reclaim *reclaim)
{
	int work;

	if (reclaim->mover.abandoned)
		return mover_abandon(&reclaim->mover) ? give_up(reclaim) : 0;
	work = mover_step(&reclaim->mover);
	if (!mover_done(&reclaim->mover))
		return work != 0 ? work : stuck(reclaim);
	if (reclaim->state == RECLAIM_MOVE) {
		move_tail(reclaim);
		return work + 1;
	}
	reclaim->gap_sequence++;
	reclaim->gap_tries = 0;
	reclaim->state = GAP_NEXT;
	return work + 1;
}

int
reclaim_step(struct shard *shard)
{
	struct reclaim *reclaim = shard->reclaim;
	int work = freeing_step(shard, &reclaim->freeing);

	if (shard->failed)
		return work; /* nothing more is read: the shard may be about to stop */
	hasten(reclaim);
	switch (reclaim->state) {
	case RECLAIM_IDLE:
		return work + idle_step(reclaim);
	case RECLAIM_HINT:
		return work + hint_step(reclaim);
	case RECLAIM_MOVE:
	case GAP_MOVE:
		return work + move_step(reclaim);
	case GAP_NEXT:
		return work + gap_next(reclaim);
	default:
		return work;
	}
}

bool
reclaim_ready(const struct shard *shard)
{
	const struct reclaim *reclaim = shard->reclaim;

	if (freeing_ready(shard, &reclaim->freeing))
		return true;
	switch (reclaim->state) {
	case RECLAIM_IDLE:
		return !shard->failed && (reclaim->gap_again || wants_reclaim(reclaim));
	case RECLAIM_SCAN:
	case GAP_SCAN:
	case GAP_FENCE:
		return false;
	default:
		return !shard->failed;
	}
}

bool
reclaim_idle(const struct shard *shard)
{
	const struct reclaim *reclaim = shard->reclaim;

	if (reclaim->state == RECLAIM_SCAN || reclaim->state == GAP_SCAN ||
	    mover_reading(&reclaim->mover))
		return false;
	if (freeing_under_way(shard, &reclaim->freeing))
		return false;
	return shard->failed || (reclaim->state == RECLAIM_IDLE && !reclaim->gap_again);
}
