/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Channels (one device on one reactor), and groups (what a driver's channels on one reactor share).
 * All on their reactor.
 */
#include <errno.h>
#include <stdlib.h>

#include "lib/bdev/internal.h"
#include "tarn/env.h"

/* --- Groups --- */

static void
group_drain_stalled(struct tarn_group *group)
{
	struct tarn_channel *channel;

	TAILQ_FOREACH (channel, &group->channels, group_link) {
		if (!channel->stalled)
			continue;
		channel->stalled = false;
		group->stalled_count--;
		io_drain(channel);
	}
}

static int
group_poll(void *arg)
{
	struct tarn_group *group = arg;
	int count;

	group->poll_ns = 0;
	group->polling = true;
	count = group->driver->poll(group);
	group->polling = false;
	if (tarn_unlikely(group->stalled_count != 0))
		group_drain_stalled(group);
	return count;
}

/* What waits for tokens alone need not be tried before there are some. */
static uint64_t
stalled_may_sleep_ns(const struct tarn_group *group)
{
	const struct tarn_channel *channel;
	uint64_t until_ns = UINT64_MAX;
	uint64_t now_ns;

	TAILQ_FOREACH (channel, &group->channels, group_link) {
		if (channel->stalled)
			until_ns = tarn_min_u64(until_ns, channel->qos_until_ns);
	}
	now_ns = tarn_now_ns();
	return until_ns > now_ns ? until_ns - now_ns : TARN_SLEEP_NO;
}

static uint64_t
group_may_sleep_ns(void *arg)
{
	struct tarn_group *group = arg;
	uint64_t sleep_ns = TARN_SLEEP_ANY;

	/*
	 * Asked without I/O in flight, too: what ended the last sleep is not to end the next one.
	 */
	if (group->driver->may_sleep_ns != NULL)
		sleep_ns = group->driver->may_sleep_ns(group);
	else if (group->inflight_count != 0)
		sleep_ns = TARN_SLEEP_NO;
	if (group->stalled_count != 0 && sleep_ns != TARN_SLEEP_NO)
		sleep_ns = tarn_min_u64(sleep_ns, stalled_may_sleep_ns(group));
	return sleep_ns;
}

void
channel_stall(struct tarn_channel *channel)
{
	if (channel->stalled)
		return;
	channel->stalled = true;
	channel->group->stalled_count++;
}

static void
group_free(struct tarn_group *group)
{
	free(group->ctx);
	free(group);
}

static struct tarn_group *
group_alloc(struct tarn_bdev_driver_node *node)
{
	struct tarn_group *group = calloc(1, sizeof(*group));

	if (group == NULL)
		return NULL;
	group->node = node;
	group->driver = node->driver;
	group->reactor = tarn_reactor_self();
	TAILQ_INIT(&group->channels);
	group->ctx = calloc(1, tarn_max_u64(group->driver->group_ctx_bytes, 1));
	if (group->ctx == NULL) {
		group_free(group);
		return NULL;
	}
	return group;
}

static int
group_register_poller(struct tarn_group *group)
{
	const struct tarn_bdev_driver *driver = group->driver;
	struct tarn_poller_opts opts = {
		.name = driver->name,
		.fn = group_poll,
		.arg = group,
		.may_sleep_ns = group_may_sleep_ns,
	};

	opts.fd = driver->sleep_fd != NULL ? driver->sleep_fd(group) : -1;
	opts.has_fd = opts.fd >= 0;
	group->poller = tarn_poller_register(&opts);
	return group->poller != NULL ? 0 : -ENOMEM;
}

static int
group_get(struct tarn_bdev_driver_node *node, struct tarn_group **ret_group)
{
	uint32_t index = tarn_reactor_index(tarn_reactor_self());
	struct tarn_group *group = node->group[index];
	int status;

	if (group != NULL) {
		*ret_group = group;
		return 0;
	}
	group = group_alloc(node);
	if (group == NULL)
		return -ENOMEM;
	if (node->driver->group_open != NULL) {
		status = node->driver->group_open(group);
		if (status != 0)
			goto free_group;
	}
	status = group_register_poller(group);
	if (status != 0)
		goto close_group;
	node->group[index] = group;
	*ret_group = group;
	return 0;

close_group:
	if (node->driver->group_close != NULL)
		node->driver->group_close(group);
free_group:
	group_free(group);
	return status;
}

static void
group_put(struct tarn_group *group)
{
	if (group->channel_count != 0)
		return;
	tarn_assert(group->inflight_count == 0);
	group->node->group[tarn_reactor_index(group->reactor)] = NULL;
	tarn_poller_unregister(&group->poller);
	if (group->driver->group_close != NULL)
		group->driver->group_close(group);
	group_free(group);
}

void *
tarn_group_ctx(const struct tarn_group *group)
{
	return group->ctx;
}

uint32_t
tarn_group_inflight_count(const struct tarn_group *group)
{
	return group->inflight_count;
}

void
tarn_group_each_channel(struct tarn_group *group, void (*fn)(struct tarn_channel *, void *),
			void *arg)
{
	struct tarn_channel *channel, *next;

	TARN_TAILQ_FOREACH_SAFE (channel, &group->channels, group_link, next)
		fn(channel, arg);
}

/* --- Channels --- */

struct io_child *
child_get(struct tarn_channel *channel)
{
	struct io_child *child = channel->free_children;

	if (child != NULL)
		channel->free_children = child->next;
	else if (channel->unused_child_count > 0)
		child = &channel->children[--channel->unused_child_count];
	return child;
}

void
child_put(struct tarn_channel *channel, struct io_child *child)
{
	child->next = channel->free_children;
	channel->free_children = child;
}

void *
tarn_bdev_ctx(const struct tarn_bdev *bdev)
{
	return bdev->ctx;
}

void *
tarn_channel_ctx(const struct tarn_channel *channel)
{
	return channel->ctx;
}

struct tarn_group *
tarn_channel_group(const struct tarn_channel *channel)
{
	return channel->group;
}

struct tarn_bdev *
tarn_channel_bdev(const struct tarn_channel *channel)
{
	return channel->bdev;
}

struct tarn_bdev_desc *
tarn_channel_desc(const struct tarn_channel *channel)
{
	return channel->desc;
}

/* What happened to be known too late for the submitting call, or in it. */
static void
settle(void *arg)
{
	struct tarn_channel *channel = arg;
	struct tarn_io_list due = TAILQ_HEAD_INITIALIZER(due);
	struct tarn_io *io;

	TAILQ_CONCAT(&due, &channel->settled, link);
	while ((io = TAILQ_FIRST(&due)) != NULL) {
		TAILQ_REMOVE(&due, io, link);
		io_finish(io, io->status);
	}
}

static void
channel_set_limits(struct tarn_channel *channel)
{
	const struct tarn_bdev_limits *limits = &channel->bdev->limits;

	channel->block_mask = limits->block_size - 1;
	channel->buffer_mask = limits->buffer_align - 1;
	channel->max_transfer_bytes = limits->max_transfer_bytes & ~channel->block_mask;
	channel->iov_count_max = limits->iov_count_max;
	channel->merge_bytes_max = limits->merge_bytes_max;
	channel->fua = limits->fua;
	channel->batch_clock = channel->driver->batch_clock;
	channel->writable = channel->desc->write && !limits->read_only;
	channel->depth_limit = channel->bdev->queue_depth;
	channel->background_limit = channel->bdev->background_depth;
	qos_attach(channel);
	for (int op = 0; op < TARN_IO_OP_COUNT; op++) {
		if (limits->support[op] == TARN_IO_NATIVE)
			channel->direct_ops |= 1u << op;
	}
}

static void
channel_free(struct tarn_channel *channel)
{
	free(channel->children);
	free(channel->ctx);
	free(channel);
}

/*
 * The end of a channel waits for the end of the turn: the last callback of its user may put it from
 * within the driver's poll.
 */
static void
teardown(void *arg)
{
	struct tarn_channel *channel = arg;
	struct tarn_bdev_desc *desc = channel->desc;
	struct tarn_group *group = channel->group;
	uint32_t index = tarn_reactor_index(tarn_reactor_self());

	if (channel->user_count != 0)
		return; /* taken again meanwhile */
	tarn_assert(!channel->unplug.scheduled && !channel->settle.scheduled);
	tarn_assert(TAILQ_EMPTY(&channel->starved));
	if (channel->stalled)
		group->stalled_count--;
	depth_stop(channel);
	if (channel->driver->channel_close != NULL)
		channel->driver->channel_close(channel);
	TAILQ_REMOVE(&desc->bdev->channels[index], channel, bdev_link);
	TAILQ_REMOVE(&group->channels, channel, group_link);
	group->channel_count--;
	stats_retire(channel);
	desc->channel[index] = NULL;
	channel_free(channel);
	group_put(group);
	desc_unref(desc);
}

static struct tarn_channel *
channel_alloc(struct tarn_bdev_desc *desc)
{
	struct tarn_channel *channel = calloc(1, sizeof(*channel));

	if (channel == NULL)
		return NULL;
	channel->desc = desc;
	channel->bdev = desc->bdev;
	channel->driver = desc->bdev->driver;
	TAILQ_INIT(&channel->waiting);
	TAILQ_INIT(&channel->waiting_background);
	TAILQ_INIT(&channel->plugged);
	TAILQ_INIT(&channel->settled);
	TAILQ_INIT(&channel->starved);
	channel->unplug.fn = merge_unplug;
	channel->unplug.arg = channel;
	channel->settle.fn = settle;
	channel->settle.arg = channel;
	channel->teardown.fn = teardown;
	channel->teardown.arg = channel;
	channel_set_limits(channel);
	stats_start(channel);
	channel->ctx = calloc(1, tarn_max_u64(channel->driver->channel_ctx_bytes, 1));
	channel->children = calloc(CHANNEL_CHILD_COUNT, sizeof(*channel->children));
	channel->unused_child_count = CHANNEL_CHILD_COUNT;
	if (channel->ctx == NULL || channel->children == NULL) {
		channel_free(channel);
		return NULL;
	}
	return channel;
}

static int
channel_open(struct tarn_bdev_desc *desc, struct tarn_channel **ret_channel)
{
	uint32_t index = tarn_reactor_index(tarn_reactor_self());
	struct tarn_channel *channel = channel_alloc(desc);
	struct tarn_group *group;
	int status;

	if (channel == NULL)
		return -ENOMEM;
	status = group_get(desc->bdev->node, &group);
	if (status != 0)
		goto free_channel;
	channel->group = group;
	if (channel->driver->channel_open != NULL) {
		status = channel->driver->channel_open(channel);
		if (status != 0)
			goto put_group;
	}
	status = depth_start(channel);
	if (status != 0)
		goto close_channel;
	TAILQ_INSERT_TAIL(&group->channels, channel, group_link);
	group->channel_count++;
	TAILQ_INSERT_TAIL(&desc->bdev->channels[index], channel, bdev_link);
	desc->channel[index] = channel;
	atomic_fetch_add(&desc->ref_count, 1);
	*ret_channel = channel;
	return 0;

close_channel:
	if (channel->driver->channel_close != NULL)
		channel->driver->channel_close(channel);
put_group:
	group_put(group);
free_channel:
	channel_free(channel);
	return status;
}

int
tarn_channel_get(struct tarn_bdev_desc *desc, struct tarn_channel **ret_channel)
{
	struct tarn_channel *channel;
	int status;

	tarn_assert(tarn_reactor_self() != NULL);
	if (atomic_load(&desc->bdev->removing))
		return -ENODEV;
	channel = desc->channel[tarn_reactor_index(tarn_reactor_self())];
	if (channel == NULL) {
		status = channel_open(desc, &channel);
		if (status != 0)
			return status;
	}
	channel->user_count++;
	*ret_channel = channel;
	return 0;
}

void
tarn_channel_put(struct tarn_channel *channel)
{
	tarn_assert(channel->group->reactor == tarn_reactor_self() && channel->user_count > 0);
	if (--channel->user_count != 0)
		return;
	tarn_assert(channel->stats.queue_depth == 0 && channel->inflight_count == 0);
	tarn_deferred_schedule(&channel->teardown);
}
