/* SPDX-License-Identifier: BSD-3-Clause */
#include "fake.h"

#include <stdlib.h>
#include <string.h>

#include "tarn/env.h"
#include "tarn/util.h"
#include "test/unit/common/ut.h"

struct fake fake;

static _Alignas(4096) uint8_t buffer[1 << 20]; /* nobody looks at what is in it */
static uint32_t release_count, order;

struct fake_group {
	struct tarn_io_list queue;
};

struct fake_ctx {
	uint64_t due_ns;
};

static void *
fake_opts_copy(const void *opts)
{
	struct tarn_bdev_common_opts *copy = malloc(sizeof(*copy));

	*copy = *(const struct tarn_bdev_common_opts *)opts;
	if (copy->uuid != NULL)
		copy->uuid = strdup(copy->uuid);
	return copy;
}

static void
fake_opts_free(void *opts)
{
	free((void *)(uintptr_t)((struct tarn_bdev_common_opts *)opts)->uuid);
	free(opts);
}

static int
fake_driver_open(struct tarn_bdev *bdev, const void *opts, struct tarn_bdev_limits *limits,
		 struct tarn_reason *reason)
{
	(void)bdev;
	(void)opts;
	(void)reason;
	*limits = fake.limits;
	fake.open_count++;
	return 0;
}

static void
fake_driver_close(struct tarn_bdev *bdev)
{
	(void)bdev;
	fake.open_count--;
}

static int
fake_group_open(struct tarn_group *group)
{
	struct fake_group *own = tarn_group_ctx(group);

	TAILQ_INIT(&own->queue);
	return 0;
}

static int
fake_channel_open(struct tarn_channel *channel)
{
	(void)channel;
	fake.channel_count++;
	return 0;
}

static void
fake_channel_close(struct tarn_channel *channel)
{
	(void)channel;
	fake.channel_count--;
}

static void
fake_submit(struct tarn_channel *channel, struct tarn_io *io)
{
	struct fake_group *group = tarn_group_ctx(tarn_channel_group(channel));
	struct fake_ctx *ctx = tarn_io_ctx(io);

	if (fake.log_count < FAKE_LOG_MAX)
		fake.log[fake.log_count] = (struct fake_record){
			.reactor = tarn_reactor_index(tarn_reactor_self()),
			.op = io->op,
			.flags = io->flags,
			.iov_count = io->iov_count,
			.offset_bytes = io->offset_bytes,
			.length_bytes = io->length_bytes,
		};
	fake.log_count++;
	if (++fake.inflight_count > fake.inflight_max)
		fake.inflight_max = fake.inflight_count;
	ctx->due_ns = tarn_now_ns() + fake.latency_ns;
	TAILQ_INSERT_TAIL(&group->queue, io, link);
}

static int
status_of(const struct tarn_io *io)
{
	for (uint32_t i = 0; i < fake.fail_count; i++) {
		uint64_t at = fake.fail_block[i] * FAKE_BLOCK;

		if (at >= io->offset_bytes && at < io->offset_bytes + io->length_bytes)
			return fake.fail_status;
	}
	return 0;
}

static bool
may_complete(struct tarn_io *io)
{
	struct fake_ctx *ctx = tarn_io_ctx(io);

	if (!fake.hold)
		return ctx->due_ns <= tarn_now_ns();
	if (release_count == 0)
		return false;
	release_count--;
	return true;
}

static int
fake_poll(struct tarn_group *group)
{
	struct fake_group *own = tarn_group_ctx(group);
	struct tarn_io_list done = TAILQ_HEAD_INITIALIZER(done);
	struct tarn_io *io, *next;
	int count = 0;

	TARN_TAILQ_FOREACH_SAFE (io, &own->queue, link, next) {
		if (!may_complete(io))
			break;
		TAILQ_REMOVE(&own->queue, io, link);
		TAILQ_INSERT_TAIL(&done, io, link);
	}
	while ((io = TAILQ_FIRST(&done)) != NULL) {
		TAILQ_REMOVE(&done, io, link);
		fake.inflight_count--;
		tarn_io_complete(io, status_of(io));
		count++;
	}
	return count;
}

static const struct tarn_bdev_driver fake_driver = {
	.name = "fake",
	.product = "Fake disk",
	.group_ctx_bytes = sizeof(struct fake_group),
	.io_ctx_bytes = sizeof(struct fake_ctx),
	.opts_copy = fake_opts_copy,
	.opts_free = fake_opts_free,
	.open = fake_driver_open,
	.close = fake_driver_close,
	.group_open = fake_group_open,
	.poll = fake_poll,
	.channel_open = fake_channel_open,
	.channel_close = fake_channel_close,
	.submit = fake_submit,
};
TARN_BDEV_DRIVER(fake_driver)

/* --- The stage --- */

