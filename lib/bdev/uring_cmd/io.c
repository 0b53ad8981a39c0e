/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The way of one I/O through a ring, as NVMe commands.
 *
 *   submit --place in the queue--> sent at the turn's end --completion--> tarn_io_complete()
 *      ^  \--none: waits in front of the ring--^   |
 *      +------- next piece, next try --------------+
 *
 * Reads, writes and flushes are one command. A discard or zeroes are one after the other, each as
 * large as the device takes; a durable discard ends with a flush. What the device, or a reset of
 * it, cut short is sent again as often as the kernel does for the block layer, which passthrough
 * goes past: nvme_core.max_retries. A result above 0 is the device's status, never a success.
 *
 * Under IOPOLL the ring takes reads and writes only; the rest goes through the ordinary one: Linux
 * 6.1 hangs, for good, when it polls for a command without data.
 */
#include <errno.h>

#include "lib/bdev/uring_cmd/uring_cmd.h"

_Static_assert(sizeof(struct cmd_io) <= TARN_IO_DRIVER_BYTES, "fits into an I/O");

/* A buffer that the ring knows, for one that has it whole. */
static void
fix_buffer(const struct cmd_channel *cch, struct io_uring_sqe *sqe, const struct tarn_io *io,
	   struct cmd_io *cio)
{
	int index;

	cio->fixed = false;
	if (!cch->cbdev->fixed_buffers || io->iov_count != 1 ||
	    __atomic_load_n(&cch->cbdev->fixed_failed, __ATOMIC_RELAXED))
		return;
	index = tarn_uring_buffer(cch->rings.ring, io->iov->iov_base, io->iov->iov_len);
	if (index < 0)
		return;
	sqe->uring_cmd_flags = IORING_URING_CMD_FIXED;
	sqe->buf_index = (uint16_t)index;
	cio->fixed = true;
}

static void
prepare_other(const struct nvme_device *device, struct nvme_uring_cmd *cmd,
	      const struct tarn_io *io, struct cmd_io *cio)
{
	bool discard = io->op == TARN_IO_DISCARD;
	uint64_t offset_bytes = io->offset_bytes + cio->done_bytes;
	uint64_t left_bytes = io->length_bytes - cio->done_bytes;

	if (io->op == TARN_IO_FLUSH || cio->flushing) {
		nvme_command_flush(cmd, &device->target);
		return;
	}
	cio->piece_bytes = (uint32_t)tarn_min_u64(left_bytes, discard ? device->discard_max_bytes
								      : device->zeroes_max_bytes);
	if (discard)
		nvme_command_discard(cmd, &device->target, &cio->range, offset_bytes,
				     cio->piece_bytes);
	else
		nvme_command_zeroes(cmd, &device->target, offset_bytes, cio->piece_bytes,
				    (io->flags & TARN_IO_FUA) != 0);
}

static void
submit(struct cmd_channel *cch, struct tarn_io *io)
{
	const struct nvme_device *device = &cch->cbdev->device;
	bool transfer = io->op <= TARN_IO_WRITE;
	struct tarn_uring *ring = transfer ? cch->rings.ring : cch->rings.ordinary;
	int slot = transfer ? cch->rings.slot : cch->rings.ordinary_slot;
	struct cmd_io *cio = tarn_io_ctx(io);
	struct io_uring_sqe *sqe = tarn_uring_sqe(ring);
	struct nvme_uring_cmd *cmd;

	if (tarn_unlikely(sqe == NULL)) {
		tarn_uring_wait(ring, &cio->wait);
		return;
	}
	io_uring_prep_rw(IORING_OP_URING_CMD, sqe, device->fd, NULL, 0, 0);
	cmd = (struct nvme_uring_cmd *)sqe->cmd;
	if (tarn_likely(transfer)) {
		sqe->cmd_op = nvme_command_transfer(cmd, &device->target, io);
		fix_buffer(cch, sqe, io, cio);
	} else {
		sqe->cmd_op = NVME_URING_CMD_IO;
		prepare_other(device, cmd, io, cio);
	}
	if (tarn_likely(slot >= 0)) {
		sqe->fd = slot;
		sqe->flags |= IOSQE_FIXED_FILE;
	}
	io_uring_sqe_set_data(sqe, io);
}

void
cmd_io_submit(struct tarn_channel *channel, struct tarn_io *io)
{
	struct cmd_io *cio = tarn_io_ctx(io);

	cio->done_bytes = 0;
	cio->retry_count = 0;
	cio->fixed = false;
	cio->flushing = false;
	submit(tarn_channel_ctx(channel), io);
}

/* A command of several has succeeded. \return whether another one follows. */
static bool
go_on(const struct tarn_io *io, struct cmd_io *cio)
{
	if (cio->flushing)
		return false;
	cio->retry_count = 0;
	cio->done_bytes += cio->piece_bytes;
	if (cio->done_bytes < io->length_bytes)
		return true;
	cio->flushing = io->op == TARN_IO_DISCARD && (io->flags & TARN_IO_FUA) != 0;
	return cio->flushing;
}

/* Whether a command that did not succeed is to be sent again. */
static bool
try_again(struct cmd_bdev *cbdev, struct cmd_io *cio, int result)
{
	if (result == -EAGAIN)
		return true;
	if (result == -EINVAL && cio->fixed) {
		__atomic_store_n(&cbdev->fixed_failed, true, __ATOMIC_RELAXED);
		return true;
	}
	/* EINTR: the kernel took it back, for a reset or because the device does not answer. */
	if (result != -EINTR && (result < 0 || !nvme_status_may_retry(result)))
		return false;
	if (cio->retry_count == cbdev->device.retry_max)
		return false;
	cio->retry_count++;
	(void)__atomic_add_fetch(&cbdev->command_retry_count, 1, __ATOMIC_RELAXED);
	return true;
}

static int
status_of(int result)
{
	if (result > 0)
		return nvme_status_errno(result);
	return result == -EINTR ? -EIO : result;
}

static void
finish(struct tarn_uring *ring, void *data, int result)
{
	struct tarn_io *io = data;
	struct cmd_channel *cch = tarn_channel_ctx(io->channel);
	struct cmd_io *cio = tarn_io_ctx(io);
	int status;

	if (tarn_likely(result == 0)) {
		if (tarn_unlikely(io->op > TARN_IO_FLUSH) && go_on(io, cio))
			submit(cch, io);
		else
			tarn_io_complete(io, 0);
		return;
	}
	if (try_again(cch->cbdev, cio, result)) {
		tarn_uring_count(&ring->retry_count, 1);
		submit(cch, io);
		return;
	}
	status = status_of(result);
	nvme_device_check_gone(tarn_channel_bdev(io->channel), &cch->cbdev->device, status);
	tarn_io_complete(io, status);
}

static void
resubmit(struct tarn_uring_wait *wait)
{
	struct tarn_io *io = tarn_container_of((uint8_t *)wait, struct tarn_io, driver_ctx);

	submit(tarn_channel_ctx(io->channel), io);
}

static const struct tarn_uring_user user = { .done = finish, .resubmit = resubmit };

int
cmd_io_poll(struct tarn_group *group)
{
	return tarn_uring_group_poll(tarn_group_ctx(group), &user);
}
