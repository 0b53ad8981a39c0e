/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The model. What a read may return is decided by two numbers of a subject: *lower*, the newest
 * version that is promised, and what was submitted since. After a crash what lies behind the lower
 * bound is in limbo: one of it is the truth, the same for every read (contract C8).
 */
#include "model.h"

#include <stdio.h>
#include <string.h>

#include "tarn/util.h"

void
model_subject_reset(struct subject *subject)
{
	uint64_t number = subject->next_number + 1;
	uint32_t changes = subject->changes;

	memset(subject, 0, sizeof(*subject));
	subject->versions[0] = (struct version){
		.number = number,
		.kind = VERSION_ABSENT,
		.state = VERSION_FLUSHED,
	};
	subject->count = 1;
	subject->next_number = number + 1;
	subject->changes = changes;
}

static void
each_subject(struct model *model, void (*fn)(struct model *model, struct subject *subject))
{
	for (uint32_t i = 0; i < model->object_count; i++)
		fn(model, &model->objects[i]);
	for (uint32_t volume = 0; volume < MODEL_VOLUMES; volume++)
		for (uint32_t i = 0; i < model->block_count; i++)
			fn(model, &model->blocks[volume][i]);
}

static void
reset_one(struct model *model, struct subject *subject)
{
	(void)model;
	model_subject_reset(subject);
}

void
model_reset(struct model *model)
{
	model->end = MODEL_END_STOP;
	each_subject(model, reset_one);
}

/* --- The list of versions --- */

static bool
promised(const struct version *version)
{
	return !version->maybe &&
	       (version->state == VERSION_ACKED || version->state == VERSION_FLUSHED);
}

static void
remove_at(struct subject *subject, uint32_t i)
{
	subject->count--;
	memmove(&subject->versions[i], &subject->versions[i + 1],
		(subject->count - i) * sizeof(subject->versions[0]));
}

static struct version *
find(struct subject *subject, uint64_t number)
{
	for (uint32_t i = 0; i < subject->count; i++)
		if (subject->versions[i].number == number)
			return &subject->versions[i];
	tarn_panic(__FILE__, __LINE__, __func__, "the version is there");
}

/* Forget what no read and no crash can bring back. */
static void
compact(struct subject *subject)
{
	uint32_t keep = 0;

	if (subject->readers != 0)
		return;
	for (uint32_t i = 0; i < subject->count; i++)
		if (subject->versions[i].state == VERSION_FLUSHED && !subject->versions[i].maybe)
			keep = i;
	for (; keep > 0; keep--)
		remove_at(subject, 0);
}

bool
model_may_write(const struct subject *subject, bool exclusive)
{
	if (subject->exclusive || subject->count >= MODEL_VERSIONS - 1)
		return false;
	return !exclusive || subject->writers == 0;
}

const struct version *
model_newest(const struct subject *subject)
{
	return &subject->versions[subject->count - 1];
}

bool
model_settled(const struct subject *subject)
{
	return subject->writers == 0 && promised(model_newest(subject));
}

uint64_t
model_submit(struct model *model, struct subject *subject, const struct version *version)
{
	struct version *added = &subject->versions[subject->count];
	uint32_t before = model_newest(subject)->segments;

	tarn_assert(subject->count < MODEL_VERSIONS);
	*added = *version;
	added->number = subject->next_number++;
	added->ack = 0;
	added->state = VERSION_SUBMITTED;
	added->time_s = model->time_min_s;
	added->segments = version->mark ? before : model->segments;
	subject->count++;
	subject->writers++;
	return added->number;
}

static void
make_flushed(struct model *model, struct version *version)
{
	version->state = VERSION_FLUSHED;
	model->durable_time_s = tarn_max_u64(model->durable_time_s, version->time_s);
}

void
model_complete(struct model *model, struct subject *subject, uint64_t number,
	       enum model_outcome outcome)
{
	struct version *version = find(subject, number);

	subject->writers--;
	if (subject->writers == 0)
		subject->exclusive = false;
	version->ack = ++model->ack;
	switch (outcome) {
	case MODEL_VOID:
		remove_at(subject, (uint32_t)(version - subject->versions));
		break;
	case MODEL_MAYBE:
		version->maybe = true;
		version->state = VERSION_ACKED;
		/* It was read while it was on its way, and may be undone now. */
		version->seen &= !model->failed;
		break;
	case MODEL_DURABLE:
		make_flushed(model, version);
		break;
	default:
		version->state = VERSION_ACKED;
		break;
	}
	compact(subject);
}

