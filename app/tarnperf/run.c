/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The course of a run, on the control reactor:
 *
 *   OPENING --all jobs open--> WARMUP --time--> RESETTING --counts are zero--> MEASURING
 *   MEASURING --time, signal, error, or every job has used its budget up--> GATHERING
 *   GATHERING --statistics are in--> DRAINING --all jobs done--> CLOSING, with --verify VERIFYING
 *   VERIFYING --all jobs done--> CLOSING --channels put--> bdevs deleted, reactors stop
 *
 * Statistics are reset and gathered by lib/bdev; both times the clock is read when that has been
 * done, so that what the visits take cancels out.
 */
#include "run.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "describe.h"
#include "progress.h"
#include "tarn/env.h"
#include "tarn/framework.h"
#include "tarn/util.h"

#define TICK_US 10000

enum phase {
	PHASE_OPENING,
	PHASE_WARMUP,
	PHASE_RESETTING,
	PHASE_MEASURING,
	PHASE_GATHERING,
	PHASE_DRAINING,
	PHASE_VERIFYING,
	PHASE_CLOSING,
};

static void
set_phase(struct perf_run *run, enum phase phase)
{
	tarn_assert(phase >= run->phase);
	run->phase = phase;
}

static void
command_all(struct perf_run *run, tarn_msg_fn command)
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
	struct perf_run *run = arg;

	tarn_reactors_stop(run->status);
}

static void
finish(struct perf_run *run)
{
	tarn_poller_unregister(&run->tick);
	perf_progress_end(run);
	perf_targets_close(&run->targets);
	tarn_framework_stop(bdevs_deleted, run);
}

static void
start_closing(struct perf_run *run)
{
	set_phase(run, PHASE_CLOSING);
	command_all(run, perf_job_close);
}

static void
fail(struct perf_run *run, int rc, const char *what)
{
	if (run->reason.text[0] == '\0')
		tarn_reason_set(&run->reason, rc, "%s: %s", what, strerror(-rc));
	run->status = 2;
}

/* --- The measurement --- */

static void
take_result(struct perf_run *run)
{
	struct perf_result *result = &run->result;

	result->time = perf_clock_read(&run->clock);
	result->interrupted = perf_process_interrupted();
	for (uint32_t i = 0; i < run->targets.count; i++) {
		struct perf_target *target = &run->targets.target[i];

		target->submit_count =
		    perf_describe_submit_count(target->bdev) - target->submit_count_before;
		result->submit_count += target->submit_count;
		for (uint32_t op = 0; op < tarn_array_count(result->op); op++) {
			const struct tarn_op_stats *stats = &target->stats->total.op[op];
			struct perf_op_result *sum = &result->op[op];

			if (stats->count != 0 &&
			    (sum->count == 0 || stats->min_latency_ns < sum->min_latency_ns))
				sum->min_latency_ns = stats->min_latency_ns;
			sum->max_latency_ns =
			    tarn_max_u64(sum->max_latency_ns, stats->max_latency_ns);
			sum->count += stats->count;
			sum->bytes += stats->bytes;
			sum->error_count += stats->error_count;
			sum->latency_ns += stats->latency_ns;
			tarn_histogram_merge(&sum->histogram, &target->stats->histogram[op]);
		}
	}
	run->devices = perf_describe_targets(&run->targets);
}

static void
start_draining(struct perf_run *run)
{
	set_phase(run, PHASE_DRAINING);
	for (uint32_t i = 0; i < run->job_count; i++)
		tarn_msg_send(run->jobs[i].reactor, &run->jobs[i].stop_msg, perf_job_stop,
			      &run->jobs[i]);
}

static void
drained(struct perf_run *run)
{
	bool clean = run->status == 0;

	if (run->opts->verify && clean) {
		set_phase(run, PHASE_VERIFYING);
		run->progress_ns = 0;
		command_all(run, perf_job_verify);
		return;
	}
	start_closing(run);
}

static void
gathered(void *arg, int status)
{
	struct perf_run *run = arg;

	if (status != 0)
		fail(run, status, "statistics");
	if (run->phase != PHASE_GATHERING || --run->targets_pending != 0)
		return;
	take_result(run);
	start_draining(run);
	if (run->pending_count == 0)
		drained(run);
}

static void
start_gathering(struct perf_run *run)
{
	set_phase(run, PHASE_GATHERING);
	run->targets_pending = run->targets.count;
	for (uint32_t i = 0; i < run->targets.count; i++)
		tarn_bdev_get_stats(run->targets.target[i].bdev, TARN_STATS_KEEP, true,
				    run->targets.target[i].stats, gathered, run);
}

