/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "tarn/log.h"
#include "test/unit/common/ut.h"

TARN_LOG_FLAG(ut_one);
TARN_LOG_FLAG(ut_two);

static unsigned int line_count;
static char last_line[4096];

static void
keep(enum tarn_log_level level, const char *line)
{
	(void)level;
	line_count++;
	snprintf(last_line, sizeof(last_line), "%s", line);
}

static void
setup(void)
{
	line_count = 0;
	last_line[0] = '\0';
	tarn_log_set_sink(keep);
	tarn_log_set_level(TARN_LOG_DEBUG);
	tarn_log_set_print_level(TARN_LOG_NOTICE);
	CU_ASSERT_EQUAL(tarn_log_set_flag("all", false), 0);
}

static void
teardown(void)
{
	setup();
	tarn_log_set_sink(NULL);
}

static void
test_a_line_has_file_line_number_level_and_text(void)
{
	char where[64];

	snprintf(where, sizeof(where), "test_log.c:%d: *ERROR*: disk 7 is full", __LINE__ + 1);
	tarn_error("disk %d is %s", 7, "full");
	CU_ASSERT_EQUAL(line_count, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(last_line, where));
	CU_ASSERT_PTR_NULL(strchr(last_line, '\n'));
}

static void
test_both_levels_hold_lines_back(void)
{
	tarn_notice("printed");
	CU_ASSERT_EQUAL(line_count, 1);
	tarn_log_set_print_level(TARN_LOG_ERROR);
	tarn_warning("above the print level");
	CU_ASSERT_EQUAL(line_count, 1);
	tarn_log_set_print_level(TARN_LOG_DEBUG);
	tarn_log_set_level(TARN_LOG_ERROR);
	tarn_warning("above the level");
	CU_ASSERT_EQUAL(line_count, 1);
	tarn_error("printed");
	CU_ASSERT_EQUAL(line_count, 2);
	tarn_log_set_level(TARN_LOG_DISABLED);
	tarn_error("not even this");
	CU_ASSERT_EQUAL(line_count, 2);
}

static void
test_debug_lines_need_flag_and_level(void)
{
	tarn_log_set_print_level(TARN_LOG_DEBUG);
	tarn_debug(ut_one, "flag off");
	CU_ASSERT_EQUAL(line_count, 0);
	CU_ASSERT_EQUAL(tarn_log_set_flag("UT_one", true), 0);
	tarn_debug(ut_one, "flag on");
	tarn_debug(ut_two, "another's flag");
	CU_ASSERT_EQUAL(line_count, 1);
	tarn_log_set_print_level(TARN_LOG_NOTICE);
	tarn_debug(ut_one, "level too low");
	CU_ASSERT_EQUAL(line_count, 1);
}

static void
test_all_switches_every_flag_and_unknown_ones_are_refused(void)
{
	CU_ASSERT_EQUAL(tarn_log_set_flag("no_such_flag", true), -ENOENT);
	CU_ASSERT_EQUAL(tarn_log_set_flag("ALL", true), 0);
	for (const struct tarn_log_flag *flag = tarn_log_flag_next(NULL); flag != NULL;
	     flag = tarn_log_flag_next(flag))
		CU_ASSERT_TRUE(flag->enabled);
}

static void
test_flags_are_listed_by_name_once(void)
{
	const struct tarn_log_flag *flag = tarn_log_flag_next(NULL), *next;
	unsigned int own_count = 0;

	for (; flag != NULL; flag = next) {
		next = tarn_log_flag_next(flag);
		own_count += flag == &ut_one_log_flag || flag == &ut_two_log_flag;
		if (next != NULL)
			CU_ASSERT_TRUE(strcmp(flag->name, next->name) < 0);
	}
	CU_ASSERT_EQUAL(own_count, 2);
}

static void
test_level_names_are_read_back_in_any_case(void)
{
	static const char *const names[] = { "disabled", "Error", "WARNING",
					     "notice",	 "Info",  "DEBUG" };
	enum tarn_log_level level = TARN_LOG_INFO;

	for (int i = 0; i < 6; i++) {
		CU_ASSERT_EQUAL(tarn_log_level_parse(names[i], &level), 0);
		CU_ASSERT_EQUAL((int)level, i - 1);
		CU_ASSERT_EQUAL(strcasecmp(tarn_log_level_name(level), names[i]), 0);
	}
	CU_ASSERT_EQUAL(tarn_log_level_parse("VERBOSE", &level), -EINVAL);
	CU_ASSERT_EQUAL(level, TARN_LOG_DEBUG);
}

static void
test_a_line_that_is_too_long_ends_in_dots(void)
{
	char longer[8192];

	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	tarn_error("%s", longer);
	CU_ASSERT_EQUAL(line_count, 1);
	CU_ASSERT_TRUE(strlen(last_line) < 1100);
	CU_ASSERT_STRING_EQUAL(last_line + strlen(last_line) - 4, "x...");
}

static void
test_without_a_sink_a_line_goes_to_stderr_whole(void)
{
	int ends[2], saved = dup(STDERR_FILENO);
	char text[256] = "";
	ssize_t length;

	CU_ASSERT_EQUAL_FATAL(pipe(ends), 0);
	dup2(ends[1], STDERR_FILENO);
	tarn_log_set_sink(NULL);
	tarn_error("to stderr");
	dup2(saved, STDERR_FILENO);
	length = read(ends[0], text, sizeof(text) - 1);
	CU_ASSERT_TRUE_FATAL(length > 10);
	CU_ASSERT_STRING_EQUAL(text + length - 10, "to stderr\n");
	close(ends[0]);
	close(ends[1]);
	close(saved);
}

UT_SUITE(log, setup, teardown, UT_CASE(test_a_line_has_file_line_number_level_and_text),
	 UT_CASE(test_both_levels_hold_lines_back), UT_CASE(test_debug_lines_need_flag_and_level),
	 UT_CASE(test_all_switches_every_flag_and_unknown_ones_are_refused),
	 UT_CASE(test_flags_are_listed_by_name_once),
	 UT_CASE(test_level_names_are_read_back_in_any_case),
	 UT_CASE(test_a_line_that_is_too_long_ends_in_dots),
	 UT_CASE(test_without_a_sink_a_line_goes_to_stderr_whole));
