/* SPDX-License-Identifier: BSD-3-Clause */
/* The command line's part about caches: see opts.c. */
#include "opts_cache.h"

#include <errno.h>
#include <string.h>

#include "opts_value.h"
#include "tarn/util.h"

static const char *const cache_loads[] = {
	[PERF_CACHE_LOAD_STORE] = "store",	[PERF_CACHE_LOAD_LOOKUP] = "lookup",
	[PERF_CACHE_LOAD_MIXED] = "mixed",	[PERF_CACHE_LOAD_ASIDE] = "aside",
	[PERF_CACHE_BLOCK_READ] = "block-read", [PERF_CACHE_BLOCK_WRITE] = "block-write",
};

const char *
perf_opts_cache_name(const struct perf_opts *opts)
{
	return cache_loads[opts->cache_load];
}

int
perf_set_cache(struct perf_opts *opts, const char *value)
{
	for (size_t i = PERF_CACHE_LOAD_STORE; i < tarn_array_count(cache_loads); i++) {
		if (strcmp(value, cache_loads[i]) != 0)
			continue;
		opts->cache_load = (enum perf_cache_load)i;
		opts->read_percent = 50; /* it writes, in any case; of mixed, the lookups */
		return 0;
	}
	return -EINVAL;
}

int
perf_set_value_size(struct perf_opts *opts, const char *value)
{
	return perf_sizes_parse(value, &opts->value_sizes);
}

static int
set_u32_size(const char *value, uint32_t *ret)
{
	uint64_t size;
	int rc = perf_value_size(value, &size);

	if (rc == 0 && size > UINT32_MAX)
		rc = -ERANGE;
	if (rc == 0)
		*ret = (uint32_t)size;
	return rc;
}

int
perf_set_segment(struct perf_opts *opts, const char *value)
{
	return set_u32_size(value, &opts->segment_bytes);
}

int
perf_set_entry(struct perf_opts *opts, const char *value)
{
	return set_u32_size(value, &opts->entry_bytes);
}

int
perf_check_cache(const struct perf_opts *opts, struct tarn_reason *reason)
{
	bool blocks =
	    opts->cache_load == PERF_CACHE_BLOCK_READ || opts->cache_load == PERF_CACHE_BLOCK_WRITE;

	if (opts->cache_load == PERF_CACHE_NONE) {
		if (opts->lru_entries != 0 || opts->ttl_s != 0 || opts->scan_percent != 0)
			return tarn_reason_set(reason, -EINVAL, "--%s: there is no --cache",
					       opts->lru_entries != 0 ? "lru"
					       : opts->ttl_s != 0     ? "ttl"
								      : "scan-percent");
		return 0;
	}
	if (opts->key_count == 0 || opts->key_count > UINT64_C(1) << 32)
		return tarn_reason_set(reason, -EINVAL, "--keys: not within 1 to 2^32");
	if (opts->scan_percent > 100)
		return tarn_reason_set(reason, -EINVAL, "--scan-percent: more than 100");
	if (opts->verify_only || opts->fsync_every != 0 || opts->fua || opts->rate != 0 ||
	    opts->total_bytes != 0)
		return tarn_reason_set(reason, -EINVAL,
				       "--cache: not with --rw verify, --fsync-every, --fua, "
				       "--rate or --bytes");
	if (blocks && opts->batch != 0)
		return tarn_reason_set(reason, -EINVAL, "--batch: not with %s",
				       perf_opts_cache_name(opts));
	if (opts->lru_entries != 0 && opts->job_count != 1)
		return tarn_reason_set(reason, -EINVAL, "--lru: with one job only");
	if (strcmp(opts->driver, "null") == 0)
		return tarn_reason_set(reason, -EINVAL, "--cache: driver null keeps nothing");
	return 0;
}
