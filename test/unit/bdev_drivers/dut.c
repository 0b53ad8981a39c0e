/* SPDX-License-Identifier: BSD-3-Clause */
/* The device under test; see dut.h. */
#include "test/unit/bdev_drivers/dut.h"

#include <errno.h>
#include <seccomp.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tarn/bdev_driver.h"
#include "tarn/env.h"
#include "tarn/util.h"
#include "test/unit/bdev_drivers/medium.h"

static const struct dut_mode *mode;
static const char *missing; /* why the test cannot run here */
static struct tarn_bdev *bdev;
static struct tarn_bdev_desc *desc;
static struct tarn_channel *channel;
static unsigned int resize_count;

void
dut_start(const struct dut_mode *with)
{
	struct tarn_reactor_opts opts = { .unpinned = true };

	mode = with;
	resize_count = 0;
	if (tarn_env_init(NULL) != 0 || tarn_reactors_init(&opts) != 0)
		abort();
	missing = medium_make(mode->medium);
	if (tarn_bdev_driver_find(mode->driver) == NULL)
		missing = "this build does not have the driver";
}

void
dut_stop(void)
{
	if (channel != NULL || bdev != NULL)
		dut_close();
	medium_end(mode->medium);
	tarn_reactors_fini();
	tarn_env_fini();
}

void
dut_need(void)
{
	if (missing != NULL)
		ut_skip(missing);
}

/* --- The reactor --- */

struct run {
	void (*fn)(void *arg);
	void *arg;
	volatile bool done;
};

static void
run_msg(void *arg)
{
	struct run *run = arg;

	run->fn(run->arg);
	run->done = true;
}

void
dut_turn_until(const volatile bool *done)
{
	while (!*done)
		(void)tarn_reactor_turn(tarn_reactor_get(0));
}

void
dut_run(void (*fn)(void *arg), void *arg)
{
	struct run run = { .fn = fn, .arg = arg };
	struct tarn_msg msg = { 0 };

	tarn_msg_send(tarn_reactor_get(0), &msg, run_msg, &run);
	dut_turn_until(&run.done);
}

/* --- The bdev --- */

struct dut_call {
	const struct tarn_bdev_file_opts *opts;
	struct tarn_reason *reason;
	bool write;
	uint32_t command;
	const void *arg;
	int status;
	volatile bool done;
};

static void
create(void *arg)
{
	struct dut_call *call = arg;

	if (mode->medium == DUT_RAM) {
		struct tarn_bdev_ram_opts ram = { .size_bytes = DUT_BYTES };

		call->status = tarn_bdev_create(mode->driver, "dut", &ram, &bdev, call->reason);
	} else {
		call->status =
		    tarn_bdev_create(mode->driver, "dut", call->opts, &bdev, call->reason);
	}
}

static void
delete_done(void *arg, int status)
{
	struct dut_call *call = arg;

	call->status = status;
	call->done = true;
}

static void
delete_start(void *arg)
{
	tarn_bdev_delete(bdev, false, delete_done, arg);
}

static void
delete_wait(void)
{
	struct dut_call call = { 0 };

	dut_run(delete_start, &call);
	dut_turn_until(&call.done);
	CU_ASSERT_EQUAL(call.status, 0);
	bdev = NULL;
}

int
dut_create(const struct tarn_bdev_file_opts *opts, struct tarn_reason *reason)
{
	struct dut_call call = { .opts = opts, .reason = reason };

	dut_run(create, &call);
	if (call.status == 0)
		delete_wait();
	return call.status;
}

static void
create_file(void *arg)
{
	struct dut_call *call = arg;

	call->status = tarn_bdev_create_file(mode->driver, "dut", call->opts, &bdev, call->reason);
}

int
dut_create_file(const struct tarn_bdev_file_opts *opts, struct tarn_reason *reason)
{
	struct dut_call call = { .opts = opts, .reason = reason };

	dut_run(create_file, &call);
	return call.status;
}

