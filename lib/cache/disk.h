/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <stddef.h>
#include <stdint.h>

/*
 * What is on the device, as doc/on-disk-format.md draws it. Little-endian, fixed width, naturally
 * aligned; reserved bytes are zero and checked. format.c alone seals and verifies these blocks.
 */
#define DISK_VERSION 4
#define DISK_BLOCK 4096 /* bytes: the unit of everything here */
#define DISK_UNIT 16	/* bytes: the unit of places within a segment */
#define DISK_BLOCK_UNITS (DISK_BLOCK / DISK_UNIT)

#define DISK_SUPER_MAGIC UINT64_C(0x727075736e726174)	   /* "tarnsupr" */
#define DISK_SEGMENT_MAGIC UINT64_C(0x6d6765736e726174)	   /* "tarnsegm" */
#define DISK_BATCH_MAGIC UINT64_C(0x686374626e726174)	   /* "tarnbtch" */
#define DISK_FOOTER_MAGIC UINT64_C(0x746f6f666e726174)	   /* "tarnfoot" */
#define DISK_CHECKPOINT_MAGIC UINT64_C(0x74706b636e726174) /* "tarnckpt" */
#define DISK_CHUNK_MAGIC UINT64_C(0x6b6e68636e726174)	   /* "tarnchnk" */

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the on-disk format is read and written in place, which takes a little-endian machine"
#endif

