/* SPDX-License-Identifier: BSD-3-Clause */
/* Contract C4: what every driver does, in every mode and on every medium. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tarn/bdev_stats.h"
#include "tarn/env.h"
#include "test/unit/bdev_drivers/cases.h"

void *
buffer(size_t length_bytes)
{
	void *buf = tarn_iobuf_get(length_bytes);

	CU_ASSERT_PTR_NOT_NULL_FATAL(buf);
	memset(buf, 0x5a, length_bytes);
	return buf;
}

void
zeroes_over_data(uint32_t flags)
{
	uint8_t *buf = buffer(4 * BLOCK);

	dut_fill(buf, 4 * BLOCK, 9);
	CU_ASSERT_EQUAL(dut_io(TARN_IO_WRITE, buf, 4 * BLOCK, 0, 0), 0);
	CU_ASSERT_EQUAL(dut_io(TARN_IO_WRITE_ZEROES, NULL, 2 * BLOCK, BLOCK, flags), 0);
	memset(buf, 0x77, 4 * BLOCK);
	CU_ASSERT_EQUAL(dut_io(TARN_IO_READ, buf, 4 * BLOCK, 0, 0), 0);
	CU_ASSERT(dut_filled(buf, BLOCK, 9)); /* the neighbours stay */
	CU_ASSERT_NOT_EQUAL(*(uint32_t *)(buf + 3 * BLOCK), 0);
	CU_ASSERT_EQUAL(buf[BLOCK], 0);
	CU_ASSERT_EQUAL(memcmp(buf + BLOCK, buf + BLOCK + 1, 2 * BLOCK - 1), 0);
	tarn_iobuf_put(buf);
}

void
test_read_returns_what_was_written(void)
{
	void *buf;

	dut_need();
	dut_open();
	buf = buffer(64 << 10);
	dut_fill(buf, 64 << 10, 1);
	CU_ASSERT_EQUAL(dut_io(TARN_IO_WRITE, buf, 64 << 10, 8192, 0), 0);
	memset(buf, 0, 64 << 10);
	CU_ASSERT_EQUAL(dut_io(TARN_IO_READ, buf, 64 << 10, 8192, 0), 0);
	CU_ASSERT(dut_filled(buf, 64 << 10, 1));
	tarn_iobuf_put(buf);
}

void
test_first_and_last_block_are_there(void)
{
	uint8_t *buf;

	dut_need();
	dut_open();
	buf = buffer(BLOCK);
	dut_fill(buf, BLOCK, 2);
	CU_ASSERT_EQUAL(dut_io(TARN_IO_WRITE, buf, BLOCK, 0, 0), 0);
	CU_ASSERT_EQUAL(dut_io(TARN_IO_WRITE, buf, BLOCK, DUT_BYTES - BLOCK, 0), 0);
	memset(buf, 0, BLOCK);
	CU_ASSERT_EQUAL(dut_io(TARN_IO_READ, buf, BLOCK, DUT_BYTES - BLOCK, 0), 0);
	CU_ASSERT(dut_filled(buf, BLOCK, 2));
	CU_ASSERT_EQUAL(dut_io(TARN_IO_READ, buf, BLOCK, DUT_BYTES, 0), -EINVAL);
	CU_ASSERT_EQUAL(dut_io(TARN_IO_READ, buf, BLOCK, UINT64_MAX - BLOCK + 1, 0), -EINVAL);
	tarn_iobuf_put(buf);
}

void
test_vectors_gather_and_scatter_in_order(void)
{
	uint8_t *buf;
	struct iovec iov[3];

	dut_need();
	dut_open();
	buf = buffer(8 * BLOCK);
	dut_fill(buf, 4 * BLOCK, 3);
	iov[0] = (struct iovec){ buf, BLOCK };
	iov[1] = (struct iovec){ buf + BLOCK, 2 * BLOCK };
	iov[2] = (struct iovec){ buf + 3 * BLOCK, BLOCK };
	CU_ASSERT_EQUAL(dut_iov(TARN_IO_WRITE, iov, 3, BLOCK), 0);
	iov[0] = (struct iovec){ buf + 4 * BLOCK, 2 * BLOCK };
	iov[1] = (struct iovec){ buf + 6 * BLOCK, 2 * BLOCK };
	CU_ASSERT_EQUAL(dut_iov(TARN_IO_READ, iov, 2, BLOCK), 0);
	CU_ASSERT(dut_filled(buf + 4 * BLOCK, 4 * BLOCK, 3));
	tarn_iobuf_put(buf);
}

