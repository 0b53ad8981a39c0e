/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "tarn/reason.h"

/*
 * What a namespace and its controller say of themselves. Sources: NVM Express Base Specification
 * 2.0, section 5.17 (Identify; 5.17.2.1: Identify Controller), NVM Command Set Specification 1.0,
 * section 4.1.5.1 (Identify Namespace, LBA formats). Within lib/bdev/uring_cmd.
 */
#define NVME_IDENTIFY_BYTES 4096

struct nvme_identity {
	uint64_t size_blocks; /* NSZE, in logical blocks */
	uint8_t block_shift;  /* LBADS: log2 of the bytes of one, 9 to 16 */
	uint8_t mdts;	      /* log2 of the largest transfer, in its pages; 0: not limited */
	bool write_cache;     /* VWC: a volatile one is there */
	bool has_dsm, has_write_zeroes; /* of ONCS */
	/* As text; empty: the device gives none. */
	char nguid[33], eui64[17];
	char serial[21], model[41], firmware[9];
};

/**
 * Read both structures, little-endian as they came from the device. Pure. Nothing in them is
 * trusted.
 * \return 0 with *ret_identity; or -EINVAL with the reason, which begins with filename: size 0 or
 * past 2^63 bytes, a format that is not there, blocks of less than 512 or more than 65536 bytes, or
 * with metadata.
 */
int nvme_identity_parse(const char *filename, const uint8_t ns[NVME_IDENTIFY_BYTES],
			const uint8_t controller[NVME_IDENTIFY_BYTES],
			struct nvme_identity *ret_identity, struct tarn_reason *reason);
/**
 * Ask the device (NVME_IOCTL_ADMIN_CMD of linux/nvme_ioctl.h), and parse. Blocks.
 * \return as nvme_identity_parse(), -EACCES (it takes CAP_SYS_ADMIN on old kernels), or what the
 * kernel or the device said, with the reason.
 */
int nvme_identity_get(const char *filename, int fd, uint32_t nsid,
		      struct nvme_identity *ret_identity, struct tarn_reason *reason);
