/* SPDX-License-Identifier: BSD-3-Clause */
/* The two checkpoint areas: header and every chunk; and which of them a start would use. */
#include <errno.h>
#include <string.h>

#include "ck.h"
#include "lib/cache/checkpoint.h"

static const char *const area_names[] = { "checkpoint A", "checkpoint B" };
static const char *const kind_names[] = { "index", "segments", "bans" };

static bool
is_foreign(const struct disk_checkpoint *header, uint64_t offset_bytes)
{
	uint32_t seed = format_offset_seed(format_cache_seed(header->uuid), offset_bytes);

	return format_checkpoint_verify(header, seed) == 0;
}

/* \return whether the area holds a checkpoint whose header is whole. */
static bool
read_header(struct ck *ck, int area)
{
	struct ck_checkpoint *checkpoint = &ck->checkpoint[area];
	struct disk_checkpoint *header = &checkpoint->header;
	uint64_t offset_bytes = ck->best->checkpoint_offset[area];
	int rc = ck_read(ck, ck->buf, DISK_BLOCK, offset_bytes);

	if (rc == 0) {
		memcpy(header, ck->buf, sizeof(*header));
		rc = format_checkpoint_verify(header, format_offset_seed(ck->seed, offset_bytes));
	}
	if (rc == 0 && (header->shard_count != ck->best->shard_count ||
			header->bucket_count != ck->best->bucket_count ||
			memcmp(header->uuid, ck->best->uuid, sizeof(header->uuid)) != 0))
		rc = -EBADMSG;
	checkpoint->there = rc == 0;
	if (rc == 0)
		return true;
	if (rc != -EBADMSG)
		ck_find(ck, "checkpoint header", offset_bytes, "%s: cannot be read: %s",
			area_names[area], strerror(-rc));
	else if ((header->head.magic == DISK_CHECKPOINT_MAGIC ||
		  memcmp(header->uuid, ck->best->uuid, sizeof(header->uuid)) == 0) &&
		 !is_foreign(header, offset_bytes))
		ck_find(ck, "checkpoint header", offset_bytes, "%s: its header is not whole",
			area_names[area]);
	return false;
}

/* Into ck->buf. \return 0, -EBADMSG, -ESTALE: of another checkpoint or place, or a read's error. */
static int
read_chunk(struct ck *ck, int area, uint32_t shard, enum disk_chunk_kind kind, uint32_t index)
{
	const struct disk_chunk *chunk = (const struct disk_chunk *)(const void *)ck->buf;
	uint64_t offset_bytes = geometry_chunk_offset(ck->best, (uint32_t)area, shard, kind, index);
	int rc = ck_read(ck, ck->buf, DISK_CHUNK_BYTES, offset_bytes);

	if (rc == 0)
		rc = format_chunk_verify(chunk, format_offset_seed(ck->seed, offset_bytes));
	if (rc == 0 &&
	    (chunk->sequence != ck->checkpoint[area].header.sequence || chunk->shard != shard ||
	     chunk->kind != (uint32_t)kind || chunk->index != index))
		rc = -ESTALE;
	if (rc == 0 && !checkpoint_chunk_sound(chunk, ck->best))
		rc = -EBADMSG;
	return rc;
}

static void
check_chunk(struct ck *ck, int area, uint32_t shard, enum disk_chunk_kind kind, uint32_t index)
{
	struct ck_checkpoint *checkpoint = &ck->checkpoint[area];
	uint64_t offset_bytes = geometry_chunk_offset(ck->best, (uint32_t)area, shard, kind, index);
	int rc = read_chunk(ck, area, shard, kind, index);

	checkpoint->chunk_count++;
	if (rc == 0)
		return;
	checkpoint->bad_chunk_count++;
	checkpoint->whole = checkpoint->shard_whole[shard] = false;
	ck_find(ck, "checkpoint chunk", offset_bytes, "%s, shard %u, %s chunk %u: %s",
		area_names[area], shard, kind_names[kind], index,
		rc == -EBADMSG	? "not whole"
		: rc == -ESTALE ? "whole, but of another checkpoint or place"
				: strerror(-rc));
}

