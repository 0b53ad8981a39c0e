/* SPDX-License-Identifier: BSD-3-Clause */
/* tarnperf: put load on bdevs and tell how fast they are. Options and wiring. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache_run.h"
#include "opts.h"
#include "report.h"
#include "run.h"
#include "tarn/version.h"

static int
write_json(const struct perf_run *run, const char *path)
{
	FILE *file = fopen(path, "we");
	int rc;

	if (file == NULL) {
		fprintf(stderr, "tarnperf: --json %s: %s\n", path, strerror(errno));
		return -errno;
	}
	rc = perf_report_json(run, file);
	if (fclose(file) != 0 && rc == 0)
		rc = -errno;
	if (rc != 0)
		fprintf(stderr, "tarnperf: --json %s: %s\n", path, strerror(-rc));
	return rc;
}

static int
report_cache(const struct cache_run *run)
{
	const char *json = run->opts->json;
	FILE *file;
	int rc;

	if (json != NULL && strcmp(json, "-") == 0)
		return cache_report_json(run, stdout);
	cache_report_text(run, stdout);
	if (json == NULL)
		return 0;
	file = fopen(json, "we");
	rc = file == NULL ? -errno : cache_report_json(run, file);
	if (file != NULL && fclose(file) != 0 && rc == 0)
		rc = -errno;
	if (rc != 0)
		fprintf(stderr, "tarnperf: --json %s: %s\n", json, strerror(-rc));
	return rc;
}

static int
main_cache(const struct perf_opts *opts)
{
	static struct cache_run run;
	int status = cache_run(&run, opts);

	if (run.reason.text[0] != '\0')
		fprintf(stderr, "tarnperf: %s\n", run.reason.text);
	if (run.measured && report_cache(&run) != 0 && status == 0)
		status = 1;
	cache_run_fini(&run);
	return status;
}

static int
report(const struct perf_run *run)
{
	const char *json = run->opts->json;

	if (json != NULL && strcmp(json, "-") == 0)
		return perf_report_json(run, stdout);
	perf_report_text(run, stdout);
	return json != NULL ? write_json(run, json) : 0;
}

static int
main_bdev(const struct perf_opts *opts)
{
	static struct perf_run run;
	int status = perf_run(&run, opts);

	if (run.reason.text[0] != '\0')
		fprintf(stderr, "tarnperf: %s\n", run.reason.text);
	if (run.result.duration_s > 0 && report(&run) != 0 && status == 0)
		status = 1;
	perf_run_fini(&run);
	return status;
}

int
main(int argc, char **argv)
{
	struct perf_opts opts;
	struct tarn_reason reason;
	int status;

	perf_opts_init(&opts);
	if (perf_opts_parse(&opts, argc, argv, &reason) != 0) {
		fprintf(stderr, "tarnperf: %s\n", reason.text);
		return 2;
	}
	if (opts.help) {
		perf_opts_help(stdout);
		return 0;
	}
	if (opts.version) {
		puts("tarnperf " TARN_VERSION);
		return 0;
	}
	status = opts.cache_load != PERF_CACHE_NONE ? main_cache(&opts) : main_bdev(&opts);
	if (fflush(stdout) != 0) {
		fprintf(stderr, "tarnperf: standard output: %s\n", strerror(errno));
		status = status != 0 ? status : 1;
	}
	return status;
}
