/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Requests for blocks, by chance, as a volume would make them. Fills and cleans are in two steps: a
 * lookup, which gives a token, and later what it is for; between the two others may be faster.
 */
#include <errno.h>
#include <string.h>

#include "content.h"
#include "sim.h"
#include "tarn/util.h"

#define SLOT_COUNT 10
#define NEVER_FULL_BLOCKS 600 /* of each volume: the smallest log has room for them, all dirty */
#define RUN_MAX TARN_CACHE_EXTENT_BLOCKS
#define BLOCK TARN_CACHE_BLOCK_BYTES

enum slot_state { SLOT_FREE, SLOT_BUSY, SLOT_LOOKED };

struct slot {
	struct tarn_cache_block_req req;
	struct iovec iov[2];
	enum slot_state state;
	enum action action; /* what it is for */
	uint32_t volume, first, count;
	uint64_t number[RUN_MAX];		 /* of versions; 0: none */
	uint64_t lower[RUN_MAX], upper[RUN_MAX]; /* of a read */
	uint32_t content[RUN_MAX];
	uint32_t changes[RUN_MAX]; /* of the subject, at the lookup */
	uint64_t since_ns;
	uint8_t *buf;
};

static struct slot slots[SLOT_COUNT];
static _Alignas(4096) uint8_t buffers[SLOT_COUNT][RUN_MAX * BLOCK];
static uint32_t busy_count;
static struct tarn_cache_dirty_block hinted;

uint32_t
block_busy_count(void)
{
	return busy_count;
}

void
block_check_age(void)
{
	for (uint32_t i = 0; i < SLOT_COUNT; i++)
		if (slots[i].state == SLOT_BUSY)
			sim_check_age(slots[i].since_ns, "a request for blocks");
}

static struct subject *
subject_of(const struct slot *slot, uint32_t n)
{
	return &sim->model.blocks[slot->volume][slot->first + n];
}

static bool
in_map(const uint64_t *map, uint32_t n)
{
	return (map[n / 64] >> (n % 64) & 1) != 0;
}

/* --- Results --- */

static void
wrong(const struct slot *slot, uint32_t n, const char *what)
{
	const struct tarn_cache_block_req *req = &slot->req;
	char text[1500];
	uint64_t word;

	memcpy(&word, slot->buf + (size_t)n * BLOCK, sizeof(word));
	model_describe(subject_of(slot, n), text, sizeof(text));
	sim_fail("block %u of volume %u, request %u of %u from %u, status %d, hit %d dirty %d "
		 "bad %d, content %llu, lower %llu: %s;%s",
		 slot->first + n, slot->volume, req->kind, slot->count, slot->first, req->status,
		 in_map(req->hit, n), in_map(req->dirty, n), in_map(req->bad, n),
		 (unsigned long long)word, (unsigned long long)slot->lower[n], what, text);
}

struct block_seen {
	const struct slot *slot;
	uint32_t n;
};

static bool
same(const void *arg, const struct subject *subject, const struct version *version)
{
	const struct block_seen *seen = arg;

	(void)subject;
	return content_is(version->content, 0, seen->slot->buf + (size_t)seen->n * BLOCK, BLOCK);
}

static void
looked(struct slot *slot)
{
	const struct tarn_cache_block_req *req = &slot->req;
	bool read = req->kind == TARN_CACHE_BLOCK_LOOKUP;

	if (req->status != 0 &&
	    (req->status != -EIO || (!sim->model.unreadable && !sim->model.failed)))
		wrong(slot, 0, "no such status");
	for (uint32_t n = 0; n < slot->count; n++) {
		struct block_seen seen = { slot, n };
		struct observation observation = {
			.lower = slot->lower[n],
			.upper = slot->upper[n],
			.time_min_s = sim->model.time_min_s,
			.hit = in_map(req->hit, n),
			.bad = in_map(req->bad, n),
			.dirty_known = true,
			.dirty = in_map(req->dirty, n),
			.same = read ? same : NULL,
			.arg = &seen,
		};
		const char *what = model_read_end(&sim->model, subject_of(slot, n), &observation);

		if (what != NULL)
			wrong(slot, n, what);
		if (read && observation.hit) {
			uint64_t word;

			memcpy(&word, slot->buf + (size_t)n * BLOCK, sizeof(word));
			slot->content[n] = (uint32_t)word;
		}
	}
	if (slot->action == ACTION_BLOCK_FILL || slot->action == ACTION_BLOCK_CLEAN)
		slot->state = SLOT_LOOKED;
}

