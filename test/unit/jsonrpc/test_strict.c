/* SPDX-License-Identifier: BSD-3-Clause */
/* Text that is JSON, and text that is not, with the place where it goes wrong. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tarn/json.h"
#include "tarn/util.h"
#include "test/unit/common/ut.h"

static int
parse(const char *text, size_t bytes, struct tarn_json_error *error)
{
	/* Not a byte more than the text, so that AddressSanitizer sees a scanner that reads on. */
	char *copy = malloc(bytes + 1);
	struct cJSON *json = NULL;
	int rc;

	CU_ASSERT_FATAL(copy != NULL);
	memcpy(copy + 1, text, bytes);
	rc = tarn_json_parse(copy + 1, bytes, &json, error);
	cJSON_Delete(json);
	free(copy);
	return rc;
}

static void
test_what_rfc_8259_allows_is_parsed(void)
{
	static const char *const good[] = {
		"{}",
		"[]",
		" \t\r\n1 ",
		"0",
		"-0",
		"-0.5e+10",
		"1e300",
		"true",
		"null",
		"\"\"",
		"\"\x7f\"",
		"\"\\u00e9\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
		"\"\\ud83d\\ude00\"",
		"\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"",
		"{\"a\":{\"a\":1},\"b\":{\"a\":2}}",
		"[{\"a\":1},{\"a\":1}]",
		"{\"\":1,\"\\t\":2,\"a\":3,\"A\":4,\"ab\":5}",
		"[1,2.5,\"x\",null,false,{\"k\":[]}]",
	};

	for (size_t i = 0; i < tarn_array_count(good); i++) {
		CU_ASSERT(parse(good[i], strlen(good[i]), NULL) == 0);
	}
}

static void
test_what_rfc_8259_forbids_is_refused(void)
{
	static const char *const bad[] = {
		"",	    " ",	 "{",	      "}",	     "[",
		"]",	    "[1",	 "[1,",	      "[1,]",	     "[,1]",
		"[1 2]",    "{\"a\"}",	 "{\"a\":}",  "{\"a\":1,}",  "{,}",
		"{a:1}",    "{'a':1}",	 "{1:2}",     "[1}",	     "{\"a\":1]",
		"1 2",	    "{} {}",	 "[]x",	      "01",	     "-01",
		"00",	    "-",	 "+1",	      ".5",	     "1.",
		"1.e5",	    "1e",	 "1e+",	      "0x10",	     "NaN",
		"Infinity", "-Infinity", "1e400",     "-1e400",	     "tru",
		"True",	    "nul",	 "nulll",     "\"",	     "\"a",
		"\"\\",	    "\"\\x\"",	 "\"\\u12\"", "\"\\u12g4\"", "\"a\nb\"",
		"\"a\tb\"", "'a'",	 "// c\n1",   "/* c */ 1",   "\xef\xbb\xbf{}",
		"[1,\v2]",  "\"\x01\"",	 "\"\x1f\"",
	};

	for (size_t i = 0; i < tarn_array_count(bad); i++) {
		CU_ASSERT(parse(bad[i], strlen(bad[i]), NULL) == -EINVAL);
	}
}

static void
test_invalid_utf8_is_refused(void)
{
	static const char *const bad[] = {
		"\"\x80\"",
		"\"\xff\"",
		"\"\xfe\"",
		"\"\xc3\"",
		"\"\xc3(\"",
		"\"\xc0\xaf\"",
		"\"\xc1\xbf\"",
		"\"\xe0\x80\xaf\"",
		"\"\xe0\x9f\xbf\"",
		"\"\xed\xa0\x80\"",
		"\"\xed\xbf\xbf\"",
		"\"\xe2\x82\"",
		"\"\xf0\x80\x80\xaf\"",
		"\"\xf4\x90\x80\x80\"",
		"\"\xf5\x80\x80\x80\"",
		"\"\xf0\x9f\x98\"",
	};

	for (size_t i = 0; i < tarn_array_count(bad); i++) {
		CU_ASSERT(parse(bad[i], strlen(bad[i]), NULL) == -EINVAL);
		CU_ASSERT(!tarn_utf8_valid(bad[i] + 1, strlen(bad[i]) - 2));
	}
	CU_ASSERT(tarn_utf8_valid("\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf", 10));
	CU_ASSERT(!tarn_utf8_valid("a\0b", 3));
}

