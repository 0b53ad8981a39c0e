/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include "tarn/bdev_file.h"
#include "tarn/uring_user.h"

/* What the files of the driver share. Within lib/bdev/uring only. */

struct uring_bdev {
	struct tarn_bdev_file file;
	struct tarn_uring_mode mode;	 /* mode.key: of the ring for reads and writes */
	bool fixed_buffers, fixed_files; /* wanted */
	bool iopoll_failed; /* any thread sets it: the device refused to be polled after all */
};

struct uring_channel {
	struct uring_bdev *ubdev;
	struct tarn_uring_pair rings;
};

/* mode.c: control reactor, may block */
/**
 * Find out what the kernel and the device let the options come to, by trying: fills the mode, keys
 * and reasons. The file is open. \return 0, or -errno with the reason: an option that is `on`
 * cannot be.
 */
int uring_mode_choose(const struct tarn_bdev_file_opts *opts, struct uring_bdev *ubdev,
		      struct tarn_reason *reason);
/** Whether this process may use io_uring at all. \return 0 or -errno with the reason. */
int uring_mode_allowed(const struct tarn_bdev_file_opts *opts, struct tarn_reason *reason);
void uring_mode_describe(const struct uring_bdev *ubdev, const struct tarn_bdev_file_opts *opts,
			 const struct tarn_info_sink *sink);

/* io.c: on the channel's reactor */
void uring_io_submit(struct tarn_channel *channel, struct tarn_io *io);
/** Complete what is done in the group's rings. \return how many. */
int uring_io_poll(struct tarn_group *group);
