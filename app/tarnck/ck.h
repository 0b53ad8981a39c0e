/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "finding.h"
#include "lib/cache/format.h"
#include "opts.h"
#include "tarn/bdev_file.h"
#include "tarn/reason.h"

/*
 * What tarnck has found. One thread; everything belongs to struct ck. The check runs in steps, one
 * file each: superblocks, checkpoints, segments, then plan.c decides as recovery would, and only
 * then is it known which finding matters.
 */

/* Exit status, in the manner of fsck(8); the highest that applies. */
enum ck_status {
	CK_CLEAN = 0,
	CK_RECOVERY = 1,    /* not stopped cleanly: recovery is needed, and would lose nothing */
	CK_DAMAGE = 4,	    /* something that was flushed is not whole */
	CK_OPERATIONAL = 8, /* no cache, held by another, cannot be read, a newer version */
	CK_USAGE = 16,
};
const char *ck_status_text(enum ck_status status);

/* --- Checkpoints --- */

struct ck_checkpoint {
	bool there, whole, shard_whole[DISK_CHECKPOINT_SHARDS];
	struct disk_checkpoint header;
	uint64_t chunk_count, bad_chunk_count;
};

/* --- The log --- */

enum ck_header { CK_HEADER_BLANK, CK_HEADER_FOREIGN, CK_HEADER_BAD, CK_HEADER_GOOD };

struct ck_segment {
	enum ck_header header;
	uint64_t epoch, sequence, previous, time_s;
	uint64_t gap_start, gap_end;
	uint32_t previous_end;
	uint32_t seed;
	uint64_t header_tail, header_durable; /* what the header says, or what stands in for it */
	bool unreadable;		      /* the header, and what would stand in for it */
	/* Read so far. */
	uint64_t tail, durable, latest_s; /* the highest of header and batches */
	uint32_t header_end;		  /* batch headers are whole up to here */
	uint32_t bad_payload;		  /* the first batch with a payload that is not; 0: none */
	uint32_t batch_count, entry_count;
	bool claims_more; /* at header_end lies a batch of this life, which is not whole */
	bool checked, trailer;
	uint32_t trailer_end; /* with trailer: where the batches end */
	/* Decided by the plan. */
	bool followed;
	uint32_t log_end; /* followed: what lies beyond does not belong to the log */
};

/* What recovery would do with a shard. */
struct ck_plan {
	uint64_t tail, durable; /* sequence; position in blocks */
	uint64_t start;		/* the position from which it reads */
	uint64_t head;		/* sequence */
	uint32_t end_block;	/* of head: where the log ends */
	const char *why;	/* it ends there */
	uint32_t followed_count;
	uint64_t damage_count;	  /* holes in what was flushed */
	uint64_t damage_position; /* the last: what is older is clean and lost, or suspect */
	uint64_t entry_count, suspect_count; /* of the index that comes of it */
};

struct found_segment;
struct recovery;
struct scan;
struct shard;

struct ck_shard {
	struct ck_segment *segments; /* by place */
	uint64_t latest_s;
	struct ck_plan plan;
	struct recovery *recovery; /* lib/cache's, filled in as far as its code is used here */
};

/* --- What the log holds --- */

#define CK_SIZE_BUCKETS 20 /* by powers of two, from 64 bytes */
#define CK_AGE_BUCKETS 8

struct ck_contents {
	uint64_t block_count, object_count; /* live */
	uint64_t live_bytes;
	uint64_t dirty_count, lost_count;      /* lost: known as such, reads fail */
	uint64_t suspect_count, dropped_count; /* older than damage: dirty, clean */
	uint64_t expired_count, banned_count;  /* not live */
	uint64_t dead_count;		       /* there is something newer */
	uint64_t ban_count, tombstone_count;
	uint64_t size[CK_SIZE_BUCKETS], age[CK_AGE_BUCKETS];
};
const char *ck_age_name(uint32_t bucket);
/** \return the largest size that a bucket counts. */
uint64_t ck_size_limit(uint32_t bucket);

struct ck {
	const struct ck_opts *opts;
	struct tarn_bdev_file device;
	struct tarn_reason reason; /* with CK_OPERATIONAL */
	struct ck_findings findings;

	struct disk_super super[2];
	int super_status[2]; /* of format_super_verify(), or of reading */
	const struct disk_super *best;
	uint32_t seed;
	uint32_t segment_blocks;
	bool same_boot;