void
test_buffers_outside_io_memory_work(void)
{
	void *buf = NULL;

	dut_need();
	dut_open();
	CU_ASSERT_EQUAL_FATAL(posix_memalign(&buf, BLOCK, BLOCK), 0);
	dut_fill(buf, BLOCK, 4);
	CU_ASSERT_EQUAL(dut_io(TARN_IO_WRITE, buf, BLOCK, 0, 0), 0);
	memset(buf, 0, BLOCK);
	CU_ASSERT_EQUAL(dut_io(TARN_IO_READ, buf, BLOCK, 0, 0), 0);
	CU_ASSERT(dut_filled(buf, BLOCK, 4));
	free(buf);
}

void
test_what_is_not_aligned_is_refused(void)
{
	struct tarn_bdev_info info;
	uint8_t *buf;

	dut_need();
	dut_open();
	tarn_bdev_get_info(dut_bdev(), &info);
	buf = buffer(4 * BLOCK);
	CU_ASSERT_EQUAL(dut_io(TARN_IO_READ, buf, info.block_size, 1, 0), -EINVAL);
	CU_ASSERT_EQUAL(dut_io(TARN_IO_READ, buf, info.block_size - 1, 0, 0), -EINVAL);
	CU_ASSERT_EQUAL(dut_io(TARN_IO_WRITE, buf, info.block_size / 2, 0, 0), -EINVAL);
	if (info.buffer_align > 1)
		CU_ASSERT_EQUAL(dut_io(TARN_IO_READ, buf + 1, info.block_size, 0, 0), -EINVAL);
	CU_ASSERT_EQUAL(dut_io(TARN_IO_READ, buf, info.block_size, 0, 0), 0);
	tarn_iobuf_put(buf);
}

void
test_smallest_alignment_that_is_announced_works(void)
{
	struct tarn_bdev_info info;
	uint8_t *buf;

	dut_need();
	dut_open();
	tarn_bdev_get_info(dut_bdev(), &info);
	buf = buffer(4 * BLOCK);
	dut_fill(buf, info.block_size, 5);
	CU_ASSERT_EQUAL(dut_io(TARN_IO_WRITE, buf, info.block_size, info.block_size, 0), 0);
	CU_ASSERT_EQUAL(dut_io(TARN_IO_READ, buf + 4096 + info.buffer_align, info.block_size,
			       info.block_size, 0),
			0);
	CU_ASSERT_EQUAL(memcmp(buf, buf + 4096 + info.buffer_align, info.block_size), 0);
	tarn_iobuf_put(buf);
}

void
test_io_of_any_size_is_split_and_whole(void)
{
	size_t length_bytes =
	    (20u << 20) + BLOCK; /* over the limit of a transfer, crossing chunks */
	uint8_t *buf;

	dut_need();
	dut_open();
	buf = buffer(length_bytes);
	dut_fill(buf, length_bytes, 6);
	CU_ASSERT_EQUAL(dut_io(TARN_IO_WRITE, buf, length_bytes, BLOCK, 0), 0);
	memset(buf, 0, length_bytes);
	CU_ASSERT_EQUAL(dut_io(TARN_IO_READ, buf, length_bytes, BLOCK, 0), 0);
	CU_ASSERT(dut_filled(buf, length_bytes, 6));
	tarn_iobuf_put(buf);
}

void
test_fua_write_completes_and_is_there(void)
{
	void *buf;

	dut_need();
	dut_open();
	buf = buffer(BLOCK);
	dut_fill(buf, BLOCK, 7);
	CU_ASSERT_EQUAL(dut_io(TARN_IO_WRITE, buf, BLOCK, 0, TARN_IO_FUA), 0);
	memset(buf, 0, BLOCK);
	CU_ASSERT_EQUAL(dut_io(TARN_IO_READ, buf, BLOCK, 0, 0), 0);
	CU_ASSERT(dut_filled(buf, BLOCK, 7));
	tarn_iobuf_put(buf);
}

