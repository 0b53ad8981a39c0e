/* SPDX-License-Identifier: BSD-3-Clause */
#include "app/tarnd/opts.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tarn/log.h"
#include "tarn/util.h"
#include "tarn/version.h"

enum {
	OPT_POLL = 256,
	OPT_WAIT_FOR_RPC,
	OPT_IOMEM_BYTES,
	OPT_NO_HUGE,
	OPT_IDLE_SPIN_US,
	OPT_SCHEMA,
	OPT_VERSION,
};

static const struct option long_opts[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "json", required_argument, NULL, 'c' },
	{ "rpc-socket", required_argument, NULL, 'r' },
	{ "cpumask", required_argument, NULL, 'm' },
	{ "mem-size", required_argument, NULL, 's' },
	{ "logflag", required_argument, NULL, 'L' },
	{ "log-level", required_argument, NULL, 'e' },
	{ "poll", required_argument, NULL, OPT_POLL },
	{ "wait-for-rpc", no_argument, NULL, OPT_WAIT_FOR_RPC },
	{ "iomem-bytes", required_argument, NULL, OPT_IOMEM_BYTES },
	{ "no-huge", no_argument, NULL, OPT_NO_HUGE },
	{ "idle-spin-us", required_argument, NULL, OPT_IDLE_SPIN_US },
	{ "schema", no_argument, NULL, OPT_SCHEMA },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static const char help_text[] =
    "Usage: tarnd [OPTION]...\n"
    "Serve block devices, controlled by JSON-RPC over a unix socket.\n"
    "\n"
    "  -c, --config FILE       run the calls of this JSON configuration at start\n"
    "  -r, --rpc-socket PATH   socket to serve (/var/tmp/tarn.sock)\n"
    "  -m, --cpumask CPUS      one reactor for each of these: 0x3, [0,1], 0,1 or 0-3 (one CPU)\n"
    "      --wait-for-rpc      before the configuration, wait for framework_start_init\n"
    "      --poll MODE         adaptive: sleep when idle (the default); busy: never sleep\n"
    "      --idle-spin-us N    how long to go on polling before sleep, at the most (100)\n"
    "  -s, --mem-size MIB      address space for I/O buffers (1024)\n"
    "      --iomem-bytes N     the same in bytes\n"
    "      --no-huge           do not use hugepages for them\n"
    "  -L, --logflag NAME      print a component's debug lines; all for all of them\n"
    "  -e, --log-level LEVEL   print lines up to ERROR, WARNING, NOTICE, INFO or DEBUG (NOTICE)\n"
    "      --schema            print the declarations of all RPC methods as JSON, and end\n"
    "      --version           print the version, and end\n"
    "  -h, --help              print this, and end\n"
    "\n"
    "SIGTERM or SIGINT ends it in order: I/O in flight completes, caches are stopped, devices are\n"
    "closed; a second one ends it at once, and caches recover at the next start.\n"
    "Exit status: 0, or 1 when it could not start, or 2 for wrong usage.\n"
    "\n"
    "Examples:\n"
    "  tarnd -c json-config/quickstart.json -r ./tarn.sock\n"
    "  tarnd -m 0-3 --poll busy -c /etc/tarn/tarn.json\n"
    "  tarnd --wait-for-rpc -r ./tarn.sock\n";

static int
usage(const char *format, const char *value)
{
	fprintf(stderr, "tarnd: ");
	fprintf(stderr, format, value);
	fprintf(stderr, "\nTry 'tarnd --help'.\n");
	return 2;
}

static int
number_parse(const char *text, uint64_t min, uint64_t max, uint64_t *ret_value)
{
	unsigned long long value;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || text[0] == '-' || value < min ||
	    value > max)
		return -EINVAL;
	*ret_value = value;
	return 0;
}

static int
log_level_opt(const char *text)
{
	enum tarn_log_level level;

	if (tarn_log_level_parse(text, &level) != 0)
		return usage("--log-level: '%s' is no level", text);
	tarn_log_set_print_level(level);
	if (level > tarn_log_get_level())
		tarn_log_set_level(level);
	return -1;
}

static int
log_flag_opt(const char *text)
{
	if (tarn_log_set_flag(text, true) != 0)
		return usage("--logflag: there is no flag '%s'", text);
	return log_level_opt("DEBUG");
}

static int
number_opt(int opt, const char *text, struct tarnd_opts *opts)
{
	uint64_t value;

	if (opt == 's') {
		if (number_parse(text, 1, UINT64_C(1) << 24, &value) != 0)
			return usage("--mem-size: '%s' is no number of MiB from 1", text);
		opts->env.iomem_bytes = value << 20;
	} else if (opt == OPT_IOMEM_BYTES) {
		if (number_parse(text, 1 << 20, UINT64_C(1) << 44, &value) != 0)
			return usage("--iomem-bytes: '%s' is no number of bytes from 1048576",
				     text);
		opts->env.iomem_bytes = value;
	} else {
		if (number_parse(text, 0, 1000000, &value) != 0)
			return usage("--idle-spin-us: '%s' is no number from 0 to 1000000", text);
		opts->reactor.idle_spin_us = value == 0 ? 1 : (uint32_t)value;
	}
	return -1;
}

static int
poll_opt(const char *text, struct tarnd_opts *opts)
{
	if (strcmp(text, "busy") == 0)
		opts->reactor.poll_mode = TARN_POLL_BUSY;
	else if (strcmp(text, "adaptive") == 0)
		opts->reactor.poll_mode = TARN_POLL_ADAPTIVE;
	else
		return usage("--poll: '%s' is neither busy nor adaptive", text);
	return -1;
}

static int
one_opt(int opt, struct tarnd_opts *opts)
{
	switch (opt) {
	case 'c':
		opts->config_path = optarg;
		return -1;
	case 'r':
		opts->socket_path = optarg;
		return -1;
	case 'm':
		if (tarn_cpus_parse(optarg, &opts->reactor.cpus) != 0)
			return usage("--cpumask: '%s' is neither a mask (0x3) nor a list (0,2-3)",
				     optarg);
		return -1;
	case 'L':
		return log_flag_opt(optarg);
	case 'e':
		return log_level_opt(optarg);
	case OPT_POLL:
		return poll_opt(optarg, opts);
	case OPT_WAIT_FOR_RPC:
		opts->wait_for_rpc = true;
		return -1;
	case OPT_NO_HUGE:
		opts->env.no_hugepages = true;
		return -1;
	case OPT_SCHEMA:
		opts->print_schema = true;
		return -1;
	case OPT_VERSION:
		printf("tarnd %s\n", TARN_VERSION);
		return 0;
	case 'h':
		fputs(help_text, stdout);
		return 0;
	case '?':
		fprintf(stderr, "Try 'tarnd --help'.\n");
		return 2;
	default:
		return number_opt(opt, optarg, opts);
	}
}

int
tarnd_opts_parse(int argc, char **argv, struct tarnd_opts *ret_opts)
{
	struct tarnd_opts opts = { 0 };
	int opt, status;

	while ((opt = getopt_long(argc, argv, "c:r:m:s:L:e:h", long_opts, NULL)) != -1) {
		status = one_opt(opt, &opts);
		if (status != -1)
			return status;
	}
	if (optind < argc)
		return usage("'%s' is no option", argv[optind]);
	*ret_opts = opts;
	return -1;
}
