/* SPDX-License-Identifier: BSD-3-Clause */
/* Geometry of a cache: see geometry.h and doc/on-disk-format.md. */
#include "lib/cache/geometry.h"

#include <errno.h>
#include <inttypes.h>
#include <unistd.h>

#include "lib/cache/index.h"

#define SHARDS_DEFAULT_MAX 4
#define SEGMENTS_WISHED 768 /* of a shard, as long as segments have SEGMENT_WISHED bytes */
#define SEGMENT_WISHED (1024u * 1024)
/*
 * Slots for each entry that the device would hold if there were nothing else on it. Checkpoints,
 * headers, trailers and free segments take 5 % or more: the load is 74 % at most, and an entry has
 * 22 bytes.
 */
#define SLOTS_NUM 13
#define SLOTS_DEN 10
#define ENTRY_BYTES_DEFAULT 4096

static uint32_t
chunks_for(uint64_t bytes)
{
	return (uint32_t)((bytes + DISK_CHUNK_DATA - 1) / DISK_CHUNK_DATA);
}

uint32_t
geometry_index_chunks(uint32_t bucket_count)
{
	return chunks_for((uint64_t)bucket_count * sizeof(struct index_bucket));
}

uint32_t
geometry_segment_chunks(uint32_t segment_count)
{
	return chunks_for((uint64_t)segment_count * sizeof(struct disk_segment_state));
}

uint64_t
geometry_chunk_offset(const struct disk_super *super, uint32_t area, uint32_t shard,
		      enum disk_chunk_kind kind, uint32_t index)
{
	uint64_t at = (uint64_t)shard * geometry_shard_chunks(super) + index;

	if (kind != DISK_CHUNK_INDEX)
		at += geometry_index_chunks(super->bucket_count);
	if (kind == DISK_CHUNK_BANS)
		at += geometry_segment_chunks(super->segment_count);
	return super->checkpoint_offset[area] + DISK_BLOCK + at * DISK_CHUNK_BYTES;
}

/*
 * Where checkpoints and data lie, behind the superblocks: as if all of the device were segments.
 * segment_count is those, then, if 32 bits can tell.
 */
static bool
lay_out_areas(struct disk_super *super)
{
	uint64_t segments = super->device_bytes / super->segment_bytes / super->shard_count;

	if (segments > UINT32_MAX)
		return false;
	super->segment_count = (uint32_t)segments;
	super->checkpoint_bytes = DISK_BLOCK + (uint64_t)super->shard_count *
						   geometry_shard_chunks(super) * DISK_CHUNK_BYTES;
	super->checkpoint_offset[0] = 2 * DISK_BLOCK;
	super->checkpoint_offset[1] = super->checkpoint_offset[0] + super->checkpoint_bytes;
	super->data_offset = super->checkpoint_offset[1] + super->checkpoint_bytes;
	return true;
}

/* \return segments of each shard that there is room for; 0: none, or more than places can tell. */
static uint64_t
segments_that_fit(const struct disk_super *super)
{
	uint64_t segments;

	if (super->data_offset >= super->device_bytes)
		return 0;
	segments =
	    (super->device_bytes - super->data_offset) / super->segment_bytes / super->shard_count;
	/* Places are 32 bits of blocks. */
	return segments > UINT32_MAX / (super->segment_bytes / DISK_BLOCK) ? 0 : segments;
}

static bool
is_segment_size(uint32_t bytes)
{
	return tarn_is_pow2(bytes) && bytes >= GEOMETRY_SEGMENT_MIN &&
	       bytes <= GEOMETRY_SEGMENT_MAX;
}

static bool
is_entry_size(uint32_t bytes)
{
	return bytes >= GEOMETRY_ENTRY_MIN && bytes <= DISK_BLOCK;
}

bool
geometry_valid(const struct disk_super *super)
{
	struct disk_super wanted = *super; /* the areas anew */

	if (super->block_bytes != DISK_BLOCK || !is_segment_size(super->segment_bytes) ||
	    super->shard_count == 0 || super->shard_count > DISK_CHECKPOINT_SHARDS ||
	    super->bucket_count < 4 || super->bucket_count % 2 != 0 ||
	    (super->entry_bytes != 0 && !is_entry_size(super->entry_bytes)))
		return false;
	return lay_out_areas(&wanted) && super->checkpoint_bytes == wanted.checkpoint_bytes &&
	       super->checkpoint_offset[0] == wanted.checkpoint_offset[0] &&
	       super->checkpoint_offset[1] == wanted.checkpoint_offset[1] &&
	       super->data_offset == wanted.data_offset &&
	       super->segment_count >= GEOMETRY_SEGMENTS_MIN &&
	       super->segment_count == segments_that_fit(super);
}