static void
test_nul_and_lone_surrogates_in_strings_are_refused(void)
{
	static const char *const bad[] = {
		"\"\\u0000\"",	      "{\"\\u0000\":1}", "\"\\ud800\"",	   "\"\\udc00\"",
		"\"\\ud800\\ud800\"", "\"\\ud800x\"",	 "\"\\ud800\\n\"", "\"\\udbff\\u0041\"",
	};

	for (size_t i = 0; i < tarn_array_count(bad); i++) {
		CU_ASSERT(parse(bad[i], strlen(bad[i]), NULL) == -EINVAL);
	}
	CU_ASSERT(parse("\"a\0b\"", 5, NULL) == -EINVAL);
	CU_ASSERT(parse("{}\0", 3, NULL) == -EINVAL);
}

static void
test_duplicate_names_are_refused_however_they_are_spelled(void)
{
	static const char *const bad[] = {
		"{\"a\":1,\"a\":1}",
		"{\"a\":1,\"b\":2,\"a\":3}",
		"{\"a\":1,\"\\u0061\":2}",
		"{\"\xc3\xa9\":1,\"\\u00e9\":2}",
		"{\"\xe2\x82\xac\":1,\"\\u20AC\":2}",
		"{\"\xf0\x9f\x98\x80\":1,\"\\ud83d\\ude00\":2}",
		"{\"\\/\":1,\"/\":2}",
		"{\"\":1,\"\":2}",
		"[{\"x\":{\"a\":1,\"a\":2}}]",
		"{\"\\n\":1,\"\\u000a\":1}",
	};

	for (size_t i = 0; i < tarn_array_count(bad); i++) {
		struct tarn_json_error error;

		CU_ASSERT(parse(bad[i], strlen(bad[i]), &error) == -EINVAL);
		CU_ASSERT(strstr(error.text, "duplicate") != NULL);
	}
}

static void
test_many_names_are_compared_without_taking_for_ever(void)
{
	size_t room = 4u << 20, used = 1;
	char *text = malloc(room);

	CU_ASSERT_FATAL(text != NULL);
	text[0] = '{';
	for (int i = 0; i < 100000; i++) {
		used +=
		    (size_t)snprintf(text + used, room - used, "\"name%d\":1,", i * 7919 % 100003);
	}
	memcpy(text + used - 1, "}", 2);
	CU_ASSERT(parse(text, used, NULL) == 0);
	free(text);
}

static void
test_nesting_is_allowed_to_its_limit_only(void)
{
	char text[2 * (TARN_JSON_DEPTH_MAX + 1)];
	size_t max = TARN_JSON_DEPTH_MAX;

	memset(text, '[', max + 1);
	memset(text + max + 1, ']', max + 1);
	CU_ASSERT(parse(text + 1, 2 * max, NULL) == 0);
	CU_ASSERT(parse(text, 2 * (max + 1), NULL) == -EINVAL);
}

static void
test_errors_say_line_and_column(void)
{
	static const struct {
		const char *text;
		uint32_t line, column;
	} places[] = {
		{ "{\n  \"a\": 1,\n  \"a\": 2\n}", 3, 3 },
		{ "[1,\n 01]", 2, 2 },
		{ "x", 1, 1 },
		{ "{\"a\":\n\n\n", 4, 1 },
		{ "\"\xc3\xa9\xff\"", 1, 4 },
		{ "[1] 2", 1, 5 },
	};

	for (size_t i = 0; i < tarn_array_count(places); i++) {
		struct tarn_json_error error;

		CU_ASSERT(parse(places[i].text, strlen(places[i].text), &error) == -EINVAL);
		CU_ASSERT(error.line == places[i].line);
		CU_ASSERT(error.column == places[i].column);
		CU_ASSERT(error.text[0] != '\0');
	}
}