void
test_flush_succeeds(void)
{
	dut_need();
	dut_open();
	CU_ASSERT_EQUAL(dut_io(TARN_IO_FLUSH, NULL, 0, 0, 0), 0);
}

void
test_discarded_blocks_can_be_written_again(void)
{
	void *buf;

	dut_need();
	dut_open();
	buf = buffer(BLOCK);
	CU_ASSERT_EQUAL(dut_io(TARN_IO_WRITE, buf, BLOCK, 1 << 20, 0), 0);
	CU_ASSERT_EQUAL(dut_io(TARN_IO_DISCARD, NULL, 1 << 20, 1 << 20, 0), 0);
	CU_ASSERT_EQUAL(dut_io(TARN_IO_READ, buf, BLOCK, 1 << 20, 0), 0);
	dut_fill(buf, BLOCK, 8);
	CU_ASSERT_EQUAL(dut_io(TARN_IO_WRITE, buf, BLOCK, 1 << 20, 0), 0);
	memset(buf, 0, BLOCK);
	CU_ASSERT_EQUAL(dut_io(TARN_IO_READ, buf, BLOCK, 1 << 20, 0), 0);
	CU_ASSERT(dut_filled(buf, BLOCK, 8));
	tarn_iobuf_put(buf);
}

void
test_zeroes_are_read_where_they_were_written_only(void)
{
	dut_need();
	dut_open();
	zeroes_over_data(0);
	zeroes_over_data(TARN_IO_FUA);
}

void
test_zeroes_of_any_size_succeed(void)
{
	void *buf;

	dut_need();
	dut_open();
	buf = buffer(BLOCK);
	CU_ASSERT_EQUAL(dut_io(TARN_IO_WRITE_ZEROES, NULL, DUT_BYTES, 0, 0), 0);
	CU_ASSERT_EQUAL(dut_io(TARN_IO_READ, buf, BLOCK, DUT_BYTES - BLOCK, 0), 0);
	CU_ASSERT_EQUAL(*(uint32_t *)buf, 0);
	tarn_iobuf_put(buf);
}

/* --- Many in flight --- */

#define MANY 1500

struct many {
	struct tarn_channel *channel;
	struct tarn_io io[MANY];
	uint8_t *buf;
	bool write;
	unsigned int done_count, error_count;
	volatile bool done;
};

static void
many_done(void *arg, int status)
{
	struct many *many = arg;

	many->error_count += status != 0;
	many->done = ++many->done_count == MANY;
}

static void
many_submit(void *arg)
{
	struct many *many = arg;

	many->done_count = 0;
	many->done = false;
	for (unsigned int i = 0; i < MANY; i++) {
		unsigned int block = i * 7 % MANY; /* in no order; 7 and MANY share no factor */
		uint8_t *buf = many->buf + (size_t)block * BLOCK;

		if (many->write)
			tarn_bdev_write(many->channel, &many->io[i], buf, BLOCK,
					(uint64_t)block * BLOCK, 0, many_done, many);
		else
			tarn_bdev_read(many->channel, &many->io[i], buf, BLOCK,
				       (uint64_t)block * BLOCK, 0, many_done, many);
	}
}

void
test_more_in_flight_than_places_all_complete(void)
{
	struct many *many;

	dut_need();
	many = calloc(1, sizeof(*many));
	CU_ASSERT_PTR_NOT_NULL_FATAL(many);
	many->channel = dut_open();
	many->buf = buffer((size_t)MANY * BLOCK);
	dut_fill(many->buf, (size_t)MANY * BLOCK, 10);
	many->write = true;
	dut_run(many_submit, many);
	dut_turn_until(&many->done);
	memset(many->buf, 0, (size_t)MANY * BLOCK);
	many->write = false;
	dut_run(many_submit, many);
	dut_turn_until(&many->done);
	CU_ASSERT_EQUAL(many->error_count, 0);
	CU_ASSERT(dut_filled(many->buf, (size_t)MANY * BLOCK, 10));
	tarn_iobuf_put(many->buf);
	free(many);
}