/* Lay out a device for so many shards and such segments. \return segments of each shard. */
static uint64_t
lay_out(struct disk_super *super)
{
	uint64_t entries = super->device_bytes / super->shard_count / super->entry_bytes;
	uint64_t slots = entries * SLOTS_NUM / SLOTS_DEN + INDEX_BUCKET_SLOTS;
	uint64_t buckets = tarn_align_up(slots / INDEX_BUCKET_SLOTS + 1, 2);
	uint64_t segments;

	if (buckets > UINT32_MAX)
		return 0;
	super->bucket_count = (uint32_t)buckets;
	if (!lay_out_areas(super))
		return 0;
	segments = segments_that_fit(super);
	super->segment_count = (uint32_t)segments;
	return segments;
}

static uint32_t
shards_default(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	return cpus < 1 ? 1 : cpus > SHARDS_DEFAULT_MAX ? SHARDS_DEFAULT_MAX : (uint32_t)cpus;
}

static int
check_opts(const struct tarn_cache_opts *opts, struct tarn_reason *reason)
{
	if (opts->shard_count > TARN_CACHE_SHARD_MAX)
		return tarn_reason_set(reason, -EINVAL, "shard_count: %u is more than %u",
				       opts->shard_count, TARN_CACHE_SHARD_MAX);
	if (opts->segment_bytes != 0 && !is_segment_size(opts->segment_bytes))
		return tarn_reason_set(
		    reason, -EINVAL, "segment_bytes: %u is no power of two from %u to %u",
		    opts->segment_bytes, GEOMETRY_SEGMENT_MIN, GEOMETRY_SEGMENT_MAX);
	if (opts->expected_entry_bytes != 0 && !is_entry_size(opts->expected_entry_bytes))
		return tarn_reason_set(reason, -EINVAL,
				       "expected_entry_bytes: %u is not from %u to %u",
				       opts->expected_entry_bytes, GEOMETRY_ENTRY_MIN, DISK_BLOCK);
	return 0;
}

/* Segments that shrink with the device. \return segments of each shard. */
static uint64_t
fit_segments(struct disk_super *super, const struct tarn_cache_opts *opts)
{
	uint64_t segments;

	super->entry_bytes =
	    opts->expected_entry_bytes != 0 ? opts->expected_entry_bytes : ENTRY_BYTES_DEFAULT;
	super->segment_bytes =
	    opts->segment_bytes != 0 ? opts->segment_bytes : GEOMETRY_SEGMENT_MAX;
	for (;;) {
		segments = lay_out(super);
		if (opts->segment_bytes != 0 || segments >= SEGMENTS_WISHED ||
		    super->segment_bytes == GEOMETRY_SEGMENT_MIN)
			return segments;
		if (segments >= GEOMETRY_SEGMENTS_MIN && super->segment_bytes <= SEGMENT_WISHED)
			return segments;
		super->segment_bytes /= 2;
	}
}

int
geometry_choose(struct disk_super *super, uint64_t device_bytes, const struct tarn_cache_opts *opts,
		struct tarn_reason *reason)
{
	int status = check_opts(opts, reason);
	uint64_t segments;

	if (status != 0)
		return status;
	super->block_bytes = DISK_BLOCK;
	super->device_bytes = device_bytes;
	super->shard_count = opts->shard_count != 0 ? opts->shard_count : shards_default();
	segments = fit_segments(super, opts);
	while (segments < GEOMETRY_SEGMENTS_MIN && opts->shard_count == 0 &&
	       super->shard_count > 1) {
		super->shard_count--;
		segments = fit_segments(super, opts);
	}
	if (segments < GEOMETRY_SEGMENTS_MIN)
		return tarn_reason_set(reason, -ENOSPC,
				       "%" PRIu64 " bytes are too few: %u shards of %u segments "
				       "of %u bytes, and room for checkpoints, do not fit",
				       device_bytes, super->shard_count, GEOMETRY_SEGMENTS_MIN,
				       super->segment_bytes);
	return 0;
}

int
geometry_agrees(const struct disk_super *super, const struct tarn_cache_opts *opts,
		struct tarn_reason *reason)
{
	int status = check_opts(opts, reason);

	if (status != 0)
		return status;
	if (opts->shard_count != 0 && opts->shard_count != super->shard_count)
		return tarn_reason_set(reason, -EINVAL,
				       "shard_count: the cache there has %u, not %u",
				       super->shard_count, opts->shard_count);
	if (opts->segment_bytes != 0 && opts->segment_bytes != super->segment_bytes)
		return tarn_reason_set(reason, -EINVAL,
				       "segment_bytes: the cache there has %u, not %u",
				       super->segment_bytes, opts->segment_bytes);
	if (opts->expected_entry_bytes != 0 && super->entry_bytes != 0 &&
	    opts->expected_entry_bytes != super->entry_bytes)
		return tarn_reason_set(reason, -EINVAL,
				       "expected_entry_bytes: the cache there has %u, not %u",
				       super->entry_bytes, opts->expected_entry_bytes);
	return 0;
}
