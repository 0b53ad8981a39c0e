/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The ring of events: its slot for event n is n modulo its size, and the lock covers whole copies.
 */
#include "tarn/notify.h"

#include <pthread.h>
#include <stddef.h>
#include <string.h>

#include "tarn/util.h"

static struct tarn_notify_type *type_list;

static pthread_mutex_t ring_lock = PTHREAD_MUTEX_INITIALIZER;
static struct tarn_notify_event ring[TARN_NOTIFY_RING_COUNT];
static uint64_t next_id;

void
tarn_notify_type_register(struct tarn_notify_type *type)
{
	struct tarn_notify_type **place = &type_list;

	while (*place != NULL && strcmp((*place)->name, type->name) < 0)
		place = &(*place)->next;
	type->next = *place;
	*place = type;
}

const struct tarn_notify_type *
tarn_notify_type_next(const struct tarn_notify_type *type)
{
	return type == NULL ? type_list : type->next;
}

void
tarn_notify_send(const struct tarn_notify_type *type, const char *object)
{
	struct tarn_notify_event *event;

	pthread_mutex_lock(&ring_lock);
	event = &ring[next_id % TARN_NOTIFY_RING_COUNT];
	event->id = next_id++;
	event->type = type->name;
	(void)tarn_strcpy(event->object, sizeof(event->object), object);
	pthread_mutex_unlock(&ring_lock);
}

uint32_t
tarn_notify_get(uint64_t id, uint32_t max_count, struct tarn_notify_event *ret_events)
{
	uint32_t count = 0;
	uint64_t oldest;

	pthread_mutex_lock(&ring_lock);
	oldest = next_id > TARN_NOTIFY_RING_COUNT ? next_id - TARN_NOTIFY_RING_COUNT : 0;
	for (id = tarn_max_u64(id, oldest); id < next_id && count < max_count; id++)
		ret_events[count++] = ring[id % TARN_NOTIFY_RING_COUNT];
	pthread_mutex_unlock(&ring_lock);
	return count;
}
