/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The device: claimed as the drivers claim it (O_EXCL on a block device, a lock on a file), opened
 * for reading only, read by plain pread(2). Direct where that can be had, so that what is checked
 * is what the device holds.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ck.h"
#include "tarn/env.h"

#define PROGRESS_NS UINT64_C(1000000000)
#define BUSY_WAIT_NS UINT64_C(2000000000)
#define BUSY_WAIT_PERIOD_US 20000

/* The kernel may hold what a killed daemon had for a moment longer than that one lived. */
static int
open_when_free(struct ck *ck, const struct tarn_bdev_file_opts *opts)
{
	uint64_t deadline_ns = tarn_now_ns() + BUSY_WAIT_NS;
	int rc = tarn_bdev_file_open(opts, &ck->device, &ck->reason);

	while (rc == -EBUSY && tarn_now_ns() < deadline_ns) {
		(void)usleep(BUSY_WAIT_PERIOD_US);
		rc = tarn_bdev_file_open(opts, &ck->device, &ck->reason);
	}
	return rc;
}

int
ck_device_open(struct ck *ck, const char *path)
{
	struct tarn_bdev_file_opts opts = {
		.filename = path,
		.read_only = true,
		.sqpoll_cpu = -1,
	};
	int rc = open_when_free(ck, &opts);

	if (rc != -EINVAL)
		return rc;
	opts.buffered = true; /* a file system without O_DIRECT */
	return open_when_free(ck, &opts);
}

void
ck_device_close(struct ck *ck)
{
	tarn_bdev_file_close(&ck->device);
}

static bool
progress_wanted(const struct ck *ck)
{
	return !ck->opts->quiet && (ck->opts->progress || isatty(STDERR_FILENO));
}

static void
progress(struct ck *ck)
{
	uint64_t now_ns = tarn_now_ns();

	if (ck->progress_ns == 0)
		ck->progress_ns = now_ns;
	if (now_ns - ck->progress_ns < PROGRESS_NS || !progress_wanted(ck) || ck->total_bytes == 0)
		return;
	ck->progress_ns = now_ns;
	fprintf(stderr, "%s%.1f of at most %.1f GiB read%s",
		isatty(STDERR_FILENO) ? "\r\033[K" : "", (double)ck->read_bytes / 0x1p30,
		(double)ck->total_bytes / 0x1p30, isatty(STDERR_FILENO) ? "" : "\n");
	fflush(stderr);
}

void
ck_progress_end(struct ck *ck)
{
	if (progress_wanted(ck) && isatty(STDERR_FILENO))
		fputs("\r\033[K", stderr);
}

int
ck_read(struct ck *ck, void *buf, uint64_t length_bytes, uint64_t offset_bytes)
{
	uint64_t done = 0;

	progress(ck);
	while (done < length_bytes) {
		ssize_t got = pread(ck->device.fd, (uint8_t *)buf + done, length_bytes - done,
				    (off_t)(offset_bytes + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			return -EIO; /* it has become shorter */
		done += (uint64_t)got;
	}
	ck->read_bytes += length_bytes;
	return 0;
}
