/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Life of the reactors: made, run on their threads, stopped, freed.
 *
 * The thread that makes them is the control reactor's from then on. Stopping: everyone goes on
 * turning until all have had a turn without work, so that a message sent by a reactor that stops
 * late still arrives.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/reactor/internal.h"
#include "tarn/env.h"

#define RING_SIZE_DEFAULT 4096
#define RING_SIZE_MAX (1u << 20)
#define IDLE_SPIN_US_DEFAULT 100

struct reactors reactors;
static __thread struct tarn_reactor *current;

struct tarn_reactor *
tarn_reactor_self(void)
{
	return current;
}

struct tarn_reactor *
reactor_switch(struct tarn_reactor *reactor)
{
	struct tarn_reactor *before = current;

	current = reactor;
	return before;
}

uint32_t
tarn_reactor_count(void)
{
	return reactors.count;
}

struct tarn_reactor *
tarn_reactor_get(uint32_t index)
{
	tarn_assert(index < reactors.count);
	return reactors.reactor[index];
}

uint32_t
tarn_reactor_index(const struct tarn_reactor *reactor)
{
	return reactor->index;
}

uint32_t
tarn_reactor_cpu(const struct tarn_reactor *reactor)
{
	return reactor->cpu;
}

enum tarn_poll_mode
tarn_reactors_poll_mode(void)
{
	return reactors.poll_mode;
}

uint64_t
tarn_reactor_turn_ns(void)
{
	return current->turn_ns;
}

bool
tarn_reactor_sleeps(void)
{
	return current->last_sleep_ns != 0 &&
	       current->turn_ns - current->last_sleep_ns < REACTOR_SLEEPS_NS;
}

void
tarn_reactor_get_stats(struct tarn_reactor_stats *ret_stats)
{
	*ret_stats = current->stats;
}

static void
reactor_free(struct tarn_reactor *reactor)
{
	pollers_free(reactor);
	fds_fini(reactor);
	pthread_mutex_destroy(&reactor->foreign_lock);
	ring_free(reactor->ring);
	free(reactor);
}

static int
reactor_create(uint32_t index, uint32_t cpu, uint32_t ring_size, struct tarn_reactor **ret_reactor)
{
	struct tarn_reactor *reactor;
	int status;

	reactor = aligned_alloc(TARN_CACHE_LINE_BYTES,
				tarn_align_up(sizeof(*reactor), TARN_CACHE_LINE_BYTES));
	if (reactor == NULL)
		return -ENOMEM;
	memset(reactor, 0, sizeof(*reactor));
	reactor->index = index;
	reactor->cpu = cpu;
	reactor->ring_size = ring_size;
	TAILQ_INIT(&reactor->active);
	TAILQ_INIT(&reactor->timed);
	TAILQ_INIT(&reactor->watches);
	reactor->ring = ring_create(ring_size);
	if (reactor->ring == NULL) {
		status = -ENOMEM;
		goto free_reactor;
	}
	status = fds_init(reactor);
	if (status != 0)
		goto free_ring;
	pthread_mutex_init(&reactor->foreign_lock, NULL);
	*ret_reactor = reactor;
	return 0;

free_ring:
	ring_free(reactor->ring);
free_reactor:
	free(reactor);
	return status;
}

/* The CPUs to use: those asked for, or else the first one that the process may run on. */
static int
choose_cpus(const struct tarn_reactor_opts *opts, cpu_set_t *cpus)
{
	cpu_set_t usable;

	tarn_cpus_allowed(&reactors.startup_cpus);
	*cpus = opts->cpus;
	if (CPU_COUNT(cpus) > TARN_REACTOR_COUNT_MAX)
		return -EINVAL;
	if (CPU_COUNT(cpus) != 0) {
		CPU_AND(&usable, cpus, &reactors.startup_cpus);
		return opts->unpinned || CPU_EQUAL(&usable, cpus) ? 0 : -EINVAL;
	}
	for (unsigned int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (CPU_ISSET(cpu, &reactors.startup_cpus)) {
			CPU_SET(cpu, cpus);
			return 0;
		}
	}
	return -EINVAL;
}

