/* SPDX-License-Identifier: BSD-3-Clause */
/* The life of an I/O: checks, parts, slots, order, merging, errors, counts. */
#include <errno.h>
#include <string.h>

#include "fake.h"
#include "tarn/env.h"
#include "tarn/util.h"
#include "test/unit/common/ut.h"

#define IO_COUNT 256

static struct tarn_bdev *bdev;
static struct tarn_bdev_desc *desc;
static struct tarn_channel *channel;
static struct fake_io ios[IO_COUNT];
static _Alignas(4096) uint8_t data[1 << 20];

static void
setup(void)
{
	fake_setup();
	memset(ios, 0, sizeof(ios));
	bdev = NULL;
}

/* The device as fake.limits now are. */
static void
start(const struct tarn_bdev_common_opts *opts)
{
	bdev = fake_create("fake0", opts);
	desc = fake_open("fake0", !fake.limits.read_only);
	channel = fake_channel(desc);
}

static void
teardown(void)
{
	if (bdev != NULL) {
		fake.hold = false;
		fake_turns(300);
		tarn_channel_put(channel);
		fake_turns(1);
		tarn_bdev_close(desc);
	}
	fake_teardown();
}

static void
read_at(struct fake_io *io, uint64_t offset_bytes, uint64_t length_bytes)
{
	tarn_bdev_read(channel, &io->io, data, length_bytes, offset_bytes, 0, fake_done, io);
}

static void
test_io_completes_once_and_never_inside_the_call(void)
{
	start(NULL);
	fake_read(channel, &ios[0], 0, 1);
	CU_ASSERT(ios[0].done_count == 0);
	fake_turns(5);
	CU_ASSERT(ios[0].done_count == 1 && ios[0].status == 0);
	read_at(&ios[1], 1, FAKE_BLOCK); /* also one that fails its checks */
	CU_ASSERT(ios[1].done_count == 0);
	fake_turns(5);
	CU_ASSERT(ios[1].done_count == 1);
}

static void
test_bad_ranges_and_alignments_are_refused(void)
{
	static const struct {
		uint64_t offset_bytes, length_bytes;
	} bad[] = {
		{ 1, FAKE_BLOCK },
		{ 0, 100 },
		{ 0, 0 },
		{ FAKE_SIZE, FAKE_BLOCK },
		{ FAKE_SIZE - FAKE_BLOCK, 2 * FAKE_BLOCK },
		{ UINT64_MAX - FAKE_BLOCK + 1, FAKE_BLOCK },
		{ FAKE_BLOCK, UINT64_MAX - FAKE_BLOCK + 1 },
	};
	struct iovec huge[2] = { { data, UINT64_MAX - FAKE_BLOCK + 1 }, { data, 2 * FAKE_BLOCK } };

	start(NULL);
	for (size_t i = 0; i < tarn_array_count(bad); i++) {
		read_at(&ios[i], bad[i].offset_bytes, bad[i].length_bytes);
		fake_turns(2);
		CU_ASSERT(ios[i].done_count == 1 && ios[i].status == -EINVAL);
	}
	tarn_bdev_read(channel, &ios[10].io, data + 1, FAKE_BLOCK, 0, 0, fake_done, &ios[10]);
	tarn_bdev_readv(channel, &ios[11].io, huge, 2, 0, 0, fake_done, &ios[11]);
	fake_turns(2);
	CU_ASSERT(ios[10].status == -EINVAL && ios[11].status == -EINVAL);
	CU_ASSERT(fake.log_count == 0);
}

static void
test_a_read_only_device_refuses_writes(void)
{
	struct tarn_bdev_desc *writer = NULL;

	fake.limits.read_only = true;
	start(NULL);
	CU_ASSERT(tarn_bdev_open("fake0", true, NULL, NULL, &writer) == -EROFS);
	fake_write(channel, &ios[0], 0, 1, 0);
	tarn_bdev_discard(channel, &ios[1].io, 0, FAKE_BLOCK, 0, fake_done, &ios[1]);
	fake_turns(2);
	CU_ASSERT(ios[0].status == -EROFS && ios[1].status == -EROFS && fake.log_count == 0);
}

