/* SPDX-License-Identifier: BSD-3-Clause */
/* What only uring_cmd has: two nodes of one namespace, NVMe's own facts, options that it lacks. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tarn/bdev_nvme.h"
#include "tarn/env.h"
#include "test/unit/bdev_drivers/cases.h"

static const struct dut_mode file_mode = { .driver = "uring_cmd", .medium = DUT_FILE };
static const struct dut_mode device_mode = { .driver = "uring_cmd", .medium = DUT_DEVICE };

bool
is_nvme_device(void)
{
	const char *name = getenv(DUT_DEVICE_ENV);

	return name != NULL && strncmp(name, "/dev/nvme", 9) == 0;
}

static void
start_file(void)
{
	dut_start(&file_mode);
}

static void
start_device(void)
{
	dut_start(&device_mode);
}

static void
refused(const struct tarn_bdev_file_opts *opts, int status, const char *says)
{
	struct tarn_reason reason = { "" };

	CU_ASSERT_EQUAL(dut_create(opts, &reason), status);
	if (strstr(reason.text, says) == NULL)
		(void)fprintf(stderr, "no \"%s\" in: %s\n", says, reason.text);
	CU_ASSERT_PTR_NOT_NULL(strstr(reason.text, says));
}

/* --- Without a device --- */

static void
test_what_is_no_namespace_is_refused(void)
{
	struct tarn_bdev_file_opts opts;

	dut_need();
	opts = dut_opts();
	refused(&opts, -ENOTBLK, "NVMe namespace");
	opts.filename = "/dev/zero";
	refused(&opts, -ENOTBLK, "NVMe namespace");
	opts.filename = "/nonexistent/tarn";
	refused(&opts, -ENOENT, "No such file");
}

static void
test_options_of_uring_that_passthrough_has_not_are_refused(void)
{
	struct tarn_bdev_file_opts opts;

	dut_need();
	opts = dut_opts();
	opts.worker_count = 2;
	refused(&opts, -EINVAL, "workers: an option of driver sync");
	opts = dut_opts();
	opts.nowait = true;
	refused(&opts, -EINVAL, "nowait: an option of driver aio");
	opts = dut_opts();
	opts.buffered = true;
	refused(&opts, -EINVAL, "direct: ");
	opts = dut_opts();
	opts.fallback = true;
	refused(&opts, -EINVAL, "fallback: ");
}

/* --- On an NVMe namespace --- */

static void
expect_line(const char *line)
{
	const char *said = dut_describe();

	if (strstr(said, line) == NULL)
		(void)fprintf(stderr, "no \"%s\" in:\n%s", line, said);
	CU_ASSERT_PTR_NOT_NULL(strstr(said, line));
}

static struct tarn_nvme_nodes
nodes_of_device(void)
{
	struct tarn_nvme_nodes nodes;
	struct tarn_reason reason = { "" };

	CU_ASSERT_EQUAL_FATAL(tarn_nvme_nodes_find(dut_device, &nodes, &reason), 0);
	return nodes;
}

static void
test_either_node_names_the_namespace(void)
{
	struct tarn_nvme_nodes nodes, same;
	struct tarn_bdev_file_opts opts;
	char line[TARN_NVME_PATH_BYTES + 32];

	dut_need();
	nodes = nodes_of_device();
	CU_ASSERT_STRING_EQUAL(nodes.block, dut_device);
	CU_ASSERT_EQUAL(tarn_nvme_nodes_find(nodes.generic, &same, NULL), 0);
	CU_ASSERT_STRING_EQUAL(same.block, dut_device);
	opts = dut_opts();
	opts.filename = nodes.generic;
	dut_open_opts(&opts, true);
	CU_ASSERT_EQUAL(tarn_bdev_size_bytes(dut_bdev()), DUT_BYTES);
	(void)snprintf(line, sizeof(line), "block_device=%s\n", dut_device);
	expect_line(line);
	(void)snprintf(line, sizeof(line), "character_device=%s\n", nodes.generic);
	expect_line(line);
	expect_line("namespace_id=1\n");
	zeroes_over_data(0);
}

