/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the cache holds: the log is replayed into an index by recovery's own code, and then read
 * once more, to see of each entry whether the index still means it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ck.h"
#include "lib/cache/recover.h"

#define SIZE_FIRST_SHIFT 6 /* 64 bytes */

static const struct {
	uint64_t up_to_s;
	const char *name;
} ages[CK_AGE_BUCKETS] = {
	{ 60, "under 1 minute" },    { 600, "1 to 10 minutes" },     { 3600, "10 to 60 minutes" },
	{ 21600, "1 to 6 hours" },   { 86400, "6 to 24 hours" },     { 604800, "1 to 7 days" },
	{ 2592000, "7 to 30 days" }, { UINT64_MAX, "over 30 days" },
};

const char *
ck_age_name(uint32_t bucket)
{
	return ages[bucket].name;
}

uint64_t
ck_size_limit(uint32_t bucket)
{
	return UINT64_C(1) << (bucket + SIZE_FIRST_SHIFT);
}

/* --- Replay --- */

static int
index_make(struct ck *ck, struct ck_shard *shard)
{
	struct shard *replayed = shard->recovery->shard;
	int rc = index_init(&replayed->index, ck->best->bucket_count);

	if (rc == 0)
		rc = ban_list_init(&replayed->bans);
	if (rc != 0)
		return rc;
	replayed->segments = calloc(ck->best->segment_count, sizeof(*replayed->segments));
	if (replayed->segments == NULL)
		return -ENOMEM;
	for (uint32_t place = 0; place < ck->best->segment_count; place++) {
		replayed->segments[place].sequence = shard->recovery->found[place].sequence;
		replayed->segments[place].epoch = shard->recovery->found[place].epoch;
		replayed->segments[place].seed = shard->recovery->found[place].seed;
	}
	return 0;
}

static void
index_drop(struct ck_shard *shard)
{
	struct shard *replayed = shard->recovery->shard;

	index_fini(&replayed->index);
	ban_list_fini(&replayed->bans);
	free(replayed->segments);
	replayed->segments = NULL;
}

/* Call fn with the entries of each segment that is followed, in the log's order. */
static int
each_segment(struct ck *ck, uint32_t number,
	     void (*fn)(struct ck *ck, uint32_t number, const struct ck_segment *segment,
			const struct scan *entries))
{
	const struct recovery *recovery = ck->shards[number].recovery;

	for (uint32_t i = 0; i < recovery->chain_count; i++) {
		const struct ck_segment *segment =
		    ck_segment_of(ck, number, recovery->chain[i].sequence);
		struct scan scan = {
			.end_limit = segment->log_end,
			.use_trailer = true,
			.verify_from = judge_verify_from(recovery, &recovery->chain[i]),
		};
		int rc;

		if (!segment->followed)
			continue;
		rc = ck_scan(ck, number, segment, &scan);
		if (rc == 0)
			fn(ck, number, segment, &scan);
		ck_scan_fini(&scan);
		if (rc != 0)
			return rc;
	}
	return 0;
}

static void
replay(struct ck *ck, uint32_t number, const struct ck_segment *segment, const struct scan *entries)
{
	(void)segment;
	replay_segment(ck->shards[number].recovery, entries);
}

/* Bytes of a payload, in ck->buf. \return NULL: they cannot be read. */
static const void *
read_payload(struct ck *ck, uint32_t number, uint64_t sequence, uint32_t place, uint32_t length)
{
	uint64_t at = (uint64_t)place * DISK_UNIT;
	uint64_t from = at / DISK_BLOCK * DISK_BLOCK;
	uint64_t bytes = tarn_align_up(at - from + length, DISK_BLOCK);
	uint64_t offset_bytes = ck_segment_offset(ck, number, sequence % ck->best->segment_count);

	if (ck_read(ck, ck->buf, bytes, offset_bytes + from) != 0)
		return NULL;
	return ck->buf + (at - from);
}

static void
replay_bans(struct ck *ck, uint32_t number)
{
	struct recovery *recovery = ck->shards[number].recovery;

	for (uint32_t i = 0; i < recovery->ban_count; i++) {
		const struct found_ban *ban = &recovery->bans[i];

		replay_ban(recovery, ban,
			   read_payload(ck, number, ban->sequence, ban->place, ban->length));
	}
}

/* --- Taking stock --- */

