/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What only uring has: fixed buffers, modes that are refused, and an io_uring that is forbidden.
 */
#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tarn/env.h"
#include "tarn/util.h"
#include "test/unit/bdev_drivers/dut.h"

#define BLOCK 4096u
#define LOCKED_BYTES_MIN (64u << 10)
#define LOCKED_BYTES_MAX (64u << 20)

static const struct dut_mode uring_mode = { .driver = "uring", .medium = DUT_FILE };

static void
start(void)
{
	dut_start(&uring_mode);
}

/* --- What it says of itself --- */

static void
expect_line(const char *line)
{
	const char *said = dut_describe();

	if (strstr(said, line) == NULL)
		(void)fprintf(stderr, "no \"%s\" in:\n%s", line, said);
	CU_ASSERT_PTR_NOT_NULL(strstr(said, line));
}

static void
read_one(void)
{
	void *buf = tarn_iobuf_get(BLOCK);

	CU_ASSERT_EQUAL(dut_io(TARN_IO_READ, buf, BLOCK, 0, 0), 0);
	tarn_iobuf_put(buf);
}

static void
test_effective_mode_and_counters_are_described(void)
{
	dut_need();
	dut_open();
	read_one();
	read_one();
	expect_line("mode=interrupt\n");
	expect_line("rings=1\n");
	expect_line("submitted_ios=2\n");
	expect_line("completions=2\n");
	expect_line("fixed_buffer_chunks=1\n");
	expect_line("submit_all=on\n");
}

static void
test_a_plain_ring_says_why_its_flags_are_off(void)
{
	struct tarn_bdev_file_opts opts;

	dut_need();
	opts = dut_opts();
	opts.no_ring_flags = true;
	opts.no_fixed_buffers = true;
	dut_open_opts(&opts, true);
	read_one();
	expect_line("defer_taskrun=no_ring_flags");
	expect_line("fixed_buffers=false\n");
	expect_line("fixed_buffer_chunks=0\n");
}

static void
refused(const struct tarn_bdev_file_opts *opts, const char *says)
{
	struct tarn_reason reason = { "" };

	CU_ASSERT(dut_create(opts, &reason) < 0);
	if (strstr(reason.text, says) == NULL)
		(void)fprintf(stderr, "no \"%s\" in: %s\n", says, reason.text);
	CU_ASSERT_PTR_NOT_NULL(strstr(reason.text, says));
}

static void
test_iopoll_on_is_refused_without_poll_queues_and_auto_says_why(void)
{
	struct tarn_bdev_file_opts opts;

	dut_need();
	opts = dut_opts();
	opts.iopoll = TARN_ON;
	opts.buffered = true;
	refused(&opts, "O_DIRECT");
	opts.iopoll = TARN_AUTO;
	dut_open_opts(&opts, true);
	read_one();
	expect_line("mode=interrupt\n");
	expect_line("iopoll_reason=iopoll needs O_DIRECT");
}

static void
test_sqpoll_on_a_cpu_that_is_not_there_is_refused(void)
{
	struct tarn_bdev_file_opts opts;

	dut_need();
	opts = dut_opts();
	opts.sqpoll = TARN_ON;
	opts.sqpoll_cpu = 100000;
	refused(&opts, "sqpoll_cpu 100000");
}

static void
test_options_of_other_drivers_are_refused_by_name(void)
{
	struct tarn_bdev_file_opts opts;

	dut_need();
	opts = dut_opts();
	opts.worker_count = 2;
	refused(&opts, "workers: an option of driver sync");
	opts.worker_count = 0;
	opts.nowait = true;
	refused(&opts, "nowait: an option of driver aio");
}

static void
test_bdevs_of_one_mode_share_a_ring_and_modes_do_not(void)
{
	dut_need();
	dut_open();
	read_one();
	expect_line("rings=1\n");
	dut_close();
	dut_open();
	/* The first ring ended with the last channel of its reactor. */
	expect_line("rings=1\n");
	read_one();
	expect_line("submitted_ios=1\n");
}

/* --- A process with less rights --- */

static bool
drop_ipc_lock(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data) != 0)
		return false;
	data[0].effective &= ~(1u << CAP_IPC_LOCK);
	return syscall(SYS_capset, &header, data) == 0;
}

/*
 * What a user has locked counts as one, over all processes: rings too, on recent kernels, and those
 * that have just ended still for a while. So the limit begins small and is raised until there is
 * room for a ring; it is then exceeded by I/O in more chunks of memory than it has room for.
 */
