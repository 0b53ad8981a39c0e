/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include "lib/cache/format.h"
#include "tarn/cache.h"

/* Where things lie on a device of some size. No state, any thread. */

#define GEOMETRY_SEGMENT_MIN (128u * 1024)
#define GEOMETRY_SEGMENT_MAX (16u * 1024 * 1024)
#define GEOMETRY_SEGMENTS_MIN 64 /* of a shard */
#define GEOMETRY_ENTRY_MIN 64	 /* bytes that the index may be made for */

/**
 * Fill in what is fixed at format, by the options where they say something.
 * \return 0, -ENOSPC (too small) or -EINVAL, with the reason.
 */
int geometry_choose(struct disk_super *super, uint64_t device_bytes,
		    const struct tarn_cache_opts *opts, struct tarn_reason *reason);
/** \return 0, or -EINVAL with the reason: the options ask for something else than is there. */
int geometry_agrees(const struct disk_super *super, const struct tarn_cache_opts *opts,
		    struct tarn_reason *reason);
/**
 * \return whether a cache can lie so: the areas of the checkpoints side by side behind the
 * superblocks, each as large as index and table of segments need, then as many segments as its
 * device has room for.
 */
bool geometry_valid(const struct disk_super *super);

/* Chunks of a checkpoint that a shard has, by kind. */
uint32_t geometry_index_chunks(uint32_t bucket_count);
uint32_t geometry_segment_chunks(uint32_t segment_count);
static inline uint32_t
geometry_shard_chunks(const struct disk_super *super)
{
	return geometry_index_chunks(super->bucket_count) +
	       geometry_segment_chunks(super->segment_count) + 1;
}
/** Byte of the device at which a chunk of a checkpoint area begins. */
uint64_t geometry_chunk_offset(const struct disk_super *super, uint32_t area, uint32_t shard,
			       enum disk_chunk_kind kind, uint32_t index);
