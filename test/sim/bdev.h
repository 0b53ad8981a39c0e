/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include "device.h"
#include "tarn/bdev_opts.h"

/*
 * Driver "sim": a struct device as a bdev like any other. Each I/O completes after a time by chance
 * on the fake clock, in an order by chance; a write reaches the medium when it completes. One
 * reactor, one device at a time.
 */
struct tarn_io;

struct sim_bdev_opts {
	struct tarn_bdev_common_opts common;
	struct device *device;
	uint32_t latency_min_us,
	    latency_max_us;    /* of most; one in a hundred takes ten times as long */
	uint32_t flush_us_max; /* of a flush; 0: as others */
	uint32_t read_us_max;  /* of three reads in a hundred; 0: as others */
	/** Called before each I/O is taken and before each completes; may not return. */
	void (*event)(const struct tarn_io *io, bool completes);
};

/** When the next I/O completes, on the fake clock; UINT64_MAX: none is on its way. */
uint64_t sim_bdev_due_ns(void);
/** The process dies now: what is on its way reaches the medium in part, or not. */
void sim_bdev_tear(void);
/** I/Os on their way. */
uint32_t sim_bdev_inflight_count(void);