static void
on_event(struct tarn_bdev *of, enum tarn_bdev_event event, void *arg)
{
	(void)of;
	(void)arg;
	if (event == TARN_BDEV_EVENT_RESIZE)
		resize_count++;
}

static void
open_channel(void *arg)
{
	struct dut_call *call = arg;

	call->status = tarn_bdev_open("dut", call->write, on_event, NULL, &desc);
	if (call->status == 0)
		call->status = tarn_channel_get(desc, &channel);
}

struct tarn_channel *
dut_open_opts(const struct tarn_bdev_file_opts *opts, bool write)
{
	struct tarn_reason reason = { "" };
	struct dut_call call = { .opts = opts, .reason = &reason, .write = write };

	dut_run(create, &call);
	if (call.status != 0)
		(void)fprintf(stderr, "%s: %s\n", dut_device, reason.text);
	CU_ASSERT_EQUAL_FATAL(call.status, 0);
	dut_run(open_channel, &call);
	CU_ASSERT_EQUAL_FATAL(call.status, 0);
	return channel;
}

int
dut_try_open(const struct tarn_bdev_file_opts *opts)
{
	struct dut_call call = { .opts = opts, .write = true };

	dut_run(create, &call);
	if (call.status != 0)
		return call.status;
	dut_run(open_channel, &call);
	if (call.status != 0)
		dut_close();
	return call.status;
}

struct tarn_bdev_file_opts
dut_opts(void)
{
	struct tarn_bdev_file_opts opts = mode->opts;

	opts.filename = dut_device;
	return opts;
}

struct tarn_channel *
dut_open(void)
{
	struct tarn_bdev_file_opts opts = dut_opts();

	return dut_open_opts(&opts, true);
}

static void
close_channel(void *arg)
{
	(void)arg;
	if (channel != NULL)
		tarn_channel_put(channel);
	if (desc != NULL)
		tarn_bdev_close(desc);
	channel = NULL;
	desc = NULL;
}

void
dut_close(void)
{
	dut_run(close_channel, NULL);
	if (bdev != NULL)
		delete_wait();
}

struct tarn_bdev *
dut_bdev(void)
{
	return bdev;
}

static void
control(void *arg)
{
	struct dut_call *call = arg;

	call->status = tarn_bdev_control(bdev, call->command, call->arg, call->reason);
}

int
dut_control(uint32_t command, const void *arg, struct tarn_reason *reason)
{
	struct dut_call call = { .command = command, .arg = arg, .reason = reason };

	dut_run(control, &call);
	return call.status;
}

unsigned int
dut_resize_count(void)
{
	return resize_count;
}

/* --- A process with less rights --- */

static int
in_child(const struct dut_mode *with, enum dut_child (*fn)(void))
{
	jmp_buf failed;
	int status = 0;
	pid_t child;

	(void)fflush(stdout);
	child = fork();
	if (child == 0) {
		/* A fatal assertion ends the child, not the test within it. */
		CU_get_current_test()->pJumpBuf = &failed;
		(void)alarm(60);
		dut_start(with);
		status = setjmp(failed) == 0 ? (int)fn() : DUT_CHILD_BAD;
		dut_stop();
		_exit(status);
	}
	if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

void
dut_expect_child(const struct dut_mode *with, enum dut_child (*fn)(void))
{
	int result = in_child(with, fn);

	if (result == DUT_CHILD_CANNOT)
		ut_skip("this process may not give up what the test takes away");
	CU_ASSERT_EQUAL(result, DUT_CHILD_GOOD);
}

enum dut_child
dut_forbid(int system_call, int error)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);

	if (filter == NULL ||
	    seccomp_rule_add(filter, SCMP_ACT_ERRNO((unsigned int)error), system_call, 0) != 0 ||
	    seccomp_load(filter) != 0)
		return DUT_CHILD_CANNOT;
	return DUT_CHILD_GOOD;
}

/* --- What it says of itself --- */

static char described[8192];

static void
say(const char *name, const char *value)
{
	size_t used = strlen(described);

	(void)snprintf(described + used, sizeof(described) - used, "%s=%s\n", name, value);
}

