/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include "lib/cache/read.h"

/*
 * An operation on an object, within the engine: what struct tarn_cache_op has in `engine`. From its
 * arrival at its shard until op_finish() it is the shard's reactor's.
 */
struct op {
	struct tarn_msg msg;
	struct shard *shard;
	struct shard_task task;
	struct shard_settled settled;
	struct log_waiter waiter;
	struct log_read read;
	TAILQ_ENTRY(op) order;
	uint64_t hash;
	uint64_t start_ns;
	uint64_t position;    /* units: of the entry that is being read */
	uint32_t place, info; /* of its slot */
	uint32_t expiry_s;    /* the new one */
	int32_t outcome;      /* what to tell once the waiter is done */
	uint8_t kind;	      /* enum tarn_cache_op_kind */
	bool in_call;	      /* within the user's call: tell at the end of the turn */
	bool head_only;	      /* what is read is the record's head */
	bool condition_met;   /* IF_ABSENT, IF_PRESENT: looked at, for slot `place`, `info` */
	bool hit_ram;
	bool ordered;		 /* in a list of shard->order */
	uint8_t *head_buf, *buf; /* I/O memory */
	uint32_t head_bytes;	 /* of the record, with head_only */
	int64_t value_at;	 /* bytes from buf to where the value would begin; may be below 0 */
};
_Static_assert(sizeof(struct op) <= TARN_CACHE_OP_BYTES, "struct op fits its user's memory");

static inline struct op *
op_of(struct tarn_cache_op *user)
{
	return (struct op *)(void *)user->engine;
}

static inline struct tarn_cache_op *
op_user(struct op *op)
{
	return tarn_container_of(op, struct tarn_cache_op, engine);
}

/* op.c */
/** The operation is over: its status, statistics, and the user's callback where he asked. */
void op_finish(struct op *op, int status);
void op_miss(struct op *op, enum tarn_cache_miss reason);
void op_reject(struct op *op, enum tarn_cache_reject reason, int status);
/** Begin a store, removal or touch: it has its turn. */
void op_run(struct op *op);
/** Tell `status` once what was appended is committed, or durable where asked. */
void op_wait(struct op *op, int status);

/* order.c: what changes one key takes effect in the order of its arrival */
/** Begin a store, removal or touch, now or after those of the same key that arrived earlier. */
void op_order_enter(struct op *op);
/** It reads first, or waits for room: later ones of its key wait until op_order_leave(). */
void op_order_hold(struct op *op);
/** It has taken effect, or is over. */
void op_order_leave(struct op *op);

/* object_read.c: lookup, exists, and the reads of touch and of conditions */
void op_read(struct op *op);

/* object_write.c */
void op_store(struct op *op);
void op_remove(struct op *op);
/** A record was read and may be looked at: the old one of a touch, or of a condition. */
void op_touch_read(struct op *op, const struct disk_record *record);
void op_condition_read(struct op *op, bool present);
/** Remove what cannot be read from the index, by a tombstone. */
void op_drop_bad(struct op *op);
