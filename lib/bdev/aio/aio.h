/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <libaio.h>

#include "tarn/bdev_file.h"
#include "tarn/reactor.h"
#include "tarn/util.h"

/* Within lib/bdev/aio only. */

/* More than this many of one reactor wait their turn in the group. */
#define AIO_EVENTS_MAX 1024
/* The most that one io_submit takes. */
#define AIO_BATCH_MAX 128
/* So many are sent without waiting for the end of the turn; why: URING_SEND_MAX of driver uring. */
#define AIO_SEND_MAX 8

struct aio_bdev {
	struct tarn_bdev_file file;
	bool nowait;
	bool fdsync_refused; /* any thread sets it: flush by a worker from then on */
	/* Of channels that are gone and of those that are there; written relaxed by their reactors.
	 */
	uint64_t nowait_retry_count;
};

struct aio_io {
	struct iocb iocb;
	struct aio_io *next; /* while it waits for io_submit */
	uint8_t nowait;
	uint8_t signaled; /* its completion writes the eventfd */
};

struct aio_list {
	struct aio_io *first, *last;
};

/* The completion ring as the kernel maps it for io_setup(2): fs/aio.c, struct aio_ring. */
struct aio_ring {
	uint32_t id, nr;
	uint32_t head, tail; /* head is ours, tail the kernel's */
	uint32_t magic, compat_features, incompat_features, header_length;
	struct io_event events[];
};

struct aio_group {
	io_context_t context;
	struct aio_ring *ring; /* NULL: not of the layout known here; reaped by io_getevents */
	uint32_t event_count;
	uint32_t inflight_count;
	uint32_t silent_count; /* of these, without the eventfd */
	struct aio_list waiting;
	uint32_t waiting_count; /* added since the last time they were sent */
	struct aio_list failed; /* refused by io_submit; completed in the next poll */
	int event_fd;
	uint64_t nap_ns; /* the next one; 0: the shortest */
	bool stalled;	 /* the kernel took none for want of memory: again in the next poll */
	struct tarn_deferred flush;
	/* Statistics, written relaxed by the group's reactor. */
	uint64_t enter_count, submit_count, reap_count, complete_count;
	struct aio_group *next;
};

static inline void
aio_list_add(struct aio_list *list, struct aio_io *aio)
{
	aio->next = NULL;
	if (list->last != NULL)
		list->last->next = aio;
	else
		list->first = aio;
	list->last = aio;
}

static inline struct aio_io *
aio_list_take(struct aio_list *list)
{
	struct aio_io *aio = list->first;

	if (aio != NULL) {
		list->first = aio->next;
		if (list->first == NULL)
			list->last = NULL;
	}
	return aio;
}

static inline struct tarn_io *
aio_io_of(struct aio_io *aio)
{
	return tarn_container_of((uint8_t *)aio, struct tarn_io, driver_ctx);
}

static inline void
aio_count(uint64_t *counter, uint64_t by)
{
	__atomic_store_n(counter, *counter + by, __ATOMIC_RELAXED);
}

/* queue.c */
/** Prepare and queue; sent at the end of the turn. */
void aio_queue_submit(struct tarn_channel *channel, struct tarn_io *io);
/** Complete what is done and was refused. \return how many. */
int aio_queue_poll(struct aio_group *group);
/** Send what waits. */
void aio_queue_flush(void *arg);