void
fake_setup(void)
{
	struct tarn_reactor_opts opts = { .ring_size = 16, .unpinned = true };

	memset(&fake, 0, sizeof(fake));
	release_count = 0;
	order = 0;
	fake.fail_status = -5;
	fake.limits = (struct tarn_bdev_limits){
		.size_bytes = FAKE_SIZE,
		.block_size = FAKE_BLOCK,
		.buffer_align = 8,
		.queue_depth = 64,
		.support = { [TARN_IO_FLUSH] = TARN_IO_NATIVE },
	};
	tarn_fake_clock_start(1000000000);
	CPU_ZERO(&opts.cpus);
	CPU_SET(0, &opts.cpus);
	CPU_SET(1, &opts.cpus);
	CU_ASSERT_FATAL(tarn_reactors_init(&opts) == 0);
	tarn_reactor_turn(
	    tarn_reactor_get(0)); /* from here on this thread is the control reactor */
}

void
fake_teardown(void)
{
	struct tarn_bdev *bdev, *next;

	for (bdev = tarn_bdev_next(NULL); bdev != NULL; bdev = next) {
		next = tarn_bdev_next(bdev);
		tarn_bdev_delete(bdev, true, NULL, NULL);
	}
	fake_turns(20);
	CU_ASSERT(tarn_bdev_next(NULL) == NULL);
	CU_ASSERT(fake.open_count == 0 && fake.channel_count == 0 && fake.inflight_count == 0);
	tarn_reactors_fini();
	tarn_fake_clock_stop();
}

struct tarn_bdev *
fake_create(const char *name, const struct tarn_bdev_common_opts *opts)
{
	static const struct tarn_bdev_common_opts defaults;
	struct tarn_bdev *bdev = NULL;

	CU_ASSERT_FATAL(
	    tarn_bdev_create("fake", name, opts != NULL ? opts : &defaults, &bdev, NULL) == 0);
	return bdev;
}

struct tarn_bdev_desc *
fake_open(const char *name, bool write)
{
	struct tarn_bdev_desc *desc = NULL;

	CU_ASSERT_FATAL(tarn_bdev_open(name, write, NULL, NULL, &desc) == 0);
	return desc;
}

struct tarn_channel *
fake_channel(struct tarn_bdev_desc *desc)
{
	struct tarn_channel *channel = NULL;

	CU_ASSERT_FATAL(tarn_channel_get(desc, &channel) == 0);
	return channel;
}

struct errand {
	void (*fn)(void *arg);
	void *arg;
	bool ran;
};

static void
run_errand(void *arg)
{
	struct errand *errand = arg;

	errand->fn(errand->arg);
	errand->ran = true;
}

void
fake_run_on(uint32_t reactor_index, void (*fn)(void *arg), void *arg)
{
	struct errand errand = { .fn = fn, .arg = arg };

	if (reactor_index == 0) {
		fn(arg);
		return;
	}
	CU_ASSERT_FATAL(tarn_reactor_call(tarn_reactor_get(reactor_index), run_errand, &errand) ==
			0);
	for (int i = 0; i < 100 && !errand.ran; i++)
		fake_turns(1);
	CU_ASSERT_FATAL(errand.ran);
}

struct channel_errand {
	struct tarn_bdev_desc *desc;
	struct tarn_channel *channel;
};

static void
get_errand(void *arg)
{
	struct channel_errand *errand = arg;

	if (tarn_channel_get(errand->desc, &errand->channel) != 0)
		errand->channel = NULL;
}

struct tarn_channel *
fake_channel_on(struct tarn_bdev_desc *desc, uint32_t reactor_index)
{
	struct channel_errand errand = { .desc = desc };

	fake_run_on(reactor_index, get_errand, &errand);
	CU_ASSERT_FATAL(errand.channel != NULL);
	return errand.channel;
}

static void
put_errand(void *arg)
{
	tarn_channel_put(arg);
}

void
fake_channel_put(struct tarn_channel *channel, uint32_t reactor_index)
{
	fake_run_on(reactor_index, put_errand, channel);
	fake_turns(2);
}

void
fake_release(uint32_t count)
{
	release_count = count;
	fake_turns(1);
	release_count = 0;
}

void
fake_turns(uint32_t count)
{
	/* The control reactor last: the caller goes on as that. */
	for (uint32_t i = 0; i < count; i++) {
		tarn_reactor_turn(tarn_reactor_get(1));
		tarn_reactor_turn(tarn_reactor_get(0));
	}
}

void
fake_time(uint64_t by_ns, uint64_t step_ns)
{
	for (uint64_t passed = 0; passed < by_ns; passed += step_ns) {
		tarn_fake_clock_advance(step_ns);
		fake_turns(1);
	}
}

void
fake_done(void *arg, int status)
{
	struct fake_io *io = arg;

	io->done_count++;
	io->status = status;
	io->order = ++order;
	if (io->next != NULL)
		io->next(io);
}

void
fake_read(struct tarn_channel *channel, struct fake_io *io, uint64_t block, uint32_t count)
{
	tarn_bdev_read(channel, &io->io, buffer, (uint64_t)count * FAKE_BLOCK, block * FAKE_BLOCK,
		       0, fake_done, io);
}

void
fake_write(struct tarn_channel *channel, struct fake_io *io, uint64_t block, uint32_t count,
	   uint32_t flags)
{
	tarn_bdev_write(channel, &io->io, buffer, (uint64_t)count * FAKE_BLOCK, block * FAKE_BLOCK,
			flags, fake_done, io);
}
