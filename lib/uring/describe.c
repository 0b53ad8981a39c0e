/* SPDX-License-Identifier: BSD-3-Clause */
/* What rings tell of themselves: flags in force, and the counters of all rings of one kind. */
#include "lib/uring/internal.h"

static const char *
mode_name(const struct tarn_uring_key *key)
{
	if (key->sqpoll)
		return key->iopoll ? "sqpoll+iopoll" : "sqpoll";
	return key->iopoll ? "iopoll" : "interrupt";
}

static const char *
tristate_name(enum tarn_tristate state)
{
	static const char *const names[] = {
		[TARN_OFF] = "off", [TARN_ON] = "on", [TARN_AUTO] = "auto"
	};

	return names[state];
}

static void
describe_reason(const struct tarn_info_sink *sink, const char *name, const char *reason)
{
	if (reason != NULL && reason[0] != '\0')
		sink->text(sink->arg, name, reason);
}

void
tarn_uring_mode_describe(const struct tarn_uring_mode *mode, const struct tarn_uring_opts *opts,
			 const char *iopoll_reason, const struct tarn_info_sink *sink)
{
	sink->text(sink->arg, "mode", mode_name(&mode->key));
	sink->text(sink->arg, "sqpoll_requested", tristate_name(opts->sqpoll));
	describe_reason(sink, "sqpoll_reason", mode->sqpoll_reason.text);
	sink->text(sink->arg, "iopoll_requested", tristate_name(opts->iopoll));
	describe_reason(sink, "iopoll_reason",
			iopoll_reason != NULL ? iopoll_reason : mode->iopoll_reason.text);
	sink->begin(sink->arg, "ring_flags");
	for (int i = 0; i < TARN_URING_FLAG_COUNT; i++)
		sink->text(sink->arg, uring_flag_name(i),
			   mode->setup.dropped[i] == NULL ? "on" : mode->setup.dropped[i]);
	sink->end(sink->arg);
}

struct ring_totals {
	const struct tarn_uring_key *key;
	uint32_t ring_count;
	uint64_t enters, submits, fetches, reaps, completions, retries, fixed, refused;
	const char *ring_fd_reason, *files_reason, *buffers_reason;
};

static void
totals_add(const struct tarn_uring *ring, void *arg)
{
	const char *buffers_reason = __atomic_load_n(&ring->buffers_reason, __ATOMIC_ACQUIRE);
	struct ring_totals *totals = arg;

	if (!uring_key_equal(&ring->key, totals->key))
		return;
	totals->ring_count++;
	totals->enters += __atomic_load_n(&ring->enter_count, __ATOMIC_RELAXED);
	totals->submits += __atomic_load_n(&ring->submit_count, __ATOMIC_RELAXED);
	totals->fetches += __atomic_load_n(&ring->fetch_count, __ATOMIC_RELAXED);
	totals->reaps += __atomic_load_n(&ring->reap_count, __ATOMIC_RELAXED);
	totals->completions += __atomic_load_n(&ring->complete_count, __ATOMIC_RELAXED);
	totals->retries += __atomic_load_n(&ring->retry_count, __ATOMIC_RELAXED);
	totals->fixed += __atomic_load_n(&ring->fixed_chunk_count, __ATOMIC_RELAXED);
	totals->refused += __atomic_load_n(&ring->refused_chunk_count, __ATOMIC_RELAXED);
	if (ring->ring_fd_reason != NULL)
		totals->ring_fd_reason = ring->ring_fd_reason;
	if (ring->files_reason != NULL)
		totals->files_reason = ring->files_reason;
	if (buffers_reason != NULL)
		totals->buffers_reason = buffers_reason;
}

void
tarn_uring_describe(const struct tarn_uring_key *key, const struct tarn_info_sink *sink)
{
	struct ring_totals totals = { .key = key };

	uring_each(totals_add, &totals);
	/* Of the rings of this mode, which all bdevs that ask for it share. */
	sink->number(sink->arg, "rings", totals.ring_count);
	sink->number(sink->arg, "submissions", totals.enters);
	sink->number(sink->arg, "submitted_ios", totals.submits);
	sink->number(sink->arg, "ios_per_submission_x100",
		     totals.enters > 0 ? totals.submits * 100 / totals.enters : 0);
	/* System calls besides submissions, to have completions shown. */
	sink->number(sink->arg, "fetches", totals.fetches);
	sink->number(sink->arg, "reaps", totals.reaps);
	sink->number(sink->arg, "completions", totals.completions);
	sink->number(sink->arg, "completions_per_reap_x100",
		     totals.reaps > 0 ? totals.completions * 100 / totals.reaps : 0);
	sink->number(sink->arg, "retries", totals.retries);
	sink->number(sink->arg, "fixed_buffer_chunks", totals.fixed);
	sink->number(sink->arg, "refused_buffer_chunks", totals.refused);
	describe_reason(sink, "fixed_buffers_reason", totals.buffers_reason);
	describe_reason(sink, "fixed_files_reason", totals.files_reason);
	describe_reason(sink, "registered_ring_fd_reason", totals.ring_fd_reason);
}
