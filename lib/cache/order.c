/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Stores, removals and touches of one key take effect in the order of their arrival, also where one
 * has to read first (a condition, a touch) or waits for room in the log:
 *
 *	arrival --none before--> run [--reads, no room--> HELD] --appended, or over--> gone
 *	arrival --one is held--> WAITS --those before it are gone--> HELD, run at turn's end
 *
 * The lists, by hash, have those that are held or wait, in order. Of each key the first is held;
 * the others wait. What neither reads nor waits is in none.
 */
#include "lib/cache/internal.h"
#include "lib/cache/op.h"

static struct op_list *
list_of(struct op *op)
{
	return &op->shard->order.lists[op->hash % SHARD_ORDER_LISTS];
}

static struct op *
first_of_key(struct op *op)
{
	struct op *other;

	TAILQ_FOREACH (other, list_of(op), order)
		if (other->hash == op->hash)
			return other;
	return NULL;
}

static void
add(struct op *op)
{
	TAILQ_INSERT_TAIL(list_of(op), op, order);
	op->ordered = true;
	op->shard->order.count++;
}

void
op_order_enter(struct op *op)
{
	if (tarn_unlikely(op->shard->order.count != 0) && first_of_key(op) != NULL)
		add(op);
	else
		op_run(op);
}

void
op_order_hold(struct op *op)
{
	if (!op->ordered)
		add(op);
}

static void
go_on(struct shard_settled *settled)
{
	op_run(tarn_container_of(settled, struct op, settled));
}

void
op_order_leave(struct op *op)
{
	struct op *next;

	TAILQ_REMOVE(list_of(op), op, order);
	op->ordered = false;
	op->shard->order.count--;
	next = first_of_key(op);
	if (next != NULL)
		shard_settle(next->shard, &next->settled, go_on);
}
