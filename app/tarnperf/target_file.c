/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The guard before a path. Files are created full of data, not sparse: a hole reads at the speed of
 * memory and the first write to it pays for allocation, so neither says anything about the device.
 */
#include "target_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "random.h"
#include "tarn/util.h"

#define FILL_BYTES (UINT64_C(1) << 20)

static int
file_fill(int fd, uint64_t size_bytes, uint64_t seed)
{
	uint64_t *buf = malloc(FILL_BYTES);
	struct perf_random random;
	int rc = 0;

	if (buf == NULL)
		return -ENOMEM;
	perf_random_init(&random, seed);
	for (uint64_t done = 0; done < size_bytes && rc == 0;) {
		ssize_t written;

		for (size_t i = 0; i < FILL_BYTES / sizeof(*buf); i++)
			buf[i] = perf_random_next(&random);
		written = pwrite(fd, buf, tarn_min_u64(FILL_BYTES, size_bytes - done), (off_t)done);
		if (written < 0)
			rc = errno == EINTR ? 0 : -errno;
		else
			done += (uint64_t)written;
	}
	if (rc == 0 && fsync(fd) != 0)
		rc = -errno;
	free(buf);
	return rc;
}

static int
file_create(const char *path, const struct perf_opts *opts, struct tarn_reason *reason)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	int rc;

	if (fd < 0)
		return tarn_reason_set(reason, -errno, "%s: cannot be created: %s", path,
				       strerror(errno));
	rc = file_fill(fd, opts->create_bytes, opts->seed);
	if (rc != 0) {
		tarn_reason_set(reason, rc, "%s: cannot be filled up to %llu bytes: %s", path,
				(unsigned long long)opts->create_bytes, strerror(-rc));
		if (ftruncate(fd, 0) != 0)
			unlink(path);
	}
	close(fd);
	return rc;
}

int
perf_target_file_check(const char *path, const struct perf_opts *opts, struct tarn_reason *reason)
{
	struct stat st = { 0 };
	bool writes = opts->read_percent < 100;

	if (stat(path, &st) != 0 && errno != ENOENT)
		return tarn_reason_set(reason, -errno, "%s: %s", path, strerror(errno));
	if (st.st_mode == 0 && opts->create_bytes == 0)
		return tarn_reason_set(reason, -ENOENT,
				       "%s: no such file; --create SIZE would make it", path);
	if (st.st_mode == 0 || (S_ISREG(st.st_mode) && st.st_size == 0)) {
		if (opts->create_bytes == 0)
			return tarn_reason_set(reason, -EINVAL,
					       "%s: is empty; --create SIZE would fill it", path);
		return file_create(path, opts, reason);
	}
	if (!writes || opts->destroy_data)
		return 0;
	if (S_ISREG(st.st_mode))
		return tarn_reason_set(reason, -EPERM,
				       "%s: holds %lld bytes that %s would overwrite; "
				       "--destroy-data allows it",
				       path, (long long)st.st_size, perf_opts_rw_name(opts));
	return tarn_reason_set(
	    reason, -EPERM, "%s: is a device whose data %s would destroy; --destroy-data allows it",
	    path, perf_opts_rw_name(opts));
}
