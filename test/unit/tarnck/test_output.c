/* SPDX-License-Identifier: BSD-3-Clause */
/* The command line, the dump, and the report in words and as JSON. */
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "test/unit/tarnck/image.h"

#define ARGS_MAX 6

static struct ck_opts parsed;
static const char *args[ARGS_MAX];
static int status;

static void
parse_args(void)
{
	int count = 0;

	while (count < ARGS_MAX && args[count] != NULL)
		count++;
	status = ck_opts_parse(count, (char **)(uintptr_t)args, &parsed);
}

/* \return what it came to; what it prints is not looked at. */
static int
parse(const char *a, const char *b, const char *c)
{
	args[0] = "tarnck";
	args[1] = a;
	args[2] = a != NULL ? b : NULL;
	args[3] = b != NULL ? c : NULL;
	free(image_printed(parse_args));
	return status;
}

static void
test_options_are_read_and_what_contradicts_is_refused(void)
{
	CU_ASSERT(parse("disk", NULL, NULL) == -1);
	CU_ASSERT(strcmp(parsed.path, "disk") == 0 && parsed.dump == CK_DUMP_NONE &&
		  parsed.shard == CK_ANY && parsed.segment == CK_ANY && !parsed.json);
	CU_ASSERT(parse("--dump", "--segment=9", "disk") == -1);
	CU_ASSERT(parsed.dump == CK_DUMP_HEADERS && parsed.segment == 9);
	CU_ASSERT(parse("--dump=entries", "--shard=1", "disk") == -1);
	CU_ASSERT(parsed.dump == CK_DUMP_ENTRIES && parsed.shard == 1);
	CU_ASSERT(parse("--json", "disk", NULL) == -1 && parsed.json);
	CU_ASSERT(parse(NULL, NULL, NULL) == CK_USAGE);
	CU_ASSERT(parse("one", "two", NULL) == CK_USAGE);
	CU_ASSERT(parse("--dump=nothing", "disk", NULL) == CK_USAGE);
	CU_ASSERT(parse("--shard=x", "--dump", "disk") == CK_USAGE);
	CU_ASSERT(parse("--shard=-1", "--dump", "disk") == CK_USAGE);
	CU_ASSERT(parse("--shard=1", "disk", NULL) == CK_USAGE);
	CU_ASSERT(parse("--json", "--dump", "disk") == CK_USAGE);
	CU_ASSERT(parse("--unknown", "disk", NULL) == CK_USAGE);
	CU_ASSERT(parse("--help", NULL, NULL) == 0 && parse("--version", NULL, NULL) == 0);
}

static void
check_fn(void)
{
	image_check();
}

static uint32_t
count(const char *text, const char *word)
{
	uint32_t found = 0;

	for (; (text = strstr(text, word)) != NULL; text++)
		found++;
	return found;
}

static char *
dumped(enum ck_dump dump, uint64_t segment)
{
	ck_opts.dump = dump;
	ck_opts.segment = segment;
	return image_printed(check_fn);
}

static void
test_the_dump_has_each_structure_once_and_no_more_than_was_asked_for(void)
{
	char *text;

	stage_start();
	stage_store_many(0, 100, 3000, 1, 8);
	CU_ASSERT(stage_block(TARN_CACHE_BLOCK_STORE, TARN_CACHE_BLOCK_DIRTY, 5, 3, 1) == 0);
	CU_ASSERT(stage_purge("q") == 0);
	CU_ASSERT(stage_stop() == 0);
	text = dumped(CK_DUMP_HEADERS, CK_ANY);
	CU_ASSERT(count(text, "superblock A") == 1 && count(text, "superblock B") == 1);
	CU_ASSERT(count(text, "checkpoint A offset") == 1 && count(text, "\nbatch ") == 0);
	CU_ASSERT(count(text, "\nsegment shard 0 sequence") == ck.checked_segment_count);
	free(text);
	text = dumped(CK_DUMP_BATCHES, CK_ANY);
	CU_ASSERT(count(text, "\nbatch ") == ck.batch_count && count(text, "\nentry ") == 0);
	free(text);
	text = dumped(CK_DUMP_ENTRIES, CK_ANY);
	CU_ASSERT(count(text, "\nentry ") == ck.entry_count);
	CU_ASSERT(count(text, " object flags") == 100 && count(text, " block flags 0x1") == 3 &&
		  count(text, " ban flags") == ck.contents.ban_count);
	free(text);
	text = dumped(CK_DUMP_ENTRIES, 2);
	CU_ASSERT(count(text, "\nsegment shard 0 sequence 2 ") == 1 &&
		  count(text, "\nsegment ") == 1 && count(text, "shard 0 sequence 3 ") == 0);
	free(text);
}

static void
report_text(void)
{
	ck_report_text(&ck);
}

static void
report_json(void)
{
	CU_ASSERT(ck_report_json(&ck) == 0);
}

static void
test_the_report_says_the_same_in_words_and_as_json(void)
{
	cJSON *json;
	char *text;

	stage_start();
	stage_store_many(0, 100, 3000, 1, 8);
	CU_ASSERT(stage_flush() == 0);
	stage_crash();
	CU_ASSERT(image_check() == CK_RECOVERY);
	text = image_printed(report_text);
	CU_ASSERT(strstr(text, "recovery    would read all segments, without a checkpoint") !=
		  NULL);
	CU_ASSERT(strstr(text, "100 objects") != NULL);
	CU_ASSERT(strstr(text, ck_status_text(CK_RECOVERY)) != NULL);
	free(text);
	text = image_printed(report_json);
	json = cJSON_Parse(text);
	CU_ASSERT_FATAL(json != NULL);
	CU_ASSERT(cJSON_GetNumberValue(cJSON_GetObjectItem(json, "status")) == CK_RECOVERY);
	CU_ASSERT(cJSON_GetArraySize(cJSON_GetObjectItem(json, "shards")) == 1);
	CU_ASSERT(cJSON_GetNumberValue(cJSON_GetObjectItem(cJSON_GetObjectItem(json, "contents"),
							   "objects")) == 100);
	CU_ASSERT(cJSON_GetArraySize(cJSON_GetObjectItem(json, "findings")) ==
		  (int)ck.findings.count);
	cJSON_Delete(json);
	free(text);
}

UT_SUITE(tarnck_output, image_setup, image_teardown,
	 UT_CASE(test_options_are_read_and_what_contradicts_is_refused),
	 UT_CASE(test_the_dump_has_each_structure_once_and_no_more_than_was_asked_for),
	 UT_CASE(test_the_report_says_the_same_in_words_and_as_json));
