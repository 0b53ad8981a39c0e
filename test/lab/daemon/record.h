/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What a cache must hold, as its client knows it: a file in memory, so that it outlives the daemon,
 * and can be written whole to a device as a mark. Items are objects, then blocks. Each has versions
 * 1, 2, 3, …; seed, item and version say what a version is: some bytes, or gone (removed,
 * forgotten). One thread; little-endian machines.
 */
#define RECORD_MAGIC UINT64_C(0x6472636572626c) /* "lbrecrd" */
#define RECORD_VALUE_MAX 20000u
#define RECORD_BLOCK_BYTES 4096u

struct record_head {
	uint64_t magic, seed;
	uint64_t mark; /* number of the last mark, for those who find one */
	uint32_t object_count, block_count;
	uint64_t reserved[4];
};

/* settled <= top <= flushed <= acked <= asked */
struct record_item {
	uint32_t asked;	  /* the last version that was asked for */
	uint32_t acked;	  /* the last that was acknowledged */
	uint32_t flushed; /* the last acknowledged before a completed flush began, or durable */
	uint32_t fenced;  /* acked, when the present flush began */
	/* What a check after a crash found (0: nothing), of versions up to top. */
	uint32_t settled;
	uint32_t top;
};

struct record {
	struct record_head *head;
	struct record_item *items;
	size_t bytes; /* of the file: whole blocks */
};

/**
 * Map a file with a record, or make one of so many items where there is none, or an empty one.
 * \return 0 or -errno; -EINVAL: the file is no record.
 */
int record_open(struct record *record, const char *path, const struct record_head *like);
void record_close(struct record *record);
uint32_t record_count(const struct record *record);
bool record_is_block(const struct record *record, uint32_t item);

bool record_gone(const struct record *record, uint32_t item, uint32_t version);
/** Write what a version is, at most RECORD_VALUE_MAX bytes. \return its length. */
uint32_t record_value(const struct record *record, uint32_t item, uint32_t version, void *value);
/** \return the version of these bytes, or 0: nobody wrote them for this item. */
uint32_t record_version(const struct record *record, uint32_t item, const void *value,
			uint64_t value_bytes);

enum record_verdict { RECORD_GOOD, RECORD_LOST, RECORD_OLD, RECORD_WRONG };
struct record_rules {
	bool durable; /* power was lost: what was flushed counts, not what was acknowledged */
	bool evict;   /* the cache may have dropped objects */
	bool failed;  /* stores failed, and what was there may be forgotten */
};
/** found: a version, or 0: nothing is there. */
enum record_verdict record_judge(const struct record *record, uint32_t item, uint32_t found,
				 const struct record_rules *rules);
/** After a crash this, and no other version so far, is what every later read must find. */
void record_settle(struct record *record, uint32_t item, uint32_t found);
void record_flush_begins(struct record *record);
void record_flush_done(struct record *record);
