/* SPDX-License-Identifier: BSD-3-Clause */
/* Images that are damaged, or no cache at all. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cache/checkpoint.h"
#include "test/unit/cache/impossible.h"
#include "test/unit/cache/volatile.h"
#include "test/unit/tarnck/image.h"

static const struct disk_super *
super(void)
{
	return (const struct disk_super *)(const void *)volatile_disk.data;
}

/* Whether the reason that nothing could be checked says this. */
static bool
says(const char *text)
{
	return strstr(ck.reason.text, text) != NULL;
}

static void
make(void)
{
	stage_start();
	stage_store_many(0, 200, 3000, 1, 8);
	CU_ASSERT(stage_stop() == 0);
}

static void
test_what_is_no_cache_is_not_checked(void)
{
	uint8_t *bytes = calloc(1, 1 << 20);

	CU_ASSERT(image_check_bytes(bytes, 1 << 20) == CK_OPERATIONAL && says("no cache"));
	memset(bytes, 0xa5, 1 << 20);
	CU_ASSERT(image_check_bytes(bytes, 1 << 20) == CK_OPERATIONAL && says("no cache"));
	CU_ASSERT(image_check_bytes(bytes, 4096) == CK_OPERATIONAL && says("too few"));
	free(bytes);
	ck_opts.path = "/nowhere/at/all";
	ck_fini(&ck);
	memset(&ck, 0, sizeof(ck));
	CU_ASSERT(ck_check(&ck, &ck_opts) == CK_OPERATIONAL && says("/nowhere/at/all"));
}

static void
test_one_damaged_superblock_is_damage_and_two_are_the_end(void)
{
	for (uint64_t copy = 0; copy < 2; copy++) {
		make();
		image_flip(copy * DISK_BLOCK + 700);
		CU_ASSERT(image_check() == CK_DAMAGE && ck.findings.count == 1);
		CU_ASSERT(image_finding("superblock") != NULL &&
			  image_finding("superblock")->offset_bytes == copy * DISK_BLOCK);
		CU_ASSERT(ck.contents.object_count == 200);
		image_flip((1 - copy) * DISK_BLOCK + 700);
		CU_ASSERT(image_check() == CK_DAMAGE && says("both superblocks"));
		stage.opts.force = true;
	}
}

static void
test_impossible_superblocks_are_refused_and_do_not_count_beside_a_good_one(void)
{
	struct disk_super good, bad;
	const char *name;

	make();
	good = bad = *super();
	for (uint32_t n = 0; (name = impossible_super(n, &bad)) != NULL; n++, bad = good) {
		bool refused;

		bad.sequence += 5;
		impossible_seal(&bad);
		stage_raw(TARN_IO_WRITE, &bad, DISK_BLOCK, sizeof(bad));
		refused = image_check() == CK_DAMAGE && ck.contents.object_count == 200;
		stage_raw(TARN_IO_WRITE, &bad, 0, sizeof(bad));
		refused &= image_check() == CK_DAMAGE && says("both superblocks");
		if (!refused)
			printf("# case %u, %s\n", n, name);
		CU_ASSERT_FATAL(refused);
		stage_raw(TARN_IO_WRITE, &good, 0, sizeof(good));
	}
}

static void
test_a_newer_version_and_a_shrunk_device_are_told(void)
{
	struct disk_super changed;

	make();
	changed = *super();
	CU_ASSERT(image_check_bytes(volatile_disk.data, volatile_disk.size_bytes / 2) == CK_DAMAGE);
	CU_ASSERT(says("shrunk"));
	changed.head.version = DISK_VERSION + 1;
	impossible_seal(&changed);
	/* The other copy is whole, but a start refuses it, too. */
	stage_raw(TARN_IO_WRITE, &changed, 0, sizeof(changed));
	CU_ASSERT(image_check() == CK_OPERATIONAL && says("version"));
}

