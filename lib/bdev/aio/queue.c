/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The way of an I/O through Linux native AIO.
 *
 *   submit --> waiting --turn's end: io_submit--> in flight --mapped ring--> complete
 *                 ^            | refused                |
 *                 |            +--> failed --poll--> complete
 *                 +------ EAGAIN of RWF_NOWAIT ---------+
 *
 * io_submit sends what one turn gathered, or AIO_SEND_MAX of it, with one system call; completions
 * are read from the ring that the kernel maps into the process, with none. A completion writes the
 * eventfd only when its I/O was sent while the reactor had slept lately, because that wakes nobody
 * on a loaded one and costs as much.
 */
#include <errno.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lib/bdev/aio/aio.h"

#define AIO_REAP_MAX 256

static struct aio_bdev *
bdev_of(struct tarn_io *io)
{
	return tarn_bdev_ctx(tarn_channel_bdev(io->channel));
}

static void
prepare(struct aio_bdev *abdev, struct tarn_io *io, bool nowait)
{
	struct aio_io *aio = tarn_io_ctx(io);
	int fd = abdev->file.fd;
	long long offset = (long long)io->offset_bytes;
	bool read = io->op == TARN_IO_READ;

	if (io->op == TARN_IO_FLUSH) {
		io_prep_fdsync(&aio->iocb, fd);
		nowait = false;
	} else if (io->iov_count == 1 && read) {
		io_prep_pread(&aio->iocb, fd, io->iov->iov_base, io->iov->iov_len, offset);
	} else if (io->iov_count == 1) {
		io_prep_pwrite(&aio->iocb, fd, io->iov->iov_base, io->iov->iov_len, offset);
	} else if (read) {
		io_prep_preadv(&aio->iocb, fd, io->iov, (int)io->iov_count, offset);
	} else {
		io_prep_pwritev(&aio->iocb, fd, io->iov, (int)io->iov_count, offset);
	}
	if (io->op == TARN_IO_WRITE && (io->flags & TARN_IO_FUA) != 0)
		aio->iocb.aio_rw_flags |= RWF_DSYNC;
	if (nowait)
		aio->iocb.aio_rw_flags |= RWF_NOWAIT;
	aio->nowait = nowait;
}

static void
enqueue(struct aio_group *group, struct aio_io *aio)
{
	aio_list_add(&group->waiting, aio);
	if (++group->waiting_count >= AIO_SEND_MAX && !group->stalled)
		aio_queue_flush(group);
	else if (!group->flush.scheduled)
		tarn_deferred_schedule(&group->flush);
}

void
aio_queue_submit(struct tarn_channel *channel, struct tarn_io *io)
{
	struct aio_bdev *abdev = bdev_of(io);

	if (io->op == TARN_IO_DISCARD || io->op == TARN_IO_WRITE_ZEROES ||
	    (io->op == TARN_IO_FLUSH &&
	     __atomic_load_n(&abdev->fdsync_refused, __ATOMIC_RELAXED))) {
		tarn_bdev_file_offload_op(&abdev->file, io);
		return;
	}
	prepare(abdev, io, abdev->nowait);
	enqueue(tarn_group_ctx(tarn_channel_group(channel)), tarn_io_ctx(io));
}

static void
set_signal(const struct aio_group *group, struct aio_io *aio, bool signaled)
{
	aio->signaled = signaled;
	if (signaled)
		io_set_eventfd(&aio->iocb, group->event_fd);
}

/* The first of the batch was refused: it fails, or finds another way, and the rest is sent without
 * it. */
static void
refused(struct aio_group *group, int status)
{
	struct aio_io *aio = aio_list_take(&group->waiting);
	struct tarn_io *io = aio_io_of(aio);

	if (io->op == TARN_IO_FLUSH && (status == -EINVAL || status == -EOPNOTSUPP)) {
		__atomic_store_n(&bdev_of(io)->fdsync_refused, true, __ATOMIC_RELAXED);
		tarn_bdev_file_offload_op(&bdev_of(io)->file, io);
		return;
	}
	aio->iocb.aio_rw_flags = status; /* the kernel has no use for it any more */
	aio_list_add(&group->failed, aio);
}

