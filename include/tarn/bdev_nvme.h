/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <stdbool.h>

#include "tarn/reason.h"

/*
 * The two faces that Linux gives an NVMe namespace: a block device, /dev/nvme0n1, and a character
 * device for passthrough, /dev/ng0n1 (Linux 5.13 and later). For drivers and for measuring them.
 */
#define TARN_NVME_PATH_BYTES 256

struct tarn_nvme_nodes {
	char block[TARN_NVME_PATH_BYTES];
	char generic[TARN_NVME_PATH_BYTES];
};

/**
 * Find both from either: the one that is given stays as it is written, the other one is that of the
 * same number in /dev, held against sysfs. Any thread, may block.
 * \return 0 with *ret_nodes; or with the reason: -ENOENT and the like (no such file), -EISDIR,
 * -ENOTBLK (no NVMe namespace), -EINVAL (a partition of one), -ENODEV (it has only one face here),
 * -ENAMETOOLONG.
 */
int tarn_nvme_nodes_find(const char *filename, struct tarn_nvme_nodes *ret_nodes,
			 struct tarn_reason *reason);
/** Whether two open nodes are of one namespace: a name may lead elsewhere by now. Any thread. */
bool tarn_nvme_is_pair(int block_fd, int generic_fd);