static void
check_area(struct ck *ck, int area)
{
	struct ck_checkpoint *checkpoint = &ck->checkpoint[area];

	if (!read_header(ck, area))
		return;
	checkpoint->whole = true;
	for (uint32_t shard = 0; shard < ck->best->shard_count; shard++) {
		const struct disk_checkpoint_shard *part = &checkpoint->header.shard[shard];

		checkpoint->shard_whole[shard] = checkpoint_counts_agree(part, ck->best);
		if (!checkpoint->shard_whole[shard]) {
			checkpoint->whole = false;
			ck_find(ck, "checkpoint header", ck->best->checkpoint_offset[area],
				"%s, shard %u: says %u index chunks, %u of segments, %u of bans, "
				"which is not as it is laid out",
				area_names[area], shard, part->chunk_count[0], part->chunk_count[1],
				part->chunk_count[2]);
			continue;
		}
		for (int kind = 0; kind < DISK_CHUNK_KIND_COUNT; kind++) {
			for (uint32_t index = 0; index < part->chunk_count[kind]; index++)
				check_chunk(ck, area, shard, (enum disk_chunk_kind)kind, index);
		}
	}
}

/* As a start decides; see checkpoint_find(), and start.c and recover.c of lib/cache. */
static void
choose(struct ck *ck)
{
	int *tried = ck->tried_checkpoint;
	const struct ck_checkpoint *newest;
	bool clean;

	for (int area = 0, count = 0; area < 2; area++)
		if (ck->checkpoint[area].there &&
		    checkpoint_area(ck->checkpoint[area].header.sequence) == (uint32_t)area)
			tried[count++] = area;
	if (tried[1] >= 0 &&
	    ck->checkpoint[tried[1]].header.sequence > ck->checkpoint[tried[0]].header.sequence) {
		tried[0] = 1;
		tried[1] = 0;
	}
	if (tried[0] < 0)
		return;
	newest = &ck->checkpoint[tried[0]];
	clean = (ck->best->flags & DISK_SUPER_CLEAN) != 0 &&
		(newest->header.flags & DISK_CHECKPOINT_CLEAN) != 0 &&
		newest->header.sequence == ck->best->checkpoint_sequence;
	ck->clean_start = clean && newest->whole;
	if (clean && !newest->whole) { /* for no shard, then */
		tried[0] = tried[1];
		tried[1] = -1;
	}
}

int
ck_checkpoint_of(const struct ck *ck, uint32_t shard)
{
	for (int i = 0; i < 2 && ck->tried_checkpoint[i] >= 0; i++)
		if (ck->checkpoint[ck->tried_checkpoint[i]].shard_whole[shard])
			return ck->tried_checkpoint[i];
	return -1;
}

void
ck_checkpoint_tables(struct ck *ck, struct shard *shard)
{
	uint32_t chunks = geometry_segment_chunks(ck->best->segment_count);

	for (int i = 0; i < 2 && ck->tried_checkpoint[i] >= 0; i++) {
		int area = ck->tried_checkpoint[i];
		const struct disk_checkpoint_shard *part =
		    &ck->checkpoint[area].header.shard[shard->number];

		if (!checkpoint_counts_agree(part, ck->best))
			continue;
		for (uint32_t n = 0; n < chunks; n++)
			if (read_chunk(ck, area, shard->number, DISK_CHUNK_SEGMENTS, n) == 0)
				checkpoint_take_table(shard, (const void *)ck->buf, ck->seed,
						      false);
		if (ck->checkpoint[area].shard_whole[shard->number])
			return;
	}
}

bool
ck_checkpoint_used(const struct ck *ck, int area)
{
	for (uint32_t shard = 0; shard < ck->best->shard_count; shard++)
		if (ck_checkpoint_of(ck, shard) == area)
			return true;
	return false;
}

int
ck_check_checkpoints(struct ck *ck)
{
	for (int area = 0; area < 2; area++) {
		check_area(ck, area);
		if (ck->opts->dump != CK_DUMP_NONE)
			ck_dump_checkpoint(ck, area);
	}
	choose(ck);
	if ((ck->best->flags & DISK_SUPER_CLEAN) && !ck->clean_start)
		ck_find(ck, "checkpoint", ck->best->checkpoint_offset[0],
			"the cache was stopped with checkpoint %llu, which is not there: a start "
			"reads the log instead",
			(unsigned long long)ck->best->checkpoint_sequence);
	return 0;
}
