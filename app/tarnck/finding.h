/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <stdbool.h>
#include <stdint.h>

/* What is wrong, where, and how much it matters. */

struct ck;

enum ck_severity {
	CK_NOTE,    /* not of the log, or beyond its end: means nothing */
	CK_TORN,    /* not flushed: recovery ends the log there */
	CK_DAMAGED, /* was flushed, is not whole */
};
const char *ck_severity_name(enum ck_severity severity);

#define CK_FINDING_TEXT 200
#define CK_NO_SHARD UINT32_MAX

struct ck_finding {
	enum ck_severity severity; /* of those of the log: settled once the plan is known */
	const char *what;	   /* kind of structure: a constant */
	uint64_t offset_bytes;	   /* on the device */
	uint32_t shard;		   /* CK_NO_SHARD: not of the log */
	uint64_t sequence;
	uint32_t block; /* in the segment */
	bool sealed;	/* trailer or footer: a second copy */
	char text[CK_FINDING_TEXT];
};

#define CK_FINDING_MAX 10000 /* kept; more are counted */

struct ck_findings {
	struct ck_finding *list;
	uint32_t count, room;
	uint64_t dropped;
};

struct ck_place {
	uint32_t shard;
	uint64_t sequence;
	uint32_t block;
	bool sealed;
};
/** Note what is wrong with a structure of the log. Its severity comes from the plan. */
void ck_find_log(struct ck *ck, const struct ck_place *place, const char *what, const char *format,
		 ...) __attribute__((format(printf, 4, 5)));
/** Damage outside of the log. */
void ck_find(struct ck *ck, const char *what, uint64_t offset_bytes, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/** What may be nothing: damage only if the log needs it, which the plan tells by a finding. */
void ck_find_note(struct ck *ck, const char *what, uint64_t offset_bytes, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/** The plans are known: settle the severities, and the exit status. */
void ck_settle(struct ck *ck);
