/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <stdbool.h>

#include "tarn/env.h"
#include "tarn/reactor.h"

/* The command line of tarnd. */
struct tarnd_opts {
	const char *config_path; /* NULL: none */
	const char *socket_path; /* NULL: the default */
	bool wait_for_rpc;
	bool print_schema; /* and end */
	struct tarn_env_opts env;
	struct tarn_reactor_opts reactor;
};

/** Read it. \return -1: go on; otherwise the exit status, with everything said. */
int tarnd_opts_parse(int argc, char **argv, struct tarnd_opts *ret_opts);
