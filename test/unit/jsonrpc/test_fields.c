/* SPDX-License-Identifier: BSD-3-Clause */
/* Params by tables: every type, every refusal with the field's name, and back. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tarn/util.h"
#include "test/unit/jsonrpc/ut_rpc.h"

static int
decode(const char *text, struct types_params *params, char error[512])
{
	struct cJSON *json = NULL;
	int rc;

	CU_ASSERT_FATAL(tarn_json_parse(text, strlen(text), &json, NULL) == 0);
	rc = tarn_rpc_decode_text(json, ut_types_fields, params, error, 512);
	cJSON_Delete(json);
	return rc;
}

static void
test_absent_fields_get_their_defaults(void)
{
	struct types_params params = { .u32 = 77, .i32 = 5 };
	char error[512];

	CU_ASSERT_FATAL(decode("{}", &params, error) == 0);
	CU_ASSERT(params.u32 == 77); /* without a default: what the caller put there */
	CU_ASSERT(!params.depth_given);
	CU_ASSERT(params.i32 == -1);
	CU_ASSERT(params.pow2 == 4096);
	CU_ASSERT(!params.buffered);
	CU_ASSERT(params.mode == 2);
	CU_ASSERT(params.ratio == 0.5);
	CU_ASSERT(params.inner.depth == 32 && !params.inner.depth_auto);
	CU_ASSERT(params.text == NULL && params.any == NULL && params.bytes.data == NULL);
	tarn_rpc_params_free(ut_types_fields, &params);
}

static void
test_every_type_is_decoded(void)
{
	static const char text[] =
	    "{\"flag\":true,\"direct\":false,\"u32\":4294967295,\"power\":65536,\"i32\":-"
	    "2147483648,"
	    "\"u64\":9007199254740991,\"size\":\"64MiB\",\"i64\":-9007199254740991,\"ratio\":0.25,"
	    "\"text\":\"hi\","
	    "\"color\":\"green\",\"mode\":true,\"bytes\":\"AAH/\",\"strings\":[\"a\",\"\"],"
	    "\"items\":[{\"key\":\"k\"},{\"key\":\"l\",\"weight\":9}],\"any\":{\"x\":[1]},"
	    "\"depth\":\"auto\","
	    "\"nowait\":false,\"force\":true}";
	struct types_params params = { 0 };
	struct item_params *items;
	char error[512];

	CU_ASSERT_FATAL(decode(text, &params, error) == 0);
	items = params.items.items;
	CU_ASSERT(params.flag && params.buffered && params.force && params.depth_given);
	CU_ASSERT(params.u32 == UINT32_MAX && params.pow2 == 65536 && params.i32 == INT32_MIN);
	CU_ASSERT(params.u64 == 9007199254740991 && params.i64 == -9007199254740991);
	CU_ASSERT(params.size == 64u << 20);
	CU_ASSERT(params.ratio == 0.25);
	CU_ASSERT_STRING_EQUAL(params.text, "hi");
	CU_ASSERT(params.color == GREEN && params.mode == 1);
	CU_ASSERT(params.bytes.data_bytes == 3 && memcmp(params.bytes.data, "\0\1\xff", 3) == 0);
	CU_ASSERT(params.strings.count == 2 && strcmp(params.strings.items[0], "a") == 0);
	CU_ASSERT(params.items.count == 2 && items[0].weight == 1 && items[1].weight == 9);
	CU_ASSERT(cJSON_GetObjectItem(params.any, "x") != NULL);
	CU_ASSERT(params.inner.depth_auto);
	tarn_rpc_params_free(ut_types_fields, &params);
	tarn_rpc_params_free(ut_types_fields, &params); /* twice does no harm */
	CU_ASSERT(params.text == NULL && params.items.count == 0);
}

