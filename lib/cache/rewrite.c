/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What recovery has read, and a failed flush may have let go of, is written again in its place.
 *
 * Where only the process died, reads are answered by the kernel's memory, also of what a flush in
 * an earlier life failed to bring to the medium; a flush now would have nothing to do for it, and
 * succeed. Written once more it is the next flush's business again. Each block is written as it
 * was: whatever of it becomes durable, and in whatever order, the log is the same.
 *
 *	read --read--> write --written--> read, or done: from the durable position to the log's end
 */
#include <errno.h>

#include "lib/cache/internal.h"
#include "lib/cache/recover.h"

#define REWRITE_BLOCKS 128 /* at a time */
#define REWRITE_TRIES 5	   /* to read them; they were readable a moment ago */

static void next(struct recovery *recovery);

static void
end(struct recovery *recovery, int status)
{
	struct rewrite *rewrite = &recovery->rewrite;

	tarn_iobuf_put(rewrite->buf);
	rewrite->buf = NULL;
	rewrite->done(recovery, status);
}

static void
written(void *arg, int status)
{
	struct recovery *recovery = arg;

	if (status != 0) {
		end(recovery, status);
		return;
	}
	recovery->rewrite.block += recovery->rewrite.count;
	next(recovery);
}

/*
 * What is not in the kernel's memory, and damaged on the medium, cannot be written again, and is no
 * less durable than it was: the rest of it is, block by block.
 */
static void
unreadable(struct recovery *recovery)
{
	struct rewrite *rewrite = &recovery->rewrite;

	if (++rewrite->tries == REWRITE_TRIES) {
		rewrite->tries = 0;
		if (rewrite->max == 1)
			rewrite->block++;
		rewrite->max = 1;
	}
	next(recovery);
}

static void
was_read(void *arg, int status)
{
	struct recovery *recovery = arg;
	struct rewrite *rewrite = &recovery->rewrite;
	struct shard *shard = recovery->shard;

	if (status != 0) {
		unreadable(recovery);
		return;
	}
	rewrite->tries = 0;
	tarn_bdev_write(shard->channel, &rewrite->io, rewrite->buf,
			(uint64_t)rewrite->count * DISK_BLOCK,
			shard_offset(shard, shard_place(shard, rewrite->sequence, rewrite->block)),
			0, written, recovery);
}

static void
next(struct recovery *recovery)
{
	struct rewrite *rewrite = &recovery->rewrite;
	struct shard *shard = recovery->shard;

	while (rewrite->sequence <= shard->head &&
	       rewrite->block >= segment_of(shard, rewrite->sequence)->end_block) {
		rewrite->sequence++;
		rewrite->block = 0;
	}
	if (rewrite->sequence > shard->head) {
		end(recovery, 0);
		return;
	}
	rewrite->count = (uint32_t)tarn_min_u64(
	    rewrite->max, segment_of(shard, rewrite->sequence)->end_block - rewrite->block);
	tarn_bdev_read(shard->channel, &rewrite->io, rewrite->buf,
		       (uint64_t)rewrite->count * DISK_BLOCK,
		       shard_offset(shard, shard_place(shard, rewrite->sequence, rewrite->block)),
		       0, was_read, recovery);
}

void
rewrite_start(struct recovery *recovery, void (*done)(struct recovery *recovery, int status))
{
	struct rewrite *rewrite = &recovery->rewrite;
	struct shard *shard = recovery->shard;
	uint64_t from = tarn_max_u64(recovery->durable, shard_position(shard, shard->tail, 0));

	rewrite->done = done;
	rewrite->max = REWRITE_BLOCKS;
	if (!shard->cache->memory_read || from >= shard->committed) {
		done(recovery, 0);
		return;
	}
	rewrite->sequence = from / shard->segment_blocks;
	rewrite->block = (uint32_t)(from % shard->segment_blocks);
	rewrite->buf = tarn_iobuf_get((size_t)REWRITE_BLOCKS * DISK_BLOCK);
	if (rewrite->buf == NULL)
		done(recovery, -ENOMEM);
	else
		next(recovery);
}
