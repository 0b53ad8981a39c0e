/* SPDX-License-Identifier: BSD-3-Clause */
/* What drivers share that pass I/O on to another bdev. */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "tarn/bdev_wrapper.h"
#include "tarn/util.h"

_Static_assert(offsetof(struct tarn_bdev_error_opts, base_name) ==
		   offsetof(struct tarn_wrapper_opts, base_name),
	       "the options of a wrapper begin with its base");
_Static_assert(offsetof(struct tarn_bdev_delay_opts, base_name) ==
		   offsetof(struct tarn_wrapper_opts, base_name),
	       "the options of a wrapper begin with its base");

void *
tarn_wrapper_opts_copy(const void *opts, size_t opts_bytes)
{
	const struct tarn_wrapper_opts *from = opts;
	struct tarn_wrapper_opts *copy = malloc(opts_bytes);

	if (copy == NULL)
		return NULL;
	memcpy(copy, from, opts_bytes);
	copy->base_name = strdup(from->base_name);
	copy->common.uuid = from->common.uuid != NULL ? strdup(from->common.uuid) : NULL;
	if (copy->base_name == NULL || (from->common.uuid != NULL && copy->common.uuid == NULL)) {
		tarn_wrapper_opts_free(copy);
		return NULL;
	}
	return copy;
}

void
tarn_wrapper_opts_free(void *opts)
{
	struct tarn_wrapper_opts *wrapper = opts;

	if (wrapper == NULL)
		return;
	free((void *)(uintptr_t)wrapper->base_name);
	free((void *)(uintptr_t)wrapper->common.uuid);
	free(wrapper);
}

static void
base_event(struct tarn_bdev *base, enum tarn_bdev_event event, void *arg)
{
	struct tarn_wrapper *wrapper = arg;

	if (event == TARN_BDEV_EVENT_RESIZE)
		tarn_bdev_notify_resize(wrapper->bdev, tarn_bdev_size_bytes(base));
	else
		tarn_bdev_delete(wrapper->bdev, true, NULL, NULL);
}

static int
open_base(struct tarn_wrapper *wrapper, const char *base_name, struct tarn_reason *reason)
{
	struct tarn_bdev *base = tarn_bdev_find(base_name);
	const char *name = tarn_bdev_name(wrapper->bdev);
	struct tarn_bdev_info info;
	int status;

	if (base == NULL)
		return tarn_reason_set(reason, -ENODEV, "%s: there is no bdev \"%s\"", name,
				       base_name);
	tarn_bdev_get_info(base, &info);
	status = tarn_bdev_open(base_name, !info.read_only, base_event, wrapper, &wrapper->base);
	if (status == 0)
		status = tarn_bdev_claim(wrapper->base, tarn_bdev_driver_name(wrapper->bdev));
	else
		wrapper->base = NULL;
	if (status == 0)
		return 0;
	if (wrapper->base != NULL)
		tarn_bdev_close(wrapper->base);
	return tarn_reason_set(reason, status, "%s: bdev %s cannot be claimed: %s", name, base_name,
			       status == -EBUSY ? "it is in use" : "it is going away");
}

int
tarn_wrapper_open(struct tarn_wrapper *wrapper, struct tarn_bdev *bdev, const char *base_name,
		  struct tarn_bdev_limits *limits, struct tarn_reason *reason)
{
	struct tarn_bdev_info info;
	int status;

	wrapper->bdev = bdev;
	status = open_base(wrapper, base_name, reason);
	if (status != 0)
		return status;
	tarn_strcpy(wrapper->base_name, sizeof(wrapper->base_name), base_name);
	tarn_bdev_get_info(tarn_bdev_desc_bdev(wrapper->base), &info);
	limits->size_bytes = info.size_bytes;
	limits->block_size = info.block_size;
	limits->physical_block_size = info.physical_block_size;
	limits->buffer_align = info.buffer_align;
	limits->queue_depth = info.queue_depth;
	limits->read_only = info.read_only;
	limits->write_cache = info.write_cache;
	limits->rotational = info.rotational;
	/* The base emulates what it must. */
	for (int op = 0; op < TARN_IO_OP_COUNT; op++)
		limits->support[op] = TARN_IO_NATIVE;
	limits->fua = true;
	return 0;
}

void
tarn_wrapper_close(struct tarn_wrapper *wrapper)
{
	tarn_bdev_close(wrapper->base);
}

int
tarn_wrapper_channel_open(const struct tarn_wrapper *wrapper, struct tarn_wrapper_channel *wch,
			  uint32_t queue_depth)
{
	int status;

	wch->all = calloc(queue_depth, sizeof(*wch->all));
	if (wch->all == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < queue_depth; i++)
		tarn_wrapped_put(wch, &wch->all[i]);
	status = tarn_channel_get(wrapper->base, &wch->base);
	if (status != 0)
		free(wch->all);
	return status;
}

void
tarn_wrapper_channel_close(struct tarn_wrapper_channel *wch)
{
	tarn_channel_put(wch->base);
	free(wch->all);
}

struct tarn_wrapped_io *
tarn_wrapped_get(struct tarn_wrapper_channel *wch, struct tarn_io *parent)
{
	struct tarn_wrapped_io *wrapped = wch->free;

	tarn_assert(wrapped != NULL); /* as many as slots */
	wch->free = wrapped->next;
	wrapped->parent = parent;
	return wrapped;
}

void
tarn_wrapped_put(struct tarn_wrapper_channel *wch, struct tarn_wrapped_io *wrapped)
{
	wrapped->next = wch->free;
	wch->free = wrapped;
}

void
tarn_wrapped_pass_on(struct tarn_wrapper_channel *wch, struct tarn_wrapped_io *wrapped,
		     tarn_io_cb cb)
{
	const struct tarn_io *parent = wrapped->parent;

	switch (parent->op) {
	case TARN_IO_READ:
		tarn_bdev_readv(wch->base, &wrapped->io, parent->iov, parent->iov_count,
				parent->offset_bytes, parent->flags, cb, wrapped);
		break;
	case TARN_IO_WRITE:
		tarn_bdev_writev(wch->base, &wrapped->io, parent->iov, parent->iov_count,
				 parent->offset_bytes, parent->flags, cb, wrapped);
		break;
	case TARN_IO_FLUSH:
		tarn_bdev_flush(wch->base, &wrapped->io, cb, wrapped);
		break;
	case TARN_IO_DISCARD:
		tarn_bdev_discard(wch->base, &wrapped->io, parent->offset_bytes,
				  parent->length_bytes, parent->flags, cb, wrapped);
		break;
	default:
		tarn_bdev_write_zeroes(wch->base, &wrapped->io, parent->offset_bytes,
				       parent->length_bytes, parent->flags, cb, wrapped);
		break;
	}
}
