/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Contract C4: one list of tests, the same for every driver in every mode on every medium. What only files
 * have (sizes that change under the bdev, options refused by name) is the second list.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tarn/bdev_stats.h"
#include "tarn/env.h"
#include "tarn/util.h"
#include "test/unit/bdev_drivers/dut.h"

#define BLOCK 4096u

static void *
buffer(size_t length_bytes)
{
	void *buf = tarn_iobuf_get(length_bytes);

	CU_ASSERT_PTR_NOT_NULL_FATAL(buf);
	memset(buf, 0x5a, length_bytes);
	return buf;
}

/* --- Every driver --- */

static void
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

static void
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

static void
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

static void
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

static void
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

static void
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

static void
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

static void
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

static void
test_flush_succeeds(void)
{
	dut_need();
	dut_open();
	CU_ASSERT_EQUAL(dut_io(TARN_IO_FLUSH, NULL, 0, 0, 0), 0);
}

static void
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

static void
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

static void
test_zeroes_are_read_where_they_were_written_only(void)
{
	dut_need();
	dut_open();
	zeroes_over_data(0);
	zeroes_over_data(TARN_IO_FUA);
}

static void
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

static void
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

static void
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

static void
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

static void
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

static void
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

#define EVERY_DRIVER(C, s)                                                                         \
	C(s, test_read_returns_what_was_written), C(s, test_first_and_last_block_are_there),       \
	    C(s, test_vectors_gather_and_scatter_in_order),                                        \
	    C(s, test_buffers_outside_io_memory_work), C(s, test_what_is_not_aligned_is_refused),  \
	    C(s, test_smallest_alignment_that_is_announced_works),                                 \
	    C(s, test_io_of_any_size_is_split_and_whole),                                          \
	    C(s, test_fua_write_completes_and_is_there), C(s, test_flush_succeeds),                \
	    C(s, test_discarded_blocks_can_be_written_again),                                      \
	    C(s, test_zeroes_are_read_where_they_were_written_only),                               \
	    C(s, test_zeroes_of_any_size_succeed),                                                 \
	    C(s, test_more_in_flight_than_places_all_complete),                                    \
	    C(s, test_a_callback_may_submit_its_io_again),                                         \
	    C(s, test_all_operations_may_be_in_flight_together),                                   \
	    C(s, test_statistics_count_operations_bytes_and_errors),                               \
	    C(s, test_a_closed_device_can_be_created_again)

/* --- Files and block devices --- */

static void
test_a_file_cut_short_fails_what_is_behind_its_end_only(void)
{
	void *buf;

	dut_need();
	dut_open();
	buf = buffer(BLOCK);
	CU_ASSERT_EQUAL(truncate(dut_path, DUT_BYTES / 2), 0);
	if (strcmp(dut_path, dut_device) == 0) {
		/* A loop device reads zeroes there: it says nothing of its file's end. */
		CU_ASSERT_EQUAL(dut_io(TARN_IO_READ, buf, BLOCK, DUT_BYTES - BLOCK, 0), -EIO);
	}
	CU_ASSERT_EQUAL(dut_io(TARN_IO_READ, buf, BLOCK, 0, 0), 0);
	dut_fill(buf, BLOCK, 11);
	CU_ASSERT_EQUAL(dut_io(TARN_IO_WRITE, buf, BLOCK, BLOCK, 0), 0);
	memset(buf, 0, BLOCK);
	CU_ASSERT_EQUAL(dut_io(TARN_IO_READ, buf, BLOCK, BLOCK, 0), 0);
	CU_ASSERT(dut_filled(buf, BLOCK, 11));
	tarn_iobuf_put(buf);
}

static void
test_a_transfer_that_ends_at_the_files_end_is_an_error(void)
{
	void *buf;

	dut_need();
	if (strcmp(dut_path, dut_device) != 0)
		ut_skip("a block device has no end within a request");
	dut_open();
	buf = buffer(16 * BLOCK);
	CU_ASSERT_EQUAL(truncate(dut_path, 8 * BLOCK), 0);
	CU_ASSERT_EQUAL(dut_io(TARN_IO_READ, buf, 16 * BLOCK, 0, 0), -EIO);
	CU_ASSERT_EQUAL(dut_io(TARN_IO_READ, buf, 8 * BLOCK, 0, 0), 0);
	tarn_iobuf_put(buf);
}

