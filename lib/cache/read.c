/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads of the log's blocks; see read.h. */
#include "lib/cache/read.h"

#include "lib/cache/reclaim.h"

static void
read_done(void *arg, int status)
{
	struct log_read *read = arg;
	struct segment *segment = read->segment;
	struct shard *shard = read->shard;

	/* Counted until afterwards: done may go on reading in this life of the segment. */
	read->done(read, status);
	tarn_assert(segment->reader_count > 0);
	segment->reader_count--;
	if (tarn_unlikely(segment->state == SEGMENT_FREEING && segment->reader_count == 0))
		reclaim_durable(shard);
}

static void
begin(struct shard *shard, struct log_read *read, uint32_t place)
{
	read->shard = shard;
	read->segment = shard_segment_at(shard, place);
	read->segment->reader_count++;
	read->seed = read->segment->seed;
}

void
log_read(struct shard *shard, struct log_read *read, uint32_t place, void *buf,
	 uint32_t block_count)
{
	begin(shard, read, place);
	tarn_bdev_read(shard->channel, &read->io, buf, (uint64_t)block_count * DISK_BLOCK,
		       shard_offset(shard, place), 0, read_done, read);
}

void
log_readv(struct shard *shard, struct log_read *read, uint32_t place, const struct iovec *iov,
	  uint32_t iov_count)
{
	begin(shard, read, place);
	tarn_bdev_readv(shard->channel, &read->io, iov, iov_count, shard_offset(shard, place), 0,
			read_done, read);
}

void
log_read_background(struct shard *shard, struct log_read *read, uint32_t place, void *buf,
		    uint32_t block_count)
{
	begin(shard, read, place);
	tarn_bdev_read(shard->channel, &read->io, buf, (uint64_t)block_count * DISK_BLOCK,
		       shard_offset(shard, place), TARN_IO_BACKGROUND, read_done, read);
}
