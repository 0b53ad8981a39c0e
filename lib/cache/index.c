/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Open addressing in buckets of a cache line. An entry lies in its home bucket, in the other one of
 * its pair, or in a further pair: up to PROBE_PAIRS of them, at equal steps that its hash draws;
 * side by side they would grow together into stretches without a gap. It stays where it was put: a
 * checkpoint may be copied while entries come and go. Each bucket counts, up to 15, the entries at
 * home in it that lie elsewhere; a search ends once it has passed so many. A count that reached 15
 * stays, and such a search looks everywhere.
 *
 * At 90 % load an insertion fails once in many millions, and at the load that a full device makes,
 * not at all.
 */
#include "lib/cache/index.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define OVERFLOW_STUCK 15
#define PROBE_PAIRS 32
#define PROBE_MARK_MAX 7 /* this one, and all that come later */

/* Pairs that are probed, all of them different: so many steps do not come round to the first. */
static uint32_t
pair_count(const struct index *index)
{
	uint32_t pairs = index->bucket_count / 2;

	return pairs < PROBE_PAIRS ? pairs : PROBE_PAIRS;
}

int
index_init(struct index *index, uint32_t bucket_count)
{
	size_t bytes = (size_t)bucket_count * sizeof(struct index_bucket);
	void *memory =
	    mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return -ENOMEM;
	madvise(memory, bytes, MADV_HUGEPAGE);
	*index = (struct index){ .buckets = memory, .bucket_count = bucket_count };
	index->step_max = bucket_count / 2 / pair_count(index);
	return 0;
}

void
index_fini(struct index *index)
{
	if (index->buckets != NULL)
		munmap(index->buckets, (size_t)index->bucket_count * sizeof(struct index_bucket));
	index->buckets = NULL;
}

void
index_clear(struct index *index)
{
	if (index->buckets == NULL)
		return; /* tarnck judges a log before it has an index */
	memset(index->buckets, 0, (size_t)index->bucket_count * sizeof(struct index_bucket));
	index_recount(index);
}

/* Where to look for an id. */
struct probe {
	uint32_t home; /* bucket */
	uint32_t step; /* pairs: from one probed to the next */
};

static uint32_t
scale(uint64_t fraction_32, uint32_t count)
{
	return (uint32_t)((fraction_32 * count) >> 32);
}

/* Volumes' block numbers are anything but random: mixed as in MurmurHash3's finalizer. */
static struct probe
probe_of(const struct index *index, uint64_t id)
{
	uint64_t x = id >> 8;

	x ^= x >> 33;
	x *= UINT64_C(0xff51afd7ed558ccd);
	x ^= x >> 33;
	x *= UINT64_C(0xc4ceb9fe1a85ec53);
	x ^= x >> 33;
	return (struct probe){
		.home = scale(x >> 32, index->bucket_count),
		.step = 1 + scale(x & UINT32_MAX, index->step_max),
	};
}

static struct index_bucket *
bucket_at(const struct index *index, const struct probe *probe, uint32_t i)
{
	uint64_t bucket = (probe->home ^ (i & 1)) + (uint64_t)(i / 2) * 2 * probe->step;

	return &index
		    ->buckets[bucket < index->bucket_count ? bucket : bucket - index->bucket_count];
}

static uint32_t
overflow_get(const struct index_bucket *bucket)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < INDEX_BUCKET_SLOTS; i++)
		count |= (uint32_t)((bucket->slot[i].id & INDEX_OVERFLOW) >> 4) << i;
	return count;
}

static void
overflow_set(struct index_bucket *bucket, uint32_t count)
{
	for (uint32_t i = 0; i < INDEX_BUCKET_SLOTS; i++)
		bucket->slot[i].id = (bucket->slot[i].id & ~(uint64_t)INDEX_OVERFLOW) |
				     (uint64_t)((count >> i) & 1) << 4;
}

static struct index_slot *
find_in(struct index_bucket *bucket, uint64_t id)
{
	for (uint32_t i = 0; i < INDEX_BUCKET_SLOTS; i++)
		if ((bucket->slot[i].id & ~INDEX_MARKS) == id)
			return &bucket->slot[i];
	return NULL;
}

static uint64_t
probe_mark(uint32_t i)
{
	return (uint64_t)(i < PROBE_MARK_MAX ? i : PROBE_MARK_MAX) << INDEX_PROBE_SHIFT;
}

/* How many of a bucket's entries are at home in `home`, of which it is the i-th to be looked at. */
static uint32_t
guests_of(const struct index *index, const struct index_bucket *bucket, uint32_t home, uint32_t i)
{
	uint64_t mark = probe_mark(i);
	uint32_t count = 0;

	for (uint32_t j = 0; j < INDEX_BUCKET_SLOTS; j++) {
		uint64_t id = bucket->slot[j].id;

		/* The neighbour's can be from nowhere else. */
		count += (id & INDEX_PROBE) == mark && (i == 1 || probe_of(index, id).home == home);
	}
	return count;
}

