/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Random work, with crashes of process and machine at random turns and failed writes now and then,
 * against what the test knows: for each key the version that must at least be there (flushed, or
 * acknowledged before a crash of the process), and the newest that was sent.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "test/unit/cache/stage.h"

#define KEYS 300
#define OPS 24
#define ROUNDS 5
#ifdef __SANITIZE_THREAD__
#define SEEDS 1 /* one reactor: there is no race to find, and it is slow */
#else
#define SEEDS 4
#endif
#define GONE 0x80000000u /* a version that is a removal */

struct key {
	uint32_t sent;	  /* newest version that was sent */
	uint32_t acked;	  /* newest that was acknowledged */
	uint32_t flushed; /* newest that a completed flush covers */
	uint32_t history[4096];
	uint32_t history_count; /* of versions, in order of sending; GONE marks removals */
};

struct work {
	struct tarn_cache_op op;
	char name[16];
	uint8_t *value;
	uint32_t key, version; /* version: index into history */
	bool busy, dead;
};

static struct key *keys;
static struct work *works;
static uint64_t rng;
static bool crashed;

static uint32_t
pick(uint32_t below)
{
	return (uint32_t)(cache_random(&rng) >> 33) % below;
}

static uint64_t
size_of(uint32_t key, uint32_t version)
{
	return 1 + (key * 7919 + version * 104729) % 9000;
}

static void
work_done(struct tarn_cache_op *op)
{
	struct work *work = op->arg;
	struct key *key = &keys[work->key];

	work->busy = false;
	if (work->dead)
		return; /* of a life that is over: nobody was told */
	CU_ASSERT(op->status == 0 || op->status == -ENOENT);
	if (work->version + 1 > key->acked)
		key->acked = work->version + 1;
}

static void
start_work(struct work *work)
{
	struct key *key;
	uint32_t version;

	work->key = pick(KEYS);
	key = &keys[work->key];
	/* One at a time for each key, so that the order is known. */
	if (key->sent != key->acked || key->history_count == 4096)
		return;
	version = key->history_count++;
	work->version = version;
	key->sent = version + 1;
	snprintf(work->name, sizeof(work->name), "k%u", work->key);
	work->op.cache = stage.cache;
	work->op.key = work->name;
	work->op.key_bytes = (uint32_t)strlen(work->name);
	work->op.cb = work_done;
	work->op.arg = work;
	work->busy = true;
	work->dead = false;
	if (pick(5) == 0) {
		key->history[version] = GONE;
		tarn_cache_remove(&work->op);
		return;
	}
	key->history[version] = version;
	work->op.buf = work->value;
	work->op.buf_bytes = size_of(work->key, version);
	stage_fill(work->value, work->op.buf_bytes, work->key, version);
	tarn_cache_store(&work->op);
}

/* Whether what a lookup found is a version from `least` on. */
static bool
consistent(uint32_t number, uint32_t least, bool may_be_dropped)
{
	struct key *key = &keys[number];
	char name[16];
	int status;

	snprintf(name, sizeof(name), "k%u", number);
	status = stage_lookup(name);
	if (status == -ENOENT) {
		bool removed = least == 0;

		for (uint32_t v = least == 0 ? 0 : least - 1; v < key->history_count; v++)
			removed |= key->history[v] == GONE;
		return removed || may_be_dropped;
	}
	for (uint32_t v = least == 0 ? 0 : least - 1; v < key->history_count; v++)
		if (key->history[v] != GONE && stage_op.value_bytes == size_of(number, v) &&
		    stage_same(stage_value, stage_op.value_bytes, number, v))
			return true;
	return false;
}

/* From here on what is there is what counts. */
static void
settle(uint32_t number)
{
	struct key *key = &keys[number];
	char name[16];

	snprintf(name, sizeof(name), "k%u", number);
	key->history_count = key->sent = key->acked = key->flushed = 0;
	if (stage_remove(name) == 0)
		CU_ASSERT(stage_lookup(name) == -ENOENT);
}

