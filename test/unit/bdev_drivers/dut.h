/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <stdbool.h>

#include "tarn/bdev.h"
#include "tarn/bdev_opts.h"
#include "test/unit/common/ut.h"

/*
 * The device under test: one driver in one mode on one medium, driven by hand on the test's thread,
 * with calls that return when the I/O has completed.
 */
enum dut_medium {
	DUT_FILE,
	DUT_LOOP,
	DUT_RAM,
	DUT_DEVICE, /* the block device that DUT_DEVICE_ENV names; what is on it is lost */
};
#define DUT_DEVICE_ENV "TARN_TEST_DEVICE"

struct dut_mode {
	const char *driver;
	enum dut_medium medium;
	struct tarn_bdev_file_opts opts; /* filename is filled in */
};

#define DUT_BYTES (40u << 20)

extern const char *dut_path;   /* the file, or the file behind the loop device; "": none */
extern const char *dut_device; /* what the bdev is made of: the file or the device */

/** Reactors and memory, and the medium. For setup and teardown of a suite. */
void dut_start(const struct dut_mode *mode);
void dut_stop(void);
/** End the test as skipped where the medium, or the driver, cannot be had here. First in each test.
 */
void dut_need(void);

/** The mode's options with the file name of the medium. */
struct tarn_bdev_file_opts dut_opts(void);
/** Create the bdev "dut" as the mode says and open it for writing. Asserts success. */
struct tarn_channel *dut_open(void);
/** The same with other options. */
struct tarn_channel *dut_open_opts(const struct tarn_bdev_file_opts *opts, bool write);
/** The same, where it may fail; then nothing is left behind. \return 0 or -errno. */
int dut_try_open(const struct tarn_bdev_file_opts *opts);
/** Put the channel, close, delete. */
void dut_close(void);
/** Only create, by the mode's driver. Deletes it again on success. \return what tarn_bdev_create()
 * did. */
int dut_create(const struct tarn_bdev_file_opts *opts, struct tarn_reason *reason);
/** The same by tarn_bdev_create_file(); stays for dut_bdev() until dut_close(). */
int dut_create_file(const struct tarn_bdev_file_opts *opts, struct tarn_reason *reason);
struct tarn_bdev *dut_bdev(void);
/** Act on the driver, on the control reactor. */
int dut_control(uint32_t command, const void *arg, struct tarn_reason *reason);
/** All that the driver says of itself, as "name=value" lines. */
const char *dut_describe(void);
/** What the test was told of: TARN_BDEV_EVENT_RESIZE events so far. */
unsigned int dut_resize_count(void);

/*
 * What changes the process for good (limits, capabilities, seccomp) happens in a child that starts
 * everything afresh, since I/O memory is not inherited.
 */
enum dut_child { DUT_CHILD_GOOD, DUT_CHILD_BAD, DUT_CHILD_CANNOT };
/** Run fn there, with the mode, and assert that it returns DUT_CHILD_GOOD. For suites without a
 * setup. */
void dut_expect_child(const struct dut_mode *mode, enum dut_child (*fn)(void));
/** Make a system call fail for the rest of the process. \return DUT_CHILD_GOOD or _CANNOT. */
enum dut_child dut_forbid(int system_call, int error);

/** Run fn(arg) on the reactor, with a turn around it. */
void dut_run(void (*fn)(void *arg), void *arg);
/** Turn the reactor until *done is true. */
void dut_turn_until(const volatile bool *done);

/** One I/O from start to end. \return its status. */
int dut_io(enum tarn_io_op op, void *buf, uint64_t length_bytes, uint64_t offset_bytes,
	   uint32_t flags);
int dut_iov(enum tarn_io_op op, const struct iovec *iov, uint32_t iov_count, uint64_t offset_bytes);

/** Bytes that are the same for the same seed, and differ from block to block. */
void dut_fill(void *buf, uint64_t length_bytes, uint32_t seed);
bool dut_filled(const void *buf, uint64_t length_bytes, uint32_t seed);