static void
test_rescan_takes_the_new_size(void)
{
	struct tarn_reason reason = { "" };
	void *buf;

	dut_need();
	if (strcmp(dut_path, dut_device) != 0)
		ut_skip("the loop device's own size is not the file's");
	dut_open();
	buf = buffer(BLOCK);
	CU_ASSERT_EQUAL(dut_control(TARN_BDEV_RESCAN, NULL, &reason), 0);
	CU_ASSERT_EQUAL(dut_resize_count(), 0);
	CU_ASSERT_EQUAL(truncate(dut_path, DUT_BYTES + (1 << 20)), 0);
	CU_ASSERT_EQUAL(dut_io(TARN_IO_READ, buf, BLOCK, DUT_BYTES, 0), -EINVAL);
	CU_ASSERT_EQUAL(dut_control(TARN_BDEV_RESCAN, NULL, &reason), 0);
	CU_ASSERT_EQUAL(dut_resize_count(), 1);
	CU_ASSERT_EQUAL(tarn_bdev_size_bytes(dut_bdev()), DUT_BYTES + (1 << 20));
	CU_ASSERT_EQUAL(dut_io(TARN_IO_READ, buf, BLOCK, DUT_BYTES, 0), 0);
	CU_ASSERT_EQUAL(truncate(dut_path, DUT_BYTES + 100), 0);
	CU_ASSERT_EQUAL(dut_control(TARN_BDEV_RESCAN, NULL, &reason), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(reason.text, "not a multiple"));
	tarn_iobuf_put(buf);
}

static void
test_a_read_only_bdev_is_not_opened_for_writing(void)
{
	struct tarn_bdev_file_opts opts;
	void *buf;

	dut_need();
	opts = dut_opts();
	opts.read_only = true;
	dut_open_opts(&opts, false);
	buf = buffer(BLOCK);
	CU_ASSERT_EQUAL(dut_io(TARN_IO_READ, buf, BLOCK, 0, 0), 0);
	CU_ASSERT_EQUAL(dut_io(TARN_IO_WRITE, buf, BLOCK, 0, 0), -EROFS);
	CU_ASSERT_EQUAL(dut_io(TARN_IO_DISCARD, NULL, BLOCK, 0, 0), -EROFS);
	CU_ASSERT_EQUAL(dut_io(TARN_IO_WRITE_ZEROES, NULL, BLOCK, 0, 0), -EROFS);
	tarn_iobuf_put(buf);
}

static void
test_page_cache_instead_of_o_direct_works(void)
{
	struct tarn_bdev_file_opts opts;
	struct tarn_bdev_info info;
	uint8_t *buf;

	dut_need();
	opts = dut_opts();
	opts.buffered = true;
	dut_open_opts(&opts, true);
	tarn_bdev_get_info(dut_bdev(), &info);
	CU_ASSERT(info.write_cache);
	buf = buffer(2 * BLOCK);
	dut_fill(buf, info.block_size, 12);
	CU_ASSERT_EQUAL(dut_io(TARN_IO_WRITE, buf, info.block_size, 0, 0), 0);
	CU_ASSERT_EQUAL(dut_io(TARN_IO_FLUSH, NULL, 0, 0, 0), 0);
	CU_ASSERT_EQUAL(
	    dut_io(TARN_IO_READ, buf + info.buffer_align + BLOCK / 2, info.block_size, 0, 0), 0);
	CU_ASSERT_EQUAL(memcmp(buf, buf + info.buffer_align + BLOCK / 2, info.block_size), 0);
	tarn_iobuf_put(buf);
}

static void
test_without_fallocate_zeroes_and_discard_still_work(void)
{
	struct tarn_bdev_file_opts opts;

	dut_need();
	opts = dut_opts();
	opts.no_fallocate = true;
	dut_open_opts(&opts, true);
	zeroes_over_data(0);
	CU_ASSERT_EQUAL(dut_io(TARN_IO_DISCARD, NULL, BLOCK, 0, 0), 0);
}

static void
refused(const struct tarn_bdev_file_opts *opts, int status, const char *says)
{
	struct tarn_reason reason = { "" };

	CU_ASSERT_EQUAL(dut_create(opts, &reason), status);
	if (strstr(reason.text, says) == NULL)
		(void)fprintf(stderr, "no \"%s\" in: %s\n", says, reason.text);
	CU_ASSERT_PTR_NOT_NULL(strstr(reason.text, says));
	if (opts->filename != NULL)
		CU_ASSERT_PTR_NOT_NULL(strstr(reason.text, opts->filename));
}

static void
test_what_is_no_device_is_refused_with_the_reason(void)
{
	struct tarn_bdev_file_opts opts;

	dut_need();
	opts = dut_opts();
	opts.filename = "/nonexistent/tarn";
	refused(&opts, -ENOENT, "No such file");
	opts.filename = "/tmp";
	refused(&opts, -EISDIR, "directory");
	opts.filename = "/dev/null";
	refused(&opts, -ENOTBLK, "neither");
	opts.filename = "";
	refused(&opts, -EINVAL, "filename");
}

static void
test_sizes_that_cannot_be_are_refused_with_the_reason(void)
{
	struct tarn_bdev_file_opts opts;

	dut_need();
	if (strcmp(dut_path, dut_device) != 0)
		ut_skip("the loop device's own size is not the file's");
	opts = dut_opts();
	opts.block_size = 1000;
	refused(&opts, -EINVAL, "power of two");
	opts.block_size = 1 << 17;
	refused(&opts, -EINVAL, "power of two");
	opts.block_size = 4096;
	CU_ASSERT_EQUAL(truncate(dut_path, DUT_BYTES + 512), 0);
	refused(&opts, -EINVAL, "not a multiple");
	CU_ASSERT_EQUAL(truncate(dut_path, 0), 0);
	refused(&opts, -EINVAL, "size 0");
}

