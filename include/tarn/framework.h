/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <stdbool.h>

/*
 * The daemon's life as seen from its control plane: from the first turn, over the configuration, to
 * running; and back. Control reactor only.
 *
 *   starting --config loaded--> running --stop--> stopping --caches, devices closed--> done
 *       ^ with wait_for_rpc only framework_start_init leads on, and only start-up methods
 *         may be called
 */
struct tarn_framework_opts {
	const char *config_path; /* NULL: none. The string outlives the start */
	bool wait_for_rpc;
	/** Once: status 0 when running, or -errno with what failed. */
	void (*started)(void *arg, int status, const char *error);
	void *arg;
};
void tarn_framework_start(const struct tarn_framework_opts *opts);

/**
 * Answer what waits, stop every cache, and remove every device, wrappers before bases: I/O in
 * flight completes. Then done(arg). Also while starting: it ends the start.
 */
void tarn_framework_stop(void (*done)(void *arg), void *arg);
