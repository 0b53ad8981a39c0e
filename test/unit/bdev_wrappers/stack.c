/* SPDX-License-Identifier: BSD-3-Clause */
#include "test/unit/bdev_wrappers/stack.h"

#include <string.h>

#include "tarn/env.h"

struct stack_io stack_ios[STACK_IO_COUNT];
struct tarn_channel *stack_channel;
static struct tarn_bdev_desc *stack_desc;

void
stack_turn(uint32_t turns)
{
	for (uint32_t i = 0; i < turns; i++)
		tarn_reactor_turn(tarn_reactor_get(0));
}

void
stack_start(void)
{
	struct tarn_reactor_opts reactor_opts = { .unpinned = true };
	struct tarn_bdev_ram_opts ram = { .size_bytes = STACK_BYTES, .block_size = STACK_BLOCK };
	struct tarn_bdev *bdev;

	tarn_fake_clock_start(1000000000);
	memset(stack_ios, 0, sizeof(stack_ios));
	CU_ASSERT_FATAL(tarn_reactors_init(&reactor_opts) == 0);
	CU_ASSERT_FATAL(tarn_bdev_create("ram", "base", &ram, &bdev, NULL) == 0);
}

static void
on_event(struct tarn_bdev *bdev, enum tarn_bdev_event event, void *arg)
{
	(void)bdev;
	(void)event;
	(void)arg;
}

void
stack_wrap(const char *driver, const void *opts)
{
	struct tarn_reason reason = { "" };
	struct tarn_bdev *bdev;
	int status = tarn_bdev_create(driver, "top", opts, &bdev, &reason);

	CU_ASSERT_STRING_EQUAL(reason.text, "");
	CU_ASSERT_FATAL(status == 0);
	CU_ASSERT_FATAL(tarn_bdev_open("top", true, on_event, NULL, &stack_desc) == 0);
	CU_ASSERT_FATAL(tarn_channel_get(stack_desc, &stack_channel) == 0);
}

void
stack_stop(void)
{
	if (stack_channel != NULL) {
		tarn_channel_put(stack_channel);
		tarn_bdev_close(stack_desc);
		stack_channel = NULL;
	}
	while (tarn_bdev_next(NULL) != NULL) {
		struct tarn_bdev *bdev = tarn_bdev_find("top");

		if (bdev == NULL)
			bdev = tarn_bdev_next(NULL);
		tarn_bdev_delete(bdev, true, NULL, NULL);
		stack_turn(10);
	}
	tarn_reactors_fini();
	tarn_fake_clock_stop();
}

static void
stack_done(void *arg, int status)
{
	struct stack_io *one = arg;

	one->done_count++;
	one->status = status;
}

void
stack_submit(struct stack_io *one, enum tarn_io_op op, uint64_t block, uint32_t blocks)
{
	uint64_t offset = block * STACK_BLOCK;
	uint64_t length = (uint64_t)blocks * STACK_BLOCK;

	one->done_count = 0;
	switch (op) {
	case TARN_IO_READ:
		tarn_bdev_read(stack_channel, &one->io, one->buf, length, offset, 0, stack_done,
			       one);
		break;
	case TARN_IO_WRITE:
		tarn_bdev_write(stack_channel, &one->io, one->buf, length, offset, 0, stack_done,
				one);
		break;
	case TARN_IO_FLUSH:
		tarn_bdev_flush(stack_channel, &one->io, stack_done, one);
		break;
	case TARN_IO_DISCARD:
		tarn_bdev_discard(stack_channel, &one->io, offset, length, 0, stack_done, one);
		break;
	case TARN_IO_WRITE_ZEROES:
		tarn_bdev_write_zeroes(stack_channel, &one->io, offset, length, 0, stack_done, one);
		break;
	}
	CU_ASSERT(one->done_count == 0);
}

int
stack_do(struct stack_io *one, enum tarn_io_op op, uint64_t block, uint32_t blocks)
{
	stack_submit(one, op, block, blocks);
	for (int i = 0; i < 1000 && one->done_count == 0; i++)
		stack_turn(1);
	CU_ASSERT(one->done_count <= 1);
	return one->done_count == 1 ? one->status : 1;
}
