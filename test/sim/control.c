/* SPDX-License-Identifier: BSD-3-Clause */
/* Flushes, checkpoints, purges, bans, and what the engine says of itself. */
#include <errno.h>
#include <string.h>

#include "sim.h"
#include "tarn/cache_stats.h"
#include "tarn/util.h"

#define FLUSH_COUNT 4

struct flush {
	bool busy;
	uint64_t ack; /* what had been acknowledged when it was submitted */
	uint64_t since_ns;
};

/* A purge or a ban: the tombstones that it stands for. */
struct ban {
	bool busy, blocks;
	int status;		       /* of the last */
	uint32_t volume, first, count; /* blocks */
	uint32_t group;		       /* objects of which one; 4: all */
	uint64_t number[MODEL_BLOCKS]; /* as many objects are fewer */
	uint64_t since_ns;
};

struct call {
	bool done;
	int status;
};

static struct flush flushes[FLUSH_COUNT];
static struct ban ban;
static uint32_t busy_count;
static bool checkpoint_busy, expire_busy;

uint32_t
control_busy_count(void)
{
	return busy_count;
}

void
control_check_age(void)
{
	for (uint32_t i = 0; i < FLUSH_COUNT; i++)
		if (flushes[i].busy)
			sim_check_age(flushes[i].since_ns, "a flush");
	if (ban.busy)
		sim_check_age(ban.since_ns, "a ban");
}

/* --- Flush and checkpoint --- */

static bool
may_fail(void)
{
	return sim->plan.write_fail_per_mille != 0 || sim->plan.flush_fail_per_mille != 0;
}

static void
flush_over(void *arg, int status)
{
	struct flush *flush = arg;

	flush->busy = false;
	busy_count--;
	sim_say("  flush ended with %d", status);
	if (status == 0)
		model_flushed(&sim->model, flush->ack);
	else if (status != -EIO || !may_fail())
		sim_fail("a flush ended with %d", status);
}

static void
flush(void)
{
	for (uint32_t i = 0; i < FLUSH_COUNT; i++) {
		struct flush *flush = &flushes[i];

		if (flush->busy)
			continue;
		flush->busy = true;
		busy_count++;
		flush->ack = sim->model.ack;
		flush->since_ns = sim->now_ns;
		sim_say("flush");
		tarn_cache_flush(sim_cache, flush_over, flush);
		return;
	}
}

static void
checkpoint_over(void *arg, int status)
{
	(void)arg;
	checkpoint_busy = false;
	busy_count--;
	sim_say("  checkpoint ended with %d", status);
	if (status != 0 && status != -EBUSY && status != -ESHUTDOWN &&
	    !(status == -EIO && may_fail()))
		sim_fail("a checkpoint ended with %d", status);
}

static void
checkpoint(void)
{
	if (checkpoint_busy)
		return;
	checkpoint_busy = true;
	busy_count++;
	sim_say("checkpoint");
	sim_arm(CRASH_CHECKPOINT);
	tarn_cache_checkpoint(sim_cache, checkpoint_over, NULL);
}

/* --- Expiry --- */

static void
expire_over(void *arg, int status, uint64_t dropped_count)
{
	(void)arg;
	expire_busy = false;
	busy_count--;
	sim_say("  expiry ended with %d, %llu dropped", status, (unsigned long long)dropped_count);
	if (status != 0 && status != -ESHUTDOWN)
		sim_fail("expiry ended with %d", status);
}

void
control_expire(void)
{
	if (expire_busy)
		return;
	expire_busy = true;
	busy_count++;
	sim_say("drop what has expired");
	tarn_cache_expire(sim_cache, expire_over, NULL);
}

/* --- Purge and ban --- */

static struct subject *
ban_subject(uint32_t n)
{
	return ban.blocks ? &sim->model.blocks[ban.volume][ban.first + n] : &sim->model.objects[n];
}

static uint32_t
ban_subject_count(void)
{
	return ban.blocks ? ban.count : sim->plan.object_count;
}

static bool
ban_hits(uint32_t n)
{
	return ban.blocks || ban.group == 4 || n % 4 == ban.group;
}

