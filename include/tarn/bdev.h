/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/uio.h>

#include "tarn/bdev_stats.h"
#include "tarn/info.h"
#include "tarn/reactor.h"
#include "tarn/reason.h"

/*
 * Block devices for those who use them: names, opening, channels, I/O. bdev_driver.h is for those
 * who write drivers, bdev_opts.h says what each driver is created with.
 *
 * Names, opening, claims and events belong to the control reactor. I/O goes through a channel,
 * which belongs to the reactor that took it.
 */
struct tarn_bdev;      /* A registered device. */
struct tarn_bdev_desc; /* One user's right to a device. Opaque. */
struct tarn_channel;   /* One device as seen by one reactor. */
struct tarn_io;

#define TARN_BDEV_NAME_MAX 255

enum tarn_io_op {
	TARN_IO_READ,
	TARN_IO_WRITE,
	TARN_IO_FLUSH,
	TARN_IO_DISCARD,
	TARN_IO_WRITE_ZEROES,
};
#define TARN_IO_OP_COUNT 5
const char *tarn_io_op_name(enum tarn_io_op op);

/* How a device carries an operation out. */
enum tarn_io_support {
	TARN_IO_NONE, /* it fails with -ENOTSUP (write operations of a read-only device: -EROFS) */
	TARN_IO_NATIVE,
	TARN_IO_EMULATED, /* write zeroes by writes, FUA by a flush after the write */
	TARN_IO_NOOP,	  /* discard where the medium has none: a hint, rightly ignored */
};
const char *tarn_io_support_name(enum tarn_io_support support);

/* Flags of an I/O. */
#define TARN_IO_FUA 0x1 /* a write or write zeroes: durable when it completes */
/* after foreground, and within the bound on background I/O in flight */
#define TARN_IO_BACKGROUND 0x2

/** status is 0 or -errno. Runs on the submitting reactor, never inside the submitting call. */
typedef void (*tarn_io_cb)(void *arg, int status);

/* --- Devices. Control reactor only. --- */

struct tarn_bdev *tarn_bdev_find(const char *name);
/** Iterate in order of creation: NULL gives the first, NULL comes after the last. */
struct tarn_bdev *tarn_bdev_next(struct tarn_bdev *bdev);

/**
 * Create a device by a driver. opts is that driver's structure of bdev_opts.h and is copied. May
 * block.
 * \param ret_reason  may be NULL; on failure what failed, on which object, and why, as a sentence.
 * \return 0 with *ret_bdev, -EEXIST (name taken), -ENOENT (no such driver or file), -EBUSY (held by
 * another user or by the kernel), -EINVAL (an option that the device cannot have), -ENOMEM or what
 * the driver's open failed with.
 */
int tarn_bdev_create(const char *driver_name, const char *name, const void *opts,
		     struct tarn_bdev **ret_bdev, struct tarn_reason *ret_reason);
struct tarn_bdev_file_opts;
/**
 * Create a device of one of the file drivers (uring, aio, sync; uring_cmd). With opts->fallback the
 * drivers after the one named are tried in that order where it fails; tarn_bdev_describe() then
 * says which was asked for and why it is not that one. Control reactor.
 * \return as tarn_bdev_create(); where all fail, the first one's status and reason.
 */
int tarn_bdev_create_file(const char *driver_name, const char *name,
			  const struct tarn_bdev_file_opts *opts, struct tarn_bdev **ret_bdev,
			  struct tarn_reason *ret_reason);
/** bdev is NULL unless status is 0; reason is gone when it returns. On the control reactor. */
typedef void (*tarn_bdev_create_cb)(void *arg, int status, struct tarn_bdev *bdev,
				    const struct tarn_reason *reason);
/**
 * The same, for a file that another process may hold for a moment longer, as the kernel does for a
 * process that was killed: where it is in use, tried again for 2 s; where a bdev of this process
 * has it, not. done runs at once, or later. Copies opts. Control reactor.
 */
void tarn_bdev_create_file_wait(const char *driver_name, const char *name,
				const struct tarn_bdev_file_opts *opts, tarn_bdev_create_cb done,
				void *arg);
