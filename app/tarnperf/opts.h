/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "cache_value.h"
#include "tarn/bdev_opts.h"
#include "tarn/reactor.h"
#include "tarn/reason.h"

#define PERF_DEVICE_COUNT_MAX 64

/* With --cache: what is done to it. */
enum perf_cache_load {
	PERF_CACHE_NONE,
	PERF_CACHE_LOAD_STORE,
	PERF_CACHE_LOAD_LOOKUP,
	PERF_CACHE_LOAD_MIXED,
	PERF_CACHE_LOAD_ASIDE, /* lookup, and store what missed */
	PERF_CACHE_BLOCK_READ,
	PERF_CACHE_BLOCK_WRITE,
};

/* What the user asked for. Strings are argv's. */
struct perf_opts {
	/* What to drive: a config's bdevs (all, or those named), or paths by one driver. */
	const char *config;
	const char *bdev_names[PERF_DEVICE_COUNT_MAX];
	uint32_t bdev_name_count;
	const char *paths[PERF_DEVICE_COUNT_MAX];
	uint32_t path_count;
	const char *driver;
	uint64_t device_bytes; /* of null and ram */
	uint64_t create_bytes; /* make absent or empty files of this size */
	struct tarn_bdev_file_opts file;

	/* The load. */
	bool random;
	bool verify_only;
	uint32_t read_percent;
	uint64_t block_bytes;
	uint64_t offset_bytes, length_bytes; /* the part of the device; length 0: to its end */
	uint32_t depth;			     /* I/Os in flight per job */
	uint32_t job_count;		     /* per device and reactor */
	uint32_t batch;	      /* submit so many, wait for all; 0: keep the depth full */
	uint32_t fsync_every; /* writes; 0: never */
	uint64_t rate;	      /* I/Os per second of all jobs; 0: no limit */
	double zipf_theta;    /* 0: uniform */
	uint64_t seed;
	bool verify, fua, background, ignore_errors, destroy_data;

	/* On a cache. */
	enum perf_cache_load cache_load;
	uint64_t key_count; /* or blocks */
	struct perf_sizes value_sizes;
	uint64_t ttl_s, lru_entries;
	uint32_t scan_percent, shard_count, segment_bytes, entry_bytes, checkpoint_s;
	bool cache_sequential, no_fill, format;
	uint32_t volume_id; /* of the blocks; filled in by the run */

	/* Until when; 0: not by this. */
	uint64_t duration_ns, warmup_ns;
	uint64_t total_bytes, total_ios;

	/* How it runs and what it prints. */
	struct tarn_reactor_opts reactors;
	const char *json; /* NULL: text; "-": stdout; otherwise a file beside the text */
	bool progress, quiet, help, version;
};

/** The defaults. */
void perf_opts_init(struct perf_opts *opts);
/**
 * Read the command line.
 * \return 0, or -EINVAL with the reason: an unknown option, a bad value, or options that contradict
 * each other.
 */
int perf_opts_parse(struct perf_opts *opts, int argc, char **argv, struct tarn_reason *reason);
void perf_opts_help(FILE *out);
/** \return "store" and the like. */
const char *perf_opts_cache_name(const struct perf_opts *opts);
/** \return "randread" and the like. */
const char *perf_opts_rw_name(const struct perf_opts *opts);
