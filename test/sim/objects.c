/* SPDX-License-Identifier: BSD-3-Clause */
/* Operations on objects, by chance, and what the model says to their results. */
#include <errno.h>
#include <string.h>

#include "content.h"
#include "sim.h"
#include "tarn/util.h"

#define SLOT_COUNT 24
#define BATCH_MAX 8
#define BUF_BYTES (120 * 1024)

struct slot {
	struct tarn_cache_op op;
	bool busy;
	enum tarn_cache_op_kind kind;
	uint32_t object;
	uint32_t content;		   /* of a store */
	uint64_t number;		   /* of its version */
	uint64_t lower, upper, time_min_s; /* of a read */
	bool reads;			   /* it also tells whether the object is there */
	uint64_t since_ns;
	uint8_t key[TARN_CACHE_KEY_MAX];
	uint8_t buf[BUF_BYTES];
};

static struct slot slots[SLOT_COUNT];
static uint32_t busy_count;

uint32_t
object_busy_count(void)
{
	return busy_count;
}

void
object_check_age(void)
{
	for (uint32_t i = 0; i < SLOT_COUNT; i++)
		if (slots[i].busy)
			sim_check_age(slots[i].since_ns, "an operation on an object");
}

/* Four groups with a prefix each; some keys are long, all have a NUL and a newline. */
uint32_t
object_key(uint32_t object, uint8_t key[TARN_CACHE_KEY_MAX])
{
	uint32_t bytes = object % 13 == 0 ? TARN_CACHE_KEY_MAX : 6 + object % 30;

	memset(key, 'x', bytes);
	key[0] = (uint8_t)('a' + object % 4);
	key[1] = '/';
	key[2] = (uint8_t)object;
	key[3] = (uint8_t)(object >> 8);
	key[4] = '\0';
	key[5] = '\n';
	return bytes;
}

static struct subject *
subject_of(const struct slot *slot)
{
	return &sim->model.objects[slot->object];
}

/* --- Results --- */

static void
wrong(const struct slot *slot, const char *what)
{
	char text[1500];

	model_describe(subject_of(slot), text, sizeof(text));
	sim_fail("object %u, operation %d, status %d, %llu bytes, until %llu, lower %llu: %s;%s",
		 slot->object, slot->kind, slot->op.status,
		 (unsigned long long)slot->op.value_bytes, (unsigned long long)slot->op.expiry_s,
		 (unsigned long long)slot->lower, what, text);
}

static bool
same(const void *arg, const struct subject *subject, const struct version *version)
{
	const struct slot *slot = arg;
	const struct tarn_cache_op *op = &slot->op;
	bool lent = (op->flags & TARN_CACHE_LEND) != 0;

	(void)subject;
	return content_is(version->content, op->offset_bytes, lent ? op->lent : op->buf,
			  op->result_bytes);
}

static void
read_over(struct slot *slot, bool presence_only)
{
	const struct tarn_cache_op *op = &slot->op;
	struct observation seen = {
		.lower = slot->lower,
		.upper = slot->upper,
		.time_min_s = slot->time_min_s,
		.hit = op->status == 0 || op->status == -EEXIST,
		.presence_only = presence_only,
		.bytes = (uint32_t)op->value_bytes,
		.expiry_s = (uint32_t)op->expiry_s,
		.same = slot->kind == TARN_CACHE_LOOKUP ? same : NULL,
		.arg = slot,
	};
	const char *what = model_read_end(&sim->model, subject_of(slot), &seen);

	if (what != NULL)
		wrong(slot, what);
}

static void
lookup_over(struct slot *slot)
{
	struct tarn_cache_op *op = &slot->op;
	uint64_t left = op->value_bytes - op->offset_bytes;

	if (op->status == -EINVAL && op->offset_bytes > op->value_bytes) {
		model_read_cancel(subject_of(slot));
		return;
	}
	if (op->status != 0 && op->status != -ENOENT)
		wrong(slot, "no such status");
	if (op->status == 0 && slot->kind == TARN_CACHE_LOOKUP &&
	    op->result_bytes != tarn_min_u64(left, op->buf_bytes))
		wrong(slot, "not as many bytes as were asked for");
	read_over(slot, false);
	if (op->lent != NULL)
		tarn_cache_release(op);
}

static enum model_outcome
outcome_of(const struct slot *slot)
{
	const struct tarn_cache_op *op = &slot->op;

	switch (op->status) {
	case 0:
		return (op->flags & TARN_CACHE_DURABLE) != 0 ? MODEL_DURABLE : MODEL_ACKED;
	case -E2BIG:
		return MODEL_ACKED;
	case -EIO:
		if (sim->plan.write_fail_per_mille == 0 && sim->plan.flush_fail_per_mille == 0)
			wrong(slot, "it failed, and no write or flush has");
		return MODEL_MAYBE;
	case -ENOSPC:
	case -ENOENT:
	case -EEXIST:
		return MODEL_VOID;
	default:
		wrong(slot, "no such status");
		return MODEL_VOID;
	}
}

