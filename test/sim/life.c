/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One life of the process that runs the engine: open, look at everything, work, stop; or a crash
 * at any I/O of it. One reactor, turned by hand; the time is what is made of it here.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bdev.h"
#include "lib/cache/disk.h"
#include "sim.h"
#include "tarn/bdev.h"
#include "tarn/bdev_driver.h"
#include "tarn/env.h"
#include "tarn/reactor.h"
#include "tarn/util.h"

#define TURN_NS 400			 /* what a turn takes */
#define TURNS_MAX 100			 /* with work, until ages are looked at */
#define STEP_NS_MAX 200000		 /* what passes at once where nothing is due */
#define AGE_NS_MAX UINT64_C(60000000000) /* of an operation: more is no progress */
#define IOMEM_BYTES (UINT64_C(256) << 20)

struct sim *sim;
struct tarn_cache *sim_cache;

static struct tarn_bdev *bdev;
static uint64_t time_base_min_s, time_base_max_s, time_base_ns;

/* --- What is said --- */

void
sim_fail(const char *format, ...)
{
	va_list args;
	int used = snprintf(sim->failure, sizeof(sim->failure), "life %u, step %u: ", sim->life,
			    sim->step);

	va_start(args, format);
	vsnprintf(sim->failure + used, sizeof(sim->failure) - (size_t)used, format, args);
	va_end(args);
	if (sim->verbose) {
		fprintf(stderr, "%s\n", sim->failure);
		abort(); /* where a debugger stops */
	}
	_exit(LIFE_FAILED);
}

void
sim_say(const char *format, ...)
{
	va_list args;

	if (!sim->verbose)
		return;
	printf("%u.%-4u %10.6f  ", sim->life, sim->step, (double)sim->now_ns / 1e9);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	fflush(stdout);
}

void
sim_counts_add(struct sim_counts *total, const struct sim_counts *counts)
{
	total->lives += counts->lives;
	total->crashes += counts->crashes;
	total->steps += counts->steps;
	total->ios += counts->ios;
	total->wraps += counts->wraps >= 2;
}

/* --- Time --- */

static void
pass(uint64_t ns)
{
	uint64_t elapsed_s;

	sim->now_ns += ns;
	tarn_fake_clock_advance(ns);
	elapsed_s = (sim->now_ns - time_base_ns) / 1000000000;
	sim->model.time_min_s = time_base_min_s + elapsed_s;
	sim->model.time_max_s = time_base_max_s + elapsed_s + 1;
}

static void
turn_once(void)
{
	sim->model.segments = 0;
	for (uint32_t i = 0; i < DEVICE_SHARDS_MAX; i++)
		sim->model.segments += sim->device.segment_count[i];
	for (uint32_t i = 0; i < TURNS_MAX && tarn_reactor_turn(tarn_reactor_get(0)); i++)
		pass(TURN_NS);
}

/* Until something is due, or until then. */
static void
pass_until(uint64_t until_ns)
{
	uint64_t due_ns = tarn_min_u64(sim_bdev_due_ns(), until_ns);

	due_ns = tarn_min_u64(due_ns, sim->now_ns + STEP_NS_MAX);
	pass(due_ns > sim->now_ns ? due_ns - sim->now_ns : TURN_NS);
}

void
sim_turn(uint64_t by_ns)
{
	uint64_t until_ns = sim->now_ns + by_ns;

	do {
		turn_once();
		pass_until(until_ns);
	} while (sim->now_ns < until_ns);
}

void
sim_check_age(uint64_t since_ns, const char *what)
{
	if (sim->now_ns - since_ns > AGE_NS_MAX)
		sim_fail("%s does not end (%llu s)", what,
			 (unsigned long long)(sim->now_ns - since_ns) / 1000000000);
}

void
sim_wait(const bool *done, const char *what)
{
	uint64_t since_ns = sim->now_ns;

	while (!*done) {
		turn_once();
		if (*done)
			return;
		pass_until(UINT64_MAX);
		sim_check_age(since_ns, what);
	}
}

void
sim_clock_jump(uint64_t by_s)
{
	/* Nothing may be under way: it would seem to take that long. */
	pass(by_s * 1000000000);
}

/* --- The end --- */

uint32_t
sim_wraps(const struct sim *of)
{
	uint32_t most = 0;

	for (uint32_t i = 0; i < DEVICE_SHARDS_MAX && of->segments_per_shard != 0; i++)
		most = (uint32_t)tarn_max_u64(most,
					      of->device.segment_count[i] / of->segments_per_shard);
	return most;
}

