/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <pthread.h>
#include <stdatomic.h>

#include "tarn/bdev_driver.h"
#include "tarn/util.h"

/* What the files of lib/bdev share. */

#define BDEV_MAGIC 0x7461726e62646576
/*
 * I/Os of lib/bdev's own (parts, merged ones) that a channel keeps ready. Each has its own, so that
 * a device that is limited, or hangs, does not hold those of others.
 */
#define CHANNEL_CHILD_COUNT 32
#define CHILD_IOV_MAX 64

/* Where an I/O is; see io.c for the edges. */
enum io_state {
	IO_IDLE,    /* the caller's */
	IO_WAITING, /* on a channel's list, for a slot */
	IO_PLUGGED, /* has a slot, waits for neighbours until the end of the turn */
	IO_DRIVER,  /* has a slot, the driver's */
	IO_MERGED,  /* has a slot, its data moves in a merged I/O */
	IO_SPLIT,   /* has no slot itself, its parts have */
	IO_SETTLED, /* its status is known, the callback is due at the end of the turn */
};

/* Who an I/O belongs to. */
enum io_kind {
	IO_KIND_USER,
	IO_KIND_PART,	/* of a split I/O */
	IO_KIND_MERGED, /* of several users' neighbouring I/Os */
};

/* Of tarn_bdev_notify_gone(). */
enum gone_state { GONE_NOT, GONE_TOLD, GONE_HANDLED };

/* An I/O of lib/bdev's own. */
struct io_child {
	struct tarn_io io; /* first: tarn_container_of() is a cast */
	struct iovec iov[CHILD_IOV_MAX];
	struct tarn_io_list members; /* IO_KIND_MERGED */
	struct io_child *next;	     /* free list */
};

TAILQ_HEAD(channel_list, tarn_channel);
TAILQ_HEAD(desc_list, tarn_bdev_desc);

struct tarn_group {
	const struct tarn_bdev_driver *driver;
	struct tarn_bdev_driver_node *node;
	struct tarn_reactor *reactor;
	struct tarn_poller *poller;
	struct channel_list channels;
	uint32_t channel_count;
	uint32_t inflight_count; /* in the driver */
	bool polling;		 /* within the driver's poll */
	uint64_t poll_ns;	 /* when this poll found its completions; 0: not read yet */
	uint32_t stalled_count;	 /* channels with I/O that waits for no completion of its own */
	void *ctx;
};

struct tarn_channel {
	/* What the path of an I/O reads. */
	const struct tarn_bdev_driver *driver;
	struct tarn_bdev *bdev;
	struct tarn_group *group;
	struct tarn_bdev_desc *desc;
	uint32_t block_mask, buffer_mask;
	uint32_t max_transfer_bytes, iov_count_max, merge_bytes_max;
	uint32_t direct_ops; /* a bit for each op that the driver takes as it is */
	uint32_t writable;
	bool fua;
	bool batch_clock;
	bool stalled;
	struct bdev_qos *qos; /* NULL: no limits */
	/* Slots. */
	uint32_t inflight_count, background_count; /* with a slot */
	uint32_t depth_limit, background_limit;
	uint32_t full_count; /* I/Os that found depth_limit reached; wraps */
	struct tarn_io_list waiting, waiting_background;
	uint64_t qos_until_ns; /* what waits has no tokens before; 0: it is not for these */
	/* Until the end of the turn. */
	struct tarn_io_list plugged, settled;
	uint32_t plugged_count;
	struct tarn_deferred unplug, settle, teardown;
	/* I/Os of lib/bdev's own. */
	struct io_child *free_children, *children;
	uint32_t unused_child_count; /* of `children`: were never handed out */
	struct tarn_io_list starved; /* split I/Os that wait for a child */
	void *ctx;
	uint32_t user_count;
	struct channel_auto *depth_auto; /* NULL: the depth is fixed */
	TAILQ_ENTRY(tarn_channel) group_link, bdev_link;
	struct tarn_channel_stats stats;
	struct tarn_histogram histogram[TARN_IO_OP_COUNT];
};

struct tarn_bdev_desc {
	struct tarn_bdev *bdev;
	bool write;
	const char *claim; /* the module's name, while it has claimed */
	tarn_bdev_event_cb event_cb;
	void *event_arg;
	bool told_of_removal, closed;
	atomic_uint ref_count; /* its channels, and one until tarn_bdev_close() */
	struct tarn_msg close_msg;
	struct tarn_channel *channel[TARN_REACTOR_COUNT_MAX]; /* each its reactor's */
	TAILQ_ENTRY(tarn_bdev_desc) link;
};

/* The token buckets of tarn_bdev_set_qos(); see qos.c. */
enum qos_limit { QOS_RW_IOS, QOS_RW_BYTES, QOS_READ_BYTES, QOS_WRITE_BYTES, QOS_LIMIT_COUNT };

