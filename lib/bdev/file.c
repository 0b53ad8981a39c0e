/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Opening a file or block device for a driver: exclusively, with O_DIRECT, and with an answer that
 * says what to do when the kernel refuses. Facts of what was opened: file_facts.c; what becomes of
 * it: file_change.c; work on it: file_ops.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/bdev/device_events.h"
#include "lib/bdev/file_facts.h"
#include "lib/bdev/file_ops.h"
#include "tarn/bdev_file.h"
#include "tarn/util.h"

/*
 * Neighbours are merged up to this size. Measured on an ext4 file, sequential 4 KiB at depth 32:
 * driver sync 20 times the throughput, uring and aio a quarter to a third less CPU time per I/O;
 * random I/O pays for the look at its neighbour with less than can be measured.
 */
#define FILE_MERGE_BYTES (128u << 10)

/* 0, or the error of what can never be a bdev. */
static int
kind_check(const char *filename, mode_t mode, struct tarn_reason *reason)
{
	if (S_ISDIR(mode))
		return tarn_reason_set(reason, -EISDIR,
				       "%s is a directory: name a regular file or a block device",
				       filename);
	if (!S_ISREG(mode) && !S_ISBLK(mode))
		return tarn_reason_set(reason, -ENOTBLK,
				       "%s is neither a regular file nor a block device", filename);
	return 0;
}

/* Whether the device can be opened for reading only because it says so itself. */
static bool
is_read_only_device(const char *filename)
{
	int read_only = 0;
	int fd = open(filename, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return false;
	if (ioctl(fd, BLKROGET, &read_only) != 0)
		read_only = 0;
	(void)close(fd);
	return read_only != 0;
}

/* Whether a bdev was made on that file or block device. */
static bool
is_made_on(const struct tarn_bdev *bdev, const struct stat *st)
{
	const struct tarn_bdev_file_opts *opts = tarn_bdev_opts(bdev);
	struct stat own;

	if (!bdev_has_file(bdev) || stat(opts->filename, &own) != 0)
		return false;
	if (S_ISBLK(st->st_mode))
		return S_ISBLK(own.st_mode) && own.st_rdev == st->st_rdev;
	return own.st_ino == st->st_ino && own.st_dev == st->st_dev;
}

const char *
tarn_bdev_file_holder(const char *filename)
{
	struct tarn_bdev *bdev = NULL;
	struct stat st;

	if (stat(filename, &st) != 0)
		return NULL;
	while ((bdev = tarn_bdev_next(bdev)) != NULL) {
		if (is_made_on(bdev, &st))
			return tarn_bdev_name(bdev);
	}
	return NULL;
}

static int
open_refused(const struct tarn_bdev_file_opts *opts, bool block_device, int status,
	     struct tarn_reason *reason)
{
	const char *name = opts->filename;
	const char *holder = status == -EBUSY ? tarn_bdev_file_holder(name) : NULL;

	if (status == -EINVAL && !opts->buffered)
		return tarn_reason_set(reason, status,
				       "%s: its file system does no O_DIRECT: set direct to false "
				       "to go through the page cache",
				       name);
	if (status == -EBUSY && holder != NULL)
		return tarn_reason_set(reason, status, "%s is in use by bdev %s", name, holder);
	if (status == -EBUSY)
		return tarn_reason_set(reason, status,
				       "%s is in use: mounted, swap, part of another device, or "
				       "opened exclusively by another process",
				       name);
	if (block_device && !opts->read_only && (status == -EACCES || status == -EPERM) &&
	    is_read_only_device(name))
		status = -EROFS;
	if (status == -EROFS)
		return tarn_reason_set(reason, status,
				       "%s is read-only or on a read-only file system: set "
				       "readonly to true",
				       name);
	if (status == -EACCES || status == -EPERM)
		return tarn_reason_set(reason, -EACCES,
				       "no permission to open %s for %s: check its mode and owner",
				       name, opts->read_only ? "reading" : "reading and writing");
	return tarn_reason_set(reason, status, "cannot open %s: %s", name, strerror(-status));
}

/*
 * By the kernel's word a device is free as soon as a process that held it is dead, although rings
 * of that process may have writes in flight for a moment longer, which would fall into what is
 * recovered by then. Those rings keep the file of the I/O, and with it this lock. It is not
 * flock(2), which udev takes on block devices.
 */
static int
device_lock(const struct tarn_bdev_file_opts *opts, int fd)
{
	struct flock lock = {
		.l_type = opts->read_only ? F_RDLCK : F_WRLCK,
		.l_whence = SEEK_SET,
	};

	if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
		return 0;
	return errno == EACCES || errno == EAGAIN ? -EBUSY : -errno;
}

/*
 * Against a second opener, here or in another process. Readers of a regular file may be several;
 * block devices are claimed besides.
 */
static int
file_lock(const struct tarn_bdev_file_opts *opts, bool block_device, int fd,
	  struct tarn_reason *reason)
{
	const char *holder;
	int status = 0;

	if (block_device)
		status = device_lock(opts, fd);
	else if (flock(fd, (opts->read_only ? LOCK_SH : LOCK_EX) | LOCK_NB) != 0)
		status = errno == EWOULDBLOCK ? -EBUSY : -errno;
	holder = status == -EBUSY ? tarn_bdev_file_holder(opts->filename) : NULL;
	if (holder != NULL)
		return tarn_reason_set(reason, status, "%s is in use by bdev %s", opts->filename,
				       holder);
	if (status == -EBUSY)
		return tarn_reason_set(reason, status,
				       "%s is in use: locked by another process, or by I/O of one "
				       "that has ended",
				       opts->filename);
	if (status != 0)
		return tarn_reason_set(reason, status, "cannot lock %s: %s", opts->filename,
				       strerror(-status));
	return 0;
}

/* Now, also where a ring still holds the file. */
static void
file_unlock(const struct tarn_bdev_file *file)
{
	struct flock lock = { .l_type = F_UNLCK, .l_whence = SEEK_SET };

	if (file->block_device)
		(void)fcntl(file->fd, F_OFD_SETLK, &lock);
	else
		(void)flock(file->fd, LOCK_UN);
}

static void
close_fds(struct tarn_bdev_file *file)
{
	if (file->claim_fd >= 0)
		(void)close(file->claim_fd);
	if (file->fd >= 0) {
		file_unlock(file);
		(void)close(file->fd);
	}
	file->claim_fd = -1;
	file->fd = -1;
}

static bool
is_same_file(int fd, const struct stat *as)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_ino == as->st_ino && st.st_dev == as->st_dev;
}