static void
test_wrong_fields_are_refused_by_name(void)
{
	static const struct {
		const char *text, *starts;
	} wrong[] = {
		{ "{\"nope\":1}", "nope: unknown field; known are flag, direct" },
		{ "{\"Flag\":true}", "Flag: unknown" },
		{ "{\"flag\":1}", "flag: must be true or false" },
		{ "{\"flag\":null}", "flag: must be true or false" },
		{ "{\"u32\":\"1\"}", "u32: must be an integer" },
		{ "{\"u32\":true}", "u32: must be an integer" },
		{ "{\"u32\":[1]}", "u32: must be an integer" },
		{ "{\"u32\":-1}", "u32: -1 is not in the range 0 to 4294967295" },
		{ "{\"u32\":4294967296}", "u32: 4294967296 is not in the range" },
		{ "{\"u32\":1.5}", "u32: 1.5 is not an integer" },
		{ "{\"i32\":2147483648}",
		  "i32: 2147483648 is not in the range -2147483648 to 2147483647" },
		{ "{\"i32\":-2147483649}", "i32: -2147483649 is not" },
		{ "{\"u64\":9007199254740993}", "u64: 9007199254740992 is beyond 2^53" },
		{ "{\"u64\":1e300}", "u64: " },
		{ "{\"u64\":-1}", "u64: -1 is not in the range" },
		{ "{\"i64\":-9007199254740993}", "i64: -9007199254740992 is beyond 2^53" },
		{ "{\"pow2\":5000}", "pow2: 5000 is not a power of two" },
		{ "{\"pow2\":256}", "pow2: 256 is not in the range 512 to 65536 bytes, nor 0" },
		{ "{\"pow2\":512,\"power\":512}", "pow2: given twice, also as \"power\"" },
		{ "{\"size\":\"64MB\"}", "size: must be a number of bytes, or a string" },
		{ "{\"size\":\"-1\"}", "size: must be" },
		{ "{\"size\":\"\"}", "size: must be" },
		{ "{\"size\":\"99999999P\"}", "size: must be" },
		{ "{\"size\":0.5}", "size: 0.5 is not an integer" },
		{ "{\"ratio\":1.5}", "ratio: 1.5 is not in the range 0 to 1" },
		{ "{\"ratio\":\"x\"}", "ratio: must be a number" },
		{ "{\"text\":\"\"}", "text: must not be empty" },
		{ "{\"text\":\"123456789\"}", "text: 9 bytes; it must have 1 to 8" },
		{ "{\"text\":5}", "text: must be a string" },
		{ "{\"color\":\"blue\"}", "color: \"blue\" is none of red, green" },
		{ "{\"color\":5}", "color: must be one of the strings red, green" },
		{ "{\"mode\":\"maybe\"}", "mode: must be \"off\", \"on\", \"auto\"" },
		{ "{\"mode\":1}", "mode: must be" },
		{ "{\"bytes\":\"A\"}", "bytes: is not valid base64" },
		{ "{\"bytes\":1}", "bytes: must be a string of base64" },
		{ "{\"strings\":\"a\"}", "strings: must be an array of strings" },
		{ "{\"strings\":[\"a\",2]}", "strings[1]: must be a string" },
		{ "{\"strings\":[\"a\",\"b\",\"c\",\"d\"]}",
		  "strings: 4 elements; it must have 0 to 3" },
		{ "{\"items\":{}}", "items: must be an array of objects" },
		{ "{\"items\":[{\"key\":\"a\"},{}]}", "items[1]: key: missing" },
		{ "{\"items\":[7]}", "items[0]: must be an object" },
		{ "{\"items\":[{\"key\":\"a\",\"x\":1}]}",
		  "items[0]: x: unknown field; known are key, weight" },
		{ "{\"depth\":0}", "depth: 0 is not in the range 1 to 128" },
		{ "{\"depth\":\"most\"}", "depth: must be an integer or \"auto\"" },
		{ "{\"nowait\":true}", "nowait: not supported here; leave it out or give false" },
		{ "{\"legacy\":0}", "legacy: not supported here; leave it out" },
		{ "[1]", "must be an object with named fields" },
	};

	for (size_t i = 0; i < tarn_array_count(wrong); i++) {
		struct types_params params = { 0 };
		char error[512] = "";

		CU_ASSERT(decode(wrong[i].text, &params, error) == -EINVAL);
		CU_ASSERT_NSTRING_EQUAL(error, wrong[i].starts, strlen(wrong[i].starts));
		CU_ASSERT(params.text == NULL && params.items.items == NULL);
	}
}

