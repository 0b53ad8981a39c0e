/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "test/sim/device.h"
#include "test/unit/common/ut.h"

#define BYTES 65536
#define SECTOR_COUNT (BYTES / DEVICE_SECTOR)

static struct device device;
static uint8_t data[BYTES];

static void
setup(void)
{
	device_reset(&device);
	device.size_bytes = BYTES;
	device.write_cache = true;
	device.rng.state = 1;
}

static void
write_all(uint8_t value)
{
	struct iovec iov = { data, BYTES };

	memset(data, value, BYTES);
	device_write(&device, &iov, 1, 0, false);
}

/* \return how many sectors hold the value, in all their bytes. */
static uint32_t
count_sectors(uint8_t value)
{
	struct iovec iov = { data, BYTES };
	uint32_t count = 0;

	device_read(&device, &iov, 1, 0);
	for (uint32_t i = 0; i < SECTOR_COUNT; i++) {
		const uint8_t *sector = data + (size_t)i * DEVICE_SECTOR;

		count += sector[0] == value && memcmp(sector, sector + 1, DEVICE_SECTOR - 1) == 0;
	}
	return count;
}

static void
test_what_was_flushed_survives_power_loss(void)
{
	for (uint32_t i = 1; i <= 50; i++) {
		write_all((uint8_t)i);
		device_flush_end(&device, device_flush_begin(&device));
		device_power_loss(&device);
		CU_ASSERT(count_sectors((uint8_t)i) == SECTOR_COUNT);
	}
}

static void
test_power_loss_takes_any_subset_of_sectors_and_tears_none(void)
{
	bool all = false, none = false, some = false;

	for (uint32_t i = 0; i < 200; i++) {
		uint32_t count;

		write_all(1);
		device_flush_end(&device, device_flush_begin(&device));
		write_all(2);
		device_power_loss(&device);
		count = count_sectors(2);
		CU_ASSERT(count + count_sectors(1) == SECTOR_COUNT);
		all |= count == SECTOR_COUNT;
		none |= count == 0;
		some |= count != 0 && count != SECTOR_COUNT;
	}
	CU_ASSERT(all && none && some);
}

static void
test_a_flush_covers_what_completed_before_it_was_submitted(void)
{
	for (uint32_t i = 0; i < 50; i++) {
		uint64_t covers;

		write_all(1);
		covers = device_flush_begin(&device);
		write_all(2); /* over what the flush has promised */
		device_flush_end(&device, covers);
		device_power_loss(&device);
		CU_ASSERT(count_sectors(1) + count_sectors(2) == SECTOR_COUNT);
	}
}

static void
test_a_flush_after_a_failed_one_does_not_bring_back_what_that_lost(void)
{
	write_all(1);
	device_flush_fail(&device, device_flush_begin(&device));
	CU_ASSERT(count_sectors(1) == SECTOR_COUNT);
	device_flush_end(&device, device_flush_begin(&device));
	device_power_loss(&device);
	CU_ASSERT(count_sectors(1) != 0);
	CU_ASSERT(count_sectors(0) != 0);
}

static void
test_without_a_write_cache_nothing_is_lost(void)
{
	device.write_cache = false;
	write_all(1);
	device_power_loss(&device);
	CU_ASSERT(count_sectors(1) == SECTOR_COUNT);
}

static void
test_only_old_flushed_blocks_are_corrupted(void)
{
	write_all(1);
	CU_ASSERT(device_corrupt(&device, 0, BYTES, 0) == UINT64_MAX);
	device_flush_end(&device, device_flush_begin(&device));
	CU_ASSERT(device_corrupt(&device, 0, BYTES, 5) == UINT64_MAX);
	CU_ASSERT(device_corrupt(&device, 0, BYTES, 0) < BYTES);
	CU_ASSERT(count_sectors(1) == SECTOR_COUNT - 1);
}

UT_SUITE(sim_device, setup, NULL, UT_CASE(test_what_was_flushed_survives_power_loss),
	 UT_CASE(test_power_loss_takes_any_subset_of_sectors_and_tears_none),
	 UT_CASE(test_a_flush_covers_what_completed_before_it_was_submitted),
	 UT_CASE(test_a_flush_after_a_failed_one_does_not_bring_back_what_that_lost),
	 UT_CASE(test_without_a_write_cache_nothing_is_lost),
	 UT_CASE(test_only_old_flushed_blocks_are_corrupted));
