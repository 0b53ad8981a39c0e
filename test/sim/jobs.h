/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include "sim.h"

/* Many seeds, by several processes; what each one said, in order of the seeds. */
struct jobs_opts {
	uint64_t seed, count;
	uint32_t process_count;
	double seconds; /* take no more seeds after so many; 0: no limit */
	bool progress;	/* a line now and then */
	bool hard;	/* see plan_make() */
	/* With one process only: */
	int life_here;	   /* see seed_run() */
	const char *image; /* file for what that life finds on the device; NULL: none */
	bool verbose;
};

struct jobs_totals {
	uint64_t seed_count, failed_count;
	struct sim_counts counts;
	double elapsed_s;
};

/**
 * Print a line for each seed that fails. \return 0, or -errno: processes could not be started, or
 * one of them has died, and not all seeds were run.
 */
int jobs_run(const struct jobs_opts *opts, struct jobs_totals *ret_totals);