/*
 * The exclusive claim is an fd of its own: the one for I/O is registered with rings, and Linux 6.1
 * holds a registered file for up to a second after it was told to let go.
 */
static int
open_fd(const struct tarn_bdev_file_opts *opts, struct tarn_bdev_file *file,
	struct tarn_reason *reason)
{
	struct stat before;
	int flags = O_CLOEXEC | (opts->read_only ? O_RDONLY : O_RDWR);
	int status;

	if (stat(opts->filename, &before) != 0)
		return open_refused(opts, false, -errno, reason);
	status = kind_check(opts->filename, before.st_mode, reason);
	if (status != 0)
		return status;
	file->block_device = S_ISBLK(before.st_mode);
	if (!opts->buffered)
		flags |= O_DIRECT;
	if (file->block_device && !opts->shared) {
		file->claim_fd = open(opts->filename, O_RDONLY | O_EXCL | O_CLOEXEC);
		if (file->claim_fd < 0)
			return open_refused(opts, true, -errno, reason);
	}
	file->fd = open(opts->filename, flags);
	if (file->fd < 0)
		status = open_refused(opts, file->block_device, -errno, reason);
	else if (!is_same_file(file->fd, &before) ||
		 (file->claim_fd >= 0 && !is_same_file(file->claim_fd, &before)))
		status = tarn_reason_set(reason, -EBUSY, "%s was replaced while it was opened",
					 opts->filename);
	else if (!opts->shared)
		status = file_lock(opts, file->block_device, file->fd, reason);
	if (status != 0)
		close_fds(file);
	return status;
}

int
tarn_bdev_file_open(const struct tarn_bdev_file_opts *opts, struct tarn_bdev_file *ret_file,
		    struct tarn_reason *reason)
{
	struct tarn_bdev_file file = {
		.fd = -1, .claim_fd = -1, .direct = !opts->buffered, .read_only = opts->read_only
	};
	int status;

	if (opts->filename == NULL || opts->filename[0] == '\0')
		return tarn_reason_set(reason, -EINVAL, "filename: it must not be empty");
	tarn_assert(!opts->shared || opts->read_only);
	status = open_fd(opts, &file, reason);
	if (status != 0)
		return status;
	status = file_facts(opts, &file, reason);
	if (status != 0)
		goto close_fd;
	file.offload = file_offload_hold();
	if (file.offload == NULL) {
		status = tarn_reason_set(reason, -ENOMEM, "%s: cannot start a worker thread",
					 opts->filename);
		goto close_fd;
	}
	file.watched = file.block_device && !opts->shared && device_events_hold();
	*ret_file = file;
	return 0;
close_fd:
	close_fds(&file);
	return status;
}

void
tarn_bdev_file_close(struct tarn_bdev_file *file)
{
	if (file->watched)
		device_events_release();
	file_offload_release();
	file->offload = NULL;
	close_fds(file);
}

void
tarn_bdev_file_limits(const struct tarn_bdev_file *file, struct tarn_bdev_limits *limits)
{
	bool discards = file->discard_ioctl || file->discard_mode >= 0;
	bool zeroes = file->zeroes_ioctl || file->write_zeroes_mode >= 0;

	limits->size_bytes = file->size_bytes;
	limits->block_size = file->block_size;
	limits->physical_block_size = file->physical_block_size;
	limits->buffer_align = file->buffer_align;
	limits->max_transfer_bytes = file->max_transfer_bytes;
	limits->merge_bytes_max = FILE_MERGE_BYTES;
	limits->read_only = file->read_only;
	limits->write_cache = file->write_cache;
	limits->rotational = file->rotational;
	limits->support[TARN_IO_READ] = TARN_IO_NATIVE;
	limits->support[TARN_IO_WRITE] = file->read_only ? TARN_IO_NONE : TARN_IO_NATIVE;
	limits->support[TARN_IO_FLUSH] = TARN_IO_NATIVE;
	limits->support[TARN_IO_DISCARD] = discards ? TARN_IO_NATIVE : TARN_IO_NOOP;
	limits->support[TARN_IO_WRITE_ZEROES] = zeroes ? TARN_IO_NATIVE : TARN_IO_NONE;
	if (file->read_only) {
		limits->support[TARN_IO_DISCARD] = TARN_IO_NONE;
		limits->support[TARN_IO_WRITE_ZEROES] = TARN_IO_NONE;
	}
	limits->fua = true; /* RWF_DSYNC; the kernel flushes where the device has no FUA */
}
