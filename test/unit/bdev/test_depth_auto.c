/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The search for the queue depth, on a device made of arithmetic: throughput grows with depth up to
 * `units` at work side by side, each taking `service_ns`, and falls by a share for each one over
 * `crowd`.
 */
#include <stdint.h>

#include "lib/bdev/depth_auto.h"
#include "test/unit/common/ut.h"

#define WINDOW_NS 10000000.0

struct device {
	double units, service_ns;
	uint32_t crowd;	     /* 0: any depth is as good as `units` */
	uint32_t user_depth; /* a closed loop of so many I/Os */
	double user_rate;    /* or so many per ns at most, 0: no limit */
	double noise;	     /* a share, either way */
	uint32_t seed;
};

static struct depth_auto depth_auto;

static double
noise(struct device *device)
{
	device->seed = device->seed * 1664525u + 1013904223u;
	return 1.0 + device->noise * ((double)(device->seed >> 8) / (double)(1 << 23) - 1.0);
}

/* I/Os per ns that the device does at a depth. */
static double
device_rate(const struct device *device, uint32_t depth)
{
	double rate = (depth < device->units ? depth : device->units) / device->service_ns;

	if (device->crowd != 0 && depth > device->crowd)
		rate *= (double)device->crowd / depth;
	return rate;
}

/* One window at a depth. */
static struct depth_auto_window
window(struct device *device, uint32_t depth)
{
	uint32_t in_device = depth < device->user_depth ? depth : device->user_depth;
	double rate = device_rate(device, in_device);
	double latency_ns = in_device / rate;
	bool binding = device->user_depth > depth;
	double count;

	if (device->user_rate != 0 && device->user_rate < rate) {
		latency_ns = device->service_ns;
		binding = device->user_rate > 0.9 * rate;
		rate = device->user_rate;
	}
	count = rate * WINDOW_NS * noise(device);
	return (struct depth_auto_window){
		.span_ns = (uint64_t)WINDOW_NS,
		.completed_count = (uint64_t)count,
		.latency_ns = (uint64_t)(latency_ns * count),
		.binding = binding,
	};
}

static uint32_t
run(struct device *device, uint32_t window_count)
{
	uint32_t depth = depth_auto.depth;

	for (uint32_t i = 0; i < window_count; i++) {
		struct depth_auto_window sample = window(device, depth);

		depth = depth_auto_window(&depth_auto, &sample);
		CU_ASSERT_TRUE_FATAL(depth >= 1 && depth <= depth_auto.max);
	}
	return depth;
}

static struct device
nvme(double units)
{
	return (struct device){ .units = units, .service_ns = 80000, .user_depth = 256, .seed = 1 };
}

/* Enough for a sweep of 256 and its refinement. */
#define FOUND 250

static void
test_the_smallest_depth_with_full_throughput_is_found(void)
{
	for (uint32_t units = 1; units <= 256; units++) {
		struct device device = nvme(units);
		uint32_t found;

		depth_auto_init(&depth_auto, 256, 0);
		found = run(&device, FOUND);
		CU_ASSERT_TRUE(device_rate(&device, found) >= 0.97 * device_rate(&device, 256));
		/* The gap that is not worth trying is an eighth. */
		CU_ASSERT_TRUE(found <= units + units / 7 + 1);
	}
}

static void
test_a_noisy_device_is_judged_within_a_few_per_cent(void)
{
	for (uint32_t seed = 1; seed <= 200; seed++) {
		struct device device = nvme(20);
		uint32_t found;

		device.seed = seed;
		device.noise = 0.05;
		depth_auto_init(&depth_auto, 128, 0);
		found = run(&device, FOUND);
		CU_ASSERT_TRUE(device_rate(&device, found) >= 0.90 * device_rate(&device, 128));
		CU_ASSERT_TRUE(found <= 64);
	}
}

static void
test_a_depth_that_slows_the_device_down_is_left(void)
{
	struct device device = nvme(8);
	uint32_t found;

	device.crowd = 16;
	depth_auto_init(&depth_auto, 128, 0);
	found = run(&device, FOUND);
	CU_ASSERT_TRUE(found >= 7 && found <= 9);
}

