/* SPDX-License-Identifier: BSD-3-Clause */
/* NVMe commands as the kernel takes them, and what their statuses mean. */
#include "lib/bdev/uring_cmd/command.h"

#include <endian.h>
#include <errno.h>
#include <sys/ioctl.h>

#include "tarn/util.h"

enum nvme_opcode {
	NVME_FLUSH = 0x00,
	NVME_WRITE = 0x01,
	NVME_READ = 0x02,
	NVME_WRITE_ZEROES = 0x08,
	NVME_DATASET_MANAGEMENT = 0x09,
};

#define CDW12_FUA (1u << 30)
#define DSM_DEALLOCATE (1u << 2)

#define STATUS_CODE 0x7ff /* SCT and SC */
#define STATUS_DNR 0x4000

/* Any MDTS above is larger than what a transfer can have anyway. */
#define MDTS_MAX 19
/* CAP.MPSMIN is at least this; what a larger one allows, the queue's own limit still bounds. */
#define PAGE_BYTES_MIN 4096u

static void
range_take(struct nvme_uring_cmd *cmd, const struct nvme_target *target, uint64_t offset_bytes,
	   uint64_t length_bytes)
{
	uint64_t first = offset_bytes >> target->block_shift;
	uint64_t count = length_bytes >> target->block_shift;

	tarn_assert(count > 0 && count <= NVME_COMMAND_BLOCKS_MAX);
	cmd->cdw10 = (uint32_t)first;
	cmd->cdw11 = (uint32_t)(first >> 32);
	cmd->cdw12 = (uint32_t)(count - 1);
}

uint32_t
nvme_command_transfer(struct nvme_uring_cmd *cmd, const struct nvme_target *target,
		      const struct tarn_io *io)
{
	bool read = io->op == TARN_IO_READ;

	*cmd = (struct nvme_uring_cmd){
		.opcode = read ? NVME_READ : NVME_WRITE,
		.nsid = target->nsid,
	};
	range_take(cmd, target, io->offset_bytes, io->length_bytes);
	if (!read && (io->flags & TARN_IO_FUA) != 0)
		cmd->cdw12 |= CDW12_FUA;
	if (tarn_unlikely(io->iov_count != 1)) {
		cmd->addr = (uintptr_t)io->iov;
		cmd->data_len = io->iov_count;
		return NVME_URING_CMD_IO_VEC;
	}
	cmd->addr = (uintptr_t)io->iov->iov_base;
	cmd->data_len = (uint32_t)io->length_bytes;
	return NVME_URING_CMD_IO;
}

void
nvme_command_flush(struct nvme_uring_cmd *cmd, const struct nvme_target *target)
{
	*cmd = (struct nvme_uring_cmd){ .opcode = NVME_FLUSH, .nsid = target->nsid };
}

void
nvme_command_discard(struct nvme_uring_cmd *cmd, const struct nvme_target *target,
		     struct nvme_dsm_range *range, uint64_t offset_bytes, uint64_t length_bytes)
{
	uint64_t count = length_bytes >> target->block_shift;

	tarn_assert(count > 0 && count <= UINT32_MAX);
	*range = (struct nvme_dsm_range){
		.block_count = htole32((uint32_t)count),
		.first_block = htole64(offset_bytes >> target->block_shift),
	};
	*cmd = (struct nvme_uring_cmd){
		.opcode = NVME_DATASET_MANAGEMENT,
		.nsid = target->nsid,
		.addr = (uintptr_t)range,
		.data_len = sizeof(*range),
		.cdw10 = 0, /* one range: it counts from 0 */
		.cdw11 = DSM_DEALLOCATE,
	};
}

void
nvme_command_zeroes(struct nvme_uring_cmd *cmd, const struct nvme_target *target,
		    uint64_t offset_bytes, uint64_t length_bytes, bool fua)
{
	*cmd = (struct nvme_uring_cmd){ .opcode = NVME_WRITE_ZEROES, .nsid = target->nsid };
	range_take(cmd, target, offset_bytes, length_bytes);
	if (fua)
		cmd->cdw12 |= CDW12_FUA;
}

int
nvme_status_errno(int status)
{
	/*
	 * The kernel's own table (drivers/nvme/host/core.c: nvme_error_status(), and
	 * block/blk-core.c: blk_errors), so that a device fails alike through every driver.
	 */
	switch (status & STATUS_CODE) {
	case 0x001: /* Invalid Command Opcode */
	case 0x002: /* Invalid Field in Command */
	case 0x00b: /* Invalid Namespace or Format */
	case 0x180: /* Conflicting Attributes */
	case 0x183: /* Command Size Limit Exceeded; Linux as a target: no such command */
		return -EOPNOTSUPP;
	case 0x021: /* Command Interrupted */
	case 0x080: /* LBA Out of Range */
	case 0x082: /* Namespace Not Ready */
		return -EREMOTEIO;
	case 0x081: /* Capacity Exceeded */
		return -ENOSPC;
	case 0x083: /* Reservation Conflict */
		return -EBADE;
	case 0x181: /* Invalid Protection Information */
	case 0x282: /* End-to-end Guard Check Error */
	case 0x283: /* End-to-end Application Tag Check Error */
	case 0x284: /* End-to-end Reference Tag Check Error */
		return -EILSEQ;
	case 0x182: /* Attempted Write to Read Only Range */
	case 0x280: /* Write Fault */
	case 0x281: /* Unrecovered Read Error */
	case 0x285: /* Compare Failure */
	case 0x286: /* Access Denied */
	case 0x287: /* Deallocated or Unwritten Logical Block */
		return -ENODATA;
	case 0x1bd: /* Too Many Active Zones */
		return -EOVERFLOW;
	case 0x1be: /* Too Many Open Zones */
		return -ETOOMANYREFS;
	case 0x370: /* Host Pathing Error */
		return -ENOLINK;
	default:
		return -EIO;
	}
}

bool
nvme_status_may_retry(int status)
{
	return (status & STATUS_DNR) == 0;
}

uint32_t
nvme_transfer_max(const struct nvme_transfer_limits *limits, uint8_t block_shift)
{
	uint64_t max =
	    tarn_min_u64(limits->queue_bytes, (uint64_t)NVME_COMMAND_BLOCKS_MAX << block_shift);

	if (limits->segment_count == 0)
		return 0;
	max = tarn_min_u64(max, tarn_mul_sat(limits->segment_count - 1, PAGE_BYTES_MIN));
	if (limits->mdts != 0 && limits->mdts <= MDTS_MAX)
		max = tarn_min_u64(max, (uint64_t)PAGE_BYTES_MIN << limits->mdts);
	max = tarn_min_u64(max, 1u << 30);
	return (uint32_t)(max - max % limits->block_bytes);
}
