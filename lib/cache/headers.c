/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Finding out about the segments of a shard. Each is asked for its header; where there is something
 * else, or nothing that can be read, the footer stands in, and a batch right behind the header:
 *
 *	header --whole, blank, or another cache's--> done
 *	   |--otherwise--> footer --> first batch --> done
 *
 * A footer or batch may be of an earlier life of the segment; so may a header.
 */
#include <errno.h>
#include <string.h>

#include "lib/cache/recover.h"

static void feed(struct recovery *recovery);

static void
read_block(struct header_read *read, uint32_t block, tarn_io_cb done)
{
	struct shard *shard = read->recovery->shard;

	read->read.channel = shard->channel;
	read->read.buf = read->block;
	read->read.length_bytes = DISK_BLOCK;
	read->read.offset_bytes = shard_offset(shard, read->number * shard->segment_blocks + block);
	sure_read(&read->read, done, read);
}

static void
done(struct header_read *read)
{
	struct recovery *recovery = read->recovery;

	read->number = UINT32_MAX;
	recovery->header_pending--;
	feed(recovery);
}

/* Whether a segment of that sequence may lie there. */
static bool
belongs(const struct header_read *read, uint64_t sequence, uint32_t number)
{
	const struct shard *shard = read->recovery->shard;

	return sequence != 0 && number == shard->number &&
	       shard_segment_number(shard, sequence) == read->number;
}

static void
take(struct header_read *read, struct found_segment found)
{
	found.seed = format_segment_seed(read->recovery->shard->cache->seed, found.epoch);
	judge_found(read->recovery, read->number, &found);
}

/* --- What stands in --- */

static void
batch_read(void *arg, int status)
{
	struct header_read *read = arg;
	const struct disk_batch *batch = read->block;
	uint32_t seed = format_segment_seed(read->recovery->shard->cache->seed, batch->epoch);

	if (status == 0 && format_batch_verify(batch, seed, batch->sequence, 1) == 0 &&
	    belongs(read, batch->sequence, batch->shard))
		take(read, judge_of_batch(batch));
	read->recovery->found[read->number].unreadable = read->read_error && status != 0;
	done(read);
}

static void
footer_read(void *arg, int status)
{
	struct header_read *read = arg;
	const struct shard *shard = read->recovery->shard;
	const struct disk_footer *footer = format_trailer_footer(read->block, 1);
	uint32_t seed = format_segment_seed(shard->cache->seed, footer->epoch);

	if (status == 0 &&
	    format_footer_verify(footer, seed, footer->sequence, shard->segment_blocks) == 0 &&
	    belongs(read, footer->sequence, footer->shard))
		take(read, judge_of_footer(footer));
	read_block(read, 1, batch_read);
}

/* --- Headers --- */

static bool
is_blank(const void *block)
{
	const uint8_t *bytes = block;

	return bytes[0] == 0 && memcmp(bytes, bytes + 1, DISK_BLOCK - 1) == 0;
}

static void
header_read(void *arg, int status)
{
	struct header_read *read = arg;
	const struct shard *shard = read->recovery->shard;
	const struct tarn_cache *cache = shard->cache;
	const struct disk_segment *disk = read->block;
	uint64_t offset = read->read.offset_bytes;
	bool ours, whole;

	read->read_error = status != 0;
	if (status != 0) {
		read_block(read, shard->segment_blocks - 1, footer_read);
		return;
	}
	ours = memcmp(disk->uuid, cache->super->uuid, sizeof(disk->uuid)) == 0;
	whole = format_segment_verify(
		    disk, format_offset_seed(format_cache_seed(disk->uuid), offset)) == 0;
	if (whole && ours && belongs(read, disk->sequence, disk->shard))
		take(read, judge_of_header(disk));
	if (whole || is_blank(disk))
		done(read);
	else
		read_block(read, shard->segment_blocks - 1, footer_read);
}

static void
feed(struct recovery *recovery)
{
	for (uint32_t i = 0; i < RECOVER_HEADERS; i++) {
		struct header_read *read = &recovery->reads[i];

		if (read->number != UINT32_MAX ||
		    recovery->next_header == recovery->shard->segment_count)
			continue;
		read->number = recovery->next_header++;
		recovery->header_pending++;
		read_block(read, 0, header_read);
	}
	if (recovery->header_pending == 0)
		recover_found(recovery, 0);
}

void
headers_fini(struct recovery *recovery)
{
	for (uint32_t i = 0; i < RECOVER_HEADERS; i++)
		tarn_iobuf_put(recovery->reads[i].block);
}

void
headers_read(struct recovery *recovery)
{
	for (uint32_t i = 0; i < RECOVER_HEADERS; i++) {
		recovery->reads[i].recovery = recovery;
		recovery->reads[i].number = UINT32_MAX;
		recovery->reads[i].block = tarn_iobuf_get(DISK_BLOCK);
		if (recovery->reads[i].block == NULL) {
			recover_found(recovery, -ENOMEM);
			return;
		}
	}
	feed(recovery);
}
