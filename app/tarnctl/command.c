/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>

#include "app/tarnctl/ctl.h"

/* The commands of tarnctl's own; what is none of them is a method of the server. */
const struct ctl_command ctl_commands[] = {
	{ "iostat", "[-w SECONDS] [-c COUNT] [-j] [BDEV...]",
	  "I/O rates of bdevs, as iostat(1) shows them", ctl_iostat },
	{ "histogram", "[-j] BDEV", "latencies of a bdev: percentiles and a bar chart",
	  ctl_histogram },
	{ "cache", "[list | stats NAME | VERB [NAME [KEY [VALUE]]] [--FIELD VALUE]...]",
	  "caches: list, stats for eyes, and each method cache_VERB with its name, key and value "
	  "as plain words",
	  ctl_cache },
	{ "save_config", "[FILE]", "write a configuration that brings the present state back",
	  ctl_save_config },
	{ "load_config", "[FILE]", "carry out the calls of a configuration file", ctl_load_config },
	{ "batch", "[-k]", "carry out one call per line of stdin; -k: go on after errors",
	  ctl_batch },
	{ "completion", "bash|zsh|fish", "print a script for the shell's completion",
	  ctl_completion },
	{ "__complete", "WORD...", NULL, ctl_complete },
	{ NULL, NULL, NULL, NULL },
};

static bool
wants_help(int argc, char **argv)
{
	return argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0);
}

enum ctl_exit
ctl_run(struct ctl *ctl, int argc, char **argv)
{
	if (argc == 0) {
		return ctl_usage("no command; tarnctl --help lists them");
	}
	if (strcmp(argv[0], "help") == 0 && argc == 1) {
		ctl_print_help(ctl);
		return CTL_OK;
	}
	for (const struct ctl_command *c = ctl_commands; c->name != NULL; c++) {
		if (strcmp(c->name, argv[0]) != 0) {
			continue;
		}
		if (wants_help(argc, argv) && c->help != NULL) {
			printf("Usage: tarnctl %s %s\n\n%s.\n", c->name, c->usage, c->help);
			return CTL_OK;
		}
		return c->run(ctl, argc, argv);
	}
	return ctl_method(ctl, argc, argv);
}
