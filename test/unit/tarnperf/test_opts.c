/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include "app/tarnperf/opts.h"
#include "app/tarnperf/opts_value.h"
#include "test/unit/common/ut.h"

static struct perf_opts opts;
static struct tarn_reason reason;

static int
parse(const char *const *words)
{
	char *argv[16] = { (char *)"tarnperf" };
	int argc = 1;

	for (; *words != NULL; words++)
		argv[argc++] = (char *)*words;
	reason.text[0] = '\0';
	perf_opts_init(&opts);
	return perf_opts_parse(&opts, argc, argv, &reason);
}
#define PARSE(...) parse((const char *const[]){ __VA_ARGS__, NULL })

static void
test_values_take_units_and_nothing_after_them(void)
{
	uint64_t value;

	CU_ASSERT_EQUAL(perf_value_size("4k", &value), 0);
	CU_ASSERT_EQUAL(value, 4096);
	CU_ASSERT_EQUAL(perf_value_size("1.5GiB", &value), 0);
	CU_ASSERT_EQUAL(value, UINT64_C(1610612736));
	CU_ASSERT_EQUAL(perf_value_duration("500ms", &value), 0);
	CU_ASSERT_EQUAL(value, 500000000);
	CU_ASSERT_EQUAL(perf_value_duration("2", &value), 0);
	CU_ASSERT_EQUAL(value, 2000000000);
	CU_ASSERT_EQUAL(perf_value_count("250k", &value), 0);
	CU_ASSERT_EQUAL(value, 250000);
	CU_ASSERT_EQUAL(perf_value_size("4kb", &value), -EINVAL);
	CU_ASSERT_EQUAL(perf_value_size("-1", &value), -EINVAL);
	CU_ASSERT_EQUAL(perf_value_size("", &value), -EINVAL);
	CU_ASSERT_EQUAL(perf_value_size("0x10", &value), -EINVAL);
	CU_ASSERT_EQUAL(perf_value_size("1 k", &value), -EINVAL);
	CU_ASSERT_EQUAL(perf_value_size("99999999t", &value), -ERANGE);
}

static void
test_options_arrive_in_their_fields(void)
{
	CU_ASSERT_EQUAL(PARSE("-w", "randrw", "--read-percent", "70", "-b8k", "--depth=7", "-j3",
			      "-m0x3", "--sqpoll", "--iopoll=auto", "--random", "zipf:1.2",
			      "--json", "f1", "f2"),
			0);
	CU_ASSERT_TRUE(opts.random);
	CU_ASSERT_EQUAL(opts.read_percent, 70);
	CU_ASSERT_EQUAL(opts.block_bytes, 8192);
	CU_ASSERT_EQUAL(opts.depth, 7);
	CU_ASSERT_EQUAL(opts.job_count, 3);
	CU_ASSERT_EQUAL(CPU_COUNT(&opts.reactors.cpus), 2);
	CU_ASSERT_EQUAL(opts.file.sqpoll, TARN_ON);
	CU_ASSERT_EQUAL(opts.file.iopoll, TARN_AUTO);
	CU_ASSERT_EQUAL(opts.zipf_theta, 1.2);
	CU_ASSERT_STRING_EQUAL(opts.json, "-");
	CU_ASSERT_EQUAL(opts.path_count, 2);
}

static void
test_nothing_that_ends_the_run_means_ten_seconds(void)
{
	CU_ASSERT_EQUAL(PARSE("f"), 0);
	CU_ASSERT_EQUAL(opts.duration_ns, UINT64_C(10000000000));
	CU_ASSERT_EQUAL(PARSE("--ios", "5", "f"), 0);
	CU_ASSERT_EQUAL(opts.duration_ns, 0);
}

static void
check_refused(int rc, const char *named)
{
	CU_ASSERT_EQUAL(rc, -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(reason.text, named));
}

static void
test_what_is_wrong_is_refused_by_name(void)
{
	check_refused(PARSE("--depth", "0", "f"), "--depth");
	check_refused(PARSE("--depth", "x", "f"), "--depth");
	check_refused(PARSE("--block-size", "1000", "f"), "--block-size");
	check_refused(PARSE("--rw", "sideways", "f"), "--rw");
	check_refused(PARSE("--nonsense", "f"), "--nonsense");
	check_refused(PARSE("f", "--time"), "--time");
	check_refused(PARSE("--fua", "f"), "--fua");
	check_refused(PARSE("--verify", "f"), "--verify");
	check_refused(PARSE("-w", "read", "--random", "zipf:1", "f"), "--random");
	check_refused(PARSE("--random", "zipf:-1", "f"), "--random");
	check_refused(PARSE("-c", "config", "f"), "f");
	check_refused(PARSE("--bdev", "b", "f"), "--bdev");
	check_refused(PARSE("--quiet"), "no path");
	check_refused(PARSE("--driver", "null", "f"), "null");
}

UT_SUITE(tarnperf_opts, NULL, NULL, UT_CASE(test_values_take_units_and_nothing_after_them),
	 UT_CASE(test_options_arrive_in_their_fields),
	 UT_CASE(test_nothing_that_ends_the_run_means_ten_seconds),
	 UT_CASE(test_what_is_wrong_is_refused_by_name));
