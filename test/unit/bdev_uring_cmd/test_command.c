/* SPDX-License-Identifier: BSD-3-Clause */
/* Commands as the kernel gets them, and what their statuses mean. */
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "lib/bdev/uring_cmd/command.h"
#include "tarn/util.h"
#include "test/unit/common/ut.h"

#define DNR 0x4000
#define MORE 0x2000
#define CRD 0x1800

static const struct nvme_target target_512 = { .nsid = 7, .block_shift = 9 };
static const struct nvme_target target_4k = { .nsid = 1, .block_shift = 12 };

/* Whatever is not set must be zero, also where the memory was not. */
static struct nvme_uring_cmd
dirty(void)
{
	struct nvme_uring_cmd cmd;

	memset(&cmd, 0xff, sizeof(cmd));
	return cmd;
}

static void
test_a_write_names_its_blocks_from_zero_and_its_bytes(void)
{
	struct iovec iov = { (void *)0x12345000, 8192 };
	struct tarn_io io = { .op = TARN_IO_WRITE,
			      .iov = &iov,
			      .iov_count = 1,
			      .offset_bytes = UINT64_C(0x123456789) << 9,
			      .length_bytes = 8192 };
	struct nvme_uring_cmd cmd = dirty();
	struct nvme_uring_cmd expected = { .opcode = 0x01,
					   .nsid = 7,
					   .addr = 0x12345000,
					   .data_len = 8192,
					   .cdw10 = 0x23456789,
					   .cdw11 = 0x1,
					   .cdw12 = 15 };

	CU_ASSERT_EQUAL(nvme_command_transfer(&cmd, &target_512, &io), NVME_URING_CMD_IO);
	CU_ASSERT_EQUAL(memcmp(&cmd, &expected, sizeof(cmd)), 0);
}

static void
test_force_unit_access_is_for_writes_only(void)
{
	struct iovec iov = { (void *)0x1000, 4096 };
	struct tarn_io io = { .op = TARN_IO_WRITE,
			      .flags = TARN_IO_FUA | TARN_IO_BACKGROUND,
			      .iov = &iov,
			      .iov_count = 1,
			      .length_bytes = 4096 };
	struct nvme_uring_cmd cmd;

	(void)nvme_command_transfer(&cmd, &target_4k, &io);
	CU_ASSERT_EQUAL(cmd.cdw12, 1u << 30);
	io.op = TARN_IO_READ;
	(void)nvme_command_transfer(&cmd, &target_4k, &io);
	CU_ASSERT_EQUAL(cmd.opcode, 0x02);
	CU_ASSERT_EQUAL(cmd.cdw12, 0);
}

static void
test_several_buffers_go_as_a_vector(void)
{
	struct iovec iov[2] = { { (void *)0x1000, 4096 }, { (void *)0x9000, 8192 } };
	struct tarn_io io = { .op = TARN_IO_READ,
			      .iov = iov,
			      .iov_count = 2,
			      .offset_bytes = 4096,
			      .length_bytes = 12288 };
	struct nvme_uring_cmd cmd = dirty();

	CU_ASSERT_EQUAL(nvme_command_transfer(&cmd, &target_4k, &io), NVME_URING_CMD_IO_VEC);
	CU_ASSERT_EQUAL(cmd.addr, (uintptr_t)iov);
	CU_ASSERT_EQUAL(cmd.data_len, 2);
	CU_ASSERT_EQUAL(cmd.cdw10, 1);
	CU_ASSERT_EQUAL(cmd.cdw12, 2);
}

static void
test_the_largest_transfer_fits_the_commands_16_bits(void)
{
	struct iovec iov = { (void *)0x1000, (size_t)NVME_COMMAND_BLOCKS_MAX << 9 };
	struct tarn_io io = { .op = TARN_IO_READ,
			      .iov = &iov,
			      .iov_count = 1,
			      .length_bytes = (uint64_t)NVME_COMMAND_BLOCKS_MAX << 9 };
	struct nvme_uring_cmd cmd;

	(void)nvme_command_transfer(&cmd, &target_512, &io);
	CU_ASSERT_EQUAL(cmd.cdw12, 0xffff);
	CU_ASSERT_EQUAL(cmd.data_len, 32u << 20);
}

static void
test_a_flush_is_of_the_namespace_and_has_no_data(void)
{
	struct nvme_uring_cmd cmd = dirty();
	struct nvme_uring_cmd expected = { .opcode = 0x00, .nsid = 7 };

	nvme_command_flush(&cmd, &target_512);
	CU_ASSERT_EQUAL(memcmp(&cmd, &expected, sizeof(cmd)), 0);
}

static void
test_a_discard_is_one_range_to_deallocate(void)
{
	struct nvme_dsm_range range;
	struct nvme_uring_cmd cmd = dirty();
	struct nvme_uring_cmd expected = {
		.opcode = 0x09, .nsid = 1, .addr = (uintptr_t)&range, .data_len = 16, .cdw11 = 0x4
	};

	memset(&range, 0xff, sizeof(range));
	nvme_command_discard(&cmd, &target_4k, &range, UINT64_C(5) << 40, 1 << 30);
	CU_ASSERT_EQUAL(memcmp(&cmd, &expected, sizeof(cmd)), 0);
	CU_ASSERT_EQUAL(range.attributes, 0);
	CU_ASSERT_EQUAL(le32toh(range.block_count), 1u << 18);
	CU_ASSERT_EQUAL(le64toh(range.first_block), UINT64_C(5) << 28);
}

