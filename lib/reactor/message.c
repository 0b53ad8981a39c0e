/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Messages (contract C1): never dropped, and no reactor waits for another.
 *
 * A message goes into the receiver's ring, or, when that is full or older ones of the same sender
 * still wait, onto the sender's own list for that receiver, from which each turn moves what fits.
 * Order is thus kept for each pair of sender and receiver. Threads that are no reactors have no
 * turns and hand theirs over under the receiver's lock. The lists need no memory; past a ring of
 * messages on them the sender counts as congested, and lib/bdev admits no new I/O there until they
 * have drained.
 */
#include <errno.h>
#include <stdlib.h>

#include "lib/reactor/internal.h"

void
msg_list_append(struct msg_list *list, struct tarn_msg *msg)
{
	msg->next = NULL;
	if (list->last != NULL)
		list->last->next = msg;
	else
		list->first = msg;
	list->last = msg;
}

static struct tarn_msg *
msg_list_pop(struct msg_list *list)
{
	struct tarn_msg *msg = list->first;

	if (msg != NULL) {
		list->first = msg->next;
		if (list->first == NULL)
			list->last = NULL;
	}
	return msg;
}

static void
send_from_reactor(struct tarn_reactor *from, struct tarn_reactor *to, struct tarn_msg *msg)
{
	uint64_t bit = UINT64_C(1) << to->index;

	if ((from->overflowing & bit) != 0 || !ring_push(to->ring, msg)) {
		msg_list_append(&from->overflow[to->index], msg);
		from->overflowing |= bit;
		from->overflow_msg_count++;
		from->stats.overflow_count++;
	}
	if (reactor_wake(to))
		from->stats.wakeup_count++;
}

/* Not through the ring: what it did not take would have to keep its place behind what it did. */
static void
send_from_foreign(struct tarn_reactor *to, struct tarn_msg *msg)
{
	pthread_mutex_lock(&to->foreign_lock);
	msg_list_append(&to->foreign, msg);
	atomic_store(&to->foreign_waiting, true);
	pthread_mutex_unlock(&to->foreign_lock);
	atomic_thread_fence(memory_order_seq_cst); /* as ring_push() has */
	reactor_wake(to);
}

void
tarn_msg_send(struct tarn_reactor *to, struct tarn_msg *msg, tarn_msg_fn fn, void *arg)
{
	struct tarn_reactor *from = tarn_reactor_self();

	msg->next = NULL;
	msg->fn = fn;
	msg->arg = arg;
	if (tarn_likely(from != NULL))
		send_from_reactor(from, to, msg);
	else
		send_from_foreign(to, msg);
}

uint32_t
messages_flush_overflow(struct tarn_reactor *reactor)
{
	uint64_t left = reactor->overflowing;
	uint32_t moved = 0;

	while (tarn_unlikely(left != 0)) {
		uint32_t index = (uint32_t)__builtin_ctzll(left);
		struct msg_list *list = &reactor->overflow[index];
		struct tarn_reactor *to = reactors.reactor[index];

		left &= left - 1;
		while (list->first != NULL) {
			struct tarn_msg *msg = list->first;
			struct tarn_msg *next = msg->next;

			/* Once in the ring it is the receiver's: take it off the list before. */
			msg_list_pop(list);
			if (!ring_push(to->ring, msg)) {
				msg->next = next;
				list->first = msg;
				if (list->last == NULL)
					list->last = msg;
				break;
			}
			reactor->overflow_msg_count--;
			moved++;
		}
		if (list->first == NULL)
			reactor->overflowing &= ~(UINT64_C(1) << index);
		if (moved != 0 && reactor_wake(to))
			reactor->stats.wakeup_count++;
	}
	return moved;
}

static uint32_t
run_foreign(struct tarn_reactor *reactor)
{
	struct tarn_msg *msg;
	struct msg_list list;
	uint32_t count = 0;

	if (tarn_likely(!atomic_load_explicit(&reactor->foreign_waiting, memory_order_relaxed)))
		return 0;
	pthread_mutex_lock(&reactor->foreign_lock);
	list = reactor->foreign;
	reactor->foreign = (struct msg_list){ 0 };
	atomic_store(&reactor->foreign_waiting, false);
	pthread_mutex_unlock(&reactor->foreign_lock);
	while ((msg = msg_list_pop(&list)) != NULL) {
		msg->fn(msg->arg);
		count++;
	}
	return count;
}

uint32_t
messages_run(struct tarn_reactor *reactor)
{
	struct tarn_msg *msgs[REACTOR_MESSAGES_PER_TURN];
	uint32_t count = ring_pop(reactor->ring, msgs, REACTOR_MESSAGES_PER_TURN);

	if (count == REACTOR_MESSAGES_PER_TURN) {
		uint32_t seen = count + ring_count(reactor->ring);

		if (seen > reactor->stats.ring_highwater)
			reactor->stats.ring_highwater = seen;
	} else if (count > reactor->stats.ring_highwater) {
		reactor->stats.ring_highwater = count;
	}
	for (uint32_t i = 0; i < count; i++)
		msgs[i]->fn(msgs[i]->arg);
	count += run_foreign(reactor);
	reactor->stats.message_count += count;
	return count;
}

bool
messages_pending(struct tarn_reactor *reactor)
{
	return reactor->overflowing != 0 || ring_count(reactor->ring) != 0 ||
	       atomic_load(&reactor->foreign_waiting);
}

bool
tarn_reactor_congested(const struct tarn_reactor *reactor)
{
	return reactor->overflow_msg_count > reactor->ring_size;
}

/* A message from the heap, for the control path. */
struct heap_call {
	struct tarn_msg msg;
	tarn_msg_fn fn, done;
	void *arg;
	struct tarn_reactor *origin;
	uint32_t next_index;
};

static void
heap_call_run(void *arg)
{
	struct heap_call call = *(struct heap_call *)arg;

	free(arg);
	call.fn(call.arg);
}

int
tarn_reactor_call(struct tarn_reactor *to, tarn_msg_fn fn, void *arg)
{
	struct heap_call *call = calloc(1, sizeof(*call));

	if (call == NULL)
		return -ENOMEM;
	call->fn = fn;
	call->arg = arg;
	tarn_msg_send(to, &call->msg, heap_call_run, call);
	return 0;
}

static void
for_each_done(void *arg)
{
	struct heap_call call = *(struct heap_call *)arg;

	free(arg);
	call.done(call.arg);
}

static void
for_each_visit(void *arg)
{
	struct heap_call *call = arg;

	call->fn(call->arg);
	call->next_index++;
	if (call->next_index < reactors.count)
		tarn_msg_send(reactors.reactor[call->next_index], &call->msg, for_each_visit, call);
	else
		tarn_msg_send(call->origin, &call->msg, for_each_done, call);
}

int
tarn_reactor_for_each(tarn_msg_fn fn, tarn_msg_fn done, void *arg)
{
	struct heap_call *call = calloc(1, sizeof(*call));

	if (call == NULL)
		return -ENOMEM;
	call->fn = fn;
	call->done = done;
	call->arg = arg;
	call->origin = tarn_reactor_self();
	tarn_assert(call->origin != NULL);
	tarn_msg_send(reactors.reactor[0], &call->msg, for_each_visit, call);
	return 0;
}
