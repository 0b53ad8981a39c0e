/* SPDX-License-Identifier: BSD-3-Clause */
#include "test/unit/cache/stage.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tarn/bdev_opts.h"
#include "tarn/env.h"
#include "test/unit/cache/volatile.h"

#define MAX_TURNS 200000
#define VALUE_MAX (20u * 1024 * 1024)
#define POISON 0xee /* what no lookup has written */

struct stage stage;
uint8_t *stage_value;
struct tarn_cache_op stage_op;
struct tarn_cache_block_req stage_req;

static struct tarn_bdev *base, *error;
static uint8_t *block_buf;

/* --- The stage --- */

void
stage_turns(uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		tarn_fake_clock_advance(10000);
		tarn_reactor_turn(tarn_reactor_get(1));
		tarn_reactor_turn(tarn_reactor_get(0));
	}
}

static void
turn_until(const bool *done)
{
	for (uint32_t i = 0; i < MAX_TURNS && !*done; i++)
		stage_turns(1);
	CU_ASSERT_FATAL(*done);
}

void
stage_time(uint64_t seconds)
{
	tarn_fake_clock_advance(seconds * 1000000000);
	stage_turns(1);
}

void
stage_device(uint64_t bytes)
{
	struct tarn_bdev_error_opts error_opts = { .base_name = "base" };
	struct tarn_bdev_common_opts opts = { 0 };

	stage.device_bytes = volatile_disk.size_bytes = bytes;
	CU_ASSERT_FATAL(tarn_bdev_create("volatile", "base", &opts, &base, NULL) == 0);
	CU_ASSERT_FATAL(tarn_bdev_create("error", "disk", &error_opts, &error, NULL) == 0);
}

void
stage_setup(void)
{
	struct tarn_reactor_opts opts = { .unpinned = true };

	memset(&stage, 0, sizeof(stage));
	memset(&stage_op, 0, sizeof(stage_op));
	memset(&stage_req, 0, sizeof(stage_req));
	stage.env = (struct tarn_cache_env){
		.seed = 42, .wall_time_s = STAGE_WALL_S, .boot_id = { 1 }, .disk_sequence = 1
	};
	stage.opts = (struct tarn_cache_opts){
		.name = "cache", .bdev_name = "disk", .shard_count = 2, .env = &stage.env
	};
	CU_ASSERT_FATAL(tarn_env_init(NULL) == 0);
	tarn_fake_clock_start(1000000000);
	CPU_ZERO(&opts.cpus);
	CPU_SET(0, &opts.cpus);
	CPU_SET(1, &opts.cpus);
	CU_ASSERT_FATAL(tarn_reactors_init(&opts) == 0);
	stage_turns(1);
	stage_value = malloc(VALUE_MAX);
	block_buf = tarn_iobuf_get(1 << 20);
}

void
stage_setup_one(void)
{
	stage_setup();
	stage.opts.shard_count = 1;
	stage.opts.segment_bytes = 128 * 1024;
}

void
stage_teardown(void)
{
	if (stage.cache != NULL) {
		stage_clear();
		stage_stop();
	}
	if (error != NULL)
		tarn_bdev_delete(error, true, NULL, NULL);
	stage_turns(20);
	if (base != NULL)
		tarn_bdev_delete(base, true, NULL, NULL);
	stage_turns(20);
	error = base = NULL;
	CU_ASSERT(tarn_bdev_next(NULL) == NULL);
	tarn_iobuf_put(block_buf);
	free(stage_value);
	tarn_reactors_fini();
	tarn_iobuf_thread_flush();
	tarn_env_fini();
	tarn_fake_clock_stop();
}

struct outcome {
	bool done;
	int status;
};

static void
created(void *arg, int status, struct tarn_cache *cache, const struct tarn_reason *reason)
{
	struct outcome *outcome = arg;

	stage.cache = cache;
	if (cache != NULL)
		stage.data_offset = cache->super->data_offset;
	stage.reason = *reason;
	*outcome = (struct outcome){ true, status };
}

int
stage_open(void)
{
	struct outcome outcome = { 0 };

	if (base == NULL)
		stage_device(STAGE_BYTES);
	tarn_cache_create(&stage.opts, created, &outcome);
	CU_ASSERT(!outcome.done || outcome.status == -ENOMEM);
	turn_until(&outcome.done);
	return outcome.status;
}

