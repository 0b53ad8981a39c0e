/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The load on a cache. As in job.c a slot is one operation that goes round; what differs is that
 * time is taken here, from the call to its callback, since that is what a user of a cache waits
 * for. A lookup that missed under `aside` becomes the store of what it missed.
 */
#include "cache_job.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cache_value.h"
#include "tarn/cache_block.h"
#include "tarn/env.h"
#include "tarn/util.h"

struct cache_slot {
	struct tarn_cache_op op;
	struct tarn_cache_block_req req;
	struct cache_job *job;
	void *buf;
	struct iovec iov;
	uint64_t number, start_ns;
	bool store;
	char key[PERF_KEY_BYTES];
} __attribute__((aligned(TARN_CACHE_LINE_BYTES)));

static void slot_next(struct cache_slot *slot);

static void
report_done(void *arg)
{
	struct cache_job *job = arg;

	job->done(job, job->status);
}

static void
job_report(struct cache_job *job, int status)
{
	job->status = status;
	tarn_msg_send(tarn_reactor_get(0), &job->done_msg, report_done, job);
}

static bool
is_block_load(const struct perf_opts *opts)
{
	return opts->cache_load == PERF_CACHE_BLOCK_READ ||
	       opts->cache_load == PERF_CACHE_BLOCK_WRITE;
}

/* --- What comes next --- */

static uint64_t
choose_number(struct cache_job *job)
{
	const struct perf_opts *opts = job->opts;
	uint64_t number;

	if (job->filling || opts->cache_sequential) {
		number = job->next_key;
		job->next_key += job->job_count;
		if (job->next_key >= job->last_key && !job->filling)
			job->next_key = job->number;
		return number;
	}
	if (opts->scan_percent != 0 && perf_random_below(&job->random, 100) < opts->scan_percent) {
		/* Behind the others' keys, and each once in a long while. */
		number = opts->key_count + job->scan_key;
		job->scan_key = (job->scan_key + 1) % opts->key_count;
		return number;
	}
	if (opts->zipf_theta != 0)
		return perf_zipf_scatter(&job->zipf, perf_zipf_rank(&job->zipf, &job->random));
	return perf_random_below(&job->random, opts->key_count);
}

static bool
choose_store(struct cache_job *job)
{
	if (job->filling)
		return true;
	switch (job->opts->cache_load) {
	case PERF_CACHE_LOAD_STORE:
	case PERF_CACHE_BLOCK_WRITE:
		return true;
	case PERF_CACHE_LOAD_MIXED:
		return perf_random_below(&job->random, 100) >= job->opts->read_percent;
	default:
		return false;
	}
}

/* --- What has ended --- */

static void
count(struct cache_job *job, const struct cache_slot *slot, enum perf_cache_op op, uint64_t bytes)
{
	uint64_t ns = tarn_now_unordered_ns() - slot->start_ns;

	if (!job->counting)
		return;
	job->counts.count[op]++;
	job->counts.bytes[op] += bytes;
	job->counts.latency_ns[op] += ns;
	tarn_histogram_add(&job->counts.histogram[op], ns);
}

static void
slot_failed(struct cache_slot *slot, int status)
{
	struct cache_job *job = slot->job;

	if (slot->store && status == -ENOSPC) {
		job->counts.rejected_count += job->counting;
		return;
	}
	job->counts.error_count++;
	if (job->counts.first_error == 0)
		job->counts.first_error = status;
}

static void
slot_check(struct cache_slot *slot, const void *value, uint64_t bytes)
{
	struct cache_job *job = slot->job;

	if (!job->opts->verify)
		return;
	job->counts.checked_count++;
	if (bytes != (is_block_load(job->opts)
			  ? TARN_CACHE_BLOCK_BYTES
			  : perf_sizes_of(&job->opts->value_sizes, slot->number)) ||
	    !perf_value_check(value, bytes, slot->number))
		job->counts.wrong_count++;
}

static void store_object(struct cache_slot *slot);