static void
ban_over(void *arg, int status)
{
	(void)arg;
	ban.busy = false;
	ban.status = status;
	busy_count--;
	sim_say("  ban ended with %d", status);
	if (status != 0 && status != -ENOSPC && !(status == -EIO && may_fail()))
		sim_fail("a ban ended with %d", status);
	for (uint32_t n = 0; n < ban_subject_count(); n++)
		if (ban_hits(n))
			model_complete(&sim->model, ban_subject(n), ban.number[n],
				       status == 0 ? MODEL_ACKED : MODEL_MAYBE);
}

/* Every subject must be at rest: otherwise it is not known what was before the ban. */
static bool
ban_begin(void)
{
	struct version version = { .kind = VERSION_ABSENT };

	for (uint32_t n = 0; n < ban_subject_count(); n++)
		if (ban_hits(n) && !model_may_write(ban_subject(n), true))
			return false;
	for (uint32_t n = 0; n < ban_subject_count(); n++) {
		if (!ban_hits(n))
			continue;
		ban.number[n] = model_submit(&sim->model, ban_subject(n), &version);
		ban_subject(n)->exclusive = true;
		ban_subject(n)->changes++;
	}
	ban.busy = true;
	busy_count++;
	ban.since_ns = sim->now_ns;
	return true;
}

static void
purge(void)
{
	uint8_t prefix[2] = { 0, '/' };

	if (ban.busy)
		return;
	ban.blocks = false;
	ban.group = (uint32_t)rng_below(&sim->rng, 5);
	prefix[0] = (uint8_t)('a' + ban.group);
	if (!ban_begin())
		return;
	sim_say("purge group %u", ban.group);
	tarn_cache_purge(sim_cache, prefix, ban.group == 4 ? 0 : sizeof(prefix), ban_over, NULL);
}

static void
ban_blocks(void)
{
	struct tarn_cache_block_range range;

	if (ban.busy)
		return;
	ban.blocks = true;
	ban.volume = (uint32_t)rng_below(&sim->rng, MODEL_VOLUMES);
	ban.first = (uint32_t)rng_below(&sim->rng, sim->plan.block_count);
	ban.count = (uint32_t)rng_range(&sim->rng, 1, sim->plan.block_count - ban.first);
	if (!ban_begin())
		return;
	sim_say("ban blocks %u+%u of volume %u", ban.first, ban.count, ban.volume);
	range = (struct tarn_cache_block_range){
		.volume_id = sim->volume[ban.volume].id,
		.first_block = ban.first,
		.block_count = ban.count,
	};
	tarn_cache_block_ban(sim_cache, &range, ban_over, NULL);
}

bool
control_ban_volume(uint32_t volume)
{
	struct tarn_cache_block_range range = {
		.volume_id = sim->volume[volume].id,
		.block_count = sim->plan.block_count,
	};

	ban.blocks = true;
	ban.volume = volume;
	ban.first = 0;
	ban.count = sim->plan.block_count;
	if (!ban_begin())
		return false;
	tarn_cache_block_ban(sim_cache, &range, ban_over, NULL);
	while (ban.busy) {
		sim_turn(1000);
		control_check_age();
	}
	return ban.status == 0;
}

/* --- A refusal --- */

static void
delete_over(void *arg, int status)
{
	(void)arg;
	busy_count--;
	if (status != -EBUSY)
		sim_fail("deleting a cache with dirty blocks, without force, ended with %d",
			 status);
}

void
control_delete_refused(void)
{
	if (tarn_cache_dirty_count(sim_cache) == 0)
		return;
	sim_say("delete, without force");
	busy_count++;
	tarn_cache_delete(sim_cache, false, delete_over, NULL);
}

void
control_act(enum action action)
{
	switch (action) {
	case ACTION_FLUSH:
		flush();
		break;
	case ACTION_CHECKPOINT:
		checkpoint();
		break;
	case ACTION_PURGE:
		purge();
		break;
	default:
		ban_blocks();
		break;
	}
}

static void
called(void *arg, int status)
{
	struct call *call = arg;

	call->done = true;
	call->status = status;
}

/* --- What the engine says of itself --- */

void
control_note_failed(void)
{
	struct tarn_cache_info info;

	tarn_cache_get_info(sim_cache, &info);
	sim->model.failed = info.failed;
}

