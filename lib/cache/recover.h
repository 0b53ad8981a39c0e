/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include "lib/cache/fan.h"
#include "lib/cache/internal.h"
#include "lib/cache/scan.h"
#include "lib/cache/sure_read.h"

/*
 * Recovery of a shard after an unclean stop; see doc/cache-design.md, Recovery. On the shard's
 * reactor, before it takes requests. Writes nothing but, in its place, what is there (rewrite.c).
 */
#define RECOVER_HEADERS 64 /* read at a time */
#define RECOVER_SCANS 32   /* likewise: each reads its segment's end, and seldom more */

/* What a segment's header says, or what stands in for it; by place. */
struct found_segment {
	uint64_t sequence; /* 0: no header, or not of this life of the cache */
	uint64_t epoch, previous;
	uint64_t tail; /* true if it is part of the log, or durable */
	uint64_t durable, time_s;
	uint64_t gap_start, gap_end;
	uint32_t previous_end;
	uint32_t seed;
	uint64_t successor; /* the greatest sequence that goes on from this one; 0: none */
	bool probed;	    /* its batches were asked for the durable position */
	bool passed_over;   /* a later header says that it does not belong to the log */
	bool unreadable;    /* there is something, and it cannot be read */
};

/* A segment of the chain. */
struct chain_link {
	uint64_t sequence;
	uint32_t end;	   /* as its successor says; UINT32_MAX: there is none */
	uint32_t read_end; /* as far as it was whole; 0: not read */
	bool broken;	   /* it does not go on from the one before: what was between is missing */
	uint64_t damage;   /* blocks: flushed log is damaged before this position; 0: it is not */
};

struct found_ban {
	uint64_t sequence, position; /* units */
	uint32_t place, length, crc32c;
};

/* Positions in blocks: all that lived in there is durable behind it. See claims.c. */
struct closed_gap {
	uint64_t start, end;
};

struct recovery;

/* Finding out about one segment: its header, failing that its footer and first batch. */
struct header_read {
	struct sure_read read;
	struct recovery *recovery;
	void *block;
	uint32_t number; /* of the segment; UINT32_MAX: idle */
	bool read_error; /* of the header */
};

/* See rewrite.c. */
struct rewrite {
	struct tarn_io io;
	uint8_t *buf;
	uint64_t sequence;
	uint32_t block, count, max, tries;
	void (*done)(struct recovery *recovery, int status);
};

struct recovery {
	struct shard *shard;
	struct fan_slot *slot;
	const struct disk_checkpoint *checkpoint; /* NULL: none */
	const struct disk_checkpoint *older;	  /* to be tried where that one is damaged */

	/* Headers. */
	struct found_segment *found;
	struct header_read reads[RECOVER_HEADERS];
	uint32_t next_header, header_pending;
	uint64_t max_sequence, durable, time_s;
	uint64_t tail; /* grows as the log is read: only what is part of it, or durable, counts */
	uint64_t gap_start, gap_end;

	struct closed_gap *gaps;
	uint32_t gap_count;

	/* The chain, and its scans. */
	struct chain_link *chain;
	uint32_t chain_count, first; /* first: to be scanned */
	struct scan scans[RECOVER_SCANS];
	bool scan_done[RECOVER_SCANS];
	uint32_t next_scan, next_apply, scan_pending;
	bool log_ended, feeding;
	uint64_t from; /* sequence: replay begins there; 0: at the tail */
	int status;

	/* What came of it. */
	struct found_ban *bans;
	uint32_t ban_count, ban_max, next_ban;
	struct sure_read ban_read;
	uint8_t *ban_buf;
	struct rewrite rewrite;
	uint64_t damage;	/* units: what is before may be older than what was lost; 0: none */
	uint64_t damage_logged; /* of that: what an earlier recovery found, and noted */
	uint64_t last;		/* sequence of the last segment that belongs to the log */
	uint32_t last_end;
	uint64_t batch_number;
	uint64_t damaged_count, entry_count, lost_count;
	bool checkpoint_used, checkpoint_damaged;
};

/**
 * Begin; fan_answer(slot) when done. The older checkpoint is for where the other is damaged. Both
 * may be NULL, and outlive the recovery.
 */
