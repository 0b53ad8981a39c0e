/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The command line: one table says of each option how it is written, where its value goes, and what
 * --help says; options that need more than a number in a field have a function. What contradicts is
 * refused at the end, by name, before anything is opened.
 */
#include "opts.h"

#include <errno.h>
#include <getopt.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "opts_cache.h"
#include "opts_value.h"
#include "tarn/env.h"
#include "tarn/util.h"

enum option_kind {
	KIND_HEADING,
	KIND_FLAG,
	KIND_SIZE,
	KIND_DURATION,
	KIND_COUNT,
	KIND_U32,
	KIND_STRING,
	KIND_FN,
};

struct perf_option {
	const char *name;
	char letter;
	enum option_kind kind;
	size_t field;
	int (*set)(struct perf_opts *opts, const char *value);
	const char *argument; /* as --help shows it; in brackets when it may be left out */
	const char *help;
};

struct workload {
	const char *name;
	bool random, verify_only;
	uint32_t read_percent;
};

static const struct workload workloads[] = {
	{ "read", false, false, 100 },	  { "write", false, false, 0 },
	{ "randread", true, false, 100 }, { "randwrite", true, false, 0 },
	{ "rw", false, false, 50 },	  { "randrw", true, false, 50 },
	{ "verify", false, true, 100 },
};

static int
set_rw(struct perf_opts *opts, const char *value)
{
	for (size_t i = 0; i < tarn_array_count(workloads); i++) {
		if (strcmp(value, workloads[i].name) != 0)
			continue;
		opts->random = workloads[i].random;
		opts->verify_only = workloads[i].verify_only;
		opts->read_percent = workloads[i].read_percent;
		return 0;
	}
	return -EINVAL;
}

const char *
perf_opts_rw_name(const struct perf_opts *opts)
{
	if (opts->verify_only)
		return "verify";
	if (opts->read_percent == 100)
		return opts->random ? "randread" : "read";
	if (opts->read_percent == 0)
		return opts->random ? "randwrite" : "write";
	return opts->random ? "randrw" : "rw";
}

static int
set_read_percent(struct perf_opts *opts, const char *value)
{
	uint64_t percent;

	if (perf_value_count(value, &percent) != 0 || percent > 100)
		return -EINVAL;
	opts->read_percent = (uint32_t)percent;
	return 0;
}

static int
set_cpus(struct perf_opts *opts, const char *value)
{
	return tarn_cpus_parse(value, &opts->reactors.cpus);
}

static int
set_poll(struct perf_opts *opts, const char *value)
{
	if (strcmp(value, "busy") == 0)
		opts->reactors.poll_mode = TARN_POLL_BUSY;
	else if (strcmp(value, "adaptive") == 0)
		opts->reactors.poll_mode = TARN_POLL_ADAPTIVE;
	else
		return -EINVAL;
	return 0;
}

static int
set_random(struct perf_opts *opts, const char *value)
{
	char *end;

	opts->zipf_theta = 0;
	if (strcmp(value, "uniform") == 0)
		return 0;
	if (strncmp(value, "zipf:", 5) != 0)
		return -EINVAL;
	opts->zipf_theta = strtod(value + 5, &end);
	return *end == '\0' && opts->zipf_theta > 0 && opts->zipf_theta <= 10 ? 0 : -EINVAL;
}

static int
tristate_parse(const char *value, enum tarn_tristate *ret)
{
	if (value == NULL || strcmp(value, "on") == 0)
		*ret = TARN_ON;
	else if (strcmp(value, "off") == 0)
		*ret = TARN_OFF;
	else if (strcmp(value, "auto") == 0)
		*ret = TARN_AUTO;
	else
		return -EINVAL;
	return 0;
}

static int
set_sqpoll(struct perf_opts *opts, const char *value)
{
	return tristate_parse(value, &opts->file.sqpoll);
}

static int
set_iopoll(struct perf_opts *opts, const char *value)
{
	return tristate_parse(value, &opts->file.iopoll);
}

static int
set_sqpoll_cpu(struct perf_opts *opts, const char *value)
{
	uint64_t cpu;

	if (perf_value_count(value, &cpu) != 0 || cpu >= CPU_SETSIZE)
		return -EINVAL;
	opts->file.sqpoll_cpu = (int32_t)cpu;
	return 0;
}

static int
set_bdev(struct perf_opts *opts, const char *value)
{
	if (opts->bdev_name_count == PERF_DEVICE_COUNT_MAX)
		return -ERANGE;
	opts->bdev_names[opts->bdev_name_count++] = value;
	return 0;
}

