/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A ring: its tables, and when the kernel is entered for it.
 *
 * A place in the submission queue taken during a turn is sent at its end, or with the next
 * URING_SEND_MAX, so that one io_uring_enter serves many; with DEFER_TASKRUN and IOPOLL the same
 * call fetches completions. In flight is never more than the completion queue holds, so that it
 * cannot overflow.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "lib/uring/internal.h"
#include "tarn/env.h"

#define URING_SQ_ENTRIES 512
/*
 * So many requests are sent without waiting for the end of the turn: while the kernel prepares a
 * long batch the device would have nothing to do. Measured on an ext4 file on virtio at depth 32: 8
 * gives 0.97 of what single submissions reach, whole turns 0.92; the system calls more are lost in
 * the noise.
 */
#define URING_SEND_MAX 8
#define URING_FILES_MAX 1024
#define URING_BUFFERS_MAX 16384 /* IORING_MAX_REG_BUFFERS */

static pthread_mutex_t rings_lock = PTHREAD_MUTEX_INITIALIZER;
static struct tarn_uring *rings;

static void
ring_sent(struct tarn_uring *ring, unsigned int ready, int sent)
{
	tarn_uring_count(&ring->enter_count, 1);
	if (sent > 0)
		tarn_uring_count(&ring->submit_count, (uint64_t)sent);
	/* EAGAIN, EBUSY: no memory or room now. Without SUBMIT_ALL a bad request ends the batch. */
	ring->retry_enter = sent < (int)ready && !ring->key.sqpoll;
	tarn_assert(sent >= 0 || sent == -EAGAIN || sent == -EBUSY || sent == -EINTR);
}

static void
ring_send(struct tarn_uring *ring)
{
	unsigned int ready = io_uring_sq_ready(&ring->io);

	ring_sent(ring, ready, io_uring_submit(&ring->io));
}

static void
ring_enter(void *arg)
{
	struct tarn_uring *ring = arg;
	unsigned int ready = io_uring_sq_ready(&ring->io);

	ring->retry_enter = false;
	if (ready == 0)
		return;
	ring_sent(ring, ready,
		  ring->getevents ? io_uring_submit_and_get_events(&ring->io)
				  : io_uring_submit(&ring->io));
}

static void
tables_open(struct tarn_uring *ring)
{
	struct rlimit limit = { .rlim_cur = URING_FILES_MAX };
	uint32_t chunk_count = (uint32_t)tarn_min_u64(tarn_iomem_chunk_count(), URING_BUFFERS_MAX);
	uint32_t file_count;

	(void)getrlimit(RLIMIT_NOFILE, &limit);
	file_count = (uint32_t)tarn_min_u64(limit.rlim_cur, URING_FILES_MAX);
	ring->chunk = calloc(chunk_count > 0 ? chunk_count : 1, 1);
	if (ring->chunk == NULL || chunk_count == 0 ||
	    io_uring_register_buffers_sparse(&ring->io, chunk_count) != 0) {
		ring->buffers_reason = "the kernel refused a table of fixed buffers (Linux 5.19 "
				       "and later have it)";
		free(ring->chunk);
		ring->chunk = NULL;
	}
	ring->chunk_count = chunk_count;
	ring->file_used = calloc(file_count, 1);
	if (ring->file_used == NULL || io_uring_register_files_sparse(&ring->io, file_count) != 0) {
		ring->files_reason = "the kernel refused a table of fixed files (Linux 5.19 and "
				     "later have it)";
		free(ring->file_used);
		ring->file_used = NULL;
	}
	ring->file_count = file_count;
	if (io_uring_register_ring_fd(&ring->io) != 1)
		ring->ring_fd_reason = "the kernel refused it (Linux 5.18 and later have it, for "
				       "16 rings of one thread)";
}

int
uring_ring_open(const struct tarn_uring_key *key, struct tarn_uring **ret_ring)
{
	struct tarn_uring *ring = calloc(1, sizeof(*ring));
	int status;

	if (ring == NULL)
		return -ENOMEM;
	ring->key = *key;
	status = tarn_uring_setup(key, URING_SQ_ENTRIES, io_uring_queue_init_params, &ring->io,
				  &ring->setup);
	if (status != 0) {
		free(ring);
		return status;
	}
	ring->enter = (struct tarn_deferred){ .fn = ring_enter, .arg = ring };
	ring->inflight_max = ring->io.cq.ring_entries;
	ring->getevents =
	    !key->sqpoll && (key->iopoll || (ring->setup.flags & IORING_SETUP_DEFER_TASKRUN) != 0);
	tables_open(ring);
	(void)pthread_mutex_lock(&rings_lock);
	ring->next_all = rings;
	rings = ring;
	(void)pthread_mutex_unlock(&rings_lock);
	*ret_ring = ring;
	return 0;
}

void
uring_ring_close(struct tarn_uring *ring)
{
	struct tarn_uring **at = &rings;

	tarn_assert(ring->inflight_count == 0 && ring->waiting_first == NULL);
	tarn_assert(!ring->enter.scheduled && !ring->armed);
	(void)pthread_mutex_lock(&rings_lock);
	while (*at != ring)
		at = &(*at)->next_all;
	*at = ring->next_all;
	(void)pthread_mutex_unlock(&rings_lock);
	io_uring_queue_exit(&ring->io);
	free(ring->file_used);
	free(ring->chunk);
	free(ring);
}

/* Once per chunk and ring: pinning it takes the kernel a while, and may need more locked memory
 * than allowed. */