	struct ck_checkpoint checkpoint[2];
	int tried_checkpoint[2]; /* areas, in the order in which a start tries them; -1: no more */
	bool clean_start;	 /* the first is all there is to know */
	struct ck_shard *shards;
	uint8_t *buf; /* a segment, or a chunk */
	uint64_t checked_segment_count, batch_count, entry_count;

	struct ck_contents contents;
	uint64_t now_s; /* for ages and expiry: never before what was logged */
	uint64_t read_bytes, total_bytes, progress_ns;
	enum ck_status status;
};

/* device.c */
int ck_device_open(struct ck *ck, const char *path);
void ck_device_close(struct ck *ck);
/** All of it. buf is aligned to 4096. \return 0 or -errno. */
int ck_read(struct ck *ck, void *buf, uint64_t length_bytes, uint64_t offset_bytes);
void ck_progress_end(struct ck *ck);

/* Each step: \return 0, or -errno with ck->reason: nothing more can be said. */
int ck_check_supers(struct ck *ck);	 /* super.c */
int ck_check_checkpoints(struct ck *ck); /* checkpoint.c */
/** The area whose image of a shard a start would use, or -1; whether it uses one for any shard. */
int ck_checkpoint_of(const struct ck *ck, uint32_t shard);
bool ck_checkpoint_used(const struct ck *ck, int area);
/** Fill in what those that a start tries say of segments of which the shard knows less. */
void ck_checkpoint_tables(struct ck *ck, struct shard *shard);
int ck_read_headers(struct ck *ck);   /* segment.c */
int ck_take_tables(struct ck *ck);    /* table.c */
int ck_check_segments(struct ck *ck); /* segment.c */
int ck_take_stock(struct ck *ck);     /* contents.c */

/* segment.c */
/** What a header says, or what stands in for it, unless something newer was found there. */
void ck_segment_take(const struct ck *ck, struct ck_segment *segment,
		     const struct found_segment *found);
/* table.c */
void ck_tables_fini(struct ck *ck);
/* trailer.c */
/** The copy at the end of a segment whose bytes are in ck->buf. */
void ck_check_trailer(struct ck *ck, uint32_t shard, struct ck_segment *segment);
/* scan.c */
/**
 * Read a segment as recovery does: end_limit, use_trailer and verify_from are the caller's.
 * ck_scan_fini() in any case. \return 0 or -ENOMEM.
 */
int ck_scan(struct ck *ck, uint32_t shard, const struct ck_segment *segment, struct scan *scan);
void ck_scan_fini(struct scan *scan);

/* plan.c */
/** What recovery would do, for each shard; marks what it would follow. */
int ck_make_plans(struct ck *ck);

/* check.c */
/** The whole check. \return the exit status. */
enum ck_status ck_check(struct ck *ck, const struct ck_opts *opts);
void ck_fini(struct ck *ck);

/* dump.c */
void ck_dump_super(const struct ck *ck, int copy);
void ck_dump_checkpoint(const struct ck *ck, int area);
void ck_dump_segment(const struct ck *ck, uint32_t shard, const struct ck_segment *segment);
void ck_dump_batch(const struct ck *ck, uint32_t shard, const struct disk_batch *batch);
/** Of a block of records without a batch. */
void ck_dump_packed(const struct ck *ck, uint32_t shard, uint64_t sequence,
		    const struct disk_entry *entries, uint32_t count);

/* report.c, json.c */
void ck_report_text(const struct ck *ck);
/** \return 0 or -ENOMEM. */
int ck_report_json(const struct ck *ck);
void ck_format_uuid(const uint8_t uuid[16], char text[37]);

/* --- Places --- */

static inline uint64_t
ck_segment_offset(const struct ck *ck, uint32_t shard, uint64_t place)
{
	return ck->best->data_offset +
	       (place * ck->best->shard_count + shard) * ck->best->segment_bytes;
}

static inline uint64_t
ck_position(const struct ck *ck, uint64_t sequence, uint32_t block)
{
	return sequence * ck->segment_blocks + block;
}

static inline struct ck_segment *
ck_segment_of(const struct ck *ck, uint32_t shard, uint64_t sequence)
{
	return &ck->shards[shard].segments[sequence % ck->best->segment_count];
}
