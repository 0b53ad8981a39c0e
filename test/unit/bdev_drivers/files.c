/* SPDX-License-Identifier: BSD-3-Clause */
/* What files and block devices have besides: sizes that change, owners, modes, options refused by
 * name. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tarn/env.h"
#include "test/unit/bdev_drivers/cases.h"

void
test_a_file_cut_short_fails_what_is_behind_its_end_only(void)
{
	void *buf;

	dut_need();
	dut_open();
	buf = buffer(BLOCK);
	CU_ASSERT_EQUAL(truncate(dut_path, DUT_BYTES / 2), 0);
	if (strcmp(dut_path, dut_device) == 0) {
		/* A loop device reads zeroes there: it says nothing of its file's end. */
		CU_ASSERT_EQUAL(dut_io(TARN_IO_READ, buf, BLOCK, DUT_BYTES - BLOCK, 0), -EIO);
	}
	CU_ASSERT_EQUAL(dut_io(TARN_IO_READ, buf, BLOCK, 0, 0), 0);
	dut_fill(buf, BLOCK, 11);
	CU_ASSERT_EQUAL(dut_io(TARN_IO_WRITE, buf, BLOCK, BLOCK, 0), 0);
	memset(buf, 0, BLOCK);
	CU_ASSERT_EQUAL(dut_io(TARN_IO_READ, buf, BLOCK, BLOCK, 0), 0);
	CU_ASSERT(dut_filled(buf, BLOCK, 11));
	tarn_iobuf_put(buf);
}

void
test_a_transfer_that_ends_at_the_files_end_is_an_error(void)
{
	void *buf;

	dut_need();
	dut_open();
	buf = buffer(16 * BLOCK);
	CU_ASSERT_EQUAL(truncate(dut_path, 8 * BLOCK), 0);
	CU_ASSERT_EQUAL(dut_io(TARN_IO_READ, buf, 16 * BLOCK, 0, 0), -EIO);
	CU_ASSERT_EQUAL(dut_io(TARN_IO_READ, buf, 8 * BLOCK, 0, 0), 0);
	tarn_iobuf_put(buf);
}

void
test_rescan_takes_the_new_size(void)
{
	struct tarn_reason reason = { "" };
	void *buf;

	dut_need();
	dut_open();
	buf = buffer(BLOCK);
	CU_ASSERT_EQUAL(dut_control(TARN_BDEV_RESCAN, NULL, &reason), 0);
	CU_ASSERT_EQUAL(dut_resize_count(), 0);
	CU_ASSERT_EQUAL(truncate(dut_path, DUT_BYTES + (1 << 20)), 0);
	CU_ASSERT_EQUAL(dut_io(TARN_IO_READ, buf, BLOCK, DUT_BYTES, 0), -EINVAL);
	CU_ASSERT_EQUAL(dut_control(TARN_BDEV_RESCAN, NULL, &reason), 0);
	CU_ASSERT_EQUAL(dut_resize_count(), 1);
	CU_ASSERT_EQUAL(tarn_bdev_size_bytes(dut_bdev()), DUT_BYTES + (1 << 20));
	CU_ASSERT_EQUAL(dut_io(TARN_IO_READ, buf, BLOCK, DUT_BYTES, 0), 0);
	CU_ASSERT_EQUAL(truncate(dut_path, DUT_BYTES + 100), 0);
	CU_ASSERT_EQUAL(dut_control(TARN_BDEV_RESCAN, NULL, &reason), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(reason.text, "not a multiple"));
	tarn_iobuf_put(buf);
}