static bool
is_banned(struct ck *ck, uint32_t number, const struct ck_segment *segment,
	  const struct disk_entry *entry, uint64_t position)
{
	const struct ban_list *bans = &ck->shards[number].recovery->shard->bans;
	const struct disk_record *record;

	if (entry->kind == DISK_BLOCK_ENTRY)
		return ban_hits_block(bans, entry->volume, entry->identity, position);
	if (bans->prefix_count == 0)
		return false;
	if (ban_match_key(bans, "", 0, position))
		return true; /* everything is: no need to know the key */
	record = read_payload(
	    ck, number, segment->sequence, entry->place,
	    (uint32_t)tarn_min_u64(entry->length, sizeof(*record) + TARN_CACHE_KEY_MAX));
	return record != NULL && record->key_bytes <= entry->length - sizeof(*record) &&
	       ban_match_key(bans, record + 1, record->key_bytes, position);
}

static void
count_live(struct ck *ck, const struct ck_segment *segment, const struct disk_entry *entry,
	   const struct index_slot *slot)
{
	struct ck_contents *contents = &ck->contents;
	uint64_t now_s = ck->now_s;
	uint64_t age_s = now_s > segment->time_s ? now_s - segment->time_s : 0;
	uint32_t bucket = 0;

	contents->live_bytes += entry->length;
	if (entry->kind == DISK_BLOCK_ENTRY)
		contents->block_count++;
	else
		contents->object_count++;
	if (slot->id & INDEX_SUSPECT)
		contents->suspect_count++;
	if (slot->id & INDEX_DIRTY)
		contents->dirty_count++;
	while (bucket < CK_SIZE_BUCKETS - 1 && entry->length > ck_size_limit(bucket))
		bucket++;
	contents->size[bucket]++;
	for (bucket = 0; age_s >= ages[bucket].up_to_s;)
		bucket++;
	contents->age[bucket]++;
}

static void
count_entry(struct ck *ck, uint32_t number, const struct ck_segment *segment,
	    const struct disk_entry *entry)
{
	const struct shard *shard = ck->shards[number].recovery->shard;
	struct ck_contents *contents = &ck->contents;
	bool object = entry->kind == DISK_OBJECT_ENTRY;
	uint64_t position = ck_position(ck, segment->sequence, 0) * DISK_BLOCK_UNITS + entry->place;
	uint64_t id = object ? index_object_id(entry->identity)
			     : index_block_id(entry->volume, entry->identity);
	const struct index_slot *slot;

	if (entry->kind == DISK_BAN) {
		contents->ban_count++;
		return;
	}
	if (!format_entry_has_payload(entry)) {
		contents->tombstone_count += entry->kind != DISK_CLEAN_BLOCKS;
		return;
	}
	slot = index_find(&shard->index, id);
	if (is_banned(ck, number, segment, entry, position))
		contents->banned_count++;
	else if (slot == NULL || shard_slot_position(shard, slot) != position)
		contents->dead_count++;
	else if (entry->expiry_s != 0 && entry->expiry_s <= ck->now_s)
		contents->expired_count++;
	else
		count_live(ck, segment, entry, slot);
}

static void
count_segment(struct ck *ck, uint32_t number, const struct ck_segment *segment,
	      const struct scan *entries)
{
	for (uint32_t i = 0; i < entries->entry_count; i++)
		count_entry(ck, number, segment, &entries->entries[i]);
}

static int
take_stock(struct ck *ck, uint32_t number)
{
	struct ck_shard *shard = &ck->shards[number];
	struct recovery *recovery = shard->recovery;
	uint64_t before;
	int rc = index_make(ck, shard);

	if (rc == 0)
		rc = each_segment(ck, number, replay);
	if (rc == 0 && recovery->status == 0) {
		replay_bans(ck, number);
		before = recovery->shard->index.entry_count;
		replay_finish(recovery);
		shard->plan.damage_count = recovery->damaged_count;
		shard->plan.entry_count = recovery->shard->index.entry_count;
		shard->plan.suspect_count = recovery->shard->index.suspect_count;
		if (recovery->damage != 0)
			ck->contents.dropped_count += before - recovery->shard->index.entry_count;
		rc = each_segment(ck, number, count_segment);
	}
	index_drop(shard);
	return rc != 0 ? rc : recovery->status;
}

int
ck_take_stock(struct ck *ck)
{
	ck->now_s = (uint64_t)time(NULL);
	for (uint32_t number = 0; number < ck->best->shard_count; number++) {
		int rc;

		ck->now_s = tarn_max_u64(ck->now_s, ck->shards[number].latest_s);
		rc = take_stock(ck, number);
		if (rc != 0)
			return tarn_reason_set(&ck->reason, rc, "shard %u: its entries: %s", number,
					       strerror(-rc));
	}
	return 0;
}
