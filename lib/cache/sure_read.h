/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include "tarn/bdev.h"

/*
 * Reads on which a start depends: one that fails is tried again, since an error may pass. On the
 * channel's reactor; the caller's memory until done, zero or used before.
 */
#define SURE_READ_TRIES 3

struct sure_read {
	struct tarn_channel *channel;
	void *buf;
	uint64_t length_bytes, offset_bytes;
	uint32_t flags;
	/* Its own. */
	struct tarn_io io;
	uint32_t try_count;
	tarn_io_cb done;
	void *arg;
};

/** The fields above are set. done(arg, 0), or -errno of the last try. */
void sure_read(struct sure_read *read, tarn_io_cb done, void *arg);
