/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A device that answers late: I/O is passed on, and its completion held back. Of the reads and of
 * the writes each, every hundredth takes the p99 latency, the others the average one.
 *
 * What is held back lies in one list for each latency, in order of completion, and so nearly in the
 * order in which it is due: a latency that is made shorter counts for what completes after it.
 */
#include <errno.h>
#include <stdatomic.h>

#include "tarn/bdev_wrapper.h"
#include "tarn/env.h"
#include "tarn/util.h"

#define DELAY_TYPE_COUNT 4
#define P99_EVERY 100
#define LATENCY_MAX_US UINT64_C(1000000000000) /* eleven days; no sum with it overflows */

struct delay_bdev {
	struct tarn_wrapper wrapper;
	atomic_uint_fast64_t latency_us[DELAY_TYPE_COUNT];
};

struct delay_channel {
	struct tarn_wrapper_channel wch; /* first */
	struct tarn_wrapped_list held[DELAY_TYPE_COUNT];
	uint32_t read_count, write_count;
};

static void *
opts_copy(const void *opts)
{
	return tarn_wrapper_opts_copy(opts, sizeof(struct tarn_bdev_delay_opts));
}

static int
delay_open(struct tarn_bdev *bdev, const void *opts, struct tarn_bdev_limits *limits,
	   struct tarn_reason *reason)
{
	const struct tarn_bdev_delay_opts *delay = opts;
	struct delay_bdev *db = tarn_bdev_ctx(bdev);

	atomic_store(&db->latency_us[TARN_DELAY_AVERAGE_READ], delay->average_read_us);
	atomic_store(&db->latency_us[TARN_DELAY_P99_READ], delay->p99_read_us);
	atomic_store(&db->latency_us[TARN_DELAY_AVERAGE_WRITE], delay->average_write_us);
	atomic_store(&db->latency_us[TARN_DELAY_P99_WRITE], delay->p99_write_us);
	return tarn_wrapper_open(&db->wrapper, bdev, delay->base_name, limits, reason);
}

static void
delay_close(struct tarn_bdev *bdev)
{
	struct delay_bdev *db = tarn_bdev_ctx(bdev);

	tarn_wrapper_close(&db->wrapper);
}

static int
delay_control(struct tarn_bdev *bdev, uint32_t command, const void *arg, struct tarn_reason *reason)
{
	const struct tarn_bdev_delay_latency *latency = arg;
	struct tarn_bdev_delay_opts *delay = tarn_bdev_opts_mutable(bdev);
	struct delay_bdev *db = tarn_bdev_ctx(bdev);

	if (command != TARN_BDEV_SET_LATENCY)
		return tarn_reason_set(reason, -ENOTSUP,
				       "%s: only the latencies of a delay device can be changed",
				       tarn_bdev_name(bdev));
	atomic_store(&db->latency_us[latency->type], latency->latency_us);
	switch (latency->type) {
	case TARN_DELAY_AVERAGE_READ:
		delay->average_read_us = latency->latency_us;
		break;
	case TARN_DELAY_P99_READ:
		delay->p99_read_us = latency->latency_us;
		break;
	case TARN_DELAY_AVERAGE_WRITE:
		delay->average_write_us = latency->latency_us;
		break;
	case TARN_DELAY_P99_WRITE:
		delay->p99_write_us = latency->latency_us;
		break;
	}
	return 0;
}

static void
delay_describe(struct tarn_bdev *bdev, const struct tarn_info_sink *sink)
{
	const struct tarn_bdev_delay_opts *delay = tarn_bdev_opts(bdev);

	sink->text(sink->arg, "base_bdev_name", delay->base_name);
	sink->number(sink->arg, "avg_read_latency", delay->average_read_us);
	sink->number(sink->arg, "p99_read_latency", delay->p99_read_us);
	sink->number(sink->arg, "avg_write_latency", delay->average_write_us);
	sink->number(sink->arg, "p99_write_latency", delay->p99_write_us);
}

static int
delay_channel_open(struct tarn_channel *channel)
{
	struct delay_channel *dch = tarn_channel_ctx(channel);
	struct delay_bdev *db = tarn_bdev_ctx(tarn_channel_bdev(channel));
	struct tarn_bdev_info info;

	for (int type = 0; type < DELAY_TYPE_COUNT; type++)
		TAILQ_INIT(&dch->held[type]);
	tarn_bdev_get_info(tarn_channel_bdev(channel), &info);
	return tarn_wrapper_channel_open(&db->wrapper, &dch->wch, info.queue_depth);
}

static void
delay_channel_close(struct tarn_channel *channel)
{
	struct delay_channel *dch = tarn_channel_ctx(channel);

	tarn_wrapper_channel_close(&dch->wch);
}

