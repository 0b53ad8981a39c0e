/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The turn, and the loop that turns, sleeps and stops.
 *
 *	busy --no work, spin.c--> asleep --event, message, timer--> busy
 *
 * Handshake with senders, so that a sleeping reactor is always woken and a busy one never: the
 * sleeper sets `sleeping`, then looks at its ring; a sender puts its message into the ring, then
 * looks at `sleeping`. With a full barrier between each pair at least one of them sees the other.
 */
#include "lib/reactor/internal.h"
#include "tarn/env.h"

bool
tarn_reactor_turn(struct tarn_reactor *reactor)
{
	struct tarn_reactor *before = reactor_switch(reactor);
	uint64_t now_ns = tarn_now_ns();
	uint64_t work;

	reactor->turn_ns = now_ns;
	work = messages_flush_overflow(reactor);
	work += messages_run(reactor);
	work += pollers_run(reactor);
	work += fds_run(reactor);
	work += deferred_run(reactor);

	reactor->stats.turn_count++;
	reactor_switch(before);
	return work != 0;
}

bool
reactor_wake(struct tarn_reactor *reactor)
{
	if (atomic_load_explicit(&reactor->sleeping, memory_order_relaxed) == 0)
		return false;
	if (atomic_exchange(&reactor->sleeping, 0) == 0)
		return false; /* another sender was first */
	fds_wake(reactor);
	return true;
}

static bool
has_work(struct tarn_reactor *reactor)
{
	return messages_pending(reactor) || reactor->deferred_first != NULL;
}

/* \return when it went on. */
static uint64_t
sleep_until_event(struct tarn_reactor *reactor, uint64_t now_ns)
{
	uint64_t for_ns = pollers_sleep_ns(reactor);

	if (for_ns == TARN_SLEEP_NO)
		return now_ns;
	atomic_store(&reactor->sleeping, 1);
	if (has_work(reactor) || atomic_load(&reactors.stop_state) != STOP_NOT) {
		atomic_store(&reactor->sleeping, 0);
		return now_ns;
	}
	reactor->stats.sleep_count++;
	fds_sleep(reactor, for_ns);
	atomic_store(&reactor->sleeping, 0);
	reactor->last_sleep_ns = tarn_now_ns();
	reactor->stats.idle_ns += reactor->last_sleep_ns - now_ns;
	return reactor->last_sleep_ns;
}

/* Whether this reactor may end: it and all others have had a turn without work since the stop. */
static bool
all_quiet(struct tarn_reactor *reactor, bool *quiet)
{
	if (has_work(reactor))
		return false;
	if (!*quiet) {
		*quiet = true;
		atomic_fetch_add(&reactors.quiet_count, 1);
	}
	return atomic_load(&reactors.quiet_count) >= reactors.count;
}

void
reactor_loop(struct tarn_reactor *reactor)
{
	uint64_t before_ns = tarn_now_ns();
	bool quiet = false, was_idle = false;

	reactor->last_work_ns = before_ns;
	spin_init(&reactor->spin, reactors.idle_spin_ns);
	for (;;) {
		bool busy = tarn_reactor_turn(reactor);
		uint64_t now_ns = tarn_now_ns();

		if (busy) {
			reactor->stats.busy_ns += now_ns - before_ns;
			if (was_idle)
				spin_idle_over(&reactor->spin, before_ns - reactor->last_work_ns,
					       now_ns);
			was_idle = false;
			reactor->last_work_ns = now_ns;
		} else {
			reactor->stats.idle_ns += now_ns - before_ns;
			was_idle = true;
		}
		before_ns = now_ns;
		if (busy)
			continue;
		if (atomic_load_explicit(&reactors.stop_state, memory_order_acquire) != STOP_NOT) {
			if (all_quiet(reactor, &quiet))
				return;
			continue;
		}
		if (reactors.poll_mode == TARN_POLL_ADAPTIVE &&
		    now_ns - reactor->last_work_ns >= spin_for_ns(&reactor->spin))
			before_ns = sleep_until_event(reactor, now_ns);
	}
}
