/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include "tarn/bdev_driver.h"

/*
 * What drivers that pass I/O on to another bdev (error, delay) share: they claim their base, have
 * its size and limits, go when it goes, and pass on through I/Os of their channel's own. For
 * drivers.
 */
struct tarn_wrapper {
	struct tarn_bdev *bdev;
	struct tarn_bdev_desc *base;
	char base_name[TARN_BDEV_NAME_MAX + 1];
};

/* One I/O under way to the base. */
struct tarn_wrapped_io {
	struct tarn_io io; /* the base's */
	struct tarn_io *parent;
	struct tarn_wrapped_io *next;
	TAILQ_ENTRY(tarn_wrapped_io) link; /* the wrapper's */
	uint64_t due_ns;		   /* the wrapper's */
	int status;			   /* the wrapper's */
};
TAILQ_HEAD(tarn_wrapped_list, tarn_wrapped_io);

struct tarn_wrapper_channel {
	struct tarn_channel *base;
	struct tarn_wrapped_io *free, *all;
};

/** For opts_copy and opts_free of drivers whose options begin with these two. */
struct tarn_wrapper_opts {
	struct tarn_bdev_common_opts common;
	const char *base_name;
};
void *tarn_wrapper_opts_copy(const void *opts, size_t opts_bytes);
void tarn_wrapper_opts_free(void *opts);

/**
 * For a driver's open: open and claim the base for `bdev`, fill the limits from it.
 * \return 0, or with the reason -ENODEV (no such base), -EBUSY (it has a user) or -ENOMEM.
 */
int tarn_wrapper_open(struct tarn_wrapper *wrapper, struct tarn_bdev *bdev, const char *base_name,
		      struct tarn_bdev_limits *limits, struct tarn_reason *reason);
void tarn_wrapper_close(struct tarn_wrapper *wrapper);
int tarn_wrapper_channel_open(const struct tarn_wrapper *wrapper, struct tarn_wrapper_channel *wch,
			      uint32_t queue_depth);
void tarn_wrapper_channel_close(struct tarn_wrapper_channel *wch);
/** Take the I/O that carries `parent`. There is one for each slot of the wrapper's channel. */
struct tarn_wrapped_io *tarn_wrapped_get(struct tarn_wrapper_channel *wch, struct tarn_io *parent);
void tarn_wrapped_put(struct tarn_wrapper_channel *wch, struct tarn_wrapped_io *wrapped);
/** Submit to the base what the parent asks for. */
void tarn_wrapped_pass_on(struct tarn_wrapper_channel *wch, struct tarn_wrapped_io *wrapped,
			  tarn_io_cb cb);
