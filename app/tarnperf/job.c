/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The load. A slot is one I/O that goes round: issue, done, issue. The plain path from completion
 * to the next submission is a dozen instructions and reads no clock: time is taken once, by
 * lib/bdev, whose statistics are the result. Everything else (mixes, zipf, verify, flushes) is
 * issue_special(), and what starts by permission (batches, rate) is parked and released.
 *
 * budget == 0 ends a job: whatever completes is parked, and when all are, the job is done.
 */
#include "job.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tarn/env.h"
#include "tarn/util.h"

struct perf_slot {
	struct tarn_io io;
	struct perf_job *job;
	void *buf;
	uint64_t block;	     /* counted from the job's first */
	uint64_t generation; /* what a read must find; 0: anything */
	uint8_t op;
	uint64_t offset_bytes;
} __attribute__((aligned(TARN_CACHE_LINE_BYTES)));

static void slot_done_plain(void *arg, int status);
static void slot_done_special(void *arg, int status);

static void
report_done(void *arg)
{
	struct perf_job *job = arg;

	job->done(job, job->status);
}

static void
job_report(struct perf_job *job, int status)
{
	job->status = status;
	tarn_msg_send(tarn_reactor_get(0), &job->done_msg, report_done, job);
}

static void
report_failed(void *arg)
{
	struct perf_job *job = arg;

	job->failed(job);
}

static void
slot_failed(struct perf_slot *slot, int status)
{
	struct perf_job *job = slot->job;

	if (job->error_count++ != 0)
		return;
	job->first_error = status;
	job->first_error_offset = slot->io.offset_bytes;
	job->first_error_op = slot->io.op;
	tarn_msg_send(tarn_reactor_get(0), &job->failed_msg, report_failed, job);
}

static void
job_end_if_drained(struct perf_job *job)
{
	if (job->running && job->budget == 0 && job->parked_count == job->depth) {
		job->running = false;
		tarn_poller_unregister(&job->pacer);
		job_report(job, 0);
	}
}

static void
slot_park(struct perf_slot *slot)
{
	slot->job->parked[slot->job->parked_count++] = slot;
}

static uint64_t
next_block(struct perf_job *job)
{
	if (job->sequential) {
		uint64_t block = job->next_block;

		job->next_block = block + 1 < job->block_count ? block + 1 : 0;
		return block;
	}
	if (tarn_unlikely(job->opts->zipf_theta != 0))
		return perf_zipf_scatter(&job->zipf, perf_zipf_rank(&job->zipf, &job->random));
	return perf_random_below(&job->random, job->block_count);
}

static inline void
issue_plain(struct perf_job *job, struct perf_slot *slot)
{
	uint64_t offset_bytes = (job->first_block + next_block(job)) * job->block_bytes;

	job->budget--;
	if (job->writes)
		tarn_bdev_write(job->channel, &slot->io, slot->buf, job->block_bytes, offset_bytes,
				job->flags, slot_done_plain, slot);
	else
		tarn_bdev_read(job->channel, &slot->io, slot->buf, job->block_bytes, offset_bytes,
			       job->flags, slot_done_plain, slot);
}

/*
 * The block of the next I/O and what a read must find there. \return false: there is none any more.
 */
static bool
choose_block(struct perf_job *job, struct perf_slot *slot)
{
	slot->generation = 0;
	if (job->closing) {
		if (!perf_verify_walk(&job->verify, &slot->block))
			return false;
		slot->block = perf_verify_take(&job->verify, slot->block);
	} else {
		slot->block = next_block(job);
		if (job->checked)
			slot->block = perf_verify_take(&job->verify, slot->block);
	}
	if (job->opts->verify_only)
		slot->generation = PERF_PATTERN_ANY_GENERATION;
	else if (job->checked && slot->op == TARN_IO_WRITE)
		slot->generation = perf_verify_bump(&job->verify, slot->block);
	else if (job->checked)
		slot->generation = perf_verify_generation(&job->verify, slot->block);
	return true;
}

static void
choose_op(struct perf_job *job, struct perf_slot *slot)
{
	const struct perf_opts *opts = job->opts;

	if (job->closing || opts->read_percent == 100)
		slot->op = TARN_IO_READ;
	else if (opts->fsync_every != 0 && job->write_count >= opts->fsync_every)
		slot->op = TARN_IO_FLUSH;
	else if (opts->read_percent == 0)
		slot->op = TARN_IO_WRITE;
	else
		slot->op = perf_random_below(&job->random, 100) < opts->read_percent
			       ? TARN_IO_READ
			       : TARN_IO_WRITE;
	if (slot->op == TARN_IO_WRITE)
		job->write_count++;
}