static void
start_measuring(struct perf_run *run)
{
	set_phase(run, PHASE_MEASURING);
	for (uint32_t i = 0; i < run->targets.count; i++)
		run->targets.target[i].submit_count_before =
		    perf_describe_submit_count(run->targets.target[i].bdev);
	perf_clock_start(&run->clock);
}

static void
reset_done(void *arg, int status)
{
	struct perf_run *run = arg;

	if (status != 0)
		fail(run, status, "statistics");
	if (--run->targets_pending != 0)
		return;
	start_measuring(run);
	for (uint32_t i = 0; i < run->job_count; i++)
		tarn_msg_send(run->jobs[i].reactor, &run->jobs[i].command_msg, perf_job_measure,
			      &run->jobs[i]);
}

static void
end_warmup(struct perf_run *run)
{
	set_phase(run, PHASE_RESETTING);
	run->targets_pending = run->targets.count;
	for (uint32_t i = 0; i < run->targets.count; i++)
		tarn_bdev_get_stats(run->targets.target[i].bdev, TARN_STATS_RESET_ALL, false,
				    run->targets.target[i].stats, reset_done, run);
}

static int
tick_poll(void *arg)
{
	struct perf_run *run = arg;
	const struct perf_opts *opts = run->opts;
	uint64_t elapsed_ns = tarn_now_ns() - run->clock.start_ns;

	switch (run->phase) {
	case PHASE_WARMUP:
		perf_progress(run, "warm-up", elapsed_ns);
		if (elapsed_ns >= opts->warmup_ns || perf_process_interrupted() || run->status != 0)
			end_warmup(run);
		break;
	case PHASE_MEASURING:
		perf_progress(run, perf_opts_rw_name(opts), elapsed_ns);
		if ((opts->duration_ns != 0 && elapsed_ns >= opts->duration_ns) ||
		    perf_process_interrupted() || run->status != 0)
			start_gathering(run);
		break;
	case PHASE_VERIFYING:
		perf_progress(run, "reading back", elapsed_ns);
		break;
	default:
		break;
	}
	return 0;
}

/* --- The jobs' answers --- */

static void
jobs_open(struct perf_run *run)
{
	if (run->status != 0) {
		start_closing(run);
		return;
	}
	set_phase(run, PHASE_WARMUP);
	perf_clock_start(&run->clock);
	if (run->opts->warmup_ns == 0)
		start_measuring(run);
	command_all(run, perf_job_start);
}

static void
job_done(struct perf_job *job, int status)
{
	struct perf_run *run = job->run;

	if (status != 0)
		fail(run, status, tarn_bdev_name(job->target->bdev));
	if (--run->pending_count != 0)
		return;
	switch (run->phase) {
	case PHASE_OPENING:
		jobs_open(run);
		break;
	case PHASE_MEASURING:
		start_gathering(run);
		break;
	case PHASE_DRAINING:
		drained(run);
		break;
	case PHASE_VERIFYING:
		start_closing(run);
		break;
	case PHASE_CLOSING:
		finish(run);
		break;
	default:
		/* A warm-up ends by time only; gathered() sees that nothing is pending. */
		break;
	}
}

static void
job_failed(struct perf_job *job)
{
	struct perf_run *run = job->run;

	if (run->opts->ignore_errors)
		return;
	if (run->reason.text[0] == '\0')
		tarn_reason_set(
		    &run->reason, job->first_error,
		    "%s: %s at offset %llu failed: %s; --ignore-errors goes on",
		    tarn_bdev_name(job->target->bdev), tarn_io_op_name(job->first_error_op),
		    (unsigned long long)job->first_error_offset, strerror(-job->first_error));
	run->status = 1;
}

/* --- The start --- */

static uint64_t
share(uint64_t total, uint32_t count, uint32_t index)
{
	return total / count + (index < total % count);
}

static void
job_limit(struct perf_job *job, uint32_t job_count, uint32_t index)
{
	const struct perf_opts *opts = job->opts;
	uint64_t limit = UINT64_MAX;

	if (opts->total_ios != 0)
		limit = share(opts->total_ios, job_count, index);
	if (opts->total_bytes != 0)
		limit = tarn_min_u64(
		    limit, share((opts->total_bytes + opts->block_bytes - 1) / opts->block_bytes,
				 job_count, index));
	if (opts->verify_only && limit == UINT64_MAX && opts->duration_ns == 0)
		limit = job->block_count;
	job->limit = limit;
}

