/* SPDX-License-Identifier: BSD-3-Clause */
/* Devices by name: creation, opening, claims, events, removal; two users, two reactors. */
#include <errno.h>
#include <string.h>

#include "fake.h"
#include "tarn/notify.h"
#include "test/unit/common/ut.h"

struct outcome {
	uint32_t count;
	int status;
};

static void
note(void *arg, int status)
{
	struct outcome *outcome = arg;

	outcome->count++;
	outcome->status = status;
}

struct watcher {
	uint32_t remove_count, resize_count;
	struct tarn_bdev_desc *close_also; /* in the handler */
	struct tarn_bdev_desc *desc;
};

static void
watch(struct tarn_bdev *bdev, enum tarn_bdev_event event, void *arg)
{
	struct watcher *watcher = arg;

	(void)bdev;
	watcher->remove_count += event == TARN_BDEV_EVENT_REMOVE;
	watcher->resize_count += event == TARN_BDEV_EVENT_RESIZE;
	if (watcher->close_also != NULL) {
		tarn_bdev_close(watcher->close_also);
		watcher->close_also = NULL;
		tarn_bdev_close(watcher->desc);
	}
}

static struct tarn_bdev_desc *
open_watched(struct watcher *watcher)
{
	CU_ASSERT_FATAL(tarn_bdev_open("fake0", false, watch, watcher, &watcher->desc) == 0);
	return watcher->desc;
}

static void
test_names_and_uuids_are_found_and_not_given_twice(void)
{
	static const char uuid[] = "0189d2c4-5b3a-4f6e-8a7b-0123456789ab";
	struct tarn_bdev_common_opts opts = { .uuid = uuid };
	struct tarn_bdev_common_opts other = { 0 };
	struct tarn_bdev_common_opts bad = { .uuid = "0189d2c4-5b3a-4f6e-8a7b-0123456789ag" };
	struct tarn_bdev *bdev = fake_create("fake0", &opts);
	struct tarn_bdev *none = NULL;

	CU_ASSERT(tarn_bdev_find("fake0") == bdev && tarn_bdev_find(uuid) == bdev);
	CU_ASSERT(tarn_bdev_find("0189D2C4-5B3A-4F6E-8A7B-0123456789AB") == bdev);
	CU_ASSERT(tarn_bdev_create("fake", "fake0", &other, &none, NULL) == -EEXIST);
	CU_ASSERT(tarn_bdev_create("fake", "fake1", &opts, &none, NULL) == -EEXIST);
	CU_ASSERT(tarn_bdev_create("fake", "fake1", &bad, &none, NULL) == -EINVAL);
	CU_ASSERT(tarn_bdev_create("fake", "", &other, &none, NULL) == -EINVAL);
	CU_ASSERT(tarn_bdev_create("no such", "fake1", &other, &none, NULL) == -ENOENT);
	CU_ASSERT(none == NULL && fake.open_count == 1);
}

static void
test_delete_without_force_is_refused_while_open(void)
{
	struct tarn_bdev *bdev = fake_create("fake0", NULL);
	struct tarn_bdev_desc *desc = fake_open("fake0", false);
	struct outcome refused = { 0 }, deleted = { 0 };

	tarn_bdev_delete(bdev, false, note, &refused);
	CU_ASSERT(refused.count == 0);
	fake_turns(3);
	CU_ASSERT(refused.count == 1 && refused.status == -EBUSY);
	CU_ASSERT(tarn_bdev_find("fake0") == bdev);
	tarn_bdev_close(desc);
	tarn_bdev_delete(bdev, false, note, &deleted);
	fake_turns(5);
	CU_ASSERT(deleted.count == 1 && deleted.status == 0);
	CU_ASSERT(tarn_bdev_find("fake0") == NULL);
	fake_create("fake0", NULL); /* the name is free */
}

