/* SPDX-License-Identifier: BSD-3-Clause */
#include "test/unit/bdev_ram/mem.h"

#include "tarn/env.h"

struct tarn_bdev *mem_bdev;
struct tarn_channel *mem_channel;
uint32_t mem_resize_count;
static struct tarn_bdev_desc *mem_desc;

void
mem_start(void)
{
	struct tarn_reactor_opts opts = { .unpinned = true };

	mem_resize_count = 0;
	CU_ASSERT_EQUAL_FATAL(tarn_env_init(NULL), 0);
	CU_ASSERT_EQUAL_FATAL(tarn_reactors_init(&opts), 0);
	/* The calling thread is the control reactor from the first turn on. */
	mem_turn(1);
}

static void
on_event(struct tarn_bdev *bdev, enum tarn_bdev_event event, void *arg)
{
	(void)bdev;
	(void)arg;
	mem_resize_count += event == TARN_BDEV_EVENT_RESIZE;
}

int
mem_open(const char *driver, const void *opts, struct tarn_reason *reason)
{
	int status = tarn_bdev_create(driver, "mem", opts, &mem_bdev, reason);

	if (status != 0)
		return status;
	CU_ASSERT_EQUAL_FATAL(tarn_bdev_open("mem", true, on_event, NULL, &mem_desc), 0);
	CU_ASSERT_EQUAL_FATAL(tarn_channel_get(mem_desc, &mem_channel), 0);
	return 0;
}

void
mem_stop(void)
{
	if (mem_channel != NULL)
		tarn_channel_put(mem_channel);
	if (mem_desc != NULL)
		tarn_bdev_close(mem_desc);
	if (mem_bdev != NULL)
		tarn_bdev_delete(mem_bdev, true, NULL, NULL);
	mem_channel = NULL;
	mem_desc = NULL;
	mem_bdev = NULL;
	while (tarn_bdev_find("mem") != NULL)
		mem_turn(1);
	mem_turn(10);
	tarn_reactors_fini();
	tarn_env_fini();
}

void
mem_turn(uint32_t turn_count)
{
	for (uint32_t i = 0; i < turn_count; i++)
		tarn_reactor_turn(tarn_reactor_get(0));
}

struct outcome {
	int status;
	bool done;
};

static void
io_done(void *arg, int status)
{
	*(struct outcome *)arg = (struct outcome){ .status = status, .done = true };
}

static void
submit(struct tarn_io *io, enum tarn_io_op op, const struct iovec *iov, uint64_t offset_bytes,
       struct outcome *outcome)
{
	switch (op) {
	case TARN_IO_READ:
		tarn_bdev_readv(mem_channel, io, iov, 1, offset_bytes, 0, io_done, outcome);
		break;
	case TARN_IO_WRITE:
		tarn_bdev_writev(mem_channel, io, iov, 1, offset_bytes, 0, io_done, outcome);
		break;
	case TARN_IO_FLUSH:
		tarn_bdev_flush(mem_channel, io, io_done, outcome);
		break;
	case TARN_IO_DISCARD:
		tarn_bdev_discard(mem_channel, io, offset_bytes, iov->iov_len, 0, io_done, outcome);
		break;
	case TARN_IO_WRITE_ZEROES:
		tarn_bdev_write_zeroes(mem_channel, io, offset_bytes, iov->iov_len, 0, io_done,
				       outcome);
		break;
	}
}

int
mem_io(enum tarn_io_op op, void *buf, uint64_t length_bytes, uint64_t offset_bytes)
{
	struct iovec iov = { .iov_base = buf, .iov_len = length_bytes };
	struct outcome outcome = { .done = false };
	struct tarn_io io = { 0 };

	submit(&io, op, &iov, offset_bytes, &outcome);
	CU_ASSERT_FALSE(outcome.done); /* never inside the call */
	while (!outcome.done)
		mem_turn(1);
	return outcome.status;
}