/*
 * A sequential or verifying job has a part of the region to itself, a random one goes all over it.
 */
static int
job_region(struct perf_job *job, uint32_t part_count, uint32_t part, struct tarn_reason *reason)
{
	const struct perf_opts *opts = job->opts;
	const struct perf_target *target = job->target;

	job->first_block = target->first_block;
	job->block_count = target->block_count;
	if (opts->random && !opts->verify)
		return 0;
	for (uint32_t i = 0; i < part; i++)
		job->first_block += share(target->block_count, part_count, i);
	job->block_count = share(target->block_count, part_count, part);
	if (job->block_count == 0 || (opts->verify && job->block_count < opts->depth))
		return tarn_reason_set(reason, -EINVAL,
				       "%s: %llu blocks are too few for %u jobs of depth %u",
				       target->info.name, (unsigned long long)target->block_count,
				       part_count, opts->depth);
	return 0;
}

static int
jobs_make(struct perf_run *run)
{
	const struct perf_opts *opts = run->opts;
	uint32_t reactor_count = tarn_reactor_count();
	uint32_t part_count = reactor_count * opts->job_count;

	run->reactor_count = reactor_count;
	run->job_count = part_count * run->targets.count;
	run->jobs = calloc(run->job_count, sizeof(*run->jobs));
	if (run->jobs == NULL)
		return tarn_reason_set(&run->reason, -ENOMEM, "no memory for %u jobs",
				       run->job_count);
	for (uint32_t i = 0; i < run->job_count; i++) {
		struct perf_job *job = &run->jobs[i];
		int rc;

		job->opts = opts;
		job->target = &run->targets.target[i / part_count];
		job->reactor = tarn_reactor_get(i % reactor_count);
		job->depth = opts->depth;
		job->block_bytes = opts->block_bytes;
		job->seed = perf_random_mix(opts->seed) + i;
		job->rate_per_second = (double)opts->rate / run->job_count;
		job->done = job_done;
		job->failed = job_failed;
		job->run = run;
		rc = job_region(job, part_count, i % part_count, &run->reason);
		if (rc != 0)
			return rc;
		job_limit(job, run->job_count, i);
	}
	return 0;
}

static void
begin(struct perf_run *run)
{
	struct tarn_poller_opts tick = {
		.name = "tarnperf_tick",
		.fn = tick_poll,
		.arg = run,
		.period_us = TICK_US,
	};

	if (run->status == 0 && perf_targets_open(&run->targets, run->opts, &run->reason) != 0)
		run->status = 2;
	else if (run->status == 0 && jobs_make(run) != 0)
		run->status = 2;
	if (run->status == 0) {
		run->tick = tarn_poller_register(&tick);
		if (run->tick == NULL)
			fail(run, -ENOMEM, "tick");
	}
	if (run->status == 0)
		command_all(run, perf_job_open);
	else
		finish(run);
}

static void
framework_started(void *arg, int status, const char *error)
{
	struct perf_run *run = arg;

	if (status != 0) {
		tarn_reason_set(&run->reason, status, "%s", error);
		run->status = 2;
	}
	begin(run);
}

static void
sum_verify(struct perf_run *run)
{
	for (uint32_t i = 0; i < run->job_count; i++) {
		run->result.verified_count += run->jobs[i].verified_count;
		run->result.verify_error_count += run->jobs[i].verify_error_count;
		if (run->jobs[i].error_count != 0 || run->jobs[i].verify_error_count != 0)
			run->status = run->status != 0 ? run->status : 1;
	}
}

int
perf_run(struct perf_run *run, const struct perf_opts *opts)
{
	uint64_t iobuf_bytes = tarn_mul_sat(
	    tarn_ceil_pow2(opts->block_bytes),
	    (uint64_t)opts->depth * opts->job_count * tarn_max_u64(opts->path_count, 1) *
		tarn_max_u64((uint64_t)CPU_COUNT(&opts->reactors.cpus), 1));
	const struct perf_process process = {
		.opts = opts,
		.iomem_bytes = iobuf_bytes > UINT64_C(512) << 20 ? tarn_mul_sat(2, iobuf_bytes) : 0,
		.started = framework_started,
		.arg = run,
	};

	run->opts = opts;
	if (perf_process_run(&process, &run->reason) < 0)
		run->status = 2;
	sum_verify(run);
	return run->status;
}

void
perf_run_fini(struct perf_run *run)
{
	cJSON_Delete(run->devices);
	free(run->jobs);
}