static int
set_json(struct perf_opts *opts, const char *value)
{
	opts->json = value != NULL ? value : "-";
	return 0;
}

#define FIELD(name) offsetof(struct perf_opts, name)
#define HEADING(text)                                                                              \
	{                                                                                          \
		.kind = KIND_HEADING, .help = text                                                 \
	}

static const struct perf_option options[] = {
	HEADING("Load"),
	{ "rw", 'w', KIND_FN, 0, set_rw, "LOAD",
	  "read, write, randread, randwrite, rw, randrw or verify (default randread)" },
	{ "read-percent", 0, KIND_FN, 0, set_read_percent, "N",
	  "reads among 100 I/Os, after --rw" },
	{ "block-size", 'b', KIND_SIZE, FIELD(block_bytes), NULL, "SIZE",
	  "of one I/O (default 4k)" },
	{ "depth", 'q', KIND_U32, FIELD(depth), NULL, "N", "I/Os in flight per job (default 32)" },
	{ "jobs", 'j', KIND_U32, FIELD(job_count), NULL, "N", "per device and CPU (default 1)" },
	{ "cpus", 'm', KIND_FN, 0, set_cpus, "CPUS",
	  "one reactor on each: 0,2-3 or a mask 0x3 (default: the first one allowed)" },
	{ "offset", 0, KIND_SIZE, FIELD(offset_bytes), NULL, "SIZE",
	  "first byte of the region to use" },
	{ "length", 0, KIND_SIZE, FIELD(length_bytes), NULL, "SIZE", "bytes of it (default: all)" },
	{ "batch", 0, KIND_U32, FIELD(batch), NULL, "N",
	  "submit N, wait for all of them, then the next N; sets the depth" },
	{ "rate", 0, KIND_COUNT, FIELD(rate), NULL, "N", "at most N I/Os per second in all" },
	{ "fsync-every", 0, KIND_U32, FIELD(fsync_every), NULL, "N",
	  "flush after every N writes of a job" },
	{ "fua", 0, KIND_FLAG, FIELD(fua), NULL, NULL, "force unit access: each write is durable" },
	{ "background", 0, KIND_FLAG, FIELD(background), NULL, NULL, "as background I/O" },
	{ "random", 0, KIND_FN, 0, set_random, "HOW", "uniform, or zipf:THETA (default uniform)" },
	{ "seed", 0, KIND_COUNT, FIELD(seed), NULL, "N", "of offsets and data (default 1)" },
	{ "verify", 0, KIND_FLAG, FIELD(verify), NULL, NULL,
	  "write checkable data, check it in reads, and read all of it at the end" },
	{ "destroy-data", 0, KIND_FLAG, FIELD(destroy_data), NULL, NULL,
	  "write to devices and to files that hold data" },
	HEADING("Cache"),
	{ "cache", 0, KIND_FN, 0, perf_set_cache, "LOAD",
	  "make a cache on the device, or open the one there, and drive that: store, lookup, mixed "
	  "(--read-percent lookups), aside (lookup, store what missed), block-read or "
	  "block-write" },
	{ "keys", 0, KIND_COUNT, FIELD(key_count), NULL, "N", "keys or blocks (default 10000)" },
	{ "value-size", 0, KIND_FN, 0, perf_set_value_size, "SIZES",
	  "of values: 4k, 100-8k or 100,4k,64k (default 4044: with key and head 4 KiB)" },
	{ "ttl", 0, KIND_COUNT, FIELD(ttl_s), NULL, "S", "of what is stored (default: for ever)" },
	{ "scan-percent", 0, KIND_U32, FIELD(scan_percent), NULL, "N",
	  "of operations go through as many further keys, one after the other" },
	{ "sequential", 0, KIND_FLAG, FIELD(cache_sequential), NULL, NULL,
	  "keys in order, without repetition" },
	{ "no-fill", 0, KIND_FLAG, FIELD(no_fill), NULL, NULL,
	  "do not store all keys before lookups" },
	{ "lru", 0, KIND_COUNT, FIELD(lru_entries), NULL, "N",
	  "simulate a plain LRU of N entries on the same accesses" },
	{ "format", 0, KIND_FLAG, FIELD(format), NULL, NULL, "make it anew" },
	{ "shards", 0, KIND_U32, FIELD(shard_count), NULL, "N", "of a new cache" },
	{ "segment-size", 0, KIND_FN, 0, perf_set_segment, "SIZE", "of a new cache" },
	{ "entry-size", 0, KIND_FN, 0, perf_set_entry, "SIZE",
	  "of a new cache: what its index expects, 64 to 4k" },
	{ "checkpoint", 0, KIND_U32, FIELD(checkpoint_s), NULL, "S",
	  "write one so often (default: only at the end)" },
	HEADING("Until"),
	{ "time", 't', KIND_DURATION, FIELD(duration_ns), NULL, "TIME",
	  "so long: 10, 500ms, 2m (default 10 s where nothing else ends it)" },
	{ "warmup", 0, KIND_DURATION, FIELD(warmup_ns), NULL, "TIME", "before that, not counted" },
	{ "bytes", 0, KIND_SIZE, FIELD(total_bytes), NULL, "SIZE", "so much in all" },
	{ "ios", 0, KIND_COUNT, FIELD(total_ios), NULL, "N", "so many in all" },
	{ "ignore-errors", 0, KIND_FLAG, FIELD(ignore_errors), NULL, NULL,
	  "count failed I/Os and go on" },
	HEADING("Device"),
	{ "driver", 'd', KIND_STRING, FIELD(driver), NULL, "NAME",
	  "of the paths: uring, uring_cmd (NVMe), aio, sync; or null or ram, without one (default "
	  "uring)" },
	{ "config", 'c', KIND_STRING, FIELD(config), NULL, "FILE",
	  "the daemon's JSON form, for its bdevs" },
	{ "bdev", 0, KIND_FN, 0, set_bdev, "NAME", "of the config; again for more (default: all)" },
	{ "device-size", 0, KIND_SIZE, FIELD(device_bytes), NULL, "SIZE",
	  "of null (default 1t) and ram (default 256m)" },
	{ "create", 0, KIND_SIZE, FIELD(create_bytes), NULL, "SIZE",
	  "fill files that are absent or empty up to this size first" },
	{ "device-block-size", 0, KIND_U32, FIELD(file.block_size), NULL, "BYTES",
	  "the bdev's block (default: what the device asks for)" },
	{ "queue-depth", 0, KIND_U32, FIELD(file.common.queue_depth), NULL, "N",
	  "I/Os in the driver (default: what the jobs need)" },
	{ "queue-depth-auto", 0, KIND_FLAG, FIELD(file.common.queue_depth_auto), NULL, NULL,
	  "find the smallest that keeps the throughput" },
	{ "buffered", 0, KIND_FLAG, FIELD(file.buffered), NULL, NULL, "without O_DIRECT" },
	{ "fallback", 0, KIND_FLAG, FIELD(file.fallback), NULL, NULL,
	  "where the driver cannot work, the next of uring, aio, sync" },
	{ "sqpoll", 0, KIND_FN, 0, set_sqpoll, "[HOW]",
	  "uring, uring_cmd: on, off or auto (alone: on)" },
	{ "sqpoll-cpu", 0, KIND_FN, 0, set_sqpoll_cpu, "CPU", "where sqpoll's kernel thread runs" },
	{ "sqpoll-idle-ms", 0, KIND_U32, FIELD(file.sqpoll_idle_ms), NULL, "MS",
	  "until sqpoll's kernel thread sleeps" },
	{ "iopoll", 0, KIND_FN, 0, set_iopoll, "[HOW]",
	  "uring, uring_cmd: on, off or auto (alone: on)" },
	{ "no-fixed-buffers", 0, KIND_FLAG, FIELD(file.no_fixed_buffers), NULL, NULL,
	  "uring, uring_cmd: do not register buffers" },
	{ "no-fixed-files", 0, KIND_FLAG, FIELD(file.no_fixed_files), NULL, NULL,
	  "uring, uring_cmd: do not register files" },
	{ "no-ring-flags", 0, KIND_FLAG, FIELD(file.no_ring_flags), NULL, NULL,
	  "uring, uring_cmd: a plain ring" },
	{ "nowait", 0, KIND_FLAG, FIELD(file.nowait), NULL, NULL, "aio: RWF_NOWAIT first" },
	{ "workers", 0, KIND_U32, FIELD(file.worker_count), NULL, "N",
	  "sync: threads (default 0: on the reactor)" },
	HEADING("Running"),
	{ "poll", 0, KIND_FN, 0, set_poll, "HOW", "busy or adaptive (default adaptive)" },
	{ "idle-spin-us", 0, KIND_U32, FIELD(reactors.idle_spin_us), NULL, "US",
	  "adaptive: the longest to poll without work (default 100)" },
	{ "json", 0, KIND_FN, 0, set_json, "[FILE]",
	  "the result as JSON on stdout, or into a file beside the text" },
	{ "progress", 0, KIND_FLAG, FIELD(progress), NULL, NULL,
	  "each second on stderr (default: on a terminal)" },
	{ "quiet", 0, KIND_FLAG, FIELD(quiet), NULL, NULL, "no progress" },
	{ "help", 'h', KIND_FLAG, FIELD(help), NULL, NULL, "this" },
	{ "version", 0, KIND_FLAG, FIELD(version), NULL, NULL, "the version" },
};
#define OPTION_COUNT tarn_array_count(options)

