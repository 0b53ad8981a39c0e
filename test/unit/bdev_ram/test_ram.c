/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "test/unit/bdev_ram/mem.h"

#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)

static void
open_ram(uint64_t size_bytes, uint32_t block_size)
{
	struct tarn_bdev_ram_opts opts = { .size_bytes = size_bytes, .block_size = block_size };
	struct tarn_reason reason = { "" };

	CU_ASSERT_EQUAL_FATAL(mem_open("ram", &opts, &reason), 0);
}

/* Bytes of this process that are in memory. */
static uint64_t
resident_bytes(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	unsigned long long total = 0, resident = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	CU_ASSERT_EQUAL(fscanf(file, "%llu %llu", &total, &resident), 2);
	fclose(file);
	return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static bool
all_are(const uint8_t *buf, size_t length_bytes, uint8_t value)
{
	for (size_t i = 0; i < length_bytes; i++)
		if (buf[i] != value)
			return false;
	return true;
}

static void
test_a_new_device_reads_as_zeroes_everywhere(void)
{
	static uint8_t buf[64 << 10];

	open_ram(8 * MIB, 512);
	for (uint64_t offset = 0; offset < 8 * MIB; offset += sizeof(buf)) {
		memset(buf, 0xee, sizeof(buf));
		CU_ASSERT_EQUAL(mem_io(TARN_IO_READ, buf, sizeof(buf), offset), 0);
		CU_ASSERT_TRUE(all_are(buf, sizeof(buf), 0));
	}
}

static void
test_memory_is_taken_by_what_is_written_only(void)
{
	static uint8_t buf[4096];
	uint64_t before = resident_bytes();

	open_ram(256 * GIB, 4096);
	memset(buf, 1, sizeof(buf));
	for (uint64_t offset = 0; offset < 256 * GIB; offset += 16 * GIB)
		CU_ASSERT_EQUAL(mem_io(TARN_IO_WRITE, buf, sizeof(buf), offset), 0);
	/* Sixteen writes, a huge page each at most, and room for a sanitizer's own. */
	CU_ASSERT_TRUE(resident_bytes() < before + 512 * MIB);
}

static void
test_discard_gives_memory_back(void)
{
	static uint8_t buf[1 << 20];
	uint64_t before;

	open_ram(64 * MIB, 4096);
	memset(buf, 1, sizeof(buf));
	for (uint64_t offset = 0; offset < 64 * MIB; offset += sizeof(buf))
		CU_ASSERT_EQUAL(mem_io(TARN_IO_WRITE, buf, sizeof(buf), offset), 0);
	before = resident_bytes();
	CU_ASSERT_EQUAL(mem_io(TARN_IO_DISCARD, NULL, 64 * MIB, 0), 0);
	CU_ASSERT_TRUE(resident_bytes() + 32 * MIB < before);
}

/* Ranges that begin and end inside pages, and such as lie within one. */
static void
test_zeroes_end_where_they_should_at_any_block(void)
{
	static const struct {
		uint64_t first, count;
	} ranges[] = { { 1, 1 }, { 0, 8 }, { 7, 2 }, { 3, 30 }, { 8, 16 }, { 5, 3 }, { 63, 1 } };
	static uint8_t buf[64 * 512];

	open_ram(sizeof(buf), 512);
	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		uint64_t from = ranges[i].first * 512, length = ranges[i].count * 512;

		memset(buf, 0xab, sizeof(buf));
		CU_ASSERT_EQUAL(mem_io(TARN_IO_WRITE, buf, sizeof(buf), 0), 0);
		CU_ASSERT_EQUAL(mem_io(TARN_IO_WRITE_ZEROES, NULL, length, from), 0);
		CU_ASSERT_EQUAL(mem_io(TARN_IO_READ, buf, sizeof(buf), 0), 0);
		CU_ASSERT_TRUE(all_are(buf, from, 0xab));
		CU_ASSERT_TRUE(all_are(buf + from, length, 0));
		CU_ASSERT_TRUE(all_are(buf + from + length, sizeof(buf) - from - length, 0xab));
	}
}

static void
test_sizes_that_cannot_be_are_refused_with_the_reason(void)
{
	static const struct tarn_bdev_ram_opts bad[] = {
		{ .size_bytes = 0 },
		{ .size_bytes = 4095 },
		{ .size_bytes = 1024, .block_size = 4096 },
		{ .size_bytes = 4096, .block_size = 256 },
		{ .size_bytes = 6000, .block_size = 1500 },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct tarn_reason reason = { "" };

		CU_ASSERT_EQUAL(mem_open("ram", &bad[i], &reason), -EINVAL);
		CU_ASSERT_PTR_NOT_NULL(strstr(reason.text, "mem: "));
		CU_ASSERT_PTR_NULL(tarn_bdev_find("mem"));
	}
}

static void
test_more_than_the_address_space_is_refused(void)
{
	struct tarn_bdev_ram_opts opts = { .size_bytes = UINT64_MAX & ~(uint64_t)4095 };
	struct tarn_reason reason = { "" };

	CU_ASSERT_EQUAL(mem_open("ram", &opts, &reason), -ENOMEM);
	CU_ASSERT_PTR_NOT_NULL(strstr(reason.text, "address space"));
}

UT_SUITE(ram, mem_start, mem_stop, UT_CASE(test_a_new_device_reads_as_zeroes_everywhere),
	 UT_CASE(test_memory_is_taken_by_what_is_written_only),
	 UT_CASE(test_discard_gives_memory_back),
	 UT_CASE(test_zeroes_end_where_they_should_at_any_block),
	 UT_CASE(test_sizes_that_cannot_be_are_refused_with_the_reason),
	 UT_CASE(test_more_than_the_address_space_is_refused));