void
test_a_read_only_bdev_is_not_opened_for_writing(void)
{
	struct tarn_bdev_file_opts opts;
	void *buf;

	dut_need();
	opts = dut_opts();
	opts.read_only = true;
	dut_open_opts(&opts, false);
	buf = buffer(BLOCK);
	CU_ASSERT_EQUAL(dut_io(TARN_IO_READ, buf, BLOCK, 0, 0), 0);
	CU_ASSERT_EQUAL(dut_io(TARN_IO_WRITE, buf, BLOCK, 0, 0), -EROFS);
	CU_ASSERT_EQUAL(dut_io(TARN_IO_DISCARD, NULL, BLOCK, 0, 0), -EROFS);
	CU_ASSERT_EQUAL(dut_io(TARN_IO_WRITE_ZEROES, NULL, BLOCK, 0, 0), -EROFS);
	tarn_iobuf_put(buf);
}

void
test_page_cache_instead_of_o_direct_works(void)
{
	struct tarn_bdev_file_opts opts;
	struct tarn_bdev_info info;
	uint8_t *buf;

	dut_need();
	opts = dut_opts();
	opts.buffered = true;
	dut_open_opts(&opts, true);
	tarn_bdev_get_info(dut_bdev(), &info);
	CU_ASSERT(info.write_cache);
	buf = buffer(3 * BLOCK);
	dut_fill(buf, info.block_size, 12);
	CU_ASSERT_EQUAL(dut_io(TARN_IO_WRITE, buf, info.block_size, 0, 0), 0);
	CU_ASSERT_EQUAL(dut_io(TARN_IO_FLUSH, NULL, 0, 0, 0), 0);
	CU_ASSERT_EQUAL(
	    dut_io(TARN_IO_READ, buf + BLOCK + info.buffer_align, info.block_size, 0, 0), 0);
	CU_ASSERT_EQUAL(memcmp(buf, buf + BLOCK + info.buffer_align, info.block_size), 0);
	tarn_iobuf_put(buf);
}

void
test_without_fallocate_zeroes_and_discard_still_work(void)
{
	struct tarn_bdev_file_opts opts;

	dut_need();
	opts = dut_opts();
	opts.no_fallocate = true;
	dut_open_opts(&opts, true);
	zeroes_over_data(0);
	CU_ASSERT_EQUAL(dut_io(TARN_IO_DISCARD, NULL, BLOCK, 0, 0), 0);
}

static void
refused(const struct tarn_bdev_file_opts *opts, int status, const char *says)
{
	struct tarn_reason reason = { "" };

	CU_ASSERT_EQUAL(dut_create(opts, &reason), status);
	if (strstr(reason.text, says) == NULL)
		(void)fprintf(stderr, "no \"%s\" in: %s\n", says, reason.text);
	CU_ASSERT_PTR_NOT_NULL(strstr(reason.text, says));
	if (opts->filename != NULL)
		CU_ASSERT_PTR_NOT_NULL(strstr(reason.text, opts->filename));
}

void
test_what_is_no_device_is_refused_with_the_reason(void)
{
	struct tarn_bdev_file_opts opts;

	dut_need();
	opts = dut_opts();
	opts.filename = "/nonexistent/tarn";
	refused(&opts, -ENOENT, "No such file");
	opts.filename = "/tmp";
	refused(&opts, -EISDIR, "directory");
	opts.filename = "/dev/null";
	refused(&opts, -ENOTBLK, "neither");
	opts.filename = "";
	refused(&opts, -EINVAL, "filename");
}

void
test_sizes_that_cannot_be_are_refused_with_the_reason(void)
{
	struct tarn_bdev_file_opts opts;

	dut_need();
	opts = dut_opts();
	opts.block_size = 1000;
	refused(&opts, -EINVAL, "power of two");
	opts.block_size = 1 << 17;
	refused(&opts, -EINVAL, "power of two");
	opts.block_size = 4096;
	CU_ASSERT_EQUAL(truncate(dut_path, DUT_BYTES + 512), 0);
	refused(&opts, -EINVAL, "not a multiple");
	CU_ASSERT_EQUAL(truncate(dut_path, 0), 0);
	refused(&opts, -EINVAL, "size 0");
}