static uint8_t told_dirty[MODEL_VOLUMES][MODEL_BLOCKS];
static uint64_t suspect_left; /* more blocks that it says are */

/* Its blocks were banned: where flushed log is lost, and the ban with it, they are there again. */
static bool
of_forgotten(uint32_t volume_id)
{
	for (uint32_t i = 0; i < MODEL_VOLUMES; i++)
		if (volume_id == sim->volume[i].id)
			return false;
	return volume_id != 0 && volume_id <= sim->volume_id_max;
}

static void
dirty_told(void *arg, const struct tarn_cache_dirty_block *blocks, uint32_t block_count)
{
	(void)arg;
	for (uint32_t i = 0; i < block_count; i++) {
		uint32_t volume = blocks[i].volume_id == sim->volume[0].id ? 0 : 1;

		if (of_forgotten(blocks[i].volume_id) && sim->model.damaged)
			continue;
		if (blocks[i].volume_id != sim->volume[volume].id ||
		    blocks[i].block >= MODEL_BLOCKS || told_dirty[volume][blocks[i].block]++ != 0)
			sim_fail("told of dirty block %llu of volume id %u",
				 (unsigned long long)blocks[i].block, blocks[i].volume_id);
	}
}

/* A block that a start could not read may have been dirty before, for all that the engine knows. */
static bool
is_suspect(struct subject *subject)
{
	if (!sim->model.unreadable || suspect_left == 0)
		return false;
	suspect_left--;
	for (uint32_t i = 0; i < subject->count; i++)
		subject->versions[i].suspect |= subject->versions[i].kind == VERSION_VALUE;
	return true;
}

static void
dirty_compare(uint32_t volume, uint32_t block)
{
	struct subject *subject = &sim->model.blocks[volume][block];
	bool told = told_dirty[volume][block] != 0;
	bool some = false, all = true;
	char text[1500];

	for (uint32_t i = 0; i < subject->count; i++) {
		some |= subject->versions[i].dirty;
		all &= subject->versions[i].dirty;
	}
	if (sim->model.damaged || (told ? some || is_suspect(subject) : !all))
		return;
	model_describe(subject, text, sizeof(text));
	sim_fail("block %u of volume %u is%s said to be dirty;%s", block, volume,
		 told ? "" : " not", text);
}

void
control_dirty_check(void)
{
	static const struct tarn_cache_dirty_walk walk = { .fn = dirty_told };
	struct call call = { .done = false };
	struct tarn_cache_info info;

	tarn_cache_get_info(sim_cache, &info);
	suspect_left = info.suspect_entries;
	memset(told_dirty, 0, sizeof(told_dirty));
	tarn_cache_each_dirty(sim_cache, &walk, called, &call);
	sim_wait(&call.done, "looking at all dirty blocks");
	for (uint32_t volume = 0; volume < MODEL_VOLUMES; volume++)
		for (uint32_t block = 0; block < sim->plan.block_count; block++)
			dirty_compare(volume, block);
}

void
control_stats_check(void)
{
	static struct tarn_cache_stats stats;
	const struct tarn_cache_counters *total = &stats.total;
	struct call call = { .done = false };

	tarn_cache_get_stats(sim_cache, false, &stats, called, &call);
	sim_wait(&call.done, "statistics");
	sim_say("freed %llu segments, appended again %llu, dropped %llu, log position %llu",
		(unsigned long long)total->segment_freed_count,
		(unsigned long long)total->reappended_count,
		(unsigned long long)total->dropped_count,
		(unsigned long long)stats.now.head_position);
	if (sim->corrupted || sim->model.unreadable)
		return;
	/* Blocks whose tombstone could not be written are errors, too. */
	if (total->crc_error_clean != 0 || total->crc_error_dirty != 0 ||
	    total->read_error_count != 0 || (stats.now.suspect_count != 0 && !sim->model.failed))
		sim_fail("%llu clean and %llu dirty checksums, %llu reads failed, %llu suspect, "
			 "and nothing was damaged",
			 (unsigned long long)total->crc_error_clean,
			 (unsigned long long)total->crc_error_dirty,
			 (unsigned long long)total->read_error_count,
			 (unsigned long long)stats.now.suspect_count);
}
