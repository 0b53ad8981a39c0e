/* SPDX-License-Identifier: BSD-3-Clause */
/* The two superblocks, and which of them counts. */
#include <errno.h>
#include <string.h>

#include "ck.h"
#include "lib/cache/boot.h"

static const char *const copy_names[] = { "superblock A", "superblock B" };

static int
read_copy(struct ck *ck, int copy)
{
	int rc = ck_read(ck, ck->buf, DISK_BLOCK, (uint64_t)copy * DISK_BLOCK);

	if (rc != 0)
		return rc;
	memcpy(&ck->super[copy], ck->buf, sizeof(ck->super[copy]));
	return format_super_verify(&ck->super[copy]);
}

/* Whatever the other copy is. */
static int
refuse_newer(struct ck *ck)
{
	for (int copy = 0; copy < 2; copy++)
		if (ck->super_status[copy] == -EPROTONOSUPPORT)
			return tarn_reason_set(&ck->reason, -EPROTONOSUPPORT,
					       "%s: a cache of version %u; this program knows %u",
					       ck->opts->path, ck->super[copy].head.version,
					       DISK_VERSION);
	return 0;
}

static int
refuse(struct ck *ck)
{
	const char *path = ck->opts->path;
	bool claims = false;

	for (int copy = 0; copy < 2; copy++)
		claims |=
		    ck->super_status[copy] == -EBADMSG && format_super_claims(&ck->super[copy]);
	if (claims) {
		ck->status = CK_DAMAGE;
		return tarn_reason_set(&ck->reason, -EUCLEAN,
				       "%s: both superblocks are damaged: where the rest is cannot "
				       "be known",
				       path);
	}
	for (int copy = 0; copy < 2; copy++)
		if (ck->super_status[copy] != -EBADMSG)
			return tarn_reason_set(&ck->reason, ck->super_status[copy],
					       "%s: %s cannot be read: %s", path, copy_names[copy],
					       strerror(-ck->super_status[copy]));
	return tarn_reason_set(&ck->reason, -ENODATA, "%s: there is no cache on it", path);
}

/* Whether the machine, and a device, is in the same life as when the cache was. */
static bool
is_same_boot(const struct ck *ck)
{
	uint8_t boot_id[16];

	boot_id_get(boot_id);
	return memcmp(boot_id, ck->best->boot_id, sizeof(boot_id)) == 0 &&
	       (!ck->device.block_device || ck->best->disk_sequence == ck->device.disk_sequence);
}

int
ck_check_supers(struct ck *ck)
{
	int rc;

	for (int copy = 0; copy < 2; copy++) {
		ck->super_status[copy] = read_copy(ck, copy);
		if (ck->super_status[copy] != 0)
			continue;
		if (ck->best == NULL || ck->super[copy].sequence > ck->best->sequence)
			ck->best = &ck->super[copy];
	}
	rc = refuse_newer(ck);
	if (rc != 0)
		return rc;
	if (ck->best == NULL)
		return refuse(ck);
	for (int copy = 0; copy < 2; copy++) {
		if (ck->super_status[copy] != 0)
			ck_find(ck, "superblock", (uint64_t)copy * DISK_BLOCK,
				"%s is not whole: %s; the other one counts", copy_names[copy],
				strerror(-ck->super_status[copy]));
		else if (memcmp(ck->super[copy].uuid, ck->best->uuid, 16) != 0)
			ck_find(ck, "superblock", (uint64_t)copy * DISK_BLOCK,
				"%s is another cache's; the other one, which is newer, counts",
				copy_names[copy]);
		if (ck->opts->dump != CK_DUMP_NONE)
			ck_dump_super(ck, copy);
	}
	if (ck->device.size_bytes < ck->best->device_bytes) {
		ck->status = CK_DAMAGE;
		return tarn_reason_set(&ck->reason, -ENOSPC,
				       "%s: has shrunk: %llu bytes, of the %llu it was formatted "
				       "with; a start refuses it",
				       ck->opts->path, (unsigned long long)ck->device.size_bytes,
				       (unsigned long long)ck->best->device_bytes);
	}
	ck->seed = format_cache_seed(ck->best->uuid);
	ck->segment_blocks = ck->best->segment_bytes / DISK_BLOCK;
	ck->same_boot = is_same_boot(ck);
	return 0;
}
