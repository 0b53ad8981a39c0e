/* SPDX-License-Identifier: BSD-3-Clause */
#include "test/unit/tarnck/image.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "test/unit/cache/volatile.h"

struct ck ck;
struct ck_opts ck_opts;

void
image_setup(void)
{
	stage_setup_one();
	ck_opts = (struct ck_opts){ .shard = CK_ANY, .segment = CK_ANY, .quiet = true };
}

void
image_teardown(void)
{
	ck_fini(&ck);
	memset(&ck, 0, sizeof(ck));
	stage_teardown();
}

enum ck_status
image_check_bytes(const void *bytes, uint64_t length_bytes)
{
	int fd = memfd_create("image", MFD_CLOEXEC);
	char path[32];

	CU_ASSERT_FATAL(fd >= 0 && write(fd, bytes, length_bytes) == (ssize_t)length_bytes);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ck_fini(&ck);
	memset(&ck, 0, sizeof(ck));
	ck_opts.path = path;
	ck_check(&ck, &ck_opts);
	close(fd);
	return ck.status;
}

enum ck_status
image_check(void)
{
	return image_check_bytes(volatile_disk.data, volatile_disk.size_bytes);
}

char *
image_printed(void (*fn)(void))
{
	int fd = memfd_create("printed", MFD_CLOEXEC);
	int saved = dup(STDOUT_FILENO);
	char *text;
	off_t bytes;

	CU_ASSERT_FATAL(fd >= 0 && saved >= 0);
	fflush(stdout);
	dup2(fd, STDOUT_FILENO);
	fn();
	fflush(stdout);
	dup2(saved, STDOUT_FILENO);
	close(saved);
	bytes = lseek(fd, 0, SEEK_END);
	text = calloc(1, (size_t)bytes + 1);
	CU_ASSERT_FATAL(pread(fd, text, (size_t)bytes, 0) == bytes);
	close(fd);
	return text;
}

uint64_t
image_byte(uint64_t sequence, uint32_t block)
{
	const struct disk_super *super =
	    (const struct disk_super *)(const void *)volatile_disk.data;

	return super->data_offset +
	       (sequence % super->segment_count * SEGMENT_BLOCKS + block) * DISK_BLOCK;
}

void
image_flip(uint64_t at)
{
	uint8_t byte;

	stage_raw(TARN_IO_READ, &byte, at, 1);
	byte ^= 0x10;
	stage_raw(TARN_IO_WRITE, &byte, at, 1);
}

void
image_wipe(uint64_t from, uint64_t bytes)
{
	uint8_t *zeroes = calloc(1, bytes);

	stage_raw(TARN_IO_WRITE, zeroes, from, bytes);
	free(zeroes);
}

const struct ck_finding *
image_finding(const char *what)
{
	for (uint32_t i = 0; i < ck.findings.count; i++)
		if (strcmp(ck.findings.list[i].what, what) == 0)
			return &ck.findings.list[i];
	return NULL;
}