static void
object_done(struct tarn_cache_op *op)
{
	struct cache_slot *slot = op->arg;
	struct cache_job *job = slot->job;
	bool missed = !slot->store && op->status == -ENOENT;

	job->done_count++;
	if (op->status == 0)
		count(job, slot, slot->store ? PERF_CACHE_STORE : PERF_CACHE_HIT,
		      slot->store ? op->buf_bytes : op->result_bytes);
	else if (missed)
		count(job, slot, PERF_CACHE_MISS, 0);
	else
		slot_failed(slot, op->status);
	if (op->status == 0 && !slot->store) {
		slot_check(slot, op->lent, op->result_bytes);
		tarn_cache_release(op);
	}
	if (missed && job->opts->cache_load == PERF_CACHE_LOAD_ASIDE) {
		slot->store = true;
		store_object(slot);
		tarn_cache_store(op);
		return;
	}
	slot_next(slot);
}

static void
block_done(struct tarn_cache_block_req *req)
{
	struct cache_slot *slot = req->arg;
	struct cache_job *job = slot->job;

	job->done_count++;
	if (req->status != 0) {
		slot_failed(slot, req->status);
	} else if (slot->store) {
		count(job, slot, PERF_CACHE_STORE, TARN_CACHE_BLOCK_BYTES);
	} else if (req->hit[0] & 1) {
		count(job, slot, PERF_CACHE_HIT, TARN_CACHE_BLOCK_BYTES);
		slot_check(slot, slot->buf, TARN_CACHE_BLOCK_BYTES);
	} else {
		count(job, slot, PERF_CACHE_MISS, 0);
	}
	slot_next(slot);
}

/* --- Issuing --- */

static void
store_object(struct cache_slot *slot)
{
	struct cache_job *job = slot->job;
	struct tarn_cache_op *op = &slot->op;

	op->flags = 0;
	op->buf = slot->buf;
	op->buf_bytes = perf_sizes_of(&job->opts->value_sizes, slot->number);
	op->ttl_s = (int64_t)job->opts->ttl_s;
	if (job->opts->verify)
		perf_value_fill(slot->buf, op->buf_bytes, slot->number, ++job->generation);
	slot->start_ns = tarn_now_unordered_ns();
}

static void
prepare_object(struct cache_slot *slot)
{
	struct tarn_cache_op *op = &slot->op;

	op->cache = slot->job->cache;
	op->key = slot->key;
	op->key_bytes = PERF_KEY_BYTES;
	op->cb = object_done;
	op->arg = slot;
	perf_key_fill(slot->key, slot->number);
	if (slot->store) {
		store_object(slot);
		return;
	}
	op->flags = TARN_CACHE_LEND;
	op->buf = NULL;
	op->buf_bytes = 0;
	op->offset_bytes = 0;
	slot->start_ns = tarn_now_unordered_ns();
}

static void
issue_block(struct cache_slot *slot)
{
	struct cache_job *job = slot->job;
	struct tarn_cache_block_req *req = &slot->req;

	slot->iov = (struct iovec){ slot->buf, TARN_CACHE_BLOCK_BYTES };
	req->cache = job->cache;
	req->kind = slot->store ? TARN_CACHE_BLOCK_STORE : TARN_CACHE_BLOCK_LOOKUP;
	req->flags = slot->store && job->opts->cache_load == PERF_CACHE_BLOCK_WRITE
			 ? TARN_CACHE_BLOCK_DIRTY
			 : 0;
	req->block_count = 1;
	req->volume_id = job->opts->volume_id;
	req->first_block = slot->number;
	req->iov = &slot->iov;
	req->iov_count = 1;
	req->cb = block_done;
	req->arg = slot;
	if (slot->store && job->opts->verify)
		perf_value_fill(slot->buf, TARN_CACHE_BLOCK_BYTES, slot->number, ++job->generation);
	slot->start_ns = tarn_now_unordered_ns();
	tarn_cache_block_submit(req);
}

/* A number and an operation for a slot, within the budget. */
static void
choose(struct cache_slot *slot)
{
	struct cache_job *job = slot->job;

	job->budget--;
	slot->number = choose_number(job);
	if (job->lru.next != NULL && !job->filling)
		perf_lru_access(&job->lru, slot->number);
}

static void
issue(struct cache_slot *slot)
{
	struct cache_job *job = slot->job;

	choose(slot);
	slot->store = choose_store(job);
	if (is_block_load(job->opts)) {
		issue_block(slot);
		return;
	}
	prepare_object(slot);
	if (slot->store)
		tarn_cache_store(&slot->op);
	else
		tarn_cache_lookup(&slot->op);
}