/** End all such waits, with their last status. Control reactor. */
void tarn_bdev_create_waits_cancel(void);
/**
 * Remove a device: its users are told (TARN_BDEV_EVENT_REMOVE), new I/O fails with -ENODEV, and
 * when the last user has closed it, done(arg, 0) is called and the name is free. With force false:
 * done(arg, -EBUSY) at once when somebody has it open, and nothing changes.
 */
void tarn_bdev_delete(struct tarn_bdev *bdev, bool force, tarn_io_cb done, void *arg);

/** An action of the driver, one of bdev_opts.h. \return as there; -ENOTSUP: it has no such one. */
int tarn_bdev_control(struct tarn_bdev *bdev, uint32_t command, const void *arg,
		      struct tarn_reason *ret_reason);

enum tarn_bdev_event {
	TARN_BDEV_EVENT_REMOVE, /* close it soon: put all channels, then tarn_bdev_close() */
	TARN_BDEV_EVENT_RESIZE,
};
/** On the control reactor. */
typedef void (*tarn_bdev_event_cb)(struct tarn_bdev *bdev, enum tarn_bdev_event event, void *arg);

/**
 * Open a device by name.
 * \param write     whether it will be written to; -EROFS when it cannot be, -EBUSY when claimed by
 *   another.
 * \param event_cb  may be NULL: the user is then one who never outlives the device.
 * \param ret_desc  written on success only; the caller ends it with tarn_bdev_close().
 * \return 0, -ENODEV (no such name, or being removed), -EBUSY, -EROFS or -ENOMEM.
 */
int tarn_bdev_open(const char *name, bool write, tarn_bdev_event_cb event_cb, void *arg,
		   struct tarn_bdev_desc **ret_desc);
/** All channels taken by this desc were put. */
void tarn_bdev_close(struct tarn_bdev_desc *desc);
/**
 * Become the only one who may write. `module` names the user in bdev_get_bdevs; it must outlive the
 * claim.
 * \return 0, or -EBUSY: claimed, or open for writing by another.
 */
int tarn_bdev_claim(struct tarn_bdev_desc *desc, const char *module);
void tarn_bdev_release(struct tarn_bdev_desc *desc);

/* --- What a device is. Any thread, while open; sizes may grow. --- */

struct tarn_bdev *tarn_bdev_desc_bdev(const struct tarn_bdev_desc *desc);
struct tarn_bdev_desc *tarn_channel_desc(const struct tarn_channel *channel);
const char *tarn_bdev_name(const struct tarn_bdev *bdev);
const char *tarn_bdev_driver_name(const struct tarn_bdev *bdev);
/** What it was created with (see bdev_opts.h), brought up to date by resize, update and so on. */
const void *tarn_bdev_opts(const struct tarn_bdev *bdev);
uint64_t tarn_bdev_size_bytes(const struct tarn_bdev *bdev);

struct tarn_bdev_info {
	const char *name, *driver, *product;
	const char *uuid;	/* text form */
	const char *claimed_by; /* NULL: not claimed */
	uint64_t size_bytes;
	uint32_t block_size;	      /* bytes: offsets and lengths are multiples of it */
	uint32_t physical_block_size; /* bytes that the medium writes at once */
	uint32_t buffer_align;	      /* bytes: addresses of buffers are multiples of it */
	uint32_t max_transfer_bytes;  /* larger I/O is split */
	uint32_t queue_depth;	      /* per channel; more waits in lib/bdev */
	uint32_t queue_depth_now;     /* with queue_depth_auto: what was chosen last */
	uint32_t background_depth;    /* of these, background I/O may have */
	uint32_t open_count;
	bool read_only, write_cache, rotational, removing, queue_depth_auto;
	enum tarn_io_support support[TARN_IO_OP_COUNT];
	enum tarn_io_support fua;
};
void tarn_bdev_get_info(const struct tarn_bdev *bdev, struct tarn_bdev_info *ret_info);

/** What the driver says of itself. Control reactor. */
void tarn_bdev_describe(struct tarn_bdev *bdev, const struct tarn_info_sink *sink);

/* --- Channels. On the reactor that uses them. --- */

/**
 * Take the calling reactor's channel of a device. There is one for each desc and reactor; taking it
 * again counts.
 * \return 0 with *ret_channel, -ENODEV (being removed) or what the driver's channel_open failed
 * with.
 */