static void
test_delete_by_force_tells_refuses_and_waits_for_the_last_close(void)
{
	struct tarn_bdev *bdev = fake_create("fake0", NULL);
	struct watcher watcher = { 0 };
	struct tarn_bdev_desc *desc = open_watched(&watcher);
	struct tarn_bdev_desc *late = NULL;
	struct tarn_channel *channel = fake_channel(desc);
	struct outcome deleted = { 0 };
	struct fake_io old = { 0 }, new = { 0 };

	fake.hold = true;
	fake_read(channel, &old, 0, 1);
	tarn_bdev_delete(bdev, true, note, &deleted);
	fake_turns(3);
	CU_ASSERT(watcher.remove_count == 1 && deleted.count == 0);
	fake_read(channel, &new, 0, 1);
	fake_turns(1);
	CU_ASSERT(new.done_count == 1 && new.status == -ENODEV);
	CU_ASSERT(tarn_bdev_open("fake0", false, NULL, NULL, &late) == -ENODEV);
	fake_release(1);
	CU_ASSERT(old.done_count == 1 && old.status == 0);
	tarn_channel_put(channel);
	fake_turns(2);
	CU_ASSERT(deleted.count == 0);
	tarn_bdev_close(desc);
	fake_turns(5);
	CU_ASSERT(deleted.count == 1 && deleted.status == 0 && fake.open_count == 0);
}

static void
test_a_delete_waits_for_statistics_begun_at_any_of_its_turns(void)
{
	for (uint32_t begun_after = 0; begun_after < 4; begun_after++) {
		struct tarn_bdev *bdev = fake_create("fake0", NULL);
		struct outcome deleted = { 0 }, gathered = { 0 };
		struct tarn_bdev_stats stats;

		tarn_bdev_delete(bdev, false, note, &deleted);
		fake_turns(begun_after);
		if (tarn_bdev_find("fake0") != NULL) {
			tarn_bdev_get_stats(bdev, TARN_STATS_KEEP, false, &stats, note, &gathered);
			fake_turns(1);
			CU_ASSERT(deleted.count == 0 || gathered.count == 1);
		}
		fake_turns(10);
		CU_ASSERT(deleted.count == 1 && deleted.status == 0);
		CU_ASSERT(tarn_bdev_find("fake0") == NULL);
	}
}

static void
test_a_device_that_is_gone_is_removed_once(void)
{
	struct tarn_bdev *bdev = fake_create("fake0", NULL);
	struct watcher watcher = { 0 };
	struct tarn_bdev_desc *desc = open_watched(&watcher);

	tarn_bdev_notify_gone(bdev);
	tarn_bdev_notify_gone(bdev);
	fake_turns(3);
	CU_ASSERT(watcher.remove_count == 1);
	tarn_bdev_close(desc);
	fake_turns(5);
	CU_ASSERT(tarn_bdev_find("fake0") == NULL && fake.open_count == 0);
}

static void
test_a_handler_may_close_other_users_who_hear_no_more(void)
{
	struct watcher first = { 0 }, second = { 0 };

	struct tarn_bdev *bdev = fake_create("fake0", NULL);

	open_watched(&first);
	first.close_also = open_watched(&second);
	tarn_bdev_notify_gone(bdev);
	fake_turns(5);
	CU_ASSERT(first.remove_count == 1 && second.remove_count == 0);
	CU_ASSERT(tarn_bdev_find("fake0") == NULL);
}

static void
test_a_resize_is_told_and_counts_at_once(void)
{
	struct tarn_bdev *bdev = fake_create("fake0", NULL);
	struct watcher watcher = { 0 };
	struct tarn_bdev_desc *desc = open_watched(&watcher);
	struct tarn_channel *channel = fake_channel(desc);
	struct fake_io io = { 0 };

	tarn_bdev_notify_resize(bdev, FAKE_SIZE);
	CU_ASSERT(watcher.resize_count == 0);
	tarn_bdev_notify_resize(bdev, 2 * FAKE_SIZE);
	CU_ASSERT(watcher.resize_count == 1 && tarn_bdev_size_bytes(bdev) == 2 * FAKE_SIZE);
	fake_read(channel, &io, FAKE_BLOCKS, 1);
	fake_turns(2);
	CU_ASSERT(io.done_count == 1 && io.status == 0);
	tarn_channel_put(channel);
	fake_turns(1);
	tarn_bdev_close(desc);
}

