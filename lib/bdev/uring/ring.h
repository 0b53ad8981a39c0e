/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include "lib/bdev/uring/setup.h"
#include "tarn/bdev_file.h"
#include "tarn/reactor.h"
#include "tarn/util.h"

/*
 * One ring of one reactor, with its tables of fixed buffers and files. Within lib/bdev/uring only.
 * All calls but uring_rings_describe() on the ring's own reactor.
 */

struct uring_io {
	struct uring_io *next; /* while it waits for a place in the ring */
};

enum uring_chunk {
	URING_CHUNK_NEW,
	URING_CHUNK_FIXED,
	URING_CHUNK_REFUSED, /* the kernel would not pin it: ordinary reads and writes */
};

struct uring_ring {
	struct io_uring io;
	struct uring_key key;
	struct uring_setup setup;
	struct tarn_deferred enter;
	unsigned int inflight_count; /* in the ring or in the kernel */
	unsigned int inflight_max;
	struct uring_io *waiting_first, *waiting_last;
	bool retry_enter;	    /* the kernel had no memory for it: again in the next poll */
	bool event_fd_known, armed; /* the kernel knows the group's eventfd; and writes it */
	bool getevents; /* completions appear only when the kernel is entered for them */
	/* Fixed buffers: a slot for each chunk of I/O memory. */
	uint8_t *chunk; /* enum uring_chunk; NULL: no table */
	uint32_t chunk_count;
	/* Fixed files: a slot for each channel. */
	uint8_t *file_used; /* NULL: no table */
	uint32_t file_count;
	/* For describe. The texts are written once, then published with release. */
	const char *ring_fd_reason, *files_reason, *buffers_reason;
	uint64_t enter_count, submit_count, fetch_count, reap_count, complete_count, retry_count;
	uint64_t fixed_chunk_count, refused_chunk_count;
	struct uring_ring *next;     /* in the group */
	struct uring_ring *next_all; /* of all reactors */
};

/** Make one. \return 0 or -errno of io_uring_setup(2), or -ENOMEM. */
int uring_ring_open(const struct uring_key *key, struct uring_ring **ret_ring);
/** Nothing is in flight. */
void uring_ring_close(struct uring_ring *ring);

/** \return the fixed-buffer index of the memory, making it known to the kernel at first use; or -1.
 */
int uring_ring_buffer(struct uring_ring *ring, const void *buf, size_t length_bytes);
/** Register a file. \return its slot, or -1: use the fd. */
int uring_ring_file_add(struct uring_ring *ring, int fd);
void uring_ring_file_remove(struct uring_ring *ring, int slot);

/**
 * Take a place in the submission queue, for one I/O that is then in flight; it is sent at the end
 * of the turn. \return NULL: none now, wait with uring_ring_wait().
 */
struct io_uring_sqe *uring_ring_sqe(struct uring_ring *ring);
void uring_ring_wait(struct uring_ring *ring, struct uring_io *uio);
/** \return the next that waited, or NULL. */
struct uring_io *uring_ring_unwait(struct uring_ring *ring);
/** Let the kernel show what it has completed, where a look at the memory is not enough. */
void uring_ring_refresh(struct uring_ring *ring);

/** \return whether there are completions, or work of the kernel's that will make some. */
bool uring_ring_has_news(const struct uring_ring *ring);

/** Mode, flags and reasons, and the counters of all rings with that key. Control reactor. */
void uring_rings_describe(const struct uring_key *key, const struct tarn_info_sink *sink);

static inline void
uring_count(uint64_t *counter, uint64_t by)
{
	__atomic_store_n(counter, *counter + by, __ATOMIC_RELAXED);
}