static void
over(struct tarn_cache_op *op)
{
	struct slot *slot = op->arg;

	slot->busy = false;
	busy_count--;
	sim_say("  object %u: operation %d ended with %d", slot->object, slot->kind, op->status);
	control_note_failed();
	if (slot->kind == TARN_CACHE_LOOKUP || slot->kind == TARN_CACHE_EXISTS) {
		lookup_over(slot);
		return;
	}
	model_complete(&sim->model, subject_of(slot), slot->number, outcome_of(slot));
	if (!slot->reads)
		return;
	if (op->status == -ENOENT || op->status == -EEXIST)
		read_over(slot, true);
	else
		model_read_cancel(subject_of(slot));
}

/* --- Requests --- */

static struct slot *
take(enum tarn_cache_op_kind kind, uint32_t object)
{
	for (uint32_t i = 0; i < SLOT_COUNT; i++) {
		struct slot *slot = &slots[i];

		if (slot->busy)
			continue;
		slot->busy = true;
		busy_count++;
		slot->kind = kind;
		slot->object = object;
		slot->since_ns = sim->now_ns;
		slot->reads = false;
		slot->op.cache = sim_cache;
		slot->op.key = slot->key;
		slot->op.key_bytes = object_key(object, slot->key);
		slot->op.flags = 0;
		slot->op.buf = slot->buf;
		slot->op.buf_bytes = slot->op.offset_bytes = 0;
		slot->op.ttl_s = 0;
		slot->op.cb = over;
		slot->op.arg = slot;
		slot->op.reactor = NULL;
		return slot;
	}
	return NULL;
}

static void
begin_read(struct slot *slot)
{
	slot->lower = model_read_begin(subject_of(slot));
	slot->upper = model_read_upper(subject_of(slot));
	slot->time_min_s = sim->model.time_min_s;
}

static void
choose_ttl(struct slot *slot, struct version *version)
{
	uint64_t ttl_s = rng_range(&sim->rng, 2, 400);

	if (!rng_chance(&sim->rng, sim->plan.ttl_per_mille))
		return;
	if (rng_chance(&sim->rng, 500)) {
		slot->op.flags |= TARN_CACHE_EXPIRY_AT;
		slot->op.ttl_s = (int64_t)(sim->model.time_max_s + ttl_s);
		version->expiry_min_s = version->expiry_max_s = (uint32_t)slot->op.ttl_s;
		return;
	}
	slot->op.ttl_s = (int64_t)ttl_s;
	version->expiry_min_s = (uint32_t)(sim->model.time_min_s + ttl_s);
	version->expiry_max_s = (uint32_t)(sim->model.time_max_s + ttl_s + 1);
}

static uint32_t
choose_bytes(void)
{
	uint32_t max = sim->plan.value_bytes_max;

	switch (rng_below(&sim->rng, 8)) {
	case 0:
		return (uint32_t)rng_below(&sim->rng, 16);
	case 1:
		return (uint32_t)rng_below(&sim->rng, max);
	case 2:
		return 4096;
	default:
		return (uint32_t)rng_below(&sim->rng, max < 6000 || max > 100000 ? max : 6000);
	}
}

/* \return NULL: nothing can be written there now. */
static struct slot *
prepare_store(uint32_t object, uint32_t bytes, uint32_t flags)
{
	struct subject *subject = &sim->model.objects[object];
	bool exclusive = (flags & (TARN_CACHE_IF_ABSENT | TARN_CACHE_IF_PRESENT)) != 0;
	struct version version = { .kind = VERSION_VALUE, .bytes = bytes };
	struct tarn_cache_info info;
	struct slot *slot;

	if (!model_may_write(subject, exclusive))
		return NULL;
	slot = take(TARN_CACHE_STORE, object);
	if (slot == NULL)
		return NULL;
	tarn_cache_get_info(sim_cache, &info);
	if (bytes > info.max_object_bytes)
		version.kind = VERSION_ABSENT; /* refused, and what was there is gone */
	version.content = slot->content = sim->next_content++;
	slot->op.flags = flags;
	if (rng_chance(&sim->rng, sim->plan.durable_per_mille))
		slot->op.flags |= TARN_CACHE_DURABLE;
	slot->op.buf_bytes = bytes;
	content_fill(version.content, 0, slot->buf, bytes);
	choose_ttl(slot, &version);
	if (exclusive) {
		slot->reads = true;
		begin_read(slot);
	}
	slot->number = model_submit(&sim->model, subject, &version);
	subject->exclusive = exclusive;
	sim_say("store object %u: content %u, %u bytes, flags %x, ttl %lld", object,
		version.content, bytes, slot->op.flags, (long long)slot->op.ttl_s);
	return slot;
}

