/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include "tarn/bdev_file.h"

/*
 * What the kernel tells of an open file or block device. Within lib/bdev/file*.c only. May block.
 */

/** Fill in everything but the fd, the flags of opening and the offload. \return as
 * tarn_bdev_file_open(). */
int file_facts(const struct tarn_bdev_file_opts *opts, struct tarn_bdev_file *file,
	       struct tarn_reason *reason);
/** \return 0 with the size as it is now, or -errno. Does not block. */
int file_size(const struct tarn_bdev_file *file, uint64_t *ret_size_bytes);
/** \return 0, or -EINVAL with the reason: size 0, or no multiple of the block. */
int file_size_check(const char *filename, uint64_t size_bytes, uint32_t block_size,
		    struct tarn_reason *reason);
/** \return the device's number among all that the kernel has seen, which changes with the medium;
 * 0: not known. */
uint64_t file_disk_sequence(const struct tarn_bdev_file *file);
