/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Values from and to files. What may block runs on two threads of this file's own, which are made
 * when the first file is asked for and end with the daemon.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rpc/cache.h"
#include "tarn/reactor.h"
#include "tarn/reason.h"
#include "tarn/util.h"

#define THREAD_COUNT 2

static struct tarn_offload *offload;

int
rpc_cache_offload(struct tarn_offload_call *call)
{
	int rc = offload == NULL ? tarn_offload_create("rpc_file", THREAD_COUNT, &offload) : 0;

	if (rc == 0)
		tarn_offload_submit(offload, call);
	return rc;
}

void
rpc_cache_offload_end(void)
{
	if (offload != NULL)
		tarn_offload_destroy(offload);
	offload = NULL;
}

static void
file_failed(struct rpc_cache_file *file, int error)
{
	file->status =
	    tarn_reason_set(&file->reason, -error, "file \"%s\": %s", file->path, strerror(error));
}

/* --- Reading --- */

/* \return 0 or an errno. */
static int
read_whole(struct rpc_cache_file *file, int fd, uint64_t room_bytes)
{
	uint8_t *data = malloc(room_bytes);
	uint64_t used_bytes = 0;
	ssize_t got = 0;

	if (data == NULL)
		return ENOMEM;
	while (used_bytes < room_bytes &&
	       (got = read(fd, data + used_bytes, room_bytes - used_bytes)) > 0)
		used_bytes += (uint64_t)got;
	if (got < 0) {
		free(data);
		return errno;
	}
	file->data = data;
	file->data_bytes = used_bytes;
	return 0;
}

void
rpc_cache_file_read(struct rpc_cache_file *file)
{
	/* Not to wait for the writer of a named pipe, which is refused below. */
	int fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), error;
	struct stat st;

	if (fd < 0) {
		file_failed(file, errno);
		return;
	}
	if (fstat(fd, &st) != 0) {
		file_failed(file, errno);
	} else if (!S_ISREG(st.st_mode)) {
		file->status = tarn_reason_set(&file->reason, -EINVAL,
					       "file \"%s\" is no regular file", file->path);
	} else {
		error =
		    read_whole(file, fd, tarn_min_u64((uint64_t)st.st_size, file->max_bytes) + 1);
		if (error != 0)
			file_failed(file, error);
	}
	close(fd);
}

/* --- Writing --- */

/* \return 0 or an errno. */
static int
write_whole(int fd, const uint8_t *data, uint64_t data_bytes)
{
	while (data_bytes > 0) {
		ssize_t put = write(fd, data, data_bytes);

		if (put < 0)
			return errno;
		data += put;
		data_bytes -= (uint64_t)put;
	}
	return 0;
}

void
rpc_cache_file_write(struct rpc_cache_file *file)
{
	size_t room_bytes = strlen(file->path) + sizeof(".XXXXXX");
	char *temporary = malloc(room_bytes);
	int fd, error;

	if (temporary == NULL) {
		file_failed(file, ENOMEM);
		return;
	}
	snprintf(temporary, room_bytes, "%s.XXXXXX", file->path);
	fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0) {
		file_failed(file, errno);
		free(temporary);
		return;
	}
	error = write_whole(fd, file->data, file->data_bytes);
	if (close(fd) != 0 && error == 0)
		error = errno;
	if (error == 0 && rename(temporary, file->path) != 0)
		error = errno;
	if (error != 0) {
		unlink(temporary);
		file_failed(file, error);
	}
	free(temporary);
}