static void
test_a_failed_decode_leaves_nothing_allocated(void)
{
	struct types_params params = { 0 };
	char error[512];

	/* LeakSanitizer watches; the fields before the wrong one were decoded. */
	CU_ASSERT(decode("{\"text\":\"a\",\"strings\":[\"a\"],\"items\":[{\"key\":\"k\"}],\"any\":["
			 "],\"depth\":0}",
			 &params, error) == -EINVAL);
	CU_ASSERT(params.text == NULL && params.strings.items == NULL && params.any == NULL);
	tarn_rpc_params_free(ut_types_fields, &params);
}

static void
test_integers_may_be_written_in_any_form_that_is_exact(void)
{
	struct types_params params = { 0 };
	char error[512];

	CU_ASSERT(decode("{\"u32\":1e3,\"u64\":4096.0,\"size\":\"2K\"}", &params, error) == 0);
	CU_ASSERT(params.u32 == 1000 && params.u64 == 4096 && params.size == 2048);
	tarn_rpc_params_free(ut_types_fields, &params);
}

static void
test_encoded_params_decode_to_the_same(void)
{
	static const char text[] =
	    "{\"flag\":true,\"direct\":false,\"u32\":7,\"pow2\":0,\"i32\":-8,\"u64\":"
	    "9007199254740991,"
	    "\"size\":4096,\"i64\":-5,\"ratio\":0.75,\"text\":\"hi\",\"color\":\"green\",\"mode\":"
	    "\"off\","
	    "\"bytes\":\"AAH/\",\"strings\":[\"a\",\"b\"],\"items\":[{\"key\":\"k\",\"weight\":2}],"
	    "\"any\":{\"x\":[1]},\"depth\":64}";
	struct types_params params = { 0 };
	struct cJSON *json;
	char error[512], *encoded;

	CU_ASSERT_FATAL(decode(text, &params, error) == 0);
	params.force = true; /* is never written */
	json = tarn_rpc_encode(ut_types_fields, &params, true);
	encoded = tarn_json_print(json, false);
	CU_ASSERT_STRING_EQUAL(encoded, text);
	free(encoded);
	tarn_rpc_params_free(ut_types_fields, &params);
	/* Without a detour through text too. */
	CU_ASSERT(tarn_rpc_decode_text(json, ut_types_fields, &params, error, sizeof(error)) == 0);
	CU_ASSERT(params.u64 == 9007199254740991 && params.i64 == -5);
	cJSON_Delete(json);
	tarn_rpc_params_free(ut_types_fields, &params);
}

static void
test_defaults_are_left_out_when_asked(void)
{
	struct types_params params = { 0 };
	struct cJSON *json;
	char error[512];

	CU_ASSERT_FATAL(decode("{}", &params, error) == 0);
	json = tarn_rpc_encode(ut_types_fields, &params, true);
	CU_ASSERT(cJSON_GetObjectItem(json, "pow2") == NULL);
	CU_ASSERT(cJSON_GetObjectItem(json, "direct") == NULL);
	CU_ASSERT(cJSON_GetObjectItem(json, "depth") == NULL);
	cJSON_Delete(json);
	json = tarn_rpc_encode(ut_types_fields, &params, false);
	CU_ASSERT(cJSON_GetObjectItem(json, "pow2") != NULL);
	CU_ASSERT(cJSON_GetObjectItem(json, "force") == NULL);
	params.inner.depth_auto = true;
	cJSON_Delete(json);
	json = tarn_rpc_encode(ut_types_fields, &params, true);
	CU_ASSERT_STRING_EQUAL(cJSON_GetObjectItem(json, "depth")->valuestring, "auto");
	cJSON_Delete(json);
	tarn_rpc_params_free(ut_types_fields, &params);
}

UT_SUITE(jsonrpc_fields, NULL, NULL, UT_CASE(test_absent_fields_get_their_defaults),
	 UT_CASE(test_every_type_is_decoded), UT_CASE(test_wrong_fields_are_refused_by_name),
	 UT_CASE(test_a_failed_decode_leaves_nothing_allocated),
	 UT_CASE(test_integers_may_be_written_in_any_form_that_is_exact),
	 UT_CASE(test_encoded_params_decode_to_the_same),
	 UT_CASE(test_defaults_are_left_out_when_asked));
