/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Work on an open file or block device that only blocks (discard, zeroes, flush), on threads that
 * all of them share; their options; what they say of themselves.
 */
#include "lib/bdev/file_ops.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lib/bdev/device_events.h"
#include "tarn/bdev_file.h"
#include "tarn/util.h"

/* Rare calls: two, so that one slow device does not hold up all others. */
#define OFFLOAD_THREAD_COUNT 2

static struct tarn_offload *shared_offload;
static uint32_t shared_offload_holders;

struct tarn_offload *
file_offload_hold(void)
{
	if (shared_offload_holders == 0 &&
	    tarn_offload_create("tarn-file", OFFLOAD_THREAD_COUNT, &shared_offload) != 0)
		return NULL;
	shared_offload_holders++;
	return shared_offload;
}

void
file_offload_release(void)
{
	tarn_assert(shared_offload_holders > 0);
	if (--shared_offload_holders > 0)
		return;
	tarn_offload_destroy(shared_offload);
	shared_offload = NULL;
}

bool
bdev_has_file(const struct tarn_bdev *bdev)
{
	return tarn_bdev_driver_find(tarn_bdev_driver_name(bdev))->opts_copy ==
	       tarn_bdev_file_opts_copy;
}

static int
range_op(const struct tarn_bdev_file *file, const struct tarn_io *io)
{
	bool discard = io->op == TARN_IO_DISCARD;
	uint64_t range[2] = { io->offset_bytes, io->length_bytes };
	int mode = discard ? file->discard_mode : file->write_zeroes_mode;
	int result;

	do {
		if (discard && file->discard_ioctl)
			result = ioctl(file->fd, BLKDISCARD, range);
		else if (!discard && file->zeroes_ioctl)
			result = ioctl(file->fd, BLKZEROOUT, range);
		else
			result = fallocate(file->fd, mode, (off_t)io->offset_bytes,
					   (off_t)io->length_bytes);
	} while (result != 0 && errno == EINTR);
	return result == 0 ? 0 : -errno;
}

int
tarn_bdev_file_blocking_op(const struct tarn_bdev_file *file, const struct tarn_io *io)
{
	int status = 0;

	tarn_assert(io->op == TARN_IO_FLUSH || io->op == TARN_IO_DISCARD ||
		    io->op == TARN_IO_WRITE_ZEROES);
	if (io->op != TARN_IO_FLUSH)
		status = range_op(file, io);
	/* Not repeated on failure: the kernel reports an error of write-back once only. */
	if (status == 0 && (io->op == TARN_IO_FLUSH || (io->flags & TARN_IO_FUA) != 0))
		status = fdatasync(file->fd) == 0 ? 0 : -errno;
	return status;
}

static void
offload_run(void *arg)
{
	struct tarn_io *io = arg;
	struct tarn_bdev_file_call *call = tarn_io_ctx(io);

	call->status = tarn_bdev_file_blocking_op(call->file, io);
}

static void
offload_done(void *arg)
{
	struct tarn_io *io = arg;
	struct tarn_bdev_file_call *call = tarn_io_ctx(io);
	int status = call->status;

	if (status != 0)
		tarn_bdev_file_check_gone(tarn_channel_bdev(io->channel), call->file, status);
	tarn_io_complete(io, status);
}

void
tarn_bdev_file_offload_op(const struct tarn_bdev_file *file, struct tarn_io *io)
{
	struct tarn_bdev_file_call *call = tarn_io_ctx(io);

	_Static_assert(sizeof(*call) <= TARN_IO_DRIVER_BYTES, "fits into an I/O");
	*call = (struct tarn_bdev_file_call){
		.call = { .fn = offload_run, .done = offload_done, .arg = io },
		.file = file,
	};
	tarn_offload_submit(file->offload, &call->call);
}

/* Where fallback goes from each: tarn_bdev_create_file() follows the same order. */
static size_t
fallback_rank(const char *driver_name)
{
	static const char *const order[] = { "uring", "aio", "sync" };
	size_t rank = 0;

	while (rank < tarn_array_count(order) && strcmp(order[rank], driver_name) != 0)
		rank++;
	return rank;
}

/* Whether a driver has the options that are listed under `owner`. */
static bool
has_options_of(const char *driver_name, const char *owner)
{
	return strcmp(owner, driver_name) == 0 ||
	       (strcmp(owner, "uring") == 0 && strcmp(driver_name, "uring_cmd") == 0);
}

