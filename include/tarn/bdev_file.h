/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <sys/types.h>

#include "tarn/bdev_driver.h"

/*
 * What the drivers of files and block devices (uring, aio, sync) share, and uring_cmd, which holds
 * its namespace by the block device: opening with all checks, facts from the kernel, copying of
 * options, the calls that only block. For drivers.
 */
struct tarn_bdev_file {
	int fd;	      /* for I/O */
	int claim_fd; /* opened exclusively, not for I/O; -1: none */
	bool block_device;
	bool direct;
	bool poll_queues; /* /sys/block/.../queue/io_poll is 1 */
	bool nowait;	  /* the kernel takes RWF_NOWAIT here */
	uint64_t size_bytes;
	uint32_t block_size, physical_block_size, buffer_align;
	uint32_t max_transfer_bytes;
	bool read_only, write_cache, rotational;
	int discard_mode;      /* fallocate(2) mode, or -1: none */
	int write_zeroes_mode; /* likewise */
	bool discard_ioctl;    /* BLKDISCARD instead of fallocate */
	bool zeroes_ioctl;     /* BLKZEROOUT instead of fallocate */
	/* The module's own. */
	char sysfs_path[40]; /* of the block device; empty for a file */
	uint64_t disk_sequence;
	bool watched; /* the kernel tells of changes */
	struct tarn_offload *offload;
};

/**
 * Open and examine. Block devices are claimed with O_EXCL, so that mounted or otherwise held ones
 * are refused; files are locked (flock) against a second daemon, and block devices (OFD locks)
 * against what one that was killed still has in flight. May block. Control reactor.
 * \return 0, or with the reason: -ENOENT, -EACCES, -EISDIR, -EROFS, -EBUSY, -EINVAL (size 0 or no
 * multiple of the block; block size below the device's; O_DIRECT not to be had), -ENOTBLK (neither
 * file nor block device).
 */
int tarn_bdev_file_open(const struct tarn_bdev_file_opts *opts, struct tarn_bdev_file *ret_file,
			struct tarn_reason *reason);
void tarn_bdev_file_close(struct tarn_bdev_file *file);
/** \return the name of a bdev of this process on that file or device, or NULL. Control reactor. */
const char *tarn_bdev_file_holder(const char *filename);
/** \return a number of the block device's queue directory in sysfs; fallback: it is not there. */
uint64_t tarn_bdev_file_queue_number(const struct tarn_bdev_file *file, const char *name,
				     uint64_t fallback);
/** Fill what the kernel told into the driver's limits. */
void tarn_bdev_file_limits(const struct tarn_bdev_file *file, struct tarn_bdev_limits *limits);
/**
 * TARN_BDEV_RESCAN: take the size again and tell the bdev's users where it changed. Control
 * reactor. \return 0, -EINVAL (size 0, or no multiple of the block) or what the kernel said, with
 * the reason.
 */
int tarn_bdev_file_rescan(struct tarn_bdev *bdev, struct tarn_bdev_file *file,
			  struct tarn_reason *reason);
/**
 * Discard, write zeroes or flush, by blocking calls. Any thread.
 * \return 0 or -errno (-EOPNOTSUPP: not after all).
 */
int tarn_bdev_file_blocking_op(const struct tarn_bdev_file *file, const struct tarn_io *io);

/* What tarn_bdev_file_offload_op() puts into a driver's part of an I/O. */
struct tarn_bdev_file_call {
	struct tarn_offload_call call;
	const struct tarn_bdev_file *file;
	int status;
};
/**
 * The same on a thread of its own, and complete the I/O: for what has no asynchronous call. Uses
 * the I/O's driver_ctx. On the channel's reactor.
 */
void tarn_bdev_file_offload_op(const struct tarn_bdev_file *file, struct tarn_io *io);

/**
 * A driver's control, for TARN_BDEV_RESCAN and TARN_BDEV_LOOK. Control reactor.
 * \return as those, or -ENOTSUP with the reason.
 */
int tarn_bdev_file_control(struct tarn_bdev *bdev, struct tarn_bdev_file *file, uint32_t command,
			   struct tarn_reason *reason);
/** \return whether the kernel has another size by now. Any thread, does not block. */
bool tarn_bdev_file_size_changed(const struct tarn_bdev_file *file);
/**
 * An I/O failed with that status: see whether the device is gone altogether, and if so say so
 * (tarn_bdev_notify_gone). Any thread, does not block. \return whether it is gone.
 */
bool tarn_bdev_file_check_gone(struct tarn_bdev *bdev, const struct tarn_bdev_file *file,
			       int status);

/** -EINVAL with the reason when an option is set that only other drivers have. */
int tarn_bdev_file_check_opts(const char *driver_name, const struct tarn_bdev_file_opts *opts,
			      struct tarn_reason *reason);
void *tarn_bdev_file_opts_copy(const void *opts);
void tarn_bdev_file_opts_free(void *opts);
/** The facts above and those of the options, for bdev_get_bdevs. */
void tarn_bdev_file_describe(const struct tarn_bdev_file *file,
			     const struct tarn_bdev_file_opts *opts,
			     const struct tarn_info_sink *sink);