static void
test_a_large_io_goes_in_parts(void)
{
	fake.limits.max_transfer_bytes = 8 * FAKE_BLOCK;
	start(NULL);
	fake_read(channel, &ios[0], 100, 20);
	fake_turns(5);
	CU_ASSERT(ios[0].done_count == 1 && ios[0].status == 0 && fake.log_count == 3);
	for (uint32_t i = 0; i < 3; i++) {
		CU_ASSERT(fake.log[i].offset_bytes == (100 + 8 * i) * FAKE_BLOCK);
		CU_ASSERT(fake.log[i].length_bytes == (i < 2 ? 8 : 4) * FAKE_BLOCK);
	}
}

static void
test_many_buffers_go_in_parts(void)
{
	struct iovec iov[10];

	fake.limits.iov_count_max = 4;
	start(NULL);
	for (int i = 0; i < 10; i++)
		iov[i] = (struct iovec){ data + (size_t)i * 4096, 2 * FAKE_BLOCK };
	tarn_bdev_writev(channel, &ios[0].io, iov, 10, 0, 0, fake_done, &ios[0]);
	fake_turns(5);
	CU_ASSERT(ios[0].done_count == 1 && ios[0].status == 0 && fake.log_count == 3);
	CU_ASSERT(fake.log[0].iov_count == 4 && fake.log[2].iov_count == 2);
	CU_ASSERT(fake.log[1].offset_bytes == 8 * FAKE_BLOCK);
	CU_ASSERT(fake.log[2].length_bytes == 4 * FAKE_BLOCK);
}

static void
test_an_error_in_one_part_is_the_error_of_all(void)
{
	fake.limits.max_transfer_bytes = FAKE_BLOCK;
	fake.fail_block[0] = 2;
	fake.fail_count = 1;
	start(NULL);
	fake_read(channel, &ios[0], 0, 4);
	fake_read(channel, &ios[1], 3, 4);
	fake_turns(5);
	CU_ASSERT(ios[0].done_count == 1 && ios[0].status == -EIO);
	CU_ASSERT(ios[1].done_count == 1 && ios[1].status == 0);
}

static void
test_more_parts_than_there_are_children_all_finish(void)
{
	fake.limits.max_transfer_bytes = FAKE_BLOCK;
	start(NULL);
	for (int i = 0; i < 32; i++)
		fake_read(channel, &ios[i], (uint64_t)i * 100, 40);
	fake_turns(100);
	for (int i = 0; i < 32; i++)
		CU_ASSERT(ios[i].done_count == 1 && ios[i].status == 0);
	CU_ASSERT(fake.log_count == 32 * 40 && fake.inflight_max <= 64);
}

static void
test_zeroes_are_written_where_they_are_not_native(void)
{
	start(NULL);
	tarn_bdev_write_zeroes(channel, &ios[0].io, 0, 64 << 10, 0, fake_done, &ios[0]);
	fake_turns(5);
	CU_ASSERT(ios[0].status == 0 && ios[0].done_count == 1);
	CU_ASSERT(fake.log[0].op == TARN_IO_WRITE && fake.log[0].length_bytes == 64 << 10);
}

static void
test_fua_is_a_flush_after_the_write_where_it_is_not_native(void)
{
	fake.hold = true;
	start(NULL);
	fake_write(channel, &ios[0], 0, 1, TARN_IO_FUA);
	fake_turns(2);
	CU_ASSERT(fake.log_count == 1 && fake.log[0].op == TARN_IO_WRITE && fake.log[0].flags == 0);
	fake_release(1);
	CU_ASSERT(fake.log_count == 2 && fake.log[1].op == TARN_IO_FLUSH);
	CU_ASSERT(ios[0].done_count == 0);
	fake_release(1);
	CU_ASSERT(ios[0].done_count == 1);
}

static void
test_native_fua_and_zeroes_are_passed_on(void)
{
	fake.limits.fua = true;
	fake.limits.support[TARN_IO_WRITE_ZEROES] = TARN_IO_NATIVE;
	start(NULL);
	fake_write(channel, &ios[0], 0, 1, TARN_IO_FUA);
	tarn_bdev_write_zeroes(channel, &ios[1].io, 0, FAKE_SIZE, 0, fake_done, &ios[1]);
	fake_turns(5);
	CU_ASSERT(fake.log_count == 2 && fake.log[0].flags == TARN_IO_FUA);
	CU_ASSERT(fake.log[1].op == TARN_IO_WRITE_ZEROES && fake.log[1].length_bytes == FAKE_SIZE);
}