static void
note_wraps(void)
{
	sim->counts.wraps = tarn_max_u64(sim->counts.wraps, sim_wraps(sim));
	sim_say("the log has wrapped %u times", sim_wraps(sim));
}

void
sim_crash(void)
{
	bool power = sim->life_plan.ending == ENDING_POWER;

	sim_say("trace %016llx", (unsigned long long)sim->trace[sim->life]);
	note_wraps();
	sim_say("crash: %s", power ? "power loss" : "the process dies");
	sim_bdev_tear();
	if (power)
		device_power_loss(&sim->device);
	sim->device.flushing = 0;
	sim->device.flushing_count = 0;
	model_ended(&sim->model, power ? MODEL_END_POWER : MODEL_END_KILL);
	_exit(LIFE_CRASHED);
}

static bool
crashes(void)
{
	return sim->life_plan.ending == ENDING_KILL || sim->life_plan.ending == ENDING_POWER;
}

void
sim_arm(enum crash_phase phase)
{
	if (crashes() && sim->life_plan.phase == phase && sim->crash_countdown == 0)
		sim->crash_countdown = sim->life_plan.crash_after;
}

static void
trace(uint64_t word)
{
	uint64_t mixed = (sim->trace[sim->life] ^ word) * UINT64_C(0x9e3779b97f4a7c15);

	sim->trace[sim->life] = mixed ^ (mixed >> 29);
}

/*
 * What is recovered is made durable before it is served, and the superblock, which then says that
 * this is the boot, comes after that (contract C7).
 */
static void
check_opening(const struct tarn_io *io, bool completes)
{
	bool super = io->offset_bytes < 2 * DEVICE_BLOCK;

	if (io->op == TARN_IO_READ)
		sim->flushed = false;
	else if (io->op == TARN_IO_FLUSH && completes)
		sim->flushed = true;
	else if (io->op == TARN_IO_WRITE && super && !sim->flushed)
		sim_fail("a superblock is written before a flush has followed recovery");
}

/* A batch that tells of another tail than those before it has been written. */
static void
note_tail(const struct tarn_io *io)
{
	const struct disk_batch *batch;

	if (io->op != TARN_IO_WRITE || io->iov[0].iov_len < DEVICE_BLOCK)
		return;
	batch = io->iov[0].iov_base;
	if (batch->head.magic != DISK_BATCH_MAGIC || batch->shard >= DEVICE_SHARDS_MAX ||
	    batch->tail == 1 || batch->tail <= sim->tail[batch->shard])
		return;
	sim->tail[batch->shard] = batch->tail;
	if (sim->life_plan.tails == 0)
		sim_arm(CRASH_TAIL);
	else
		sim->life_plan.tails--;
}

void
sim_io_event(const struct tarn_io *io, bool completes)
{
	sim->counts.ios++;
	if (completes)
		note_tail(io);
	if (sim->opening)
		check_opening(io, completes);
	trace(sim->now_ns);
	trace(io->offset_bytes << 8 | io->op);
	trace(io->length_bytes);
	if (sim->crash_countdown != 0 && --sim->crash_countdown == 0)
		sim_crash();
}

void
sim_faults(bool on)
{
	sim->device.write_fail_per_mille = on ? sim->plan.write_fail_per_mille : 0;
	sim->device.flush_fail_per_mille = on ? sim->plan.flush_fail_per_mille : 0;
	sim->device.read_fail_per_mille = on ? sim->plan.read_fail_per_mille : 0;
}

/* --- Opening --- */

static void
make_world(void)
{
	struct tarn_reactor_opts reactor_opts = { .unpinned = true, .poll_mode = TARN_POLL_BUSY };
	struct tarn_env_opts env_opts = { .iomem_bytes = IOMEM_BYTES, .no_hugepages = true };
	struct sim_bdev_opts opts = {
		.device = &sim->device,
		.latency_min_us = sim->plan.latency_min_us,
		.latency_max_us = sim->plan.latency_max_us,
		.flush_us_max = sim->plan.flush_us_max,
		.read_us_max = sim->plan.read_us_max,
		.event = sim_io_event,
	};
	struct tarn_reason reason;

	tarn_fake_clock_start(sim->now_ns);
	if (tarn_env_init(&env_opts) != 0)
		sim_fail("tarn_env_init failed");
	CPU_ZERO(&reactor_opts.cpus);
	CPU_SET(0, &reactor_opts.cpus);
	if (tarn_reactors_init(&reactor_opts) != 0)
		sim_fail("tarn_reactors_init failed");
	tarn_reactor_turn(tarn_reactor_get(0));
	if (tarn_bdev_create("sim", "sim", &opts, &bdev, &reason) != 0)
		sim_fail("bdev: %s", reason.text);
}