static const char sample[] =
    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"x\",\"params\":{\"a\":[1,-2.5e3,true,"
    "null],\"\xc3\xa9\\u00e8\\ud83d\\ude00\":{}}}";

static void
test_a_text_cut_anywhere_is_refused(void)
{
	CU_ASSERT(parse(sample, strlen(sample), NULL) == 0);
	for (size_t bytes = 0; bytes < strlen(sample); bytes++) {
		CU_ASSERT(parse(sample, bytes, NULL) == -EINVAL);
	}
}

static void
test_what_passes_the_scanner_is_never_refused_by_the_parser(void)
{
	char text[sizeof(sample)];

	/* -ENOMEM would be the answer if cJSON refused what the scanner let through. */
	for (size_t at = 0; at < strlen(sample); at++) {
		for (int byte = 0; byte < 256; byte++) {
			int rc;

			memcpy(text, sample, sizeof(sample));
			text[at] = (char)byte;
			rc = parse(text, strlen(sample), NULL);
			CU_ASSERT(rc == 0 || rc == -EINVAL);
		}
	}
}

static void
test_integers_of_64_bits_print_as_plain_digits(void)
{
	struct cJSON *json = cJSON_CreateObject();
	char *text;

	CU_ASSERT(tarn_json_add_u64(json, "u", UINT64_MAX) == 0);
	CU_ASSERT(tarn_json_add_i64(json, "i", INT64_MIN) == 0);
	cJSON_AddNumberToObject(json, "d", 1.024e15);
	cJSON_AddNumberToObject(json, "f", 0.5);
	cJSON_AddNumberToObject(json, "n", -3e9);
	text = tarn_json_print(json, false);
	CU_ASSERT_STRING_EQUAL(text, "{\"u\":18446744073709551615,\"i\":-9223372036854775808,"
				     "\"d\":1024000000000000,\"f\":0.5,\"n\":-3000000000}");
	free(text);
	cJSON_Delete(json);
}

static void
test_formatted_json_is_two_blanks_deep_with_short_lists_on_a_line(void)
{
	static const char plain[] =
	    "{\"a\":[1,\"x\",true],\"b\":[{\"c\":{}},[[]]],\"\\n\":null,\"e\":[]}";
	static const char formatted[] =
	    "{\n  \"a\": [1, \"x\", true],\n  \"b\": [\n    {\n      \"c\": {}\n    },\n"
	    "    [\n      []\n    ]\n  ],\n  \"\\n\": null,\n  \"e\": []\n}";
	struct cJSON *json = cJSON_Parse(plain);
	char *text = tarn_json_print(json, true);

	CU_ASSERT_STRING_EQUAL(text, formatted);
	free(text);
	cJSON_Delete(json);
}

static void
test_text_from_elsewhere_becomes_valid_utf8(void)
{
	struct cJSON *json = cJSON_CreateObject();

	CU_ASSERT(tarn_json_add_text(json, "t", "a\xff\xc3\xa9\xc3") == 0);
	CU_ASSERT_STRING_EQUAL(cJSON_GetObjectItem(json, "t")->valuestring,
			       "a\xef\xbf\xbd\xc3\xa9\xef\xbf\xbd");
	cJSON_Delete(json);
}

