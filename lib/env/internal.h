/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "tarn/env.h"

/* What the files of lib/env share. */

/* clock.c */
void env_clock_init(void);

/* iomem.c: the region and its chunks. */

/** \return 0, -EALREADY or -ENOMEM. */
int env_iomem_init(const struct tarn_env_opts *opts);
void env_iomem_fini(void);
/**
 * Take neighbouring chunks, made usable. Under iomem's lock. \return the first one's address or
 * NULL.
 */
void *env_chunks_get(uint32_t count);
/** Give back what env_chunks_get() gave; the memory stays usable, and known to rings. */
void env_chunks_put(void *addr, uint32_t count);

/* iobuf.c: buffers in chunks. */
int env_iobuf_init(uint32_t chunk_count);
void env_iobuf_fini(void);