static void
check_all(bool power)
{
	uint32_t wrong = 0, twice = 0;

	for (uint32_t i = 0; i < KEYS; i++) {
		struct key *key = &keys[i];

		/* Nothing is dropped: the log does not wrap here. */
		if (!consistent(i, power ? key->flushed : key->acked, false)) {
			printf("# key %u: flushed %u acked %u sent %u\n", i, key->flushed,
			       key->acked, key->sent);
			wrong++;
		}
		twice += !consistent(i, power ? key->flushed : key->acked, false);
	}
	CU_ASSERT(wrong == 0 && twice == 0);
	for (uint32_t i = 0; i < KEYS; i++)
		settle(i);
	CU_ASSERT(stage_flush() == 0);
}

static void
flush_and_note(void)
{
	uint32_t acked[KEYS];

	for (uint32_t i = 0; i < KEYS; i++)
		acked[i] = keys[i].acked;
	if (stage_flush() != 0)
		return;
	for (uint32_t i = 0; i < KEYS; i++)
		keys[i].flushed = acked[i];
}

static void
round_of_work(uint64_t seed, bool faults)
{
	uint32_t turns = 50 + pick(300);
	bool power = pick(2) == 0;

	for (uint32_t turn = 0; turn < turns; turn++) {
		for (uint32_t i = 0; i < OPS; i++)
			if (!works[i].busy && pick(3) == 0)
				start_work(&works[i]);
		if (faults && pick(200) == 0)
			stage_inject(TARN_IO_WRITE, TARN_ERROR_FAILURE, 1, pick(3));
		if (faults && pick(300) == 0)
			stage_inject(TARN_IO_FLUSH, TARN_ERROR_FAILURE, 1, 0);
		if (pick(150) == 0)
			flush_and_note();
		if (pick(400) == 0)
			stage_checkpoint();
		stage_turns(1);
	}
	/* What is in flight at the crash was not told. */
	for (uint32_t i = 0; i < OPS; i++)
		works[i].dead = works[i].busy;
	stage_clear();
	if (power)
		stage_power_loss(seed * 1000 + turns);
	else
		stage_crash();
	stage_start();
	CU_ASSERT(stage.cache->info.damaged_segments == 0);
	check_all(power);
}

static void
history(uint64_t seed, bool faults)
{
	rng = seed;
	stage.env.seed = seed;
	stage.opts.force = true;
	stage_start();
	CU_ASSERT(stage_stop() == 0);
	stage.opts.force = false;
	stage_start();
	memset(keys, 0, KEYS * sizeof(*keys));
	for (uint32_t round = 0; round < ROUNDS; round++)
		round_of_work(seed, faults);
	CU_ASSERT(stage_stop() == 0);
	if (CU_get_number_of_failures() != 0 && !crashed) {
		printf("# first wrong with seed %lu\n", (unsigned long)seed);
		crashed = true;
	}
}

static void
setup(void)
{
	stage_setup();
	stage_device(32u << 20);
	crashed = false;
	keys = calloc(KEYS, sizeof(*keys));
	works = calloc(OPS, sizeof(*works));
	for (uint32_t i = 0; i < OPS; i++)
		works[i].value = malloc(10000);
}

static void
teardown(void)
{
	for (uint32_t i = 0; i < OPS; i++)
		free(works[i].value);
	free(works);
	free(keys);
	stage_teardown();
}

static void
test_any_history_with_crashes_reads_as_it_was_written(void)
{
	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		history(seed, false);
}

static void
test_any_history_with_crashes_and_failing_writes_reads_as_it_was_written(void)
{
	for (uint64_t seed = 101; seed < 101 + SEEDS; seed++)
		history(seed, true);
}

UT_SUITE(cache_history, setup, teardown,
	 UT_CASE(test_any_history_with_crashes_reads_as_it_was_written),
	 UT_CASE(test_any_history_with_crashes_and_failing_writes_reads_as_it_was_written));
