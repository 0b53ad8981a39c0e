/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The result, for people and for programs. Durations in the JSON are microseconds with three
 * places.
 */
#include "report.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "describe.h"
#include "tarn/env.h"
#include "tarn/util.h"
#include "tarn/version.h"

struct percentile {
	const char *name;
	double percent;
};

static const struct percentile percentiles[] = {
	{ "p50", 50 },	   { "p90", 90 },	{ "p95", 95 },	       { "p99", 99 },
	{ "p99_9", 99.9 }, { "p99_99", 99.99 }, { "p99_999", 99.999 },
};

static void
cpu_model(char *text, size_t text_bytes)
{
	FILE *file = fopen("/proc/cpuinfo", "re");
	char line[256];

	tarn_strcpy(text, text_bytes, "unknown");
	if (file == NULL)
		return;
	while (fgets(line, sizeof(line), file) != NULL) {
		char *colon = strchr(line, ':');

		if (strncmp(line, "model name", 10) != 0 || colon == NULL)
			continue;
		colon[strcspn(colon, "\n")] = '\0';
		tarn_strcpy(text, text_bytes, colon + strspn(colon, ": \t"));
		break;
	}
	fclose(file);
}

static uint64_t
total_count(const struct perf_result *result)
{
	uint64_t count = 0;

	for (size_t op = 0; op < tarn_array_count(result->op); op++)
		count += result->op[op].count;
	return count;
}

static double
ratio(double part, double whole)
{
	return whole > 0 ? part / whole : 0;
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
	double duration_s = run->result.duration_s;

	if (result->count == 0)
		return;
	fprintf(out, "  %-6s %.0f IOPS, %.1f MiB/s\n", tarn_io_op_name(op),
		ratio((double)result->count, duration_s),
		ratio((double)result->bytes / 0x1p20, duration_s));
	fprintf(out, "         latency us: mean %.2f, min %.2f, max %.2f\n        ",
		ratio((double)result->latency_ns, (double)result->count) / 1e3,
		(double)result->min_latency_ns / 1e3, (double)result->max_latency_ns / 1e3);
	for (size_t i = 0; i < tarn_array_count(percentiles); i++)
		fprintf(out, "%s p%g %.2f", i == 0 ? "" : ",", percentiles[i].percent,
			(double)tarn_histogram_percentile_ns(&result->histogram,
							     percentiles[i].percent) /
			    1e3);
	fputc('\n', out);
	if (result->error_count != 0)
		fprintf(out, "         %" PRIu64 " FAILED\n", result->error_count);
}

void
perf_report_text(const struct perf_run *run, FILE *out)
{
	const struct perf_result *result = &run->result;
	const struct perf_opts *opts = run->opts;
	double count = (double)total_count(result), cpu_s = result->user_s + result->system_s;
	const cJSON *device;

	fprintf(out, "%s of %" PRIu64 " bytes, depth %u, %u job%s, %u CPU%s, %.2f s%s\n",
		perf_opts_rw_name(opts), opts->block_bytes, opts->depth, run->job_count,
		run->job_count == 1 ? "" : "s", run->reactor_count,
		run->reactor_count == 1 ? "" : "s", result->duration_s,
		result->interrupted ? ", interrupted" : "");
	cJSON_ArrayForEach (device, run->devices) {
		fprintf(out, "  on %s by %s\n", cJSON_GetObjectItem(device, "name")->valuestring,
			cJSON_GetObjectItem(device, "driver")->valuestring);
	}
	for (uint8_t op = 0; op < tarn_array_count(result->op); op++)
		text_op(run, op, out);
	fprintf(out, "  CPU    %.3f us per I/O (user %.3f, system %.3f), %.0f %% of one CPU\n",
		ratio(cpu_s * 1e6, count), ratio(result->user_s * 1e6, count),
		ratio(result->system_s * 1e6, count), 100 * ratio(cpu_s, result->duration_s));
	if (result->submit_count != 0)
		fprintf(out, "  calls  %.2f I/Os per submission\n",
			ratio(count, (double)result->submit_count));
	if (opts->verify || opts->verify_only)
		fprintf(out, "  verify %" PRIu64 " blocks checked, %" PRIu64 " wrong\n",
			result->verified_count, result->verify_error_count);
	report_verify_errors(run, out);
}

/* --- JSON --- */

static void
add_us(cJSON *object, const char *name, double value_us)
{
	char digits[40];

	snprintf(digits, sizeof(digits), "%.3f", value_us);
	cJSON_AddRawToObject(object, name, digits);
}