static void
test_a_claim_is_exclusive_among_writers(void)
{
	struct tarn_bdev *bdev = fake_create("fake0", NULL);
	struct tarn_bdev_desc *owner = fake_open("fake0", true);
	struct tarn_bdev_desc *other = fake_open("fake0", true);
	struct tarn_bdev_desc *refused = NULL;
	struct tarn_bdev_info info;

	CU_ASSERT(tarn_bdev_claim(owner, "cache") == -EBUSY);
	tarn_bdev_close(other);
	CU_ASSERT(tarn_bdev_claim(owner, "cache") == 0);
	tarn_bdev_get_info(bdev, &info);
	CU_ASSERT_STRING_EQUAL(info.claimed_by, "cache");
	CU_ASSERT(tarn_bdev_open("fake0", true, NULL, NULL, &refused) == -EBUSY);
	other = fake_open("fake0", false);
	CU_ASSERT(tarn_bdev_claim(other, "volume") == -EBUSY);
	tarn_bdev_release(owner);
	CU_ASSERT(tarn_bdev_open("fake0", true, NULL, NULL, &refused) == 0);
	tarn_bdev_close(refused);
	tarn_bdev_close(other);
	tarn_bdev_close(owner);
}

static void
test_users_and_reactors_have_channels_of_their_own(void)
{
	struct tarn_bdev_desc *a, *b;
	struct tarn_channel *a0, *a1, *b0;
	struct fake_io io = { 0 };

	fake_create("fake0", NULL);
	a = fake_open("fake0", true);
	b = fake_open("fake0", false);
	a0 = fake_channel(a);
	b0 = fake_channel(b);
	a1 = fake_channel_on(a, 1);
	CU_ASSERT(a0 != b0 && a0 != a1 && fake.channel_count == 3);
	CU_ASSERT(fake_channel(a) == a0 && fake.channel_count == 3);
	tarn_channel_put(a0);
	fake_write(b0, &io, 0, 1, 0); /* its desc may not write, though the other's may */
	fake_turns(2);
	CU_ASSERT(io.status == -EROFS);
	tarn_channel_put(a0);
	tarn_channel_put(b0);
	fake_channel_put(a1, 1);
	CU_ASSERT(fake.channel_count == 0);
	tarn_bdev_close(a);
	tarn_bdev_close(b);
}

static void
test_events_of_devices_are_told_to_scripts(void)
{
	static struct tarn_notify_event events[TARN_NOTIFY_RING_COUNT];
	uint32_t count = tarn_notify_get(0, TARN_NOTIFY_RING_COUNT, events);
	uint64_t next_id = count > 0 ? events[count - 1].id + 1 : 0;
	struct tarn_bdev *bdev = fake_create("told", NULL);

	tarn_bdev_notify_resize(bdev, 2 * FAKE_SIZE);
	tarn_bdev_notify_gone(bdev);
	fake_turns(5);
	CU_ASSERT_FATAL(tarn_notify_get(next_id, 16, events) == 4);
	CU_ASSERT_STRING_EQUAL(events[0].type, "bdev_register");
	CU_ASSERT_STRING_EQUAL(events[0].object, "told");
	CU_ASSERT_STRING_EQUAL(events[1].type, "bdev_resize");
	CU_ASSERT_STRING_EQUAL(events[2].type, "bdev_gone");
	CU_ASSERT_STRING_EQUAL(events[3].type, "bdev_unregister");
}

UT_SUITE(names, fake_setup, fake_teardown,
	 UT_CASE(test_names_and_uuids_are_found_and_not_given_twice),
	 UT_CASE(test_delete_without_force_is_refused_while_open),
	 UT_CASE(test_delete_by_force_tells_refuses_and_waits_for_the_last_close),
	 UT_CASE(test_a_delete_waits_for_statistics_begun_at_any_of_its_turns),
	 UT_CASE(test_a_device_that_is_gone_is_removed_once),
	 UT_CASE(test_a_handler_may_close_other_users_who_hear_no_more),
	 UT_CASE(test_a_resize_is_told_and_counts_at_once),
	 UT_CASE(test_a_claim_is_exclusive_among_writers),
	 UT_CASE(test_users_and_reactors_have_channels_of_their_own),
	 UT_CASE(test_events_of_devices_are_told_to_scripts));
