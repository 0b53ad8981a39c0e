/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include "tarn/uring.h"

/* What the files of lib/uring share. */

/* Of a chunk of I/O memory, in a ring's table of fixed buffers. */
enum uring_chunk {
	URING_CHUNK_NEW,
	URING_CHUNK_FIXED,
	URING_CHUNK_REFUSED, /* the kernel would not pin it: ordinary reads and writes */
};

/* setup.c */
const char *uring_flag_name(enum tarn_uring_flag flag);
bool uring_key_equal(const struct tarn_uring_key *a, const struct tarn_uring_key *b);

/* ring.c */
/** Make one. \return 0 or -errno of io_uring_setup(2), or -ENOMEM. */
int uring_ring_open(const struct tarn_uring_key *key, struct tarn_uring **ret_ring);
/** Nothing is in flight. */
void uring_ring_close(struct tarn_uring *ring);
/** \return whether there are completions, or work of the kernel's that will make some. */
bool uring_ring_has_news(const struct tarn_uring *ring);
/** Call fn for each ring of the process, which does not end meanwhile. Any thread. */
void uring_each(void (*fn)(const struct tarn_uring *ring, void *arg), void *arg);
