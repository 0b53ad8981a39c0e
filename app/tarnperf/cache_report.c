/* SPDX-License-Identifier: BSD-3-Clause */
/* The result of a run on a cache, for people and for programs. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>

#include "cache_run.h"
#include "describe.h"
#include "report.h"
#include "tarn/util.h"

static const char *const op_names[] = { "hit", "miss", "store" };

static double
ratio(double part, double whole)
{
	return whole > 0 ? part / whole : 0;
}

static uint64_t
operations(const struct cache_run *run)
{
	uint64_t count = 0;

	for (int op = 0; op < PERF_CACHE_OP_COUNT; op++)
		count += run->counts.count[op];
	return count;
}

static double
hit_ratio(const struct cache_run *run)
{
	const uint64_t *count = run->counts.count;

	return ratio((double)count[PERF_CACHE_HIT],
		     (double)(count[PERF_CACHE_HIT] + count[PERF_CACHE_MISS]));
}

static void
text_op(const struct cache_run *run, int op, FILE *out)
{
	const struct perf_cache_counts *counts = &run->counts;
	const double percents[] = { 50, 90, 99, 99.9, 99.99 };

	if (counts->count[op] == 0)
		return;
	fprintf(out, "  %-6s %.0f/s, %.1f MiB/s\n         latency us: mean %.2f", op_names[op],
		ratio((double)counts->count[op], run->duration_s),
		ratio((double)counts->bytes[op] / 0x1p20, run->duration_s),
		ratio((double)counts->latency_ns[op], (double)counts->count[op]) / 1e3);
	for (size_t i = 0; i < tarn_array_count(percents); i++)
		fprintf(out, ", p%g %.2f", percents[i],
			(double)tarn_histogram_percentile_ns(&counts->histogram[op], percents[i]) /
			    1e3);
	fputc('\n', out);
}

void
cache_report_text(const struct cache_run *run, FILE *out)
{
	const struct tarn_cache_gauges *now = &run->stats.now;
	double cpu_s = run->user_s + run->system_s, count = (double)operations(run);

	fprintf(out,
		"cache %s of %" PRIu64 " keys, depth %u, %u job%s, %u CPU%s, %.2f s%s\n"
		"  on a cache of %.1f GiB by %s, %u shards, %s in %.3f s\n",
		perf_opts_cache_name(run->opts), run->opts->key_count, run->opts->depth,
		run->job_count, run->job_count == 1 ? "" : "s", run->reactor_count,
		run->reactor_count == 1 ? "" : "s", run->duration_s,
		run->interrupted ? ", interrupted" : "", (double)run->info.data_bytes / 0x1p30,
		run->device_driver, run->info.shard_count,
		run->info.formatted	? "formatted"
		: run->info.clean_start ? "opened"
					: "recovered",
		run->open_s);
	for (int op = 0; op < PERF_CACHE_OP_COUNT; op++)
		text_op(run, op, out);
	if (run->counts.count[PERF_CACHE_HIT] + run->counts.count[PERF_CACHE_MISS] != 0)
		fprintf(out, "  hits   %.2f %% of lookups\n", 100 * hit_ratio(run));
	if (run->lru_access_count != 0)
		fprintf(out, "  LRU    %.2f %%, simulated with %" PRIu64 " entries\n",
			100 * ratio((double)run->lru_hit_count, (double)run->lru_access_count),
			run->opts->lru_entries);
	fprintf(out,
		"  CPU    %.3f us per operation (user %.3f, system %.3f), %.0f %% of one CPU\n",
		ratio(cpu_s * 1e6, count), ratio(run->user_s * 1e6, count),
		ratio(run->system_s * 1e6, count), 100 * ratio(cpu_s, run->duration_s));
	fprintf(out,
		"  cache  %" PRIu64 " entries, %" PRIu64 " dirty; %" PRIu64
		" appended again, %" PRIu64 " dropped; write amplification %.2f\n",
		now->entry_count, now->dirty_count, run->stats.total.reappended_count,
		run->stats.total.dropped_count,
		ratio((double)run->stats.total.log_bytes, (double)run->stats.total.store_bytes));
	if (run->counts.rejected_count != 0)
		fprintf(out, "         %" PRIu64 " stores refused for want of space\n",
			run->counts.rejected_count);
	if (run->counts.error_count != 0)
		fprintf(out, "         %" PRIu64 " FAILED\n", run->counts.error_count);
	if (run->opts->verify)
		fprintf(out, "  verify %" PRIu64 " values checked, %" PRIu64 " wrong\n",
			run->counts.checked_count, run->counts.wrong_count);
}

/* --- JSON --- */

static void
add_op(const struct cache_run *run, int op, cJSON *root)
{
	static const struct {
		const char *name;
		double percent;
	} percentiles[] = { { "p50", 50 }, { "p90", 90 },     { "p95", 95 },
			    { "p99", 99 }, { "p99_9", 99.9 }, { "p99_99", 99.99 } };
	const struct perf_cache_counts *counts = &run->counts;
	cJSON *object = cJSON_AddObjectToObject(root, op_names[op]), *latency;

	perf_describe_add_u64(object, "count", counts->count[op]);
	perf_describe_add_u64(object, "bytes", counts->bytes[op]);
	cJSON_AddNumberToObject(object, "per_s", ratio((double)counts->count[op], run->duration_s));
	latency = cJSON_AddObjectToObject(object, "latency_us");
	cJSON_AddNumberToObject(latency, "mean",
				ratio((double)counts->latency_ns[op], (double)counts->count[op]) /
				    1e3);
	for (size_t i = 0; i < tarn_array_count(percentiles); i++)
		cJSON_AddNumberToObject(latency, percentiles[i].name,
					(double)tarn_histogram_percentile_ns(
					    &counts->histogram[op], percentiles[i].percent) /
					    1e3);
}

