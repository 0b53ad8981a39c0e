/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Facts of a file or block device: size, block size, alignment, write cache, ways to discard and
 * zero.
 *
 * Nothing is guessed from names or kernel versions. Sources, best first: statx(2) STATX_DIOALIGN,
 * the block layer's ioctls, the queue directory in sysfs (Documentation/ABI/stable/sysfs-block),
 * and calls that are tried where they change nothing. A regular file takes queue facts from the
 * device that its file system is on, where there is a single one.
 */
#include "lib/bdev/file_facts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/stat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "tarn/util.h"

#ifndef BLKGETDISKSEQ
#define BLKGETDISKSEQ _IOR(0x12, 128, uint64_t)
#endif

#define FILE_BLOCK_SIZE_MIN 512
#define FILE_BLOCK_SIZE_MAX 65536
/* The kernel cuts requests to the device's size itself; this bounds what one I/O pins and delays.
 */
#define FILE_TRANSFER_MAX (16u << 20)
/* What the kernel tells of a device whose driver says nothing of alignment. */
#define DMA_ALIGN_DEFAULT 512u
#define PAGE_BYTES 4096u

/* The block device below: of a partition the whole disk, whose directory holds the queue. */
static int
sysfs_read(const char *device, const char *name, char *text, size_t text_bytes)
{
	static const char *const places[] = { "%s/queue/%s", "%s/../queue/%s" };
	char path[128];
	ssize_t length = -1;

	for (size_t i = 0; i < tarn_array_count(places) && length < 0; i++) {
		int fd;

		(void)snprintf(path, sizeof(path), places[i], device, name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		length = read(fd, text, text_bytes - 1);
		(void)close(fd);
	}
	if (length < 0)
		return -ENOENT;
	text[length] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return 0;
}

static uint64_t
sysfs_number(const char *device, const char *name, uint64_t fallback)
{
	char text[64];

	if (sysfs_read(device, name, text, sizeof(text)) != 0)
		return fallback;
	return strtoull(text, NULL, 10);
}

uint64_t
tarn_bdev_file_queue_number(const struct tarn_bdev_file *file, const char *name, uint64_t fallback)
{
	return sysfs_number(file->sysfs_path, name, fallback);
}

int
file_size(const struct tarn_bdev_file *file, uint64_t *ret_size_bytes)
{
	struct stat st;

	if (file->block_device)
		return ioctl(file->fd, BLKGETSIZE64, ret_size_bytes) == 0 ? 0 : -errno;
	if (fstat(file->fd, &st) != 0)
		return -errno;
	*ret_size_bytes = (uint64_t)st.st_size;
	return 0;
}

int
file_size_check(const char *filename, uint64_t size_bytes, uint32_t block_size,
		struct tarn_reason *reason)
{
	if (size_bytes == 0)
		return tarn_reason_set(reason, -EINVAL, "%s has size 0: give it a size first",
				       filename);
	if (size_bytes % block_size != 0)
		return tarn_reason_set(
		    reason, -EINVAL,
		    "%s: its size of %llu bytes is not a multiple of the block "
		    "size of %u bytes: resize it, or choose a smaller block_size",
		    filename, (unsigned long long)size_bytes, block_size);
	return 0;
}

uint64_t
file_disk_sequence(const struct tarn_bdev_file *file)
{
	uint64_t sequence;

	if (!file->block_device || ioctl(file->fd, BLKGETDISKSEQ, &sequence) != 0)
		return 0;
	return sequence;
}

struct dio_align {
	bool known;
	uint32_t memory, offset; /* 0: the kernel does no O_DIRECT here */
};

static struct dio_align
dio_align_get(int fd)
{
	struct dio_align align = { .known = false };
#ifdef STATX_DIOALIGN
	struct statx stx = { 0 };

	if (syscall(SYS_statx, fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &stx) == 0 &&
	    (stx.stx_mask & STATX_DIOALIGN) != 0) {
		align.known = true;
		align.memory = stx.stx_dio_mem_align;
		align.offset = stx.stx_dio_offset_align;
	}
#else
	(void)fd;
#endif
	return align;
}

/* The least block that offset and length of an I/O must be multiples of. */
static uint32_t
least_block(const struct tarn_bdev_file *file, const struct dio_align *align, const char *device)
{
	int logical = 0;

	if (file->block_device && ioctl(file->fd, BLKSSZGET, &logical) == 0 && logical > 0)
		return (uint32_t)logical;
	if (!file->direct)
		return FILE_BLOCK_SIZE_MIN;
	if (align->known && align->offset > FILE_BLOCK_SIZE_MIN)
		return align->offset;
	if (align->known)
		return FILE_BLOCK_SIZE_MIN;
	return (uint32_t)sysfs_number(device, "logical_block_size", FILE_BLOCK_SIZE_MIN);
}

/*
 * What addresses of buffers must be multiples of. The kernel's word is taken, but for one case:
 * null_blk and zram with blocks of 4 KiB announce 512 and silently lose data when a block lies in
 * two pages (seen on Linux 6.12; dm on top of them likewise). A driver that names no alignment of
 * its own is therefore given each block within one page.
 */
static uint32_t
memory_align(const struct dio_align *align, uint32_t least)
{
	if (!align->known || !tarn_is_pow2(align->memory))
		return least;
	if (align->memory < DMA_ALIGN_DEFAULT)
		return align->memory;
	return (uint32_t)tarn_max_u64(align->memory, tarn_min_u64(least, PAGE_BYTES));
}

static int
block_sizes(const struct tarn_bdev_file_opts *opts, struct tarn_bdev_file *file, const char *device,
	    struct tarn_reason *reason)
{
	struct dio_align align = dio_align_get(file->fd);
	unsigned int physical = 0;
	uint32_t least;

	if (file->direct && align.known && align.offset == 0)
		return tarn_reason_set(reason, -EINVAL,
				       "%s: its file system does no O_DIRECT on this file: set "
				       "direct to false to go through the page cache",
				       opts->filename);
	least = least_block(file, &align, device);
	file->block_size = opts->block_size != 0 ? opts->block_size : least;
	if (!tarn_is_pow2(file->block_size) || file->block_size < FILE_BLOCK_SIZE_MIN ||
	    file->block_size > FILE_BLOCK_SIZE_MAX)
		return tarn_reason_set(
		    reason, -EINVAL, "%s: block size %u is not a power of two from %u to %u",
		    opts->filename, file->block_size, FILE_BLOCK_SIZE_MIN, FILE_BLOCK_SIZE_MAX);
	if (file->block_size < least)
		return tarn_reason_set(reason, -EINVAL,
				       "%s: block size %u is below the device's %u: leave "
				       "block_size out, or set it to %u or more",
				       opts->filename, file->block_size, least, least);
	if (!file->block_device || ioctl(file->fd, BLKPBSZGET, &physical) != 0)
		physical = (unsigned int)sysfs_number(device, "physical_block_size", 0);
	file->physical_block_size = (uint32_t)tarn_max_u64(physical, file->block_size);
	if (!tarn_is_pow2(file->physical_block_size))
		file->physical_block_size = file->block_size;
	file->buffer_align = file->direct ? memory_align(&align, least) : 1;
	return 0;
}

/* Whether fallocate takes the mode: tried behind the end, where there is nothing to change. */
static bool
fallocate_probe(const struct tarn_bdev_file *file, int mode)
{
	return fallocate(file->fd, mode, (off_t)file->size_bytes, file->block_size) == 0;
}

static void
file_ways(struct tarn_bdev_file *file)
{
	if (!fallocate_probe(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE))
		return;
	file->discard_mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	file->write_zeroes_mode = file->discard_mode;
	/* Better than a hole: the space stays the file's, so that later writes cannot run out of
	 * it. */
	if (fallocate_probe(file, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE)) {
		file->write_zeroes_mode = FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE;
		/* The probe allocated a block behind the end; the same size again frees it. */
		(void)!ftruncate(file->fd, (off_t)file->size_bytes);
	}
}

static void
device_ways(const struct tarn_bdev_file_opts *opts, struct tarn_bdev_file *file, const char *device)
{
	file->discard_ioctl = sysfs_number(device, "discard_max_bytes", 0) > 0;
	/* blkdev_fallocate() zeroes by the device where it can and by pages where not. */
	if (opts->no_fallocate)
		file->zeroes_ioctl = true;
	else
		file->write_zeroes_mode = FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE;
}

/* RWF_NOWAIT is refused with EOPNOTSUPP where the file or device does not have it. */
static bool
nowait_probe(const struct tarn_bdev_file *file)
{
	void *block = NULL;
	struct iovec iov = { .iov_len = file->block_size };
	ssize_t length;
	bool taken;

	if (posix_memalign(&block, tarn_max_u64(file->block_size, 4096), file->block_size) != 0)
		return false;
	iov.iov_base = block;
	length = preadv2(file->fd, &iov, 1, 0, RWF_NOWAIT);
	taken = length >= 0 || errno == EAGAIN;
	free(block);
	return taken;
}

static int
read_only_check(const struct tarn_bdev_file_opts *opts, const struct tarn_bdev_file *file,
		struct tarn_reason *reason)
{
	int device_read_only = 0;

	if (!file->block_device || opts->read_only)
		return 0;
	if (ioctl(file->fd, BLKROGET, &device_read_only) == 0 && device_read_only != 0)
		return tarn_reason_set(reason, -EROFS,
				       "%s is a read-only device: set readonly to true, or make it "
				       "writable (blockdev --setrw)",
				       opts->filename);
	return 0;
}

int
file_facts(const struct tarn_bdev_file_opts *opts, struct tarn_bdev_file *file,
	   struct tarn_reason *reason)
{
	char device[sizeof(file->sysfs_path)];
	char text[64];
	struct stat st;
	dev_t number;
	int status;

	if (fstat(file->fd, &st) != 0)
		return tarn_reason_set(reason, -errno, "cannot examine %s: %s", opts->filename,
				       strerror(errno));
	number = file->block_device ? st.st_rdev : st.st_dev;
	(void)snprintf(device, sizeof(device), "/sys/dev/block/%u:%u", major(number),
		       minor(number));
	status = read_only_check(opts, file, reason);
	if (status == 0)
		status = block_sizes(opts, file, device, reason);
	if (status != 0)
		return status;
	status = file_size(file, &file->size_bytes);
	if (status != 0)
		return tarn_reason_set(reason, status, "cannot take the size of %s: %s",
				       opts->filename, strerror(-status));
	status = file_size_check(opts->filename, file->size_bytes, file->block_size, reason);
	if (status != 0)
		return status;

	file->max_transfer_bytes = FILE_TRANSFER_MAX;
	file->rotational = sysfs_number(device, "rotational", 0) != 0;
	file->poll_queues = file->direct && sysfs_number(device, "io_poll", 0) != 0;
	file->nowait = nowait_probe(file);
	/* Of a file, the file system's own metadata is volatile too; of the page cache, everything
	 * is. */
	file->write_cache = !file->block_device || !file->direct ||
			    sysfs_read(device, "write_cache", text, sizeof(text)) != 0 ||
			    strcmp(text, "write through") != 0;
	file->discard_mode = -1;
	file->write_zeroes_mode = -1;
	if (file->block_device) {
		memcpy(file->sysfs_path, device, sizeof(file->sysfs_path));
		file->disk_sequence = file_disk_sequence(file);
		device_ways(opts, file, device);
	} else if (!opts->no_fallocate && !file->read_only) {
		file_ways(file);
	}
	return 0;
}
