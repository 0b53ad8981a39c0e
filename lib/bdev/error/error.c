/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A device that goes wrong when told to: I/O is passed on to the base, except where a rule says
 * otherwise.
 *
 *	submit --no rule-----------------------> base --> done
 *	submit --failure, nomem, drop----------> `settled`, done at the next poll
 *	submit --pending--> `hanging` --cleared--> base --> done
 *	submit --corrupt data--> base, data changed after a read or before a write --> done
 *	submit --short---> first half to the base --> done, with -EIO
 */
#include <errno.h>

#include "lib/bdev/error/inject.h"
#include "tarn/bdev_wrapper.h"
#include "tarn/util.h"

#define HANGING_LOOK_NS                                                                            \
	10000000 /* how often a sleeping reactor looks whether hanging I/O was let go */

struct error_bdev {
	struct tarn_wrapper wrapper;
	struct inject inject;
	uint32_t block_size;
};

struct error_channel {
	struct tarn_wrapper_channel wch;
	struct tarn_wrapped_list settled, hanging;
	uint32_t inflight_count;
	unsigned int generation; /* of the rules, when `hanging` was last looked through */
};

/* In the parent's driver_ctx. */
struct error_io {
	int status;	       /* to end with, where the base succeeds */
	uint8_t corrupt_value; /* 0: leave the data alone */
	uint64_t corrupt_offset;
};

static void *
opts_copy(const void *opts)
{
	return tarn_wrapper_opts_copy(opts, sizeof(struct tarn_bdev_error_opts));
}

static int
error_open(struct tarn_bdev *bdev, const void *opts, struct tarn_bdev_limits *limits,
	   struct tarn_reason *reason)
{
	const struct tarn_bdev_error_opts *error = opts;
	struct error_bdev *eb = tarn_bdev_ctx(bdev);
	int status = tarn_wrapper_open(&eb->wrapper, bdev, error->base_name, limits, reason);

	if (status != 0)
		return status;
	eb->block_size = limits->block_size;
	inject_init(&eb->inject);
	return 0;
}

static void
error_close(struct tarn_bdev *bdev)
{
	struct error_bdev *eb = tarn_bdev_ctx(bdev);

	inject_fini(&eb->inject);
	tarn_wrapper_close(&eb->wrapper);
}

static int
error_control(struct tarn_bdev *bdev, uint32_t command, const void *arg, struct tarn_reason *reason)
{
	const struct tarn_bdev_error_inject *wanted = arg;
	struct error_bdev *eb = tarn_bdev_ctx(bdev);
	const char *name = tarn_bdev_name(bdev);

	if (command != TARN_BDEV_INJECT)
		return tarn_reason_set(reason, -ENOTSUP, "%s: an error device only injects errors",
				       name);
	if (wanted->type == TARN_ERROR_CORRUPT_DATA) {
		if (wanted->corrupt_value == 0)
			return tarn_reason_set(reason, -EINVAL,
					       "%s: corrupt_value 0 would change nothing", name);
		if (wanted->corrupt_offset >= eb->block_size)
			return tarn_reason_set(
			    reason, -EINVAL, "%s: corrupt_offset %llu lies outside a block of %u",
			    name, (unsigned long long)wanted->corrupt_offset, eb->block_size);
	}
	if (wanted->share_ppm > 1000000)
		return tarn_reason_set(reason, -EINVAL, "%s: a share of %u is over a million", name,
				       wanted->share_ppm);
	if (wanted->status > 0)
		return tarn_reason_set(reason, -EINVAL, "%s: status %d is not negative", name,
				       wanted->status);
	inject_set(&eb->inject, wanted);
	return 0;
}

static void
error_describe(struct tarn_bdev *bdev, const struct tarn_info_sink *sink)
{
	const struct tarn_bdev_error_opts *error = tarn_bdev_opts(bdev);
	struct error_bdev *eb = tarn_bdev_ctx(bdev);

	sink->text(sink->arg, "base_bdev_name", error->base_name);
	sink->number(sink->arg, "operations_with_injection", atomic_load(&eb->inject.active_count));
}