static void
test_zeroes_name_their_blocks_and_may_be_durable(void)
{
	struct nvme_uring_cmd cmd = dirty();
	struct nvme_uring_cmd expected = { .opcode = 0x08, .nsid = 7, .cdw10 = 8, .cdw12 = 1 };

	nvme_command_zeroes(&cmd, &target_512, 4096, 1024, false);
	CU_ASSERT_EQUAL(memcmp(&cmd, &expected, sizeof(cmd)), 0);
	nvme_command_zeroes(&cmd, &target_512, 4096, 1024, true);
	CU_ASSERT_EQUAL(cmd.cdw12, 1u << 30 | 1);
}

static void
test_statuses_are_what_the_block_layer_makes_of_them(void)
{
	const struct {
		int status, error;
	} cases[] = {
		{ 0x281, -ENODATA },	{ 0x280, -ENODATA },	{ 0x287, -ENODATA },
		{ 0x286, -ENODATA },	{ 0x285, -ENODATA },	{ 0x182, -ENODATA },
		{ 0x081, -ENOSPC },	{ 0x080, -EREMOTEIO },	{ 0x082, -EREMOTEIO },
		{ 0x021, -EREMOTEIO },	{ 0x001, -EOPNOTSUPP }, { 0x002, -EOPNOTSUPP },
		{ 0x00b, -EOPNOTSUPP }, { 0x180, -EOPNOTSUPP }, { 0x183, -EOPNOTSUPP },
		{ 0x083, -EBADE },	{ 0x282, -EILSEQ },	{ 0x284, -EILSEQ },
		{ 0x370, -ENOLINK },	{ 0x1bd, -EOVERFLOW },	{ 0x1be, -ETOOMANYREFS },
		{ 0x006, -EIO },	{ 0x371, -EIO },	{ 0x007, -EIO },
	};

	for (size_t i = 0; i < tarn_array_count(cases); i++) {
		CU_ASSERT_EQUAL(nvme_status_errno(cases[i].status), cases[i].error);
		CU_ASSERT_EQUAL(nvme_status_errno(cases[i].status | DNR | MORE | CRD),
				cases[i].error);
	}
}

static void
test_no_status_is_a_success(void)
{
	for (int status = 1; status < 0x8000; status++)
		CU_ASSERT(nvme_status_errno(status) < 0);
}

static void
test_what_the_device_says_not_to_retry_is_not(void)
{
	CU_ASSERT(nvme_status_may_retry(0x281));
	CU_ASSERT(nvme_status_may_retry(0x281 | MORE | CRD));
	CU_ASSERT_FALSE(nvme_status_may_retry(0x281 | DNR));
}

static void
test_the_narrowest_of_all_limits_bounds_a_transfer(void)
{
	struct nvme_transfer_limits limits = {
		.mdts = 0, .queue_bytes = 8 << 20, .segment_count = 4096, .block_bytes = 4096
	};

	CU_ASSERT_EQUAL(nvme_transfer_max(&limits, 12), 8u << 20);
	limits.mdts = 5;
	CU_ASSERT_EQUAL(nvme_transfer_max(&limits, 12), 128u << 10);
	limits.mdts = 255; /* as good as none */
	CU_ASSERT_EQUAL(nvme_transfer_max(&limits, 12), 8u << 20);
	limits.segment_count = 128; /* a page each, and one for a start within a page */
	CU_ASSERT_EQUAL(nvme_transfer_max(&limits, 12), 127u << 12);
	limits.block_bytes = 65536;
	CU_ASSERT_EQUAL(nvme_transfer_max(&limits, 12), 7u << 16);
	limits.segment_count = 4;
	CU_ASSERT_EQUAL(nvme_transfer_max(&limits, 12), 0);
	limits.segment_count = 0;
	CU_ASSERT_EQUAL(nvme_transfer_max(&limits, 12), 0);
	limits = (struct nvme_transfer_limits){ .queue_bytes = UINT64_MAX,
						.segment_count = UINT64_MAX,
						.block_bytes = 512 };
	CU_ASSERT_EQUAL(nvme_transfer_max(&limits, 9), 32u << 20); /* 65536 blocks */
	CU_ASSERT_EQUAL(nvme_transfer_max(&limits, 16), 1u << 30);
}

UT_SUITE(command, NULL, NULL, UT_CASE(test_a_write_names_its_blocks_from_zero_and_its_bytes),
	 UT_CASE(test_force_unit_access_is_for_writes_only),
	 UT_CASE(test_several_buffers_go_as_a_vector),
	 UT_CASE(test_the_largest_transfer_fits_the_commands_16_bits),
	 UT_CASE(test_a_flush_is_of_the_namespace_and_has_no_data),
	 UT_CASE(test_a_discard_is_one_range_to_deallocate),
	 UT_CASE(test_zeroes_name_their_blocks_and_may_be_durable),
	 UT_CASE(test_statuses_are_what_the_block_layer_makes_of_them),
	 UT_CASE(test_no_status_is_a_success),
	 UT_CASE(test_what_the_device_says_not_to_retry_is_not),
	 UT_CASE(test_the_narrowest_of_all_limits_bounds_a_transfer));