static void
flush_one(struct model *model, struct subject *subject)
{
	for (uint32_t i = 0; i < subject->count; i++) {
		struct version *version = &subject->versions[i];

		if (version->state == VERSION_ACKED && version->ack <= model->flushed_ack)
			make_flushed(model, version);
	}
	compact(subject);
}

void
model_flushed(struct model *model, uint64_t ack)
{
	model->flushed_ack = ack;
	each_subject(model, flush_one);
}

/* --- Reading --- */

uint64_t
model_read_begin(struct subject *subject)
{
	uint64_t lower = subject->versions[0].number;

	for (uint32_t i = 0; i < subject->count; i++)
		if (promised(&subject->versions[i]) || subject->versions[i].seen)
			lower = subject->versions[i].number;
	subject->readers++;
	return lower;
}

uint64_t
model_read_upper(const struct subject *subject)
{
	return subject->writers == 0 ? subject->next_number : 0;
}

static bool
may_be_expired(const struct model *model, const struct version *version)
{
	return version->expiry_min_s != 0 && version->expiry_min_s <= model->time_max_s;
}

static bool
hit_matches(const struct subject *subject, const struct version *version,
	    const struct observation *seen)
{
	if (version->kind != VERSION_VALUE)
		return false;
	if (seen->presence_only)
		return true;
	if (seen->dirty_known && version->dirty != seen->dirty)
		return false;
	if (!seen->dirty_known) {
		if (version->bytes != seen->bytes)
			return false;
		if (version->expiry_max_s != 0 && version->expiry_max_s <= seen->time_min_s)
			return false;
		if (seen->expiry_s < version->expiry_min_s ||
		    seen->expiry_s > version->expiry_max_s)
			return false;
	}
	return seen->same == NULL || seen->same(seen->arg, subject, version);
}

/* Whether a miss is right if this version is the truth. */
static bool
miss_matches(const struct model *model, const struct version *version)
{
	return version->kind == VERSION_ABSENT || !version->dirty || model->damaged ||
	       may_be_expired(model, version);
}

static bool
matches(const struct model *model, const struct subject *subject, const struct version *version,
	const struct observation *seen)
{
	if (seen->bad)
		return (model->unreadable || model->failed) &&
		       (version->dirty || version->suspect || model->damaged);
	return seen->hit ? hit_matches(subject, version, seen) : miss_matches(model, version);
}

/* Nothing but this version can be the truth, and nothing has had a reason to drop it. */
static const char *
must_be_there(const struct model *model, const struct subject *subject,
	      const struct observation *seen)
{
	const struct version *only = model_newest(subject);

	if (!model->strict || seen->hit || seen->bad || only->number > seen->lower ||
	    only->kind != VERSION_VALUE || only->maybe || may_be_expired(model, only) ||
	    model->segments - only->segments > model->segment_slack)
		return NULL;
	return "a miss, although nothing had a reason to drop it";
}

/* From here on the truth is one of the versions from first to last. */
static void
pin(struct subject *subject, uint64_t first, uint64_t last)
{
	for (uint32_t i = subject->count; i-- > 0;) {
		struct version *version = &subject->versions[i];

		if (version->number < first ||
		    (version->number > last && version->state == VERSION_LIMBO))
			remove_at(subject, i);
	}
}

/*
 * What is newer than what was read, and perhaps failed, did fail. A cache that has stopped writing
 * tells nobody where its log ended: a start may find what the device has of it all the same.
 */
static void
undo_newer(const struct model *model, struct subject *subject, const struct observation *seen,
	   uint64_t last)
{
	if (subject->writers != 0 || subject->readers != 0)
		return;
	for (uint32_t i = subject->count; i-- > 0;) {
		struct version *version = &subject->versions[i];

		if (version->number <= last || !version->maybe || version->number >= seen->upper)
			continue;
		if (model->failed)
			version->undone = true;
		else
			remove_at(subject, i);
	}
}

