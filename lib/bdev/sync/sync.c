/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Blocking I/O by preadv2, pwritev2 and fdatasync: inline at the reactor's next poll, or on threads
 * of the bdev's own.
 *
 *   submit --workers 0--> group's queue --poll--> system call --> complete
 *   submit --workers N--> bdev's offload: system call on a worker --message--> complete
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "tarn/bdev_file.h"
#include "tarn/util.h"

#define SYNC_QUEUE_DEPTH 32
/* Inline: so many in one poll, after which messages and other pollers have their turn. */
#define SYNC_BATCH_MAX 32
#define SYNC_WORKERS_MAX 256

struct sync_bdev {
	struct tarn_bdev_file file;
	struct tarn_offload *workers; /* NULL: inline */
	uint32_t worker_count;
};

struct sync_io {
	struct tarn_offload_call call; /* with workers */
	struct sync_io *next;	       /* inline */
	int status;
};

struct sync_group {
	struct sync_io *first, *last;
};

static struct tarn_io *
io_of(struct sync_io *sio)
{
	return tarn_container_of((uint8_t *)sio, struct tarn_io, driver_ctx);
}

static ssize_t
transfer_once(const struct tarn_bdev_file *file, const struct tarn_io *io)
{
	int flags = (io->flags & TARN_IO_FUA) != 0 ? RWF_DSYNC : 0;

	if (io->op == TARN_IO_READ)
		return preadv2(file->fd, io->iov, (int)io->iov_count, (off_t)io->offset_bytes, 0);
	return pwritev2(file->fd, io->iov, (int)io->iov_count, (off_t)io->offset_bytes, flags);
}

static int
blocking_io(const struct tarn_bdev_file *file, const struct tarn_io *io)
{
	ssize_t length;

	if (io->op != TARN_IO_READ && io->op != TARN_IO_WRITE)
		return tarn_bdev_file_blocking_op(file, io);
	do {
		length = transfer_once(file, io);
	} while (length < 0 && (errno == EINTR || errno == EAGAIN));
	if (length < 0)
		return -errno;
	return (uint64_t)length == io->length_bytes ? 0 : -EIO;
}

static void
sync_finish(struct tarn_io *io, int status)
{
	struct tarn_bdev *bdev = tarn_channel_bdev(io->channel);
	const struct sync_bdev *sbdev = tarn_bdev_ctx(bdev);

	if (tarn_unlikely(status != 0))
		tarn_bdev_file_check_gone(bdev, &sbdev->file, status);
	tarn_io_complete(io, status);
}

static void
worker_run(void *arg)
{
	struct tarn_io *io = arg;
	struct sync_io *sio = tarn_io_ctx(io);
	const struct sync_bdev *sbdev = tarn_bdev_ctx(tarn_channel_bdev(io->channel));

	sio->status = blocking_io(&sbdev->file, io);
}

static void
worker_done(void *arg)
{
	struct tarn_io *io = arg;
	struct sync_io *sio = tarn_io_ctx(io);

	sync_finish(io, sio->status);
}

static void
sync_submit(struct tarn_channel *channel, struct tarn_io *io)
{
	const struct sync_bdev *sbdev = tarn_bdev_ctx(tarn_channel_bdev(channel));
	struct sync_group *group;
	struct sync_io *sio = tarn_io_ctx(io);

	if (sbdev->workers != NULL) {
		sio->call = (struct tarn_offload_call){
			.fn = worker_run,
			.done = worker_done,
			.arg = io,
		};
		tarn_offload_submit(sbdev->workers, &sio->call);
		return;
	}
	group = tarn_group_ctx(tarn_channel_group(channel));
	sio->next = NULL;
	if (group->last != NULL)
		group->last->next = sio;
	else
		group->first = sio;
	group->last = sio;
}

