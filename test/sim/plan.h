/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "rng.h"

/* What a seed makes of a simulation: the device, the cache, the kind of work, each life's end. */

enum action {
	ACTION_STORE,
	ACTION_STORE_IF,   /* only where absent, or present */
	ACTION_STORE_OVER, /* larger than the limit */
	ACTION_LOOKUP,
	ACTION_REMOVE,
	ACTION_TOUCH,
	ACTION_EXISTS,
	ACTION_BATCH, /* many stores or lookups in one submission */
	ACTION_PURGE,
	ACTION_BLOCK_STORE, /* clean */
	ACTION_BLOCK_WRITE, /* dirty */
	ACTION_BLOCK_LOOKUP,
	ACTION_BLOCK_FILL,
	ACTION_BLOCK_CLEAN,
	ACTION_BLOCK_FORGET,
	ACTION_BLOCK_BAN,
	ACTION_FLUSH,
	ACTION_CHECKPOINT,
	ACTION_CLOCK, /* the time goes on by seconds to hours */
	ACTION_CORRUPT,
	ACTION_DELETE, /* refused, where something is dirty */
	ACTION_COUNT,
};

enum profile {
	PROFILE_MIXED,
	PROFILE_OBJECTS,
	PROFILE_LARGE, /* objects up to a segment: the log wraps */
	PROFILE_BLOCKS,
	PROFILE_DIRTY, /* more dirty blocks than there is room for */
	PROFILE_HOT,   /* everything is looked up all the time, and the log wraps */
	PROFILE_CHURN, /* few subjects, overwritten, removed and flushed again and again */
	PROFILE_COUNT,
};

/* How a life ends. */
enum ending {
	ENDING_STOP, /* clean */
	ENDING_DELETE,
	ENDING_KILL,  /* the process dies */
	ENDING_POWER, /* the device loses power, and perhaps the machine too */
};

/* When it ends, other than by a stop. */
enum crash_phase {
	CRASH_WORK,	  /* at some I/O */
	CRASH_OPEN,	  /* while it is opened: recovery, or format */
	CRASH_CHECKPOINT, /* while a checkpoint is written */
	CRASH_STOP,	  /* while it is stopped */
	CRASH_TAIL,	  /* when the log has said, perhaps not durably, that segments are free */
	CRASH_PHASE_COUNT,
};

/* Of a seed. */
struct plan {
	enum profile profile;
	uint32_t life_count;
	uint32_t weight[ACTION_COUNT];
	uint32_t object_count, block_count; /* subjects in use; blocks are of each volume */
	uint32_t value_bytes_max;
	uint32_t run_blocks_max; /* of one request */
	uint32_t ttl_per_mille, durable_per_mille;
	uint32_t steps_max;
	uint32_t gap_us_max; /* of time between two steps */
	uint32_t latency_min_us, latency_max_us, flush_us_max, read_us_max;
	bool write_cache;
	bool disk_sequence_known;
	uint32_t write_fail_per_mille, flush_fail_per_mille, read_fail_per_mille;
	uint32_t open_read_fail_per_mille; /* while the cache is opened: errors that pass */
	bool corrupt;
	uint32_t shard_count, expected_entry_bytes, checkpoint_interval_s;
	uint64_t device_bytes;
	bool super_damage;	      /* one copy of the superblock, between two lives */
	uint32_t refuse_per_mille;    /* of lives: something is asked for that is refused */
	uint32_t forget_per_mille;    /* of openings: a volume is forgotten */
	uint32_t oldest_per_mille;    /* of removals and the like: what reclaim comes to next */
	uint32_t delete_per_mille;    /* of lives end by deleting the cache */
	uint32_t tail_per_mille;      /* of lives that crash do so by CRASH_TAIL */
	uint32_t format_per_mille;    /* of lives begin with another format */
	uint32_t unnoticed_per_mille; /* of power losses: neither boot nor device is another */
};

/* Of a life. */
struct life_plan {
	enum ending ending;
	enum crash_phase phase;
	uint32_t step_count;
	uint32_t crash_after; /* I/O events of that phase */
	uint32_t tails;	      /* of CRASH_TAIL: how many are let pass */
	bool format;	      /* force: whatever is there */
	bool sweep;	      /* look at everything first */
};

/** hard: everything that can be; otherwise one or two shards, a log that seldom wraps, C5 to C8. */
void plan_make(struct plan *plan, struct rng *rng, bool hard);
/** By chance; nothing is drawn where it is never. */
static inline bool
plan_maybe(struct rng *rng, uint32_t per_mille)
{
	return per_mille != 0 && rng_chance(rng, per_mille);
}

void plan_life(const struct plan *plan, struct rng *rng, uint32_t life, struct life_plan *ret);