void
perf_opts_init(struct perf_opts *opts)
{
	*opts = (struct perf_opts){
		.driver = "uring",
		.random = true,
		.read_percent = 100,
		.block_bytes = 4096,
		.depth = 32,
		.job_count = 1,
		.seed = 1,
		.key_count = 10000,
		.value_sizes = { .count = 1, .size = { 4044 } },
		.file = { .sqpoll_cpu = -1 },
	};
}

void
perf_opts_help(FILE *out)
{
	fputs("Usage: tarnperf [OPTION]... PATH...\n"
	      "       tarnperf [OPTION]... -c CONFIG [--bdev NAME]...\n"
	      "       tarnperf [OPTION]... --driver null\n"
	      "Put load on block devices through tarn's drivers and tell how fast they are.\n",
	      out);
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		const struct perf_option *option = &options[i];
		const char *argument = option->argument;
		char text[64];
		bool may_omit = argument != NULL && argument[0] == '[';

		if (option->kind == KIND_HEADING) {
			fprintf(out, "\n%s:\n", option->help);
			continue;
		}
		snprintf(text, sizeof(text), "--%s%s%s", option->name,
			 argument == NULL ? ""
			 : may_omit	  ? "[="
					  : " ",
			 argument == NULL ? "" : argument + may_omit);
		fprintf(out, "  %c%c%c %-24s %s\n", option->letter != 0 ? '-' : ' ',
			option->letter != 0 ? option->letter : ' ', option->letter != 0 ? ',' : ' ',
			text, option->help);
	}
	fputs("\nExamples:\n"
	      "  tarnperf --create 256m --depth 32 --time 5 /var/tmp/tarn.img\n"
	      "  tarnperf --driver aio --rw randwrite --destroy-data /dev/nvme1n1\n"
	      "  tarnperf --driver uring_cmd --iopoll /dev/ng0n1\n"
	      "  tarnperf --driver null --json\n"
	      "  tarnperf --driver ram --cache aside --random zipf:0.9 --keys 100k --time 5\n",
	      out);
	fputs("\nExit status: 0, 1 (an I/O failed or a block was wrong), 2 (usage, or refused).\n",
	      out);
}