struct chain {
	struct tarn_channel *channel;
	struct tarn_io io;
	void *buf;
	unsigned int left;
	int status;
	volatile bool done;
};

static void
chain_next(void *arg, int status)
{
	struct chain *chain = arg;

	if (status != 0)
		chain->status = status;
	if (chain->left-- == 0) {
		chain->done = true;
		return;
	}
	tarn_bdev_read(chain->channel, &chain->io, chain->buf, BLOCK, (uint64_t)chain->left * BLOCK,
		       0, chain_next, chain);
}

static void
chain_start(void *arg)
{
	chain_next(arg, 0);
}

void
test_a_callback_may_submit_its_io_again(void)
{
	struct chain chain = { .left = 500 };

	dut_need();
	chain.channel = dut_open();
	chain.buf = buffer(BLOCK);
	dut_run(chain_start, &chain);
	dut_turn_until(&chain.done);
	CU_ASSERT_EQUAL(chain.status, 0);
	tarn_iobuf_put(chain.buf);
}

struct mixed {
	struct tarn_channel *channel;
	struct tarn_io io[5];
	void *buf;
	unsigned int done_count;
	int status;
	volatile bool done;
};

static void
mixed_done(void *arg, int status)
{
	struct mixed *mixed = arg;

	if (status != 0)
		mixed->status = status;
	mixed->done = ++mixed->done_count == 5;
}

static void
mixed_submit(void *arg)
{
	struct mixed *mixed = arg;
	struct tarn_channel *channel = mixed->channel;

	tarn_bdev_write(channel, &mixed->io[0], mixed->buf, BLOCK, 0, 0, mixed_done, mixed);
	tarn_bdev_flush(channel, &mixed->io[1], mixed_done, mixed);
	tarn_bdev_write_zeroes(channel, &mixed->io[2], 1 << 20, 1 << 20, 0, mixed_done, mixed);
	tarn_bdev_discard(channel, &mixed->io[3], 2 << 20, 1 << 20, 0, mixed_done, mixed);
	tarn_bdev_read(channel, &mixed->io[4], (uint8_t *)mixed->buf + BLOCK, BLOCK, 4 << 20, 0,
		       mixed_done, mixed);
}

void
test_all_operations_may_be_in_flight_together(void)
{
	struct mixed mixed = { 0 };

	dut_need();
	mixed.channel = dut_open();
	mixed.buf = buffer(2 * BLOCK);
	dut_run(mixed_submit, &mixed);
	dut_turn_until(&mixed.done);
	CU_ASSERT_EQUAL(mixed.status, 0);
	tarn_iobuf_put(mixed.buf);
}

struct stats_call {
	struct tarn_bdev_stats *stats;
	int status;
	volatile bool done;
};

static void
stats_done(void *arg, int status)
{
	struct stats_call *call = arg;

	call->status = status;
	call->done = true;
}

static void
stats_start(void *arg)
{
	struct stats_call *call = arg;

	tarn_bdev_get_stats(dut_bdev(), TARN_STATS_KEEP, true, call->stats, stats_done, call);
}