static void
sink_begin(void *arg, const char *name)
{
	(void)arg;
	say(name, "{");
}

static void
sink_end(void *arg)
{
	(void)arg;
	say("", "}");
}

static void
sink_text(void *arg, const char *name, const char *value)
{
	(void)arg;
	say(name, value);
}

static void
sink_number(void *arg, const char *name, uint64_t value)
{
	char text[32];

	(void)arg;
	(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	say(name, text);
}

static void
sink_flag(void *arg, const char *name, bool value)
{
	(void)arg;
	say(name, value ? "true" : "false");
}

static void
describe(void *arg)
{
	const struct tarn_info_sink sink = {
		.begin = sink_begin,
		.end = sink_end,
		.text = sink_text,
		.number = sink_number,
		.flag = sink_flag,
	};

	(void)arg;
	tarn_bdev_describe(bdev, &sink);
}

const char *
dut_describe(void)
{
	described[0] = '\0';
	dut_run(describe, NULL);
	return described;
}

/* --- I/O --- */

struct dut_one {
	struct tarn_io io;
	enum tarn_io_op op;
	struct iovec single;
	const struct iovec *iov;
	uint32_t iov_count, flags;
	uint64_t offset_bytes, length_bytes;
	int status;
	volatile bool done;
};

static void
one_done(void *arg, int status)
{
	struct dut_one *one = arg;

	one->status = status;
	one->done = true;
}

static void
one_submit(void *arg)
{
	struct dut_one *one = arg;

	switch (one->op) {
	case TARN_IO_READ:
		tarn_bdev_readv(channel, &one->io, one->iov, one->iov_count, one->offset_bytes,
				one->flags, one_done, one);
		break;
	case TARN_IO_WRITE:
		tarn_bdev_writev(channel, &one->io, one->iov, one->iov_count, one->offset_bytes,
				 one->flags, one_done, one);
		break;
	case TARN_IO_FLUSH:
		tarn_bdev_flush(channel, &one->io, one_done, one);
		break;
	case TARN_IO_DISCARD:
		tarn_bdev_discard(channel, &one->io, one->offset_bytes, one->length_bytes,
				  one->flags, one_done, one);
		break;
	case TARN_IO_WRITE_ZEROES:
		tarn_bdev_write_zeroes(channel, &one->io, one->offset_bytes, one->length_bytes,
				       one->flags, one_done, one);
		break;
	}
	CU_ASSERT_FALSE(one->done); /* never inside the call */
}

int
dut_io(enum tarn_io_op op, void *buf, uint64_t length_bytes, uint64_t offset_bytes, uint32_t flags)
{
	struct dut_one one = {
		.op = op,
		.single = { .iov_base = buf, .iov_len = length_bytes },
		.iov_count = 1,
		.flags = flags,
		.offset_bytes = offset_bytes,
		.length_bytes = length_bytes,
	};

	one.iov = &one.single;
	dut_run(one_submit, &one);
	dut_turn_until(&one.done);
	return one.status;
}

int
dut_iov(enum tarn_io_op op, const struct iovec *iov, uint32_t iov_count, uint64_t offset_bytes)
{
	struct dut_one one = {
		.op = op, .iov = iov, .iov_count = iov_count, .offset_bytes = offset_bytes
	};

	dut_run(one_submit, &one);
	dut_turn_until(&one.done);
	return one.status;
}

void
dut_fill(void *buf, uint64_t length_bytes, uint32_t seed)
{
	uint32_t *word = buf;

	for (uint64_t i = 0; i < length_bytes / sizeof(*word); i++)
		word[i] = seed * 2654435761u + (uint32_t)i;
}

bool
dut_filled(const void *buf, uint64_t length_bytes, uint32_t seed)
{
	const uint32_t *word = buf;

	for (uint64_t i = 0; i < length_bytes / sizeof(*word); i++) {
		if (word[i] != seed * 2654435761u + (uint32_t)i)
			return false;
	}
	return true;
}
