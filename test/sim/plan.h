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
	ACTION_COUNT,
};

/* How a life ends. */
enum ending {
	ENDING_STOP,  /* clean */
	ENDING_KILL,  /* the process dies */
	ENDING_POWER, /* the device loses power, and perhaps the machine too */
};

/* When it ends, other than by a stop. */
enum crash_phase {
	CRASH_WORK,	  /* at some I/O */
	CRASH_OPEN,	  /* while it is opened: recovery, or format */
	CRASH_CHECKPOINT, /* while a checkpoint is written */
	CRASH_STOP,	  /* while it is stopped */
	CRASH_PHASE_COUNT,
};

/* Of a seed. */
struct plan {
	uint32_t life_count;
	uint32_t weight[ACTION_COUNT];
	uint32_t object_count, block_count; /* subjects in use; blocks are of each volume */
	uint32_t value_bytes_max;
	uint32_t run_blocks_max; /* of one request */
	uint32_t ttl_per_mille, durable_per_mille;
	uint32_t steps_max;
	uint32_t gap_us_max; /* of time between two steps */
	uint32_t latency_min_us, latency_max_us;
	bool write_cache;
	bool disk_sequence_known;
	uint32_t write_fail_per_mille, flush_fail_per_mille, read_fail_per_mille;
	bool corrupt;
	uint32_t shard_count, expected_entry_bytes, checkpoint_interval_s;
};

/* Of a life. */
struct life_plan {
	enum ending ending;
	enum crash_phase phase;
	uint32_t step_count;
	uint32_t crash_after; /* I/O events of that phase */
	bool format;	      /* force: whatever is there */
	bool sweep;	      /* look at everything first */
};

void plan_make(struct plan *plan, struct rng *rng);
void plan_life(const struct plan *plan, struct rng *rng, uint32_t life, struct life_plan *ret);