static bool
open_with_little_locked_memory(struct rlimit *limit)
{
	struct tarn_bdev_file_opts opts = dut_opts();
	rlim_t most;
	int status;

	if (!drop_ipc_lock() || getrlimit(RLIMIT_MEMLOCK, limit) != 0)
		return false;
	most = limit->rlim_max < LOCKED_BYTES_MAX ? limit->rlim_max : LOCKED_BYTES_MAX;
	for (limit->rlim_cur = LOCKED_BYTES_MIN; limit->rlim_cur <= most; limit->rlim_cur *= 2) {
		if (setrlimit(RLIMIT_MEMLOCK, limit) != 0)
			return false;
		status = dut_try_open(&opts);
		if (status != -ENOMEM)
			return status == 0;
	}
	return false; /* others of this user hold all that it may lock */
}

static bool
io_in_chunk(void *buf)
{
	dut_fill(buf, BLOCK, 1);
	if (dut_io(TARN_IO_WRITE, buf, BLOCK, 0, 0) != 0)
		return false;
	memset(buf, 0, BLOCK);
	return dut_io(TARN_IO_READ, buf, BLOCK, 0, 0) == 0 && dut_filled(buf, BLOCK, 1);
}

static enum dut_child
child_without_locked_memory(void)
{
	struct rlimit limit;
	rlim_t locked;
	void *buf;

	if (!open_with_little_locked_memory(&limit))
		return DUT_CHILD_CANNOT;
	for (locked = 0; locked <= limit.rlim_cur; locked += TARN_IOMEM_CHUNK_BYTES) {
		buf = tarn_iobuf_get(TARN_IOMEM_CHUNK_BYTES); /* the child's end frees it */
		if (buf == NULL || !io_in_chunk(buf))
			return DUT_CHILD_BAD;
	}
	if (strstr(dut_describe(), "refused_buffer_chunks=0\n") != NULL ||
	    strstr(dut_describe(), "fixed_buffers_reason=RLIMIT_MEMLOCK") == NULL)
		return DUT_CHILD_BAD;
	return DUT_CHILD_GOOD;
}

static void
test_too_little_locked_memory_costs_fixed_buffers_not_io(void)
{
	dut_expect_child(&uring_mode, child_without_locked_memory);
}

static enum dut_child
refused_with(int error)
{
	struct tarn_bdev_file_opts opts = dut_opts();
	struct tarn_reason reason = { "" };

	if (dut_forbid(SYS_io_uring_setup, error) != DUT_CHILD_GOOD)
		return DUT_CHILD_CANNOT;
	if (dut_create(&opts, &reason) != -error)
		return DUT_CHILD_BAD;
	return strstr(reason.text, "seccomp") != NULL &&
		       strstr(reason.text, "kernel.io_uring_disabled") != NULL
		   ? DUT_CHILD_GOOD
		   : DUT_CHILD_BAD;
}

static enum dut_child
child_with_eperm(void)
{
	return refused_with(EPERM);
}

static enum dut_child
child_with_enosys(void)
{
	return refused_with(ENOSYS);
}

static enum dut_child
child_with_setup_alone(void)
{
	struct tarn_bdev_file_opts opts = dut_opts();
	struct tarn_reason reason = { "" };

	if (dut_forbid(SYS_io_uring_enter, EPERM) != DUT_CHILD_GOOD)
		return DUT_CHILD_CANNOT;
	return dut_create(&opts, &reason) == -EPERM && strstr(reason.text, "seccomp") != NULL
		   ? DUT_CHILD_GOOD
		   : DUT_CHILD_BAD;
}

static void
test_a_ring_that_may_be_made_and_not_entered_is_refused(void)
{
	dut_expect_child(&uring_mode, child_with_setup_alone);
}

static void
test_a_forbidden_io_uring_is_refused_and_says_what_forbids_it(void)
{
	dut_expect_child(&uring_mode, child_with_eperm);
	dut_expect_child(&uring_mode, child_with_enosys);
}

UT_SUITE(uring, start, dut_stop, UT_CASE(test_effective_mode_and_counters_are_described),
	 UT_CASE(test_a_plain_ring_says_why_its_flags_are_off),
	 UT_CASE(test_iopoll_on_is_refused_without_poll_queues_and_auto_says_why),
	 UT_CASE(test_sqpoll_on_a_cpu_that_is_not_there_is_refused),
	 UT_CASE(test_options_of_other_drivers_are_refused_by_name),
	 UT_CASE(test_bdevs_of_one_mode_share_a_ring_and_modes_do_not));

UT_SUITE(uring_child, NULL, NULL, UT_CASE(test_too_little_locked_memory_costs_fixed_buffers_not_io),
	 UT_CASE(test_a_ring_that_may_be_made_and_not_entered_is_refused),
	 UT_CASE(test_a_forbidden_io_uring_is_refused_and_says_what_forbids_it));