void
stage_start(void)
{
	int status = stage_open();

	if (status != 0)
		printf("# cache: %d %s\n", status, stage.reason.text);
	CU_ASSERT_FATAL(status == 0);
}

static void
outcome_done(void *arg, int status)
{
	*(struct outcome *)arg = (struct outcome){ true, status };
}

int
stage_stop(void)
{
	struct outcome outcome = { 0 };

	tarn_cache_stop(stage.cache, outcome_done, &outcome);
	turn_until(&outcome.done);
	stage.cache = NULL;
	return outcome.status;
}

int
stage_delete(bool force)
{
	struct outcome outcome = { 0 };

	tarn_cache_delete(stage.cache, force, outcome_done, &outcome);
	turn_until(&outcome.done);
	if (outcome.status != -EBUSY)
		stage.cache = NULL;
	return outcome.status;
}

void
stage_raw(enum tarn_io_op op, void *buf, uint64_t offset_bytes, uint64_t length_bytes)
{
	if (op == TARN_IO_READ) {
		memcpy(buf, volatile_disk.data + offset_bytes, length_bytes);
		return;
	}
	memcpy(volatile_disk.data + offset_bytes, buf, length_bytes);
	memcpy(volatile_disk.flushed + offset_bytes, buf, length_bytes);
}

/* The cache is stopped, so that nothing leaks, and the device is put back to what it was. */
static void
crash(bool power, uint64_t seed)
{
	uint64_t bytes = volatile_disk.size_bytes;
	uint8_t *data = malloc(bytes), *flushed = malloc(bytes);

	memcpy(data, volatile_disk.data, bytes);
	memcpy(flushed, volatile_disk.flushed, bytes);
	stage_clear();
	stage_stop();
	if (power) {
		volatile_lose(data, flushed, seed);
		memcpy(flushed, data, bytes);
		stage.env.boot_id[0]++;
	}
	memcpy(volatile_disk.data, data, bytes);
	memcpy(volatile_disk.flushed, flushed, bytes);
	volatile_touch();
	free(data);
	free(flushed);
}

void
stage_crash(void)
{
	crash(false, 0);
}

void
stage_power_loss(uint64_t seed)
{
	crash(true, seed);
}

void
stage_inject(int op, enum tarn_error_type type, uint64_t count, uint64_t skip_count)
{
	struct tarn_bdev_error_inject inject = {
		.op = op,
		.type = type,
		.count = count,
		.skip_count = skip_count,
		.corrupt_offset = 100,
		.corrupt_value = 0x55,
	};

	CU_ASSERT_FATAL(tarn_bdev_control(error, TARN_BDEV_INJECT, &inject, NULL) == 0);
}

void
stage_unreadable(uint64_t offset_bytes, uint64_t length_bytes)
{
	struct tarn_bdev_error_inject inject = {
		.op = TARN_IO_READ,
		.type = TARN_ERROR_FAILURE,
		.count = UINT64_MAX,
		.offset_bytes = offset_bytes,
		.length_bytes = length_bytes,
	};

	CU_ASSERT_FATAL(tarn_bdev_control(error, TARN_BDEV_INJECT, &inject, NULL) == 0);
}

void
stage_clear(void)
{
	stage_inject(-1, TARN_ERROR_NONE, 0, 0);
}

/* --- Objects --- */

static void
op_done(struct tarn_cache_op *op)
{
	*(bool *)op->arg = true;
}

static int
run(struct tarn_cache_op *op, const char *key, enum tarn_cache_op_kind kind)
{
	bool done = false;

	op->cache = stage.cache;
	op->key = key;
	op->key_bytes = (uint32_t)strlen(key);
	op->cb = op_done;
	op->arg = &done;
	op->reactor = NULL;
	tarn_cache_submit(&op, 1, kind);
	CU_ASSERT(!done);
	turn_until(&done);
	return op->status;
}

int
stage_store_opts(const char *key, const void *value, uint64_t bytes, uint32_t flags, int64_t ttl_s)
{
	struct tarn_cache_op op = {
		.buf = (void *)(uintptr_t)value,
		.buf_bytes = bytes,
		.flags = flags,
		.ttl_s = ttl_s,
	};

	return run(&op, key, TARN_CACHE_STORE);
}