struct qos_bucket {
	atomic_uint_fast64_t token_cost; /* 0: no limit */
	atomic_uint_fast64_t spent;	 /* the time until which its tokens are */
};

struct bdev_qos {
	struct qos_bucket bucket[QOS_LIMIT_COUNT];
	uint64_t base_ns; /* times count from here; written before `limited` ever is */
	atomic_bool limited;
	/* The control reactor's. */
	struct tarn_bdev_qos limits;
	bool visiting, again;
	/* The visit's, which is at one reactor at a time. */
	uint32_t visit_index;
	struct tarn_msg msg;
};

struct tarn_bdev {
	uint64_t magic;
	char name[TARN_BDEV_NAME_MAX + 1];
	char uuid[37];
	struct tarn_bdev_driver_node *node;
	const struct tarn_bdev_driver *driver;
	void *opts;
	struct tarn_bdev_limits limits;
	atomic_uint_fast64_t size_bytes;
	atomic_bool removing;
	atomic_int gone; /* enum gone_state */
	uint32_t queue_depth, background_depth;
	atomic_uint depth_now; /* what a channel with queue_depth_auto chose last */

	/* The control reactor's. */
	struct desc_list descs;
	uint32_t open_count;
	uint32_t hold_count; /* something under way refers to it: not freed yet */
	tarn_io_cb delete_done;
	void *delete_arg;
	bool destroying;
	struct tarn_msg delete_msg, gone_msg;
	bool histogram_enabled;
	struct bdev_sampling *sampling;
	struct bdev_qos qos;
	TAILQ_ENTRY(tarn_bdev) link;

	struct channel_list channels[TARN_REACTOR_COUNT_MAX]; /* each its reactor's */
	pthread_mutex_t retired_lock;
	struct tarn_channel_stats retired; /* of channels that are gone */
	struct tarn_histogram retired_histogram[TARN_IO_OP_COUNT];
	void *ctx;
};

/* registry.c */
void bdev_hold(struct tarn_bdev *bdev);
void bdev_unhold(struct tarn_bdev *bdev);
/** Any reactor. The last one frees the desc. */
void desc_unref(struct tarn_bdev_desc *desc);

/* io.c */
/** Give an I/O that passed the checks, or is lib/bdev's own, a slot, or let it wait for one. */
void io_admit(struct tarn_channel *channel, struct tarn_io *io);
/** Hand an I/O that has a slot to the driver. */
void io_to_driver(struct tarn_channel *channel, struct tarn_io *io);
/** The end of a user's I/O: count it and call back. */
void io_finish(struct tarn_io *io, int status);
/** The same at the end of this turn. */
void io_settle(struct tarn_channel *channel, struct tarn_io *io, int status);
/** Give slots to what waits, as far as there are any. \return how many were given. */
uint32_t io_drain(struct tarn_channel *channel);
/** Give a slot back, after the driver or a merged I/O is done with it. */
void io_release_slot(struct tarn_channel *channel, const struct tarn_io *io);

/* split.c: I/O that the driver does not take as it is */
void split_start(struct tarn_channel *channel, struct tarn_io *io);
void split_part_done(struct tarn_io *part, int status);
/** Go on with those that waited for a child. */
void split_feed(struct tarn_channel *channel);

/* merge.c */
void merge_plug(struct tarn_channel *channel, struct tarn_io *io);
void merge_unplug(void *arg);
void merge_done(struct tarn_io *merged, int status);

/* channel.c */
/** \return NULL: all are in use. */
struct io_child *child_get(struct tarn_channel *channel);
void child_put(struct tarn_channel *channel, struct io_child *child);
/** Note that a channel has waiting I/O that only time, or another reactor, can set going again. */
void channel_stall(struct tarn_channel *channel);

/* depth.c */
/** Let a channel's depth adapt, where its bdev's options say so. \return 0 or -ENOMEM. */
int depth_start(struct tarn_channel *channel);
void depth_stop(struct tarn_channel *channel);

/* qos.c */
/**
 * Take tokens for an I/O of a channel with limits; on false there are none before qos_until_ns.
 * Flushes need none, the parts of a split I/O pay once.
 */
bool qos_take(struct tarn_channel *channel, struct tarn_io *io);
/** Let a channel look at its bdev's limits, or not where there are none. */
void qos_attach(struct tarn_channel *channel);

/* stats.c */
void stats_start(struct tarn_channel *channel);
void stats_complete(struct tarn_channel *channel, const struct tarn_io *io, int status,
		    uint64_t now_ns);
/** Keep the counts of a channel that ends. */
void stats_retire(struct tarn_channel *channel);
void stats_sampling_free(struct tarn_bdev *bdev);