static int
option_set(struct perf_opts *opts, const struct perf_option *option, const char *value)
{
	char *field = (char *)opts + option->field;
	uint64_t number;
	int rc = 0;

	switch (option->kind) {
	case KIND_FLAG:
		*(bool *)field = true;
		break;
	case KIND_SIZE:
		rc = perf_value_size(value, (uint64_t *)field);
		break;
	case KIND_DURATION:
		rc = perf_value_duration(value, (uint64_t *)field);
		break;
	case KIND_COUNT:
		rc = perf_value_count(value, (uint64_t *)field);
		break;
	case KIND_U32:
		rc = perf_value_count(value, &number);
		if (rc == 0 && number > INT32_MAX)
			rc = -ERANGE;
		if (rc == 0)
			*(uint32_t *)field = (uint32_t)number;
		break;
	case KIND_STRING:
		*(const char **)field = value;
		break;
	case KIND_FN:
		rc = option->set(opts, value);
		break;
	case KIND_HEADING:
		break;
	}
	return rc;
}

static bool
takes_paths(const struct perf_opts *opts)
{
	return strcmp(opts->driver, "null") != 0 && strcmp(opts->driver, "ram") != 0;
}

static int
check_load(const struct perf_opts *opts, struct tarn_reason *reason)
{
	bool writes = opts->read_percent < 100;

	if (opts->block_bytes == 0 || opts->block_bytes % 512 != 0 || opts->block_bytes > 1u << 30)
		return tarn_reason_set(reason, -EINVAL,
				       "--block-size: not a multiple of 512 up to 1g");
	if (opts->depth == 0 || opts->depth > 65536)
		return tarn_reason_set(reason, -EINVAL, "--depth: not within 1 to 65536");
	if (opts->job_count == 0 || opts->job_count > 1024)
		return tarn_reason_set(reason, -EINVAL, "--jobs: not within 1 to 1024");
	if ((opts->fua || opts->fsync_every != 0) && !writes)
		return tarn_reason_set(reason, -EINVAL, "%s: the load has no writes",
				       opts->fua ? "--fua" : "--fsync-every");
	if (opts->verify && !writes)
		return tarn_reason_set(
		    reason, -EINVAL,
		    "--verify: the load has no writes; to read back use --rw verify");
	if (opts->zipf_theta != 0 && !opts->random)
		return tarn_reason_set(reason, -EINVAL, "--random: the load is sequential");
	if (opts->verify_only && opts->zipf_theta != 0)
		return tarn_reason_set(reason, -EINVAL, "--random: not with --rw verify");
	return 0;
}

