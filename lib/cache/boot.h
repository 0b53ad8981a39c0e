/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include "tarn/bdev.h"

/* What tells one life of the machine and of the device from another. Control reactor; may block. */

/** The kernel's boot id; all zero where there is none. */
void boot_id_get(uint8_t ret[16]);
/**
 * The number of a bdev's medium among all that the kernel has seen; of a regular file, something
 * that stays with it. 0: not known.
 */
uint64_t boot_disk_sequence(const struct tarn_bdev *bdev);
/** Random bytes of the kernel's. */
void boot_random(void *ret, size_t bytes);
