/* SPDX-License-Identifier: BSD-3-Clause */
/* The command line. */
#include "opts.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ck.h"
#include "tarn/version.h"

static const char help_text[] =
    "Usage: tarnck [OPTION]... DEVICE\n"
    "Check the cache on a device or in an image that no daemon holds. Never writes.\n"
    "\n"
    "  --json              the report as JSON\n"
    "  --dump[=WHAT]       also print what is there: headers (of superblocks, checkpoints and\n"
    "                      segments), batches or entries (default headers)\n"
    "  --shard N           dump this shard only\n"
    "  --segment SEQUENCE  dump this segment only\n"
    "  --progress          each second on stderr (default: on a terminal)\n"
    "  --quiet             no progress\n"
    "  -h, --help          this\n"
    "  --version           the version\n"
    "\n"
    "Every superblock, checkpoint, segment header, batch, trailer and entry is verified, values\n"
    "included. What is wrong is told by its place, and what a start would do: from which\n"
    "checkpoint, which part of the log, where it ends and why.\n"
    "\n"
    "Example: an image that holds no cache is exit status 8:\n"
    "  truncate -s 64M /tmp/tarnck-example.img\n"
    "  tarnck /tmp/tarnck-example.img || test $? = 8\n"
    "\n"
    "Exit status:\n"
    "  0   stopped cleanly, all whole\n"
    "  1   not stopped cleanly; a start recovers it and loses nothing that was flushed\n"
    "  4   damage: something that was flushed is not whole\n"
    "  8   no cache there, held by another process, cannot be read, or of a newer version\n"
    "  16  usage\n";

enum {
	OPT_JSON = 256,
	OPT_DUMP,
	OPT_SHARD,
	OPT_SEGMENT,
	OPT_PROGRESS,
	OPT_QUIET,
	OPT_VERSION,
};

static const struct option long_opts[] = {
	{ "json", no_argument, NULL, OPT_JSON },
	{ "dump", optional_argument, NULL, OPT_DUMP },
	{ "shard", required_argument, NULL, OPT_SHARD },
	{ "segment", required_argument, NULL, OPT_SEGMENT },
	{ "progress", no_argument, NULL, OPT_PROGRESS },
	{ "quiet", no_argument, NULL, OPT_QUIET },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ NULL, 0, NULL, 0 },
};

static int usage(const char *format, ...) __attribute__((format(printf, 1, 2)));

static int
usage(const char *format, ...)
{
	va_list args;

	fputs("tarnck: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputs("\nTry 'tarnck --help'.\n", stderr);
	return CK_USAGE;
}

static int
dump_opt(const char *text, struct ck_opts *opts)
{
	if (text == NULL || strcmp(text, "headers") == 0)
		opts->dump = CK_DUMP_HEADERS;
	else if (strcmp(text, "batches") == 0)
		opts->dump = CK_DUMP_BATCHES;
	else if (strcmp(text, "entries") == 0)
		opts->dump = CK_DUMP_ENTRIES;
	else
		return usage("--dump: '%s' is neither headers, batches nor entries", text);
	return -1;
}

static int
number_opt(const char *name, const char *text, uint64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoull(text, &end, 10);
	if (errno != 0 || *end != '\0' || text[0] < '0' || text[0] > '9' || *ret == CK_ANY)
		return usage("--%s: '%s' is no number", name, text);
	return -1;
}

static int
one_opt(int opt, struct ck_opts *opts)
{
	switch (opt) {
	case OPT_JSON:
		opts->json = true;
		return -1;
	case OPT_DUMP:
		return dump_opt(optarg, opts);
	case OPT_SHARD:
		return number_opt("shard", optarg, &opts->shard);
	case OPT_SEGMENT:
		return number_opt("segment", optarg, &opts->segment);
	case OPT_PROGRESS:
		opts->progress = true;
		return -1;
	case OPT_QUIET:
		opts->quiet = true;
		return -1;
	case OPT_VERSION:
		puts("tarnck " TARN_VERSION);
		return 0;
	case 'h':
		fputs(help_text, stdout);
		return 0;
	default:
		fputs("Try 'tarnck --help'.\n", stderr);
		return CK_USAGE;
	}
}

int
ck_opts_parse(int argc, char **argv, struct ck_opts *ret_opts)
{
	struct ck_opts opts = { .shard = CK_ANY, .segment = CK_ANY };
	int opt, status;

	optind = 1;
	while ((opt = getopt_long(argc, argv, "h", long_opts, NULL)) != -1) {
		status = one_opt(opt, &opts);
		if (status != -1)
			return status;
	}
	if (optind == argc)
		return usage("name a device or an image");
	if (optind + 1 < argc)
		return usage("'%s': one device at a time", argv[optind + 1]);
	if (opts.json && opts.dump != CK_DUMP_NONE)
		return usage("--dump: not with --json");
	if (opts.dump == CK_DUMP_NONE && (opts.shard != CK_ANY || opts.segment != CK_ANY))
		return usage("--%s: there is no --dump",
			     opts.shard != CK_ANY ? "shard" : "segment");
	opts.path = argv[optind];
	*ret_opts = opts;
	return -1;
}
