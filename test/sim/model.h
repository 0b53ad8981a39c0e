/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What the cache has promised: for each subject (an object's key, or a block of a volume) the
 * versions that it may have, in order of submission. Knows nothing of the engine; flat memory that
 * outlives the process. Times are Unix time, an interval where only that is known.
 */
#define MODEL_VERSIONS 12 /* of one subject that are not settled */
#define MODEL_OBJECTS 160
#define MODEL_VOLUMES 2
#define MODEL_BLOCKS 1280 /* of each volume */

enum version_kind {
	VERSION_ABSENT, /* removed, purged, forgotten, or never there */
	VERSION_VALUE,
};

enum version_state {
	VERSION_SUBMITTED,
	VERSION_ACKED,	 /* in this life of the process, or it survived it */
	VERSION_LIMBO,	 /* not promised, of an earlier life: there or not, but for good */
	VERSION_FLUSHED, /* survives power loss */
};

struct version {
	uint64_t number;  /* of the subject's versions */
	uint64_t ack;	  /* of all that was acknowledged */
	uint64_t time_s;  /* no later than when it was logged */
	uint32_t content; /* names what was written */
	uint32_t bytes;
	uint32_t expiry_min_s, expiry_max_s; /* 0: never */
	uint32_t segments;		     /* opened before it was submitted */
	uint8_t kind, state;
	bool dirty;
	bool mark;  /* what was there before it is clean now: in the log that is as old as it was */
	bool maybe; /* perhaps it never took effect: its operation failed, or was a fill */
	bool seen;  /* read in this life: nothing older may be read */
	bool undone;  /* read in this life: it did not take effect; a later one may find it */
	bool suspect; /* a start could not read it: an error, as if it were dirty */
};

struct subject {
	uint64_t next_number;
	uint16_t writers, readers; /* operations in flight */
	uint8_t count;
	bool exclusive;	  /* no other writer may begin */
	uint32_t changes; /* a block: stores and tombstones submitted */
	struct version versions[MODEL_VERSIONS];
};

enum model_end {
	MODEL_END_STOP,	 /* clean, with status 0 */
	MODEL_END_KILL,	 /* the process died: all that completed is there */
	MODEL_END_POWER, /* only what was flushed is there for sure */
};

struct model {
	/* Set by its user. */
	bool strict;	 /* no fault was or will be injected: nothing vanishes without a reason */
	bool unreadable; /* reads may fail, or what was durable was damaged */
	bool failed;	 /* in this life the cache has stopped writing */
	bool damaged;	 /* recovery has said that flushed log is lost: what was in it is */
	uint32_t segment_slack; /* a version is not reclaimed before so many were opened after it */
	uint32_t segments;	/* opened so far */
	uint32_t object_count, block_count; /* in use; blocks are of each volume */
	uint64_t time_min_s, time_max_s;    /* now, as the engine sees it */
	/* Its own. */
	uint64_t ack, flushed_ack;
	uint64_t durable_time_s; /* the engine's clock will not be before this */
	enum model_end end;
	struct subject objects[MODEL_OBJECTS];
	struct subject blocks[MODEL_VOLUMES][MODEL_BLOCKS];
};

/** Nothing is there, durably. The settings stay. */
void model_reset(struct model *model);
void model_subject_reset(struct subject *subject);

/* --- Writing --- */

/** Whether another version may be submitted. */
bool model_may_write(const struct subject *subject, bool exclusive);
/** The newest version that was submitted and may have taken effect. */
const struct version *model_newest(const struct subject *subject);
/** All that is known says the same. */
bool model_settled(const struct subject *subject);
/**
 * A version is submitted; its fields but number, ack, time, segments and state are the caller's.
 * \return its number.
 */
uint64_t model_submit(struct model *model, struct subject *subject, const struct version *version);

enum model_outcome {
	MODEL_ACKED,
	MODEL_DURABLE, /* acknowledged as surviving power loss */
	MODEL_MAYBE,   /* an error: it took effect or not */
	MODEL_VOID,    /* it had no effect */
};
void model_complete(struct model *model, struct subject *subject, uint64_t number,
		    enum model_outcome outcome);
/** A flush has completed that was submitted when model->ack was `ack`. */
void model_flushed(struct model *model, uint64_t ack);

/* --- Reading --- */

struct observation {
	uint64_t lower;	     /* model_read_begin() */
	uint64_t upper;	     /* model_read_upper() */
	uint64_t time_min_s; /* when the read was submitted */
	bool hit;
	bool bad;	    /* an error for this block */
	bool presence_only; /* nothing is known but that it is there, or not */
	bool dirty_known;   /* a block: dirty says something */
	bool dirty;
	uint32_t bytes;
	uint32_t expiry_s;
	/** Whether what was read is the content of a version. NULL: it was not read. */
	bool (*same)(const void *arg, const struct subject *subject, const struct version *version);
	const void *arg;
};

/** A read is submitted. \return what it may not be older than. */
uint64_t model_read_begin(struct subject *subject);
/** \return the number that comes after what the read may tell of; 0: writes are under way. */
uint64_t model_read_upper(const struct subject *subject);
/**
 * It has completed. What it tells is taken as known from here on.
 * \return NULL: it may be so; otherwise what is wrong, in words.
 */
const char *model_read_end(struct model *model, struct subject *subject,
			   const struct observation *seen);
/** It has ended and told nothing. */
void model_read_cancel(struct subject *subject);
/** Describe what is known, for a report. */
void model_describe(const struct subject *subject, char *text, size_t text_bytes);

/* --- The life of the process --- */

/** It ended so. A power loss counts also where a recovery from an earlier end is not complete. */
void model_ended(struct model *model, enum model_end end);
/** The cache was opened: what the last end left is durable now. */
void model_opened(struct model *model);
