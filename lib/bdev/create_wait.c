/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A file or block device that another process holds for a moment longer. A process that was killed
 * is gone before its rings are: the kernel ends these later, when their I/O has ended, and until
 * then they keep the file, and its lock. Who restarts it at once would be refused.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "tarn/bdev_driver.h"
#include "tarn/bdev_file.h"
#include "tarn/env.h"

#define WAIT_NS UINT64_C(2000000000)
#define WAIT_PERIOD_US 20000

struct create_wait {
	LIST_ENTRY(create_wait) link;
	struct tarn_poller *poller;
	struct tarn_bdev_file_opts *opts;
	uint64_t deadline_ns;
	char driver_name[TARN_BDEV_NAME_MAX + 1];
	char name[TARN_BDEV_NAME_MAX + 1];
	tarn_bdev_create_cb done;
	void *arg;
	int status; /* of the last try */
	struct tarn_reason reason;
};
static LIST_HEAD(, create_wait) waits = LIST_HEAD_INITIALIZER(waits);

static void
finish(struct create_wait *wait, struct tarn_bdev *bdev)
{
	LIST_REMOVE(wait, link);
	tarn_poller_unregister(&wait->poller);
	wait->done(wait->arg, wait->status, bdev, &wait->reason);
	tarn_bdev_file_opts_free(wait->opts);
	free(wait);
}

static bool
may_become_free(int status, const struct tarn_bdev_file_opts *opts)
{
	return status == -EBUSY && tarn_bdev_file_holder(opts->filename) == NULL;
}

static int
poll(void *arg)
{
	struct create_wait *wait = arg;
	struct tarn_bdev *bdev = NULL;

	wait->status =
	    tarn_bdev_create_file(wait->driver_name, wait->name, wait->opts, &bdev, &wait->reason);
	if (may_become_free(wait->status, wait->opts) && tarn_now_ns() < wait->deadline_ns)
		return 0;
	finish(wait, bdev);
	return 1;
}

/* \return 0, or -ENOMEM: nobody waits. */
static int
start(const struct create_wait *request, const char *driver_name, const char *name,
      const struct tarn_bdev_file_opts *opts)
{
	struct create_wait *wait = malloc(sizeof(*wait));

	if (wait == NULL)
		return -ENOMEM;
	*wait = *request;
	(void)tarn_strcpy(wait->driver_name, sizeof(wait->driver_name), driver_name);
	(void)tarn_strcpy(wait->name, sizeof(wait->name), name);
	wait->opts = tarn_bdev_file_opts_copy(opts);
	wait->deadline_ns = tarn_now_ns() + WAIT_NS;
	wait->poller = tarn_poller_register(&(struct tarn_poller_opts){
	    .name = "bdev_create_wait",
	    .fn = poll,
	    .arg = wait,
	    .period_us = WAIT_PERIOD_US,
	});
	if (wait->opts == NULL || wait->poller == NULL) {
		tarn_poller_unregister(&wait->poller);
		tarn_bdev_file_opts_free(wait->opts);
		free(wait);
		return -ENOMEM;
	}
	LIST_INSERT_HEAD(&waits, wait, link);
	return 0;
}

void
tarn_bdev_create_file_wait(const char *driver_name, const char *name,
			   const struct tarn_bdev_file_opts *opts, tarn_bdev_create_cb done,
			   void *arg)
{
	struct create_wait request = { .done = done, .arg = arg };
	struct tarn_bdev *bdev = NULL;

	request.status = tarn_bdev_create_file(driver_name, name, opts, &bdev, &request.reason);
	if (may_become_free(request.status, opts) && start(&request, driver_name, name, opts) == 0)
		return;
	done(arg, request.status, bdev, &request.reason);
}

void
tarn_bdev_create_waits_cancel(void)
{
	struct create_wait *wait;

	while ((wait = LIST_FIRST(&waits)) != NULL)
		finish(wait, NULL);
}
