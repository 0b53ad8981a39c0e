/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <stdbool.h>
#include <stdint.h>

/* What to print beside the report. Each includes those before it. */
enum ck_dump {
	CK_DUMP_NONE,
	CK_DUMP_HEADERS, /* superblocks, checkpoints, segments */
	CK_DUMP_BATCHES,
	CK_DUMP_ENTRIES,
};

#define CK_ANY UINT64_MAX

struct ck_opts {
	const char *path; /* argv's */
	enum ck_dump dump;
	uint64_t shard, segment; /* dump only this shard, this sequence; CK_ANY: all */
	bool json, progress, quiet;
};

/**
 * Read the command line.
 * \return -1: go on with *ret_opts; otherwise the exit status (it has printed why, or the help).
 */
int ck_opts_parse(int argc, char **argv, struct ck_opts *ret_opts);