static enum model_outcome
outcome_of(const struct slot *slot)
{
	const struct tarn_cache_block_req *req = &slot->req;

	switch (req->status) {
	case 0:
		if (req->kind == TARN_CACHE_BLOCK_FILL ||
		    (req->flags & TARN_CACHE_BLOCK_DURABLE_ONLY) != 0)
			return MODEL_MAYBE;
		return (req->flags & TARN_CACHE_BLOCK_FUA) != 0 ? MODEL_DURABLE : MODEL_ACKED;
	case -EIO:
		if (sim->plan.write_fail_per_mille == 0 && sim->plan.flush_fail_per_mille == 0)
			wrong(slot, 0, "it failed, and no write or flush has");
		return MODEL_MAYBE;
	case -ENOSPC:
		if (req->kind != TARN_CACHE_BLOCK_STORE)
			wrong(slot, 0, "no such status");
		return MODEL_MAYBE;
	default:
		wrong(slot, 0, "no such status");
		return MODEL_VOID;
	}
}

static void
over(struct tarn_cache_block_req *req)
{
	struct slot *slot = req->arg;
	enum model_outcome outcome;

	slot->state = SLOT_FREE;
	busy_count--;
	sim_say("  blocks %u+%u of volume %u: request %u ended with %d", slot->first, slot->count,
		slot->volume, req->kind, req->status);
	control_note_failed();
	if (req->kind == TARN_CACHE_BLOCK_LOOKUP || req->kind == TARN_CACHE_BLOCK_PROBE) {
		looked(slot);
		return;
	}
	outcome = outcome_of(slot);
	for (uint32_t n = 0; n < slot->count; n++)
		if (slot->number[n] != 0)
			model_complete(&sim->model, subject_of(slot, n), slot->number[n], outcome);
}

/* --- Requests --- */

static struct slot *
take(enum action action, uint32_t volume, uint32_t first, uint32_t count)
{
	struct slot *slot = NULL;

	for (uint32_t i = 0; i < SLOT_COUNT && slot == NULL; i++)
		if (slots[i].state == SLOT_FREE) {
			slot = &slots[i];
			slot->buf = buffers[i];
		}
	if (slot == NULL || count == 0)
		return NULL;
	slot->action = action;
	slot->volume = volume;
	slot->first = first;
	slot->count = count;
	memset(slot->number, 0, sizeof(slot->number));
	return slot;
}

static void
submit(struct slot *slot, enum tarn_cache_block_kind kind, uint8_t flags)
{
	struct tarn_cache_block_req *req = &slot->req;
	uint32_t split = slot->count / 3;

	slot->state = SLOT_BUSY;
	busy_count++;
	slot->since_ns = sim->now_ns;
	slot->iov[0] = (struct iovec){ slot->buf, (size_t)split * BLOCK };
	slot->iov[1] = (struct iovec){ slot->buf + (size_t)split * BLOCK,
				       (size_t)(slot->count - split) * BLOCK };
	req->cache = sim_cache;
	req->kind = (uint8_t)kind;
	req->flags = flags;
	req->block_count = (uint16_t)slot->count;
	req->volume_id = sim->volume[slot->volume].id;
	req->first_block = slot->first;
	req->iov = split != 0 ? slot->iov : slot->iov + 1;
	req->iov_count = split != 0 ? 2 : 1;
	req->cb = over;
	req->arg = slot;
	sim_say("blocks %u+%u of volume %u: request %u, flags %x", slot->first, slot->count,
		slot->volume, kind, flags);
	tarn_cache_block_submit(req);
}

/* A run by chance, within one extent. */
static uint32_t
choose_run(uint32_t *ret_volume, uint32_t *ret_first)
{
	uint32_t first = (uint32_t)rng_below(&sim->rng, sim->plan.block_count);
	uint32_t limit = sim->plan.block_count - first;

	*ret_volume = (uint32_t)rng_below(&sim->rng, MODEL_VOLUMES);
	*ret_first = first;
	limit = (uint32_t)tarn_min_u64(limit, RUN_MAX - first % RUN_MAX);
	return (uint32_t)rng_range(&sim->rng, 1, tarn_min_u64(limit, sim->plan.run_blocks_max));
}

/* \return how many blocks from the first on may be written to now. */
static uint32_t
writable(uint32_t volume, uint32_t first, uint32_t count)
{
	uint32_t n = 0;

	while (n < count && model_may_write(&sim->model.blocks[volume][first + n], false))
		n++;
	return n;
}