static void
test_a_maximum_that_is_no_power_of_two_is_tried_and_never_passed(void)
{
	struct device device = nvme(1000);

	depth_auto_init(&depth_auto, 100, 0);
	CU_ASSERT_TRUE(run(&device, FOUND) >= 97);
	depth_auto_init(&depth_auto, 1, 0);
	CU_ASSERT_EQUAL(run(&device, FOUND), 1);
}

static void
test_a_latency_target_bounds_the_depth(void)
{
	struct device device = nvme(8);

	/* Faster the deeper it is, and above 8 each further I/O only waits in the device. */
	depth_auto_init(&depth_auto, 256, 90000);
	CU_ASSERT_TRUE(run(&device, FOUND) <= 9);
	/* Saturation needs 8; the target allows less than a single one takes. */
	depth_auto_init(&depth_auto, 256, 70000);
	CU_ASSERT_EQUAL(run(&device, FOUND), 1);
}

static void
test_a_load_below_the_devices_best_gets_the_depth_it_needs(void)
{
	struct device device = nvme(64);
	uint32_t found;

	/* Depth 16 could just do it. */
	device.user_rate = 0.95 * device_rate(&device, 16);
	depth_auto_init(&depth_auto, 256, 0);
	found = run(&device, FOUND);
	CU_ASSERT_TRUE(device_rate(&device, found) >= 0.97 * device.user_rate);
}

static void
test_a_change_of_the_device_is_noticed_in_time(void)
{
	struct device device = nvme(4);

	depth_auto_init(&depth_auto, 128, 0);
	CU_ASSERT_TRUE(run(&device, FOUND) <= 5);
	device.units = 64;
	CU_ASSERT_TRUE(run(&device, 3000) >= 62);
	device.units = 4;
	CU_ASSERT_TRUE(run(&device, 20000) <= 5);
}

static void
test_io_of_another_size_is_tried_anew_at_once(void)
{
	struct device device = nvme(64);

	depth_auto_init(&depth_auto, 128, 0);
	CU_ASSERT_TRUE(run(&device, FOUND) >= 62);
	device.units = 2;
	CU_ASSERT_TRUE(run(&device, FOUND) <= 3);
}

static void
test_without_load_the_depth_stays(void)
{
	const struct depth_auto_window nothing = { .span_ns = 10000000, .completed_count = 3 };
	struct device device = nvme(8);
	uint32_t found;

	depth_auto_init(&depth_auto, 128, 0);
	for (int i = 0; i < 1000; i++)
		CU_ASSERT_EQUAL(depth_auto_window(&depth_auto, &nothing), 128);
	found = run(&device, FOUND);
	for (int i = 0; i < 10000; i++)
		CU_ASSERT_EQUAL(depth_auto_window(&depth_auto, &nothing), found);
}

static void
test_trying_costs_little_throughput_in_the_long_run(void)
{
	struct device device = nvme(32);
	uint32_t depth = 128;
	double done = 0;

	depth_auto_init(&depth_auto, 128, 0);
	run(&device, FOUND);
	for (int i = 0; i < 50000; i++) {
		struct depth_auto_window sample = window(&device, depth);

		done += (double)sample.completed_count;
		depth = depth_auto_window(&depth_auto, &sample);
	}
	CU_ASSERT_TRUE(done >= 0.965 * 50000 * WINDOW_NS * device_rate(&device, 128));
}

UT_SUITE(depth_auto, NULL, NULL, UT_CASE(test_the_smallest_depth_with_full_throughput_is_found),
	 UT_CASE(test_a_noisy_device_is_judged_within_a_few_per_cent),
	 UT_CASE(test_a_depth_that_slows_the_device_down_is_left),
	 UT_CASE(test_a_maximum_that_is_no_power_of_two_is_tried_and_never_passed),
	 UT_CASE(test_a_latency_target_bounds_the_depth),
	 UT_CASE(test_a_load_below_the_devices_best_gets_the_depth_it_needs),
	 UT_CASE(test_a_change_of_the_device_is_noticed_in_time),
	 UT_CASE(test_io_of_another_size_is_tried_anew_at_once),
	 UT_CASE(test_without_load_the_depth_stays),
	 UT_CASE(test_trying_costs_little_throughput_in_the_long_run));
