/* SPDX-License-Identifier: BSD-3-Clause */
/* Arguments into params, by a schema as a server would send it. */
#include <cjson/cJSON.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/tarnctl/ctl.h"
#include "tarn/util.h"
#include "test/unit/common/ut.h"

static const char schema[] =
    "{\"state\":\"runtime\",\"methods\":[{\"name\":\"disk_create\",\"alias\":\"create_disk\","
    "\"params\":["
    "{\"name\":\"name\",\"type\":\"string\",\"required\":true},"
    "{\"name\":\"block_size\",\"type\":\"u32\",\"alias\":\"blocksize\"},"
    "{\"name\":\"offset\",\"type\":\"i64\"},{\"name\":\"size\",\"type\":\"size\"},"
    "{\"name\":\"depth\",\"type\":\"u32\",\"word\":\"auto\"},{\"name\":\"share\",\"type\":"
    "\"double\"},"
    "{\"name\":\"direct\",\"type\":\"bool\"},{\"name\":\"mode\",\"type\":\"enum\",\"values\":["
    "\"a\"]},"
    "{\"name\":\"tags\",\"type\":\"strings\"},{\"name\":\"parts\",\"type\":\"objects\"},"
    "{\"name\":\"extra\",\"type\":\"json\"},{\"name\":\"nowait\",\"type\":\"inert\"}]}]}";

static struct ctl ctl;
static int stderr_copy;

/* What tarnctl says of wrong arguments is not for the test's output. */
static void
setup(void)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	ctl = (struct ctl){ .path = "/nonexistent", .schema = cJSON_Parse(schema) };
	CU_ASSERT_FATAL(ctl.schema != NULL);
	fflush(stderr);
	stderr_copy = dup(STDERR_FILENO);
	dup2(null, STDERR_FILENO);
	close(null);
}

static void
teardown(void)
{
	fflush(stderr);
	dup2(stderr_copy, STDERR_FILENO);
	close(stderr_copy);
	ctl_close(&ctl);
}

/* \return the params as text for free(), or NULL when they are refused. */
static char *
params_of(const char *line)
{
	const struct cJSON *method = ctl_find_method(&ctl, "disk_create");
	int count = 0;
	char **words = ctl_words_split(line, &count);
	struct cJSON *params;
	char *text;

	CU_ASSERT_FATAL(words != NULL && method != NULL);
	params = ctl_params_of_args(&ctl, method, count, words);
	text = params != NULL ? cJSON_PrintUnformatted(params) : NULL;
	cJSON_Delete(params);
	ctl_words_free(words);
	return text;
}

static void
test_arguments_become_params_of_the_declared_types(void)
{
	static const char *const pairs[][2] = {
		{ "--name x", "{\"name\":\"x\"}" },
		{ "--name=x=y", "{\"name\":\"x=y\"}" },
		{ "--name 7", "{\"name\":\"7\"}" },
		{ "--name ''", "{\"name\":\"\"}" },
		{ "--name x --block_size 4096", "{\"name\":\"x\",\"block_size\":4096}" },
		{ "--name x --block-size 0x1000", "{\"name\":\"x\",\"block_size\":4096}" },
		{ "--name x --blocksize 4K", "{\"name\":\"x\",\"block_size\":4096}" },
		{ "--name x --offset -5", "{\"name\":\"x\",\"offset\":-5}" },
		{ "--name x --size 64MiB", "{\"name\":\"x\",\"size\":67108864}" },
		{ "--name x --size 9007199254740991",
		  "{\"name\":\"x\",\"size\":9007199254740991}" },
		{ "--name x --depth auto", "{\"name\":\"x\",\"depth\":\"auto\"}" },
		{ "--name x --depth 8", "{\"name\":\"x\",\"depth\":8}" },
		{ "--name x --share 0.5", "{\"name\":\"x\",\"share\":0.5}" },
		{ "--direct --name x", "{\"direct\":true,\"name\":\"x\"}" },
		{ "--name x --direct", "{\"name\":\"x\",\"direct\":true}" },
		{ "--direct false --name x", "{\"direct\":false,\"name\":\"x\"}" },
		{ "--no-direct --name x", "{\"direct\":false,\"name\":\"x\"}" },
		{ "--direct=off --name x", "{\"direct\":false,\"name\":\"x\"}" },
		{ "--name x --tags a --tags 1", "{\"name\":\"x\",\"tags\":[\"a\",\"1\"]}" },
		{ "--name x --tags '[\"a\",\"b\"]' --tags c",
		  "{\"name\":\"x\",\"tags\":[\"a\",\"b\",\"c\"]}" },
		{ "--name x --parts '{\"n\":1}' --parts '[{\"n\":2}]'",
		  "{\"name\":\"x\",\"parts\":[{\"n\":1},{\"n\":2}]}" },
		{ "--name x --extra '[null]'", "{\"name\":\"x\",\"extra\":[null]}" },
		{ "--name x --nowait false", "{\"name\":\"x\",\"nowait\":false}" },
		{ "--params '{\"name\":\"x\",\"depth\":3}' --direct",
		  "{\"name\":\"x\",\"depth\":3,\"direct\":true}" },
	};

	for (size_t i = 0; i < tarn_array_count(pairs); i++) {
		char *text = params_of(pairs[i][0]);

		CU_ASSERT_PTR_NOT_NULL_FATAL(text);
		CU_ASSERT_STRING_EQUAL(text, pairs[i][1]);
		free(text);
	}
}