int
stage_store(const char *key, const void *value, uint64_t bytes)
{
	return stage_store_opts(key, value, bytes, 0, 0);
}

int
stage_lookup_range(const char *key, uint64_t offset, uint64_t bytes)
{
	memset(&stage_op, 0, sizeof(stage_op));
	/* As much as tests look at: all of it would take more time than everything else. */
	memset(stage_value, POISON, tarn_min_u64(bytes, 64 * 1024));
	stage_op.buf = stage_value;
	stage_op.buf_bytes = bytes;
	stage_op.offset_bytes = offset;
	return run(&stage_op, key, TARN_CACHE_LOOKUP);
}

int
stage_lookup(const char *key)
{
	return stage_lookup_range(key, 0, VALUE_MAX);
}

int
stage_remove(const char *key)
{
	struct tarn_cache_op op = { 0 };

	return run(&op, key, TARN_CACHE_REMOVE);
}

int
stage_touch(const char *key, int64_t ttl_s)
{
	struct tarn_cache_op op = { .ttl_s = ttl_s };

	return run(&op, key, TARN_CACHE_TOUCH);
}

int
stage_exists(const char *key)
{
	memset(&stage_op, 0, sizeof(stage_op));
	return run(&stage_op, key, TARN_CACHE_EXISTS);
}

int
stage_flush(void)
{
	struct outcome outcome = { 0 };

	tarn_cache_flush(stage.cache, outcome_done, &outcome);
	turn_until(&outcome.done);
	return outcome.status;
}

int
stage_checkpoint(void)
{
	struct outcome outcome = { 0 };

	tarn_cache_checkpoint(stage.cache, outcome_done, &outcome);
	turn_until(&outcome.done);
	return outcome.status;
}

int
stage_purge(const char *prefix)
{
	struct outcome outcome = { 0 };

	tarn_cache_purge(stage.cache, prefix, (uint32_t)strlen(prefix), outcome_done, &outcome);
	turn_until(&outcome.done);
	return outcome.status;
}

int
stage_volume_set(const uint8_t uuid[16], uint64_t generation)
{
	struct tarn_cache_volume volume = { .generation = generation };
	struct outcome outcome = { 0 };

	memcpy(volume.uuid, uuid, 16);
	tarn_cache_volume_set(stage.cache, &volume, outcome_done, &outcome);
	turn_until(&outcome.done);
	return outcome.status;
}

int
stage_volume_forget(const uint8_t uuid[16])
{
	struct outcome outcome = { 0 };

	tarn_cache_volume_forget(stage.cache, uuid, outcome_done, &outcome);
	turn_until(&outcome.done);
	return outcome.status;
}

int
stage_ban(uint64_t first, uint64_t count)
{
	struct tarn_cache_block_range range = { 1, first, count };
	struct outcome outcome = { 0 };

	tarn_cache_block_ban(stage.cache, &range, outcome_done, &outcome);
	turn_until(&outcome.done);
	return outcome.status;
}

void
stage_fill(void *buf, uint64_t bytes, uint32_t key, uint32_t version)
{
	uint64_t x = (uint64_t)key << 32 | version;
	uint8_t *to = buf;

	for (uint64_t i = 0; i < bytes; i++)
		to[i] = (uint8_t)((x >> (i % 8 * 8)) + i / 8);
}

bool
stage_same(const void *buf, uint64_t bytes, uint32_t key, uint32_t version)
{
	uint64_t x = (uint64_t)key << 32 | version;
	const uint8_t *from = buf;

	for (uint64_t i = 0; i < bytes; i++)
		if (from[i] != (uint8_t)((x >> (i % 8 * 8)) + i / 8))
			return false;
	return true;
}

/* --- Many --- */

struct many {
	uint32_t next, end, running;
	uint64_t bytes;
	uint32_t version;
};

struct one {
	struct tarn_cache_op op;
	struct many *many;
	char key[16];
	uint8_t *value;
};

static void
one_start(struct one *one)
{
	struct many *many = one->many;
	uint32_t key = many->next++;

	snprintf(one->key, sizeof(one->key), "k%u", key);
	stage_fill(one->value, many->bytes, key, many->version);
	one->op.cache = stage.cache;
	one->op.key = one->key;
	one->op.key_bytes = (uint32_t)strlen(one->key);
	one->op.buf = one->value;
	one->op.buf_bytes = many->bytes;
	many->running++;
	tarn_cache_store(&one->op);
}