static void
test_discard_without_support_is_done_by_doing_nothing(void)
{
	start(NULL);
	tarn_bdev_discard(channel, &ios[0].io, 0, FAKE_BLOCK, 0, fake_done, &ios[0]);
	fake_turns(2);
	CU_ASSERT(ios[0].done_count == 1 && ios[0].status == 0 && fake.log_count == 0);
}

static void
test_what_is_over_the_depth_waits_in_order(void)
{
	struct tarn_bdev_common_opts opts = { .queue_depth = 4 };

	fake.hold = true;
	start(&opts);
	for (int i = 0; i < 50; i++)
		fake_read(channel, &ios[i], (uint64_t)i, 1);
	fake_turns(2);
	CU_ASSERT(fake.log_count == 4);
	for (int i = 0; i < 20; i++)
		fake_release(3);
	CU_ASSERT(fake.inflight_max == 4 && fake.log_count == 50);
	for (uint32_t i = 0; i < 50; i++)
		CU_ASSERT(ios[i].order == i + 1 && fake.log[i].offset_bytes == i * FAKE_BLOCK);
}

static void
test_foreground_goes_first_and_background_is_bounded(void)
{
	struct tarn_bdev_common_opts opts = { .queue_depth = 4, .background_depth = 2 };

	fake.hold = true;
	start(&opts);
	for (int i = 0; i < 6; i++)
		fake_write(channel, &ios[i], (uint64_t)i, 1, TARN_IO_BACKGROUND);
	CU_ASSERT(fake.log_count == 2);
	for (int i = 10; i < 14; i++)
		fake_read(channel, &ios[i], (uint64_t)i, 1);
	CU_ASSERT(fake.log_count == 4 && fake.log[3].op == TARN_IO_READ);
	fake_release(2); /* two of background: foreground takes their places */
	CU_ASSERT(fake.log_count == 6 && fake.log[5].op == TARN_IO_READ);
	fake_release(4);
	CU_ASSERT(fake.log_count == 8 && fake.inflight_count == 2);
	fake_release(2);
	fake_release(2);
	for (int i = 0; i < 6; i++)
		CU_ASSERT(ios[i].done_count == 1);
}

static void
test_neighbours_are_merged_and_others_are_not(void)
{
	fake.limits.merge_bytes_max = 4 * FAKE_BLOCK;
	fake.limits.fua = true;
	start(NULL);
	for (int i = 0; i < 6; i++) /* 4 and 2 */
		fake_write(channel, &ios[i], (uint64_t)i, 1, 0);
	fake_read(channel, &ios[6], 6, 1); /* another operation */
	fake_write(channel, &ios[7], 7, 1, 0);
	fake_write(channel, &ios[8], 8, 1, TARN_IO_FUA);  /* other flags */
	fake_write(channel, &ios[9], 20, 1, TARN_IO_FUA); /* elsewhere */
	fake_turns(3);
	CU_ASSERT(fake.log_count == 6);
	CU_ASSERT(fake.log[0].length_bytes == 4 * FAKE_BLOCK && fake.log[0].iov_count == 4);
	CU_ASSERT(fake.log[1].length_bytes == 2 * FAKE_BLOCK);
	for (int i = 0; i < 10; i++)
		CU_ASSERT(ios[i].done_count == 1 && ios[i].status == 0);
}

static void
test_an_error_in_a_merged_io_is_told_of_its_block_only(void)
{
	fake.limits.merge_bytes_max = 1 << 20;
	fake.fail_block[0] = 3;
	fake.fail_count = 1;
	start(NULL);
	for (int i = 0; i < 8; i++)
		fake_write(channel, &ios[i], (uint64_t)i, 1, 0);
	fake_turns(5);
	CU_ASSERT(fake.log_count == 9);
	for (int i = 0; i < 8; i++)
		CU_ASSERT(ios[i].done_count == 1 && ios[i].status == (i == 3 ? -EIO : 0));
}

static void
nothing(void *arg)
{
	(void)arg;
}

static void
test_a_congested_reactor_admits_nothing_until_it_has_drained(void)
{
	static struct tarn_msg msg[200];

	fake.hold = true;
	start(NULL);
	for (int i = 0; i < 200; i++)
		tarn_msg_send(tarn_reactor_get(1), &msg[i], nothing, NULL);
	CU_ASSERT_FATAL(tarn_reactor_congested(tarn_reactor_get(0)));
	fake_read(channel, &ios[0], 0, 1);
	tarn_reactor_turn(tarn_reactor_get(0));
	CU_ASSERT(fake.log_count == 0);
	fake_turns(40);
	CU_ASSERT(!tarn_reactor_congested(tarn_reactor_get(0)) && fake.log_count == 1);
	fake_release(1);
	CU_ASSERT(ios[0].done_count == 1);
}

