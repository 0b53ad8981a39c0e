/* SPDX-License-Identifier: BSD-3-Clause */
/* What becomes of an open file or block device: it has another size, or is gone. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "lib/bdev/file_facts.h"
#include "tarn/bdev_file.h"
#include "tarn/util.h"

bool
tarn_bdev_file_size_changed(const struct tarn_bdev_file *file)
{
	uint64_t size_bytes;

	return file_size(file, &size_bytes) == 0 && size_bytes != file->size_bytes;
}

int
tarn_bdev_file_rescan(struct tarn_bdev *bdev, struct tarn_bdev_file *file,
		      struct tarn_reason *reason)
{
	uint64_t size_bytes;
	int status = file_size(file, &size_bytes);

	if (status != 0)
		return tarn_reason_set(reason, status, "cannot take the size of bdev %s again: %s",
				       tarn_bdev_name(bdev), strerror(-status));
	status = file_size_check(tarn_bdev_name(bdev), size_bytes, file->block_size, reason);
	if (status != 0)
		return status;
	if (size_bytes != file->size_bytes) {
		file->size_bytes = size_bytes;
		tarn_bdev_notify_resize(bdev, size_bytes);
	}
	return 0;
}

bool
tarn_bdev_file_check_gone(struct tarn_bdev *bdev, const struct tarn_bdev_file *file, int status)
{
	uint64_t size_bytes = 0;

	/* ENOSPC: a write behind the end, which is 0 by now. */
	if (!file->block_device ||
	    (status != -EIO && status != -ENODEV && status != -ENXIO && status != -ENOSPC))
		return false;
	/* A removed disk loses its capacity, its place in sysfs, or has another medium by now. */
	if (file_size(file, &size_bytes) == 0 && size_bytes != 0 &&
	    (access(file->sysfs_path, F_OK) == 0 || errno != ENOENT) &&
	    file_disk_sequence(file) == file->disk_sequence)
		return false;
	tarn_bdev_notify_gone(bdev);
	return true;
}

/* The kernel says that something happened to a block device; what, and to which, it is asked. */
static int
look(struct tarn_bdev *bdev, struct tarn_bdev_file *file, struct tarn_reason *reason)
{
	if (!file->block_device || tarn_bdev_file_check_gone(bdev, file, -ENODEV) ||
	    !tarn_bdev_file_size_changed(file))
		return 0;
	return tarn_bdev_file_rescan(bdev, file, reason);
}

int
tarn_bdev_file_control(struct tarn_bdev *bdev, struct tarn_bdev_file *file, uint32_t command,
		       struct tarn_reason *reason)
{
	if (command == TARN_BDEV_RESCAN)
		return tarn_bdev_file_rescan(bdev, file, reason);
	if (command == TARN_BDEV_LOOK)
		return look(bdev, file, reason);
	return tarn_reason_set(reason, -ENOTSUP, "bdev %s: driver %s has no such action",
			       tarn_bdev_name(bdev), tarn_bdev_driver_name(bdev));
}