static void
test_what_another_holds_is_refused(void)
{
	struct tarn_bdev_file_opts opts;
	struct tarn_reason reason = { "" };
	bool file;
	int fd;

	dut_need();
	opts = dut_opts();
	file = strcmp(dut_path, dut_device) == 0;
	fd = open(dut_device, O_RDWR | O_CLOEXEC | (file ? 0 : O_EXCL));
	CU_ASSERT_FATAL(fd >= 0);
	if (file)
		CU_ASSERT_EQUAL(flock(fd, LOCK_EX | LOCK_NB), 0);
	refused(&opts, -EBUSY, "in use");
	(void)close(fd);
	CU_ASSERT_EQUAL(dut_create(&opts, &reason), 0);
}

static void
test_no_permission_is_refused(void)
{
	struct tarn_bdev_file_opts opts;
	struct tarn_reason reason = { "" };
	int status;

	dut_need();
	if (strcmp(dut_path, dut_device) != 0)
		ut_skip("a file shows it");
	opts = dut_opts();
	CU_ASSERT_EQUAL(chmod(dut_path, 0), 0);
	if (geteuid() == 0)
		CU_ASSERT_EQUAL_FATAL(seteuid(65534), 0);
	status = dut_create(&opts, &reason);
	if (getuid() == 0)
		CU_ASSERT_EQUAL_FATAL(seteuid(0), 0);
	CU_ASSERT_EQUAL(status, -EACCES);
	CU_ASSERT_PTR_NOT_NULL(strstr(reason.text, "no permission"));
}

#define FILE_DRIVER(C, s)                                                                          \
	C(s, test_a_file_cut_short_fails_what_is_behind_its_end_only),                             \
	    C(s, test_a_transfer_that_ends_at_the_files_end_is_an_error),                          \
	    C(s, test_rescan_takes_the_new_size),                                                  \
	    C(s, test_a_read_only_bdev_is_not_opened_for_writing),                                 \
	    C(s, test_page_cache_instead_of_o_direct_works),                                       \
	    C(s, test_without_fallocate_zeroes_and_discard_still_work),                            \
	    C(s, test_what_is_no_device_is_refused_with_the_reason),                               \
	    C(s, test_sizes_that_cannot_be_are_refused_with_the_reason),                           \
	    C(s, test_what_another_holds_is_refused), C(s, test_no_permission_is_refused)

/* --- The modes --- */

#define CASE(suite, function)                                                                      \
	{                                                                                          \
		.name = #function "/" #suite, .fn = (function)                                     \
	}

#define MODE(suite, list, ...)                                                                     \
	static const struct dut_mode suite##_mode = { __VA_ARGS__ };                               \
	static void suite##_setup(void)                                                            \
	{                                                                                          \
		dut_start(&suite##_mode);                                                          \
	}                                                                                          \
	UT_SUITE(suite, suite##_setup, dut_stop, list(CASE, suite))

#define ALL(C, s) EVERY_DRIVER(C, s), FILE_DRIVER(C, s)

MODE(uring_file, ALL, .driver = "uring", .medium = DUT_FILE);
MODE(uring_loop, ALL, .driver = "uring", .medium = DUT_LOOP);
MODE(uring_bare_file, ALL, .driver = "uring", .medium = DUT_FILE,
     .opts = { .no_fixed_buffers = true, .no_fixed_files = true, .no_ring_flags = true });
MODE(uring_sqpoll_file, ALL, .driver = "uring", .medium = DUT_FILE,
     .opts = { .sqpoll = TARN_ON, .sqpoll_cpu = -1, .sqpoll_idle_ms = 10 });
MODE(uring_auto_loop, ALL, .driver = "uring", .medium = DUT_LOOP,
     .opts = { .sqpoll = TARN_AUTO, .sqpoll_cpu = -1, .iopoll = TARN_AUTO });
MODE(aio_file, ALL, .driver = "aio", .medium = DUT_FILE);
MODE(aio_loop, ALL, .driver = "aio", .medium = DUT_LOOP);
MODE(aio_nowait_file, ALL, .driver = "aio", .medium = DUT_FILE, .opts = { .nowait = true });
MODE(sync_file, ALL, .driver = "sync", .medium = DUT_FILE);
MODE(sync_loop, ALL, .driver = "sync", .medium = DUT_LOOP);
MODE(sync_workers_file, ALL, .driver = "sync", .medium = DUT_FILE, .opts = { .worker_count = 3 });
MODE(sync_workers_loop, ALL, .driver = "sync", .medium = DUT_LOOP, .opts = { .worker_count = 3 });
MODE(ram, EVERY_DRIVER, .driver = "ram", .medium = DUT_RAM);
