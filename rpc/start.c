/* SPDX-License-Identifier: BSD-3-Clause */
/* The daemon's life: see framework.h for its states. */
#include "tarn/framework.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "rpc/cache.h"
#include "rpc/internal.h"
#include "tarn/bdev.h"
#include "tarn/bdev_probe.h"
#include "tarn/log.h"
#include "tarn/reactor.h"
#include "tarn/util.h"

enum life {
	LIFE_NEW,
	LIFE_WAITING, /* for framework_start_init */
	LIFE_LOADING,
	LIFE_RUNNING,
	LIFE_STOPPING,
};

/* Who waits for the daemon to run: framework_wait_init, and framework_start_init's own caller. */
struct start_wait {
	STAILQ_ENTRY(start_wait) link;
	struct tarn_rpc_request *req;
};

static struct {
	enum life life;
	struct tarn_framework_opts opts;
	STAILQ_HEAD(, start_wait) waits;
	void (*stopped)(void *arg);
	void *stopped_arg;
	bool loading; /* also while stopping: the stop goes on when the load has ended */
} daemon_life = { .waits = STAILQ_HEAD_INITIALIZER(daemon_life.waits) };

static void
set_life(enum life life)
{
	tarn_assert(life > daemon_life.life);
	daemon_life.life = life;
}

static void
answer_waits(int status, const char *error)
{
	struct start_wait *wait;

	while ((wait = STAILQ_FIRST(&daemon_life.waits)) != NULL) {
		STAILQ_REMOVE_HEAD(&daemon_life.waits, link);
		if (status == 0)
			tarn_rpc_reply_true(wait->req);
		else
			tarn_rpc_fail(wait->req, status, "start: %s", error);
		free(wait);
	}
}

static void
add_wait(struct tarn_rpc_request *req)
{
	struct start_wait *wait = malloc(sizeof(*wait));

	if (wait == NULL) {
		tarn_rpc_reply(req, NULL);
		return;
	}
	wait->req = req;
	STAILQ_INSERT_TAIL(&daemon_life.waits, wait, link);
}

/* --- Starting --- */

static void stop_caches(void *arg);

static void
loaded(void *arg, int status, const char *error)
{
	(void)arg;
	daemon_life.loading = false;
	if (daemon_life.life == LIFE_STOPPING) {
		answer_waits(-ESHUTDOWN, "the daemon ends");
		rpc_bdev_probe_stop(stop_caches, NULL);
		return;
	}
	if (status == 0)
		set_life(LIFE_RUNNING);
	answer_waits(status, error);
	daemon_life.opts.started(daemon_life.opts.arg, status, error);
}

static void
load(void)
{
	set_life(LIFE_LOADING);
	tarn_rpc_set_state(TARN_RPC_RUNTIME);
	if (daemon_life.opts.config_path == NULL) {
		loaded(NULL, 0, NULL);
	} else {
		daemon_life.loading = true;
		rpc_config_load_file(daemon_life.opts.config_path, loaded, NULL);
	}
}

void
tarn_framework_start(const struct tarn_framework_opts *opts)
{
	daemon_life.opts = *opts;
	if (!opts->wait_for_rpc) {
		load();
		return;
	}
	set_life(LIFE_WAITING);
	tarn_rpc_set_state(TARN_RPC_STARTUP);
	tarn_notice("waiting for framework_start_init");
}

void
rpc_start_init(struct tarn_rpc_request *req)
{
	if (daemon_life.life != LIFE_WAITING) {
		tarn_rpc_fail(req, -EALREADY, "the daemon has been started already");
		return;
	}
	add_wait(req);
	load();
}

void
rpc_start_wait(struct tarn_rpc_request *req)
{
	if (daemon_life.life == LIFE_RUNNING)
		tarn_rpc_reply_true(req);
	else if (daemon_life.life == LIFE_STOPPING)
		tarn_rpc_fail(req, -ESHUTDOWN, "the daemon ends");
	else
		add_wait(req);
}

/*
 * --- Stopping: caches, then devices, of which the youngest goes first, so that wrappers go before
 * their bases ---
 */

static void
remove_last(void *arg, int status)
{
	struct tarn_bdev *last = NULL;

	(void)arg;
	(void)status;
	for (struct tarn_bdev *bdev = tarn_bdev_next(NULL); bdev != NULL;
	     bdev = tarn_bdev_next(bdev))
		last = bdev;
	if (last != NULL)
		tarn_bdev_delete(last, true, remove_last, NULL);
	else
		daemon_life.stopped(daemon_life.stopped_arg);
}

static void
remove_devices(void *arg)
{
	remove_last(arg, 0);
}

static void
stop_caches(void *arg)
{
	rpc_cache_stop_all(remove_devices, arg);
}

void
tarn_framework_stop(void (*done)(void *arg), void *arg)
{
	set_life(LIFE_STOPPING);
	tarn_rpc_set_state(TARN_RPC_STARTUP); /* nothing new is begun */
	daemon_life.stopped = done;
	daemon_life.stopped_arg = arg;
	rpc_bdev_waits_cancel();
	tarn_bdev_create_waits_cancel();
	if (daemon_life.loading) {
		tarn_bdev_probe_cancel(); /* the configuration may be waiting for one */
		return;			  /* loaded() goes on */
	}
	answer_waits(-ESHUTDOWN, "the daemon ends");
	rpc_bdev_probe_stop(stop_caches, NULL);
}