static void
add_cache(const struct cache_run *run, cJSON *root)
{
	const struct tarn_cache_counters *total = &run->stats.total;
	const struct tarn_cache_gauges *now = &run->stats.now;
	cJSON *object = cJSON_AddObjectToObject(root, "cache");

	perf_describe_add_u64(object, "device_bytes", run->info.device_bytes);
	perf_describe_add_u64(object, "data_bytes", run->info.data_bytes);
	perf_describe_add_u64(object, "shards", run->info.shard_count);
	perf_describe_add_u64(object, "segment_bytes", run->info.segment_bytes);
	perf_describe_add_u64(object, "index_bytes", run->info.index_bytes);
	perf_describe_add_u64(object, "index_slots", run->info.index_slot_count);
	perf_describe_add_u64(object, "ram_bytes", now->ram_bytes);
	cJSON_AddBoolToObject(object, "formatted", run->info.formatted);
	cJSON_AddBoolToObject(object, "clean_start", run->info.clean_start);
	cJSON_AddBoolToObject(object, "checkpoint_used", run->info.checkpoint_used);
	perf_describe_add_u64(object, "recovery_us", run->info.recovery_us);
	perf_describe_add_u64(object, "recovered_entries", run->info.recovered_entries);
	cJSON_AddNumberToObject(object, "open_s", run->open_s);
	perf_describe_add_u64(object, "entries", now->entry_count);
	perf_describe_add_u64(object, "dirty", now->dirty_count);
	perf_describe_add_u64(object, "log_bytes", total->log_bytes);
	perf_describe_add_u64(object, "store_bytes", total->store_bytes);
	perf_describe_add_u64(object, "reappended", total->reappended_count);
	perf_describe_add_u64(object, "dropped", total->dropped_count);
	perf_describe_add_u64(object, "throttled", total->throttled_count);
	perf_describe_add_u64(object, "batches", total->batch_count);
	perf_describe_add_u64(object, "flushes", total->flush_count);
	perf_describe_add_u64(object, "segments_freed", total->segment_freed_count);
	perf_describe_add_u64(object, "hit_ram", total->hit_ram);
	perf_describe_add_u64(object, "hit_device", total->hit_device);
	perf_describe_add_u64(object, "crc_errors",
			      total->crc_error_clean + total->crc_error_dirty);
	perf_describe_add_u64(object, "rss_before_bytes", run->rss_before_bytes);
	perf_describe_add_u64(object, "rss_bytes", run->rss_bytes);
}

static void
add_settings(const struct cache_run *run, cJSON *root)
{
	const struct perf_opts *opts = run->opts;
	cJSON *settings = cJSON_AddObjectToObject(root, "settings");

	cJSON_AddStringToObject(settings, "cache", perf_opts_cache_name(opts));
	cJSON_AddStringToObject(settings, "driver", run->device_driver);
	perf_describe_add_u64(settings, "keys", opts->key_count);
	perf_describe_add_u64(settings, "depth", opts->depth);
	perf_describe_add_u64(settings, "batch", opts->batch);
	perf_describe_add_u64(settings, "jobs", run->job_count);
	perf_describe_add_u64(settings, "cpus", run->reactor_count);
	perf_describe_add_u64(settings, "read_percent", opts->read_percent);
	perf_describe_add_u64(settings, "scan_percent", opts->scan_percent);
	perf_describe_add_u64(settings, "ttl_s", opts->ttl_s);
	cJSON_AddNumberToObject(settings, "zipf_theta", opts->zipf_theta);
	perf_describe_add_u64(settings, "seed", opts->seed);
}

int
cache_report_json(const struct cache_run *run, FILE *out)
{
	double cpu_s = run->user_s + run->system_s, count = (double)operations(run);
	cJSON *root = cJSON_CreateObject(), *part;
	char *text;

	perf_report_about(root);
	add_settings(run, root);
	cJSON_AddNumberToObject(root, "duration_s", run->duration_s);
	cJSON_AddNumberToObject(root, "fill_s", run->fill_s);
	cJSON_AddBoolToObject(root, "interrupted", run->interrupted);
	cJSON_AddNumberToObject(root, "ops_per_s", ratio(count, run->duration_s));
	for (int op = 0; op < PERF_CACHE_OP_COUNT; op++)
		add_op(run, op, root);
	cJSON_AddNumberToObject(root, "hit_ratio", hit_ratio(run));
	if (run->lru_access_count != 0)
		cJSON_AddNumberToObject(
		    root, "lru_hit_ratio",
		    ratio((double)run->lru_hit_count, (double)run->lru_access_count));
	part = cJSON_AddObjectToObject(root, "cpu");
	cJSON_AddNumberToObject(part, "user_s", run->user_s);
	cJSON_AddNumberToObject(part, "system_s", run->system_s);
	cJSON_AddNumberToObject(part, "us_per_op", ratio(cpu_s * 1e6, count));
	cJSON_AddNumberToObject(part, "utilization", ratio(cpu_s, run->duration_s));
	perf_describe_add_u64(root, "rejected", run->counts.rejected_count);
	perf_describe_add_u64(root, "errors", run->counts.error_count);
	add_cache(run, root);
	if (run->opts->verify) {
		part = cJSON_AddObjectToObject(root, "verify");
		perf_describe_add_u64(part, "checked", run->counts.checked_count);
		perf_describe_add_u64(part, "wrong", run->counts.wrong_count);
	}
	text = cJSON_Print(root);
	cJSON_Delete(root);
	if (text == NULL)
		return -ENOMEM;
	fputs(text, out);
	fputc('\n', out);
	cJSON_free(text);
	return 0;
}