static void
one_done(struct tarn_cache_op *op)
{
	struct one *one = op->arg;
	struct many *many = one->many;

	CU_ASSERT(op->status == 0);
	many->running--;
	if (many->next < many->end)
		one_start(one);
}

void
stage_store_many(uint32_t first, uint32_t count, uint64_t bytes, uint32_t version, uint32_t depth)
{
	struct many many = {
		.next = first, .end = first + count, .bytes = bytes, .version = version
	};
	struct one *ones = calloc(depth, sizeof(*ones));

	for (uint32_t i = 0; i < depth; i++) {
		ones[i].many = &many;
		ones[i].op.cb = one_done;
		ones[i].op.arg = &ones[i];
		ones[i].value = malloc(bytes + 1);
		if (many.next < many.end)
			one_start(&ones[i]);
	}
	for (uint32_t i = 0; i < MAX_TURNS && many.running != 0; i++)
		stage_turns(1);
	CU_ASSERT_FATAL(many.running == 0);
	for (uint32_t i = 0; i < depth; i++)
		free(ones[i].value);
	free(ones);
}

/* --- Blocks --- */

static void
block_done(struct tarn_cache_block_req *req)
{
	*(bool *)req->arg = true;
}

int
stage_block(enum tarn_cache_block_kind kind, uint32_t flags, uint64_t first, uint32_t count,
	    uint32_t version)
{
	struct iovec iov = { block_buf, (size_t)count * TARN_CACHE_BLOCK_BYTES };
	uint64_t token = stage_req.token;
	bool done = false;

	if (kind == TARN_CACHE_BLOCK_LOOKUP)
		memset(block_buf, 0xee, iov.iov_len);
	for (uint32_t i = 0; i < count && kind < TARN_CACHE_BLOCK_LOOKUP; i++)
		stage_fill(block_buf + (size_t)i * TARN_CACHE_BLOCK_BYTES, TARN_CACHE_BLOCK_BYTES,
			   (uint32_t)first + i, version);
	memset(&stage_req, 0, sizeof(stage_req));
	stage_req.cache = stage.cache;
	stage_req.kind = (uint8_t)kind;
	stage_req.flags = (uint8_t)flags;
	stage_req.volume_id = 1;
	stage_req.first_block = first;
	stage_req.block_count = (uint16_t)count;
	stage_req.iov = &iov;
	stage_req.iov_count = 1;
	stage_req.token = token;
	stage_req.cb = block_done;
	stage_req.arg = &done;
	tarn_cache_block_submit(&stage_req);
	CU_ASSERT(!done);
	turn_until(&done);
	return stage_req.status;
}

bool
stage_block_is(uint32_t n, uint32_t version)
{
	return (stage_req.hit[n / 64] >> (n % 64) & 1) != 0 &&
	       stage_same(block_buf + (size_t)n * TARN_CACHE_BLOCK_BYTES, TARN_CACHE_BLOCK_BYTES,
			  (uint32_t)stage_req.first_block + n, version);
}

void
stage_stats(struct tarn_cache_stats *stats)
{
	struct outcome outcome = { 0 };

	tarn_cache_get_stats(stage.cache, false, stats, outcome_done, &outcome);
	turn_until(&outcome.done);
}

uint32_t
stage_found_of(uint32_t first, uint32_t count, uint64_t bytes, uint32_t version)
{
	uint32_t found = 0;

	for (uint32_t i = first; i < first + count; i++) {
		char key[16];

		snprintf(key, sizeof(key), "k%u", i);
		if (stage_lookup(key) != 0)
			continue;
		CU_ASSERT(stage_op.value_bytes == bytes &&
			  stage_same(stage_value, bytes, i, version));
		found++;
	}
	return found;
}

uint32_t
stage_found(uint32_t first, uint32_t count, uint32_t version)
{
	return stage_found_of(first, count, 3000, version);
}

struct tarn_cache_info
stage_info(void)
{
	struct tarn_cache_info ret;

	tarn_cache_get_info(stage.cache, &ret);
	return ret;
}
