/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Measuring the drivers on a device. For each candidate in turn:
 *
 *   candidate_start: create a bdev, open it --> phase_start: depth 1, then queue_depth
 *   --> phase_end --> candidate_end: close, delete --> next candidate ... --> report
 *
 * Each phase keeps its depth of random reads in flight until its time is over, and counts those
 * that end after the first tenth of it.
 */
#include "tarn/bdev_probe.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "tarn/bdev_driver.h"
#include "tarn/bdev_nvme.h"
#include "tarn/env.h"
#include "tarn/util.h"

#define PROBE_BDEV_NAME "tarn_probe"
#define PROBE_WORKER_COUNT 4

static const struct candidate {
	const char *driver, *mode;
	enum tarn_tristate sqpoll, iopoll;
	uint32_t worker_count;
} candidates[] = {
	{ .driver = "uring", .mode = "" },
	{ .driver = "uring", .mode = "sqpoll", .sqpoll = TARN_ON },
	{ .driver = "uring", .mode = "iopoll", .iopoll = TARN_ON },
	{ .driver = "uring_cmd", .mode = "" },
	{ .driver = "uring_cmd", .mode = "iopoll", .iopoll = TARN_ON },
	{ .driver = "aio", .mode = "" },
	{ .driver = "sync", .mode = "" },
	{ .driver = "sync", .mode = "workers 4", .worker_count = PROBE_WORKER_COUNT },
};
_Static_assert(sizeof(candidates) / sizeof(candidates[0]) <= TARN_PROBE_RESULT_MAX, "room");

struct probe;
struct probe_slot {
	struct probe *probe;
	struct tarn_io io;
	void *buf;
	uint64_t submit_ns;
};

struct probe {
	struct tarn_bdev_probe_opts opts;
	char *filename;
	struct tarn_nvme_nodes nodes; /* of an NVMe namespace; empty: it is none */
	tarn_bdev_probe_cb cb;
	void *cb_arg;
	struct tarn_bdev_probe_report report;
	/* The candidate. */
	struct tarn_bdev *bdev;
	struct tarn_bdev_desc *desc;
	struct tarn_channel *channel;
	uint64_t block_count;
	/* The phase. */
	bool deep;
	bool cancelled;
	uint32_t inflight_count;
	uint64_t from_ns, end_ns, last_ns, read_count, latency_ns, cpu_ns;
	uint64_t random;
	struct probe_slot slot[TARN_PROBE_DEPTH_MAX];
};

static struct probe *running;

static void candidate_start(struct probe *probe);
static void phase_end(struct probe *probe);

static struct tarn_bdev_probe_result *
current(struct probe *probe)
{
	return &probe->report.result[probe->report.count];
}

/* xorshift64*: Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled",
 * 2014. */
static uint64_t
random_next(struct probe *probe)
{
	probe->random ^= probe->random >> 12;
	probe->random ^= probe->random << 25;
	probe->random ^= probe->random >> 27;
	return probe->random * UINT64_C(2685821657736338717);
}

