/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include "lib/cache/ban.h"
#include "lib/cache/index.h"
#include "lib/cache/log.h"
#include "tarn/cache.h"
#include "tarn/cache_block.h"
#include "tarn/cache_stats.h"
#include "tarn/env.h"

/* One shard: index, log, reclaim. Everything in it is its reactor's. */

#define SHARD_BATCH_COUNT 8
#define SHARD_HEADER_COUNT (SHARD_BATCH_COUNT + 2)
#define SHARD_RESERVE 4 /* segments that only reclaim may open, and tombstones one of them */
#define SHARD_SEGMENTS_MIN 64
#define SHARD_BATCH_BYTES (512 * 1024)
#define SHARD_TOKEN_COUNT 4096
#define SHARD_READ_COUNT 128
#define SHARD_FREEING_MAX 8    /* segments that wait for the durable tail */
#define SHARD_WRITE_FAILURES 5 /* in a row, until the shard stops writing */

struct block_read;
struct fan_slot;
struct reclaim;

/* Work that waits for room in the log; run again from the start when there may be some. */
struct shard_task {
	TAILQ_ENTRY(shard_task) link;
	void (*run)(struct shard_task *task);
};
TAILQ_HEAD(shard_tasks, shard_task);

/* What is done and waits for the end of the turn to tell. */
struct shard_settled {
	TAILQ_ENTRY(shard_settled) link;
	void (*fn)(struct shard_settled *settled);
};
TAILQ_HEAD(shard_settleds, shard_settled);

/* Operations that others of the same key wait for, and those; see order.c. */
struct op;
TAILQ_HEAD(op_list, op);
#define SHARD_ORDER_LISTS 256 /* by a hash of the key */
struct shard_order {
	struct op_list lists[SHARD_ORDER_LISTS];
	uint32_t count;
};

/* The part of a flush cycle that is this shard's; see flush.c. */
struct shard_flush {
	struct tarn_msg kick_msg, msg;
	bool kicked;	   /* the cycle has been asked for */
	bool wanted;	   /* for its own sake, without a waiter */
	uint64_t position; /* blocks: committed when the cycle began; 0: none is on its way */
	uint64_t tail;	   /* likewise */
	struct log_waiters waiters; /* committed, not durable */
};

/* What came of its recovery. */
struct shard_recovered {
	bool checkpoint_used, checkpoint_damaged;
	uint64_t entry_count, damaged_count, time_s;
	uint64_t damage; /* units: to be noted in the log, see start.c; 0: nothing */
};

struct shard {
	struct tarn_cache *cache;
	uint32_t number;
	struct tarn_reactor *reactor;
	struct tarn_channel *channel;
	struct tarn_poller *poller;
	struct index index;
	bool running; /* recovered; takes requests */
	struct shard_recovered recovered;
	struct shard_task damage_task;
	struct fan_slot *quiesce; /* to answer when nothing is under way any more */
	struct log_waiter quiesce_waiter;
	bool quiesce_waiting; /* for a flush of all that is committed */
	bool failed;	      /* the log cannot be written */
	bool repairing;	      /* the log is being laid out anew */

	/* Segments. */
	struct segment *segments;		/* by place */
	uint32_t segment_count, segment_blocks; /* blocks: a power of two */
	uint32_t segment_shift;			/* of blocks */
	uint64_t head;	     /* sequence of the segment opened last; 0: none yet */
	uint64_t next_floor; /* the next to be opened is above this: recovery saw it */
	uint64_t freed;	     /* sequence: all below are free */
	uint64_t tail;	     /* what the next header says */
	uint64_t told_tail;  /* what one says that is committed, or on its way */
	uint64_t durable_tail;
	bool segment_is_open;
	uint32_t cursor; /* block of the open segment */
	uint64_t batch_number;
	uint64_t rng; /* epochs */

	/* Positions in blocks. */
	uint64_t committed, durable;
	uint64_t committed_tail;
	uint64_t doubt_start, doubt_end; /* what a failed flush left unsure */
	uint64_t gap_start, gap_end;	 /* the last one that was closed; equal: none */
	uint64_t head_gap_end;		 /* of that which the head's header tells of */
	bool gap_open;			 /* not written again yet: no flush is believed */
	bool gap_unpublished; /* no durable header says yet that the log goes on behind it */
	bool gap_waiting;     /* gap_waiter is in a list */
	bool gap_stale;	      /* it waits for a header from before the gap was closed */
	struct log_waiter gap_waiter;
	uint32_t flush_failures; /* in a row */

