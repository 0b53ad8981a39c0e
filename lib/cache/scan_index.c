/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Entries of a segment whose headers cannot be read, from the index: it knows what is live there.
 * Looks at all of it at once: slow, but for damage only.
 */
#include <errno.h>
#include <string.h>

#include "lib/cache/scan.h"
#include "lib/cache/shard.h"

static struct disk_entry
entry_of_slot(const struct shard *shard, const struct index_slot *slot)
{
	struct disk_entry entry = {
		.kind = DISK_BLOCK_ENTRY,
		.length = DISK_BLOCK,
		.identity = index_block(slot),
		.volume = index_volume(slot),
		.crc32c = slot->info,
		.place = slot->place % shard->segment_blocks * DISK_BLOCK_UNITS,
	};

	if (index_kind(slot) == INDEX_KIND_OBJECT) {
		entry.kind = DISK_OBJECT_ENTRY;
		entry.length = (slot->info >> 8) * DISK_UNIT;
		entry.identity = (slot->id & ~INDEX_MARKS) << 2;
		entry.volume = 0;
		entry.place += slot->info & 0xff;
	}
	return entry;
}

int
scan_add_from_index(struct scan *scan, const struct shard *shard, uint32_t end_block)
{
	uint32_t from = shard_place(shard, scan->sequence, scan->end_block);
	uint32_t to = shard_place(shard, scan->sequence, end_block);
	uint32_t max = shard->segment_blocks * TRAILER_ENTRIES_PER_BLOCK;
	struct disk_entry *entries = tarn_iobuf_get(max * sizeof(*entries));

	if (entries == NULL)
		return -ENOMEM;
	memcpy(entries, scan->entries, scan->entry_count * sizeof(*entries));
	tarn_iobuf_put(scan->entries);
	scan->entries = entries;
	for (uint64_t i = 0; i < index_slot_count(&shard->index); i++) {
		const struct index_slot *slot = index_at(&shard->index, i);

		if (index_kind(slot) != 0 && slot->place >= from && slot->place < to &&
		    scan->entry_count < max)
			entries[scan->entry_count++] = entry_of_slot(shard, slot);
	}
	return 0;
}
