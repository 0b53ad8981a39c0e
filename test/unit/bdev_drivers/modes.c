/* SPDX-License-Identifier: BSD-3-Clause */
/* Contract C4: the same lists of tests for every driver, in each of its modes, on each medium. */
#include <stdlib.h>

#include "test/unit/bdev_drivers/cases.h"

#define CASE(suite, function)                                                                      \
	{                                                                                          \
		.name = #function "/" #suite, .fn = (function)                                     \
	}

#define MODE(suite, list, ...) MODE_WHERE(1, suite, list, __VA_ARGS__)
#define MODE_WHERE(condition, suite, list, ...)                                                    \
	static const struct dut_mode suite##_mode = { __VA_ARGS__ };                               \
	static void suite##_setup(void)                                                            \
	{                                                                                          \
		dut_start(&suite##_mode);                                                          \
	}                                                                                          \
	UT_SUITE_WHERE(condition, suite, suite##_setup, dut_stop, list(CASE, suite))

#define ON_FILE(C, s)                                                                              \
	EVERY_DRIVER(C, s), FILE_DRIVER(C, s), PAGE_CACHE(C, s), BACKING_FILE(C, s),               \
	    REGULAR_FILE(C, s)
#define ON_LOOP(C, s)                                                                              \
	EVERY_DRIVER(C, s), FILE_DRIVER(C, s), PAGE_CACHE(C, s), BACKING_FILE(C, s),               \
	    BLOCK_DEVICE(C, s)
#define ON_DEVICE(C, s) EVERY_DRIVER(C, s), FILE_DRIVER(C, s), PAGE_CACHE(C, s), BLOCK_DEVICE(C, s)
#define ON_POLLED(C, s) EVERY_DRIVER(C, s), FILE_DRIVER(C, s), BLOCK_DEVICE(C, s)

MODE(uring_file, ON_FILE, .driver = "uring", .medium = DUT_FILE);
MODE(uring_loop, ON_LOOP, .driver = "uring", .medium = DUT_LOOP);
MODE(uring_bare_file, ON_FILE, .driver = "uring", .medium = DUT_FILE,
     .opts = { .no_fixed_buffers = true, .no_fixed_files = true, .no_ring_flags = true });
MODE(uring_sqpoll_file, ON_FILE, .driver = "uring", .medium = DUT_FILE,
     .opts = { .sqpoll = TARN_ON, .sqpoll_cpu = -1, .sqpoll_idle_ms = 10 });
MODE(uring_auto_loop, ON_LOOP, .driver = "uring", .medium = DUT_LOOP,
     .opts = { .sqpoll = TARN_AUTO, .sqpoll_cpu = -1, .iopoll = TARN_AUTO });
MODE(aio_file, ON_FILE, .driver = "aio", .medium = DUT_FILE);
MODE(aio_loop, ON_LOOP, .driver = "aio", .medium = DUT_LOOP);
MODE(aio_nowait_file, ON_FILE, .driver = "aio", .medium = DUT_FILE, .opts = { .nowait = true });
MODE(sync_file, ON_FILE, .driver = "sync", .medium = DUT_FILE);
MODE(sync_loop, ON_LOOP, .driver = "sync", .medium = DUT_LOOP);
MODE(sync_workers_file, ON_FILE, .driver = "sync", .medium = DUT_FILE,
     .opts = { .worker_count = 3 });
MODE(sync_workers_loop, ON_LOOP, .driver = "sync", .medium = DUT_LOOP,
     .opts = { .worker_count = 3 });
MODE(ram, EVERY_DRIVER, .driver = "ram", .medium = DUT_RAM);

/* On a device that somebody names, as test/lab does; not in the list of tests otherwise. */
#define DEVICE_MODE(suite, list, ...)                                                              \
	MODE_WHERE(getenv(DUT_DEVICE_ENV) != NULL, suite, list, .medium = DUT_DEVICE, __VA_ARGS__)

DEVICE_MODE(uring_device, ON_DEVICE, .driver = "uring");
DEVICE_MODE(uring_auto_device, ON_DEVICE, .driver = "uring",
	    .opts = { .sqpoll = TARN_AUTO, .sqpoll_cpu = -1, .iopoll = TARN_AUTO });
DEVICE_MODE(uring_iopoll_device, ON_POLLED, .driver = "uring", .opts = { .iopoll = TARN_ON });
DEVICE_MODE(uring_sqpoll_device, ON_DEVICE, .driver = "uring",
	    .opts = { .sqpoll = TARN_ON, .sqpoll_cpu = -1, .sqpoll_idle_ms = 10 });
DEVICE_MODE(uring_sqpoll_iopoll_device, ON_POLLED, .driver = "uring",
	    .opts = {
		.sqpoll = TARN_ON, .sqpoll_cpu = -1, .sqpoll_idle_ms = 10, .iopoll = TARN_ON });
DEVICE_MODE(aio_device, ON_DEVICE, .driver = "aio");
DEVICE_MODE(aio_nowait_device, ON_DEVICE, .driver = "aio", .opts = { .nowait = true });
DEVICE_MODE(sync_device, ON_DEVICE, .driver = "sync");
DEVICE_MODE(sync_workers_device, ON_DEVICE, .driver = "sync", .opts = { .worker_count = 3 });

/* By passthrough where the device is an NVMe namespace, which either of its nodes may name. */
#define NVME_MODE(suite, list, ...)                                                                \
	MODE_WHERE(is_nvme_device(), suite, list, .driver = "uring_cmd", .medium = DUT_DEVICE,     \
		   __VA_ARGS__)

NVME_MODE(uring_cmd_device, ON_POLLED, );
NVME_MODE(uring_cmd_bare_device, ON_POLLED,
	  .opts = { .no_fixed_buffers = true, .no_fixed_files = true, .no_ring_flags = true });
NVME_MODE(uring_cmd_auto_device, ON_POLLED,
	  .opts = { .sqpoll = TARN_AUTO, .sqpoll_cpu = -1, .iopoll = TARN_AUTO });
NVME_MODE(uring_cmd_iopoll_device, ON_POLLED, .opts = { .iopoll = TARN_ON });
NVME_MODE(uring_cmd_sqpoll_device, ON_POLLED,
	  .opts = { .sqpoll = TARN_ON, .sqpoll_cpu = -1, .sqpoll_idle_ms = 10 });
NVME_MODE(uring_cmd_sqpoll_iopoll_device, ON_POLLED,
	  .opts = { .sqpoll = TARN_ON, .sqpoll_cpu = -1, .sqpoll_idle_ms = 10, .iopoll = TARN_ON });