struct opening {
	bool done;
	int status;
	struct tarn_reason reason;
};

static void
opened(void *arg, int status, struct tarn_cache *cache, const struct tarn_reason *reason)
{
	struct opening *opening = arg;

	opening->done = true;
	opening->status = status;
	sim_cache = cache;
	if (status != 0)
		opening->reason = *reason;
}

static void
begin_time(void)
{
	time_base_ns = sim->now_ns;
	time_base_min_s = tarn_max_u64(sim->wall_s, sim->model.durable_time_s);
	time_base_max_s = tarn_max_u64(sim->wall_s, sim->model.time_max_s);
	pass(0);
}

static void
begin_format(void)
{
	model_reset(&sim->model);
	sim->model.durable_time_s = sim->model.time_max_s = 0;
	memset(sim->volume, 0, sizeof(sim->volume));
	sim->volume_id_max = 0;
	sim->formatted = sim->corrupted = sim->blank = sim->model.damaged = false;
	sim->model.unreadable =
	    sim->plan.read_fail_per_mille != 0 || sim->plan.open_read_fail_per_mille != 0;
	memset(sim->device.segment_count, 0, sizeof(sim->device.segment_count));
	memset(sim->tail, 0, sizeof(sim->tail));
}

/* A dirty block that could not be read when it was to be written again is given up: suspect. */
static void
check_damage(const struct tarn_cache_info *info)
{
	bool reads_fail = sim->plan.open_read_fail_per_mille != 0;
	bool damaged = info->damaged_segments != 0;

	if (damaged && (sim->corrupted || reads_fail))
		sim->model.damaged = sim->model.unreadable = true;
	else if (damaged || (info->suspect_entries != 0 && !sim->model.unreadable))
		sim_fail("recovery found damage (%llu segments, %llu entries) where there is none",
			 (unsigned long long)info->damaged_segments,
			 (unsigned long long)info->suspect_entries);
}

static void
check_info(const struct tarn_cache_info *info, uint64_t failed_before)
{
	sim_say("opened: %s%s%s%s, %llu entries, %llu holes, %llu suspect, %llu failed reads",
		info->formatted ? "formatted" : "", info->clean_start ? "clean" : "",
		info->same_boot ? " same boot" : "", info->checkpoint_used ? " by checkpoint" : "",
		(unsigned long long)info->recovered_entries,
		(unsigned long long)info->damaged_segments,
		(unsigned long long)info->suspect_entries,
		(unsigned long long)(sim->device.failed_count - failed_before));
	check_damage(info);
	sim->segments_per_shard = info->segment_count / info->shard_count;
}

static void
open_cache(void)
{
	bool fresh = sim->life_plan.format || !sim->formatted;
	bool blank = sim->blank;
	struct tarn_cache_env env = {
		.seed = rng_next(&sim->rng) | 1,
		.wall_time_s = sim->wall_s,
		.disk_sequence = sim->disk_sequence,
	};
	struct tarn_cache_opts opts = {
		.name = "sim",
		.bdev_name = "sim",
		.force = fresh && !blank,
		.checkpoint_interval_s = sim->plan.checkpoint_interval_s,
		.env = &env,
	};
	struct opening opening = { .done = false };
	uint64_t failed_before = sim->device.failed_count;
	struct tarn_cache_info info;

	memcpy(env.boot_id, sim->boot_id, sizeof(env.boot_id));
	if (fresh) {
		opts.shard_count = sim->plan.shard_count;
		opts.segment_bytes = 128 * 1024;
		opts.expected_entry_bytes = sim->plan.expected_entry_bytes;
		begin_format();
	}
	begin_time();
	sim->opening = !fresh;
	sim->flushed = false;
	sim_arm(CRASH_OPEN);
	sim->device.read_fail_per_mille = sim->plan.open_read_fail_per_mille;
	tarn_cache_create(&opts, opened, &opening);
	sim_wait(&opening.done, "opening");
	sim->device.read_fail_per_mille = 0;
	if (opening.status == -EIO && sim->plan.open_read_fail_per_mille != 0) {
		/* Errors that did not pass soon enough: it is refused, and tried again later. */
		opening.done = false;
		tarn_cache_create(&opts, opened, &opening);
		sim_wait(&opening.done, "opening");
	}
	if (opening.status != 0)
		sim_fail("opening failed with %d: %s", opening.status, opening.reason.text);
	if (sim->life_plan.phase == CRASH_OPEN)
		sim->crash_countdown = 0; /* it was opened before that */
	sim->formatted = true;
	sim->opening = false;
	model_opened(&sim->model);
	tarn_cache_get_info(sim_cache, &info);
	check_info(&info, failed_before);
	if (info.formatted != fresh)
		sim_fail("%s", fresh ? "it was not formatted" : "it was formatted");
}