int
tarn_bdev_file_check_opts(const char *driver_name, const struct tarn_bdev_file_opts *opts,
			  struct tarn_reason *reason)
{
	bool passthrough = strcmp(driver_name, "uring_cmd") == 0;
	const struct {
		const char *name, *driver;
		bool set;
	} checks[] = {
		{ "sqpoll", "uring", opts->sqpoll != TARN_OFF },
		{ "iopoll", "uring", opts->iopoll != TARN_OFF },
		{ "sqpoll_idle_ms", "uring", opts->sqpoll_idle_ms != 0 },
		{ "fixed_buffers", "uring", opts->no_fixed_buffers },
		{ "fixed_files", "uring", opts->no_fixed_files },
		{ "ring_flags", "uring", opts->no_ring_flags },
		{ "nowait", "aio", opts->nowait },
		{ "workers", "sync", opts->worker_count != 0 },
	};
	const char *first = opts->requested_driver != NULL ? opts->requested_driver : driver_name;

	for (size_t i = 0; i < tarn_array_count(checks); i++) {
		const char *owner = checks[i].driver;

		if (!checks[i].set || has_options_of(driver_name, owner))
			continue;
		/* Fallback may use, or has used, the options of every driver from the first on. */
		if (opts->fallback && fallback_rank(owner) >= fallback_rank(first))
			continue;
		return tarn_reason_set(reason, -EINVAL,
				       "%s: an option of driver %s, which driver %s does not have",
				       checks[i].name, owner, driver_name);
	}
	if (passthrough && opts->fallback)
		return tarn_reason_set(reason, -EINVAL,
				       "fallback: driver uring_cmd has none: use driver uring");
	if (passthrough && opts->buffered)
		return tarn_reason_set(reason, -EINVAL,
				       "direct: driver uring_cmd has no page cache to go through: "
				       "leave it at true");
	return 0;
}

static char *
copy_string(const char *text, bool *failed)
{
	char *copy = text == NULL ? NULL : strdup(text);

	if (text != NULL && copy == NULL)
		*failed = true;
	return copy;
}

void *
tarn_bdev_file_opts_copy(const void *opts)
{
	const struct tarn_bdev_file_opts *from = opts;
	struct tarn_bdev_file_opts *copy = malloc(sizeof(*copy));
	bool failed = false;

	if (copy == NULL)
		return NULL;
	*copy = *from;
	copy->common.uuid = copy_string(from->common.uuid, &failed);
	copy->filename = copy_string(from->filename, &failed);
	copy->requested_driver = copy_string(from->requested_driver, &failed);
	copy->fallback_reason = copy_string(from->fallback_reason, &failed);
	if (failed) {
		tarn_bdev_file_opts_free(copy);
		return NULL;
	}
	return copy;
}

void
tarn_bdev_file_opts_free(void *opts)
{
	struct tarn_bdev_file_opts *copy = opts;

	if (copy == NULL)
		return;
	free((char *)(uintptr_t)copy->common.uuid);
	free((char *)(uintptr_t)copy->filename);
	free((char *)(uintptr_t)copy->requested_driver);
	free((char *)(uintptr_t)copy->fallback_reason);
	free(copy);
}

static const char *
way_name(bool by_ioctl, const char *ioctl_name, int mode)
{
	if (by_ioctl)
		return ioctl_name;
	if (mode < 0)
		return "none";
	return (mode & FALLOC_FL_PUNCH_HOLE) != 0 ? "fallocate(PUNCH_HOLE)"
						  : "fallocate(ZERO_RANGE)";
}

void
tarn_bdev_file_describe(const struct tarn_bdev_file *file, const struct tarn_bdev_file_opts *opts,
			const struct tarn_info_sink *sink)
{
	sink->text(sink->arg, "filename", opts->filename);
	if (opts->requested_driver != NULL) {
		sink->text(sink->arg, "requested_driver", opts->requested_driver);
		sink->text(sink->arg, "fallback_reason",
			   opts->fallback_reason != NULL ? opts->fallback_reason : "");
	}
	sink->flag(sink->arg, "block_device", file->block_device);
	if (file->block_device)
		sink->text(sink->arg, "device_events", device_events_state(file->watched));
	sink->flag(sink->arg, "direct", file->direct);
	sink->flag(sink->arg, "poll_queues", file->poll_queues);
	sink->flag(sink->arg, "nowait_supported", file->nowait);
	sink->text(sink->arg, "discard_by",
		   way_name(file->discard_ioctl, "ioctl(BLKDISCARD)", file->discard_mode));
	sink->text(sink->arg, "write_zeroes_by",
		   way_name(file->zeroes_ioctl, "ioctl(BLKZEROOUT)", file->write_zeroes_mode));
}
