/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "tarn/util.h"

/*
 * The index of a shard: identity -> place in the log, in memory. Its shard's reactor only. The
 * layout of buckets and slots is that of doc/on-disk-format.md, since a checkpoint is their image.
 */
struct index_slot {
	uint64_t id;	/* kind 2, identity 54, marks 8; kind 0: empty */
	uint32_t place; /* block of the shard */
	uint32_t info;	/* block: CRC32C. object: unit within the block 8, length in units 24 */
};

#define INDEX_BUCKET_SLOTS 4

struct index_bucket {
	struct index_slot slot[INDEX_BUCKET_SLOTS];
};
_Static_assert(sizeof(struct index_bucket) == TARN_CACHE_LINE_BYTES, "a bucket is a cache line");

#define INDEX_KIND_SHIFT 62
#define INDEX_KIND_BLOCK UINT64_C(1)
#define INDEX_KIND_OBJECT UINT64_C(2)
#define INDEX_HITS 0x3 /* 0 to 3 */
#define INDEX_DIRTY 0x4
#define INDEX_SUSPECT 0x8
#define INDEX_OVERFLOW 0x10	   /* one bit of the bucket's count */
#define INDEX_PROBE UINT64_C(0xe0) /* at which place it was put, in the order of the search */
#define INDEX_PROBE_SHIFT 5
#define INDEX_MARKS UINT64_C(0xff)

#define INDEX_VOLUME_BITS 14
#define INDEX_BLOCK_BITS 40

struct index {
	struct index_bucket *buckets;
	uint32_t bucket_count;
	uint32_t step_max; /* pairs; see index.c */
	uint64_t entry_count, object_count, dirty_count, suspect_count;
};

/** bucket_count is even, at least 2. \return 0 or -ENOMEM. */
int index_init(struct index *index, uint32_t bucket_count);
void index_fini(struct index *index);
/** Empty again. */
void index_clear(struct index *index);

static inline uint64_t
index_block_id(uint32_t volume, uint64_t block)
{
	return INDEX_KIND_BLOCK << INDEX_KIND_SHIFT | (uint64_t)volume << 48 | block << 8;
}

static inline uint64_t
index_object_id(uint64_t hash)
{
	return INDEX_KIND_OBJECT << INDEX_KIND_SHIFT | ((hash >> 2) & ~INDEX_MARKS);
}

static inline uint64_t
index_kind(const struct index_slot *slot)
{
	return slot->id >> INDEX_KIND_SHIFT;
}

static inline uint32_t
index_volume(const struct index_slot *slot)
{
	return (uint32_t)(slot->id >> 48) & ((1u << INDEX_VOLUME_BITS) - 1);
}

static inline uint64_t
index_block(const struct index_slot *slot)
{
	return (slot->id >> 8) & ((UINT64_C(1) << INDEX_BLOCK_BITS) - 1);
}

/** Have the memory for an id on its way to the processor, before it is asked for. */
void index_prefetch(const struct index *index, uint64_t id);
/** \return NULL: not there. */
struct index_slot *index_find(const struct index *index, uint64_t id);
/** For an id that is not there. \return NULL: the places where it may lie are taken. */
struct index_slot *index_insert(struct index *index, uint64_t id);
/** The same, at the cost of a clean entry where need be. */
struct index_slot *index_insert_over_clean(struct index *index, uint64_t id);
void index_remove(struct index *index, struct index_slot *slot);
void index_set_dirty(struct index *index, struct index_slot *slot, bool dirty);
void index_set_suspect(struct index *index, struct index_slot *slot);
void index_clear_suspect(struct index *index, struct index_slot *slot);
/** Count again what is in the buckets, after they were read back. */
void index_recount(struct index *index);

static inline void
index_hit(struct index_slot *slot)
{
	if ((slot->id & INDEX_HITS) != INDEX_HITS)
		slot->id++;
}

static inline struct index_slot *
index_at(const struct index *index, uint64_t number)
{
	return &index->buckets[number / INDEX_BUCKET_SLOTS].slot[number % INDEX_BUCKET_SLOTS];
}

static inline uint64_t
index_slot_count(const struct index *index)
{
	return (uint64_t)index->bucket_count * INDEX_BUCKET_SLOTS;
}
