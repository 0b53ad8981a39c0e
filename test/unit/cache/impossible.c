/* SPDX-License-Identifier: BSD-3-Clause */
#include "test/unit/cache/impossible.h"

#include <string.h>

enum change { SET, ADD };

struct impossible {
	const char *name;
	size_t at, bytes;
	enum change change;
	uint64_t value; /* to be set; to be added, and then perhaps negative */
};

#define IMPOSSIBLE(field, how, by)                                                                 \
	{                                                                                          \
		.name = #field, .at = offsetof(struct disk_super, field),                          \
		.bytes = sizeof(((struct disk_super *)0)->field), .change = (how), .value = (by)   \
	}
#define ADDED(field, by) IMPOSSIBLE(field, ADD, (uint64_t)(int64_t)(by))

static const struct impossible cases[] = {
	IMPOSSIBLE(block_bytes, SET, 0),
	IMPOSSIBLE(block_bytes, SET, 512),
	IMPOSSIBLE(block_bytes, SET, 8192),
	IMPOSSIBLE(flags, SET, 0x4),
	IMPOSSIBLE(flags, SET, UINT32_MAX),
	/* Its segments and areas would be another number, or not fit. */
	IMPOSSIBLE(device_bytes, SET, 0),
	IMPOSSIBLE(device_bytes, SET, 8192),
	IMPOSSIBLE(device_bytes, SET, UINT64_MAX),
	IMPOSSIBLE(device_bytes, SET, UINT64_MAX / 2),
	ADDED(device_bytes, -(16 << 20)),
	ADDED(device_bytes, 64 << 20),
	IMPOSSIBLE(data_offset, SET, 0),
	IMPOSSIBLE(data_offset, SET, 4096),
	IMPOSSIBLE(data_offset, SET, UINT64_MAX),
	ADDED(data_offset, 1),
	ADDED(data_offset, 4096),
	ADDED(data_offset, -4096),
	/* On the superblocks, on each other, on the log, or beyond the device. */
	IMPOSSIBLE(checkpoint_offset[0], SET, 0),
	IMPOSSIBLE(checkpoint_offset[0], SET, 4096),
	IMPOSSIBLE(checkpoint_offset[0], SET, UINT64_MAX - 4095),
	ADDED(checkpoint_offset[0], 1),
	ADDED(checkpoint_offset[0], 4096),
	IMPOSSIBLE(checkpoint_offset[1], SET, 0),
	IMPOSSIBLE(checkpoint_offset[1], SET, 8192),
	IMPOSSIBLE(checkpoint_offset[1], SET, UINT64_MAX - 4095),
	ADDED(checkpoint_offset[1], -4096),
	ADDED(checkpoint_offset[1], 4096),
	/* Less than index and table need, or more. */
	IMPOSSIBLE(checkpoint_bytes, SET, 0),
	IMPOSSIBLE(checkpoint_bytes, SET, 4096),
	IMPOSSIBLE(checkpoint_bytes, SET, UINT64_MAX),
	ADDED(checkpoint_bytes, -DISK_CHUNK_BYTES),
	ADDED(checkpoint_bytes, DISK_CHUNK_BYTES),
	IMPOSSIBLE(segment_bytes, SET, 0),
	IMPOSSIBLE(segment_bytes, SET, 1),
	IMPOSSIBLE(segment_bytes, SET, 64 << 10),
	IMPOSSIBLE(segment_bytes, SET, 384 << 10),
	IMPOSSIBLE(segment_bytes, SET, 16 << 20),
	IMPOSSIBLE(segment_bytes, SET, 32 << 20),
	IMPOSSIBLE(segment_bytes, SET, UINT32_C(1) << 31),
	IMPOSSIBLE(shard_count, SET, 0),
	IMPOSSIBLE(shard_count, SET, DISK_CHECKPOINT_SHARDS + 1),
	IMPOSSIBLE(shard_count, SET, UINT32_MAX),
	ADDED(shard_count, 1),
	ADDED(shard_count, -1),
	IMPOSSIBLE(segment_count, SET, 0),
	IMPOSSIBLE(segment_count, SET, 1),
	IMPOSSIBLE(segment_count, SET, UINT32_MAX),
	ADDED(segment_count, 1),
	ADDED(segment_count, -1),
	/* None, not in pairs, or an image that its area does not hold. */
	IMPOSSIBLE(bucket_count, SET, 0),
	IMPOSSIBLE(bucket_count, SET, 2),
	IMPOSSIBLE(bucket_count, SET, UINT32_MAX),
	IMPOSSIBLE(bucket_count, SET, UINT32_MAX - 1),
	ADDED(bucket_count, 1),
	ADDED(bucket_count, DISK_CHUNK_DATA / 64),
	IMPOSSIBLE(entry_bytes, SET, 1),
	IMPOSSIBLE(entry_bytes, SET, 63),
	IMPOSSIBLE(entry_bytes, SET, 4097),
	IMPOSSIBLE(entry_bytes, SET, UINT32_MAX),
	IMPOSSIBLE(next_volume_id, SET, 0),
	IMPOSSIBLE(volume[0].id, SET, UINT32_MAX),
	IMPOSSIBLE(volume[59].generation, SET, 1), /* of a volume that there is not */
	IMPOSSIBLE(volume[59].reserved, SET, 1),
	IMPOSSIBLE(volume[59].reserved_end[31], SET, 1),
	IMPOSSIBLE(reserved[0], SET, 1),
	IMPOSSIBLE(reserved[95], SET, 1),
};

void
impossible_seal(struct disk_super *super)
{
	uint32_t zero = 0;
	uint32_t crc = tarn_crc32c(0, super, offsetof(struct disk_head, crc32c));

	crc = tarn_crc32c(crc, &zero, sizeof(zero));
	super->head.crc32c = tarn_crc32c(crc, (uint8_t *)super + sizeof(super->head),
					 sizeof(*super) - sizeof(super->head));
}

const char *
impossible_super(uint32_t n, struct disk_super *super)
{
	const struct impossible *one;
	uint64_t value = 0;
	uint8_t *field;

	if (n >= tarn_array_count(cases))
		return NULL;
	one = &cases[n];
	field = (uint8_t *)super + one->at;
	memcpy(&value, field, one->bytes);
	value = one->change == ADD ? value + one->value : one->value;
	memcpy(field, &value, one->bytes);
	impossible_seal(super);
	return one->name;
}