static int
sync_poll(struct tarn_group *tgroup)
{
	struct sync_group *group = tarn_group_ctx(tgroup);
	int count = 0;

	while (group->first != NULL && count < SYNC_BATCH_MAX) {
		struct sync_io *sio = group->first;
		struct tarn_io *io = io_of(sio);
		const struct sync_bdev *sbdev = tarn_bdev_ctx(tarn_channel_bdev(io->channel));

		group->first = sio->next;
		if (group->first == NULL)
			group->last = NULL;
		sync_finish(io, blocking_io(&sbdev->file, io));
		count++;
	}
	return count;
}

static uint64_t
sync_may_sleep_ns(struct tarn_group *tgroup)
{
	const struct sync_group *group = tarn_group_ctx(tgroup);

	/* Workers wake the reactor by a message. */
	return group->first == NULL ? TARN_SLEEP_ANY : TARN_SLEEP_NO;
}

static int
sync_open(struct tarn_bdev *bdev, const void *opts, struct tarn_bdev_limits *limits,
	  struct tarn_reason *reason)
{
	const struct tarn_bdev_file_opts *fopts = opts;
	struct sync_bdev *sbdev = tarn_bdev_ctx(bdev);
	int status = tarn_bdev_file_check_opts("sync", fopts, reason);

	if (status != 0)
		return status;
	if (fopts->worker_count > SYNC_WORKERS_MAX)
		return tarn_reason_set(reason, -EINVAL, "workers: %u is more than %u",
				       fopts->worker_count, SYNC_WORKERS_MAX);
	status = tarn_bdev_file_open(fopts, &sbdev->file, reason);
	if (status != 0)
		return status;
	if (fopts->worker_count > 0) {
		status = tarn_offload_create("sync", fopts->worker_count, &sbdev->workers);
		if (status != 0) {
			tarn_bdev_file_close(&sbdev->file);
			return tarn_reason_set(reason, status, "cannot start %u workers for %s: %s",
					       fopts->worker_count, fopts->filename,
					       strerror(-status));
		}
	}
	sbdev->worker_count = fopts->worker_count;
	tarn_bdev_file_limits(&sbdev->file, limits);
	limits->queue_depth =
	    (uint32_t)tarn_max_u64(SYNC_QUEUE_DEPTH, 2 * (uint64_t)sbdev->worker_count);
	return 0;
}

static void
sync_close(struct tarn_bdev *bdev)
{
	struct sync_bdev *sbdev = tarn_bdev_ctx(bdev);

	tarn_offload_destroy(sbdev->workers);
	sbdev->workers = NULL;
	tarn_bdev_file_close(&sbdev->file);
}

static int
sync_control(struct tarn_bdev *bdev, uint32_t command, const void *arg, struct tarn_reason *reason)
{
	struct sync_bdev *sbdev = tarn_bdev_ctx(bdev);

	(void)arg;
	return tarn_bdev_file_control(bdev, &sbdev->file, command, reason);
}

static void
sync_describe(struct tarn_bdev *bdev, const struct tarn_info_sink *sink)
{
	const struct sync_bdev *sbdev = tarn_bdev_ctx(bdev);

	tarn_bdev_file_describe(&sbdev->file, tarn_bdev_opts(bdev), sink);
	sink->text(sink->arg, "mode", sbdev->worker_count > 0 ? "workers" : "inline");
	sink->number(sink->arg, "workers", sbdev->worker_count);
}

static const struct tarn_bdev_driver sync_driver = {
	.name = "sync",
	.product = "Synchronous I/O disk",
	.bdev_ctx_bytes = sizeof(struct sync_bdev),
	.group_ctx_bytes = sizeof(struct sync_group),
	.io_ctx_bytes = sizeof(struct sync_io),
	.opts_copy = tarn_bdev_file_opts_copy,
	.opts_free = tarn_bdev_file_opts_free,
	.open = sync_open,
	.close = sync_close,
	.control = sync_control,
	.describe = sync_describe,
	.poll = sync_poll,
	.may_sleep_ns = sync_may_sleep_ns,
	.submit = sync_submit,
};
TARN_BDEV_DRIVER(sync_driver)
