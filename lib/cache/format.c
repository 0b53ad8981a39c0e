/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sealing and verifying: the only code that decides whether bytes of the device are ours. Verify
 * looks at magic and version first, which lie at the same place in all versions, then at the
 * checksum, then at what a sound writer never writes.
 */
#include "lib/cache/format.h"

#include <errno.h>
#include <string.h>

#include "lib/cache/geometry.h"

static bool
is_zero(const void *data, size_t length_bytes)
{
	const uint8_t *bytes = data;

	return length_bytes == 0 ||
	       (bytes[0] == 0 && memcmp(bytes, bytes + 1, length_bytes - 1) == 0);
}

static uint32_t
head_crc(const struct disk_head *head, size_t length_bytes, uint32_t seed)
{
	static const uint32_t zero;
	const uint8_t *bytes = (const uint8_t *)head;
	uint32_t crc = tarn_crc32c(seed, bytes, offsetof(struct disk_head, crc32c));

	crc = tarn_crc32c(crc, &zero, sizeof(zero));
	return tarn_crc32c(crc, bytes + sizeof(*head), length_bytes - sizeof(*head));
}

static void
part_seal(struct disk_head *head, size_t length_bytes, uint64_t magic, uint32_t seed)
{
	head->magic = magic;
	head->version = DISK_VERSION;
	head->crc32c = head_crc(head, length_bytes, seed);
}

static int
part_verify(const struct disk_head *head, size_t length_bytes, uint64_t magic, uint32_t seed)
{
	if (head->magic != magic || head->crc32c != head_crc(head, length_bytes, seed))
		return -EBADMSG;
	if (head->version > DISK_VERSION)
		return -EPROTONOSUPPORT;
	return head->version == DISK_VERSION ? 0 : -EBADMSG;
}

static void
head_seal(struct disk_head *head, uint64_t magic, uint32_t seed)
{
	part_seal(head, DISK_BLOCK, magic, seed);
}

static int
head_verify(const struct disk_head *head, uint64_t magic, uint32_t seed)
{
	return part_verify(head, DISK_BLOCK, magic, seed);
}

/* --- Seeds --- */

uint32_t
format_cache_seed(const uint8_t uuid[16])
{
	return tarn_crc32c(0, uuid, 16);
}

uint32_t
format_offset_seed(uint32_t cache_seed, uint64_t offset_bytes)
{
	return tarn_crc32c(cache_seed, &offset_bytes, sizeof(offset_bytes));
}

uint32_t
format_segment_seed(uint32_t cache_seed, uint64_t epoch)
{
	return tarn_crc32c(cache_seed, &epoch, sizeof(epoch));
}

/* --- Superblock --- */

static bool
volumes_valid(const struct disk_super *super)
{
	for (uint32_t i = 0; i < DISK_VOLUME_COUNT; i++) {
		const struct disk_volume *volume = &super->volume[i];

		if (volume->reserved != 0 ||
		    !is_zero(volume->reserved_end, sizeof(volume->reserved_end)))
			return false;
		if (volume->id >= super->next_volume_id)
			return false;
		if (volume->id == 0 && !is_zero(volume, sizeof(*volume)))
			return false;
	}
	return true;
}

int
format_super_verify(const struct disk_super *super)
{
	int status = head_verify(&super->head, DISK_SUPER_MAGIC, 0);

	if (status != 0)
		return status;
	if (!geometry_valid(super) || !volumes_valid(super) ||
	    !is_zero(super->reserved, sizeof(super->reserved)))
		return -EBADMSG;
	return (super->flags & ~(uint32_t)(DISK_SUPER_CLEAN | DISK_SUPER_WRITE_CACHE)) == 0
		   ? 0
		   : -EBADMSG;
}

void
format_super_seal(struct disk_super *super)
{
	head_seal(&super->head, DISK_SUPER_MAGIC, 0);
	tarn_assert(format_super_verify(super) == 0);
}

bool
format_super_claims(const struct disk_super *super)
{
	return super->head.magic == DISK_SUPER_MAGIC;
}

/* --- The log --- */

int
format_segment_verify(const struct disk_segment *segment, uint32_t seed)
{
	int status = head_verify(&segment->head, DISK_SEGMENT_MAGIC, seed);

	if (status != 0)
		return status;
	if (segment->sequence == 0 || segment->epoch == 0 ||
	    segment->previous >= segment->sequence || segment->tail > segment->sequence ||
	    segment->gap_start > segment->gap_end)
		return -EBADMSG;
	return is_zero(segment->reserved, sizeof(segment->reserved)) ? 0 : -EBADMSG;
}

void
format_segment_seal(struct disk_segment *segment, uint32_t seed)
{
	head_seal(&segment->head, DISK_SEGMENT_MAGIC, seed);
	tarn_assert(format_segment_verify(segment, seed) == 0);
}

