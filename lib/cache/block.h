/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include "lib/cache/read.h"

/* A request for blocks, within the engine: `engine` of struct tarn_cache_block_req. */

#define BLOCK_READ_MAX 32 /* blocks of one device read */

/* One device read of neighbouring blocks: the request's own, or one of the shard's. */
struct block_read {
	struct log_read read;
	struct block_op *op; /* NULL: not in use */
	struct block_read *next;
	uint16_t first, count; /* blocks of the request */
	uint16_t rest;	       /* more of them, to be read one by one: they failed together */
	uint32_t place;
	uint8_t *buf;
	uint32_t crc32c[BLOCK_READ_MAX];
};

struct block_op {
	struct tarn_msg msg;
	struct shard *shard;
	struct tarn_reactor *origin;
	struct shard_task task;
	struct shard_settled settled;
	struct log_waiter waiter;
	struct block_read own;
	uint64_t start_ns;
	uint16_t next; /* block of the request that is dealt with next */
	uint16_t pending_reads;
	bool in_call;
	bool started; /* admitted: it goes on where it was */
	int32_t outcome;
	uint32_t iov_index;
	uint64_t iov_offset; /* where block `next` is in iov */
};
_Static_assert(sizeof(struct block_op) <= TARN_CACHE_BLOCK_REQ_BYTES, "fits its user's memory");

static inline struct block_op *
block_op_of(struct tarn_cache_block_req *user)
{
	return (struct block_op *)(void *)user->engine;
}

static inline struct tarn_cache_block_req *
block_user(struct block_op *op)
{
	return tarn_container_of(op, struct tarn_cache_block_req, engine);
}

static inline void
block_map_set(uint64_t *map, uint32_t n)
{
	map[n / 64] |= UINT64_C(1) << (n % 64);
}

static inline void
block_map_clear(uint64_t *map, uint32_t n)
{
	map[n / 64] &= ~(UINT64_C(1) << (n % 64));
}

static inline bool
block_map_test(const uint64_t *map, uint32_t n)
{
	return (map[n / 64] >> (n % 64) & 1) != 0;
}

/* The token of the last change of a block; others may share it. */
static inline uint64_t *
block_token(struct shard *shard, uint32_t volume, uint64_t block)
{
	return &shard->tokens[(block + (uint64_t)volume * 1021) % SHARD_TOKEN_COUNT];
}

/* block.c */
void block_finish(struct block_op *op, int status);
/** Where the next block of the request is in the user's buffers; it moves on. */
uint8_t *block_buf_next(struct block_op *op, uint64_t *ret_contiguous);
/** The index's slot of block n of the request, unless a ban hits it. */
struct index_slot *block_slot(struct block_op *op, uint32_t n);
/** Queue behind others, or until there is room. */
void block_wait_for_room(struct block_op *op);

/* block_read.c, block_write.c */
void block_lookup(struct block_op *op);
void block_write(struct block_op *op);
