/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <linux/nvme_ioctl.h>
#include <stdbool.h>
#include <stdint.h>

#include "tarn/bdev.h"

/*
 * NVMe commands and their statuses. Pure. Sources: linux/nvme_ioctl.h; NVM Command Set
 * Specification 1.0, sections 3.2.3 (Dataset Management), 3.2.4 (Read), 3.2.6 (Write), 3.2.8 (Write
 * Zeroes); NVM Express Base Specification 2.0, sections 3.3.3.2.1 (status), 7.1 (Flush). Within
 * lib/bdev/uring_cmd.
 */

/* Blocks that one command reaches: NLB has 16 bits, and 0 means 1. */
#define NVME_COMMAND_BLOCKS_MAX 65536u

/* Where commands go. */
struct nvme_target {
	uint32_t nsid;
	uint8_t block_shift; /* log2 of the bytes of a logical block */
};

/* One range of Dataset Management, as the device reads it: little-endian. */
struct nvme_dsm_range {
	uint32_t attributes;
	uint32_t block_count;
	uint64_t first_block;
};
_Static_assert(sizeof(struct nvme_dsm_range) == 16, "16 bytes by the specification");

/* Each fills in all of *cmd; offset and length are multiples of the logical block. */

/**
 * A read or write of one buffer, or of io->iov where there are more, which then stays until the
 * command has ended. \return NVME_URING_CMD_IO or NVME_URING_CMD_IO_VEC: what cmd is to be sent by.
 */
uint32_t nvme_command_transfer(struct nvme_uring_cmd *cmd, const struct nvme_target *target,
			       const struct tarn_io *io);
void nvme_command_flush(struct nvme_uring_cmd *cmd, const struct nvme_target *target);
/** Deallocate. *range is filled in, and stays until the command has ended. */
void nvme_command_discard(struct nvme_uring_cmd *cmd, const struct nvme_target *target,
			  struct nvme_dsm_range *range, uint64_t offset_bytes,
			  uint64_t length_bytes);
void nvme_command_zeroes(struct nvme_uring_cmd *cmd, const struct nvme_target *target,
			 uint64_t offset_bytes, uint64_t length_bytes, bool fua);

/**
 * The status of a completion as -errno, the same as that status gives through the block layer.
 * \param status  above 0: SC in bits 7:0, SCT in 10:8, CRD, M and DNR above.
 */
int nvme_status_errno(int status);
/** Whether the device says that sending the command again may help (DNR, "do not retry", is 0). */
bool nvme_status_may_retry(int status);

/* What bounds one transfer. */
struct nvme_transfer_limits {
	uint8_t mdts;		/* as identified */
	uint64_t queue_bytes;	/* max_hw_sectors_kb of the block device's queue */
	uint64_t segment_count; /* its max_segments */
	uint32_t block_bytes;	/* of the bdev */
};
/**
 * Bytes, a multiple of block_bytes, that the kernel takes as one command wherever the memory lies:
 * each page of 4 KiB may be a segment of its own, and one more where the buffer is not aligned to
 * pages. 0: not even one block.
 */
uint32_t nvme_transfer_max(const struct nvme_transfer_limits *limits, uint8_t block_shift);