static void
add_verify(const struct perf_run *run, cJSON *root)
{
	cJSON *verify, *errors;

	if (!run->opts->verify && !run->opts->verify_only)
		return;
	verify = cJSON_AddObjectToObject(root, "verify");
	perf_describe_add_u64(verify, "checked", run->result.verified_count);
	perf_describe_add_u64(verify, "wrong", run->result.verify_error_count);
	errors = cJSON_AddArrayToObject(verify, "errors");
	for (uint32_t i = 0; i < run->job_count; i++) {
		const struct perf_job *job = &run->jobs[i];
		uint64_t told = tarn_min_u64(job->verify_error_count, PERF_JOB_ERROR_MAX);

		for (uint64_t j = 0; j < told; j++) {
			cJSON *error = cJSON_CreateObject();

			perf_describe_add_u64(error, "offset_bytes",
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
	double duration_s = run->result.duration_s;
	cJSON *object, *latency;

	if (result->count == 0 && !(op == TARN_IO_READ && run->opts->read_percent > 0) &&
	    !(op == TARN_IO_WRITE && run->opts->read_percent < 100))
		return;
	object = cJSON_AddObjectToObject(root, tarn_io_op_name(op));
	perf_describe_add_u64(object, "ios", result->count);
	perf_describe_add_u64(object, "bytes", result->bytes);
	perf_describe_add_u64(object, "errors", result->error_count);
	cJSON_AddNumberToObject(object, "iops", ratio((double)result->count, duration_s));
	cJSON_AddNumberToObject(object, "bytes_per_s", ratio((double)result->bytes, duration_s));
	latency = cJSON_AddObjectToObject(object, "latency_us");
	add_us(latency, "mean", ratio((double)result->latency_ns, (double)result->count) / 1e3);
	add_us(latency, "min", (double)result->min_latency_ns / 1e3);
	add_us(latency, "max", (double)result->max_latency_ns / 1e3);
	for (size_t i = 0; i < tarn_array_count(percentiles); i++)
		add_us(latency, percentiles[i].name,
		       (double)tarn_histogram_percentile_ns(&result->histogram,
							    percentiles[i].percent) /
			   1e3);
}

static void
add_settings(const struct perf_run *run, cJSON *root)
{
	const struct perf_opts *opts = run->opts;
	cJSON *settings = cJSON_AddObjectToObject(root, "settings");

	cJSON_AddStringToObject(settings, "rw", perf_opts_rw_name(opts));
	perf_describe_add_u64(settings, "read_percent", opts->read_percent);
	perf_describe_add_u64(settings, "block_bytes", opts->block_bytes);
	perf_describe_add_u64(settings, "depth", opts->depth);
	perf_describe_add_u64(settings, "batch", opts->batch);
	perf_describe_add_u64(settings, "jobs", run->job_count);
	perf_describe_add_u64(settings, "cpus", run->reactor_count);
	perf_describe_add_u64(settings, "rate", opts->rate);
	perf_describe_add_u64(settings, "fsync_every", opts->fsync_every);
	cJSON_AddBoolToObject(settings, "fua", opts->fua);
	cJSON_AddNumberToObject(settings, "zipf_theta", opts->zipf_theta);
	perf_describe_add_u64(settings, "seed", opts->seed);
	cJSON_AddStringToObject(settings, "poll",
				opts->reactors.poll_mode == TARN_POLL_BUSY ? "busy" : "adaptive");
}

static void
add_machine(cJSON *root)
{
	cJSON *machine = cJSON_AddObjectToObject(root, "machine");
	struct utsname kernel;
	char model[256];

	uname(&kernel);
	cpu_model(model, sizeof(model));
	cJSON_AddStringToObject(machine, "cpu", model);
	cJSON_AddStringToObject(machine, "kernel", kernel.release);
}

void
perf_report_about(struct cJSON *root)
{
	cJSON_AddStringToObject(root, "version", TARN_VERSION);
	add_machine(root);
}

int
perf_report_json(const struct perf_run *run, FILE *out)
{
	const struct perf_result *result = &run->result;
	double count = (double)total_count(result), cpu_s = result->user_s + result->system_s;
	cJSON *root = cJSON_CreateObject(), *cpu;
	char *text;

	perf_report_about(root);
	add_settings(run, root);
	cJSON_AddItemToObject(root, "devices", cJSON_Duplicate(run->devices, true));
	cJSON_AddNumberToObject(root, "duration_s", result->duration_s);
	cJSON_AddBoolToObject(root, "interrupted", result->interrupted);
	cJSON_AddNumberToObject(root, "iops", ratio(count, result->duration_s));
	for (uint8_t op = 0; op < tarn_array_count(result->op); op++)
		add_op(run, op, root);
	cpu = cJSON_AddObjectToObject(root, "cpu");
	cJSON_AddNumberToObject(cpu, "user_s", result->user_s);
	cJSON_AddNumberToObject(cpu, "system_s", result->system_s);
	add_us(cpu, "us_per_io", ratio(cpu_s * 1e6, count));
	cJSON_AddNumberToObject(cpu, "utilization", ratio(cpu_s, result->duration_s));
	if (result->submit_count != 0) {
		perf_describe_add_u64(root, "submissions", result->submit_count);
		cJSON_AddNumberToObject(root, "ios_per_submission",
					ratio(count, (double)result->submit_count));
	}
	add_verify(run, root);
	text = cJSON_Print(root);
	cJSON_Delete(root);
	if (text == NULL)
		return -ENOMEM;
	fputs(text, out);
	fputc('\n', out);
	cJSON_free(text);
	return 0;
}