/* Where in the image of make() a structure is, of segment 3 where it is one of the log's. */
static uint64_t
place_of(const char *what)
{
	int area = ck_checkpoint_of(&ck, 0);
	const struct disk_footer *footer =
	    format_trailer_footer(volatile_disk.data + image_byte(3, SEGMENT_BLOCKS - 1), 1);

	if (strcmp(what, "checkpoint header") == 0)
		return super()->checkpoint_offset[area] + 200;
	if (strcmp(what, "checkpoint chunk") == 0)
		return super()->checkpoint_offset[area] + 2 * DISK_BLOCK + 77;
	if (strcmp(what, "segment header") == 0)
		return image_byte(3, 0) + 40;
	if (strcmp(what, "record") == 0)
		return image_byte(3, 7) + 1000;
	if (strcmp(what, "footer") == 0)
		return image_byte(3, SEGMENT_BLOCKS) - sizeof(*footer) + 30;
	return image_byte(3, footer->trailer_block) + 8;
}

static void
test_each_structure_is_named_by_its_place(void)
{
	static const char *const names[] = { "checkpoint header",
					     "checkpoint chunk",
					     "segment header",
					     "record",
					     "footer",
					     "trailer" };

	make();
	for (uint32_t i = 0; i < tarn_array_count(names); i++) {
		const struct ck_finding *finding;
		uint64_t at;

		CU_ASSERT(image_check() == CK_CLEAN);
		at = place_of(names[i]);
		image_flip(at);
		CU_ASSERT(image_check() == CK_DAMAGE);
		finding = image_finding(names[i]);
		if (finding == NULL)
			printf("# %s: not named\n", names[i]);
		CU_ASSERT_FATAL(finding != NULL);
		CU_ASSERT(finding->severity == CK_DAMAGED && finding->offset_bytes <= at &&
			  at - finding->offset_bytes < DISK_CHUNK_BYTES);
		CU_ASSERT(finding->shard == CK_NO_SHARD || finding->sequence == 3);
		CU_ASSERT(ck.contents.object_count + (strcmp(names[i], "record") == 0) >= 200);
		image_flip(at);
	}
}

static void
test_a_checkpoint_that_says_other_counts_of_chunks_is_not_used(void)
{
	struct disk_checkpoint header;
	uint64_t at;

	make();
	CU_ASSERT(image_check() == CK_CLEAN);
	at = super()->checkpoint_offset[ck_checkpoint_of(&ck, 0)];
	stage_raw(TARN_IO_READ, &header, at, sizeof(header));
	header.shard[0].chunk_count[DISK_CHUNK_BANS] = 0;
	format_checkpoint_seal(&header, format_offset_seed(ck.seed, at));
	stage_raw(TARN_IO_WRITE, &header, at, sizeof(header));
	CU_ASSERT(image_check() == CK_DAMAGE && !ck.clean_start && ck_checkpoint_of(&ck, 0) == -1);
	stage_start();
	CU_ASSERT(stage_info().checkpoint_damaged && !stage_info().checkpoint_used);
	CU_ASSERT(stage_found(0, 200, 1) == 200);
}

static void
test_segments_of_another_time_are_no_cause_for_alarm(void)
{
	uint8_t *old = malloc((size_t)SEGMENT_BLOCKS * DISK_BLOCK);

	make();
	stage_raw(TARN_IO_READ, old, image_byte(2, 0), (uint64_t)SEGMENT_BLOCKS * DISK_BLOCK);
	stage.opts.force = true;
	stage.env.seed++;
	make();
	/* Another cache's segment at a place that has not been used since. */
	stage_raw(TARN_IO_WRITE, old, image_byte(60, 0), (uint64_t)SEGMENT_BLOCKS * DISK_BLOCK);
	CU_ASSERT(image_check() == CK_CLEAN && ck.contents.object_count == 200);
	free(old);
}

UT_SUITE(tarnck_damage, image_setup, image_teardown, UT_CASE(test_what_is_no_cache_is_not_checked),
	 UT_CASE(test_one_damaged_superblock_is_damage_and_two_are_the_end),
	 UT_CASE(test_impossible_superblocks_are_refused_and_do_not_count_beside_a_good_one),
	 UT_CASE(test_a_newer_version_and_a_shrunk_device_are_told),
	 UT_CASE(test_each_structure_is_named_by_its_place),
	 UT_CASE(test_a_checkpoint_that_says_other_counts_of_chunks_is_not_used),
	 UT_CASE(test_segments_of_another_time_are_no_cause_for_alarm));
