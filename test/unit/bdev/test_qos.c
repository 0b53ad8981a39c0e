/* SPDX-License-Identifier: BSD-3-Clause */
/* Limits of rate: two reactors that always want more than they get, by the fake clock. */
#include <string.h>

#include "fake.h"
#include "tarn/env.h"
#include "tarn/util.h"
#include "test/unit/common/ut.h"

#define LOAD_DEPTH 16
#define SECOND_NS UINT64_C(1000000000)
#define STEP_NS UINT64_C(100000)

/* A closed loop of I/Os on one channel. */
struct load {
	struct tarn_channel *channel;
	bool write, mixed, stop;
	uint32_t block_count;
	uint64_t done[2]; /* reads, writes */
	uint32_t busy_count;
	struct fake_io io[LOAD_DEPTH];
};

static struct load loads[2];
static struct tarn_bdev *bdev;
static struct tarn_bdev_desc *desc;

static struct load *
load_of(struct fake_io *io)
{
	return io >= loads[1].io && io < loads[1].io + LOAD_DEPTH ? &loads[1] : &loads[0];
}

static void
load_submit(struct load *load, struct fake_io *io)
{
	bool write = load->mixed ? (io - load->io) % 2 == 1 : load->write;

	load->busy_count++;
	if (write)
		fake_write(load->channel, io, 0, load->block_count, 0);
	else
		fake_read(load->channel, io, 0, load->block_count);
}

static void
load_next(struct fake_io *io)
{
	struct load *load = load_of(io);

	load->busy_count--;
	load->done[io->io.op == TARN_IO_WRITE]++;
	if (!load->stop)
		load_submit(load, io);
}

static void
load_start(void *arg)
{
	struct load *load = arg;

	for (int i = 0; i < LOAD_DEPTH; i++) {
		load->io[i].next = load_next;
		load_submit(load, &load->io[i]);
	}
}

static void
setup(void)
{
	fake_setup();
	memset(loads, 0, sizeof(loads));
	bdev = fake_create("fake0", NULL);
	desc = fake_open("fake0", true);
	for (uint32_t i = 0; i < 2; i++) {
		loads[i].channel = fake_channel_on(desc, i);
		loads[i].block_count = 8;
	}
}

static void
teardown(void)
{
	static const struct tarn_bdev_qos none;

	loads[0].stop = loads[1].stop = true;
	tarn_bdev_set_qos(bdev, &none);
	fake_time(SECOND_NS / 10, STEP_NS);
	for (uint32_t i = 0; i < 2; i++) {
		CU_ASSERT_FATAL(loads[i].busy_count == 0);
		fake_channel_put(loads[i].channel, i);
	}
	tarn_bdev_close(desc);
	fake_teardown();
}

static void
limit(uint64_t ios, uint64_t rw_bytes, uint64_t read_bytes, uint64_t write_bytes)
{
	struct tarn_bdev_qos qos = {
		.rw_ios_per_s = ios,
		.rw_bytes_per_s = rw_bytes,
		.read_bytes_per_s = read_bytes,
		.write_bytes_per_s = write_bytes,
	};
	struct tarn_bdev_qos got;

	tarn_bdev_set_qos(bdev, &qos);
	fake_turns(8);
	tarn_bdev_get_qos(bdev, &got);
	CU_ASSERT(memcmp(&got, &qos, sizeof(qos)) == 0);
}

static void
start_both(void)
{
	for (uint32_t i = 0; i < 2; i++)
		fake_run_on(i, load_start, &loads[i]);
}

static uint64_t
done_count(bool write)
{
	return loads[0].done[write] + loads[1].done[write];
}

static uint64_t
done_in(uint64_t for_ns, bool write)
{
	uint64_t before = done_count(write);

	fake_time(for_ns, STEP_NS);
	return done_count(write) - before;
}

#define ASSERT_WITHIN_PERCENT(value, wanted, percent)                                              \
	CU_ASSERT((value)*100 >= (wanted) * (100 - (percent)) &&                                   \
		  (value)*100 <= (wanted) * (100 + (percent)))

static void
test_ios_per_second_hold_over_both_reactors(void)
{
	limit(5000, 0, 0, 0);
	start_both();
	ASSERT_WITHIN_PERCENT(done_in(SECOND_NS, false), 5000, 2);
	CU_ASSERT(loads[0].done[0] > 500 && loads[1].done[0] > 500);
}

static void
test_bytes_per_second_hold_for_reads_and_writes_together(void)
{
	limit(0, 4096 * 2000, 0, 0);
	loads[1].write = true;
	start_both();
	fake_time(SECOND_NS, STEP_NS);
	ASSERT_WITHIN_PERCENT(done_count(false) + done_count(true), 2000, 2);
}

