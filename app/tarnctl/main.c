/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/tarnctl/ctl.h"
#include "tarn/version.h"

/* tarnctl: control a running tarnd. Options before the command, then the command's own. */
static const struct option options[] = {
	{ "socket", required_argument, NULL, 's' },
	{ "timeout", required_argument, NULL, 'T' },
	{ "json", no_argument, NULL, 'j' },
	{ "table", no_argument, NULL, 't' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

static bool
parse_timeout(const char *text, uint32_t *ret_timeout_ms)
{
	char *end;
	double seconds = strtod(text, &end);

	if (end == text || *end != '\0' || !(seconds >= 0.001 && seconds <= 1e6)) {
		ctl_usage("--timeout: \"%s\" is no number of seconds from 0.001 to 1000000", text);
		return false;
	}
	*ret_timeout_ms = (uint32_t)(seconds * 1000);
	return true;
}

/* \return whether to go on with *ret_status undecided. */
static bool
parse_options(struct ctl *ctl, int argc, char **argv, enum ctl_exit *ret_status)
{
	int option;

	*ret_status = CTL_OK;
	/* '+': options after the command are the command's. */
	while ((option = getopt_long(argc, argv, "+s:r:T:jthV", options, NULL)) != -1) {
		switch (option) {
		case 's':
		case 'r':
			ctl->path = optarg;
			break;
		case 'T':
			if (!parse_timeout(optarg, &ctl->timeout_ms)) {
				*ret_status = CTL_USAGE;
				return false;
			}
			break;
		case 'j':
			ctl->format = CTL_FORMAT_JSON;
			break;
		case 't':
			ctl->format = CTL_FORMAT_TABLE;
			break;
		case 'h':
			ctl_print_help(ctl);
			return false;
		case 'V':
			puts("tarnctl " TARN_VERSION);
			return false;
		default:
			*ret_status = CTL_USAGE;
			return false;
		}
	}
	return true;
}

/* A reader that has had enough (head, a closed pager) is no error. */
static enum ctl_exit
finish_output(enum ctl_exit status)
{
	errno = 0;
	if ((fflush(stdout) != 0 || ferror(stdout)) && errno != EPIPE && errno != 0) {
		ctl_error("cannot write the output: %s", strerror(errno));
		return CTL_REFUSED;
	}
	return status;
}

int
main(int argc, char **argv)
{
	const char *path = getenv("TARN_SOCKET");
	struct ctl ctl = { .path = path != NULL ? path : TARN_RPC_SOCKET_DEFAULT };
	enum ctl_exit status;

	signal(SIGPIPE, SIG_IGN);
	if (parse_options(&ctl, argc, argv, &status)) {
		status = ctl_run(&ctl, argc - optind, argv + optind);
	}
	ctl_close(&ctl);
	return (int)finish_output(status);
}
