/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Findings, and what they come to. A damaged batch means nothing where the log does not go, is
 * where the log ends when it was never flushed, and is damage otherwise: so what is found in the
 * log is settled when the plan is known.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "ck.h"

const char *
ck_severity_name(enum ck_severity severity)
{
	static const char *const names[] = { "note", "torn", "damage" };

	return names[severity];
}

const char *
ck_status_text(enum ck_status status)
{
	switch (status) {
	case CK_CLEAN:
		return "clean";
	case CK_RECOVERY:
		return "recovery is needed, and loses nothing that was flushed";
	case CK_DAMAGE:
		return "damage";
	default:
		return "not checked";
	}
}

static struct ck_finding *
add(struct ck *ck)
{
	struct ck_findings *findings = &ck->findings;

	if (findings->count == CK_FINDING_MAX) {
		findings->dropped++;
		return NULL;
	}
	if (findings->count == findings->room) {
		uint32_t room = findings->room == 0 ? 64 : 2 * findings->room;
		struct ck_finding *list = realloc(findings->list, room * sizeof(*list));

		if (list == NULL) {
			findings->dropped++;
			return NULL;
		}
		findings->list = list;
		findings->room = room;
	}
	return &findings->list[findings->count++];
}

static struct ck_finding *
add_outside(struct ck *ck, enum ck_severity severity, const char *what, uint64_t offset_bytes)
{
	struct ck_finding *finding = add(ck);

	if (finding != NULL)
		*finding = (struct ck_finding){
			.severity = severity,
			.what = what,
			.offset_bytes = offset_bytes,
			.shard = CK_NO_SHARD,
		};
	return finding;
}

static struct ck_finding *
add_of_log(struct ck *ck, const struct ck_place *place, const char *what)
{
	struct ck_finding *finding = add(ck);

	if (finding != NULL)
		*finding = (struct ck_finding){
			.severity = CK_DAMAGED,
			.what = what,
			.offset_bytes =
			    ck_segment_offset(ck, place->shard,
					      place->sequence % ck->best->segment_count) +
			    (uint64_t)place->block * DISK_BLOCK,
			.shard = place->shard,
			.sequence = place->sequence,
			.block = place->block,
			.sealed = place->sealed,
		};
	return finding;
}

/* finding is NULL where there was no room for it. */
static void __attribute__((format(printf, 2, 0)))
say(struct ck_finding *finding, const char *format, va_list args)
{
	if (finding != NULL)
		vsnprintf(finding->text, sizeof(finding->text), format, args);
}

void
ck_find(struct ck *ck, const char *what, uint64_t offset_bytes, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(add_outside(ck, CK_DAMAGED, what, offset_bytes), format, args);
	va_end(args);
}

void
ck_find_note(struct ck *ck, const char *what, uint64_t offset_bytes, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(add_outside(ck, CK_NOTE, what, offset_bytes), format, args);
	va_end(args);
}

void
ck_find_log(struct ck *ck, const struct ck_place *place, const char *what, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(add_of_log(ck, place, what), format, args);
	va_end(args);
}

/*
 * A trailer is behind the log's end by nature: it belongs to its segment as a whole. No flush waits
 * for it, and its batches say the same: after a crash one that is not whole is no damage.
 */
static enum ck_severity
severity_of(const struct ck *ck, const struct ck_finding *finding)
{
	const struct ck_plan *plan = &ck->shards[finding->shard].plan;
	const struct ck_segment *segment = ck_segment_of(ck, finding->shard, finding->sequence);

	if (finding->sequence < plan->tail)
		return CK_NOTE;
	if (finding->sequence <= plan->head && segment->sequence != finding->sequence)
		return finding->severity; /* a segment that is missing */
	if (finding->sealed && segment->followed)
		return ck->best->flags & DISK_SUPER_CLEAN ? CK_DAMAGED : CK_TORN;
	if (finding->sealed)
		return CK_NOTE;
	if (segment->followed && finding->block >= segment->log_end &&
	    finding->sequence != plan->head)
		return CK_NOTE;
	if (ck_position(ck, finding->sequence, finding->block) >= plan->durable)
		return CK_TORN;
	return segment->followed ? CK_DAMAGED : CK_NOTE;
}

void
ck_settle(struct ck *ck)
{
	enum ck_severity worst = CK_NOTE;

	for (uint32_t i = 0; i < ck->findings.count; i++) {
		struct ck_finding *finding = &ck->findings.list[i];

		if (finding->shard != CK_NO_SHARD)
			finding->severity = severity_of(ck, finding);
		if (finding->severity > worst)
			worst = finding->severity;
	}
	if (worst == CK_DAMAGED || ck->findings.dropped != 0)
		ck->status = CK_DAMAGE;
	else if (!(ck->best->flags & DISK_SUPER_CLEAN))
		ck->status = CK_RECOVERY;
	else
		ck->status = CK_CLEAN;
}
