/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pollers: active ones on every turn, timed ones when due. One that is unregistered while a list is
 * being walked stays on it, marked dead, until the walk is over.
 */
#include <errno.h>
#include <stdlib.h>

#include "lib/reactor/internal.h"
#include "tarn/env.h"

#define PERIOD_MAX_US UINT64_C(1000000000000) /* eleven days; no sum with it overflows */

static uint64_t
due_after(uint64_t now_ns, uint64_t period_us)
{
	return now_ns + tarn_min_u64(period_us, PERIOD_MAX_US) * 1000;
}

static void
timed_insert(struct tarn_reactor *reactor, struct tarn_poller *poller)
{
	struct tarn_poller *other;

	TAILQ_FOREACH (other, &reactor->timed, link) {
		if (other->due_ns > poller->due_ns) {
			TAILQ_INSERT_BEFORE(other, poller, link);
			return;
		}
	}
	TAILQ_INSERT_TAIL(&reactor->timed, poller, link);
}

struct tarn_poller *
tarn_poller_register(const struct tarn_poller_opts *opts)
{
	struct tarn_reactor *reactor = tarn_reactor_self();
	struct tarn_poller *poller = calloc(1, sizeof(*poller));

	tarn_assert(reactor != NULL && opts->name != NULL && opts->fn != NULL);
	if (poller == NULL)
		return NULL;
	poller->opts = *opts;
	poller->reactor = reactor;
	if (opts->period_us == 0) {
		TAILQ_INSERT_TAIL(&reactor->active, poller, link);
		reactor->stats.active_poller_count++;
	} else {
		poller->due_ns = due_after(tarn_now_ns(), opts->period_us);
		timed_insert(reactor, poller);
		reactor->stats.timed_poller_count++;
	}
	return poller;
}

void
tarn_poller_unregister(struct tarn_poller **poller_ptr)
{
	struct tarn_poller *poller = *poller_ptr;
	struct tarn_reactor *reactor;

	if (poller == NULL)
		return;
	*poller_ptr = NULL;
	reactor = poller->reactor;
	tarn_assert(reactor == tarn_reactor_self() && !poller->dead);
	poller->dead = true;
	if (poller->opts.period_us == 0) {
		reactor->stats.active_poller_count--;
		if (reactor->walking_active) {
			reactor->dead_poller_count++;
			return;
		}
		TAILQ_REMOVE(&reactor->active, poller, link);
	} else {
		reactor->stats.timed_poller_count--;
		if (reactor->running_timed == poller)
			return; /* timed_run() holds it, off the list, and frees it */
		TAILQ_REMOVE(&reactor->timed, poller, link);
	}
	free(poller);
}

void
tarn_poller_set_period(struct tarn_poller *poller, uint64_t period_us)
{
	struct tarn_reactor *reactor = poller->reactor;

	tarn_assert(reactor == tarn_reactor_self() && !poller->dead);
	tarn_assert(poller->opts.period_us != 0 && period_us != 0);
	poller->opts.period_us = period_us;
	if (reactor->running_timed == poller)
		return; /* timed_run() puts it back by its period */
	TAILQ_REMOVE(&reactor->timed, poller, link);
	poller->due_ns = due_after(tarn_now_ns(), period_us);
	timed_insert(reactor, poller);
}

static bool
poller_run(struct tarn_poller *poller)
{
	poller->run_count++;
	if (poller->opts.fn(poller->opts.arg) == 0)
		return false;
	poller->busy_count++;
	return true;
}

static void
sweep_dead(struct tarn_reactor *reactor)
{
	struct tarn_poller *poller, *next;

	TARN_TAILQ_FOREACH_SAFE (poller, &reactor->active, link, next) {
		if (poller->dead) {
			TAILQ_REMOVE(&reactor->active, poller, link);
			free(poller);
		}
	}
	reactor->dead_poller_count = 0;
}

static uint32_t
timed_run(struct tarn_reactor *reactor)
{
	struct tarn_poller *poller;
	uint32_t work = 0;

	while ((poller = TAILQ_FIRST(&reactor->timed)) != NULL &&
	       poller->due_ns <= reactor->turn_ns) {
		TAILQ_REMOVE(&reactor->timed, poller, link);
		reactor->running_timed = poller;
		/* Not poller_run(): it may unregister itself. */
		poller->run_count++;
		if (poller->opts.fn(poller->opts.arg) != 0) {
			poller->busy_count++;
			work++;
		}
		reactor->running_timed = NULL;
		if (poller->dead) {
			free(poller);
			continue;
		}
		/* From now, not from when it was due: a late one is not run twice to catch up. */
		poller->due_ns = due_after(reactor->turn_ns, poller->opts.period_us);
		timed_insert(reactor, poller);
	}
	return work;
}

uint32_t
pollers_run(struct tarn_reactor *reactor)
{
	struct tarn_poller *poller;
	uint32_t work = 0;

	reactor->walking_active = true;
	TAILQ_FOREACH (poller, &reactor->active, link) {
		if (tarn_likely(!poller->dead))
			work += poller_run(poller);
	}
	reactor->walking_active = false;
	if (tarn_unlikely(reactor->dead_poller_count != 0))
		sweep_dead(reactor);
	return work + timed_run(reactor);
}

uint64_t
pollers_sleep_ns(struct tarn_reactor *reactor)
{
	struct tarn_poller *poller = TAILQ_FIRST(&reactor->timed);
	uint64_t now_ns = tarn_now_ns();
	uint64_t sleep_ns = TARN_SLEEP_ANY;

	if (poller != NULL)
		sleep_ns = poller->due_ns > now_ns ? poller->due_ns - now_ns : TARN_SLEEP_NO;
	TAILQ_FOREACH (poller, &reactor->active, link) {
		if (sleep_ns == TARN_SLEEP_NO)
			break;
		if (poller->opts.may_sleep_ns != NULL)
			sleep_ns =
			    tarn_min_u64(sleep_ns, poller->opts.may_sleep_ns(poller->opts.arg));
	}
	return sleep_ns;
}

void
pollers_free(struct tarn_reactor *reactor)
{
	tarn_assert(TAILQ_EMPTY(&reactor->active) && TAILQ_EMPTY(&reactor->timed));
}

static void
each_poller(const struct poller_list *list, void (*fn)(const struct tarn_poller_info *, void *),
	    void *arg)
{
	const struct tarn_poller *poller;

	TAILQ_FOREACH (poller, list, link) {
		struct tarn_poller_info info = {
			.name = poller->opts.name,
			.period_us = poller->opts.period_us,
			.run_count = poller->run_count,
			.busy_count = poller->busy_count,
		};

		if (!poller->dead)
			fn(&info, arg);
	}
}

void
tarn_reactor_each_poller(void (*fn)(const struct tarn_poller_info *info, void *arg), void *arg)
{
	struct tarn_reactor *reactor = tarn_reactor_self();

	each_poller(&reactor->active, fn, arg);
	each_poller(&reactor->timed, fn, arg);
}