static int
error_channel_open(struct tarn_channel *channel)
{
	struct error_channel *ech = tarn_channel_ctx(channel);
	struct error_bdev *eb = tarn_bdev_ctx(tarn_channel_bdev(channel));
	struct tarn_bdev_info info;

	TAILQ_INIT(&ech->settled);
	TAILQ_INIT(&ech->hanging);
	tarn_bdev_get_info(tarn_channel_bdev(channel), &info);
	return tarn_wrapper_channel_open(&eb->wrapper, &ech->wch, info.queue_depth);
}

static void
error_channel_close(struct tarn_channel *channel)
{
	struct error_channel *ech = tarn_channel_ctx(channel);

	tarn_wrapper_channel_close(&ech->wch);
}

/* --- Data --- */

/* XOR the value into each block's byte; twice is as if never. */
static void
corrupt(const struct tarn_io *io, uint32_t block_size)
{
	const struct error_io *error = (const struct error_io *)io->driver_ctx;

	for (uint32_t i = 0; i < io->iov_count; i++) {
		uint8_t *data = io->iov[i].iov_base;

		for (size_t at = error->corrupt_offset; at < io->iov[i].iov_len; at += block_size)
			data[at] ^= error->corrupt_value;
	}
}

static void
finish(struct error_channel *ech, struct tarn_wrapped_io *wrapped, int status)
{
	struct tarn_io *parent = wrapped->parent;

	ech->inflight_count--;
	tarn_wrapped_put(&ech->wch, wrapped);
	tarn_io_complete(parent, status);
}

static void
error_base_done(void *arg, int status)
{
	struct tarn_wrapped_io *wrapped = arg;
	struct tarn_io *parent = wrapped->parent;
	struct error_io *error = tarn_io_ctx(parent);
	struct error_bdev *eb = tarn_bdev_ctx(tarn_channel_bdev(parent->channel));

	/* After a read its data; after a write the caller's buffer, which is to be as it was. */
	if (error->corrupt_value != 0 && (status == 0 || parent->op == TARN_IO_WRITE))
		corrupt(parent, eb->block_size);
	finish(tarn_channel_ctx(parent->channel), wrapped, status != 0 ? status : error->status);
}

static void
complete_later(struct error_channel *ech, struct tarn_wrapped_io *wrapped, int status)
{
	wrapped->status = status;
	TAILQ_INSERT_TAIL(&ech->settled, wrapped, link);
}

/* Let the first half happen, and say that it went wrong. */
static void
pass_on_half(struct error_channel *ech, struct tarn_wrapped_io *wrapped, uint32_t block_size)
{
	struct tarn_io *parent = wrapped->parent;
	struct error_io *error = tarn_io_ctx(parent);
	struct tarn_channel *base = ech->wch.base;
	struct iovec half = { 0 };

	error->status = -EIO;
	if (parent->op > TARN_IO_WRITE || parent->length_bytes < 2 * (uint64_t)block_size) {
		complete_later(ech, wrapped, -EIO);
		return;
	}
	half.iov_base = parent->iov[0].iov_base;
	half.iov_len = parent->iov[0].iov_len;
	if (parent->iov_count == 1)
		half.iov_len = tarn_max_u64(half.iov_len / 2 / block_size, 1) * block_size;
	if (parent->op == TARN_IO_READ)
		tarn_bdev_read(base, &wrapped->io, half.iov_base, half.iov_len,
			       parent->offset_bytes, parent->flags, error_base_done, wrapped);
	else
		tarn_bdev_write(base, &wrapped->io, half.iov_base, half.iov_len,
				parent->offset_bytes, parent->flags, error_base_done, wrapped);
}

