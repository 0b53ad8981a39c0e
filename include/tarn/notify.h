/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <stdint.h>

/*
 * Events for control scripts: what happened to which object, in a bounded ring with running
 * numbers, which notify_get_types and notify_get_notifications read. Any thread.
 */
#define TARN_NOTIFY_RING_COUNT 1024
#define TARN_NOTIFY_OBJECT_MAX 256 /* bytes of an object's name with its NUL; longer ones are cut */

/** A kind of event, registered at link time so that clients can ask for the list. */
struct tarn_notify_type {
	const char *name;
	struct tarn_notify_type *next;
};
void tarn_notify_type_register(struct tarn_notify_type *type);
/* TARN_NOTIFY_TYPE(bdev_register): use it as &bdev_register_notify. */
#define TARN_NOTIFY_TYPE(type)                                                                     \
	static struct tarn_notify_type type##_notify = { .name = #type };                          \
	__attribute__((constructor)) static void type##_notify_register(void)                      \
	{                                                                                          \
		tarn_notify_type_register(&type##_notify);                                         \
	}

/** Iterate over the kinds in order of name: NULL gives the first, NULL comes after the last. */
const struct tarn_notify_type *tarn_notify_type_next(const struct tarn_notify_type *type);

/**
 * Tell that it happened to `object`. Never waits for memory or a reader: the oldest event makes
 * room.
 */
void tarn_notify_send(const struct tarn_notify_type *type, const char *object);

struct tarn_notify_event {
	uint64_t id; /* from 0, without gaps */
	const char *type;
	char object[TARN_NOTIFY_OBJECT_MAX];
};
/**
 * Copy events from `id` on, or from the oldest that is still there.
 * \return how many, up to max_count.
 */
uint32_t tarn_notify_get(uint64_t id, uint32_t max_count, struct tarn_notify_event *ret_events);