static struct slot *
prepare_lookup(uint32_t object, bool whole)
{
	uint32_t bytes = model_newest(&sim->model.objects[object])->bytes;
	struct slot *slot = take(TARN_CACHE_LOOKUP, object);

	if (slot == NULL)
		return NULL;
	if (rng_chance(&sim->rng, 300))
		slot->op.flags |= TARN_CACHE_LEND;
	slot->op.buf_bytes = BUF_BYTES;
	if (!whole && rng_chance(&sim->rng, 300)) {
		slot->op.offset_bytes = rng_below(&sim->rng, (uint64_t)bytes + 10);
		slot->op.buf_bytes = 1 + rng_below(&sim->rng, 9000);
	}
	begin_read(slot);
	sim_say("look up object %u from %llu", object, (unsigned long long)slot->op.offset_bytes);
	return slot;
}

static uint32_t
some_object(void)
{
	return (uint32_t)rng_below(&sim->rng, sim->plan.object_count);
}

/* Perhaps the one that was written longest ago: reclaim is near it. */
static uint32_t
some_object_or_oldest(void)
{
	uint32_t oldest = some_object();

	if (!plan_maybe(&sim->rng, sim->plan.oldest_per_mille))
		return oldest;
	for (uint32_t i = 0; i < sim->plan.object_count; i++) {
		const struct version *newest = model_newest(&sim->model.objects[i]);

		if (newest->kind == VERSION_VALUE &&
		    newest->segments < model_newest(&sim->model.objects[oldest])->segments)
			oldest = i;
	}
	return oldest;
}

static void
store(uint32_t flags, uint32_t bytes)
{
	struct slot *slot = prepare_store(some_object(), bytes, flags);

	if (slot != NULL)
		tarn_cache_store(&slot->op);
}

static void
lookup(uint32_t object, bool whole)
{
	struct slot *slot = prepare_lookup(object, whole);

	if (slot != NULL)
		tarn_cache_lookup(&slot->op);
}

static void
remove_or_touch(enum tarn_cache_op_kind kind)
{
	uint32_t object = some_object_or_oldest();
	struct subject *subject = &sim->model.objects[object];
	struct version version = { .kind = VERSION_ABSENT };
	struct slot *slot;

	if (!model_may_write(subject, true))
		return;
	if (kind == TARN_CACHE_TOUCH) {
		if (!model_settled(subject) || model_newest(subject)->kind != VERSION_VALUE)
			return;
		version = *model_newest(subject);
		version.expiry_min_s = version.expiry_max_s = 0;
		version.seen = false;
	}
	slot = take(kind, object);
	if (slot == NULL)
		return;
	if (rng_chance(&sim->rng, sim->plan.durable_per_mille))
		slot->op.flags |= TARN_CACHE_DURABLE;
	if (kind == TARN_CACHE_TOUCH)
		choose_ttl(slot, &version);
	slot->reads = true;
	begin_read(slot);
	slot->number = model_submit(&sim->model, subject, &version);
	subject->exclusive = true;
	sim_say("%s object %u", kind == TARN_CACHE_TOUCH ? "touch" : "remove", object);
	if (kind == TARN_CACHE_TOUCH)
		tarn_cache_touch(&slot->op);
	else
		tarn_cache_remove(&slot->op);
}

static void
exists(void)
{
	struct slot *slot = take(TARN_CACHE_EXISTS, some_object_or_oldest());

	if (slot == NULL)
		return;
	begin_read(slot);
	tarn_cache_exists(&slot->op);
}

static void
batch(void)
{
	struct tarn_cache_op *ops[BATCH_MAX];
	uint32_t count = (uint32_t)rng_range(&sim->rng, 2, BATCH_MAX), taken = 0;
	bool store_them = rng_chance(&sim->rng, 500);

	for (uint32_t i = 0; i < count; i++) {
		struct slot *slot = store_them ? prepare_store(some_object(), choose_bytes(), 0)
					       : prepare_lookup(some_object(), false);

		if (slot != NULL)
			ops[taken++] = &slot->op;
	}
	tarn_cache_submit(ops, taken, store_them ? TARN_CACHE_STORE : TARN_CACHE_LOOKUP);
}

void
object_act(enum action action)
{
	switch (action) {
	case ACTION_STORE:
		store(0, choose_bytes());
		break;
	case ACTION_STORE_IF:
		store(rng_chance(&sim->rng, 500) ? TARN_CACHE_IF_ABSENT : TARN_CACHE_IF_PRESENT,
		      choose_bytes());
		break;
	case ACTION_STORE_OVER:
		store(0, BUF_BYTES);
		break;
	case ACTION_REMOVE:
		remove_or_touch(TARN_CACHE_REMOVE);
		break;
	case ACTION_TOUCH:
		remove_or_touch(TARN_CACHE_TOUCH);
		break;
	case ACTION_EXISTS:
		exists();
		break;
	case ACTION_BATCH:
		batch();
		break;
	default:
		lookup(some_object(), false);
		break;
	}
}

void
object_sweep(void)
{
	for (uint32_t i = 0; i < sim->plan.object_count; i++) {
		while (busy_count == SLOT_COUNT) {
			sim_turn(1000);
			object_check_age();
		}
		lookup(i, true);
	}
}
