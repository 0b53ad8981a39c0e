/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The course of a run on a cache, on the control reactor:
 *
 *   OPENING --cache is there--> JOBS --open--> FILLING --every key stored--> WARMUP --time-->
 *   MEASURING --time, signal, or the budget is used up--> DRAINING --all jobs done--> STATS
 *   STATS --gathered--> CLOSING --jobs gone--> STOPPING --clean stop--> reactors stop
 *
 * What fails on the way goes on with CLOSING.
 */
#include "cache_run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cache_value.h"
#include "tarn/env.h"
#include "tarn/framework.h"
#include "tarn/util.h"

#define TICK_US 10000
#define PROGRESS_NS UINT64_C(1000000000)

enum phase {
	PHASE_OPENING,
	PHASE_JOBS,
	PHASE_FILLING,
	PHASE_WARMUP,
	PHASE_MEASURING,
	PHASE_DRAINING,
	PHASE_STATS,
	PHASE_CLOSING,
	PHASE_STOPPING,
};

static void
set_phase(struct cache_run *run, enum phase phase)
{
	tarn_assert(phase >= run->phase);
	run->phase = phase;
}

static void
fail(struct cache_run *run, int rc, const char *what)
{
	if (run->reason.text[0] == '\0')
		tarn_reason_set(&run->reason, rc, "%s: %s", what, strerror(-rc));
	run->status = 2;
}

/* Anonymous memory of this process; 0: not known. */
static uint64_t
rss_bytes(void)
{
	FILE *file = fopen("/proc/self/status", "re");
	unsigned long long kib = 0;
	char line[256];

	while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
		if (sscanf(line, "RssAnon: %llu", &kib) == 1)
			break;
	}
	if (file != NULL)
		fclose(file);
	return kib * 1024;
}

static void
command_all(struct cache_run *run, tarn_msg_fn command)
{
	run->pending_count = run->job_count;
	for (uint32_t i = 0; i < run->job_count; i++)
		tarn_msg_send(run->jobs[i].reactor, &run->jobs[i].command_msg, command,
			      &run->jobs[i]);
}

/* --- The end --- */

static void
bdevs_deleted(void *arg)
{
	struct cache_run *run = arg;

	tarn_reactors_stop(run->status);
}

static void
finish(struct cache_run *run)
{
	tarn_poller_unregister(&run->tick);
	tarn_framework_stop(bdevs_deleted, run);
}

static void
stopped(void *arg, int status)
{
	struct cache_run *run = arg;

	if (status != 0)
		fail(run, status, "stopping the cache");
	finish(run);
}

static void
start_stopping(struct cache_run *run)
{
	set_phase(run, PHASE_STOPPING);
	if (run->cache != NULL)
		tarn_cache_stop(run->cache, stopped, run);
	else
		finish(run);
}

static void
start_closing(struct cache_run *run)
{
	set_phase(run, PHASE_CLOSING);
	if (run->jobs != NULL)
		command_all(run, cache_job_close);
	else
		start_stopping(run);
}

/* --- The measurement --- */

static void
take_counts(struct cache_run *run)
{
	for (uint32_t i = 0; i < run->job_count; i++) {
		const struct cache_job *job = &run->jobs[i];

		for (int op = 0; op < PERF_CACHE_OP_COUNT; op++) {
			run->counts.count[op] += job->counts.count[op];
			run->counts.bytes[op] += job->counts.bytes[op];
			run->counts.latency_ns[op] += job->counts.latency_ns[op];
			tarn_histogram_merge(&run->counts.histogram[op],
					     &job->counts.histogram[op]);
		}
		run->counts.rejected_count += job->counts.rejected_count;
		run->counts.error_count += job->counts.error_count;
		run->counts.checked_count += job->counts.checked_count;
		run->counts.wrong_count += job->counts.wrong_count;
		if (run->counts.first_error == 0)
			run->counts.first_error = job->counts.first_error;
		run->lru_access_count += job->lru.access_count;
		run->lru_hit_count += job->lru.hit_count;
	}
	if (run->counts.error_count != 0 && run->reason.text[0] == '\0')
		tarn_reason_set(&run->reason, run->counts.first_error,
				"%llu operations failed, the first: %s",
				(unsigned long long)run->counts.error_count,
				strerror(-run->counts.first_error));
	if ((run->counts.error_count != 0 || run->counts.wrong_count != 0) && run->status == 0)
		run->status = 1;
}

