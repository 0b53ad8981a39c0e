/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include "lib/bdev/uring_cmd/command.h"
#include "lib/bdev/uring_cmd/identify.h"
#include "tarn/bdev_file.h"
#include "tarn/bdev_nvme.h"
#include "tarn/uring_user.h"

/* What the files of the driver share. Within lib/bdev/uring_cmd only. */

/* An open namespace. */
struct nvme_device {
	struct tarn_nvme_nodes nodes;
	int fd; /* of the character device: commands go there */
	/* Of the block device: the exclusive claim, the queue's limits, whether it is gone. */
	struct tarn_bdev_file block;
	struct nvme_target target;
	struct nvme_identity identity;
	uint32_t transfer_max_bytes; /* of one read or write */
	uint32_t discard_max_bytes;  /* of one command; 0: the device has none */
	uint32_t zeroes_max_bytes;   /* likewise */
	uint32_t retry_max;	     /* nvme_core.max_retries */
};

struct cmd_bdev {
	struct nvme_device device;
	struct tarn_uring_mode mode;	 /* mode.key: of the ring for reads and writes */
	bool fixed_buffers, fixed_files; /* wanted, and taken when they were tried */
	struct tarn_reason fixed_reason; /* why fixed buffers were asked for and are not in force */
	/* Any thread's. */
	bool fixed_failed; /* the kernel refused a command with a fixed buffer after all */
	uint64_t command_retry_count; /* commands sent again after a failure */
};

struct cmd_channel {
	struct cmd_bdev *cbdev;
	struct tarn_uring_pair rings;
};

/* One I/O. Discards and zeroes are as many commands as it takes, one after the other. */
struct cmd_io {
	struct tarn_uring_wait wait; /* first: tarn_container_of() is a cast */
	struct nvme_dsm_range range;
	uint64_t done_bytes;
	uint32_t piece_bytes; /* of the command in flight */
	uint32_t retry_count; /* of that command */
	bool fixed;	      /* it has a fixed buffer */
	bool flushing;	      /* it is the flush after a discard */
};

/* device.c: control reactor, may block */
/**
 * Open the namespace that opts->filename names by either of its nodes, identify it, claim its block
 * device. \return 0, or -errno with the reason and nothing left behind.
 */
int nvme_device_open(const struct tarn_bdev_file_opts *opts, struct nvme_device *ret_device,
		     struct tarn_reason *reason);
void nvme_device_close(struct nvme_device *device);
void nvme_device_limits(const struct nvme_device *device, struct tarn_bdev_limits *limits);
/**
 * TARN_BDEV_RESCAN: identify again, and tell the bdev's users of a new size. One that was formatted
 * to other blocks is gone (tarn_bdev_notify_gone): every offset would be another block.
 */
int nvme_device_rescan(struct tarn_bdev *bdev, struct nvme_device *device,
		       struct tarn_reason *reason);
/** As tarn_bdev_file_check_gone(); one that was formatted to other blocks is gone, too. */
void nvme_device_check_gone(struct tarn_bdev *bdev, const struct nvme_device *device, int status);
void nvme_device_describe(const struct nvme_device *device, const struct tarn_info_sink *sink);

/* mode.c: control reactor, may block */
/** Whether this process may use io_uring at all. \return 0 or -errno with the reason. */
int cmd_mode_allowed(const struct tarn_bdev_file_opts *opts, struct tarn_reason *reason);
/**
 * Find out what the kernel and the device let the options come to, by reading a block in each way.
 * The device is open. \return 0, or -errno with the reason.
 */
int cmd_mode_choose(const struct tarn_bdev_file_opts *opts, struct cmd_bdev *cbdev,
		    struct tarn_reason *reason);
void cmd_mode_describe(const struct cmd_bdev *cbdev, const struct tarn_bdev_file_opts *opts,
		       const struct tarn_info_sink *sink);

/* io.c: on the channel's reactor */
void cmd_io_submit(struct tarn_channel *channel, struct tarn_io *io);
/** Complete what is done in the group's rings. \return how many. */
int cmd_io_poll(struct tarn_group *group);