static void
test_base64_is_that_of_rfc_4648(void)
{
	static const char *const pairs[][2] = {
		{ "", "" },
		{ "f", "Zg==" },
		{ "fo", "Zm8=" },
		{ "foo", "Zm9v" },
		{ "foob", "Zm9vYg==" },
		{ "fooba", "Zm9vYmE=" },
		{ "foobar", "Zm9vYmFy" },
		{ "\xff\xfe\xfd", "//79" },
	};

	for (size_t i = 0; i < tarn_array_count(pairs); i++) {
		size_t bytes = strlen(pairs[i][0]), got_bytes = 99;
		char *text = tarn_base64_encode(pairs[i][0], bytes);
		void *data = NULL;

		CU_ASSERT_STRING_EQUAL(text, pairs[i][1]);
		CU_ASSERT_FATAL(tarn_base64_decode(text, &data, &got_bytes) == 0);
		CU_ASSERT(got_bytes == bytes && memcmp(data, pairs[i][0], bytes) == 0);
		free(text);
		free(data);
	}
}

static void
test_base64_that_is_not_canonical_is_refused(void)
{
	static const char *const bad[] = { "Z",	    "Zg",	"Zg=",	"Zg===", "=",
					   "====",  "Z===",	"Zh==", "Zm9=",	 "Zm9v\n",
					   "Zm 9v", "Zg==Zg==", "-_-_", "Zm9v=" };

	for (size_t i = 0; i < tarn_array_count(bad); i++) {
		size_t bytes;
		void *data;

		CU_ASSERT(tarn_base64_decode(bad[i], &data, &bytes) == -EINVAL);
	}
}

static void
test_framer_finds_ends_whatever_the_pieces(void)
{
	static const char stream[] = " {\"a\":\"}\\\"]\"}[1,[2]]\n{}";
	static const size_t ends[] = { 13, 20, 23 };
	struct tarn_json_framer framer = { 0 };
	size_t found = 0;

	for (size_t i = 0; i < strlen(stream); i++) {
		bool done;

		CU_ASSERT(tarn_json_frame(&framer, stream + i, 1, &done) == 1);
		if (done) {
			CU_ASSERT_FATAL(found < tarn_array_count(ends));
			CU_ASSERT(ends[found] == i + 1);
			found++;
		}
	}
	CU_ASSERT(found == tarn_array_count(ends));
}

static void
test_framer_refuses_what_cannot_become_a_text(void)
{
	static const char *const bad[] = { "1", "x", "\"a\"", "]", "}", " ,", "\xff" };

	for (size_t i = 0; i < tarn_array_count(bad); i++) {
		struct tarn_json_framer framer = { 0 };
		bool done;

		CU_ASSERT(tarn_json_frame(&framer, bad[i], strlen(bad[i]), &done) == -EINVAL);
	}
}

UT_SUITE(jsonrpc_strict, NULL, NULL, UT_CASE(test_what_rfc_8259_allows_is_parsed),
	 UT_CASE(test_what_rfc_8259_forbids_is_refused), UT_CASE(test_invalid_utf8_is_refused),
	 UT_CASE(test_nul_and_lone_surrogates_in_strings_are_refused),
	 UT_CASE(test_duplicate_names_are_refused_however_they_are_spelled),
	 UT_CASE(test_many_names_are_compared_without_taking_for_ever),
	 UT_CASE(test_nesting_is_allowed_to_its_limit_only),
	 UT_CASE(test_errors_say_line_and_column), UT_CASE(test_a_text_cut_anywhere_is_refused),
	 UT_CASE(test_what_passes_the_scanner_is_never_refused_by_the_parser),
	 UT_CASE(test_integers_of_64_bits_print_as_plain_digits),
	 UT_CASE(test_formatted_json_is_two_blanks_deep_with_short_lists_on_a_line),
	 UT_CASE(test_text_from_elsewhere_becomes_valid_utf8),
	 UT_CASE(test_base64_is_that_of_rfc_4648),
	 UT_CASE(test_base64_that_is_not_canonical_is_refused),
	 UT_CASE(test_framer_finds_ends_whatever_the_pieces),
	 UT_CASE(test_framer_refuses_what_cannot_become_a_text));
