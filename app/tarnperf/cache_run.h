/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include "cache_job.h"
#include "process.h"
#include "target.h"
#include "tarn/cache_block.h"
#include "tarn/cache_stats.h"

/* A run on a cache, and what it came to. */
struct cache_run {
	const struct perf_opts *opts;
	struct perf_targets targets;
	struct tarn_cache *cache;
	struct cache_job *jobs;
	uint32_t job_count, reactor_count;
	struct tarn_reason reason;
	int status; /* exit status */
	bool measured;

	/* The result. */
	struct perf_cache_counts counts;
	uint64_t lru_access_count, lru_hit_count;
	struct perf_time time;
	double fill_s, open_s;
	struct tarn_cache_info info; /* its strings end with the cache */
	char device_driver[32];
	struct tarn_cache_stats stats;
	uint64_t rss_before_bytes,
	    rss_bytes; /* anonymous memory: before the cache, and at the end */
	bool interrupted;

	/* cache_run.c's own. */
	uint32_t phase, pending_count;
	struct perf_clock clock; /* of the phase */
	uint64_t progress_ns, progress_count;
	struct tarn_poller *tick;
	struct tarn_cache_volume volume;
	struct perf_opts own_opts;
	bool forced; /* to format over what is no cache, as --destroy-data allows */
};

/** As perf_run(), on a cache made or opened on the options' device. \return the exit status. */
int cache_run(struct cache_run *run, const struct perf_opts *opts);
void cache_run_fini(struct cache_run *run);

/* cache_report.c */
void cache_report_text(const struct cache_run *run, FILE *out);
/** \return the text, for free(), or NULL for want of memory. */
char *cache_report_json(const struct cache_run *run);
