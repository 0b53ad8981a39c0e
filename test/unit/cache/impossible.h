/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include "lib/cache/format.h"

/* Superblocks that no cache has, with a checksum that is right. */

/**
 * Make case n of a good one. \return the name of the field that was changed; NULL: there is no such
 * case.
 */
const char *impossible_super(uint32_t n, struct disk_super *super);
/** As format_super_seal(), which does not take such ones; version and all else is the caller's. */
void impossible_seal(struct disk_super *super);