static void
stats_gathered(void *arg, int status)
{
	struct cache_run *run = arg;

	if (status != 0)
		fail(run, status, "statistics");
	tarn_cache_get_info(run->cache, &run->info);
	run->rss_bytes = rss_bytes();
	take_counts(run);
	run->measured = true;
	start_closing(run);
}

static void
drained(struct cache_run *run)
{
	set_phase(run, PHASE_STATS);
	tarn_cache_get_stats(run->cache, false, &run->stats, stats_gathered, run);
}

static void
end_measuring(struct cache_run *run)
{
	set_phase(run, PHASE_DRAINING);
	run->time = perf_clock_read(&run->clock);
	run->interrupted = perf_process_interrupted();
	if (run->pending_count == 0) {
		drained(run);
		return;
	}
	for (uint32_t i = 0; i < run->job_count; i++)
		tarn_msg_send(run->jobs[i].reactor, &run->jobs[i].stop_msg, cache_job_stop,
			      &run->jobs[i]);
}

static void
start_measuring(struct cache_run *run)
{
	set_phase(run, PHASE_MEASURING);
	perf_clock_start(&run->clock);
}

static void
start_load(struct cache_run *run)
{
	set_phase(run, PHASE_WARMUP);
	perf_clock_start(&run->clock);
	if (run->opts->warmup_ns == 0)
		start_measuring(run);
	command_all(run, cache_job_start);
}

static void
start_filling(struct cache_run *run)
{
	bool fills = run->opts->cache_load != PERF_CACHE_LOAD_STORE &&
		     run->opts->cache_load != PERF_CACHE_LOAD_ASIDE &&
		     run->opts->cache_load != PERF_CACHE_BLOCK_WRITE && !run->opts->no_fill;

	if (!fills) {
		start_load(run);
		return;
	}
	set_phase(run, PHASE_FILLING);
	perf_clock_start(&run->clock);
	command_all(run, cache_job_fill);
}

static void
progress(struct cache_run *run, const char *phase)
{
	uint64_t now_ns = tarn_now_ns(), done = 0;
	bool terminal = isatty(STDERR_FILENO);

	if (run->opts->quiet || !(run->opts->progress || terminal) ||
	    now_ns - run->progress_ns < PROGRESS_NS)
		return;
	for (uint32_t i = 0; i < run->job_count; i++)
		done += __atomic_load_n(&run->jobs[i].done_count, __ATOMIC_RELAXED);
	fprintf(stderr, "%s%s %.0f s: %.0f operations/s%s", terminal ? "\r\033[K" : "", phase,
		(double)(now_ns - run->clock.start_ns) / 1e9,
		(double)(done - run->progress_count) * 1e9 / (double)(now_ns - run->progress_ns),
		terminal ? "" : "\n");
	run->progress_ns = now_ns;
	run->progress_count = done;
}

static int
tick_poll(void *arg)
{
	struct cache_run *run = arg;
	uint64_t elapsed_ns = tarn_now_ns() - run->clock.start_ns;
	bool over = perf_process_interrupted() || run->status != 0;

	if (run->phase == PHASE_FILLING) {
		progress(run, "filling");
	} else if (run->phase == PHASE_WARMUP) {
		progress(run, "warm-up");
		if (elapsed_ns < run->opts->warmup_ns && !over)
			return 0;
		start_measuring(run);
		for (uint32_t i = 0; i < run->job_count; i++)
			tarn_msg_send(run->jobs[i].reactor, &run->jobs[i].stop_msg,
				      cache_job_measure, &run->jobs[i]);
	} else if (run->phase == PHASE_MEASURING) {
		progress(run, perf_opts_cache_name(run->opts));
		if (over || (run->opts->duration_ns != 0 && elapsed_ns >= run->opts->duration_ns))
			end_measuring(run);
	}
	return 0;
}

static void
job_done(struct cache_job *job, int status)
{
	struct cache_run *run = job->run;

	if (status != 0)
		fail(run, status, "a job");
	if (--run->pending_count != 0)
		return;
	switch (run->phase) {
	case PHASE_JOBS:
		if (run->status == 0)
			start_filling(run);
		else
			start_closing(run);
		break;
	case PHASE_FILLING:
		run->fill_s = perf_clock_read(&run->clock).duration_s;
		start_load(run);
		break;
	case PHASE_MEASURING:
		end_measuring(run);
		break;
	case PHASE_DRAINING:
		drained(run);
		break;
	case PHASE_CLOSING:
		start_stopping(run);
		break;
	default:
		break;
	}
}