static int
check(struct perf_opts *opts, struct tarn_reason *reason)
{
	int rc = check_load(opts, reason);

	if (rc == 0)
		rc = perf_check_cache(opts, reason);
	if (rc != 0)
		return rc;
	if (opts->config != NULL && opts->path_count != 0)
		return tarn_reason_set(reason, -EINVAL, "%s: a path beside --config",
				       opts->paths[0]);
	if (opts->config == NULL && opts->bdev_name_count != 0)
		return tarn_reason_set(reason, -EINVAL, "--bdev %s: there is no --config",
				       opts->bdev_names[0]);
	if (opts->config == NULL && takes_paths(opts) && opts->path_count == 0)
		return tarn_reason_set(
		    reason, -EINVAL, "no path: name a file or device, -c CONFIG or --driver null");
	if (opts->config == NULL && !takes_paths(opts) && opts->path_count != 0)
		return tarn_reason_set(reason, -EINVAL, "%s: driver %s takes no path",
				       opts->paths[0], opts->driver);
	if (opts->device_bytes == 0)
		opts->device_bytes =
		    strcmp(opts->driver, "ram") == 0 ? UINT64_C(256) << 20 : UINT64_C(1) << 40;
	if (opts->batch != 0)
		opts->depth = opts->batch;
	if (opts->cache_load != PERF_CACHE_NONE && opts->total_ios == 0 && opts->duration_ns == 0)
		opts->duration_ns = UINT64_C(10000000000);
	if (opts->duration_ns == 0 && opts->total_bytes == 0 && opts->total_ios == 0 &&
	    !opts->verify_only)
		opts->duration_ns = UINT64_C(10000000000);
	return 0;
}

/* The table in getopt's form: an option's value is its index, offset past the letters. */
static void
getopt_tables(struct option *longs, char *shorts)
{
	*shorts++ = ':';
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		const struct perf_option *option = &options[i];

		if (option->kind == KIND_HEADING)
			continue;
		longs->name = option->name;
		longs->has_arg = option->argument == NULL     ? no_argument
				 : option->argument[0] == '[' ? optional_argument
							      : required_argument;
		longs->flag = NULL;
		longs->val = 256 + (int)i;
		longs++;
		if (option->letter != 0)
			*shorts++ = option->letter;
		if (option->letter != 0 && option->argument != NULL)
			*shorts++ = ':';
	}
	*longs = (struct option){ 0 };
	*shorts = '\0';
}

static const struct perf_option *
option_of(int value)
{
	if (value >= 256)
		return &options[value - 256];
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		if (options[i].letter == value)
			return &options[i];
	}
	return NULL;
}

int
perf_opts_parse(struct perf_opts *opts, int argc, char **argv, struct tarn_reason *reason)
{
	struct option longs[OPTION_COUNT + 1];
	char shorts[2 * OPTION_COUNT + 2];
	int value;

	getopt_tables(longs, shorts);
	optind = 1;
	while ((value = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		const struct perf_option *option;
		int rc;

		if (value == '?' || value == ':')
			return tarn_reason_set(reason, -EINVAL, "%s: %s", argv[optind - 1],
					       value == ':' ? "it needs a value"
							    : "no such option; see --help");
		option = option_of(value);
		tarn_assert(option != NULL);
		rc = option_set(opts, option, optarg);
		if (rc != 0)
			return tarn_reason_set(reason, -EINVAL, "--%s %s: %s", option->name, optarg,
					       rc == -ERANGE ? "too large" : "not understood");
	}
	if (opts->help || opts->version)
		return 0;
	for (; optind < argc; optind++) {
		if (opts->path_count == PERF_DEVICE_COUNT_MAX)
			return tarn_reason_set(reason, -EINVAL, "%s: more than %d paths",
					       argv[optind], PERF_DEVICE_COUNT_MAX);
		opts->paths[opts->path_count++] = argv[optind];
	}
	return check(opts, reason);
}
