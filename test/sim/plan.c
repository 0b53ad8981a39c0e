/* SPDX-License-Identifier: BSD-3-Clause */
#include "plan.h"

#include <string.h>

#include "model.h"
#include "tarn/util.h"

#define SHARD_MIB UINT64_C(13)

static const uint16_t weights[PROFILE_COUNT][ACTION_COUNT] = {
	[PROFILE_MIXED] = { [ACTION_STORE] = 200,	[ACTION_STORE_IF] = 30,
			    [ACTION_STORE_OVER] = 10,	[ACTION_LOOKUP] = 200,
			    [ACTION_REMOVE] = 60,	[ACTION_TOUCH] = 30,
			    [ACTION_EXISTS] = 20,	[ACTION_BATCH] = 20,
			    [ACTION_PURGE] = 10,	[ACTION_BLOCK_STORE] = 60,
			    [ACTION_BLOCK_WRITE] = 100, [ACTION_BLOCK_LOOKUP] = 100,
			    [ACTION_BLOCK_FILL] = 40,	[ACTION_BLOCK_CLEAN] = 60,
			    [ACTION_BLOCK_FORGET] = 30, [ACTION_BLOCK_BAN] = 6,
			    [ACTION_FLUSH] = 60,	[ACTION_CHECKPOINT] = 8,
			    [ACTION_CLOCK] = 8,		[ACTION_CORRUPT] = 6 },
	[PROFILE_OBJECTS] = { [ACTION_STORE] = 300,
			      [ACTION_STORE_IF] = 60,
			      [ACTION_STORE_OVER] = 20,
			      [ACTION_LOOKUP] = 250,
			      [ACTION_REMOVE] = 100,
			      [ACTION_TOUCH] = 60,
			      [ACTION_EXISTS] = 40,
			      [ACTION_BATCH] = 40,
			      [ACTION_PURGE] = 20,
			      [ACTION_FLUSH] = 60,
			      [ACTION_CHECKPOINT] = 8,
			      [ACTION_CLOCK] = 10,
			      [ACTION_CORRUPT] = 6 },
	[PROFILE_LARGE] = { [ACTION_STORE] = 400,
			    [ACTION_STORE_OVER] = 10,
			    [ACTION_LOOKUP] = 200,
			    [ACTION_REMOVE] = 40,
			    [ACTION_TOUCH] = 20,
			    [ACTION_PURGE] = 6,
			    [ACTION_FLUSH] = 20,
			    [ACTION_CHECKPOINT] = 4,
			    [ACTION_CLOCK] = 4,
			    [ACTION_CORRUPT] = 4 },
	[PROFILE_BLOCKS] = { [ACTION_BLOCK_STORE] = 100,
			     [ACTION_BLOCK_WRITE] = 200,
			     [ACTION_BLOCK_LOOKUP] = 200,
			     [ACTION_BLOCK_FILL] = 100,
			     [ACTION_BLOCK_CLEAN] = 120,
			     [ACTION_BLOCK_FORGET] = 60,
			     [ACTION_BLOCK_BAN] = 12,
			     [ACTION_FLUSH] = 60,
			     [ACTION_CHECKPOINT] = 8,
			     [ACTION_CORRUPT] = 6 },
	[PROFILE_DIRTY] = { [ACTION_BLOCK_WRITE] = 500,
			    [ACTION_BLOCK_LOOKUP] = 60,
			    [ACTION_BLOCK_CLEAN] = 30,
			    [ACTION_BLOCK_FORGET] = 10,
			    [ACTION_STORE] = 20,
			    [ACTION_FLUSH] = 20,
			    [ACTION_CHECKPOINT] = 4,
			    [ACTION_CORRUPT] = 4 },
	[PROFILE_HOT] = { [ACTION_STORE] = 150,
			  [ACTION_LOOKUP] = 300,
			  [ACTION_REMOVE] = 20,
			  [ACTION_BLOCK_STORE] = 150,
			  [ACTION_BLOCK_WRITE] = 40,
			  [ACTION_BLOCK_LOOKUP] = 300,
			  [ACTION_BLOCK_FILL] = 60,
			  [ACTION_BLOCK_CLEAN] = 30,
			  [ACTION_FLUSH] = 10,
			  [ACTION_CHECKPOINT] = 4,
			  [ACTION_CORRUPT] = 4 },
	[PROFILE_CHURN] = { [ACTION_STORE] = 200,
			    [ACTION_REMOVE] = 150,
			    [ACTION_LOOKUP] = 100,
			    [ACTION_PURGE] = 20,
			    [ACTION_BLOCK_STORE] = 60,
			    [ACTION_BLOCK_WRITE] = 120,
			    [ACTION_BLOCK_FORGET] = 80,
			    [ACTION_BLOCK_CLEAN] = 80,
			    [ACTION_BLOCK_FILL] = 40,
			    [ACTION_BLOCK_LOOKUP] = 60,
			    [ACTION_BLOCK_BAN] = 20,
			    [ACTION_FLUSH] = 120,
			    [ACTION_CHECKPOINT] = 12,
			    [ACTION_CORRUPT] = 6 },
};

