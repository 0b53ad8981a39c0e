/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Opening an NVMe namespace.
 *
 * Commands go to its character device, which anybody may open at any time: O_EXCL means nothing
 * there. So its block device is opened exclusively besides, for as long as the bdev lives: what is
 * mounted or otherwise held is refused, and a second user too, by whatever driver.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lib/bdev/uring_cmd/uring_cmd.h"
#include "tarn/util.h"

/* One discard command occupies the device for a while; this bounds it. */
#define DISCARD_MAX_BYTES (UINT64_C(1) << 30)
/* Where sysfs does not tell: what every controller and kernel takes. */
#define QUEUE_KIB_DEFAULT 128
#define SEGMENTS_DEFAULT 33
#define RETRIES_DEFAULT 5

/* So often the kernel itself sends a command again that came through the block layer. */
static uint32_t
kernel_retries(void)
{
	FILE *file = fopen("/sys/module/nvme_core/parameters/max_retries", "re");
	unsigned int count = RETRIES_DEFAULT;

	if (file == NULL)
		return count;
	if (fscanf(file, "%u", &count) != 1)
		count = RETRIES_DEFAULT;
	(void)fclose(file);
	return count;
}

static int
generic_open(const struct tarn_bdev_file_opts *opts, struct nvme_device *device,
	     struct tarn_reason *reason)
{
	int nsid;
	int status;

	device->fd = open(device->nodes.generic, O_CLOEXEC | (opts->read_only ? O_RDONLY : O_RDWR));
	if (device->fd < 0 && (errno == EACCES || errno == EPERM))
		return tarn_reason_set(reason, -EACCES,
				       "%s: no permission to open %s: check its mode and owner",
				       opts->filename, device->nodes.generic);
	if (device->fd < 0)
		return tarn_reason_set(reason, -errno, "%s: cannot open %s: %s", opts->filename,
				       device->nodes.generic, strerror(errno));
	nsid = ioctl(device->fd, NVME_IOCTL_ID);
	if (nsid > 0) {
		device->target.nsid = (uint32_t)nsid;
		status = nvme_identity_get(opts->filename, device->fd, device->target.nsid,
					   &device->identity, reason);
	} else {
		status = nsid < 0 ? -errno : -EINVAL;
		tarn_reason_set(reason, status, "%s: cannot take its namespace's number: %s",
				opts->filename, strerror(-status));
	}
	if (status != 0)
		(void)close(device->fd);
	device->target.block_shift = device->identity.block_shift;
	return status;
}

static int
block_open(const struct tarn_bdev_file_opts *opts, struct nvme_device *device,
	   struct tarn_reason *reason)
{
	struct tarn_bdev_file_opts own = *opts;
	struct tarn_reason why = { "" };
	int status;

	own.filename = device->nodes.block;
	status = tarn_bdev_file_open(&own, &device->block, &why);
	if (status == 0)
		return 0;
	if (strcmp(opts->filename, own.filename) == 0)
		return tarn_reason_set(reason, status, "%s", why.text);
	return tarn_reason_set(reason, status, "%s: its block device is claimed with it: %s",
			       opts->filename, why.text);
}

/* Both nodes were opened by name; and the kernel may have looked at the device long ago. */
static int
faces_check(const struct tarn_bdev_file_opts *opts, const struct nvme_device *device,
	    struct tarn_reason *reason)
{
	uint64_t size_bytes = device->identity.size_blocks << device->identity.block_shift;

	if (!tarn_nvme_is_pair(device->block.fd, device->fd))
		return tarn_reason_set(reason, -ENODEV, "%s: %s and %s are not one namespace",
				       opts->filename, device->nodes.generic, device->nodes.block);
	if (size_bytes != device->block.size_bytes ||
	    device->block.block_size < 1u << device->identity.block_shift)
		return tarn_reason_set(
		    reason, -EINVAL,
		    "%s: the device says that it has %llu bytes in blocks of %u, the kernel thinks "
		    "%llu in blocks of %u: let it look again (nvme ns-rescan)",
		    opts->filename, (unsigned long long)size_bytes,
		    1u << device->identity.block_shift,
		    (unsigned long long)device->block.size_bytes, device->block.block_size);
	return 0;
}

static uint32_t
round_to_blocks(const struct nvme_device *device, uint64_t max_bytes)
{
	return (uint32_t)(max_bytes - max_bytes % device->block.block_size);
}

static int
maxima_take(const struct tarn_bdev_file_opts *opts, struct nvme_device *device,
	    struct tarn_reason *reason)
{
	const struct tarn_bdev_file *block = &device->block;
	const struct nvme_transfer_limits transfer = {
		.mdts = device->identity.mdts,
		.queue_bytes = tarn_mul_sat(
		    tarn_bdev_file_queue_number(block, "max_hw_sectors_kb", QUEUE_KIB_DEFAULT),
		    1024),
		.segment_count =
		    tarn_bdev_file_queue_number(block, "max_segments", SEGMENTS_DEFAULT),
		.block_bytes = block->block_size,
	};
	uint64_t discard = tarn_bdev_file_queue_number(block, "discard_max_bytes", 0);
	/* 0 also where the kernel knows the device to be wrong about it. */
	uint64_t zeroes = tarn_bdev_file_queue_number(block, "write_zeroes_max_bytes", 0);