/* --- Work --- */

static enum action
choose(void)
{
	uint32_t total = 0, at;

	for (uint32_t i = 0; i < ACTION_COUNT; i++)
		total += sim->plan.weight[i];
	at = (uint32_t)rng_below(&sim->rng, total);
	for (uint32_t i = 0; i < ACTION_COUNT; i++) {
		if (at < sim->plan.weight[i])
			return (enum action)i;
		at -= sim->plan.weight[i];
	}
	return ACTION_LOOKUP;
}

static bool
all_done(void)
{
	return object_busy_count() == 0 && block_busy_count() == 0 && control_busy_count() == 0;
}

static void
check_ages(void)
{
	object_check_age();
	block_check_age();
	control_check_age();
}

static void
drain(void)
{
	while (!all_done()) {
		turn_once();
		pass_until(UINT64_MAX);
		check_ages();
	}
}

static void
corrupt(void)
{
	uint64_t at;

	if (!sim->plan.corrupt || sim->corrupted)
		return;
	at = device_corrupt(&sim->device, 0, sim->device.size_bytes, 4);
	if (at == UINT64_MAX)
		return;
	sim_say("damaged the block at %llu", (unsigned long long)at);
	sim->corrupted = sim->model.unreadable = true;
}

static void
act(enum action action)
{
	switch (action) {
	case ACTION_CLOCK:
		drain();
		sim_clock_jump(rng_range(&sim->rng, 1, rng_chance(&sim->rng, 200) ? 100000 : 60));
		if (rng_chance(&sim->rng, 500))
			control_expire();
		break;
	case ACTION_CORRUPT:
		corrupt();
		break;
	case ACTION_DELETE:
		control_delete_refused();
		break;
	case ACTION_PURGE:
	case ACTION_BLOCK_BAN:
	case ACTION_FLUSH:
	case ACTION_CHECKPOINT:
		control_act(action);
		break;
	default:
		if (action >= ACTION_BLOCK_STORE && action <= ACTION_BLOCK_FORGET)
			block_act(action);
		else
			object_act(action);
		break;
	}
}

static void
work(void)
{
	sim_arm(CRASH_WORK);
	for (uint32_t i = 0; i < sim->life_plan.step_count; i++) {
		sim->step++;
		sim->counts.steps++;
		act(choose());
		if (rng_chance(&sim->rng, 700))
			sim_turn(rng_below(&sim->rng, sim->plan.gap_us_max * UINT64_C(1000)));
		if (i % 64 == 0)
			check_ages();
	}
}

static void
look_at_everything(void)
{
	object_sweep();
	block_sweep();
	drain();
}

static void
stopped(void *arg, int status)
{
	struct opening *stop = arg;

	stop->done = true;
	stop->status = status;
}

static void
stop(void)
{
	bool delete = sim->life_plan.ending == ENDING_DELETE;
	struct opening stop = { .done = false };

	if (delete || rng_chance(&sim->rng, 700))
		drain();
	sim_arm(CRASH_STOP);
	if (delete)
		tarn_cache_delete(sim_cache, true, stopped, &stop);
	else
		tarn_cache_stop(sim_cache, stopped, &stop);
	sim_wait(&stop.done, "stopping");
	sim->crash_countdown = 0;
	if (!all_done())
		sim_fail("stopped, but not all operations have ended");
	note_wraps();
	sim_say("stopped with %d", stop.status);
	if (stop.status != 0 && sim->model.strict)
		sim_fail("stopping failed with %d", stop.status);
	if (delete) {
		begin_format();
		sim->blank = stop.status == 0;
	}
	model_ended(&sim->model, stop.status == 0 ? MODEL_END_STOP : MODEL_END_KILL);
}

enum life_status
life_run(struct sim *of)
{
	sim = of;
	make_world();
	sim_faults(false);
	begin_time();
	refuse_some();
	open_cache();
	volume_all();
	control_dirty_check();
	sim_faults(true);
	if (sim->life_plan.sweep)
		look_at_everything();
	work();
	if (crashes() && sim->life_plan.phase != CRASH_STOP)
		sim_crash();
	if (sim->life_plan.sweep)
		look_at_everything();
	control_stats_check();
	stop();
	if (crashes())
		sim_crash();
	return LIFE_STOPPED;
}
