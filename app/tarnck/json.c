/* SPDX-License-Identifier: BSD-3-Clause */
/* The report for programs. Counts are plain digits, positions are blocks of log. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "ck.h"

static void
add_u64(cJSON *object, const char *name, uint64_t value)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%" PRIu64, value);
	cJSON_AddRawToObject(object, name, digits);
}

static void
add_geometry(const struct ck *ck, cJSON *root)
{
	const struct disk_super *super = ck->best;
	cJSON *object = cJSON_AddObjectToObject(root, "cache");
	char uuid[37];

	ck_format_uuid(super->uuid, uuid);
	cJSON_AddStringToObject(object, "uuid", uuid);
	add_u64(object, "version", super->head.version);
	add_u64(object, "device_bytes", super->device_bytes);
	add_u64(object, "data_offset_bytes", super->data_offset);
	add_u64(object, "segment_bytes", super->segment_bytes);
	add_u64(object, "segment_count", super->segment_count);
	add_u64(object, "shard_count", super->shard_count);
	add_u64(object, "bucket_count", super->bucket_count);
	add_u64(object, "format_time_s", super->format_time_s);
	cJSON_AddBoolToObject(object, "clean_stop", (super->flags & DISK_SUPER_CLEAN) != 0);
	cJSON_AddBoolToObject(object, "same_boot", ck->same_boot);
}

static void
add_copies(const struct ck *ck, cJSON *root)
{
	cJSON *supers = cJSON_AddArrayToObject(root, "superblocks");
	cJSON *checkpoints = cJSON_AddArrayToObject(root, "checkpoints");

	for (int i = 0; i < 2; i++) {
		const struct ck_checkpoint *checkpoint = &ck->checkpoint[i];
		cJSON *super = cJSON_CreateObject(), *object = cJSON_CreateObject();

		cJSON_AddItemToArray(supers, super);
		cJSON_AddBoolToObject(super, "whole", ck->super_status[i] == 0);
		if (ck->super_status[i] == 0)
			add_u64(super, "sequence", ck->super[i].sequence);
		cJSON_AddBoolToObject(super, "used", ck->best == &ck->super[i]);
		cJSON_AddItemToArray(checkpoints, object);
		cJSON_AddBoolToObject(object, "there", checkpoint->there);
		cJSON_AddBoolToObject(object, "whole", checkpoint->whole);
		cJSON_AddBoolToObject(object, "used", ck_checkpoint_used(ck, i));
		if (!checkpoint->there)
			continue;
		add_u64(object, "sequence", checkpoint->header.sequence);
		add_u64(object, "chunks", checkpoint->chunk_count);
		add_u64(object, "damaged_chunks", checkpoint->bad_chunk_count);
	}
}

static void
add_plans(const struct ck *ck, cJSON *root)
{
	cJSON *array = cJSON_AddArrayToObject(root, "shards");

	for (uint32_t shard = 0; shard < ck->best->shard_count; shard++) {
		const struct ck_plan *plan = &ck->shards[shard].plan;
		cJSON *object = cJSON_CreateObject();

		cJSON_AddItemToArray(array, object);
		add_u64(object, "tail_segment", plan->tail);
		add_u64(object, "head_segment", plan->head);
		add_u64(object, "start_position", plan->start);
		add_u64(object, "durable_position", plan->durable);
		add_u64(object, "end_block", plan->end_block);
		add_u64(object, "end_position", ck_position(ck, plan->head, plan->end_block));
		cJSON_AddStringToObject(object, "ends_because", plan->why);
		add_u64(object, "segments_followed", plan->followed_count);
		add_u64(object, "holes_in_flushed", plan->damage_count);
		add_u64(object, "entries_found", plan->entry_count);
		add_u64(object, "entries_suspect", plan->suspect_count);
	}
}

static void
add_buckets(cJSON *root, const char *name, const uint64_t *counts, uint32_t count,
	    void (*label)(cJSON *object, uint32_t bucket))
{
	cJSON *array = cJSON_AddArrayToObject(root, name);

	for (uint32_t i = 0; i < count; i++) {
		cJSON *object;

		if (counts[i] == 0)
			continue;
		object = cJSON_CreateObject();
		cJSON_AddItemToArray(array, object);
		label(object, i);
		add_u64(object, "entries", counts[i]);
	}
}

static void
label_size(cJSON *object, uint32_t bucket)
{
	add_u64(object, "up_to_bytes", ck_size_limit(bucket));
}

static void
label_age(cJSON *object, uint32_t bucket)
{
	cJSON_AddStringToObject(object, "age", ck_age_name(bucket));
}

static void
add_contents(const struct ck *ck, cJSON *root)
{
	const struct ck_contents *contents = &ck->contents;
	cJSON *object = cJSON_AddObjectToObject(root, "contents");

	add_u64(object, "blocks", contents->block_count);
	add_u64(object, "objects", contents->object_count);
	add_u64(object, "live_bytes", contents->live_bytes);
	add_u64(object, "dirty_blocks", contents->dirty_count);
	add_u64(object, "suspect_blocks", contents->suspect_count);
	add_u64(object, "dropped_entries", contents->dropped_count);
	add_u64(object, "superseded", contents->dead_count);
	add_u64(object, "expired", contents->expired_count);
	add_u64(object, "banned", contents->banned_count);
	add_u64(object, "tombstones", contents->tombstone_count);
	add_u64(object, "bans", contents->ban_count);
	add_buckets(object, "sizes", contents->size, CK_SIZE_BUCKETS, label_size);
	add_buckets(object, "ages", contents->age, CK_AGE_BUCKETS, label_age);
}

static void
add_findings(const struct ck *ck, cJSON *root)
{
	cJSON *array = cJSON_AddArrayToObject(root, "findings");

	for (uint32_t i = 0; i < ck->findings.count; i++) {
		const struct ck_finding *finding = &ck->findings.list[i];
		cJSON *object = cJSON_CreateObject();

		cJSON_AddItemToArray(array, object);
		cJSON_AddStringToObject(object, "severity", ck_severity_name(finding->severity));
		cJSON_AddStringToObject(object, "what", finding->what);
		add_u64(object, "offset_bytes", finding->offset_bytes);
		if (finding->shard != CK_NO_SHARD) {
			add_u64(object, "shard", finding->shard);
			add_u64(object, "segment", finding->sequence);
			add_u64(object, "block", finding->block);
		}
		cJSON_AddStringToObject(object, "text", finding->text);
	}
	add_u64(root, "findings_not_listed", ck->findings.dropped);
}

int
ck_report_json(const struct ck *ck)
{
	cJSON *root = cJSON_CreateObject(), *checked;
	char *text;

	cJSON_AddNumberToObject(root, "status", ck->status);
	cJSON_AddStringToObject(root, "result", ck_status_text(ck->status));
	if (ck->reason.text[0] != '\0') {
		cJSON_AddStringToObject(root, "reason", ck->reason.text);
	} else {
		add_geometry(ck, root);
		add_copies(ck, root);
		add_plans(ck, root);
		checked = cJSON_AddObjectToObject(root, "checked");
		add_u64(checked, "segments", ck->checked_segment_count);
		add_u64(checked, "batches", ck->batch_count);
		add_u64(checked, "entries", ck->entry_count);
		add_u64(checked, "bytes_read", ck->read_bytes);
		add_contents(ck, root);
	}
	add_findings(ck, root);
	text = cJSON_Print(root);
	cJSON_Delete(root);
	if (text == NULL)
		return -ENOMEM;
	puts(text);
	cJSON_free(text);
	return 0;
}