static void
error_submit(struct tarn_channel *channel, struct tarn_io *io)
{
	struct error_channel *ech = tarn_channel_ctx(channel);
	struct error_bdev *eb = tarn_bdev_ctx(tarn_channel_bdev(channel));
	struct tarn_wrapped_io *wrapped = tarn_wrapped_get(&ech->wch, io);
	struct error_io *error = tarn_io_ctx(io);
	struct tarn_bdev_error_inject rule;

	*error = (struct error_io){ 0 };
	switch (inject_take(&eb->inject, io, ech->inflight_count++, &rule)) {
	case TARN_ERROR_FAILURE:
		complete_later(ech, wrapped, rule.status != 0 ? rule.status : -EIO);
		return;
	case TARN_ERROR_NOMEM:
		complete_later(ech, wrapped, -ENOMEM);
		return;
	case TARN_ERROR_DROP:
		complete_later(ech, wrapped, 0);
		return;
	case TARN_ERROR_PENDING:
		TAILQ_INSERT_TAIL(&ech->hanging, wrapped, link);
		return;
	case TARN_ERROR_SHORT:
		pass_on_half(ech, wrapped, eb->block_size);
		return;
	case TARN_ERROR_CORRUPT_DATA:
		error->corrupt_value = rule.corrupt_value;
		error->corrupt_offset = rule.corrupt_offset;
		if (io->op == TARN_IO_WRITE)
			corrupt(io, eb->block_size);
		break;
	case TARN_ERROR_NONE:
		break;
	}
	tarn_wrapped_pass_on(&ech->wch, wrapped, error_base_done);
}

/* --- Polling --- */

static void
let_go(struct error_channel *ech, struct inject *inject)
{
	struct tarn_wrapped_io *wrapped, *next;
	unsigned int generation = atomic_load(&inject->generation);

	if (TAILQ_EMPTY(&ech->hanging) || ech->generation == generation)
		return;
	ech->generation = generation;
	TARN_TAILQ_FOREACH_SAFE (wrapped, &ech->hanging, link, next) {
		if (inject_still_pending(inject, wrapped->parent->op))
			continue;
		TAILQ_REMOVE(&ech->hanging, wrapped, link);
		tarn_wrapped_pass_on(&ech->wch, wrapped, error_base_done);
	}
}

static void
poll_channel(struct tarn_channel *channel, void *arg)
{
	struct error_channel *ech = tarn_channel_ctx(channel);
	struct error_bdev *eb = tarn_bdev_ctx(tarn_channel_bdev(channel));
	struct tarn_wrapped_list due = TAILQ_HEAD_INITIALIZER(due);
	struct tarn_wrapped_io *wrapped;
	int *count = arg;

	let_go(ech, &eb->inject);
	TAILQ_CONCAT(&due, &ech->settled, link);
	while ((wrapped = TAILQ_FIRST(&due)) != NULL) {
		TAILQ_REMOVE(&due, wrapped, link);
		finish(ech, wrapped, wrapped->status);
		(*count)++;
	}
}

static int
error_poll(struct tarn_group *group)
{
	int count = 0;

	tarn_group_each_channel(group, poll_channel, &count);
	return count;
}

static void
channel_may_sleep(struct tarn_channel *channel, void *arg)
{
	struct error_channel *ech = tarn_channel_ctx(channel);
	uint64_t *sleep_ns = arg;

	if (!TAILQ_EMPTY(&ech->settled))
		*sleep_ns = TARN_SLEEP_NO;
	else if (!TAILQ_EMPTY(&ech->hanging))
		*sleep_ns = tarn_min_u64(*sleep_ns, HANGING_LOOK_NS);
}

static uint64_t
error_may_sleep_ns(struct tarn_group *group)
{
	uint64_t sleep_ns = TARN_SLEEP_ANY;

	tarn_group_each_channel(group, channel_may_sleep, &sleep_ns);
	return sleep_ns;
}

static const struct tarn_bdev_driver error_driver = {
	.name = "error",
	.product = "Error Injection Disk",
	.bdev_ctx_bytes = sizeof(struct error_bdev),
	.channel_ctx_bytes = sizeof(struct error_channel),
	.io_ctx_bytes = sizeof(struct error_io),
	.opts_copy = opts_copy,
	.opts_free = tarn_wrapper_opts_free,
	.open = error_open,
	.close = error_close,
	.control = error_control,
	.describe = error_describe,
	.poll = error_poll,
	.may_sleep_ns = error_may_sleep_ns,
	.channel_open = error_channel_open,
	.channel_close = error_channel_close,
	.submit = error_submit,
};
TARN_BDEV_DRIVER(error_driver)
