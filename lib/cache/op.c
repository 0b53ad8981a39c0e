/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Operations on objects: from the user's thread to the shard's reactor, and back.
 *
 *	user --same reactor: call; otherwise: message--> shard --op_finish--> user's reactor
 *
 * A callback never runs inside the user's call: what ends there waits for the end of the turn.
 */
#include <errno.h>
#include <string.h>
#include <xxhash.h>

#include "lib/cache/internal.h"
#include "lib/cache/op.h"

/* --- The end --- */

static void
tell(void *arg)
{
	struct op *op = arg;
	struct tarn_cache_op *user = op_user(op);

	user->cb(user);
}

static void
tell_settled(struct shard_settled *settled)
{
	tell(tarn_container_of(settled, struct op, settled));
}

static void
account(struct op *op, int status)
{
	struct shard *shard = op->shard;
	struct tarn_cache_counters *counters = &shard->counters;
	uint64_t ns = tarn_now_unordered_ns() - op->start_ns;

	switch (op->kind) {
	case TARN_CACHE_LOOKUP:
		if (status != 0) {
			tarn_histogram_add(&shard->miss_ns, ns);
			return;
		}
		tarn_histogram_add(&shard->hit_ns, ns);
		counters->hit_ram += op->hit_ram;
		counters->hit_device += !op->hit_ram;
		counters->hit_bytes += op_user(op)->result_bytes;
		return;
	case TARN_CACHE_STORE:
		tarn_histogram_add(&shard->store_ns, ns);
		counters->store_count += status == 0;
		if (status == 0)
			counters->store_bytes += op_user(op)->buf_bytes;
		return;
	case TARN_CACHE_REMOVE:
		counters->remove_count += status == 0;
		return;
	case TARN_CACHE_TOUCH:
		counters->touch_count += status == 0;
		return;
	default:
		return;
	}
}

void
op_finish(struct op *op, int status)
{
	struct tarn_cache_op *user = op_user(op);
	struct shard *shard = op->shard;
	bool lent = status == 0 && op->kind == TARN_CACHE_LOOKUP && user->lent != NULL;

	if (tarn_unlikely(op->ordered))
		op_order_leave(op);
	account(op, status);
	user->status = status;
	tarn_iobuf_put(op->head_buf);
	op->head_buf = NULL;
	if (!lent) {
		tarn_iobuf_put(op->buf);
		op->buf = NULL;
	}
	shard->op_count--;
	if (tarn_unlikely(user->reactor != shard->reactor))
		tarn_msg_send(user->reactor, &op->msg, tell, op);
	else if (op->in_call)
		shard_settle(shard, &op->settled, tell_settled);
	else
		user->cb(user);
}

void
op_miss(struct op *op, enum tarn_cache_miss reason)
{
	if (op->kind == TARN_CACHE_LOOKUP)
		op->shard->counters.miss[reason]++;
	op_finish(op, -ENOENT);
}

void
op_reject(struct op *op, enum tarn_cache_reject reason, int status)
{
	op->shard->counters.reject[reason]++;
	op_finish(op, status);
}

static void
waited(struct log_waiter *waiter, int status)
{
	struct op *op = tarn_container_of(waiter, struct op, waiter);

	/* Without a log it was refused after all; where only a flush failed, it is there. */
	if (tarn_unlikely(status != 0) && op->kind == TARN_CACHE_STORE && op->outcome == 0 &&
	    op->shard->failed)
		op->shard->counters.reject[TARN_CACHE_REJECT_FAILED]++;
	op_finish(op, status != 0 ? status : op->outcome);
}

void
op_wait(struct op *op, int status)
{
	op->outcome = status;
	if (tarn_unlikely(op->ordered))
		op_order_leave(op);
	log_wait(op->shard, &op->waiter, (op_user(op)->flags & TARN_CACHE_DURABLE) != 0, waited);
}

/* --- The beginning --- */

void
op_run(struct op *op)
{
	switch (op->kind) {
	case TARN_CACHE_STORE:
		op_store(op);
		break;
	case TARN_CACHE_REMOVE:
		op_remove(op);
		break;
	default:
		op_order_hold(op);
		op_read(op);
		break;
	}
}

static void
arrive(struct op *op)
{
	struct shard *shard = op->shard;

	shard->op_count++;
	op->start_ns = tarn_now_unordered_ns();
	if (tarn_unlikely(atomic_load_explicit(&shard->cache->state, memory_order_relaxed) !=
			  CACHE_RUNNING)) {
		op_finish(op, -ESHUTDOWN);
		return;
	}
	if (op->kind == TARN_CACHE_LOOKUP || op->kind == TARN_CACHE_EXISTS)
		op_read(op);
	else
		op_order_enter(op);
}