void
test_what_another_holds_is_refused(void)
{
	struct tarn_bdev_file_opts opts;
	struct tarn_reason reason = { "" };
	bool file;
	int fd;

	dut_need();
	opts = dut_opts();
	file = strcmp(dut_path, dut_device) == 0;
	fd = open(dut_device, O_RDWR | O_CLOEXEC | (file ? 0 : O_EXCL));
	CU_ASSERT_FATAL(fd >= 0);
	if (file)
		CU_ASSERT_EQUAL(flock(fd, LOCK_EX | LOCK_NB), 0);
	refused(&opts, -EBUSY, "in use");
	(void)close(fd);
	CU_ASSERT_EQUAL(dut_create(&opts, &reason), 0);
}

void
test_no_permission_is_refused(void)
{
	struct tarn_bdev_file_opts opts;
	struct tarn_reason reason = { "" };
	int status;

	dut_need();
	opts = dut_opts();
	CU_ASSERT_EQUAL(chmod(dut_path, 0), 0);
	if (geteuid() == 0)
		CU_ASSERT_EQUAL_FATAL(seteuid(65534), 0);
	status = dut_create(&opts, &reason);
	if (getuid() == 0)
		CU_ASSERT_EQUAL_FATAL(seteuid(0), 0);
	CU_ASSERT_EQUAL(status, -EACCES);
	CU_ASSERT_PTR_NOT_NULL(strstr(reason.text, "no permission"));
}

static void
fill_up(uint8_t *buf)
{
	int status = 0;

	/* The write that meets the end of the space may be cut short; the one after it finds none
	 * at all. */
	for (unsigned int i = 0; i < 64 && status != -ENOSPC; i++) {
		status = dut_io(TARN_IO_WRITE, buf, 64 << 10, (uint64_t)i * (64 << 10), 0);
		CU_ASSERT(status == 0 || status == -EIO || status == -ENOSPC);
	}
	CU_ASSERT_EQUAL(status, -ENOSPC);
	CU_ASSERT_EQUAL(dut_io(TARN_IO_READ, buf, BLOCK, 0, 0), 0);
	CU_ASSERT(dut_filled(buf, BLOCK, 13));
}

void
test_no_space_is_an_error_of_that_write_only(void)
{
	char dir[] = "/tmp/tarn-full-XXXXXX";
	char file[64];
	struct tarn_bdev_file_opts opts;
	uint8_t *buf;
	int fd;

	dut_need();
	if (mkdtemp(dir) == NULL || mount("tmpfs", dir, "tmpfs", 0, "size=1m") != 0) {
		(void)rmdir(dir);
		ut_skip("no small file system can be mounted here");
	}
	(void)snprintf(file, sizeof(file), "%s/file", dir);
	fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	CU_ASSERT(fd >= 0 && ftruncate(fd, 8 << 20) == 0);
	(void)close(fd);
	opts = dut_opts();
	opts.filename = file;
	opts.buffered = true; /* tmpfs has O_DIRECT on recent kernels only */
	dut_open_opts(&opts, true);
	buf = buffer(64 << 10);
	dut_fill(buf, 64 << 10, 13);
	fill_up(buf);
	tarn_iobuf_put(buf);
	dut_close();
	/* A ring with sqpoll lets the file go a moment after it was told to. */
	while (umount(dir) != 0 && errno == EBUSY)
		(void)usleep(1000);
	CU_ASSERT_EQUAL(rmdir(dir), 0);
}

void
test_a_read_only_device_is_refused_for_writing(void)
{
	struct tarn_bdev_file_opts opts;
	int on = 1;
	int off = 0;
	int fd;

	dut_need();
	fd = open(dut_device, O_RDONLY | O_CLOEXEC);
	CU_ASSERT_EQUAL_FATAL(ioctl(fd, BLKROSET, &on), 0);
	opts = dut_opts();
	refused(&opts, -EROFS, "readonly");
	opts.read_only = true;
	CU_ASSERT_EQUAL(dut_create(&opts, NULL), 0);
	CU_ASSERT_EQUAL(ioctl(fd, BLKROSET, &off), 0);
	(void)close(fd);
}