static void
again(struct fake_io *io)
{
	if (io->done_count < 20)
		fake_read(channel, io, io->done_count, 1);
}

static void
test_an_io_may_be_used_again_in_its_own_callback(void)
{
	struct tarn_bdev_common_opts opts = { .queue_depth = 1 };

	start(&opts);
	for (int i = 0; i < 2; i++) {
		ios[i].next = again;
		fake_read(channel, &ios[i], 0, 1);
	}
	fake_turns(100);
	CU_ASSERT(ios[0].done_count == 20 && ios[1].done_count == 20 && fake.inflight_max == 1);
}

static void
stats_done(void *arg, int status)
{
	CU_ASSERT(status == 0);
	++*(int *)arg;
}

static void
get_stats(enum tarn_stats_reset reset, struct tarn_bdev_stats *stats)
{
	int done = 0;

	tarn_bdev_get_stats(bdev, reset, true, stats, stats_done, &done);
	fake_turns(10);
	CU_ASSERT_FATAL(done == 1);
}

static void
one_read(uint64_t latency_ns, uint64_t block)
{
	struct fake_io io = { 0 };

	fake.latency_ns = latency_ns;
	fake_read(channel, &io, block, 2);
	fake_time(latency_ns, latency_ns);
	CU_ASSERT_FATAL(io.done_count == 1);
}

static void
test_counts_bytes_errors_and_latencies_are_exact(void)
{
	static struct tarn_bdev_stats stats;
	const struct tarn_op_stats *reads = &stats.total.op[TARN_IO_READ];

	fake.fail_block[0] = 9;
	fake.fail_count = 1;
	start(NULL);
	one_read(1000, 0);
	one_read(3000, 0);
	one_read(5000, 9);
	get_stats(TARN_STATS_RESET_MAXMIN, &stats);
	CU_ASSERT(reads->count == 3 && reads->bytes == 4 * FAKE_BLOCK && reads->error_count == 1);
	CU_ASSERT(reads->latency_ns == 9000 && reads->min_latency_ns == 1000);
	CU_ASSERT(reads->max_latency_ns == 5000);
	CU_ASSERT(tarn_histogram_count(&stats.histogram[TARN_IO_READ]) == 3);
	CU_ASSERT(stats.channel_count == 1 && stats.channel[0].reactor_index == 0);
	get_stats(TARN_STATS_KEEP, &stats);
	CU_ASSERT(reads->count == 3 && reads->min_latency_ns == 0 && reads->max_latency_ns == 0);
	one_read(2000, 0);
	get_stats(TARN_STATS_RESET_ALL, &stats);
	CU_ASSERT(reads->min_latency_ns == 2000 && reads->max_latency_ns == 2000);
	get_stats(TARN_STATS_KEEP, &stats);
	CU_ASSERT(reads->count == 0 && tarn_histogram_count(&stats.histogram[TARN_IO_READ]) == 0);
}

static void
test_counts_of_a_channel_that_ended_are_kept(void)
{
	static struct tarn_bdev_stats stats;

	start(NULL);
	one_read(1000, 0);
	tarn_channel_put(channel);
	fake_turns(2);
	get_stats(TARN_STATS_RESET_MAXMIN, &stats);
	CU_ASSERT(stats.channel_count == 0 && stats.total.op[TARN_IO_READ].count == 1);
	CU_ASSERT(stats.total.op[TARN_IO_READ].min_latency_ns == 1000);
	get_stats(TARN_STATS_KEEP, &stats);
	CU_ASSERT(stats.total.op[TARN_IO_READ].max_latency_ns == 0);
	channel = fake_channel(desc);
}

static void
put_own_channel(struct fake_io *io)
{
	tarn_channel_put(io->io.channel);
}

static void
test_a_channel_may_be_put_in_its_last_callback(void)
{
	start(NULL);
	tarn_channel_put(channel);
	fake_turns(1);
	channel = fake_channel(desc);
	ios[0].next = put_own_channel;
	fake_read(channel, &ios[0], 0, 1);
	fake_turns(3);
	CU_ASSERT(ios[0].done_count == 1 && fake.channel_count == 0);
	channel = fake_channel(desc);
}