static void
make_work(struct plan *plan, struct rng *rng)
{
	for (uint32_t i = 0; i < ACTION_COUNT; i++)
		plan->weight[i] = weights[plan->profile][i];
	plan->object_count = (uint32_t)rng_range(rng, 8, MODEL_OBJECTS);
	plan->block_count = (uint32_t)rng_range(rng, 16, 384);
	plan->value_bytes_max = rng_chance(rng, 200) ? 60000 : 6000;
	plan->run_blocks_max = rng_chance(rng, 300) ? 256 : 16;
	plan->steps_max = 250;
	switch (plan->profile) {
	case PROFILE_LARGE:
		plan->value_bytes_max = 108000;
		break;
	case PROFILE_DIRTY:
		plan->block_count = 768;
		plan->run_blocks_max = rng_chance(rng, 500) ? 256 : 64;
		break;
	case PROFILE_HOT:
		plan->value_bytes_max = 60000;
		plan->run_blocks_max = 128;
		break;
	case PROFILE_CHURN:
		plan->object_count = 12;
		plan->block_count = 24;
		break;
	default:
		break;
	}
	plan->ttl_per_mille = rng_chance(rng, 500) ? 200 : 0;
	plan->durable_per_mille = (uint32_t)rng_below(rng, 200);
	plan->gap_us_max = rng_chance(rng, 500) ? 300 : 20;
}

static void
make_faults(struct plan *plan, struct rng *rng)
{
	if (rng_chance(rng, 450))
		return;
	if (rng_chance(rng, 400))
		plan->write_fail_per_mille = rng_chance(rng, 800) ? 15 : 250;
	if (rng_chance(rng, 400))
		plan->flush_fail_per_mille = rng_chance(rng, 800) ? 100 : 500;
	if (rng_chance(rng, 300))
		plan->read_fail_per_mille = 30;
	plan->corrupt = rng_chance(rng, 300);
	if (rng_chance(rng, 300))
		plan->open_read_fail_per_mille = rng_chance(rng, 700) ? 30 : 300;
}

/* Whether it is meant to write its log from end to end, and more. */
static bool
fills_log(const struct plan *plan)
{
	return plan->profile == PROFILE_LARGE || plan->profile == PROFILE_DIRTY ||
	       plan->profile == PROFILE_HOT;
}

/* One to four shards, and a log from as small as can be to half as large again. */
static void
harden_geometry(struct plan *plan, struct rng *rng)
{
	static const uint32_t shard_mib_min[] = { [0] = 13, [1] = 11, [2] = 10, [3] = 10 };
	static const uint32_t entry_bytes[] = { 256, 1024, 4096, 4096 };
	uint32_t i = (uint32_t)rng_below(rng, tarn_array_count(entry_bytes));
	uint64_t choice = rng_below(rng, 100);
	uint64_t shard_mib = rng_range(rng, shard_mib_min[i], SHARD_MIB);

	if (fills_log(plan) || rng_chance(rng, 500))
		shard_mib = shard_mib_min[i];
	plan->shard_count = choice < 55 ? 1 : choice < 75 ? 2 : choice < 90 ? 3 : 4;
	if (plan->corrupt || (fills_log(plan) && plan->shard_count > 2))
		plan->shard_count = 1;
	plan->expected_entry_bytes = entry_bytes[i];
	plan->device_bytes = plan->shard_count * shard_mib << 20;
}

