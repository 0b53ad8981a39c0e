/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the device under test is made of: a file, a loop device on one, or a device that is there.
 */
#include "test/unit/bdev_drivers/medium.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

const char *dut_path;
const char *dut_device;

static char path[64], device[64];

static void
loop_detach(void)
{
	int fd = open(device, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	(void)ioctl(fd, LOOP_CLR_FD);
	(void)close(fd);
}

static const char *
loop_attach(void)
{
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	int backing = open(path, O_RDWR | O_CLOEXEC);
	const char *why = "no loop device to be had here";

	for (int attempt = 0; control >= 0 && attempt < 8 && why != NULL; attempt++) {
		struct loop_config config = { .fd = (unsigned int)backing };
		int number = ioctl(control, LOOP_CTL_GET_FREE);
		int fd;

		(void)snprintf(device, sizeof(device), "/dev/loop%d", number);
		fd = number < 0 ? -1 : open(device, O_RDWR | O_CLOEXEC);
		/* Another process may take the same free one first. */
		if (fd >= 0 && ioctl(fd, LOOP_CONFIGURE, &config) == 0)
			why = NULL;
		if (fd >= 0)
			(void)close(fd);
	}
	if (control >= 0)
		(void)close(control);
	(void)close(backing);
	return why;
}

/* Exactly as large as the tests think, so that a device that was not meant is not taken. */
static const char *
device_take(void)
{
	const char *name = getenv(DUT_DEVICE_ENV);
	const char *why = NULL;
	uint64_t size_bytes = 0;
	int fd;

	(void)snprintf(device, sizeof(device), "%s", name != NULL ? name : "");
	path[0] = '\0';
	fd = open(device, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, BLKGETSIZE64, &size_bytes) != 0 || size_bytes != DUT_BYTES)
		why = DUT_DEVICE_ENV " names no block device of 40 MiB";
	if (fd >= 0)
		(void)close(fd);
	return why;
}

static const char *
file_make(void)
{
	const char *dir = getenv("TMPDIR");
	const char *why = NULL;
	int fd;

	(void)snprintf(path, sizeof(path), "%.40s/tarn-dut-XXXXXX", dir != NULL ? dir : "/var/tmp");
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0 || ftruncate(fd, DUT_BYTES) != 0)
		why = "no temporary file to be had here";
	if (fd >= 0)
		(void)close(fd);
	(void)strcpy(device, path);
	return why;
}

const char *
medium_make(enum dut_medium medium)
{
	const char *why = medium == DUT_DEVICE ? device_take() : file_make();

	if (why == NULL && medium == DUT_LOOP)
		why = loop_attach();
	dut_path = path;
	dut_device = device;
	return why;
}

void
medium_end(enum dut_medium medium)
{
	if (medium == DUT_LOOP)
		loop_detach();
	if (medium != DUT_DEVICE)
		(void)unlink(path);
}