	device->transfer_max_bytes = nvme_transfer_max(&transfer, device->target.block_shift);
	if (device->transfer_max_bytes == 0)
		return tarn_reason_set(reason, -EINVAL,
				       "%s: its queue takes no transfer of a block of %u bytes",
				       opts->filename, block->block_size);
	if (device->identity.has_dsm)
		device->discard_max_bytes =
		    round_to_blocks(device, tarn_min_u64(discard, DISCARD_MAX_BYTES));
	zeroes =
	    tarn_min_u64(zeroes, (uint64_t)NVME_COMMAND_BLOCKS_MAX << device->target.block_shift);
	if (device->identity.has_write_zeroes)
		device->zeroes_max_bytes = round_to_blocks(device, tarn_min_u64(zeroes, 1u << 31));
	return 0;
}

int
nvme_device_open(const struct tarn_bdev_file_opts *opts, struct nvme_device *ret_device,
		 struct tarn_reason *reason)
{
	struct nvme_device device = { .retry_max = kernel_retries() };
	int status = tarn_nvme_nodes_find(opts->filename, &device.nodes, reason);

	if (status == 0)
		status = generic_open(opts, &device, reason);
	if (status != 0)
		return status;
	status = block_open(opts, &device, reason);
	if (status != 0)
		goto close_generic;
	status = faces_check(opts, &device, reason);
	if (status == 0)
		status = maxima_take(opts, &device, reason);
	if (status != 0)
		goto close_block;
	*ret_device = device;
	return 0;

close_block:
	tarn_bdev_file_close(&device.block);
close_generic:
	(void)close(device.fd);
	return status;
}

void
nvme_device_close(struct nvme_device *device)
{
	(void)close(device->fd);
	tarn_bdev_file_close(&device->block); /* last: with it goes the claim */
}

void
nvme_device_limits(const struct nvme_device *device, struct tarn_bdev_limits *limits)
{
	bool read_only = device->block.read_only;

	tarn_bdev_file_limits(&device->block, limits);
	limits->max_transfer_bytes = device->transfer_max_bytes;
	limits->merge_bytes_max =
	    (uint32_t)tarn_min_u64(limits->merge_bytes_max, device->transfer_max_bytes);
	limits->write_cache = device->identity.write_cache;
	if (!read_only) {
		limits->support[TARN_IO_DISCARD] =
		    device->discard_max_bytes > 0 ? TARN_IO_NATIVE : TARN_IO_NOOP;
		limits->support[TARN_IO_WRITE_ZEROES] =
		    device->zeroes_max_bytes > 0 ? TARN_IO_NATIVE : TARN_IO_NONE;
	}
}

int
nvme_device_rescan(struct tarn_bdev *bdev, struct nvme_device *device, struct tarn_reason *reason)
{
	const char *name = tarn_bdev_name(bdev);
	struct nvme_identity now;
	uint64_t size_bytes;
	int status = nvme_identity_get(name, device->fd, device->target.nsid, &now, reason);

	if (status == -EINVAL)
		tarn_bdev_notify_gone(bdev); /* what it is by now cannot be used */
	if (status != 0)
		return status;
	if (now.block_shift != device->target.block_shift) {
		tarn_bdev_notify_gone(bdev);
		return tarn_reason_set(reason, -EINVAL,
				       "%s: the namespace was formatted anew, to blocks of %u "
				       "bytes, and the bdev is gone: create it again",
				       name, 1u << now.block_shift);
	}
	size_bytes = now.size_blocks << now.block_shift;
	if (size_bytes % device->block.block_size != 0)
		return tarn_reason_set(
		    reason, -EINVAL,
		    "%s: its size of %llu bytes is not a multiple of the block size of %u bytes",
		    name, (unsigned long long)size_bytes, device->block.block_size);
	if (size_bytes != device->block.size_bytes) {
		device->block.size_bytes = size_bytes;
		device->identity = now;
		tarn_bdev_notify_resize(bdev, size_bytes);
	}
	return 0;
}

void
nvme_device_check_gone(struct tarn_bdev *bdev, const struct nvme_device *device, int status)
{
	int block_bytes;

	if (ioctl(device->block.fd, BLKSSZGET, &block_bytes) == 0 &&
	    block_bytes != 1 << device->target.block_shift) {
		tarn_bdev_notify_gone(bdev); /* formatted anew: no block is where it was */
		return;
	}
	/* As the other drivers have it where there is no path or no namespace any more. */
	if (status == -ENOLINK || status == -EOPNOTSUPP)
		status = -EIO;
	tarn_bdev_file_check_gone(bdev, &device->block, status);
}

void
nvme_device_describe(const struct nvme_device *device, const struct tarn_info_sink *sink)
{
	const struct nvme_identity *identity = &device->identity;

	sink->text(sink->arg, "character_device", device->nodes.generic);
	sink->text(sink->arg, "block_device", device->nodes.block);
	sink->number(sink->arg, "namespace_id", device->target.nsid);
	sink->number(sink->arg, "logical_block_size", 1u << identity->block_shift);
	sink->text(sink->arg, "serial_number", identity->serial);
	sink->text(sink->arg, "model_number", identity->model);
	sink->text(sink->arg, "firmware_revision", identity->firmware);
	sink->text(sink->arg, "nguid", identity->nguid);
	sink->text(sink->arg, "eui64", identity->eui64);
	sink->number(sink->arg, "mdts", identity->mdts);
	sink->flag(sink->arg, "volatile_write_cache", identity->write_cache);
	sink->text(sink->arg, "discard_by",
		   device->discard_max_bytes > 0 ? "Dataset Management" : "none");
	sink->number(sink->arg, "discard_max_bytes", device->discard_max_bytes);
	sink->text(sink->arg, "write_zeroes_by",
		   device->zeroes_max_bytes > 0 ? "Write Zeroes" : "writes");
	sink->number(sink->arg, "write_zeroes_max_bytes", device->zeroes_max_bytes);
	sink->flag(sink->arg, "poll_queues", device->block.poll_queues);
}
