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

/* text is NULL for want of memory, and gone afterwards. */
static int
put_json(const char *path, char *text)
{
	FILE *file = strcmp(path, "-") == 0 ? stdout : fopen(path, "we");
	int rc = text == NULL ? -ENOMEM : 0;

	if (file == NULL) {
		rc = -errno;
	} else if (rc == 0) {
		fputs(text, file);
		fputc('\n', file);
	}
	if (file != NULL && file != stdout && fclose(file) != 0 && rc == 0)
		rc = -errno;
	if (rc != 0)
		fprintf(stderr, "tarnperf: --json %s: %s\n", path, strerror(-rc));
	free(text);
	return rc;
}

/* Whether standard output is for people. */
static bool
wants_text(const struct perf_opts *opts)
{
	return opts->json == NULL || strcmp(opts->json, "-") != 0;
}

static int
report_cache(const struct cache_run *run)
{
	if (wants_text(run->opts))
		cache_report_text(run, stdout);
	return run->opts->json != NULL ? put_json(run->opts->json, cache_report_json(run)) : 0;
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
	if (wants_text(run->opts))
		perf_report_text(run, stdout);
	return run->opts->json != NULL ? put_json(run->opts->json, perf_report_json(run)) : 0;
}

static int
main_bdev(const struct perf_opts *opts)
{
	static struct perf_run run;
	int status = perf_run(&run, opts);

	if (run.reason.text[0] != '\0')
		fprintf(stderr, "tarnperf: %s\n", run.reason.text);
	if (run.result.time.duration_s > 0 && report(&run) != 0 && status == 0)
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
