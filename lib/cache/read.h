/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include "lib/cache/shard.h"

/*
 * Reading committed blocks of the log. A read counts on its segment, which is not reused before it
 * ends; what came of it is not verified here.
 */
struct log_read {
	struct tarn_io io;
	struct shard *shard;
	struct segment *segment;
	uint32_t seed; /* the segment's, in the life in which the read began */
	void (*done)(struct log_read *read, int status);
};

/** Read from a place on. read->io is zero or was used by a read before. */
void log_read(struct shard *shard, struct log_read *read, uint32_t place, void *buf,
	      uint32_t block_count);
void log_readv(struct shard *shard, struct log_read *read, uint32_t place, const struct iovec *iov,
	       uint32_t iov_count);
/** The same behind what users wait for. */
void log_read_background(struct shard *shard, struct log_read *read, uint32_t place, void *buf,
			 uint32_t block_count);
