/* SPDX-License-Identifier: BSD-3-Clause */
/* Which of the kernel's messages are about block devices that were there before. */
#include "lib/bdev/device_events.h"
#include "test/unit/common/ut.h"

/* The NUL that C adds is the one that ends the last text. */
#define CONCERNS(text) device_events_concerns(text, sizeof(text))

static void
test_removed_changed_and_offline_block_devices_concern_us(void)
{
	CU_ASSERT(CONCERNS("remove@/devices/x/block/vdb\0ACTION=remove\0SUBSYSTEM=block"));
	CU_ASSERT(CONCERNS("change@/x/loop0\0SUBSYSTEM=block\0ACTION=change\0RESIZE=1\0SEQNUM=7"));
	CU_ASSERT(CONCERNS("offline@/x\0ACTION=offline\0DEVNAME=sda\0SUBSYSTEM=block"));
}

static void
test_other_messages_do_not(void)
{
	CU_ASSERT(!CONCERNS("add@/devices/x/block/vdb\0ACTION=add\0SUBSYSTEM=block"));
	CU_ASSERT(!CONCERNS("remove@/devices/x\0ACTION=remove\0SUBSYSTEM=net"));
	CU_ASSERT(!CONCERNS("remove@/devices/x\0ACTION=remove\0SUBSYSTEM=blocks"));
	CU_ASSERT(!CONCERNS("SUBSYSTEM=block"));
	CU_ASSERT(!CONCERNS(""));
	CU_ASSERT(!device_events_concerns("", 0));
}

static void
test_a_message_without_an_end_is_not_read_beyond_it(void)
{
	static const char cut[] = { 'A', 'C', 'T', 'I', 'O', 'N', '=', 'r' };

	CU_ASSERT(!device_events_concerns(cut, sizeof(cut)));
}

UT_SUITE(device_events, NULL, NULL,
	 UT_CASE(test_removed_changed_and_offline_block_devices_concern_us),
	 UT_CASE(test_other_messages_do_not),
	 UT_CASE(test_a_message_without_an_end_is_not_read_beyond_it));
