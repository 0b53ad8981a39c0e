/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include "tarn/bdev.h"

/*
 * Which driver is fastest on a file or device: each one reads it at random for a moment. Never
 * writes; the device may be in use. Control reactor, which stays responsive meanwhile.
 */
struct tarn_bdev_probe_opts {
	const char *filename; /* required; of an NVMe namespace either node, or a link to one */
	uint32_t block_size;  /* bytes of one read, a multiple of the device's; 0: 4096 */
	uint32_t queue_depth; /* of the second measurement, 1 to TARN_PROBE_DEPTH_MAX; 0: 32 */
	uint32_t duration_ms; /* of each measurement, up to 10000; 0: 200 */
	bool buffered;	      /* without O_DIRECT */
};
#define TARN_PROBE_DEPTH_MAX 256
#define TARN_PROBE_DURATION_MS_MAX 10000

struct tarn_bdev_probe_figures {
	uint64_t ios_per_s;
	uint64_t mean_latency_ns;
	uint64_t cpu_ns_per_io; /* of the whole process, the kernel's threads for it included */
};

struct tarn_bdev_probe_result {
	const char *driver; /* as for tarn_bdev_create() */
	const char *mode;   /* "" or what is set besides: "sqpoll", "iopoll", "workers 4" */
	int status;	    /* 0, or -errno: it does not work here, see reason */
	struct tarn_reason reason;
	struct tarn_bdev_probe_figures single; /* at depth 1 */
	struct tarn_bdev_probe_figures deep;   /* at queue_depth */
};

#define TARN_PROBE_RESULT_MAX 8
struct tarn_bdev_probe_report {
	uint32_t queue_depth, block_size, duration_ms; /* as they were used */
	uint32_t count;
	struct tarn_bdev_probe_result result[TARN_PROBE_RESULT_MAX];
	int fastest;	    /* index of the most reads per second at queue_depth; -1: none works */
	int fastest_single; /* the same at depth 1 */
};

/** report is the callback's until it returns. status 0: it was measured, even if no driver works.
 */
typedef void (*tarn_bdev_probe_cb)(void *arg, int status,
				   const struct tarn_bdev_probe_report *report);

/**
 * Measure. opts is copied.
 * \return 0, cb will be called, or with the reason, and without a call: -EINVAL (an option out of
 * range), -EBUSY (another probe runs), -ENOMEM.
 */
int tarn_bdev_probe(const struct tarn_bdev_probe_opts *opts, tarn_bdev_probe_cb cb, void *arg,
		    struct tarn_reason *ret_reason);
/**
 * End the probe that runs, if one does, as soon as its reads in flight have completed and its
 * device is removed: its callback then gets -ECANCELED. Control reactor.
 */
void tarn_bdev_probe_cancel(void);