int tarn_channel_get(struct tarn_bdev_desc *desc, struct tarn_channel **ret_channel);
/** No I/O of this user is in flight. */
void tarn_channel_put(struct tarn_channel *channel);

/* --- I/O. On the channel's reactor. --- */

#define TARN_IO_DRIVER_BYTES 80

/*
 * One I/O. The caller's memory, of any age: zero it once, then hand it to one of the calls below;
 * it is lib/bdev's from there until the callback starts. The iov array and the buffers stay
 * untouched as long.
 */
struct tarn_io {
	/* The request, filled in by the calls below. Drivers read it. */
	struct tarn_channel *channel;
	const struct iovec *iov;
	uint32_t iov_count;
	uint8_t op;	  /* enum tarn_io_op */
	uint8_t flags;	  /* TARN_IO_FUA, TARN_IO_BACKGROUND */
	uint8_t state;	  /* lib/bdev's */
	uint8_t internal; /* lib/bdev's */
	uint64_t offset_bytes;
	uint64_t length_bytes;
	tarn_io_cb cb;
	void *cb_arg;
	/* lib/bdev's own. */
	struct iovec one; /* iov of the calls that take a single buffer */
	uint64_t submit_ns;
	int status;
	uint32_t pending_count; /* children of a split I/O in flight */
	uint64_t done_bytes; /* of a split I/O: handed to children so far; of others: see qos.c */
	struct tarn_io *parent;
	TAILQ_ENTRY(tarn_io) link;
	/* The driver's own, from submit to tarn_io_complete(). */
	_Alignas(16) uint8_t driver_ctx[TARN_IO_DRIVER_BYTES];
};
TAILQ_HEAD(tarn_io_list, tarn_io);

/*
 * Each completes by cb(arg, status), exactly once and never inside the call. Status: 0, -EINVAL
 * (range, or alignment of offset, length or buffer), -EROFS, -ENOTSUP, -ENODEV (removed),
 * -EIO (also for a short transfer) or what else the device reported.
 * An I/O finds a place sooner or later: it waits, it does not fail, for want of memory or queue
 * space.
 */
void tarn_bdev_readv(struct tarn_channel *channel, struct tarn_io *io, const struct iovec *iov,
		     uint32_t iov_count, uint64_t offset_bytes, uint32_t flags, tarn_io_cb cb,
		     void *arg);
void tarn_bdev_writev(struct tarn_channel *channel, struct tarn_io *io, const struct iovec *iov,
		      uint32_t iov_count, uint64_t offset_bytes, uint32_t flags, tarn_io_cb cb,
		      void *arg);
void tarn_bdev_read(struct tarn_channel *channel, struct tarn_io *io, void *buf,
		    uint64_t length_bytes, uint64_t offset_bytes, uint32_t flags, tarn_io_cb cb,
		    void *arg);
void tarn_bdev_write(struct tarn_channel *channel, struct tarn_io *io, void *buf,
		     uint64_t length_bytes, uint64_t offset_bytes, uint32_t flags, tarn_io_cb cb,
		     void *arg);
/** Contract C2: what completed before its submission survives power loss once it has completed. */
void tarn_bdev_flush(struct tarn_channel *channel, struct tarn_io *io, tarn_io_cb cb, void *arg);
/** The contents are undefined afterwards; the blocks may be given back to the medium. */
void tarn_bdev_discard(struct tarn_channel *channel, struct tarn_io *io, uint64_t offset_bytes,
		       uint64_t length_bytes, uint32_t flags, tarn_io_cb cb, void *arg);
void tarn_bdev_write_zeroes(struct tarn_channel *channel, struct tarn_io *io, uint64_t offset_bytes,
			    uint64_t length_bytes, uint32_t flags, tarn_io_cb cb, void *arg);

/* --- Limits. Control reactor. --- */

/* 0 is no limit, as in SPDK's bdev_set_qos_limit. */
struct tarn_bdev_qos {
	uint64_t rw_ios_per_s;
	uint64_t rw_bytes_per_s, read_bytes_per_s, write_bytes_per_s;
};
void tarn_bdev_set_qos(struct tarn_bdev *bdev, const struct tarn_bdev_qos *qos);
void tarn_bdev_get_qos(const struct tarn_bdev *bdev, struct tarn_bdev_qos *ret_qos);