static uint8_t
some_fua(void)
{
	return rng_chance(&sim->rng, sim->plan.durable_per_mille) ? TARN_CACHE_BLOCK_FUA : 0;
}

static void
store(enum action action)
{
	bool dirty = action == ACTION_BLOCK_WRITE;
	uint32_t volume, first;
	uint32_t count = choose_run(&volume, &first);
	struct slot *slot = take(action, volume, first, writable(volume, first, count));

	if (slot == NULL)
		return;
	for (uint32_t n = 0; n < slot->count; n++) {
		struct version version = {
			.kind = VERSION_VALUE,
			.content = sim->next_content++,
			.dirty = dirty,
		};

		content_fill(version.content, 0, slot->buf + (size_t)n * BLOCK, BLOCK);
		slot->number[n] = model_submit(&sim->model, subject_of(slot, n), &version);
		subject_of(slot, n)->changes++;
	}
	sim_say("contents %u and so on, %s", sim->next_content - slot->count,
		dirty ? "dirty" : "clean");
	submit(slot, TARN_CACHE_BLOCK_STORE,
	       (uint8_t)((dirty ? TARN_CACHE_BLOCK_DIRTY : 0) | some_fua()));
}

static void
forget(void)
{
	struct version version = { .kind = VERSION_ABSENT };
	uint32_t volume, first;
	uint32_t count = choose_run(&volume, &first);
	struct slot *slot =
	    take(ACTION_BLOCK_FORGET, volume, first, writable(volume, first, count));

	if (slot == NULL)
		return;
	for (uint32_t n = 0; n < slot->count; n++) {
		slot->number[n] = model_submit(&sim->model, subject_of(slot, n), &version);
		subject_of(slot, n)->changes++;
	}
	submit(slot, TARN_CACHE_BLOCK_FORGET, some_fua());
}

static void
look_up(struct slot *slot, enum tarn_cache_block_kind kind)
{
	if (slot == NULL)
		return;
	for (uint32_t n = 0; n < slot->count; n++) {
		slot->lower[n] = model_read_begin(subject_of(slot, n));
		slot->upper[n] = model_read_upper(subject_of(slot, n));
		slot->changes[n] = subject_of(slot, n)->changes;
	}
	submit(slot, kind, 0);
}

static void
lookup(enum action action)
{
	uint32_t volume, first;
	uint32_t count = choose_run(&volume, &first);
	bool probe = action == ACTION_BLOCK_LOOKUP && rng_chance(&sim->rng, 150);

	if (action == ACTION_BLOCK_CLEAN && hinted.volume_id != 0) {
		volume = hinted.volume_id == sim->volume[0].id ? 0 : 1;
		first = (uint32_t)hinted.block;
		count = (uint32_t)tarn_min_u64(16, RUN_MAX - first % RUN_MAX);
		count = (uint32_t)tarn_min_u64(count, sim->plan.block_count - first);
		hinted.volume_id = 0;
	}
	look_up(take(action, volume, first, count),
		probe ? TARN_CACHE_BLOCK_PROBE : TARN_CACHE_BLOCK_LOOKUP);
}

/* --- The second step --- */

static struct slot *
looked_for(enum action action)
{
	for (uint32_t i = 0; i < SLOT_COUNT; i++)
		if (slots[i].state == SLOT_LOOKED && slots[i].action == action)
			return &slots[i];
	return NULL;
}

/* Narrow a request to the run from `from` on, of so many blocks. */
static void
narrow(struct slot *slot, uint32_t from, uint32_t count)
{
	memmove(slot->content, slot->content + from, count * sizeof(slot->content[0]));
	memmove(slot->changes, slot->changes + from, count * sizeof(slot->changes[0]));
	if (from != 0)
		memmove(slot->buf, slot->buf + (size_t)from * BLOCK, (size_t)count * BLOCK);
	slot->first += from;
	slot->count = count;
}

/* The run of blocks of which want() is true that begins first. \return whether there is one. */
static bool
narrow_to(struct slot *slot, bool (*want)(const struct slot *slot, uint32_t n))
{
	uint32_t from = 0, to;

	while (from < slot->count && !want(slot, from))
		from++;
	for (to = from; to < slot->count && want(slot, to);)
		to++;
	if (from == to)
		return false;
	narrow(slot, from, to - from);
	return true;
}