static void
test_reads_and_writes_have_limits_of_their_own(void)
{
	uint64_t reads, writes;

	limit(0, 0, 4096 * 1000, 4096 * 3000);
	loads[1].write = true;
	start_both();
	reads = done_count(false);
	writes = done_count(true);
	fake_time(SECOND_NS, STEP_NS);
	ASSERT_WITHIN_PERCENT(done_count(false) - reads, 1000, 2);
	ASSERT_WITHIN_PERCENT(done_count(true) - writes, 3000, 2);
}

static void
test_the_tightest_of_several_limits_holds(void)
{
	limit(1000, UINT64_C(1) << 40, 4096 * 5000, 0);
	start_both();
	ASSERT_WITHIN_PERCENT(done_in(SECOND_NS, false), 1000, 2);
}

static void
test_a_new_limit_holds_at_once_in_both_directions(void)
{
	limit(1000, 0, 0, 0);
	start_both();
	ASSERT_WITHIN_PERCENT(done_in(SECOND_NS, false), 1000, 2);
	limit(8000, 0, 0, 0);
	ASSERT_WITHIN_PERCENT(done_in(SECOND_NS, false), 8000, 2);
	limit(500, 0, 0, 0);
	ASSERT_WITHIN_PERCENT(done_in(SECOND_NS, false), 500, 8); /* what was in flight */
}

static void
test_removing_the_limit_frees_what_waits(void)
{
	limit(1, 0, 0, 0);
	start_both();
	fake_time(SECOND_NS / 100, STEP_NS);
	loads[0].stop = loads[1].stop = true;
	CU_ASSERT(loads[0].busy_count + loads[1].busy_count >= 2 * LOAD_DEPTH - 2);
	limit(0, 0, 0, 0);
	fake_turns(8);
	CU_ASSERT(loads[0].busy_count == 0 && loads[1].busy_count == 0);
}

static void
test_limits_set_twice_in_one_turn_end_as_the_last(void)
{
	struct tarn_bdev_qos first = { .rw_ios_per_s = 1 };

	tarn_bdev_set_qos(bdev, &first);
	limit(4000, 0, 0, 0);
	start_both();
	ASSERT_WITHIN_PERCENT(done_in(SECOND_NS, false), 4000, 2);
}

static void
test_io_larger_than_the_burst_passes_and_is_paid_for(void)
{
	limit(0, 1 << 20, 0, 0);
	loads[0].block_count = 1024; /* half a MiB: half a second of the limit */
	loads[0].stop = true;
	load_start(&loads[0]);
	fake_turns(2);
	CU_ASSERT(loads[0].done[0] == 1);
	fake_time(SECOND_NS / 2 - 10000000, STEP_NS);
	CU_ASSERT(loads[0].done[0] == 1);
	fake_time(20000000, STEP_NS);
	CU_ASSERT(loads[0].done[0] == 2);
	limit(0, 0, 0, 0);
	fake_turns(8);
	CU_ASSERT(loads[0].done[0] == LOAD_DEPTH);
}

static void
test_a_flush_passes_what_waits_for_tokens(void)
{
	struct fake_io flush = { 0 };

	limit(1, 0, 0, 0);
	loads[0].stop = true;
	load_start(&loads[0]);
	fake_turns(2);
	CU_ASSERT(loads[0].done[0] == 1);
	tarn_bdev_flush(loads[0].channel, &flush.io, fake_done, &flush);
	fake_turns(2);
	CU_ASSERT(flush.done_count == 1 && loads[0].done[0] == 1);
}

static void
test_what_waits_for_tokens_keeps_its_order(void)
{
	limit(1000, 0, 0, 0);
	loads[0].stop = true;
	load_start(&loads[0]);
	fake_time(SECOND_NS / 10, STEP_NS);
	for (int i = 0; i < LOAD_DEPTH; i++)
		CU_ASSERT(loads[0].io[i].order == (uint32_t)i + 1);
}

UT_SUITE(qos, setup, teardown, UT_CASE(test_ios_per_second_hold_over_both_reactors),
	 UT_CASE(test_bytes_per_second_hold_for_reads_and_writes_together),
	 UT_CASE(test_reads_and_writes_have_limits_of_their_own),
	 UT_CASE(test_the_tightest_of_several_limits_holds),
	 UT_CASE(test_a_new_limit_holds_at_once_in_both_directions),
	 UT_CASE(test_removing_the_limit_frees_what_waits),
	 UT_CASE(test_limits_set_twice_in_one_turn_end_as_the_last),
	 UT_CASE(test_io_larger_than_the_burst_passes_and_is_paid_for),
	 UT_CASE(test_a_flush_passes_what_waits_for_tokens),
	 UT_CASE(test_what_waits_for_tokens_keeps_its_order));
