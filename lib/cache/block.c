/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests for blocks: from the volume's reactor to the shard's, and back. */
#include "lib/cache/block.h"

#include <errno.h>
#include <string.h>

#include "lib/cache/internal.h"

static void
tell(void *arg)
{
	struct block_op *op = arg;
	struct tarn_cache_block_req *user = block_user(op);

	user->cb(user);
}

static void
tell_settled(struct shard_settled *settled)
{
	tell(tarn_container_of(settled, struct block_op, settled));
}

static void
account(struct block_op *op)
{
	const struct tarn_cache_block_req *user = block_user(op);
	struct shard *shard = op->shard;
	uint64_t ns = tarn_now_unordered_ns() - op->start_ns;
	uint32_t hits = 0;

	if (user->kind == TARN_CACHE_BLOCK_STORE) {
		tarn_histogram_add(&shard->store_ns, ns);
	} else if (user->kind == TARN_CACHE_BLOCK_LOOKUP) {
		for (uint32_t i = 0; i < TARN_CACHE_MAP_WORDS; i++)
			hits += (uint32_t)__builtin_popcountll(user->hit[i]);
		shard->counters.hit_bytes += (uint64_t)hits * DISK_BLOCK;
		tarn_histogram_add(hits == user->block_count ? &shard->hit_ns : &shard->miss_ns,
				   ns);
	}
}

void
block_finish(struct block_op *op, int status)
{
	struct tarn_cache_block_req *user = block_user(op);
	struct shard *shard = op->shard;

	account(op);
	user->status = status;
	shard->op_count--;
	if (tarn_unlikely(op->origin != shard->reactor))
		tarn_msg_send(op->origin, &op->msg, tell, op);
	else if (op->in_call)
		shard_settle(shard, &op->settled, tell_settled);
	else
		user->cb(user);
}

uint8_t *
block_buf_next(struct block_op *op, uint64_t *ret_contiguous)
{
	const struct tarn_cache_block_req *user = block_user(op);
	const struct iovec *iov = &user->iov[op->iov_index];
	uint8_t *buf = (uint8_t *)iov->iov_base + op->iov_offset;

	*ret_contiguous = (iov->iov_len - op->iov_offset) / DISK_BLOCK;
	op->iov_offset += DISK_BLOCK;
	if (op->iov_offset == iov->iov_len) {
		op->iov_index++;
		op->iov_offset = 0;
	}
	return buf;
}

struct index_slot *
block_slot(struct block_op *op, uint32_t n)
{
	const struct tarn_cache_block_req *user = block_user(op);
	struct shard *shard = op->shard;
	uint64_t block = user->first_block + n;
	struct index_slot *slot = index_find(&shard->index, index_block_id(user->volume_id, block));

	if (tarn_unlikely(slot != NULL && shard->bans.block_count != 0) &&
	    ban_match_block(&shard->bans, user->volume_id, block, shard_slot_position(shard, slot)))
		return NULL;
	return slot;
}

static void
arrive(struct block_op *op)
{
	struct tarn_cache_block_req *user = block_user(op);
	struct shard *shard = op->shard;

	shard->op_count++;
	op->start_ns = tarn_now_unordered_ns();
	if (tarn_unlikely(atomic_load_explicit(&shard->cache->state, memory_order_relaxed) !=
			  CACHE_RUNNING))
		block_finish(op, -ESHUTDOWN);
	else if (user->kind == TARN_CACHE_BLOCK_LOOKUP || user->kind == TARN_CACHE_BLOCK_PROBE)
		block_lookup(op);
	else if (tarn_unlikely(shard_is_blocked(shard)))
		block_wait_for_room(op);
	else
		block_write(op);
}

static void
task_run(struct shard_task *task)
{
	block_write(tarn_container_of(task, struct block_op, task));
}

void
block_wait_for_room(struct block_op *op)
{
	op->task.run = task_run;
	shard_block(op->shard, &op->task);
}

static void
arrive_msg(void *arg)
{
	arrive(arg);
}

static int
check(const struct tarn_cache_block_req *user)
{
	uint64_t last = user->first_block + user->block_count - 1;

	if (user->block_count == 0 || user->volume_id == 0 ||
	    user->volume_id >= 1u << INDEX_VOLUME_BITS ||
	    last >= UINT64_C(1) << TARN_CACHE_BLOCK_BITS || last < user->first_block ||
	    user->kind > TARN_CACHE_BLOCK_FORGET)
		return -EINVAL;
	return user->first_block / TARN_CACHE_EXTENT_BLOCKS == last / TARN_CACHE_EXTENT_BLOCKS
		   ? 0
		   : -EINVAL;
}

void
tarn_cache_block_submit(struct tarn_cache_block_req *user)
{
	struct tarn_cache *cache = user->cache;
	struct tarn_reactor *self = tarn_reactor_self();
	struct block_op *op = block_op_of(user);

	tarn_assert(self != NULL && cache->magic == CACHE_MAGIC);
	memset(user->hit, 0, sizeof(user->hit));
	memset(user->dirty, 0, sizeof(user->dirty));
	memset(user->bad, 0, sizeof(user->bad));
	op->origin = self;
	op->next = op->pending_reads = 0;
	op->started = false;
	op->outcome = 0;
	op->iov_index = 0;
	op->iov_offset = 0;
	op->own.op = NULL;
	user->status = check(user);
	if (tarn_unlikely(user->status != 0)) {
		tarn_msg_send(self, &op->msg, tell, op);
		return;
	}
	op->shard = &cache->shards[cache_block_shard(cache, user->volume_id, user->first_block)];
	op->in_call = op->shard->reactor == self;
	if (op->in_call) {
		arrive(op);
		op->in_call = false;
	} else {
		tarn_msg_send(op->shard->reactor, &op->msg, arrive_msg, op);
	}
}