static bool
fillable(const struct slot *slot, uint32_t n)
{
	return !in_map(slot->req.hit, n) && !in_map(slot->req.bad, n) &&
	       model_may_write(subject_of(slot, n), false);
}

/* What was stored or forgotten since the lookup must not be filled: then there is no version. */
static void
fill(struct slot *slot)
{
	slot->state = SLOT_FREE;
	if (!narrow_to(slot, fillable))
		return;
	for (uint32_t n = 0; n < slot->count; n++) {
		struct version version = {
			.kind = VERSION_VALUE,
			.content = sim->next_content++,
			.maybe = true,
		};
		struct subject *subject = subject_of(slot, n);

		content_fill(version.content, 0, slot->buf + (size_t)n * BLOCK, BLOCK);
		slot->number[n] = subject->changes == slot->changes[n]
				      ? model_submit(&sim->model, subject, &version)
				      : 0;
	}
	submit(slot, TARN_CACHE_BLOCK_FILL, 0);
}

/*
 * What was read is the newest, or something newer is on its way that nothing will refuse: there are
 * not as many blocks as may be dirty.
 */
static bool
cleanable(const struct slot *slot, uint32_t n)
{
	const struct subject *subject = subject_of(slot, n);
	const struct version *newest = model_newest(subject);

	if (!in_map(slot->req.hit, n) || !in_map(slot->req.dirty, n) ||
	    !model_may_write(subject, false))
		return false;
	return subject->changes != slot->changes[n]
		   ? newest->state == VERSION_SUBMITTED && !newest->maybe &&
			 sim->plan.block_count <= NEVER_FULL_BLOCKS
		   : newest->kind == VERSION_VALUE && newest->content == slot->content[n];
}

/*
 * The engine keeps its tokens by a hash of volume and block: where two blocks of the model may meet
 * there, a clean may take one for newer than it is, and leave it dirty.
 */
static bool
tokens_meet(void)
{
	uint32_t low = sim->volume[0].id, high = sim->volume[1].id;

	return (high > low ? high - low : low - high) != 1 || sim->plan.block_count > 1000;
}

static void
clean(struct slot *slot)
{
	bool durable_only = rng_chance(&sim->rng, 300);

	slot->state = SLOT_FREE;
	if (!narrow_to(slot, cleanable))
		return;
	for (uint32_t n = 0; n < slot->count; n++) {
		struct subject *subject = subject_of(slot, n);
		struct version version = {
			.kind = VERSION_VALUE,
			.content = slot->content[n],
			.mark = true,
			.maybe = durable_only || tokens_meet(),
		};

		slot->number[n] = subject->changes == slot->changes[n]
				      ? model_submit(&sim->model, subject, &version)
				      : 0;
	}
	submit(slot, TARN_CACHE_BLOCK_CLEAN,
	       (uint8_t)(some_fua() | (durable_only ? TARN_CACHE_BLOCK_DURABLE_ONLY : 0)));
}

/* --- Actions --- */

void
block_clean_hint(void *arg, const struct tarn_cache_dirty_block *blocks, uint32_t block_count)
{
	(void)arg;
	if (block_count != 0 && blocks[0].block < sim->plan.block_count)
		hinted = blocks[0];
}

void
block_act(enum action action)
{
	struct slot *slot = looked_for(action);

	switch (action) {
	case ACTION_BLOCK_STORE:
	case ACTION_BLOCK_WRITE:
		store(action);
		break;
	case ACTION_BLOCK_FORGET:
		forget();
		break;
	case ACTION_BLOCK_FILL:
		if (slot != NULL)
			fill(slot);
		else
			lookup(action);
		break;
	case ACTION_BLOCK_CLEAN:
		if (slot != NULL)
			clean(slot);
		else
			lookup(action);
		break;
	default:
		lookup(action);
		break;
	}
}

void
block_sweep(void)
{
	for (uint32_t i = 0; i < SLOT_COUNT; i++)
		if (slots[i].state == SLOT_LOOKED)
			slots[i].state = SLOT_FREE;
	for (uint32_t volume = 0; volume < MODEL_VOLUMES; volume++) {
		uint32_t first = 0;

		while (first < sim->plan.block_count) {
			uint32_t count = (uint32_t)tarn_min_u64(64, sim->plan.block_count - first);

			while (busy_count == SLOT_COUNT) {
				sim_turn(1000);
				block_check_age();
			}
			look_up(take(ACTION_BLOCK_LOOKUP, volume, first, count),
				TARN_CACHE_BLOCK_LOOKUP);
			first += count;
		}
	}
}