#define DISK_SIZE(type, size) _Static_assert(sizeof(struct type) == (size), #type " size")
#define DISK_AT(type, member, at)                                                                  \
	_Static_assert(offsetof(struct type, member) == (at), #type "." #member " offset")

/* Every block but chunk data and payload begins so, in all versions. */
struct disk_head {
	uint64_t magic;
	uint32_t version;
	uint32_t crc32c; /* of the whole block with this field as zero, by the block's seed */
};
DISK_SIZE(disk_head, 16);
DISK_AT(disk_head, version, 8);
DISK_AT(disk_head, crc32c, 12);

/* --- The log --- */

/* First block of a segment. Seed: the cache and the segment's place. */
struct disk_segment {
	struct disk_head head;
	uint64_t epoch;	   /* random; seeds everything else in the segment */
	uint64_t sequence; /* above that of every other segment of the shard; place: mod count */
	uint64_t previous; /* sequence of the one before it in the log; 0: there is none */
	uint32_t previous_end; /* blocks of that one which belong to the log */
	uint32_t shard;
	uint64_t tail;	  /* sequence: no older segment belongs to the log */
	uint64_t durable; /* position in blocks: flushed up to here when this was written */
	uint64_t time_s;  /* Unix time when this was written */
	uint64_t gap_start, gap_end; /* positions: all live there was written again after a failed
				      * flush, and is durable behind it; equal: none */
	uint8_t uuid[16];
	uint8_t reserved[3992];
};
DISK_SIZE(disk_segment, DISK_BLOCK);
DISK_AT(disk_segment, epoch, 16);
DISK_AT(disk_segment, sequence, 24);
DISK_AT(disk_segment, previous, 32);
DISK_AT(disk_segment, previous_end, 40);
DISK_AT(disk_segment, shard, 44);
DISK_AT(disk_segment, tail, 48);
DISK_AT(disk_segment, durable, 56);
DISK_AT(disk_segment, time_s, 64);
DISK_AT(disk_segment, gap_start, 72);
DISK_AT(disk_segment, gap_end, 80);
DISK_AT(disk_segment, uuid, 88);
DISK_AT(disk_segment, reserved, 104);

/* Kinds of entries. Those with a payload have it in their batch, at `place`. */
enum disk_entry_kind {
	DISK_BLOCK_ENTRY = 1, /* payload: 4096 bytes */
	DISK_OBJECT_ENTRY,    /* payload: a record */
	DISK_FORGET_BLOCKS,   /* tombstone of `length` blocks from `identity` on */
	DISK_FORGET_OBJECT,   /* tombstone of the hash `identity` */
	DISK_CLEAN_BLOCKS,    /* `length` blocks from `identity` on are on the core */
	DISK_BAN,	      /* payload: struct disk_ban and its prefix */
};
#define DISK_ENTRY_DIRTY 0x1
#define DISK_ENTRY_SUSPECT 0x2 /* dirty, and its contents are lost: reads fail */

struct disk_entry {
	uint8_t kind;
	uint8_t flags;
	uint16_t reserved;
	uint32_t length;   /* bytes of payload, or blocks */
	uint64_t identity; /* block number, or hash of the key */
	uint32_t volume;
	uint32_t crc32c; /* of a block's or ban's payload, of a record's head; by seed and place */
	uint32_t place;	 /* units from the segment's start: the payload, or where it would be */
	uint32_t expiry_s; /* Unix time; 0: never */
};
DISK_SIZE(disk_entry, 32);
DISK_AT(disk_entry, length, 4);
DISK_AT(disk_entry, identity, 8);
DISK_AT(disk_entry, volume, 16);
DISK_AT(disk_entry, crc32c, 20);
DISK_AT(disk_entry, place, 24);
DISK_AT(disk_entry, expiry_s, 28);

#define DISK_BATCH_ENTRIES 124

/* First block of a batch. Seed: the segment's epoch and the block's place in it. */
struct disk_batch {
	struct disk_head head;
	uint64_t epoch;
	uint64_t sequence;    /* the segment's */
	uint32_t block;	      /* place in the segment */
	uint32_t block_count; /* this one included */
	uint32_t entry_count;
	uint32_t shard;
	uint64_t tail;	  /* as in the segment, when this was written */
	uint64_t durable; /* likewise */
	uint64_t number;  /* of batches of this shard: one more than the one before */
	uint64_t time_s;
	uint32_t first_number; /* entries of the segment before it */
	uint32_t reserved;
	uint64_t previous; /* this and what follows: as in the segment, for where that is lost */
	uint64_t gap_start, gap_end;
	uint32_t previous_end;
	uint8_t reserved_end[12];
	struct disk_entry entry[DISK_BATCH_ENTRIES];
};
DISK_SIZE(disk_batch, DISK_BLOCK);
DISK_AT(disk_batch, epoch, 16);
DISK_AT(disk_batch, sequence, 24);
DISK_AT(disk_batch, block, 32);
DISK_AT(disk_batch, block_count, 36);
DISK_AT(disk_batch, entry_count, 40);
DISK_AT(disk_batch, shard, 44);
DISK_AT(disk_batch, tail, 48);
DISK_AT(disk_batch, durable, 56);
DISK_AT(disk_batch, number, 64);
DISK_AT(disk_batch, time_s, 72);
DISK_AT(disk_batch, first_number, 80);
DISK_AT(disk_batch, previous, 88);
DISK_AT(disk_batch, gap_start, 96);
DISK_AT(disk_batch, gap_end, 104);
DISK_AT(disk_batch, previous_end, 112);
DISK_AT(disk_batch, reserved_end, 116);
DISK_AT(disk_batch, entry, 128);

/*
 * The end of a sealed segment. The trailer, all its entries again, begins at trailer_block; the
 * footer is what its last block ends with.
 */
struct disk_footer {
	struct disk_head head;
	uint64_t epoch;
	uint64_t sequence;
	uint32_t end_block; /* where the batches end */
	uint32_t trailer_block;
	uint32_t entry_count;
	uint32_t trailer_crc32c; /* of the trailer, up to here */
	uint32_t shard;
	uint32_t batch_count;
	uint64_t tail;	   /* the highest of its batches */
	uint64_t durable;  /* likewise */
	uint64_t time_s;   /* likewise */
	uint64_t number;   /* of its last batch */
	uint64_t previous; /* this and what follows: as in the batches */
	uint64_t gap_start, gap_end;
	uint32_t previous_end;
	uint8_t reserved[12];
};
DISK_SIZE(disk_footer, 128);
DISK_AT(disk_footer, end_block, 32);
DISK_AT(disk_footer, trailer_block, 36);
DISK_AT(disk_footer, entry_count, 40);
DISK_AT(disk_footer, trailer_crc32c, 44);
DISK_AT(disk_footer, shard, 48);
DISK_AT(disk_footer, tail, 56);
DISK_AT(disk_footer, number, 80);
DISK_AT(disk_footer, previous, 88);
DISK_AT(disk_footer, gap_start, 96);
DISK_AT(disk_footer, gap_end, 104);
DISK_AT(disk_footer, previous_end, 112);
DISK_AT(disk_footer, reserved, 116);

/*
 * An object: this head, the key, padding to 4, one CRC32C for each 4096 bytes of value, the value.
 * A record of at most a block says all that an entry would: it needs no batch. Such records begin
 * a block, one behind the other, up to the first that does not belong there.
 */
struct disk_record {
	uint32_t crc32c; /* of all before the value, with this field as zero; by seed and place */
	uint32_t value_bytes;
	uint16_t key_bytes;
	uint16_t reserved;
	uint32_t expiry_s;
	uint64_t hash;
	uint32_t stored_s;
	uint32_t number; /* entries of the segment before it */
};
DISK_SIZE(disk_record, 32);
DISK_AT(disk_record, value_bytes, 4);
DISK_AT(disk_record, key_bytes, 8);
DISK_AT(disk_record, expiry_s, 12);
DISK_AT(disk_record, hash, 16);
DISK_AT(disk_record, stored_s, 24);
DISK_AT(disk_record, number, 28);

#define DISK_BAN_BLOCKS 1 /* from, count, volume (0: all) */
#define DISK_BAN_PREFIX 2 /* objects whose key begins so */
#define DISK_BAN_DAMAGE 3 /* all before position that is clean; dirty blocks are suspect */

/* A rule against all entries that lie before it in the log. */
struct disk_ban {
	uint8_t kind;
	uint8_t reserved[3];
	uint32_t volume;
	uint64_t from;
	uint64_t count;
	uint64_t position; /* in units; in a checkpoint only: elsewhere where it lies */
	uint32_t prefix_bytes;
	uint32_t reserved_end;
};
DISK_SIZE(disk_ban, 40);
DISK_AT(disk_ban, volume, 4);
DISK_AT(disk_ban, from, 8);
DISK_AT(disk_ban, count, 16);
DISK_AT(disk_ban, position, 24);
DISK_AT(disk_ban, prefix_bytes, 32);