static void
harden(struct plan *plan, struct rng *rng)
{
	harden_geometry(plan, rng);
	plan->flush_us_max = rng_chance(rng, 300) ? 20000 : 0;
	plan->read_us_max = rng_chance(rng, 300) ? 200000 : 0;
	plan->super_damage = rng_chance(rng, 100);
	plan->refuse_per_mille = 300;
	plan->forget_per_mille = 60;
	plan->delete_per_mille = 20;
	plan->format_per_mille = 80;
	plan->unnoticed_per_mille = 100;
	plan->weight[ACTION_DELETE] = 4;
	/* So much of it, and time for it, that the log wraps. */
	if (fills_log(plan)) {
		plan->steps_max = 500;
		plan->tail_per_mille = 400;
		plan->oldest_per_mille = 700;
		plan->weight[ACTION_EXISTS] = 150;
		plan->gap_us_max = rng_chance(rng, 700) ? 2000 : plan->gap_us_max;
	}
	if (plan->profile == PROFILE_DIRTY)
		plan->block_count = MODEL_BLOCKS;
	if (plan->profile == PROFILE_HOT) {
		plan->block_count = MODEL_BLOCKS / 2;
		plan->value_bytes_max = rng_chance(rng, 500) ? 108000 : 60000;
		plan->weight[ACTION_STORE] = 250;
		plan->weight[ACTION_BLOCK_STORE] = 250;
	}
}

void
plan_make(struct plan *plan, struct rng *rng, bool hard)
{
	static const uint32_t entry_bytes[] = { 256, 1024, 4096, 4096 };

	memset(plan, 0, sizeof(*plan));
	plan->profile = (enum profile)rng_below(rng, PROFILE_COUNT);
	make_work(plan, rng);
	make_faults(plan, rng);
	plan->life_count = (uint32_t)rng_range(rng, 2, 6);
	plan->latency_min_us = 1;
	plan->latency_max_us = rng_chance(rng, 500) ? 100 : 2000;
	plan->write_cache = rng_chance(rng, 850);
	plan->disk_sequence_known = rng_chance(rng, 800);
	plan->shard_count = rng_chance(rng, 250) && !plan->corrupt ? 2 : 1;
	plan->expected_entry_bytes = entry_bytes[rng_below(rng, tarn_array_count(entry_bytes))];
	plan->checkpoint_interval_s = rng_chance(rng, 300) ? 1 : 0;
	plan->device_bytes = plan->shard_count * SHARD_MIB << 20;
	plan->format_per_mille = 40;
	if (hard)
		harden(plan, rng);
}

void
plan_life(const struct plan *plan, struct rng *rng, uint32_t life, struct life_plan *ret)
{
	static const uint16_t crash_limit[CRASH_PHASE_COUNT] = {
		[CRASH_OPEN] = 120,
		[CRASH_CHECKPOINT] = 30,
		[CRASH_STOP] = 40,
		[CRASH_TAIL] = 60,
	};
	uint64_t choice = rng_below(rng, 100);

	memset(ret, 0, sizeof(*ret));
	ret->step_count = (uint32_t)rng_range(rng, 0, plan->steps_max);
	ret->sweep = rng_chance(rng, 600);
	ret->format = life != 0 && rng_chance(rng, plan->format_per_mille);
	ret->ending = choice < 15 ? ENDING_STOP : choice < 45 ? ENDING_KILL : ENDING_POWER;
	if (plan_maybe(rng, plan->delete_per_mille))
		ret->ending = ENDING_DELETE;
	if (ret->ending == ENDING_STOP || ret->ending == ENDING_DELETE)
		return;
	choice = rng_below(rng, 100);
	ret->phase = choice < 60   ? CRASH_WORK
		     : choice < 80 ? CRASH_OPEN
		     : choice < 90 ? CRASH_CHECKPOINT
				   : CRASH_STOP;
	if (plan_maybe(rng, plan->tail_per_mille)) {
		ret->phase = CRASH_TAIL;
		ret->tails = (uint32_t)rng_below(rng, 40);
	}
	if (ret->phase == CRASH_WORK)
		ret->crash_after = (uint32_t)rng_range(rng, 1, 2 + 3 * ret->step_count);
	else
		ret->crash_after = (uint32_t)rng_range(rng, 1, crash_limit[ret->phase]);
}