static void
issue_special(struct perf_job *job, struct perf_slot *slot)
{
	choose_op(job, slot);
	job->budget--;
	if (slot->op == TARN_IO_FLUSH) {
		job->write_count = 0;
		tarn_bdev_flush(job->channel, &slot->io, slot_done_special, slot);
		return;
	}
	if (!choose_block(job, slot)) {
		job->budget = 0;
		slot_park(slot);
		return;
	}
	slot->offset_bytes = (job->first_block + slot->block) * job->block_bytes;
	if (slot->op == TARN_IO_READ) {
		tarn_bdev_read(job->channel, &slot->io, slot->buf, job->block_bytes,
			       slot->offset_bytes, job->flags & ~(uint32_t)TARN_IO_FUA,
			       slot_done_special, slot);
		return;
	}
	if (job->checked) {
		struct perf_pattern pattern = { slot->offset_bytes, job->opts->seed,
						slot->generation };

		perf_pattern_fill(slot->buf, job->block_bytes, &pattern);
	}
	tarn_bdev_write(job->channel, &slot->io, slot->buf, job->block_bytes, slot->offset_bytes,
			job->flags, slot_done_special, slot);
}

static void
issue(struct perf_job *job, struct perf_slot *slot)
{
	if (tarn_unlikely(job->budget == 0))
		slot_park(slot);
	else if (job->plain)
		issue_plain(job, slot);
	else
		issue_special(job, slot);
}

/* Start of the parked slots what may start now. */
static int
job_release(struct perf_job *job)
{
	uint32_t step = job->opts->batch != 0 && !job->closing ? job->depth : 1;
	int started_count = 0;

	while (job->budget != 0 && job->parked_count >= step) {
		uint32_t keep = job->parked_count - step;

		if (job->gated && !perf_rate_take(&job->rate, tarn_reactor_turn_ns()))
			break;
		/*
		 * From the bottom up: what comes back to be parked lands on places that were read.
		 */
		job->parked_count = keep;
		for (uint32_t i = 0; i < step; i++)
			issue(job, job->parked[keep + i]);
		started_count += (int)step;
	}
	job_end_if_drained(job);
	return started_count;
}

static inline void
slot_again(struct perf_job *job, struct perf_slot *slot)
{
	if (tarn_likely(!job->gated && job->budget != 0)) {
		if (job->plain)
			issue_plain(job, slot);
		else
			issue_special(job, slot);
		if (tarn_unlikely(job->budget == 0))
			job_end_if_drained(job);
		return;
	}
	slot_park(slot);
	job_release(job);
}

static void
slot_done_plain(void *arg, int status)
{
	struct perf_slot *slot = arg;
	struct perf_job *job = slot->job;

	job->done_count++;
	if (tarn_unlikely(status != 0))
		slot_failed(slot, status);
	slot_again(job, slot);
}

static void
slot_check(struct perf_job *job, struct perf_slot *slot)
{
	struct perf_pattern pattern = { slot->offset_bytes, job->opts->seed, slot->generation };
	struct perf_pattern_error error;

	if (slot->op != TARN_IO_READ || slot->generation == 0)
		return;
	job->verified_count++;
	if (perf_pattern_check(slot->buf, job->block_bytes, &pattern, &error) == PERF_PATTERN_GOOD)
		return;
	if (job->verify_error_count < PERF_JOB_ERROR_MAX)
		job->verify_errors[job->verify_error_count] = error;
	job->verify_error_count++;
}

static void
slot_done_special(void *arg, int status)
{
	struct perf_slot *slot = arg;
	struct perf_job *job = slot->job;

	job->done_count++;
	if (status != 0)
		slot_failed(slot, status);
	else
		slot_check(job, slot);
	if (job->checked && slot->op != TARN_IO_FLUSH) {
		if (status != 0 && slot->op == TARN_IO_WRITE)
			perf_verify_forget(&job->verify, slot->block);
		perf_verify_put(&job->verify, slot->block);
	}
	slot_again(job, slot);
}

/* --- Commands --- */