static void
issue_batch(struct cache_job *job)
{
	uint32_t batch = (uint32_t)tarn_min_u64(job->parked_count, job->budget);
	bool store = choose_store(job);

	job->parked_count -= batch;
	for (uint32_t i = 0; i < batch; i++) {
		struct cache_slot *slot = job->parked[job->parked_count + i];

		choose(slot);
		slot->store = store;
		prepare_object(slot);
		job->ops[i] = &slot->op;
	}
	tarn_cache_submit(job->ops, batch, store ? TARN_CACHE_STORE : TARN_CACHE_LOOKUP);
}

static void
go_on(struct cache_job *job)
{
	uint32_t step = job->opts->batch != 0 ? job->opts->depth : 1;

	while (job->budget != 0 && job->parked_count >= step) {
		if (job->opts->batch != 0)
			issue_batch(job);
		else
			issue(job->parked[--job->parked_count]);
	}
	if (job->running && job->budget == 0 && job->parked_count == job->opts->depth) {
		job->running = false;
		job_report(job, 0);
	}
}

static void
slot_next(struct cache_slot *slot)
{
	struct cache_job *job = slot->job;

	if (tarn_likely(job->budget != 0 && job->opts->batch == 0)) {
		issue(slot);
		return;
	}
	job->parked[job->parked_count++] = slot;
	go_on(job);
}

/* --- Commands --- */

static int
slots_make(struct cache_job *job)
{
	uint32_t depth = job->opts->depth;
	uint64_t bytes = is_block_load(job->opts)
			     ? TARN_CACHE_BLOCK_BYTES
			     : tarn_align_up(perf_sizes_max(&job->opts->value_sizes), 8);

	job->slots = aligned_alloc(TARN_CACHE_LINE_BYTES, sizeof(*job->slots) * depth);
	job->parked = calloc(depth, sizeof(struct cache_slot *));
	job->ops = calloc(depth, sizeof(struct tarn_cache_op *));
	if (job->slots == NULL || job->parked == NULL || job->ops == NULL)
		return -ENOMEM;
	memset(job->slots, 0, sizeof(*job->slots) * depth);
	for (uint32_t i = 0; i < depth; i++) {
		job->slots[i].job = job;
		job->slots[i].buf = tarn_iobuf_get(bytes);
		if (job->slots[i].buf == NULL)
			return -ENOMEM;
		perf_value_fill(job->slots[i].buf, bytes, i, job->number);
		job->parked[job->parked_count++] = &job->slots[i];
	}
	return 0;
}

void
cache_job_open(void *arg)
{
	struct cache_job *job = arg;
	const struct perf_opts *opts = job->opts;
	int rc = 0;

	perf_random_init(&job->random, perf_random_mix(opts->seed) + job->number);
	if (opts->zipf_theta != 0)
		perf_zipf_init(&job->zipf, opts->key_count, opts->zipf_theta);
	if (opts->lru_entries != 0)
		rc = perf_lru_init(&job->lru, 2 * opts->key_count, opts->lru_entries);
	job_report(job, rc != 0 ? rc : slots_make(job));
}

void
cache_job_fill(void *arg)
{
	struct cache_job *job = arg;
	uint64_t keys = job->opts->key_count;

	job->filling = job->running = true;
	job->next_key = job->number;
	job->budget = keys / job->job_count + (job->number < keys % job->job_count);
	go_on(job);
}

void
cache_job_start(void *arg)
{
	struct cache_job *job = arg;

	job->filling = false;
	job->running = true;
	job->next_key = job->number;
	job->last_key = job->opts->key_count;
	job->counting = job->opts->warmup_ns == 0;
	job->budget = job->counting ? job->limit : UINT64_MAX;
	go_on(job);
}

void
cache_job_measure(void *arg)
{
	struct cache_job *job = arg;

	job->counting = true;
	job->lru.access_count = job->lru.hit_count = 0;
	if (job->budget != 0)
		job->budget = job->limit;
}

void
cache_job_stop(void *arg)
{
	struct cache_job *job = arg;

	job->counting = false;
	job->budget = 0;
	go_on(job);
}

void
cache_job_close(void *arg)
{
	struct cache_job *job = arg;

	for (uint32_t i = 0; job->slots != NULL && i < job->opts->depth; i++)
		tarn_iobuf_put(job->slots[i].buf);
	free(job->slots);
	free(job->parked);
	free(job->ops);
	perf_lru_fini(&job->lru);
	tarn_iobuf_thread_flush();
	job_report(job, 0);
}