static void
test_sampled_depth_is_what_is_in_flight(void)
{
	static struct tarn_bdev_stats stats;

	fake.hold = true;
	start(NULL);
	CU_ASSERT(tarn_bdev_set_qd_sampling(bdev, 1000) == 0);
	for (int i = 0; i < 5; i++)
		fake_read(channel, &ios[i], 0, 1);
	fake_time(10000000, 100000);
	get_stats(TARN_STATS_KEEP, &stats);
	CU_ASSERT(stats.sampled_depth == 5 && stats.sampling_period_us == 1000);
	CU_ASSERT(stats.io_time_us > 0 && stats.weighted_io_time_us == 5 * stats.io_time_us);
	CU_ASSERT(tarn_bdev_set_qd_sampling(bdev, 0) == 0);
}

/* Eight I/Os of many parts each, which keep every child busy. */
static void
hog(struct tarn_channel *of, struct fake_io *io)
{
	for (int i = 0; i < 8; i++)
		fake_read(of, &io[i], 0, 1000);
}

static void
test_the_longest_split_ios_do_not_keep_a_short_one_waiting(void)
{
	fake.limits.max_transfer_bytes = 8 * FAKE_BLOCK;
	fake.hold = true;
	start(NULL);
	hog(channel, ios);
	fake_read(channel, &ios[8], 0, 16);
	/* Two parts, of 1002 in all. */
	for (int i = 0; i < 200; i++)
		fake_release(1);
	CU_ASSERT(ios[8].done_count == 1 && ios[8].status == 0);
	for (int i = 0; i < 8; i++)
		CU_ASSERT(ios[i].done_count == 0);
}

static void
test_a_limited_device_does_not_keep_the_split_ios_of_others_waiting(void)
{
	static const struct tarn_bdev_qos slow = { .rw_bytes_per_s = 1 }, none;
	struct tarn_bdev_desc *other;
	struct tarn_channel *other_channel;

	fake.limits.max_transfer_bytes = 8 * FAKE_BLOCK;
	start(NULL);
	tarn_bdev_set_qos(bdev, &slow);
	fake_turns(10);
	hog(channel, ios);
	fake_create("fake1", NULL);
	other = fake_open("fake1", false);
	other_channel = fake_channel(other);
	fake_read(other_channel, &ios[8], 0, 16);
	fake_turns(10);
	CU_ASSERT(ios[8].done_count == 1 && ios[0].done_count == 0);
	tarn_bdev_set_qos(bdev, &none);
	fake_turns(10);
	tarn_channel_put(other_channel);
	fake_turns(1);
	tarn_bdev_close(other);
}

UT_SUITE(io, setup, teardown, UT_CASE(test_io_completes_once_and_never_inside_the_call),
	 UT_CASE(test_bad_ranges_and_alignments_are_refused),
	 UT_CASE(test_a_read_only_device_refuses_writes), UT_CASE(test_a_large_io_goes_in_parts),
	 UT_CASE(test_many_buffers_go_in_parts),
	 UT_CASE(test_an_error_in_one_part_is_the_error_of_all),
	 UT_CASE(test_more_parts_than_there_are_children_all_finish),
	 UT_CASE(test_the_longest_split_ios_do_not_keep_a_short_one_waiting),
	 UT_CASE(test_a_limited_device_does_not_keep_the_split_ios_of_others_waiting),
	 UT_CASE(test_zeroes_are_written_where_they_are_not_native),
	 UT_CASE(test_fua_is_a_flush_after_the_write_where_it_is_not_native),
	 UT_CASE(test_native_fua_and_zeroes_are_passed_on),
	 UT_CASE(test_discard_without_support_is_done_by_doing_nothing),
	 UT_CASE(test_what_is_over_the_depth_waits_in_order),
	 UT_CASE(test_foreground_goes_first_and_background_is_bounded),
	 UT_CASE(test_neighbours_are_merged_and_others_are_not),
	 UT_CASE(test_an_error_in_a_merged_io_is_told_of_its_block_only),
	 UT_CASE(test_a_congested_reactor_admits_nothing_until_it_has_drained),
	 UT_CASE(test_an_io_may_be_used_again_in_its_own_callback),
	 UT_CASE(test_counts_bytes_errors_and_latencies_are_exact),
	 UT_CASE(test_counts_of_a_channel_that_ended_are_kept),
	 UT_CASE(test_a_channel_may_be_put_in_its_last_callback),
	 UT_CASE(test_sampled_depth_is_what_is_in_flight));