/* --- The start --- */

static void
start_jobs(struct cache_run *run)
{
	const struct perf_opts *opts = run->opts;

	set_phase(run, PHASE_JOBS);
	run->reactor_count = tarn_reactor_count();
	run->job_count = run->reactor_count * opts->job_count;
	run->jobs = calloc(run->job_count, sizeof(*run->jobs));
	if (run->jobs == NULL) {
		fail(run, -ENOMEM, "jobs");
		start_closing(run);
		return;
	}
	for (uint32_t i = 0; i < run->job_count; i++) {
		struct cache_job *job = &run->jobs[i];

		job->opts = opts;
		job->cache = run->cache;
		job->reactor = tarn_reactor_get(i % run->reactor_count);
		job->number = i;
		job->job_count = run->job_count;
		job->limit = opts->total_ios == 0 ? UINT64_MAX
						  : opts->total_ios / run->job_count +
							(i < opts->total_ios % run->job_count);
		job->done = job_done;
		job->run = run;
	}
	command_all(run, cache_job_open);
}

static void
volume_set(void *arg, int status)
{
	struct cache_run *run = arg;

	if (status != 0) {
		fail(run, status, "a volume's number");
		start_closing(run);
		return;
	}
	run->own_opts.volume_id = run->volume.id;
	start_jobs(run);
}

static void create_cache(struct cache_run *run, bool force);

static void
cache_created(void *arg, int status, struct tarn_cache *cache, const struct tarn_reason *reason)
{
	struct cache_run *run = arg;
	const struct perf_opts *opts = run->opts;

	if (status == -EEXIST && opts->destroy_data && !run->forced) {
		create_cache(run, true); /* something that is no cache */
		return;
	}
	if (status != 0) {
		tarn_reason_set(&run->reason, status, "%s", reason->text);
		run->status = 2;
		start_closing(run);
		return;
	}
	run->cache = cache;
	run->open_s = perf_clock_read(&run->clock).duration_s;
	if (opts->cache_load == PERF_CACHE_BLOCK_READ || opts->cache_load == PERF_CACHE_BLOCK_WRITE)
		tarn_cache_volume_set(cache, &run->volume, volume_set, run);
	else
		start_jobs(run);
}

static void
create_cache(struct cache_run *run, bool force)
{
	const struct perf_opts *opts = run->opts;
	struct tarn_cache_opts cache = {
		.name = "tarnperf",
		.bdev_name = tarn_bdev_name(run->targets.target[0].bdev),
		.force = force,
		.shard_count = opts->shard_count,
		.segment_bytes = opts->segment_bytes,
		.expected_entry_bytes = opts->entry_bytes,
		.checkpoint_interval_s = opts->checkpoint_s,
	};

	run->forced = force;
	perf_clock_start(&run->clock);
	tarn_cache_create(&cache, cache_created, run);
}

static void
framework_started(void *arg, int status, const char *error)
{
	struct cache_run *run = arg;
	struct tarn_poller_opts tick = {
		.name = "tarnperf_tick",
		.fn = tick_poll,
		.arg = run,
		.period_us = TICK_US,
	};

	if (status != 0) {
		tarn_reason_set(&run->reason, status, "%s", error);
		run->status = 2;
	} else if (perf_targets_make(&run->targets, run->opts, &run->reason) != 0) {
		run->status = 2;
	} else if (run->targets.count != 1) {
		fail(run, -E2BIG, "a cache takes one device");
	}
	if (run->status == 0) {
		run->tick = tarn_poller_register(&tick);
		if (run->tick == NULL)
			fail(run, -ENOMEM, "tick");
	}
	if (run->status != 0) {
		start_closing(run);
		return;
	}
	tarn_strcpy(run->device_driver, sizeof(run->device_driver),
		    tarn_bdev_driver_name(run->targets.target[0].bdev));
	run->rss_before_bytes = rss_bytes();
	create_cache(run, run->opts->format);
}

int
cache_run(struct cache_run *run, const struct perf_opts *opts)
{
	const struct perf_process process = {
		.opts = opts,
		.started = framework_started,
		.arg = run,
	};

	run->own_opts = *opts;
	run->volume = (struct tarn_cache_volume){ .uuid = "tarnperf volume", .generation = 1 };
	run->opts = &run->own_opts;
	if (perf_process_run(&process, &run->reason) < 0)
		run->status = 2;
	return run->status;
}

void
cache_run_fini(struct cache_run *run)
{
	free(run->jobs);
}
