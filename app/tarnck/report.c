/* SPDX-License-Identifier: BSD-3-Clause */
/* The report for people. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ck.h"

void
ck_format_uuid(const uint8_t uuid[16], char text[37])
{
	for (int i = 0, at = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			text[at++] = '-';
		snprintf(text + at, 3, "%02x", uuid[i]);
		at += 2;
	}
}

static void
format_bytes(uint64_t bytes, char text[32])
{
	static const char *const units[] = { "bytes", "KiB", "MiB", "GiB", "TiB", "PiB" };
	double value = (double)bytes;
	size_t unit = 0;

	while (value >= 1024 && unit + 1 < tarn_array_count(units)) {
		value /= 1024;
		unit++;
	}
	snprintf(text, 32, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
}

static void
format_time(uint64_t time_s, char text[32])
{
	time_t time = (time_t)time_s;
	struct tm tm;

	if (gmtime_r(&time, &tm) == NULL || strftime(text, 32, "%Y-%m-%d %H:%M:%S UTC", &tm) == 0)
		snprintf(text, 32, "%" PRIu64, time_s);
}

static double
percent(uint64_t part, uint64_t whole)
{
	return whole == 0 ? 0 : 100 * (double)part / (double)whole;
}

static void
print_geometry(const struct ck *ck)
{
	const struct disk_super *super = ck->best;
	uint64_t data_bytes =
	    (uint64_t)super->shard_count * super->segment_count * super->segment_bytes;
	char uuid[37], device[32], data[32], segment[32], time[32];

	ck_format_uuid(super->uuid, uuid);
	format_bytes(super->device_bytes, device);
	format_bytes(data_bytes, data);
	format_bytes(super->segment_bytes, segment);
	format_time(super->format_time_s, time);
	printf("cache       %s, format %" PRIu32 ", made %s\n", uuid, super->head.version, time);
	printf("device      %s (%" PRIu64 " bytes); data %s from byte %" PRIu64 "\n", device,
	       super->device_bytes, data, super->data_offset);
	printf("geometry    %" PRIu32 " shard%s of %" PRIu32 " segments of %s, index of %" PRIu64
	       " slots each\n",
	       super->shard_count, super->shard_count == 1 ? "" : "s", super->segment_count,
	       segment, (uint64_t)super->bucket_count * 4);
	printf("superblock  %c counts, number %" PRIu64 "; the other one is %s\n",
	       super == &ck->super[0] ? 'A' : 'B', super->sequence,
	       ck->super_status[super == &ck->super[0] ? 1 : 0] == 0 ? "whole" : "not whole");
	for (uint32_t i = 0; i < DISK_VOLUME_COUNT; i++) {
		if (super->volume[i].id == 0)
			continue;
		ck_format_uuid(super->volume[i].uuid, uuid);
		printf("volume      %s is number %" PRIu32 ", generation %" PRIu64 "\n", uuid,
		       super->volume[i].id, super->volume[i].generation);
	}
}

static void
print_stop(const struct ck *ck)
{
	if (ck->best->flags & DISK_SUPER_CLEAN)
		printf("stopped     cleanly, with checkpoint %" PRIu64 "\n",
		       ck->best->checkpoint_sequence);
	else if (ck->same_boot)
		puts("stopped     not: its process died; the machine has not been started since");
	else
		puts("stopped     not: the machine went down, or this is another one");
	for (int area = 0; area < 2; area++) {
		const struct ck_checkpoint *checkpoint = &ck->checkpoint[area];

		printf("checkpoint  %c: ", 'A' + area);
		if (!checkpoint->there) {
			puts("none");
			continue;
		}
		printf("number %" PRIu64 ", %s%s\n", checkpoint->header.sequence,
		       checkpoint->whole ? "whole" : "not whole",
		       checkpoint->header.flags & DISK_CHECKPOINT_CLEAN ? ", of a clean stop" : "");
	}
}

static void
print_plan(const struct ck *ck, uint32_t shard)
{
	const struct ck_plan *plan = &ck->shards[shard].plan;

	printf("  shard %" PRIu32 ":  ", shard);
	if (plan->followed_count == 0) {
		printf("the log is empty: %s\n", plan->why);
		return;
	}
	printf("reads from position %" PRIu64 " (segment %" PRIu64 "); follows %" PRIu32
	       " segments, %" PRIu64 " to %" PRIu64 ";\n            flushed up to position %" PRIu64
	       "; ends at position %" PRIu64 " (segment %" PRIu64 ", block %" PRIu32
	       "):\n            %s\n",
	       plan->start, plan->start / ck->segment_blocks, plan->followed_count, plan->tail,
	       plan->head, plan->durable, ck_position(ck, plan->head, plan->end_block), plan->head,
	       plan->end_block, plan->why);
	if (plan->damage_count != 0)
		printf(
		    "            %" PRIu64 " hole%s in what was flushed, the last before position "
		    "%" PRIu64 ": what is\n            older is dropped where it is clean, and "
		    "suspect where it is dirty\n",
		    plan->damage_count, plan->damage_count == 1 ? "" : "s", plan->damage_position);
}

static void
print_plans(const struct ck *ck)
{
	bool a = ck_checkpoint_used(ck, 0), b = ck_checkpoint_used(ck, 1);

	if (ck->clean_start)
		printf("start       would read checkpoint %c; without it:\n", a ? 'A' : 'B');
	else if (a || b)
		printf("recovery    would begin with checkpoint%s, and then\n",
		       a && b ? "s A and B, as shards are whole in them"
		       : a    ? " A"
			      : " B");
	else
		puts("recovery    would read all segments, without a checkpoint");
	for (uint32_t shard = 0; shard < ck->best->shard_count; shard++)
		print_plan(ck, shard);
}

static void
print_contents(const struct ck *ck)
{
	const struct ck_contents *contents = &ck->contents;
	uint64_t live = contents->block_count + contents->object_count;
	uint64_t data_bytes =
	    (uint64_t)ck->best->shard_count * ck->best->segment_count * ck->best->segment_bytes;
	char bytes[32], read[32];

	format_bytes(contents->live_bytes, bytes);
	format_bytes(ck->read_bytes, read);
	printf("checked     %" PRIu64 " segments, %" PRIu64 " batches, %" PRIu64
	       " entries; %s read\n",
	       ck->checked_segment_count, ck->batch_count, ck->entry_count, read);
	printf("live        %" PRIu64 " entries, %s, %.1f %% of the data area: %" PRIu64
	       " blocks, %" PRIu64 " objects\n",
	       live, bytes, percent(contents->live_bytes, data_bytes), contents->block_count,
	       contents->object_count);
	printf("dirty       %" PRIu64 " blocks, %.1f %% of the live entries\n",
	       contents->dirty_count, percent(contents->dirty_count, live));
	if (contents->suspect_count != 0 || contents->dropped_count != 0)
		printf("at risk     %" PRIu64 " dirty blocks suspect, %" PRIu64
		       " clean entries dropped\n",
		       contents->suspect_count, contents->dropped_count);
	printf("not live    %" PRIu64 " superseded, %" PRIu64 " expired, %" PRIu64
	       " banned; %" PRIu64 " tombstones, %" PRIu64 " bans\n",
	       contents->dead_count, contents->expired_count, contents->banned_count,
	       contents->tombstone_count, contents->ban_count);
	if (live == 0)
		return;
	puts("sizes       of live entries, with key and head:");
	for (uint32_t i = 0; i < CK_SIZE_BUCKETS; i++) {
		if (contents->size[i] == 0)
			continue;
		format_bytes(ck_size_limit(i), bytes);
		printf("            up to %-10s %10" PRIu64 "  %5.1f %%\n", bytes,
		       contents->size[i], percent(contents->size[i], live));
	}
	puts("ages        of live entries, since their segment was opened:");
	for (uint32_t i = 0; i < CK_AGE_BUCKETS; i++) {
		if (contents->age[i] != 0)
			printf("            %-16s %10" PRIu64 "  %5.1f %%\n", ck_age_name(i),
			       contents->age[i], percent(contents->age[i], live));
	}
}

static void
print_findings(const struct ck *ck)
{
	for (uint32_t i = 0; i < ck->findings.count; i++) {
		const struct ck_finding *finding = &ck->findings.list[i];

		printf("%-7s     %s at byte %" PRIu64 ": %s\n", ck_severity_name(finding->severity),
		       finding->what, finding->offset_bytes, finding->text);
	}
	if (ck->findings.dropped != 0)
		printf("            and %" PRIu64 " more\n", ck->findings.dropped);
}

void
ck_report_text(const struct ck *ck)
{
	print_geometry(ck);
	print_stop(ck);
	print_plans(ck);
	print_contents(ck);
	print_findings(ck);
	printf("result      %s\n", ck_status_text(ck->status));
}
