/* SPDX-License-Identifier: BSD-3-Clause */
/* Threads for calls that block. Their results come back as messages. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/reactor/internal.h"
#include "tarn/env.h"

struct tarn_offload {
	pthread_mutex_t lock;
	pthread_cond_t queued;
	struct tarn_offload_call *first, *last;
	bool ending;
	uint32_t thread_count;
	pthread_t thread[];
};

static struct tarn_offload_call *
take(struct tarn_offload *offload)
{
	struct tarn_offload_call *call;

	pthread_mutex_lock(&offload->lock);
	while (offload->first == NULL && !offload->ending)
		pthread_cond_wait(&offload->queued, &offload->lock);
	call = offload->first;
	if (call != NULL) {
		offload->first = call->next;
		if (offload->first == NULL)
			offload->last = NULL;
	}
	pthread_mutex_unlock(&offload->lock);
	return call;
}

static void *
worker(void *arg)
{
	struct tarn_offload *offload = arg;
	struct tarn_offload_call *call;

	while ((call = take(offload)) != NULL) {
		call->fn(call->arg);
		tarn_msg_send(call->reactor, &call->msg, call->done, call->arg);
	}
	tarn_iobuf_thread_flush();
	return NULL;
}

static int
start_worker(struct tarn_offload *offload, const char *name)
{
	pthread_t *thread = &offload->thread[offload->thread_count];
	pthread_attr_t attr;
	char thread_name[16];
	int error;

	/* Made by a pinned reactor, it would share that CPU for ever. */
	pthread_attr_init(&attr);
	pthread_attr_setaffinity_np(&attr, sizeof(reactors.startup_cpus), &reactors.startup_cpus);
	error = pthread_create(thread, &attr, worker, offload);
	pthread_attr_destroy(&attr);
	if (error != 0)
		return -error;
	snprintf(thread_name, sizeof(thread_name), "%.10s_%u", name, offload->thread_count);
	pthread_setname_np(*thread, thread_name);
	offload->thread_count++;
	return 0;
}

int
tarn_offload_create(const char *name, uint32_t thread_count, struct tarn_offload **ret_offload)
{
	struct tarn_offload *offload;
	int status;

	tarn_assert(thread_count > 0 && reactors.count > 0);
	offload = calloc(1, sizeof(*offload) + thread_count * sizeof(offload->thread[0]));
	if (offload == NULL)
		return -ENOMEM;
	pthread_mutex_init(&offload->lock, NULL);
	pthread_cond_init(&offload->queued, NULL);
	while (offload->thread_count < thread_count) {
		status = start_worker(offload, name);
		if (status != 0) {
			tarn_offload_destroy(offload);
			return status;
		}
	}
	*ret_offload = offload;
	return 0;
}

void
tarn_offload_destroy(struct tarn_offload *offload)
{
	if (offload == NULL)
		return;
	pthread_mutex_lock(&offload->lock);
	tarn_assert(offload->first == NULL);
	offload->ending = true;
	pthread_cond_broadcast(&offload->queued);
	pthread_mutex_unlock(&offload->lock);
	for (uint32_t i = 0; i < offload->thread_count; i++)
		pthread_join(offload->thread[i], NULL);
	pthread_cond_destroy(&offload->queued);
	pthread_mutex_destroy(&offload->lock);
	free(offload);
}

void
tarn_offload_submit(struct tarn_offload *offload, struct tarn_offload_call *call)
{
	call->reactor = tarn_reactor_self();
	tarn_assert(call->reactor != NULL);
	call->next = NULL;
	pthread_mutex_lock(&offload->lock);
	if (offload->last != NULL)
		offload->last->next = call;
	else
		offload->first = call;
	offload->last = call;
	pthread_cond_signal(&offload->queued);
	pthread_mutex_unlock(&offload->lock);
}
