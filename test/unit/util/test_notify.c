/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>

#include "tarn/notify.h"
#include "test/unit/common/ut.h"

TARN_NOTIFY_TYPE(ut_b)
TARN_NOTIFY_TYPE(ut_a)

static struct tarn_notify_event events[TARN_NOTIFY_RING_COUNT + 1];

/* The id that the next event gets. */
static uint64_t
next_id(void)
{
	uint32_t count = tarn_notify_get(0, TARN_NOTIFY_RING_COUNT + 1, events);

	return count == 0 ? 0 : events[count - 1].id + 1;
}

static void
test_kinds_are_listed_by_name(void)
{
	const struct tarn_notify_type *type = tarn_notify_type_next(NULL), *next;
	unsigned int own_count = 0;

	for (; type != NULL; type = next) {
		next = tarn_notify_type_next(type);
		own_count += type == &ut_a_notify || type == &ut_b_notify;
		if (next != NULL)
			CU_ASSERT_TRUE(strcmp(type->name, next->name) < 0);
	}
	CU_ASSERT_EQUAL(own_count, 2);
}

static void
test_events_are_read_in_order_from_an_id_on(void)
{
	uint64_t id = next_id();

	tarn_notify_send(&ut_a_notify, "first");
	tarn_notify_send(&ut_b_notify, "second");
	CU_ASSERT_EQUAL_FATAL(tarn_notify_get(id, 10, events), 2);
	CU_ASSERT_EQUAL(events[0].id, id);
	CU_ASSERT_STRING_EQUAL(events[0].type, "ut_a");
	CU_ASSERT_STRING_EQUAL(events[0].object, "first");
	CU_ASSERT_EQUAL(events[1].id, id + 1);
	CU_ASSERT_STRING_EQUAL(events[1].object, "second");
	CU_ASSERT_EQUAL(tarn_notify_get(id, 1, events), 1);
	CU_ASSERT_EQUAL(tarn_notify_get(id + 2, 10, events), 0);
	CU_ASSERT_EQUAL(tarn_notify_get(id + 1000000, 10, events), 0);
}

static void
test_the_oldest_events_make_room(void)
{
	uint64_t id = next_id();
	char name[16];

	for (int i = 0; i < TARN_NOTIFY_RING_COUNT + 5; i++) {
		snprintf(name, sizeof(name), "%d", i);
		tarn_notify_send(&ut_a_notify, name);
	}
	CU_ASSERT_EQUAL_FATAL(tarn_notify_get(id, TARN_NOTIFY_RING_COUNT + 1, events),
			      TARN_NOTIFY_RING_COUNT);
	CU_ASSERT_EQUAL(events[0].id, id + 5);
	CU_ASSERT_STRING_EQUAL(events[0].object, "5");
}

static void
test_a_long_name_is_cut(void)
{
	char name[2 * TARN_NOTIFY_OBJECT_MAX];
	uint64_t id = next_id();

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	tarn_notify_send(&ut_a_notify, name);
	CU_ASSERT_EQUAL_FATAL(tarn_notify_get(id, 1, events), 1);
	CU_ASSERT_EQUAL(strlen(events[0].object), TARN_NOTIFY_OBJECT_MAX - 1);
}

UT_SUITE(notify, NULL, NULL, UT_CASE(test_kinds_are_listed_by_name),
	 UT_CASE(test_events_are_read_in_order_from_an_id_on),
	 UT_CASE(test_the_oldest_events_make_room), UT_CASE(test_a_long_name_is_cut));
