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

static uint32_t
chunk_room(const struct ck *ck, enum disk_chunk_kind kind)
{
	if (kind == DISK_CHUNK_INDEX)
		return geometry_index_chunks(ck->best->bucket_count);
	return kind == DISK_CHUNK_SEGMENTS ? geometry_segment_chunks(ck->best->segment_count) : 1;
}

static void
check_chunk(struct ck *ck, int area, uint32_t shard, enum disk_chunk_kind kind, uint32_t index)
{
	struct ck_checkpoint *checkpoint = &ck->checkpoint[area];
	const struct disk_chunk *chunk = (const struct disk_chunk *)(const void *)ck->buf;
	uint64_t offset_bytes = geometry_chunk_offset(ck->best, (uint32_t)area, shard, kind, index);
	int rc = ck_read(ck, ck->buf, DISK_CHUNK_BYTES, offset_bytes);

	if (rc == 0)
		rc = format_chunk_verify(chunk, format_offset_seed(ck->seed, offset_bytes));
	if (rc == 0 && (chunk->sequence != checkpoint->header.sequence || chunk->shard != shard ||
			chunk->kind != (uint32_t)kind || chunk->index != index))
		rc = -ESTALE;
	checkpoint->chunk_count++;
	if (rc == 0)
		return;
	checkpoint->bad_chunk_count++;
	checkpoint->whole = false;
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

		for (int kind = 0; kind < DISK_CHUNK_KIND_COUNT; kind++) {
			uint32_t room = chunk_room(ck, (enum disk_chunk_kind)kind);
			uint32_t count = part->chunk_count[kind];

			if (count > room) {
				checkpoint->whole = false;
				ck_find(ck, "checkpoint header", ck->best->checkpoint_offset[area],
					"%s, shard %u: says %u %s chunks, of at most %u",
					area_names[area], shard, count, kind_names[kind], room);
				continue;
			}
			for (uint32_t index = 0; index < count; index++)
				check_chunk(ck, area, shard, (enum disk_chunk_kind)kind, index);
		}
	}
}

/* As a start decides; see lib/cache/start.c and checkpoint_find(). */
static void
choose(struct ck *ck)
{
	const struct ck_checkpoint *newest = NULL;
	bool clean = (ck->best->flags & DISK_SUPER_CLEAN) != 0;

	ck->newest_checkpoint = ck->used_checkpoint = -1;
	for (int area = 0; area < 2; area++) {
		const struct ck_checkpoint *checkpoint = &ck->checkpoint[area];

		if (!checkpoint->there ||
		    checkpoint_area(checkpoint->header.sequence) != (uint32_t)area ||
		    (newest != NULL && checkpoint->header.sequence <= newest->header.sequence))
			continue;
		newest = checkpoint;
		ck->newest_checkpoint = area;
	}
	if (newest == NULL)
		return;
	if (newest->whole)
		ck->used_checkpoint = ck->newest_checkpoint;
	clean = clean && (newest->header.flags & DISK_CHECKPOINT_CLEAN) != 0 &&
		newest->header.sequence == ck->best->checkpoint_sequence;
	ck->clean_start = clean && newest->whole;
	if (clean && !newest->whole)
		ck->newest_checkpoint = -1; /* the log alone is asked then */
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
