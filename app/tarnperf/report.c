/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The result, for people and for programs. Durations in the JSON are microseconds with three
 * places.
 */
#include "report.h"

#include <cjson/cJSON.h>
#include <inttypes.h>

#include "describe.h"
#include "figures.h"
#include "tarn/json.h"
#include "tarn/util.h"

static uint64_t
total_count(const struct perf_result *result)
{
	uint64_t count = 0;

	for (size_t op = 0; op < tarn_array_count(result->op); op++)
		count += result->op[op].count;
	return count;
}

static void
report_verify_errors(const struct perf_run *run, FILE *out)
{
	for (uint32_t i = 0; i < run->job_count; i++) {
		const struct perf_job *job = &run->jobs[i];
		uint64_t told = tarn_min_u64(job->verify_error_count, PERF_JOB_ERROR_MAX);

		for (uint64_t j = 0; j < told; j++) {
			const struct perf_pattern_error *error = &job->verify_errors[j];

			fprintf(out, "  WRONG  offset %" PRIu64 ": %s", error->offset_bytes,
				perf_pattern_result_text(error->result));
			if (error->result > PERF_PATTERN_DAMAGED)
				fprintf(out, " (found %" PRIu64 ", expected %" PRIu64 ")",
					error->found, error->expected);
			fputc('\n', out);
		}
	}
}

static void
text_op(const struct perf_run *run, uint8_t op, FILE *out)
{
	const struct perf_op_result *result = &run->result.op[op];
	double duration_s = run->result.time.duration_s;

	if (result->count == 0)
		return;
	fprintf(out, "  %-6s %.0f IOPS, %.1f MiB/s\n", tarn_io_op_name(op),
		perf_ratio((double)result->count, duration_s),
		perf_ratio((double)result->bytes / 0x1p20, duration_s));
	fprintf(out, "         latency us: mean %.2f, min %.2f, max %.2f\n        ",
		perf_ratio((double)result->latency_ns, (double)result->count) / 1e3,
		(double)result->min_latency_ns / 1e3, (double)result->max_latency_ns / 1e3);
	perf_percentiles_text(&result->histogram, out);
	if (result->error_count != 0)
		fprintf(out, "         %" PRIu64 " FAILED\n", result->error_count);
}

void
perf_report_text(const struct perf_run *run, FILE *out)
{
	const struct perf_result *result = &run->result;
	const struct perf_opts *opts = run->opts;
	double count = (double)total_count(result);
	const cJSON *device;

	fprintf(out, "%s of %" PRIu64 " bytes, depth %u, %u job%s, %u CPU%s, %.2f s%s\n",
		perf_opts_rw_name(opts), opts->block_bytes, opts->depth, run->job_count,
		run->job_count == 1 ? "" : "s", run->reactor_count,
		run->reactor_count == 1 ? "" : "s", result->time.duration_s,
		result->interrupted ? ", interrupted" : "");
	cJSON_ArrayForEach (device, run->devices) {
		fprintf(out, "  on %s by %s\n", cJSON_GetObjectItem(device, "name")->valuestring,
			cJSON_GetObjectItem(device, "driver")->valuestring);
	}
	for (uint8_t op = 0; op < tarn_array_count(result->op); op++)
		text_op(run, op, out);
	perf_cpu_text(&result->time, count, "I/O", out);
	if (result->submit_count != 0)
		fprintf(out, "  calls  %.2f I/Os per submission\n",
			perf_ratio(count, (double)result->submit_count));
	if (opts->verify || opts->verify_only)
		fprintf(out, "  verify %" PRIu64 " blocks checked, %" PRIu64 " wrong\n",
			result->verified_count, result->verify_error_count);
	report_verify_errors(run, out);
}

/* --- JSON --- */

