/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A cache within a program of your own, without tarnd: open or format it on a file, store, look up.
 *
 *	truncate -s 64M cache.img
 *	cc -o example cache.c $(pkg-config --cflags --libs tarn)
 *	./example cache.img greeting "hello, world"	store, and look it up
 *	./example cache.img greeting			look it up again, in another process
 *
 * All of it happens on one reactor: each step ends in a callback, which starts the next one.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tarn/bdev.h"
#include "tarn/bdev_opts.h"
#include "tarn/cache.h"
#include "tarn/env.h"
#include "tarn/reactor.h"

struct example {
	const char *path, *key, *value; /* value NULL: only look up */
	struct tarn_bdev *bdev;
	struct tarn_cache *cache;
	struct tarn_cache_op op; /* one operation, used again and again */
	int status;		 /* of the process */
};

/* --- The end: the cache, then its device, then the reactors --- */

static void
bdev_deleted(void *arg, int status)
{
	struct example *example = arg;

	(void)status;
	tarn_reactors_stop(example->status);
}

static void
cache_stopped(void *arg, int status)
{
	struct example *example = arg;

	if (status != 0) {
		fprintf(stderr, "stop: %s\n", strerror(-status));
		example->status = EXIT_FAILURE;
	}
	tarn_bdev_delete(example->bdev, false, bdev_deleted, example);
}

static void
finish(struct example *example, int status)
{
	example->status = status;
	tarn_cache_stop(example->cache, cache_stopped, example);
}

/* --- Storing and looking up --- */

static void
looked_up(struct tarn_cache_op *op)
{
	struct example *example = op->arg;

	if (op->status != 0) {
		fprintf(stderr, "%s: %s\n", example->key,
			op->status == -ENOENT ? "a miss" : strerror(-op->status));
		finish(example, EXIT_FAILURE);
		return;
	}
	printf("%.*s\n", (int)op->result_bytes, op->lent != NULL ? (const char *)op->lent : "");
	if (op->lent != NULL)
		tarn_cache_release(op); /* what was lent is ours until here */
	finish(example, EXIT_SUCCESS);
}

static void
look_up(struct example *example)
{
	example->op.flags = TARN_CACHE_LEND; /* the value without a copy */
	example->op.buf_bytes = 0;	     /* all of it */
	example->op.cb = looked_up;
	tarn_cache_lookup(&example->op);
}

static void
stored(struct tarn_cache_op *op)
{
	struct example *example = op->arg;

	if (op->status == 0) {
		look_up(example);
		return;
	}
	fprintf(stderr, "store: %s\n", strerror(-op->status));
	finish(example, EXIT_FAILURE);
}

static void
store(struct example *example)
{
	example->op.buf = (void *)example->value; /* only read */
	example->op.buf_bytes = strlen(example->value);
	example->op.ttl_s = 3600;
	example->op.flags = 0;
	example->op.cb = stored;
	tarn_cache_store(&example->op);
}

/* --- The beginning --- */

static void
cache_opened(void *arg, int status, struct tarn_cache *cache, const struct tarn_reason *reason)
{
	struct example *example = arg;

	if (status != 0) {
		fprintf(stderr, "%s\n", reason->text);
		example->status = EXIT_FAILURE;
		tarn_bdev_delete(example->bdev, false, bdev_deleted, example);
		return;
	}
	example->cache = cache;
	example->op.cache = cache;
	example->op.key = example->key;
	example->op.key_bytes = (uint32_t)strlen(example->key);
	example->op.arg = example;
	if (example->value != NULL)
		store(example);
	else
		look_up(example);
}

static void
begin(void *arg)
{
	struct example *example = arg;
	const struct tarn_bdev_file_opts file = { .filename = example->path, .fallback = true };
	const struct tarn_cache_opts opts = { .name = "example", .bdev_name = "device" };
	struct tarn_reason reason;
	int rc;

	rc = tarn_bdev_create_file("uring", "device", &file, &example->bdev, &reason);
	if (rc != 0) {
		fprintf(stderr, "%s\n", reason.text);
		tarn_reactors_stop(EXIT_FAILURE);
		return;
	}
	tarn_cache_create(&opts, cache_opened, example); /* opens what is there, formats a blank */
}

int
main(int argc, char **argv)
{
	struct tarn_reactor_opts reactors = { .poll_mode = TARN_POLL_ADAPTIVE };
	static struct example example;
	struct tarn_msg first;
	int status;

	if (argc < 3 || argc > 4) {
		fprintf(stderr, "usage: %s FILE KEY [VALUE]\n", argv[0]);
		return 2;
	}
	example.path = argv[1];
	example.key = argv[2];
	example.value = argv[3];
	status = tarn_env_init(NULL);
	if (status == 0)
		status = tarn_reactors_init(&reactors);
	if (status != 0) {
		fprintf(stderr, "%s\n", strerror(-status));
		return EXIT_FAILURE;
	}
	tarn_msg_send(tarn_reactor_get(0), &first, begin, &example);
	status = tarn_reactors_run();
	tarn_reactors_fini();
	tarn_env_fini();
	return status < 0 ? EXIT_FAILURE : status;
}
