/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include "tarn/bdev.h"
#include "tarn/bdev_opts.h"

/*
 * For those who write drivers. A driver is a folder under lib/bdev, a const table and one
 * registration line; it is reached through its table only.
 *
 *   bdev     one device: opened and closed on the control reactor, where it may block
 *   group    what the driver's channels on one reactor share (a ring, a list of what is done);
 *            polled
 *   channel  one device on one reactor
 *
 * lib/bdev has checked what it submits: range and alignment, op supported, at most
 * max_transfer_bytes and iov_count_max, at most queue_depth per channel in flight. Drivers assert
 * it.
 */
struct tarn_group; /* Opaque: see tarn_group_ctx(). */

struct tarn_bdev_limits {
	uint64_t size_bytes;
	uint32_t block_size;
	uint32_t physical_block_size; /* 0: block_size */
	uint32_t buffer_align;	      /* power of two; 0: 1 */
	uint32_t max_transfer_bytes;  /* 0: 1 GiB */
	uint32_t iov_count_max;	      /* 0: 1024 (IOV_MAX) */
	uint32_t queue_depth;	      /* default where the user gives none */
	/* neighbours are merged up to this; 0: merging does not pay here */
	uint32_t merge_bytes_max;
	bool read_only, write_cache, rotational;
	/*
	 * READ and WRITE are native. DISCARD, WRITE_ZEROES: NONE leaves the emulation to lib/bdev.
	 */
	enum tarn_io_support support[TARN_IO_OP_COUNT];
	bool fua; /* takes TARN_IO_FUA; otherwise lib/bdev flushes after the write */
};

struct tarn_bdev_driver {
	const char *name;
	const char *product; /* SPDK's product_name */
	/* Zeroed memory of the driver's own. */
	size_t bdev_ctx_bytes, group_ctx_bytes, channel_ctx_bytes;
	size_t io_ctx_bytes; /* at most TARN_IO_DRIVER_BYTES */

	/*
	 * All completions that one poll finds were there when it began: they share one reading of
	 * the clock. Not for drivers that do the work itself in poll.
	 */
	bool batch_clock;

	/*
	 * Options: a copy with strings of its own, and its end; common.uuid, too, is freed by
	 * free(). Without these two, opts_bytes are copied, and common.uuid.
	 */
	size_t opts_bytes;
	void *(*opts_copy)(const void *opts);
	void (*opts_free)(void *opts);

	/*
	 * Control reactor. open fills *limits; on failure says why in *reason and leaves nothing
	 * behind.
	 */
	int (*open)(struct tarn_bdev *bdev, const void *opts, struct tarn_bdev_limits *limits,
		    struct tarn_reason *reason);
	void (*close)(struct tarn_bdev *bdev);
	int (*control)(struct tarn_bdev *bdev, uint32_t command, const void *arg,
		       struct tarn_reason *reason); /* may be NULL */
	void (*describe)(struct tarn_bdev *bdev,
			 const struct tarn_info_sink *sink); /* may be NULL */

	/* On the group's reactor. Any may be NULL. */
	int (*group_open)(struct tarn_group *group);
	void (*group_close)(struct tarn_group *group);
	int (*poll)(struct tarn_group *group); /* \return the number of completions */
	/*
	 * as in tarn_poller_opts; NULL: no while I/O is in flight. Also asked without any: sleep_fd
	 * must not stay ready.
	 */
	uint64_t (*may_sleep_ns)(struct tarn_group *group);
	/* asked after group_open: fd to watch in sleep, or -1 */
	int (*sleep_fd)(struct tarn_group *group);

	int (*channel_open)(struct tarn_channel *channel);   /* may be NULL */
	void (*channel_close)(struct tarn_channel *channel); /* may be NULL; nothing is in flight */
	/* owes exactly one tarn_io_complete(), later */
	void (*submit)(struct tarn_channel *channel, struct tarn_io *io);
};

/* A table's place in the list of drivers. */
struct tarn_bdev_driver_node {
	const struct tarn_bdev_driver *driver;
	struct tarn_bdev_driver_node *next;
	struct tarn_group *group[TARN_REACTOR_COUNT_MAX]; /* lib/bdev's, each its reactor's */
};
void tarn_bdev_driver_register(struct tarn_bdev_driver_node *node);
const struct tarn_bdev_driver *tarn_bdev_driver_find(const char *name);

#define TARN_BDEV_DRIVER(table)                                                                    \
	static struct tarn_bdev_driver_node table##_node = { .driver = &(table) };                 \
	__attribute__((constructor)) static void table##_register(void)                            \
	{                                                                                          \
		tarn_bdev_driver_register(&table##_node);                                          \
	}

/** The device's copy of its options, for actions that change them. Control reactor. */
void *tarn_bdev_opts_mutable(struct tarn_bdev *bdev);

/* The driver's own memory. */
void *tarn_bdev_ctx(const struct tarn_bdev *bdev);
void *tarn_group_ctx(const struct tarn_group *group);
void *tarn_channel_ctx(const struct tarn_channel *channel);
static inline void *
tarn_io_ctx(struct tarn_io *io)
{
	return io->driver_ctx;
}

struct tarn_group *tarn_channel_group(const struct tarn_channel *channel);
struct tarn_bdev *tarn_channel_bdev(const struct tarn_channel *channel);
/** Call fn for each channel of the group. */
void tarn_group_each_channel(struct tarn_group *group,
			     void (*fn)(struct tarn_channel *channel, void *arg), void *arg);
/** I/Os that the group's channels have in the driver. */
uint32_t tarn_group_inflight_count(const struct tarn_group *group);

/**
 * The one completion that submit owes, on the same reactor. Settle your own state first: it
 * re-enters submit.
 */
void tarn_io_complete(struct tarn_io *io, int status);
/**
 * The device has a new size: tell its users. Control reactor.
 */
void tarn_bdev_notify_resize(struct tarn_bdev *bdev, uint64_t size_bytes);
/** The device is gone (any thread): remove it as tarn_bdev_delete() with force does, once. */
void tarn_bdev_notify_gone(struct tarn_bdev *bdev);