static void
add_verify(const struct perf_run *run, cJSON *root)
{
	cJSON *verify, *errors;

	if (!run->opts->verify && !run->opts->verify_only)
		return;
	verify = cJSON_AddObjectToObject(root, "verify");
	tarn_json_add_u64(verify, "checked", run->result.verified_count);
	tarn_json_add_u64(verify, "wrong", run->result.verify_error_count);
	errors = cJSON_AddArrayToObject(verify, "errors");
	for (uint32_t i = 0; i < run->job_count; i++) {
		const struct perf_job *job = &run->jobs[i];
		uint64_t told = tarn_min_u64(job->verify_error_count, PERF_JOB_ERROR_MAX);

		for (uint64_t j = 0; j < told; j++) {
			cJSON *error = cJSON_CreateObject();

			tarn_json_add_u64(error, "offset_bytes",
					  job->verify_errors[j].offset_bytes);
			cJSON_AddStringToObject(
			    error, "what", perf_pattern_result_text(job->verify_errors[j].result));
			cJSON_AddItemToArray(errors, error);
		}
	}
}

static void
add_op(const struct perf_run *run, uint8_t op, cJSON *root)
{
	const struct perf_op_result *result = &run->result.op[op];
	double duration_s = run->result.time.duration_s;
	cJSON *object, *latency;

	if (result->count == 0 && !(op == TARN_IO_READ && run->opts->read_percent > 0) &&
	    !(op == TARN_IO_WRITE && run->opts->read_percent < 100))
		return;
	object = cJSON_AddObjectToObject(root, tarn_io_op_name(op));
	tarn_json_add_u64(object, "ios", result->count);
	tarn_json_add_u64(object, "bytes", result->bytes);
	tarn_json_add_u64(object, "errors", result->error_count);
	cJSON_AddNumberToObject(object, "iops", perf_ratio((double)result->count, duration_s));
	cJSON_AddNumberToObject(object, "bytes_per_s",
				perf_ratio((double)result->bytes, duration_s));
	latency = perf_add_latency(object, &result->histogram, result->latency_ns, result->count);
	perf_add_us(latency, "min", (double)result->min_latency_ns / 1e3);
	perf_add_us(latency, "max", (double)result->max_latency_ns / 1e3);
}

static void
add_settings(const struct perf_run *run, cJSON *root)
{
	const struct perf_opts *opts = run->opts;
	cJSON *settings = cJSON_AddObjectToObject(root, "settings");

	cJSON_AddStringToObject(settings, "rw", perf_opts_rw_name(opts));
	tarn_json_add_u64(settings, "read_percent", opts->read_percent);
	tarn_json_add_u64(settings, "block_bytes", opts->block_bytes);
	tarn_json_add_u64(settings, "depth", opts->depth);
	tarn_json_add_u64(settings, "batch", opts->batch);
	tarn_json_add_u64(settings, "jobs", run->job_count);
	tarn_json_add_u64(settings, "cpus", run->reactor_count);
	tarn_json_add_u64(settings, "rate", opts->rate);
	tarn_json_add_u64(settings, "fsync_every", opts->fsync_every);
	cJSON_AddBoolToObject(settings, "fua", opts->fua);
	cJSON_AddNumberToObject(settings, "zipf_theta", opts->zipf_theta);
	tarn_json_add_u64(settings, "seed", opts->seed);
	cJSON_AddStringToObject(settings, "poll",
				opts->reactors.poll_mode == TARN_POLL_BUSY ? "busy" : "adaptive");
}

char *
perf_report_json(const struct perf_run *run)
{
	const struct perf_result *result = &run->result;
	double count = (double)total_count(result);
	cJSON *root = cJSON_CreateObject();

	perf_add_about(root);
	add_settings(run, root);
	cJSON_AddItemToObject(root, "devices", cJSON_Duplicate(run->devices, true));
	cJSON_AddNumberToObject(root, "duration_s", result->time.duration_s);
	cJSON_AddBoolToObject(root, "interrupted", result->interrupted);
	cJSON_AddNumberToObject(root, "iops", perf_ratio(count, result->time.duration_s));
	for (uint8_t op = 0; op < tarn_array_count(result->op); op++)
		add_op(run, op, root);
	perf_add_cpu(root, &result->time, count, "us_per_io");
	if (result->submit_count != 0) {
		tarn_json_add_u64(root, "submissions", result->submit_count);
		cJSON_AddNumberToObject(root, "ios_per_submission",
					perf_ratio(count, (double)result->submit_count));
	}
	add_verify(run, root);
	return perf_print(root);
}
