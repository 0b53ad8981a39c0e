/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The way of one I/O through a ring.
 *
 *   submit --place in the queue--> sent at the turn's end --completion--> tarn_io_complete()
 *      ^  \--none: waits in front of the ring--^   |
 *      +------- EAGAIN, EINTR, not to be polled ---+
 *
 * Under IOPOLL the ring takes plain reads and writes only; the rest goes through the ordinary one.
 */
#include <errno.h>
#include <sys/uio.h>

#include "lib/bdev/uring/uring.h"

static bool
is_transfer(const struct tarn_io *io)
{
	return io->op == TARN_IO_READ || io->op == TARN_IO_WRITE;
}

static bool
wants_ordinary(const struct uring_channel *uch, const struct tarn_io *io)
{
	if (tarn_likely(uch->rings.ring == uch->rings.ordinary))
		return false;
	return !is_transfer(io) || (io->flags & TARN_IO_FUA) != 0 ||
	       __atomic_load_n(&uch->ubdev->iopoll_failed, __ATOMIC_RELAXED);
}

static void
prepare_transfer(const struct uring_channel *uch, struct tarn_uring *ring, struct io_uring_sqe *sqe,
		 const struct tarn_io *io)
{
	bool read = io->op == TARN_IO_READ;
	int fd = uch->ubdev->file.fd;
	int index = -1;

	if (tarn_unlikely(io->iov_count != 1)) {
		if (read)
			io_uring_prep_readv(sqe, fd, io->iov, io->iov_count, io->offset_bytes);
		else
			io_uring_prep_writev(sqe, fd, io->iov, io->iov_count, io->offset_bytes);
	} else {
		void *buf = io->iov->iov_base;
		unsigned int length = (unsigned int)io->iov->iov_len;

		if (uch->ubdev->fixed_buffers)
			index = tarn_uring_buffer(ring, buf, length);
		if (index >= 0 && read)
			io_uring_prep_read_fixed(sqe, fd, buf, length, io->offset_bytes, index);
		else if (index >= 0)
			io_uring_prep_write_fixed(sqe, fd, buf, length, io->offset_bytes, index);
		else if (read)
			io_uring_prep_read(sqe, fd, buf, length, io->offset_bytes);
		else
			io_uring_prep_write(sqe, fd, buf, length, io->offset_bytes);
	}
	if (!read && (io->flags & TARN_IO_FUA) != 0)
		sqe->rw_flags = RWF_DSYNC;
}

static void
prepare_other(const struct uring_channel *uch, struct io_uring_sqe *sqe, const struct tarn_io *io)
{
	const struct tarn_bdev_file *file = &uch->ubdev->file;
	int mode = io->op == TARN_IO_DISCARD ? file->discard_mode : file->write_zeroes_mode;

	if (io->op == TARN_IO_FLUSH)
		io_uring_prep_fsync(sqe, file->fd, IORING_FSYNC_DATASYNC);
	else
		io_uring_prep_fallocate(sqe, file->fd, mode, (off_t)io->offset_bytes,
					(off_t)io->length_bytes);
}

static void
submit(struct uring_channel *uch, struct tarn_io *io)
{
	bool ordinary = wants_ordinary(uch, io);
	struct tarn_uring *ring = ordinary ? uch->rings.ordinary : uch->rings.ring;
	int slot = ordinary ? uch->rings.ordinary_slot : uch->rings.slot;
	struct io_uring_sqe *sqe = tarn_uring_sqe(ring);

	if (tarn_unlikely(sqe == NULL)) {
		tarn_uring_wait(ring, tarn_io_ctx(io));
		return;
	}
	if (tarn_likely(is_transfer(io)))
		prepare_transfer(uch, ring, sqe, io);
	else
		prepare_other(uch, sqe, io);
	if (tarn_likely(slot >= 0)) {
		sqe->fd = slot;
		sqe->flags |= IOSQE_FIXED_FILE;
	}
	io_uring_sqe_set_data(sqe, io);
}

/* What the kernel offers by ioctl only, or by two calls in a row. */
static bool
is_offloaded(const struct tarn_bdev_file *file, const struct tarn_io *io)
{
	if (io->op == TARN_IO_DISCARD)
		return file->discard_ioctl || (io->flags & TARN_IO_FUA) != 0;
	if (io->op == TARN_IO_WRITE_ZEROES)
		return file->zeroes_ioctl || (io->flags & TARN_IO_FUA) != 0;
	return false;
}

void
uring_io_submit(struct tarn_channel *channel, struct tarn_io *io)
{
	struct uring_channel *uch = tarn_channel_ctx(channel);

	if (tarn_unlikely(!is_transfer(io)) && is_offloaded(&uch->ubdev->file, io)) {
		tarn_bdev_file_offload_op(&uch->ubdev->file, io);
		return;
	}
	submit(uch, io);
}

static void
finish(struct tarn_uring *ring, void *data, int result)
{
	struct tarn_io *io = data;
	struct uring_channel *uch = tarn_channel_ctx(io->channel);
	uint64_t expected = is_transfer(io) ? io->length_bytes : 0;
	int status;

	if (tarn_likely(result >= 0 && (uint64_t)result == expected)) {
		tarn_io_complete(io, 0);
		return;
	}
	if (ring->key.iopoll && result == -EOPNOTSUPP)
		__atomic_store_n(&uch->ubdev->iopoll_failed, true, __ATOMIC_RELAXED);
	if (result == -EAGAIN || result == -EINTR || (ring->key.iopoll && result == -EOPNOTSUPP)) {
		tarn_uring_count(&ring->retry_count, 1);
		submit(uch, io);
		return;
	}
	status = result < 0 ? result : -EIO;
	tarn_bdev_file_check_gone(tarn_channel_bdev(io->channel), &uch->ubdev->file, status);
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
uring_io_poll(struct tarn_group *group)
{
	return tarn_uring_group_poll(tarn_group_ctx(group), &user);
}
