/* SPDX-License-Identifier: BSD-3-Clause */
/* Boot id, disk sequence, randomness: see boot.h. */
#include "lib/cache/boot.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tarn/bdev_opts.h"
#include "tarn/util.h"

#ifndef BLKGETDISKSEQ
#define BLKGETDISKSEQ _IOR(0x12, 128, __u64)
#endif

static int
hex_digit(int c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

void
boot_id_get(uint8_t ret[16])
{
	char text[40] = "";
	FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
	uint32_t digits = 0;

	memset(ret, 0, 16);
	if (file == NULL)
		return;
	if (fgets(text, sizeof(text), file) == NULL)
		text[0] = '\0';
	fclose(file);
	for (const char *at = text; *at != '\0' && digits < 32; at++) {
		int digit = hex_digit(*at);

		if (digit < 0)
			continue;
		ret[digits / 2] = (uint8_t)(ret[digits / 2] << 4 | digit);
		digits++;
	}
}

uint64_t
boot_disk_sequence(const struct tarn_bdev *bdev)
{
	const char *driver = tarn_bdev_driver_name(bdev);
	const struct tarn_bdev_file_opts *opts = tarn_bdev_opts(bdev);
	uint64_t sequence = 0;
	struct stat stat;
	int fd;

	if (strcmp(driver, "uring") != 0 && strcmp(driver, "aio") != 0 &&
	    strcmp(driver, "sync") != 0)
		return 0;
	fd = open(opts->filename, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	if (fstat(fd, &stat) == 0) {
		if (S_ISREG(stat.st_mode))
			sequence = (uint64_t)stat.st_ino << 16 ^ (uint64_t)stat.st_dev;
		else if (ioctl(fd, BLKGETDISKSEQ, &sequence) != 0)
			sequence = 0;
	}
	close(fd);
	return sequence;
}

void
boot_random(void *ret, size_t bytes)
{
	tarn_assert(getrandom(ret, bytes, 0) == (ssize_t)bytes);
}
