/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include "lib/cache/internal.h"

/* The superblock's two copies. Control reactor. */

/* One change of the superblock. The caller's memory until done. */
struct super_write {
	TAILQ_ENTRY(super_write) link;
	struct tarn_cache *cache;
	/** Change a copy of what is there; sequence and checksum are not its business. */
	void (*change)(struct super_write *write, struct disk_super *super);
	void (*done)(struct super_write *write, int status);
};

int super_init(struct tarn_cache *cache);
void super_fini(struct tarn_cache *cache);
/**
 * Apply the change and write it over both copies, one after the other, each with a flush. Success
 * is one copy at least; cache->super changes on success only. Changes queue.
 */
void super_write(struct tarn_cache *cache, struct super_write *write);

/* What the two copies say. */
enum super_finding {
	SUPER_BLANK,   /* neither was ever one of ours, and there are only zeroes */
	SUPER_FOREIGN, /* neither was, and there is something else */
	SUPER_DAMAGED, /* there was one, and none verifies */
	SUPER_NEWER,
	SUPER_GOOD,
};
/**
 * Of what lies in the first bytes of a device.
 * \param ret       with SUPER_GOOD, the better copy.
 * \param ret_slot  with SUPER_GOOD, which of the two that is.
 */
enum super_finding super_examine(const void *start, size_t start_bytes, struct disk_super *ret,
				 uint32_t *ret_slot);
#define SUPER_EXAMINE_BYTES (128 * 1024)