/* Which latency this I/O has, or DELAY_TYPE_COUNT: none. */
static int
choose_latency(struct delay_channel *dch, const struct tarn_io *io)
{
	switch (io->op) {
	case TARN_IO_READ:
		return ++dch->read_count % P99_EVERY == 0 ? TARN_DELAY_P99_READ
							  : TARN_DELAY_AVERAGE_READ;
	case TARN_IO_WRITE:
	case TARN_IO_WRITE_ZEROES:
		return ++dch->write_count % P99_EVERY == 0 ? TARN_DELAY_P99_WRITE
							   : TARN_DELAY_AVERAGE_WRITE;
	default:
		return DELAY_TYPE_COUNT;
	}
}

static void
finish(struct delay_channel *dch, struct tarn_wrapped_io *wrapped)
{
	struct tarn_io *parent = wrapped->parent;
	int status = wrapped->status;

	tarn_wrapped_put(&dch->wch, wrapped);
	tarn_io_complete(parent, status);
}

/* The base is done with it. */
static void
delay_base_done(void *arg, int status)
{
	struct tarn_wrapped_io *wrapped = arg;
	struct tarn_channel *channel = wrapped->parent->channel;
	struct delay_channel *dch = tarn_channel_ctx(channel);
	struct delay_bdev *db = tarn_bdev_ctx(tarn_channel_bdev(channel));
	int type = choose_latency(dch, wrapped->parent);

	wrapped->status = status;
	if (type == DELAY_TYPE_COUNT) {
		finish(dch, wrapped);
		return;
	}
	wrapped->due_ns =
	    tarn_now_ns() + tarn_min_u64(atomic_load(&db->latency_us[type]), LATENCY_MAX_US) * 1000;
	TAILQ_INSERT_TAIL(&dch->held[type], wrapped, link);
}

static void
delay_submit(struct tarn_channel *channel, struct tarn_io *io)
{
	struct delay_channel *dch = tarn_channel_ctx(channel);

	tarn_wrapped_pass_on(&dch->wch, tarn_wrapped_get(&dch->wch, io), delay_base_done);
}

struct visit {
	uint64_t now_ns;
	uint64_t next_due_ns;
	int count;
};

static void
release_due(struct tarn_channel *channel, void *arg)
{
	struct delay_channel *dch = tarn_channel_ctx(channel);
	struct tarn_wrapped_io *wrapped;
	struct visit *visit = arg;

	for (int type = 0; type < DELAY_TYPE_COUNT; type++) {
		while ((wrapped = TAILQ_FIRST(&dch->held[type])) != NULL &&
		       wrapped->due_ns <= visit->now_ns) {
			TAILQ_REMOVE(&dch->held[type], wrapped, link);
			finish(dch, wrapped);
			visit->count++;
		}
	}
}

static int
delay_poll(struct tarn_group *group)
{
	struct visit visit = { .now_ns = tarn_now_ns() };

	tarn_group_each_channel(group, release_due, &visit);
	return visit.count;
}

static void
find_next_due(struct tarn_channel *channel, void *arg)
{
	struct delay_channel *dch = tarn_channel_ctx(channel);
	struct visit *visit = arg;

	for (int type = 0; type < DELAY_TYPE_COUNT; type++) {
		const struct tarn_wrapped_io *wrapped = TAILQ_FIRST(&dch->held[type]);

		if (wrapped != NULL)
			visit->next_due_ns = tarn_min_u64(visit->next_due_ns, wrapped->due_ns);
	}
}

/* What the base has in flight is for the base's driver to wake up for. */
static uint64_t
delay_may_sleep_ns(struct tarn_group *group)
{
	struct visit visit = { .next_due_ns = UINT64_MAX };
	uint64_t now_ns = tarn_now_ns();

	tarn_group_each_channel(group, find_next_due, &visit);
	if (visit.next_due_ns == UINT64_MAX)
		return TARN_SLEEP_ANY;
	return visit.next_due_ns > now_ns ? visit.next_due_ns - now_ns : TARN_SLEEP_NO;
}

static const struct tarn_bdev_driver delay_driver = {
	.name = "delay",
	.product = "delay",
	.bdev_ctx_bytes = sizeof(struct delay_bdev),
	.channel_ctx_bytes = sizeof(struct delay_channel),
	.opts_copy = opts_copy,
	.opts_free = tarn_wrapper_opts_free,
	.open = delay_open,
	.close = delay_close,
	.control = delay_control,
	.describe = delay_describe,
	.poll = delay_poll,
	.may_sleep_ns = delay_may_sleep_ns,
	.channel_open = delay_channel_open,
	.channel_close = delay_channel_close,
	.submit = delay_submit,
};
TARN_BDEV_DRIVER(delay_driver)