	/* The log. */
	struct log_items items; /* on their way, or waiting for those before them */
	struct log_items redo;	/* batches that repair has yet to lay out */
	uint32_t inflight_count;
	bool item_failed;
	uint32_t failure_count; /* in a row */
	struct batch batches[SHARD_BATCH_COUNT];
	struct batch *open_batch, *last_batch; /* last: that of the entry appended last */
	struct log_header headers[SHARD_HEADER_COUNT];
	struct trailer trailers[TRAILER_COUNT];
	struct trailer *trailer; /* the open segment's */
	struct shard_flush flush;
	struct tarn_deferred kick;

	/* Requests. */
	struct shard_tasks blocked;
	struct tarn_deferred retry, settle;
	struct shard_settleds settled;
	struct shard_order order;
	uint32_t op_count; /* accepted, not completed */

	struct ban_list bans;
	struct reclaim *reclaim;
	uint64_t dirty_limit;
	struct block_read *reads, *free_reads; /* lent to requests for blocks */
	uint64_t token;			       /* of the last change of a block */
	uint64_t tokens[SHARD_TOKEN_COUNT];    /* likewise, by a hash of the block */
	uint64_t ban_token;		       /* of the last ban of blocks */
	bool sweeping;			       /* banned blocks are leaving the index */
	uint64_t sweep_next;
	tarn_cache_clean_cb clean_fn;
	void *clean_arg;

	struct tarn_cache_counters counters;
	struct tarn_histogram hit_ns, miss_ns, store_ns;
	uint64_t gauge_dirty; /* for any thread; written by the shard */
};

/* shard.c */
int shard_init(struct tarn_cache *cache, struct shard *shard, uint32_t number);
void shard_fini(struct shard *shard);
/** On its reactor: channel and poller. \return 0 or -errno. */
int shard_start(struct shard *shard);
void shard_stop(struct shard *shard);
/** Let a task wait for room; order is kept. */
void shard_block(struct shard *shard, struct shard_task *task);
/** \return whether new work must queue behind others. */
static inline bool
shard_is_blocked(const struct shard *shard)
{
	return !TAILQ_EMPTY(&shard->blocked);
}
/** There may be room again: try the tasks at the end of this turn. */
void shard_unblock(struct shard *shard);
/** Call fn at the end of this turn. */
void shard_settle(struct shard *shard, struct shard_settled *settled,
		  void (*fn)(struct shard_settled *settled));

/* --- Places and positions --- */

static inline uint32_t
shard_segment_number(const struct shard *shard, uint64_t sequence)
{
	return (uint32_t)(sequence % shard->segment_count);
}

/** A place, from a segment's sequence and a block of it. */
static inline uint32_t
shard_place(const struct shard *shard, uint64_t sequence, uint32_t block)
{
	return shard_segment_number(shard, sequence) * shard->segment_blocks + block;
}

static inline struct segment *
shard_segment_at(const struct shard *shard, uint32_t place)
{
	return &shard->segments[place >> shard->segment_shift];
}

static inline uint64_t
shard_position(const struct shard *shard, uint64_t sequence, uint32_t block)
{
	return sequence * shard->segment_blocks + block;
}

/** In units: of what a slot points to. */
static inline uint64_t
shard_slot_position(const struct shard *shard, const struct index_slot *slot)
{
	const struct segment *segment = shard_segment_at(shard, slot->place);
	uint64_t block = (segment->sequence << shard->segment_shift) +
			 (slot->place & (shard->segment_blocks - 1));
	uint32_t unit = index_kind(slot) == INDEX_KIND_OBJECT ? slot->info & 0xff : 0;

	return block * DISK_BLOCK_UNITS + unit;
}

/** Bytes from the start of the device. */
uint64_t shard_offset(const struct shard *shard, uint32_t place);

/* flush.c: durability. Cycles run on the control reactor, for all shards at once. */
bool flush_cycle_idle(const struct tarn_cache *cache);
void flush_init(struct shard *shard);
/** Have a flush cycle begin that covers what is committed now. */
void flush_want(struct shard *shard);
/** The same, unless one is on its way that covers that much already. */
void flush_want_position(struct shard *shard, uint64_t position);
void flush_want_tail(struct shard *shard, uint64_t tail);
/** \return up to where all is durable, and is found again: not behind a gap unheard of. */
uint64_t flush_sure(const struct shard *shard);
/** A waiter whose entry is committed. */
void flush_wait(struct shard *shard, struct log_waiter *waiter);
/** All that the gap held is appended again and committed. */
void flush_gap_closed(struct shard *shard);
void flush_fail_waiters(struct shard *shard);
