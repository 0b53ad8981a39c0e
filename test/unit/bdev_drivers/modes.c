/* SPDX-License-Identifier: BSD-3-Clause */
/* Contract C4: the same lists of tests for every driver, in each of its modes, on each medium. */
#include "test/unit/bdev_drivers/cases.h"

#define CASE(suite, function)                                                                      \
	{                                                                                          \
		.name = #function "/" #suite, .fn = (function)                                     \
	}

#define MODE(suite, list, ...)                                                                     \
	static const struct dut_mode suite##_mode = { __VA_ARGS__ };                               \
	static void suite##_setup(void)                                                            \
	{                                                                                          \
		dut_start(&suite##_mode);                                                          \
	}                                                                                          \
	UT_SUITE(suite, suite##_setup, dut_stop, list(CASE, suite))

#define ON_FILE(C, s) EVERY_DRIVER(C, s), FILE_DRIVER(C, s), REGULAR_FILE(C, s)
#define ON_LOOP(C, s) EVERY_DRIVER(C, s), FILE_DRIVER(C, s), BLOCK_DEVICE(C, s)

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