static void
arrive_msg(void *arg)
{
	struct op *op = arg;

	op->in_call = false;
	arrive(op);
}

/* Unix time as in entries: 0 never, otherwise when it is over. */
static uint32_t
expiry_of(const struct tarn_cache *cache, const struct tarn_cache_op *user)
{
	int64_t ttl_s = user->ttl_s;
	int64_t at;

	if ((user->flags & TARN_CACHE_EXPIRY_AT) != 0)
		return ttl_s >= UINT32_MAX ? 0 : ttl_s == 0 ? 1 : (uint32_t)ttl_s;
	if (ttl_s == TARN_CACHE_TTL_DEFAULT)
		ttl_s = atomic_load_explicit(&cache->default_ttl_s, memory_order_relaxed);
	if (ttl_s == 0 || ttl_s >= UINT32_MAX)
		return 0;
	/* The second that has begun counts as a whole one. */
	at = (int64_t)cache_now_s(cache) + ttl_s + 1;
	return at >= UINT32_MAX ? 0 : (uint32_t)at;
}

static int
check(const struct tarn_cache_op *user, enum tarn_cache_op_kind kind)
{
	if (user->key_bytes == 0 || user->key_bytes > TARN_CACHE_KEY_MAX)
		return -EINVAL;
	if ((kind == TARN_CACHE_STORE || kind == TARN_CACHE_TOUCH) && user->ttl_s < 0)
		return -EINVAL;
	return 0;
}

static void
refused(void *arg)
{
	tell(arg);
}

static void
submit(struct tarn_cache_op *user, enum tarn_cache_op_kind kind)
{
	struct tarn_cache *cache = user->cache;
	struct tarn_reactor *self = tarn_reactor_self();
	struct op *op = op_of(user);

	if (user->reactor == NULL)
		user->reactor = self;
	tarn_assert(user->reactor != NULL && cache->magic == CACHE_MAGIC);
	user->value_bytes = user->result_bytes = user->expiry_s = 0;
	user->lent = NULL;
	op->kind = (uint8_t)kind;
	op->head_only = op->condition_met = op->hit_ram = op->ordered = false;
	op->head_buf = op->buf = NULL;
	user->status = check(user, kind);
	if (tarn_unlikely(user->status != 0)) {
		tarn_msg_send(user->reactor, &op->msg, refused, op);
		return;
	}
	op->hash = XXH3_64bits(user->key, user->key_bytes);
	op->expiry_s =
	    kind == TARN_CACHE_STORE || kind == TARN_CACHE_TOUCH ? expiry_of(cache, user) : 0;
	op->shard = &cache->shards[cache_object_shard(cache, op->hash)];
	op->task.run = NULL;
	op->in_call = false;
	if (op->shard->reactor == self && user->reactor == self) {
		op->in_call = true;
		arrive(op);
		/* Not told yet, so still ours: within the call it only settles. */
		op->in_call = false;
	} else if (op->shard->reactor == self) {
		arrive(op);
	} else {
		tarn_msg_send(op->shard->reactor, &op->msg, arrive_msg, op);
	}
}

void
tarn_cache_store(struct tarn_cache_op *op)
{
	submit(op, TARN_CACHE_STORE);
}

void
tarn_cache_lookup(struct tarn_cache_op *op)
{
	submit(op, TARN_CACHE_LOOKUP);
}

void
tarn_cache_remove(struct tarn_cache_op *op)
{
	submit(op, TARN_CACHE_REMOVE);
}

void
tarn_cache_touch(struct tarn_cache_op *op)
{
	submit(op, TARN_CACHE_TOUCH);
}

void
tarn_cache_exists(struct tarn_cache_op *op)
{
	submit(op, TARN_CACHE_EXISTS);
}

void
tarn_cache_submit(struct tarn_cache_op *const *ops, uint32_t op_count, enum tarn_cache_op_kind kind)
{
	for (uint32_t i = 0; i < op_count; i++)
		submit(ops[i], kind);
}

void
tarn_cache_release(struct tarn_cache_op *user)
{
	struct op *op = op_of(user);

	tarn_assert(user->lent != NULL && op->buf != NULL);
	tarn_iobuf_put(op->buf);
	op->buf = NULL;
	user->lent = NULL;
}
