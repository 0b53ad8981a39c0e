/* SPDX-License-Identifier: BSD-3-Clause */
/* What is on the device, as it is: for debugging. Lines of "name value", one structure a line. */
#include <inttypes.h>
#include <stdio.h>

#include "ck.h"

static const char *const kind_names[] = {
	"?", "block", "object", "forget-blocks", "forget-object", "clean-blocks", "ban"
};

static bool
wanted(const struct ck *ck, uint32_t shard, uint64_t sequence)
{
	return (ck->opts->shard == CK_ANY || ck->opts->shard == shard) &&
	       (ck->opts->segment == CK_ANY || ck->opts->segment == sequence);
}

void
ck_dump_super(const struct ck *ck, int copy)
{
	const struct disk_super *super = &ck->super[copy];
	char uuid[37], boot_id[37];

	ck_format_uuid(super->uuid, uuid);
	ck_format_uuid(super->boot_id, boot_id);
	printf("superblock %c offset %d %s sequence %" PRIu64 " version %" PRIu32 " uuid %s flags "
	       "0x%" PRIx32 " device_bytes %" PRIu64 " data_offset %" PRIu64
	       " checkpoint_offset %" PRIu64 " %" PRIu64 " checkpoint_bytes %" PRIu64
	       " segment_bytes %" PRIu32 " shard_count %" PRIu32 " segment_count %" PRIu32
	       " bucket_count %" PRIu32 " format_time_s %" PRIu64 " time_s %" PRIu64
	       " disk_sequence %" PRIu64 " boot_id %s checkpoint_sequence %" PRIu64
	       " next_volume_id %" PRIu32 "\n",
	       'A' + copy, copy * DISK_BLOCK, ck->super_status[copy] == 0 ? "whole" : "not-whole",
	       super->sequence, super->head.version, uuid, super->flags, super->device_bytes,
	       super->data_offset, super->checkpoint_offset[0], super->checkpoint_offset[1],
	       super->checkpoint_bytes, super->segment_bytes, super->shard_count,
	       super->segment_count, super->bucket_count, super->format_time_s, super->time_s,
	       super->disk_sequence, boot_id, super->checkpoint_sequence, super->next_volume_id);
	for (uint32_t i = 0; i < DISK_VOLUME_COUNT && ck->super_status[copy] == 0; i++) {
		const struct disk_volume *volume = &super->volume[i];

		if (volume->id == 0)
			continue;
		ck_format_uuid(volume->uuid, uuid);
		printf("volume id %" PRIu32 " uuid %s generation %" PRIu64 "\n", volume->id, uuid,
		       volume->generation);
	}
}

void
ck_dump_checkpoint(const struct ck *ck, int area)
{
	const struct ck_checkpoint *checkpoint = &ck->checkpoint[area];
	const struct disk_checkpoint *header = &checkpoint->header;

	printf("checkpoint %c offset %" PRIu64 " %s", 'A' + area, ck->best->checkpoint_offset[area],
	       !checkpoint->there  ? "none\n"
	       : checkpoint->whole ? "whole"
				   : "not-whole");
	if (!checkpoint->there)
		return;
	printf(" sequence %" PRIu64 " flags 0x%" PRIx32 " time_s %" PRIu64 "\n", header->sequence,
	       header->flags, header->time_s);
	for (uint32_t shard = 0; shard < header->shard_count; shard++) {
		const struct disk_checkpoint_shard *part = &header->shard[shard];

		printf("checkpoint %c shard %" PRIu32 " start %" PRIu64 " end %" PRIu64
		       " tail %" PRIu64 " head %" PRIu64 " head_end %" PRIu64 " floor %" PRIu64
		       " batch_number %" PRIu64 " entry_count %" PRIu64 " chunks %" PRIu32
		       " %" PRIu32 " %" PRIu32 "\n",
		       'A' + area, shard, part->start, part->end, part->tail, part->head,
		       part->head_end, part->floor, part->batch_number, part->entry_count,
		       part->chunk_count[0], part->chunk_count[1], part->chunk_count[2]);
	}
}

void
ck_dump_segment(const struct ck *ck, uint32_t shard, const struct ck_segment *segment)
{
	if (!wanted(ck, shard, segment->sequence))
		return;
	printf("segment shard %" PRIu32 " sequence %" PRIu64 " offset %" PRIu64 " epoch 0x%" PRIx64
	       " previous %" PRIu64 " previous_end %" PRIu32 " tail %" PRIu64 " durable %" PRIu64
	       " time_s %" PRIu64 " gap %" PRIu64 " %" PRIu64 "\n",
	       shard, segment->sequence,
	       ck_segment_offset(ck, shard, segment->sequence % ck->best->segment_count),
	       segment->epoch, segment->previous, segment->previous_end, segment->tail,
	       segment->durable, segment->time_s, segment->gap_start, segment->gap_end);
}

static void
dump_entries(const struct ck *ck, const struct disk_entry *entries, uint32_t count)
{
	for (uint32_t i = 0; i < count && ck->opts->dump == CK_DUMP_ENTRIES; i++) {
		const struct disk_entry *entry = &entries[i];
		bool known = entry->kind < tarn_array_count(kind_names);

		printf("entry %" PRIu32 " %s flags 0x%x identity 0x%" PRIx64 " volume %" PRIu32
		       " length %" PRIu32 " place %" PRIu32 " crc32c 0x%08" PRIx32
		       " expiry_s %" PRIu32 "\n",
		       i, kind_names[known ? entry->kind : 0], entry->flags, entry->identity,
		       entry->volume, entry->length, entry->place, entry->crc32c, entry->expiry_s);
	}
}

void
ck_dump_batch(const struct ck *ck, uint32_t shard, const struct disk_batch *batch)
{
	if (!wanted(ck, shard, batch->sequence))
		return;
	printf("batch shard %" PRIu32 " sequence %" PRIu64 " block %" PRIu32 " blocks %" PRIu32
	       " entries %" PRIu32 " tail %" PRIu64 " durable %" PRIu64 " number %" PRIu64
	       " time_s %" PRIu64 "\n",
	       batch->shard, batch->sequence, batch->block, batch->block_count, batch->entry_count,
	       batch->tail, batch->durable, batch->number, batch->time_s);
	dump_entries(ck, batch->entry, batch->entry_count);
}

void
ck_dump_packed(const struct ck *ck, uint32_t shard, uint64_t sequence,
	       const struct disk_entry *entries, uint32_t count)
{
	if (!wanted(ck, shard, sequence))
		return;
	printf("records shard %" PRIu32 " sequence %" PRIu64 " block %" PRIu32 " entries %" PRIu32
	       "\n",
	       shard, sequence, entries[0].place / DISK_BLOCK_UNITS, count);
	dump_entries(ck, entries, count);
}