void recover_shard(struct fan_slot *slot, const struct disk_checkpoint *checkpoint,
		   const struct disk_checkpoint *older);

/* headers.c */
/** Find out about all segments; then recover_found(recovery, 0), or -ENOMEM. */
void headers_read(struct recovery *recovery);
void headers_fini(struct recovery *recovery);

/* recover.c */
void recover_found(struct recovery *recovery, int status);

/* claims.c */
/** All headers are read. \return 0 or -ENOMEM. */
int claims_judge(struct recovery *recovery);
/** Where the closed gap around a position (blocks) ends; 0: there is none. */
uint64_t claims_gap_around(const struct recovery *recovery, uint64_t position);
/** The block of a link's segment up to which it is to be read. */
uint32_t claims_end(const struct recovery *recovery, const struct chain_link *link);

/* chain.c */
/** All is probed. \return 0 or -ENOMEM: the chain, from the tail on, as the headers tell it. */
int chain_build(struct recovery *recovery);

/*
 * judge.c: what is known, and what it means. No I/O, nothing of shard but its number, segment_count
 * and segment_blocks (and, in judge_end(), the index): the offline check has the same rules by it.
 */
static inline struct found_segment *
recovery_found(const struct recovery *recovery, uint64_t sequence)
{
	return &recovery->found[shard_segment_number(recovery->shard, sequence)];
}
/** What each of them says of its segment; the seed is left 0. */
struct found_segment judge_of_header(const struct disk_segment *disk);
struct found_segment judge_of_footer(const struct disk_footer *disk);
struct found_segment judge_of_batch(const struct disk_batch *disk);
/** Take it in, unless something newer was found at that place. */
void judge_found(struct recovery *recovery, uint32_t number, const struct found_segment *found);
/** \return whose batches to ask next for the durable position, before the chain; NULL: none. */
struct found_segment *judge_probe_next(const struct recovery *recovery);
/** They were read, from the trailer or one by one. */
void judge_probed(struct recovery *recovery, const struct scan *scan);
/** A checkpoint was published: what its header says is durable. Before the chain. */
void judge_checkpoint_header(struct recovery *recovery, const struct disk_checkpoint_shard *part);
/** Its table of segments is in shard->segments: those whose headers are lost. Before the chain. */
void judge_table(struct recovery *recovery);
/** The checkpoint's image is in place: replay begins with recovery->first of the chain. */
void judge_checkpoint(struct recovery *recovery, const struct disk_checkpoint_shard *part);
/** How a segment of the chain is read; see struct scan. */
bool judge_by_trailer(const struct recovery *recovery, const struct chain_link *link);
uint32_t judge_verify_from(const struct recovery *recovery, const struct chain_link *link);
/** It was read, and all before it: take in what it says, and see whether the log goes on. */
void judge_segment(struct recovery *recovery, struct chain_link *link, const struct scan *scan);
/** All is read: what is damage, now that the tail is known. */
void judge_end(struct recovery *recovery);

/* replay.c */
/** Apply the entries of a segment of the chain, in order. */
void replay_segment(struct recovery *recovery, const struct scan *scan);
/** A ban's payload has been read, or could not be. */
void replay_ban(struct recovery *recovery, const struct found_ban *ban, const void *payload);
/** All is applied: drop what lies before the tail, and set up the shard's log. */
void replay_finish(struct recovery *recovery);

/* rewrite.c */
/**
 * After replay_finish(): write again in place, where that is called for, what lies between the
 * durable position and the end of the log. done may be called inside the call.
 */
void rewrite_start(struct recovery *recovery, void (*done)(struct recovery *recovery, int status));

/* checkpoint_load.c */
/**
 * Fill the shard's index and bans from a checkpoint. Slots of segments that are not the ones they
 * were any more are left out; with `clean`, the image is the index, and the segments come from it
 * too. done(arg, 0), -EBADMSG (damaged: the index is empty again), -EIO or -ENOMEM.
 */
void checkpoint_load(struct shard *shard, const struct disk_checkpoint *checkpoint, bool clean,
		     tarn_io_cb done, void *arg);