/* It is not at home, where `overflow` entries are missing. */
static struct index_slot *
find_elsewhere(const struct index *index, const struct probe *probe, uint64_t id, uint32_t overflow)
{
	uint32_t count = 2 * pair_count(index), passed = 0;

	for (uint32_t i = 1; i < count; i++) {
		struct index_bucket *bucket = bucket_at(index, probe, i);
		struct index_slot *slot = find_in(bucket, id);

		if (slot != NULL)
			return slot;
		if (overflow == OVERFLOW_STUCK)
			continue;
		passed += guests_of(index, bucket, probe->home, i);
		if (passed == overflow)
			return NULL;
	}
	return NULL;
}

void
index_prefetch(const struct index *index, uint64_t id)
{
	__builtin_prefetch(&index->buckets[probe_of(index, id).home], 1);
}

struct index_slot *
index_find(const struct index *index, uint64_t id)
{
	struct probe probe = probe_of(index, id);
	struct index_bucket *bucket = &index->buckets[probe.home];
	struct index_slot *slot = find_in(bucket, id);
	uint32_t overflow;

	if (tarn_likely(slot != NULL))
		return slot;
	overflow = overflow_get(bucket);
	return overflow == 0 ? NULL : find_elsewhere(index, &probe, id, overflow);
}

static void
count_in(struct index *index, const struct index_slot *slot)
{
	index->entry_count++;
	index->object_count += index_kind(slot) == INDEX_KIND_OBJECT;
	index->dirty_count += (slot->id & INDEX_DIRTY) != 0;
	index->suspect_count += (slot->id & INDEX_SUSPECT) != 0;
}

struct index_slot *
index_insert(struct index *index, uint64_t id)
{
	struct probe probe = probe_of(index, id);

	for (uint32_t i = 0; i < 2 * pair_count(index); i++) {
		struct index_bucket *bucket = bucket_at(index, &probe, i);

		for (uint32_t j = 0; j < INDEX_BUCKET_SLOTS; j++) {
			struct index_slot *slot = &bucket->slot[j];
			uint32_t overflow;

			if (index_kind(slot) != 0)
				continue;
			slot->id = id | probe_mark(i) | (slot->id & INDEX_OVERFLOW);
			count_in(index, slot);
			if (i == 0)
				return slot;
			overflow = overflow_get(&index->buckets[probe.home]);
			if (overflow < OVERFLOW_STUCK)
				overflow_set(&index->buckets[probe.home], overflow + 1);
			return slot;
		}
	}
	return NULL;
}

void
index_remove(struct index *index, struct index_slot *slot)
{
	struct probe probe = probe_of(index, slot->id);
	struct index_bucket *bucket = &index->buckets[probe.home];

	tarn_assert(index_kind(slot) != 0);
	index->entry_count--;
	index->object_count -= index_kind(slot) == INDEX_KIND_OBJECT;
	index->dirty_count -= (slot->id & INDEX_DIRTY) != 0;
	index->suspect_count -= (slot->id & INDEX_SUSPECT) != 0;
	slot->id &= INDEX_OVERFLOW;
	slot->place = 0;
	slot->info = 0;
	if (slot < bucket->slot || slot >= bucket->slot + INDEX_BUCKET_SLOTS) {
		uint32_t overflow = overflow_get(bucket);

		tarn_assert(overflow > 0);
		if (overflow < OVERFLOW_STUCK)
			overflow_set(bucket, overflow - 1);
	}
}

struct index_slot *
index_insert_over_clean(struct index *index, uint64_t id)
{
	struct probe probe = probe_of(index, id);

	for (uint32_t i = 0; i < 2 * pair_count(index); i++) {
		struct index_bucket *bucket = bucket_at(index, &probe, i);

		for (uint32_t j = 0; j < INDEX_BUCKET_SLOTS; j++) {
			struct index_slot *slot = &bucket->slot[j];

			if (index_kind(slot) != 0 && (slot->id & INDEX_DIRTY) == 0) {
				index_remove(index, slot);
				return index_insert(index, id);
			}
		}
	}
	return NULL;
}

void
index_set_dirty(struct index *index, struct index_slot *slot, bool dirty)
{
	bool was = (slot->id & INDEX_DIRTY) != 0;

	if (dirty && !was) {
		slot->id |= INDEX_DIRTY;
		index->dirty_count++;
	} else if (!dirty && was) {
		slot->id &= ~(uint64_t)INDEX_DIRTY;
		index->dirty_count--;
	}
}

void
index_set_suspect(struct index *index, struct index_slot *slot)
{
	if ((slot->id & INDEX_SUSPECT) == 0) {
		slot->id |= INDEX_SUSPECT;
		index->suspect_count++;
	}
}

void
index_clear_suspect(struct index *index, struct index_slot *slot)
{
	if ((slot->id & INDEX_SUSPECT) != 0) {
		slot->id &= ~(uint64_t)INDEX_SUSPECT;
		index->suspect_count--;
	}
}

void
index_recount(struct index *index)
{
	index->entry_count = index->object_count = 0;
	index->dirty_count = index->suspect_count = 0;
	for (uint64_t i = 0; i < index_slot_count(index); i++)
		if (index_kind(index_at(index, i)) != 0)
			count_in(index, index_at(index, i));
}
