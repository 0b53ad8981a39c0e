/* SPDX-License-Identifier: BSD-3-Clause */
/* Choosing a driver: fallback where one is forbidden, and measuring which is fastest. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tarn/bdev_probe.h"
#include "tarn/env.h"
#include "test/unit/bdev_drivers/dut.h"

static const struct dut_mode mode = { .driver = "uring", .medium = DUT_FILE };

static void
start(void)
{
	dut_start(&mode);
}

/* --- Fallback --- */

static struct tarn_bdev_file_opts
fallback_opts(void)
{
	struct tarn_bdev_file_opts opts = dut_opts();

	opts.fallback = true;
	opts.no_fixed_files = true; /* uring's */
	opts.worker_count = 2;	    /* sync's */
	return opts;
}

static void
test_fallback_keeps_the_driver_that_works(void)
{
	struct tarn_bdev_file_opts opts;
	struct tarn_reason reason = { "" };

	dut_need();
	opts = fallback_opts();
	CU_ASSERT_EQUAL_FATAL(dut_create_file(&opts, &reason), 0);
	CU_ASSERT_STRING_EQUAL(tarn_bdev_driver_name(dut_bdev()), "uring");
	CU_ASSERT_PTR_NULL(strstr(dut_describe(), "requested_driver"));
}

static void
test_fallback_reports_the_first_reason_where_all_fail(void)
{
	struct tarn_bdev_file_opts opts;
	struct tarn_reason reason = { "" };

	dut_need();
	opts = fallback_opts();
	opts.filename = "/nonexistent/tarn";
	CU_ASSERT_EQUAL(dut_create_file(&opts, &reason), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(reason.text, "/nonexistent/tarn"));
}

static void
test_options_of_later_drivers_are_taken_with_fallback_only(void)
{
	struct tarn_bdev_file_opts opts = { .filename = "x",
					    .fallback = true,
					    .no_ring_flags = true };
	struct tarn_reason reason = { "" };

	dut_need();
	CU_ASSERT_EQUAL(dut_create_file(&opts, &reason), -ENOENT); /* from uring on it is fine */
	opts.sqpoll = TARN_ON;
	opts.fallback = false;
	opts.worker_count = 1;
	CU_ASSERT_EQUAL(dut_create_file(&opts, &reason), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(reason.text, "workers"));
}

static enum dut_child
expect_driver(const char *driver)
{
	struct tarn_bdev_file_opts opts = fallback_opts();
	struct tarn_reason reason = { "" };
	const char *said;

	if (dut_create_file(&opts, &reason) != 0)
		return DUT_CHILD_BAD;
	said = dut_describe();
	if (strcmp(tarn_bdev_driver_name(dut_bdev()), driver) != 0 ||
	    strstr(said, "requested_driver=uring\n") == NULL ||
	    strstr(said, "fallback_reason=uring: driver uring: ") == NULL ||
	    strstr(said, "kernel.io_uring_disabled") == NULL)
		return DUT_CHILD_BAD;
	return DUT_CHILD_GOOD;
}

static enum dut_child
child_without_io_uring(void)
{
	if (dut_forbid(SYS_io_uring_setup, EPERM) != DUT_CHILD_GOOD)
		return DUT_CHILD_CANNOT;
	return expect_driver("aio");
}

static enum dut_child
child_without_io_uring_and_aio(void)
{
	if (dut_forbid(SYS_io_uring_setup, EPERM) != DUT_CHILD_GOOD ||
	    dut_forbid(SYS_io_setup, ENOSYS) != DUT_CHILD_GOOD)
		return DUT_CHILD_CANNOT;
	return expect_driver("sync");
}

static void
test_fallback_takes_the_next_driver_and_says_why(void)
{
	dut_expect_child(&mode, child_without_io_uring);
	dut_expect_child(&mode, child_without_io_uring_and_aio);
}

/* --- Probe --- */

struct probe_call {
	struct tarn_bdev_probe_opts opts;
	struct tarn_reason reason;
	struct tarn_bdev_probe_report report;
	int status, second_status;
	volatile bool done;
};

static void
probe_done(void *arg, int status, const struct tarn_bdev_probe_report *report)
{
	struct probe_call *call = arg;

	CU_ASSERT_EQUAL(status, 0);
	call->report = *report;
	call->done = true;
}

static void
probe_start(void *arg)
{
	struct probe_call *call = arg;

	call->status = tarn_bdev_probe(&call->opts, probe_done, call, &call->reason);
	if (call->status == 0)
		call->second_status = tarn_bdev_probe(&call->opts, probe_done, call, &call->reason);
}

static void
test_probe_measures_what_works_and_says_why_the_rest_does_not(void)
{
	static struct probe_call call;
	const struct tarn_bdev_probe_report *report = &call.report;

	dut_need();
	call = (struct probe_call){ .opts = { .filename = dut_device, .duration_ms = 20 } };
	dut_open(); /* in use: a probe reads it all the same */
	dut_run(probe_start, &call);
	CU_ASSERT_EQUAL_FATAL(call.status, 0);
	CU_ASSERT_EQUAL(call.second_status, -EBUSY);
	dut_turn_until(&call.done);
	CU_ASSERT(report->count >= 5);
	for (uint32_t i = 0; i < report->count; i++) {
		const struct tarn_bdev_probe_result *result = &report->result[i];

		CU_ASSERT((result->status == 0) == (result->reason.text[0] == '\0'));
		CU_ASSERT((result->status == 0) == (result->deep.ios_per_s > 0));
		CU_ASSERT((result->status == 0) == (result->single.mean_latency_ns > 0));
	}
	CU_ASSERT(report->fastest >= 0 && report->fastest_single >= 0);
	CU_ASSERT_EQUAL(report->result[0].status, 0); /* uring */
	CU_ASSERT_PTR_NULL(tarn_bdev_find("tarn_probe"));
}

static void
test_probe_of_nothing_says_so_for_each_driver(void)
{
	static struct probe_call call;

	dut_need();
	call = (struct probe_call){ .opts = { .filename = "/nonexistent/tarn" } };
	dut_run(probe_start, &call);
	CU_ASSERT_EQUAL_FATAL(call.status, 0);
	dut_turn_until(&call.done);
	CU_ASSERT_EQUAL(call.report.fastest, -1);
	for (uint32_t i = 0; i < call.report.count; i++)
		CU_ASSERT_EQUAL(call.report.result[i].status, -ENOENT);
}

static void
test_probe_refuses_options_out_of_range_by_name(void)
{
	static struct probe_call call;

	dut_need();
	call = (struct probe_call){ .opts = { .filename = dut_device, .queue_depth = 1000 } };
	dut_run(probe_start, &call);
	CU_ASSERT_EQUAL(call.status, -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(call.reason.text, "queue_depth"));
	call.opts.queue_depth = 0;
	call.opts.block_size = 1000;
	dut_run(probe_start, &call);
	CU_ASSERT_EQUAL(call.status, -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(call.reason.text, "block_size"));
}

UT_SUITE(choice, start, dut_stop, UT_CASE(test_fallback_keeps_the_driver_that_works),
	 UT_CASE(test_fallback_reports_the_first_reason_where_all_fail),
	 UT_CASE(test_options_of_later_drivers_are_taken_with_fallback_only),
	 UT_CASE(test_probe_measures_what_works_and_says_why_the_rest_does_not),
	 UT_CASE(test_probe_of_nothing_says_so_for_each_driver),
	 UT_CASE(test_probe_refuses_options_out_of_range_by_name));
UT_SUITE(choice_child, NULL, NULL, UT_CASE(test_fallback_takes_the_next_driver_and_says_why));