void
aio_queue_flush(void *arg)
{
	struct aio_group *group = arg;
	bool signaled = tarn_reactor_sleeps();

	group->stalled = false;
	group->waiting_count = 0;
	while (group->waiting.first != NULL && group->inflight_count < group->event_count) {
		struct iocb *batch[AIO_BATCH_MAX];
		struct aio_io *aio = group->waiting.first;
		uint32_t room = group->event_count - group->inflight_count;
		uint32_t count = 0;
		int sent;

		for (; aio != NULL && count < AIO_BATCH_MAX && count < room; aio = aio->next) {
			set_signal(group, aio, signaled);
			batch[count++] = &aio->iocb;
		}
		sent = io_submit(group->context, count, batch);
		aio_count(&group->enter_count, 1);
		if (sent == -EAGAIN || sent == -EINTR || sent == 0) {
			group->stalled = true; /* completions make room */
			return;
		}
		if (sent < 0) {
			refused(group, sent);
			continue;
		}
		aio_count(&group->submit_count, (uint64_t)sent);
		group->inflight_count += (uint32_t)sent;
		if (!signaled)
			group->silent_count += (uint32_t)sent;
		for (int i = 0; i < sent; i++)
			(void)aio_list_take(&group->waiting);
	}
}

static void
finish(struct aio_group *group, struct aio_io *aio, int64_t result)
{
	struct tarn_io *io = aio_io_of(aio);
	struct aio_bdev *abdev = bdev_of(io);
	uint64_t expected = io->op == TARN_IO_FLUSH ? 0 : io->length_bytes;
	int status;

	group->inflight_count--;
	if (!aio->signaled)
		group->silent_count--;
	if (tarn_likely(result >= 0 && (uint64_t)result == expected)) {
		tarn_io_complete(io, 0);
		return;
	}
	/* What would have blocked, in whole or from some point on, is sent again to block. */
	if (result == -EAGAIN || result == -EINTR || (aio->nowait && result != -EIO)) {
		if (aio->nowait)
			(void)__atomic_add_fetch(&abdev->nowait_retry_count, 1, __ATOMIC_RELAXED);
		prepare(abdev, io, false);
		enqueue(group, aio);
		return;
	}
	status = result < 0 ? (int)result : -EIO;
	tarn_bdev_file_check_gone(tarn_channel_bdev(io->channel), &abdev->file, status);
	tarn_io_complete(io, status);
}

static int
reap_mapped(struct aio_group *group)
{
	struct aio_ring *ring = group->ring;
	uint32_t head = ring->head;
	int count = 0;

	/* Acquire: the events that the kernel wrote before it moved the tail. */
	while (count < AIO_REAP_MAX && head != __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE)) {
		struct io_event event = ring->events[head];

		head = head + 1 == ring->nr ? 0 : head + 1;
		/* Release: the event was read before the kernel may use its place again. */
		__atomic_store_n(&ring->head, head, __ATOMIC_RELEASE);
		finish(group, tarn_container_of(event.obj, struct aio_io, iocb),
		       (int64_t)event.res);
		count++;
	}
	return count;
}

static int
reap_call(struct aio_group *group)
{
	struct io_event events[64];
	struct timespec none = { 0 };
	int count = io_getevents(group->context, 0, tarn_array_count(events), events, &none);

	for (int i = 0; i < count; i++)
		finish(group, tarn_container_of(events[i].obj, struct aio_io, iocb),
		       (int64_t)events[i].res);
	return count > 0 ? count : 0;
}

int
aio_queue_poll(struct aio_group *group)
{
	struct aio_io *aio;
	int count = 0;

	if (group->inflight_count > 0)
		count = group->ring != NULL ? reap_mapped(group) : reap_call(group);
	if (count > 0) {
		group->nap_ns = 0;
		aio_count(&group->reap_count, 1);
		aio_count(&group->complete_count, (uint64_t)count);
	}
	while (tarn_unlikely((aio = aio_list_take(&group->failed)) != NULL)) {
		struct tarn_io *io = aio_io_of(aio);
		int status = aio->iocb.aio_rw_flags;

		tarn_bdev_file_check_gone(tarn_channel_bdev(io->channel), &bdev_of(io)->file,
					  status);
		tarn_io_complete(io, status);
		count++;
	}
	if (group->waiting.first != NULL && !group->flush.scheduled)
		tarn_deferred_schedule(&group->flush);
	return count;
}