static uint64_t
process_cpu_ns(void)
{
	struct rusage usage;

	(void)getrusage(RUSAGE_SELF, &usage);
	return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000000 +
	       (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000;
}

/* --- The end --- */

static int
fastest(const struct tarn_bdev_probe_report *report, bool deep)
{
	uint64_t most = 0;
	int index = -1;

	for (uint32_t i = 0; i < report->count; i++) {
		const struct tarn_bdev_probe_result *result = &report->result[i];
		uint64_t ios = deep ? result->deep.ios_per_s : result->single.ios_per_s;

		if (result->status == 0 && ios > most) {
			most = ios;
			index = (int)i;
		}
	}
	return index;
}

static void
probe_free(struct probe *probe)
{
	for (size_t i = 0; i < tarn_array_count(probe->slot); i++)
		tarn_iobuf_put(probe->slot[i].buf);
	free(probe->filename);
	free(probe);
}

static void
finish(struct probe *probe)
{
	running = NULL;
	probe->report.fastest = fastest(&probe->report, true);
	probe->report.fastest_single = fastest(&probe->report, false);
	probe->cb(probe->cb_arg, probe->cancelled ? -ECANCELED : 0, &probe->report);
	probe_free(probe);
}

static void
next_candidate(struct probe *probe)
{
	probe->report.count++;
	if (probe->report.count < tarn_array_count(candidates) && !probe->cancelled)
		candidate_start(probe);
	else
		finish(probe);
}

static void
candidate_deleted(void *arg, int status)
{
	tarn_assert(status == 0); /* closed above, and opened by nobody else */
	next_candidate(arg);
}

static void
candidate_end(struct probe *probe)
{
	if (probe->channel != NULL)
		tarn_channel_put(probe->channel);
	if (probe->desc != NULL)
		tarn_bdev_close(probe->desc);
	probe->channel = NULL;
	probe->desc = NULL;
	/* By force: a curious client may have opened it meanwhile. */
	tarn_bdev_delete(probe->bdev, true, candidate_deleted, probe);
}

/* --- One phase --- */

static void slot_done(void *arg, int status);

static void
slot_submit(struct probe_slot *slot)
{
	struct probe *probe = slot->probe;
	uint64_t block = random_next(probe) % probe->block_count;

	probe->inflight_count++;
	slot->submit_ns = tarn_now_ns();
	tarn_bdev_read(probe->channel, &slot->io, slot->buf, probe->report.block_size,
		       block * probe->report.block_size, 0, slot_done, slot);
}

static void
slot_done(void *arg, int status)
{
	struct probe_slot *slot = arg;
	struct probe *probe = slot->probe;
	uint64_t now_ns = tarn_now_ns();

	probe->inflight_count--;
	if (status != 0 && current(probe)->status == 0) {
		current(probe)->status =
		    tarn_reason_set(&current(probe)->reason, status, "a read of %s failed: %s",
				    probe->filename, strerror(-status));
		probe->end_ns = now_ns;
	}
	if (now_ns >= probe->from_ns) {
		if (probe->read_count == 0)
			probe->cpu_ns = process_cpu_ns();
		probe->read_count++;
		probe->latency_ns += now_ns - slot->submit_ns;
		probe->last_ns = now_ns;
	}
	if (now_ns < probe->end_ns)
		slot_submit(slot);
	else if (probe->inflight_count == 0)
		phase_end(probe);
}

static void
phase_start(struct probe *probe, bool deep)
{
	uint64_t now_ns = tarn_now_ns();
	uint64_t duration_ns = (uint64_t)probe->report.duration_ms * 1000000;
	uint32_t depth = deep ? probe->report.queue_depth : 1;

	probe->deep = deep;
	probe->from_ns = now_ns + duration_ns / 10;
	probe->end_ns = now_ns + duration_ns;
	probe->read_count = 0;
	probe->latency_ns = 0;
	for (uint32_t i = 0; i < depth; i++)
		slot_submit(&probe->slot[i]);
}

static void
phase_end(struct probe *probe)
{
	struct tarn_bdev_probe_result *result = current(probe);
	struct tarn_bdev_probe_figures *figures = probe->deep ? &result->deep : &result->single;
	uint64_t took_ns = tarn_max_u64(probe->last_ns - probe->from_ns, 1);

	if (probe->read_count > 0 && result->status == 0) {
		figures->ios_per_s = (uint64_t)((double)probe->read_count * 1e9 / (double)took_ns);
		figures->mean_latency_ns = probe->latency_ns / probe->read_count;
		figures->cpu_ns_per_io = (process_cpu_ns() - probe->cpu_ns) / probe->read_count;
	}
	if (!probe->deep && result->status == 0 && !probe->cancelled)
		phase_start(probe, true);
	else
		candidate_end(probe);
}

/* --- The beginning --- */

/*
 * The character device of an NVMe namespace is for passthrough; the others read its block device.
 */
static const char *
filename_for(const struct probe *probe, const struct candidate *candidate)
{
	if (probe->nodes.block[0] == '\0' || strcmp(candidate->driver, "uring_cmd") == 0)
		return probe->filename;
	return probe->nodes.block;
}

static int
candidate_open(struct probe *probe)
{
	const struct candidate *candidate = &candidates[probe->report.count];
	struct tarn_bdev_probe_result *result = current(probe);
	struct tarn_bdev_file_opts opts = {
		.filename = filename_for(probe, candidate),
		.read_only = true,
		.shared = true,
		.buffered = probe->opts.buffered,
		.sqpoll = candidate->sqpoll,
		.sqpoll_cpu = -1,
		.iopoll = candidate->iopoll,
		.worker_count = candidate->worker_count,
		.common.queue_depth = TARN_PROBE_DEPTH_MAX,
	};

	result->driver = candidate->driver;
	result->mode = candidate->mode;
	return tarn_bdev_create(candidate->driver, PROBE_BDEV_NAME, &opts, &probe->bdev,
				&result->reason);
}

static int
candidate_prepare(struct probe *probe)
{
	struct tarn_reason *reason = &current(probe)->reason;
	struct tarn_bdev_info info;
	int status;

	tarn_bdev_get_info(probe->bdev, &info);
	probe->block_count = info.size_bytes / probe->report.block_size;
	if (probe->report.block_size % info.block_size != 0 || probe->block_count == 0)
		return tarn_reason_set(reason, -EINVAL,
				       "block_size: reads of %u bytes do not fit %s (block %u, "
				       "size %llu bytes)",
				       probe->report.block_size, probe->filename, info.block_size,
				       (unsigned long long)info.size_bytes);
	status = tarn_bdev_open(PROBE_BDEV_NAME, false, NULL, NULL, &probe->desc);
	if (status == 0)
		status = tarn_channel_get(probe->desc, &probe->channel);
	if (status != 0)
		return tarn_reason_set(reason, status, "cannot open a channel: %s",
				       strerror(-status));
	return 0;
}

static void
candidate_start(struct probe *probe)
{
	struct tarn_bdev_probe_result *result = current(probe);

	result->status = candidate_open(probe);
	if (result->status != 0) {
		next_candidate(probe); /* at most as deep as there are candidates */
		return;
	}
	result->status = candidate_prepare(probe);
	if (result->status != 0)
		candidate_end(probe);
	else
		phase_start(probe, false);
}

static void
start(void *arg)
{
	struct probe *probe = arg;

	if (probe->cancelled)
		finish(probe);
	else
		candidate_start(probe);
}

void
tarn_bdev_probe_cancel(void)
{
	tarn_assert(tarn_on_control_reactor());
	if (running == NULL)
		return;
	running->cancelled = true;
	running->end_ns = 0; /* each read in flight is the last of its slot */
}

static int
check_opts(const struct tarn_bdev_probe_opts *opts, struct tarn_reason *reason)
{
	if (opts->filename == NULL || opts->filename[0] == '\0')
		return tarn_reason_set(reason, -EINVAL, "filename: it must not be empty");
	if (opts->queue_depth > TARN_PROBE_DEPTH_MAX)
		return tarn_reason_set(reason, -EINVAL, "queue_depth: %u is more than %u",
				       opts->queue_depth, TARN_PROBE_DEPTH_MAX);
	if (opts->duration_ms > TARN_PROBE_DURATION_MS_MAX)
		return tarn_reason_set(reason, -EINVAL, "duration_ms: %u is more than %u",
				       opts->duration_ms, TARN_PROBE_DURATION_MS_MAX);
	if (opts->block_size > (1u << 20) || opts->block_size % 512 != 0)
		return tarn_reason_set(reason, -EINVAL,
				       "block_size: %u is not a multiple of 512 up to 1 MiB",
				       opts->block_size);
	if (running != NULL)
		return tarn_reason_set(reason, -EBUSY, "another probe runs (of %s): wait for it",
				       running->filename);
	return 0;
}

static int
probe_alloc(const struct tarn_bdev_probe_opts *opts, struct probe **ret_probe)
{
	struct probe *probe = calloc(1, sizeof(*probe));

	if (probe == NULL)
		return -ENOMEM;
	probe->opts = *opts;
	probe->report.queue_depth = opts->queue_depth != 0 ? opts->queue_depth : 32;
	probe->report.block_size = opts->block_size != 0 ? opts->block_size : 4096;
	probe->report.duration_ms = opts->duration_ms != 0 ? opts->duration_ms : 200;
	probe->random = 1;
	probe->filename = strdup(opts->filename);
	if (probe->filename == NULL)
		goto free_probe;
	(void)tarn_nvme_nodes_find(probe->filename, &probe->nodes, NULL);
	for (uint32_t i = 0; i < probe->report.queue_depth; i++) {
		probe->slot[i].probe = probe;
		probe->slot[i].buf = tarn_iobuf_get(probe->report.block_size);
		if (probe->slot[i].buf == NULL)
			goto free_probe;
	}
	*ret_probe = probe;
	return 0;

free_probe:
	probe_free(probe);
	return -ENOMEM;
}

int
tarn_bdev_probe(const struct tarn_bdev_probe_opts *opts, tarn_bdev_probe_cb cb, void *arg,
		struct tarn_reason *ret_reason)
{
	struct probe *probe;
	int status = check_opts(opts, ret_reason);

	tarn_assert(tarn_on_control_reactor());
	if (status != 0)
		return status;
	if (probe_alloc(opts, &probe) != 0)
		return tarn_reason_set(ret_reason, -ENOMEM, "no memory to probe %s",
				       opts->filename);
	probe->cb = cb;
	probe->cb_arg = arg;
	/* Not from within this call: the callback comes later also where no driver works. */
	if (tarn_reactor_call(tarn_reactor_get(0), start, probe) != 0) {
		probe_free(probe);
		return tarn_reason_set(ret_reason, -ENOMEM, "no memory to probe %s",
				       opts->filename);
	}
	running = probe;
	return 0;
}