int
tarn_reactors_init(const struct tarn_reactor_opts *opts)
{
	uint32_t ring_size = opts->ring_size != 0 ? opts->ring_size : RING_SIZE_DEFAULT;
	uint32_t spin_us = opts->idle_spin_us != 0 ? opts->idle_spin_us : IDLE_SPIN_US_DEFAULT;
	cpu_set_t cpus;
	int status;

	tarn_assert(reactors.count == 0);
	if (!tarn_is_pow2(ring_size) || ring_size > RING_SIZE_MAX)
		return -EINVAL;
	status = choose_cpus(opts, &cpus);
	if (status != 0)
		return status;
	reactors.poll_mode = opts->poll_mode;
	reactors.idle_spin_ns = (uint64_t)spin_us * 1000;
	reactors.unpinned = opts->unpinned;
	atomic_store(&reactors.stop_state, STOP_NOT);
	atomic_store(&reactors.stop_status, 0);
	atomic_store(&reactors.quiet_count, 0);
	for (unsigned int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &cpus))
			continue;
		status = reactor_create(reactors.count, cpu, ring_size,
					&reactors.reactor[reactors.count]);
		if (status != 0) {
			tarn_reactors_fini();
			return status;
		}
		reactors.count++;
	}
	reactor_switch(reactors.reactor[0]);
	return 0;
}

void
tarn_reactors_fini(void)
{
	reactor_switch(NULL);
	for (uint32_t i = 0; i < reactors.count; i++)
		reactor_free(reactors.reactor[i]);
	reactors.count = 0;
}

static void *
reactor_thread(void *arg)
{
	struct tarn_reactor *reactor = arg;

	reactor_switch(reactor);
	reactor_loop(reactor);
	tarn_iobuf_thread_flush();
	return NULL;
}

static int
start_thread(struct tarn_reactor *reactor)
{
	pthread_attr_t attr;
	char name[16];
	cpu_set_t cpu;
	int error;

	CPU_ZERO(&cpu);
	CPU_SET(reactor->cpu, &cpu);
	pthread_attr_init(&attr);
	if (!reactors.unpinned)
		pthread_attr_setaffinity_np(&attr, sizeof(cpu), &cpu);
	error = pthread_create(&reactor->thread, &attr, reactor_thread, reactor);
	pthread_attr_destroy(&attr);
	if (error != 0)
		return -error;
	snprintf(name, sizeof(name), "reactor_%u", reactor->index);
	pthread_setname_np(reactor->thread, name);
	return 0;
}

int
tarn_reactors_run(void)
{
	uint32_t started = 1;
	int status = 0;

	tarn_assert(reactors.count > 0 && tarn_on_control_reactor());
	if (!reactors.unpinned)
		status = tarn_cpu_pin(reactors.reactor[0]->cpu);
	while (status == 0 && started < reactors.count) {
		status = start_thread(reactors.reactor[started]);
		if (status == 0)
			started++;
	}
	if (status != 0) {
		/* The missing ones count as quiet, or those that run would wait for them. */
		atomic_fetch_add(&reactors.quiet_count, reactors.count - started);
		tarn_reactors_stop(status);
	}
	reactor_loop(reactors.reactor[0]);
	for (uint32_t i = 1; i < started; i++)
		pthread_join(reactors.reactor[i]->thread, NULL);
	if (!reactors.unpinned)
		pthread_setaffinity_np(pthread_self(), sizeof(reactors.startup_cpus),
				       &reactors.startup_cpus);
	return atomic_load(&reactors.stop_status);
}

void
tarn_reactors_stop(int status)
{
	int expected = STOP_NOT;

	if (!atomic_compare_exchange_strong(&reactors.stop_state, &expected, STOP_ASKED))
		return;
	atomic_store(&reactors.stop_status, status);
	atomic_thread_fence(memory_order_seq_cst); /* between the state and `sleeping` */
	for (uint32_t i = 0; i < reactors.count; i++)
		reactor_wake(reactors.reactor[i]);
}
