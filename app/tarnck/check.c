/* SPDX-License-Identifier: BSD-3-Clause */
/* The course of a check. What cannot go on ends it; what is damaged does not. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ck.h"

static int
make_shards(struct ck *ck)
{
	ck->shards = calloc(ck->best->shard_count, sizeof(*ck->shards));
	if (ck->shards == NULL)
		goto no_memory;
	for (uint32_t shard = 0; shard < ck->best->shard_count; shard++) {
		ck->shards[shard].segments =
		    calloc(ck->best->segment_count, sizeof(struct ck_segment));
		if (ck->shards[shard].segments == NULL)
			goto no_memory;
	}
	return 0;
no_memory:
	return tarn_reason_set(&ck->reason, -ENOMEM, "no memory for %u shards of %u segments",
			       ck->best->shard_count, ck->best->segment_count);
}

/* A buffer for whatever is read at once: a segment, a chunk, a superblock. */
static int
make_buf(struct ck *ck, uint64_t bytes)
{
	free(ck->buf);
	ck->buf = aligned_alloc(DISK_BLOCK, tarn_align_up(bytes, DISK_BLOCK));
	if (ck->buf == NULL)
		return tarn_reason_set(&ck->reason, -ENOMEM, "no memory for %llu bytes",
				       (unsigned long long)bytes);
	return 0;
}

static int (*const steps[])(struct ck *ck) = {
	ck_check_checkpoints, ck_read_headers, ck_take_tables,
	ck_check_segments,    ck_make_plans,   ck_take_stock,
};

static int
run(struct ck *ck)
{
	int rc = make_buf(ck, DISK_BLOCK);

	if (rc == 0)
		rc = ck_check_supers(ck);
	if (rc == 0)
		rc = make_buf(ck, tarn_max_u64(ck->best->segment_bytes, DISK_CHUNK_BYTES));
	if (rc == 0)
		rc = make_shards(ck);
	for (size_t i = 0; i < tarn_array_count(steps) && rc == 0; i++)
		rc = steps[i](ck);
	if (rc == 0)
		ck_settle(ck);
	return rc;
}

enum ck_status
ck_check(struct ck *ck, const struct ck_opts *opts)
{
	int rc;

	ck->opts = opts;
	ck->tried_checkpoint[0] = ck->tried_checkpoint[1] = -1;
	rc = ck_device_open(ck, opts->path);
	if (rc != 0)
		return ck->status = CK_OPERATIONAL;
	rc = ck->device.size_bytes < 2 * DISK_BLOCK
		 ? tarn_reason_set(&ck->reason, -ENODATA, "%s: %llu bytes are too few for a cache",
				   opts->path, (unsigned long long)ck->device.size_bytes)
		 : run(ck);
	ck_progress_end(ck);
	ck_device_close(ck);
	if (rc != 0 && ck->status == CK_CLEAN)
		ck->status = CK_OPERATIONAL;
	return ck->status;
}

void
ck_fini(struct ck *ck)
{
	ck_tables_fini(ck);
	for (uint32_t shard = 0; ck->shards != NULL && shard < ck->best->shard_count; shard++)
		free(ck->shards[shard].segments);
	free(ck->shards);
	free(ck->findings.list);
	free(ck->buf);
}