static void
test_only_the_nodes_of_one_namespace_are_a_pair(void)
{
	struct tarn_nvme_nodes nodes;
	int block_fd, generic_fd, null_fd;

	dut_need();
	nodes = nodes_of_device();
	block_fd = open(nodes.block, O_RDONLY | O_CLOEXEC);
	generic_fd = open(nodes.generic, O_RDONLY | O_CLOEXEC);
	null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	CU_ASSERT_FATAL(block_fd >= 0 && generic_fd >= 0 && null_fd >= 0);
	CU_ASSERT(tarn_nvme_is_pair(block_fd, generic_fd));
	CU_ASSERT_FALSE(tarn_nvme_is_pair(generic_fd, block_fd));
	CU_ASSERT_FALSE(tarn_nvme_is_pair(block_fd, null_fd));
	(void)close(null_fd);
	(void)close(generic_fd);
	(void)close(block_fd);
}

static void
test_the_namespace_is_claimed_by_whichever_node(void)
{
	struct tarn_bdev_file_opts opts;
	struct tarn_nvme_nodes nodes;
	int fd;

	dut_need();
	nodes = nodes_of_device();
	opts = dut_opts();
	opts.filename = nodes.generic;
	fd = open(dut_device, O_RDONLY | O_EXCL | O_CLOEXEC);
	CU_ASSERT_FATAL(fd >= 0);
	refused(&opts, -EBUSY, "in use");
	refused(&opts, -EBUSY, nodes.generic);
	(void)close(fd);
	dut_open_opts(&opts, true);
	CU_ASSERT_EQUAL(open(dut_device, O_RDONLY | O_EXCL | O_CLOEXEC), -1);
	CU_ASSERT_EQUAL(errno, EBUSY);
}

static void
test_a_discard_may_be_durable(void)
{
	dut_need();
	dut_open();
	CU_ASSERT_EQUAL(dut_io(TARN_IO_DISCARD, NULL, DUT_BYTES, 0, TARN_IO_FUA), 0);
	expect_line("discard_by=Dataset Management\n");
}

static void
test_fixed_buffers_are_in_force_where_the_kernel_took_one(void)
{
	void *buf;

	dut_need();
	dut_open();
	buf = buffer(BLOCK);
	CU_ASSERT_EQUAL(dut_io(TARN_IO_WRITE, buf, BLOCK, 0, 0), 0);
	CU_ASSERT_EQUAL(dut_io(TARN_IO_READ, buf, BLOCK, 0, 0), 0);
	tarn_iobuf_put(buf);
	if (strstr(dut_describe(), "fixed_buffers=true\n") != NULL)
		expect_line("fixed_buffer_chunks=1\n");
	else
		expect_line("fixed_buffers_refused=");
}

static void
test_rescan_of_an_unchanged_namespace_changes_nothing(void)
{
	struct tarn_reason reason = { "" };

	dut_need();
	dut_open();
	CU_ASSERT_EQUAL(dut_control(TARN_BDEV_RESCAN, NULL, &reason), 0);
	CU_ASSERT_EQUAL(dut_resize_count(), 0);
}

UT_SUITE(uring_cmd, start_file, dut_stop, UT_CASE(test_what_is_no_namespace_is_refused),
	 UT_CASE(test_options_of_uring_that_passthrough_has_not_are_refused));
UT_SUITE_WHERE(is_nvme_device(), uring_cmd_nvme, start_device, dut_stop,
	       UT_CASE(test_either_node_names_the_namespace),
	       UT_CASE(test_only_the_nodes_of_one_namespace_are_a_pair),
	       UT_CASE(test_the_namespace_is_claimed_by_whichever_node),
	       UT_CASE(test_a_discard_may_be_durable),
	       UT_CASE(test_fixed_buffers_are_in_force_where_the_kernel_took_one),
	       UT_CASE(test_rescan_of_an_unchanged_namespace_changes_nothing));
