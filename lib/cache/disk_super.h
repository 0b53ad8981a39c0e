/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include "lib/cache/disk.h"

/* Superblocks and checkpoints: what is not the log. See disk.h. */

/* --- Superblock, at 0 and at 4096 --- */

#define DISK_VOLUME_COUNT 60

struct disk_volume {
	uint8_t uuid[16]; /* all zero with id 0: no volume */
	uint32_t id;
	uint32_t reserved;
	uint64_t generation;
	uint8_t reserved_end[32];
};
DISK_SIZE(disk_volume, 64);
DISK_AT(disk_volume, id, 16);
DISK_AT(disk_volume, generation, 24);

#define DISK_SUPER_CLEAN 0x1	   /* the checkpoint named here is all there is to know */
#define DISK_SUPER_WRITE_CACHE 0x2 /* the device had a volatile write cache */

struct disk_super {
	struct disk_head head;
	uint32_t block_bytes;
	uint32_t flags;
	uint64_t sequence; /* of two good copies the higher one wins */
	uint8_t uuid[16];
	uint64_t device_bytes;
	uint64_t data_offset; /* bytes: segment 0 of shard 0 */
	uint64_t checkpoint_offset[2];
	uint64_t checkpoint_bytes; /* of each area */
	uint32_t segment_bytes;
	uint32_t shard_count;
	uint32_t segment_count; /* of each shard */
	uint32_t bucket_count;	/* of each shard's index */
	uint64_t format_time_s;
	uint64_t time_s;	/* the latest that was logged before this was written */
	uint64_t disk_sequence; /* 0: not known */
	uint8_t boot_id[16];
	uint64_t checkpoint_sequence; /* with DISK_SUPER_CLEAN */
	uint32_t next_volume_id;
	uint32_t entry_bytes; /* that the index was made for; 0: not known */
	uint8_t reserved[96];
	struct disk_volume volume[DISK_VOLUME_COUNT];
};
DISK_SIZE(disk_super, DISK_BLOCK);
DISK_AT(disk_super, block_bytes, 16);
DISK_AT(disk_super, flags, 20);
DISK_AT(disk_super, sequence, 24);
DISK_AT(disk_super, uuid, 32);
DISK_AT(disk_super, device_bytes, 48);
DISK_AT(disk_super, data_offset, 56);
DISK_AT(disk_super, checkpoint_offset, 64);
DISK_AT(disk_super, checkpoint_bytes, 80);
DISK_AT(disk_super, segment_bytes, 88);
DISK_AT(disk_super, shard_count, 92);
DISK_AT(disk_super, segment_count, 96);
DISK_AT(disk_super, bucket_count, 100);
DISK_AT(disk_super, format_time_s, 104);
DISK_AT(disk_super, time_s, 112);
DISK_AT(disk_super, disk_sequence, 120);
DISK_AT(disk_super, boot_id, 128);
DISK_AT(disk_super, checkpoint_sequence, 144);
DISK_AT(disk_super, next_volume_id, 152);
DISK_AT(disk_super, entry_bytes, 156);
DISK_AT(disk_super, reserved, 160);
DISK_AT(disk_super, volume, 256);

/* --- Checkpoints --- */

#define DISK_CHECKPOINT_SHARDS 16

struct disk_checkpoint_shard {
	uint64_t start, end; /* positions: recovery replays from start; the log is flushed to end */
	uint64_t tail, head; /* sequences */
	uint64_t head_end;   /* blocks of the head segment, with the clean flag */
	uint64_t batch_number;
	uint64_t entry_count;
	uint32_t chunk_count[3]; /* by kind */
	uint32_t reserved;
	uint64_t floor; /* sequence, with the clean flag: the log goes on above it */
	uint64_t reserved_end[6];
};
DISK_SIZE(disk_checkpoint_shard, 128);
DISK_AT(disk_checkpoint_shard, tail, 16);
DISK_AT(disk_checkpoint_shard, head_end, 32);
DISK_AT(disk_checkpoint_shard, entry_count, 48);
DISK_AT(disk_checkpoint_shard, chunk_count, 56);
DISK_AT(disk_checkpoint_shard, floor, 72);

#define DISK_CHECKPOINT_CLEAN 0x1

/* First block of a checkpoint area, written last. */
struct disk_checkpoint {
	struct disk_head head;
	uint32_t flags;
	uint32_t shard_count;
	uint64_t sequence;
	uint8_t uuid[16];
	uint64_t time_s;
	uint64_t bucket_count;
	uint8_t reserved[64];
	struct disk_checkpoint_shard shard[DISK_CHECKPOINT_SHARDS];
	uint8_t reserved_end[1920];
};
DISK_SIZE(disk_checkpoint, DISK_BLOCK);
DISK_AT(disk_checkpoint, flags, 16);
DISK_AT(disk_checkpoint, shard_count, 20);
DISK_AT(disk_checkpoint, sequence, 24);
DISK_AT(disk_checkpoint, uuid, 32);
DISK_AT(disk_checkpoint, time_s, 48);
DISK_AT(disk_checkpoint, bucket_count, 56);
DISK_AT(disk_checkpoint, shard, 128);

#define DISK_CHUNK_BYTES (256 * 1024) /* with its head; all chunks, full or not */
#define DISK_CHUNK_DATA (DISK_CHUNK_BYTES - DISK_BLOCK)

enum disk_chunk_kind { DISK_CHUNK_INDEX, DISK_CHUNK_SEGMENTS, DISK_CHUNK_BANS };
#define DISK_CHUNK_KIND_COUNT 3

struct disk_chunk {
	struct disk_head head;
	uint64_t sequence; /* the checkpoint's */
	uint32_t shard;
	uint32_t kind;
	uint32_t index; /* among those of its kind */
	uint32_t length_bytes;
	uint64_t
	    head_sequence; /* of the log when it was copied: which lives of segments are meant */
	uint32_t data_crc32c;
	uint8_t reserved[4044];
};
DISK_SIZE(disk_chunk, DISK_BLOCK);
DISK_AT(disk_chunk, sequence, 16);
DISK_AT(disk_chunk, shard, 24);
DISK_AT(disk_chunk, kind, 28);
DISK_AT(disk_chunk, index, 32);
DISK_AT(disk_chunk, length_bytes, 36);
DISK_AT(disk_chunk, head_sequence, 40);
DISK_AT(disk_chunk, data_crc32c, 48);

/* In chunks of kind DISK_CHUNK_SEGMENTS, by place. */
struct disk_segment_state {
	uint64_t epoch;
	uint64_t sequence; /* 0: does not belong to the log */
	uint32_t end_block;
	uint32_t flags;
	uint64_t reserved;
};
DISK_SIZE(disk_segment_state, 32);
#define DISK_SEGMENT_TRAILER 0x1 /* it has one */
