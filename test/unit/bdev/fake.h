/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include "tarn/bdev_driver.h"

/*
 * A driver without a medium, commanded by the test: it records what it is given, and completes it
 * when told, or after a time of the fake clock. Two reactors, turned by hand, on one thread.
 */
#define FAKE_BLOCK 512
#define FAKE_BLOCKS 65536
#define FAKE_SIZE ((uint64_t)FAKE_BLOCK * FAKE_BLOCKS)
#define FAKE_LOG_MAX 4096
#define FAKE_FAIL_MAX 8

/* What one I/O of the driver was. */
struct fake_record {
	uint32_t reactor;
	uint8_t op, flags;
	uint32_t iov_count;
	uint64_t offset_bytes, length_bytes;
};

/* Set by the test, before its device is created or at any time; fake_setup() makes the defaults. */
struct fake {
	struct tarn_bdev_limits limits;
	bool hold;	     /* I/O stays in the driver until fake_release() */
	uint64_t latency_ns; /* otherwise it completes at the first poll after this */
	/* I/O that touches one of these blocks fails with fail_status. */
	uint64_t fail_block[FAKE_FAIL_MAX];
	uint32_t fail_count;
	int fail_status;
	/* What came of it. */
	struct fake_record log[FAKE_LOG_MAX];
	uint32_t log_count;
	uint32_t inflight_count, inflight_max;
	uint32_t open_count, channel_count;
};
extern struct fake fake;

/** Fake clock, two reactors, defaults. */
void fake_setup(void);
void fake_teardown(void);
/** Create a device "fake0" (or of another name) of fake.limits, and open it for writing, or not. */
struct tarn_bdev *fake_create(const char *name, const struct tarn_bdev_common_opts *opts);
struct tarn_bdev_desc *fake_open(const char *name, bool write);
struct tarn_channel *fake_channel(struct tarn_bdev_desc *desc);
/** The same on the other reactor. */
struct tarn_channel *fake_channel_on(struct tarn_bdev_desc *desc, uint32_t reactor_index);
/** Put it on its reactor, on a later turn. */
void fake_channel_put(struct tarn_channel *channel, uint32_t reactor_index);
/** Run fn(arg) on that reactor, now. */
void fake_run_on(uint32_t reactor_index, void (*fn)(void *arg), void *arg);

/** Let so many of the held I/Os of all reactors go at the next poll, oldest first. */
void fake_release(uint32_t count);
/** Let go of the held I/O with the highest number first. */
void fake_turns(uint32_t count);
/** Turn both reactors and let the time go by in steps. */
void fake_time(uint64_t by_ns, uint64_t step_ns);

/* One I/O of the test and what came of it. */
struct fake_io {
	struct tarn_io io;
	uint32_t done_count;
	int status;
	uint32_t order;			       /* of completion, from 1 */
	void (*next)(struct fake_io *fake_io); /* called by the callback; may be NULL */
};
/** The callback of all: cb_arg is the struct fake_io. */
void fake_done(void *arg, int status);
void fake_read(struct tarn_channel *channel, struct fake_io *io, uint64_t block, uint32_t count);
void fake_write(struct tarn_channel *channel, struct fake_io *io, uint64_t block, uint32_t count,
		uint32_t flags);
