/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <stdbool.h>

struct tarn_bdev;
struct tarn_offload;

/* What files and block devices of all drivers share. Within lib/bdev only. Control reactor. */

/** Whether a bdev is a file or block device, with struct tarn_bdev_file_opts. */
bool bdev_has_file(const struct tarn_bdev *bdev);

/* The threads for blocking calls. */
/** \return them, started by the first holder; NULL when they cannot be. */
struct tarn_offload *file_offload_hold(void);
/** The last one to release ends them; none of their calls is in flight. */
void file_offload_release(void);
