/* SPDX-License-Identifier: BSD-3-Clause */
/* The command line. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "jobs.h"
#include "tarn/log.h"
#include "tarn/util.h"

static void
usage(FILE *to)
{
	fputs("usage: sim [SEED] [--hard] [--count N] [--jobs N] [--seconds N] [--progress] "
	      "[--verbose]\n"
	      "           [--life N [--image FILE]]\n"
	      "Run the cache engine on a simulated device and clock, from SEED (1) on.\n"
	      "  --hard        harder seeds: a log that wraps, damaged superblocks, refusals, ...\n"
	      "  --count N     so many seeds (1)\n"
	      "  --jobs N      in so many processes (the number of CPUs)\n"
	      "  --seconds N   take no more seeds after so many, whatever the count\n"
	      "  --progress    a line now and then\n"
	      "  --verbose     every step of it; what fails calls abort()\n"
	      "  --life N      life N in this process, for a debugger\n"
	      "  --image FILE  write what that life finds on the device to FILE\n"
	      "Example: gdb --args sim 4711 --verbose --life 3\n",
	      to);
}

static bool
parse_one(int option, struct jobs_opts *opts)
{
	switch (option) {
	case 'H':
		opts->hard = true;
		return true;
	case 'c':
		opts->count = strtoull(optarg, NULL, 0);
		return true;
	case 'j':
		opts->process_count = (uint32_t)strtoul(optarg, NULL, 0);
		return true;
	case 's':
		opts->seconds = strtod(optarg, NULL);
		return true;
	case 'p':
		opts->progress = true;
		return true;
	case 'v':
		opts->verbose = true;
		return true;
	case 'l':
		opts->life_here = (int)strtol(optarg, NULL, 0);
		return true;
	case 'i':
		opts->image = optarg;
		return true;
	case 'h':
		usage(stdout);
		exit(0);
	default:
		return false;
	}
}

static bool
parse(int argc, char **argv, struct jobs_opts *opts)
{
	static const struct option longs[] = {
		{ "hard", no_argument, NULL, 'H' },
		{ "count", required_argument, NULL, 'c' },
		{ "jobs", required_argument, NULL, 'j' },
		{ "seconds", required_argument, NULL, 's' },
		{ "progress", no_argument, NULL, 'p' },
		{ "verbose", no_argument, NULL, 'v' },
		{ "life", required_argument, NULL, 'l' },
		{ "image", required_argument, NULL, 'i' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "h", longs, NULL)) != -1)
		if (!parse_one(option, opts))
			return false;
	if (optind < argc)
		opts->seed = strtoull(argv[optind++], NULL, 0);
	if (opts->verbose || opts->life_here >= 0)
		opts->process_count = 1;
	opts->process_count = (uint32_t)tarn_min_u64(opts->process_count, opts->count);
	return optind == argc && opts->count != 0 && opts->process_count != 0;
}

int
main(int argc, char **argv)
{
	struct jobs_opts opts = {
		.seed = 1,
		.count = 1,
		.process_count = (uint32_t)sysconf(_SC_NPROCESSORS_ONLN),
		.life_here = -1,
	};
	struct jobs_totals totals;
	int status;

	if (!parse(argc, argv, &opts)) {
		usage(stderr);
		return 2;
	}
	tarn_log_set_print_level(opts.verbose ? TARN_LOG_NOTICE : TARN_LOG_DISABLED);
	status = jobs_run(&opts, &totals);
	printf("%llu seeds from %llu: %llu lives, %llu crashes, %llu steps, %llu I/Os, %.1f s\n",
	       (unsigned long long)totals.seed_count, (unsigned long long)opts.seed,
	       (unsigned long long)totals.counts.lives, (unsigned long long)totals.counts.crashes,
	       (unsigned long long)totals.counts.steps, (unsigned long long)totals.counts.ios,
	       totals.elapsed_s);
	printf("%llu seeds wrap the log twice\n", (unsigned long long)totals.counts.wraps);
	printf("%llu passed, %llu failed\n",
	       (unsigned long long)(totals.seed_count - totals.failed_count),
	       (unsigned long long)totals.failed_count);
	if (status != 0) {
		fprintf(stderr, "sim: not all seeds were run: %s\n", strerror(-status));
		return 2;
	}
	return totals.failed_count == 0 ? 0 : 1;
}