static void
test_wrong_arguments_are_refused(void)
{
	static const char *const wrong[] = {
		"",
		"--depth 1",
		"--name",
		"name x",
		"x --name x",
		"--name x --nope 1",
		"--name x --no-name",
		"--name x --name y",
		"--name x --block_size 1 --block-size 2",
		"--name x --block_size 1.5",
		"--name x --block_size abc",
		"--name x --block_size ''",
		"--name x --block_size 4Q",
		"--name x --size 9007199254740992",
		"--name x --size 99999999999999999999",
		"--name x --size 9999P",
		"--name x --share x",
		"--name x --share nan",
		"--name x --direct=maybe",
		"--name x --extra '{'",
		"--name x --params '[]'",
		"--name x --params '{\"name\":\"y\"}'",
		"--name x --params",
		"--name \xff",
		"--",
	};

	for (size_t i = 0; i < tarn_array_count(wrong); i++) {
		char *text = params_of(wrong[i]);

		CU_ASSERT_PTR_NULL(text);
		free(text);
	}
}

static void
test_methods_are_found_by_name_alias_and_with_dashes(void)
{
	const struct cJSON *method = ctl_find_method(&ctl, "disk_create");

	CU_ASSERT_PTR_NOT_NULL(method);
	CU_ASSERT(ctl_find_method(&ctl, "create_disk") == method);
	CU_ASSERT(ctl_find_method(&ctl, "disk-create") == method);
	CU_ASSERT_PTR_NULL(ctl_find_method(&ctl, "disk"));
	CU_ASSERT_PTR_NULL(ctl_find_method(&ctl, "disk_creat_"));
}

static void
test_lines_are_split_as_a_shell_does(void)
{
	static const char line[] = "  a 'b c' \"d \\\"e\\\" 'f'\" g\\ h i'j'\"k\" '' \t\n";
	static const char *const want[] = { "a", "b c", "d \"e\" 'f'", "g h", "ijk", "" };
	int count = 0;
	char **words = ctl_words_split(line, &count);

	CU_ASSERT_FATAL(words != NULL);
	CU_ASSERT_FATAL(count == (int)tarn_array_count(want));
	for (int i = 0; i < count; i++) {
		CU_ASSERT_STRING_EQUAL(words[i], want[i]);
	}
	ctl_words_free(words);
	words = ctl_words_split(" ", &count);
	CU_ASSERT_FATAL(words != NULL);
	CU_ASSERT(count == 0);
	ctl_words_free(words);
	CU_ASSERT_PTR_NULL(ctl_words_split("a 'b", &count));
	CU_ASSERT_PTR_NULL(ctl_words_split("a \"b\\", &count));
}

UT_SUITE(tarnctl_flags, setup, teardown,
	 UT_CASE(test_arguments_become_params_of_the_declared_types),
	 UT_CASE(test_wrong_arguments_are_refused),
	 UT_CASE(test_methods_are_found_by_name_alias_and_with_dashes),
	 UT_CASE(test_lines_are_split_as_a_shell_does));
