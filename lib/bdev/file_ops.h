/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
struct tarn_offload;

/*
 * The threads for blocking calls that all files and block devices share. Within lib/bdev/file*.c
 * only. Control reactor.
 */
/** \return them, started by the first holder; NULL when they cannot be. */
struct tarn_offload *file_offload_hold(void);
/** The last one to release ends them; none of their calls is in flight. */
void file_offload_release(void);