static void
learn_hit(const struct model *model, struct subject *subject, const struct observation *seen,
	  uint64_t first, uint64_t last)
{
	struct version *version = find(subject, first);

	if (first == last && seen->expiry_s != 0 && !seen->presence_only)
		version->expiry_min_s = version->expiry_max_s = seen->expiry_s;
	if (seen->presence_only)
		return;
	if (version->state == VERSION_LIMBO) {
		if (find(subject, last)->state != VERSION_LIMBO)
			return; /* or it was written in this life: nothing is decided */
		/* What survived, and what did not, is decided. */
		version->state = VERSION_FLUSHED;
		version->maybe = false;
		pin(subject, first, last);
		return;
	}
	/* Not where it was read on its way, and may be undone: see model_complete(). */
	version->seen |= !version->maybe || !model->failed || version->number < seen->upper;
	undo_newer(model, subject, seen, last);
}

/* An entry that was dropped does not come back, either. */
static void
learn_miss(const struct model *model, struct subject *subject, const struct observation *seen)
{
	if (!model->strict || subject->readers != 0 || subject->writers != 0 ||
	    subject->next_number != seen->upper)
		return;
	for (uint32_t i = 0; i < subject->count; i++) {
		const struct version *version = &subject->versions[i];

		if (version->number < seen->lower)
			continue;
		if (version->kind == VERSION_ABSENT ? version->state == VERSION_ACKED
						    : may_be_expired(model, version))
			return; /* that may be why, and is not durable itself */
	}
	model_subject_reset(subject);
}

const char *
model_read_end(struct model *model, struct subject *subject, const struct observation *seen)
{
	uint64_t first = 0, last = 0;
	const char *wrong = must_be_there(model, subject, seen);

	subject->readers--;
	if (wrong != NULL)
		return wrong;
	for (uint32_t i = 0; i < subject->count; i++) {
		const struct version *version = &subject->versions[i];

		if (version->number < seen->lower || version->undone ||
		    !matches(model, subject, version, seen))
			continue;
		last = version->number;
		if (first == 0)
			first = last;
	}
	if (first == 0)
		return seen->bad   ? "an error, although nothing was damaged"
		       : seen->hit ? "not what was written, or older than what was promised"
				   : "a miss, although it is dirty";
	if (seen->hit)
		learn_hit(model, subject, seen, first, last);
	else if (!seen->bad)
		learn_miss(model, subject, seen);
	compact(subject);
	return NULL;
}

void
model_read_cancel(struct subject *subject)
{
	subject->readers--;
	compact(subject);
}

void
model_describe(const struct subject *subject, char *text, size_t text_bytes)
{
	static const char *const states[] = { "submitted", "acknowledged", "limbo", "flushed" };
	size_t used = 0;

	text[0] = '\0';
	for (uint32_t i = 0; i < subject->count && used < text_bytes; i++) {
		const struct version *version = &subject->versions[i];

		used += (size_t)snprintf(
		    text + used, text_bytes - used,
		    " [%llu %s%s%s%s%s%s%s content %u, %u bytes, until %u]",
		    (unsigned long long)version->number, states[version->state],
		    version->maybe ? " maybe" : "", version->seen ? " seen" : "",
		    version->undone ? " undone" : "",
		    version->kind == VERSION_ABSENT ? " absent" : "",
		    version->dirty ? " dirty" : "", version->suspect ? " suspect" : "",
		    version->content, version->bytes, version->expiry_max_s);
	}
}

/* --- The life of the process --- */

void
model_ended(struct model *model, enum model_end end)
{
	if (end > model->end)
		model->end = end;
}

static bool
survives(const struct model *model, const struct version *version)
{
	if (version->state == VERSION_ACKED)
		return model->end != MODEL_END_POWER && !version->maybe;
	return version->state == VERSION_FLUSHED && !version->maybe;
}

static void
settle_one(struct model *model, struct subject *subject)
{
	subject->writers = subject->readers = 0;
	subject->exclusive = false;
	for (uint32_t i = 0; i < subject->count; i++) {
		struct version *version = &subject->versions[i];

		version->seen = version->undone = false;
		if (survives(model, version))
			make_flushed(model, version);
		else
			version->state = VERSION_LIMBO;
	}
	compact(subject);
}

void
model_opened(struct model *model)
{
	each_subject(model, settle_one);
	model->failed = false;
	model->end = MODEL_END_STOP;
}