int
format_batch_verify(const struct disk_batch *batch, uint32_t segment_seed, uint64_t sequence,
		    uint32_t block)
{
	int status = head_verify(&batch->head, DISK_BATCH_MAGIC,
				 format_seed(segment_seed, block * DISK_BLOCK_UNITS));

	if (status != 0)
		return status;
	if (batch->sequence != sequence || batch->block != block || batch->block_count == 0 ||
	    batch->previous >= batch->sequence || batch->gap_start > batch->gap_end ||
	    batch->entry_count > DISK_BATCH_ENTRIES || batch->reserved != 0 ||
	    !is_zero(batch->reserved_end, sizeof(batch->reserved_end)))
		return -EBADMSG;
	return is_zero(&batch->entry[batch->entry_count],
		       (DISK_BATCH_ENTRIES - batch->entry_count) * sizeof(batch->entry[0]))
		   ? 0
		   : -EBADMSG;
}

void
format_batch_seal(struct disk_batch *batch, uint32_t segment_seed)
{
	head_seal(&batch->head, DISK_BATCH_MAGIC,
		  format_seed(segment_seed, batch->block * DISK_BLOCK_UNITS));
	tarn_assert(format_batch_verify(batch, segment_seed, batch->sequence, batch->block) == 0);
}

static uint32_t
footer_seed(uint32_t segment_seed, uint32_t segment_blocks)
{
	uint32_t end = segment_blocks * DISK_BLOCK_UNITS;

	return format_seed(segment_seed, end - sizeof(struct disk_footer) / DISK_UNIT);
}

int
format_footer_verify(const struct disk_footer *footer, uint32_t segment_seed, uint64_t sequence,
		     uint32_t segment_blocks)
{
	int status = part_verify(&footer->head, sizeof(*footer), DISK_FOOTER_MAGIC,
				 footer_seed(segment_seed, segment_blocks));

	if (status != 0)
		return status;
	if (footer->sequence != sequence || !is_zero(footer->reserved, sizeof(footer->reserved)) ||
	    footer->previous >= footer->sequence || footer->gap_start > footer->gap_end ||
	    footer->end_block > footer->trailer_block || footer->trailer_block >= segment_blocks ||
	    segment_blocks - footer->trailer_block != format_trailer_blocks(footer->entry_count))
		return -EBADMSG;
	return 0;
}

void
format_footer_seal(struct disk_footer *footer, uint32_t segment_seed, uint32_t segment_blocks)
{
	part_seal(&footer->head, sizeof(*footer), DISK_FOOTER_MAGIC,
		  footer_seed(segment_seed, segment_blocks));
	tarn_assert(format_footer_verify(footer, segment_seed, footer->sequence, segment_blocks) ==
		    0);
}

uint32_t
format_trailer_crc(const void *trailer, uint32_t block_count, uint32_t segment_seed, uint32_t block)
{
	return tarn_crc32c(format_seed(segment_seed, block * DISK_BLOCK_UNITS), trailer,
			   (size_t)block_count * DISK_BLOCK - sizeof(struct disk_footer));
}

/* --- Checkpoints --- */

int
format_checkpoint_verify(const struct disk_checkpoint *checkpoint, uint32_t seed)
{
	int status = head_verify(&checkpoint->head, DISK_CHECKPOINT_MAGIC, seed);

	if (status != 0)
		return status;
	if (checkpoint->shard_count == 0 || checkpoint->shard_count > DISK_CHECKPOINT_SHARDS ||
	    (checkpoint->flags & ~(uint32_t)DISK_CHECKPOINT_CLEAN) != 0 ||
	    !is_zero(checkpoint->reserved, sizeof(checkpoint->reserved)) ||
	    !is_zero(checkpoint->reserved_end, sizeof(checkpoint->reserved_end)))
		return -EBADMSG;
	return is_zero(&checkpoint->shard[checkpoint->shard_count],
		       (DISK_CHECKPOINT_SHARDS - checkpoint->shard_count) *
			   sizeof(checkpoint->shard[0]))
		   ? 0
		   : -EBADMSG;
}

void
format_checkpoint_seal(struct disk_checkpoint *checkpoint, uint32_t seed)
{
	head_seal(&checkpoint->head, DISK_CHECKPOINT_MAGIC, seed);
	tarn_assert(format_checkpoint_verify(checkpoint, seed) == 0);
}

int
format_chunk_verify(const struct disk_chunk *chunk, uint32_t seed)
{
	int status = head_verify(&chunk->head, DISK_CHUNK_MAGIC, seed);

	if (status != 0)
		return status;
	if (chunk->kind >= DISK_CHUNK_KIND_COUNT || chunk->length_bytes > DISK_CHUNK_DATA ||
	    !is_zero(chunk->reserved, sizeof(chunk->reserved)))
		return -EBADMSG;
	return chunk->data_crc32c == tarn_crc32c(seed, chunk + 1, chunk->length_bytes) ? 0
										       : -EBADMSG;
}

void
format_chunk_seal(struct disk_chunk *chunk, uint32_t seed)
{
	chunk->data_crc32c = tarn_crc32c(seed, chunk + 1, chunk->length_bytes);
	head_seal(&chunk->head, DISK_CHUNK_MAGIC, seed);
	tarn_assert(format_chunk_verify(chunk, seed) == 0);
}