void
test_statistics_count_operations_bytes_and_errors(void)
{
	struct stats_call call = { 0 };
	void *buf;

	dut_need();
	call.stats = calloc(1, sizeof(*call.stats));
	CU_ASSERT_PTR_NOT_NULL_FATAL(call.stats);
	dut_open();
	buf = buffer(2 * BLOCK);
	CU_ASSERT_EQUAL(dut_io(TARN_IO_WRITE, buf, 2 * BLOCK, 0, 0), 0);
	for (int i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(dut_io(TARN_IO_READ, buf, BLOCK, 0, 0), 0);
	CU_ASSERT_EQUAL(dut_io(TARN_IO_FLUSH, NULL, 0, 0, 0), 0);
	dut_run(stats_start, &call);
	dut_turn_until(&call.done);
	CU_ASSERT_EQUAL(call.status, 0);
	CU_ASSERT_EQUAL(call.stats->total.op[TARN_IO_WRITE].count, 1);
	CU_ASSERT_EQUAL(call.stats->total.op[TARN_IO_WRITE].bytes, 2 * BLOCK);
	CU_ASSERT_EQUAL(call.stats->total.op[TARN_IO_READ].count, 3);
	CU_ASSERT_EQUAL(call.stats->total.op[TARN_IO_READ].bytes, 3 * BLOCK);
	CU_ASSERT_EQUAL(call.stats->total.op[TARN_IO_READ].error_count, 0);
	CU_ASSERT_EQUAL(call.stats->total.op[TARN_IO_FLUSH].count, 1);
	CU_ASSERT(call.stats->total.op[TARN_IO_READ].latency_ns > 0);
	CU_ASSERT_EQUAL(call.stats->total.queue_depth, 0);
	tarn_iobuf_put(buf);
	free(call.stats);
}

void
test_a_closed_device_can_be_created_again(void)
{
	void *buf;

	dut_need();
	dut_open();
	dut_close();
	dut_open();
	buf = buffer(BLOCK);
	CU_ASSERT_EQUAL(dut_io(TARN_IO_READ, buf, BLOCK, 0, 0), 0);
	tarn_iobuf_put(buf);
}

/* --- A reactor that sleeps --- */

#define TICK_US 2000
#define TICKS_MAX 10000 /* of a test that would hang */
#define SLEEPY_IO_COUNT 20
#define IDLE_TICKS 30
#define SLEEPS_PER_TICK 10 /* of an idle reactor; one that cannot sleep has hundreds */

struct sleepy {
	struct tarn_channel *channel;
	struct tarn_io io;
	void *buf;
	struct tarn_poller *poller;
	unsigned int tick_count, idle_tick_count, submit_count, done_count;
	int status;
	uint64_t sleep_count;
};

static void
sleepy_done(void *arg, int status)
{
	struct sleepy *sleepy = arg;

	sleepy->done_count++;
	if (status != 0)
		sleepy->status = status;
}

static void
sleepy_end(struct sleepy *sleepy)
{
	tarn_poller_unregister(&sleepy->poller);
	tarn_reactors_stop(0);
}

/* One I/O at each tick, from a reactor that slept before and sleeps after; then none. */
static int
sleepy_tick(void *arg)
{
	struct sleepy *sleepy = arg;
	struct tarn_reactor_stats stats;

	if (++sleepy->tick_count == TICKS_MAX) {
		sleepy_end(sleepy);
	} else if (sleepy->done_count == SLEEPY_IO_COUNT) {
		tarn_reactor_get_stats(&stats);
		if (++sleepy->idle_tick_count == 2)
			sleepy->sleep_count = stats.sleep_count;
		if (sleepy->idle_tick_count < 2 + IDLE_TICKS)
			return 1;
		sleepy->sleep_count = stats.sleep_count - sleepy->sleep_count;
		sleepy_end(sleepy);
	} else if (sleepy->done_count == sleepy->submit_count) {
		tarn_bdev_read(sleepy->channel, &sleepy->io, sleepy->buf, BLOCK,
			       (uint64_t)sleepy->submit_count++ * 2 * BLOCK, 0, sleepy_done,
			       sleepy);
	}
	return 1;
}

void
test_io_ends_a_reactors_sleep_and_keeps_it_from_none_after(void)
{
	struct sleepy sleepy = { 0 };
	const struct tarn_poller_opts opts = {
		.name = "test", .fn = sleepy_tick, .arg = &sleepy, .period_us = TICK_US
	};

	dut_need();
	sleepy.channel = dut_open();
	sleepy.buf = buffer(BLOCK);
	sleepy.poller = tarn_poller_register(&opts);
	CU_ASSERT_EQUAL(tarn_reactors_run(), 0);
	CU_ASSERT_EQUAL(sleepy.done_count, SLEEPY_IO_COUNT);
	CU_ASSERT_EQUAL(sleepy.status, 0);
	CU_ASSERT(sleepy.sleep_count <= IDLE_TICKS * SLEEPS_PER_TICK);
	tarn_iobuf_put(sleepy.buf);
}
