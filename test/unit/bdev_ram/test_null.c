/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include "test/unit/bdev_ram/mem.h"

#define MIB ((uint64_t)1 << 20)
#define IO_COUNT 1000

static struct tarn_io ios[IO_COUNT];
static uint32_t done_count, again_count;
static uint8_t block[4096];

static void
open_null(void)
{
	struct tarn_bdev_null_opts opts = { .size_bytes = 16 * MIB };
	struct tarn_reason reason = { "" };

	CU_ASSERT_EQUAL_FATAL(mem_open("null", &opts, &reason), 0);
	memset(ios, 0, sizeof(ios));
	done_count = 0;
}

static void
test_every_operation_succeeds(void)
{
	open_null();
	CU_ASSERT_EQUAL(mem_io(TARN_IO_READ, block, sizeof(block), 0), 0);
	CU_ASSERT_EQUAL(mem_io(TARN_IO_WRITE, block, sizeof(block), 16 * MIB - 4096), 0);
	CU_ASSERT_EQUAL(mem_io(TARN_IO_FLUSH, NULL, 0, 0), 0);
	CU_ASSERT_EQUAL(mem_io(TARN_IO_DISCARD, NULL, 16 * MIB, 0), 0);
	CU_ASSERT_EQUAL(mem_io(TARN_IO_WRITE_ZEROES, NULL, MIB, MIB), 0);
}

static void
test_a_read_leaves_the_buffer_alone(void)
{
	open_null();
	memset(block, 0x5c, sizeof(block));
	CU_ASSERT_EQUAL(mem_io(TARN_IO_READ, block, sizeof(block), 4096), 0);
	for (size_t i = 0; i < sizeof(block); i++)
		CU_ASSERT_EQUAL(block[i], 0x5c);
}

static void
test_io_beyond_the_end_is_refused(void)
{
	open_null();
	CU_ASSERT_EQUAL(mem_io(TARN_IO_READ, block, sizeof(block), 16 * MIB), -EINVAL);
	CU_ASSERT_EQUAL(mem_io(TARN_IO_DISCARD, NULL, 8192, 16 * MIB - 4096), -EINVAL);
}

static void
count_done(void *arg, int status)
{
	(void)arg;
	CU_ASSERT_EQUAL(status, 0);
	done_count++;
}

static void
test_more_than_the_depth_in_flight_all_complete_once(void)
{
	open_null();
	for (int i = 0; i < IO_COUNT; i++)
		tarn_bdev_read(mem_channel, &ios[i], block, sizeof(block), 0, 0, count_done, NULL);
	CU_ASSERT_EQUAL(done_count, 0);
	mem_turn(100);
	CU_ASSERT_EQUAL(done_count, IO_COUNT);
}

static void
submit_again(void *arg, int status)
{
	CU_ASSERT_EQUAL(status, 0);
	done_count++;
	if (again_count == 0)
		return;
	again_count--;
	tarn_bdev_read(mem_channel, arg, block, sizeof(block), 0, 0, submit_again, arg);
}

static void
test_an_io_submitted_by_a_callback_waits_for_the_next_poll(void)
{
	open_null();
	again_count = 1000000;
	tarn_bdev_read(mem_channel, &ios[0], block, sizeof(block), 0, 0, submit_again, &ios[0]);
	mem_turn(10);
	/* A poll that went on with what its callbacks submit would not have come back. */
	CU_ASSERT_TRUE(done_count >= 1 && done_count <= 10);
	again_count = 0;
	mem_turn(2);
}

static int
resize(uint64_t size_bytes)
{
	struct tarn_reason reason = { "" };
	int status = tarn_bdev_control(mem_bdev, TARN_BDEV_RESIZE, &size_bytes, &reason);

	CU_ASSERT_EQUAL(status != 0, reason.text[0] != '\0');
	return status;
}

static void
test_a_new_size_is_in_force_and_told(void)
{
	const struct tarn_bdev_null_opts *opts;

	open_null();
	CU_ASSERT_EQUAL(resize(32 * MIB), 0);
	CU_ASSERT_EQUAL(mem_resize_count, 1);
	CU_ASSERT_EQUAL(tarn_bdev_size_bytes(mem_bdev), 32 * MIB);
	CU_ASSERT_EQUAL(mem_io(TARN_IO_READ, block, sizeof(block), 31 * MIB), 0);
	opts = tarn_bdev_opts(mem_bdev);
	CU_ASSERT_EQUAL(opts->size_bytes, 32 * MIB); /* what save_config writes */
	CU_ASSERT_EQUAL(resize(MIB), 0);
	CU_ASSERT_EQUAL(mem_io(TARN_IO_READ, block, sizeof(block), 2 * MIB), -EINVAL);
}

static void
test_a_size_that_cannot_be_is_refused_and_changes_nothing(void)
{
	open_null();
	CU_ASSERT_EQUAL(resize(0), -EINVAL);
	CU_ASSERT_EQUAL(resize(MIB + 512), -EINVAL);
	CU_ASSERT_EQUAL(tarn_bdev_size_bytes(mem_bdev), 16 * MIB);
	CU_ASSERT_EQUAL(mem_resize_count, 0);
	CU_ASSERT_EQUAL(tarn_bdev_control(mem_bdev, TARN_BDEV_RESCAN, NULL, NULL), -ENOTSUP);
}

UT_SUITE(null, mem_start, mem_stop, UT_CASE(test_every_operation_succeeds),
	 UT_CASE(test_a_read_leaves_the_buffer_alone), UT_CASE(test_io_beyond_the_end_is_refused),
	 UT_CASE(test_more_than_the_depth_in_flight_all_complete_once),
	 UT_CASE(test_an_io_submitted_by_a_callback_waits_for_the_next_poll),
	 UT_CASE(test_a_new_size_is_in_force_and_told),
	 UT_CASE(test_a_size_that_cannot_be_is_refused_and_changes_nothing));