static void
chunk_register(struct tarn_uring *ring, uint32_t index)
{
	struct iovec iov = {
		.iov_base = tarn_iomem_chunk_addr(index),
		.iov_len = TARN_IOMEM_CHUNK_BYTES,
	};
	__u64 tag = 0;
	int status = io_uring_register_buffers_update_tag(&ring->io, index, &iov, &tag, 1);

	if (status == 1) {
		ring->chunk[index] = URING_CHUNK_FIXED;
		tarn_uring_count(&ring->fixed_chunk_count, 1);
		return;
	}
	ring->chunk[index] = URING_CHUNK_REFUSED;
	__atomic_store_n(&ring->buffers_reason,
			 status == -ENOMEM ? "RLIMIT_MEMLOCK is too small to pin all I/O memory: "
					     "raise it (LimitMEMLOCK=, ulimit -l)"
					   : "the kernel refused to pin I/O memory",
			 __ATOMIC_RELEASE);
	tarn_uring_count(&ring->refused_chunk_count, 1);
}

int
tarn_uring_buffer(struct tarn_uring *ring, const void *buf, size_t length_bytes)
{
	int index = ring->chunk == NULL ? -1 : tarn_iomem_chunk_index(buf, length_bytes);

	if (index < 0 || (uint32_t)index >= ring->chunk_count)
		return -1;
	if (tarn_unlikely(ring->chunk[index] == URING_CHUNK_NEW))
		chunk_register(ring, (uint32_t)index);
	return ring->chunk[index] == URING_CHUNK_FIXED ? index : -1;
}

int
tarn_uring_file_add(struct tarn_uring *ring, int fd)
{
	if (ring->file_used == NULL)
		return -1;
	for (uint32_t slot = 0; slot < ring->file_count; slot++) {
		if (ring->file_used[slot] != 0)
			continue;
		if (io_uring_register_files_update(&ring->io, slot, &fd, 1) != 1)
			return -1;
		ring->file_used[slot] = 1;
		return (int)slot;
	}
	return -1;
}

void
tarn_uring_file_remove(struct tarn_uring *ring, int slot)
{
	int none = -1;

	if (slot < 0)
		return;
	(void)io_uring_register_files_update(&ring->io, (unsigned int)slot, &none, 1);
	ring->file_used[slot] = 0;
}

struct io_uring_sqe *
tarn_uring_sqe(struct tarn_uring *ring)
{
	struct io_uring_sqe *sqe;

	if (tarn_unlikely(ring->inflight_count >= ring->inflight_max))
		return NULL;
	if (tarn_unlikely(io_uring_sq_ready(&ring->io) >= URING_SEND_MAX) && !ring->retry_enter)
		ring_send(ring);
	sqe = io_uring_get_sqe(&ring->io);
	if (tarn_unlikely(sqe == NULL)) {
		ring_enter(ring);
		sqe = io_uring_get_sqe(&ring->io);
		if (sqe == NULL)
			return NULL; /* sqpoll's thread is behind */
	}
	ring->inflight_count++;
	if (!ring->enter.scheduled)
		tarn_deferred_schedule(&ring->enter);
	return sqe;
}

void
tarn_uring_wait(struct tarn_uring *ring, struct tarn_uring_wait *wait)
{
	wait->next = NULL;
	if (ring->waiting_last != NULL)
		ring->waiting_last->next = wait;
	else
		ring->waiting_first = wait;
	ring->waiting_last = wait;
}

struct tarn_uring_wait *
tarn_uring_unwait(struct tarn_uring *ring)
{
	struct tarn_uring_wait *wait = ring->waiting_first;

	if (wait != NULL) {
		ring->waiting_first = wait->next;
		if (ring->waiting_first == NULL)
			ring->waiting_last = NULL;
	}
	return wait;
}

/* Let the kernel show what it has completed, where a look at the memory is not enough. */
static void
ring_refresh(struct tarn_uring *ring)
{
	unsigned int state = __atomic_load_n(ring->io.sq.kflags, __ATOMIC_RELAXED);

	if (tarn_unlikely(ring->retry_enter) && !ring->enter.scheduled)
		tarn_deferred_schedule(&ring->enter);
	if ((ring->key.iopoll && !ring->key.sqpoll) ||
	    (state & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0) {
		(void)io_uring_get_events(&ring->io);
		tarn_uring_count(&ring->fetch_count, 1);
	}
}

unsigned int
tarn_uring_reap(struct tarn_uring *ring, struct tarn_uring_done *done)
{
	struct io_uring_cqe *cqes[TARN_URING_REAP_MAX];
	unsigned int count;

	if (io_uring_cq_ready(&ring->io) == 0)
		ring_refresh(ring);
	if (io_uring_cq_ready(&ring->io) == 0)
		return 0;
	count = io_uring_peek_batch_cqe(&ring->io, cqes, TARN_URING_REAP_MAX);
	tarn_assert(count <= ring->inflight_count);
	for (unsigned int i = 0; i < count; i++) {
		done[i].data = io_uring_cqe_get_data(cqes[i]);
		done[i].result = cqes[i]->res;
	}
	io_uring_cq_advance(&ring->io, count); /* the places are the kernel's again */
	ring->inflight_count -= count;
	tarn_uring_count(&ring->reap_count, 1);
	tarn_uring_count(&ring->complete_count, count);
	return count;
}

bool
uring_ring_has_news(const struct tarn_uring *ring)
{
	unsigned int state = __atomic_load_n(ring->io.sq.kflags, __ATOMIC_ACQUIRE);

	return io_uring_cq_ready(&ring->io) > 0 ||
	       (state & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
}

void
uring_each(void (*fn)(const struct tarn_uring *ring, void *arg), void *arg)
{
	(void)pthread_mutex_lock(&rings_lock);
	for (const struct tarn_uring *ring = rings; ring != NULL; ring = ring->next_all)
		fn(ring, arg);
	(void)pthread_mutex_unlock(&rings_lock);
}