static int
job_slots_open(struct perf_job *job)
{
	size_t slots_bytes = sizeof(*job->slots) * job->depth;

	job->slots = aligned_alloc(TARN_CACHE_LINE_BYTES, slots_bytes);
	job->parked = calloc(job->depth, sizeof(*job->parked));
	if (job->slots == NULL || job->parked == NULL)
		return -ENOMEM;
	memset(job->slots, 0, slots_bytes);
	for (uint32_t i = 0; i < job->depth; i++) {
		struct perf_slot *slot = &job->slots[i];
		uint64_t *words;

		slot->job = job;
		slot->buf = tarn_iobuf_get(job->block_bytes);
		if (slot->buf == NULL)
			return -ENOMEM;
		words = slot->buf;
		for (size_t j = 0; j < job->block_bytes / sizeof(*words); j++)
			words[j] = perf_random_next(&job->random);
		slot_park(slot);
	}
	return 0;
}

void
perf_job_open(void *arg)
{
	struct perf_job *job = arg;
	const struct perf_opts *opts = job->opts;
	int rc;

	tarn_assert(job->reactor == tarn_reactor_self());
	perf_random_init(&job->random, job->seed);
	job->sequential = !opts->random;
	job->checked = opts->verify;
	job->writes = opts->read_percent == 0;
	job->gated = opts->batch != 0 || job->rate_per_second > 0;
	job->plain = (opts->read_percent == 0 || opts->read_percent == 100) && !opts->verify &&
		     !opts->verify_only && opts->fsync_every == 0 && opts->zipf_theta == 0;
	job->flags = (opts->fua ? TARN_IO_FUA : 0) | (opts->background ? TARN_IO_BACKGROUND : 0);
	if (opts->zipf_theta != 0)
		perf_zipf_init(&job->zipf, job->block_count, opts->zipf_theta);
	rc = job->checked ? perf_verify_init(&job->verify, job->block_count) : 0;
	if (rc == 0)
		rc = job_slots_open(job);
	if (rc == 0)
		rc = tarn_channel_get(job->target->desc, &job->channel);
	job_report(job, rc);
}

static int
pacer_poll(void *arg)
{
	return job_release(arg);
}

static uint64_t
pacer_may_sleep_ns(void *arg)
{
	struct perf_job *job = arg;
	uint32_t step = job->opts->batch != 0 ? job->depth : 1;

	if (job->budget == 0 || job->parked_count < step)
		return TARN_SLEEP_ANY;
	return perf_rate_wait_ns(&job->rate, tarn_now_ns());
}

void
perf_job_start(void *arg)
{
	struct perf_job *job = arg;
	struct tarn_poller_opts pacer = {
		.name = "tarnperf_pacer",
		.fn = pacer_poll,
		.arg = job,
		.may_sleep_ns = pacer_may_sleep_ns,
	};

	job->running = true;
	job->budget = job->opts->warmup_ns != 0 ? UINT64_MAX : job->limit;
	if (job->rate_per_second > 0) {
		uint32_t step = job->opts->batch != 0 ? job->depth : 1;

		job->pacer = tarn_poller_register(&pacer);
		if (job->pacer == NULL) {
			job->running = false;
			job_report(job, -ENOMEM);
			return;
		}
		perf_rate_init(&job->rate, job->rate_per_second / step, tarn_now_ns());
	}
	job_release(job);
}

void
perf_job_measure(void *arg)
{
	struct perf_job *job = arg;

	if (job->running && job->budget != 0)
		job->budget = job->limit;
}

void
perf_job_stop(void *arg)
{
	struct perf_job *job = arg;

	job->budget = 0;
	job_end_if_drained(job);
}

void
perf_job_verify(void *arg)
{
	struct perf_job *job = arg;

	job->running = true;
	job->closing = true;
	job->gated = false;
	job->budget = UINT64_MAX;
	job_release(job);
}

void
perf_job_close(void *arg)
{
	struct perf_job *job = arg;

	if (job->channel != NULL)
		tarn_channel_put(job->channel);
	job->channel = NULL;
	for (uint32_t i = 0; job->slots != NULL && i < job->depth; i++)
		tarn_iobuf_put(job->slots[i].buf);
	free(job->slots);
	free(job->parked);
	perf_verify_fini(&job->verify);
	tarn_iobuf_thread_flush();
	job_report(job, 0);
}
