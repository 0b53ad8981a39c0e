/* SPDX-License-Identifier: BSD-3-Clause */
/* Methods: calls from within, states, listings, the schema, checks of declarations. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "test/unit/jsonrpc/ut_rpc.h"

struct outcome {
	uint32_t count;
	int code;
	char text[512];
};

static void
note(void *arg, const struct cJSON *result, int code, const char *message)
{
	struct outcome *outcome = arg;
	char *text = result != NULL ? cJSON_PrintUnformatted(result) : NULL;

	outcome->count++;
	outcome->code = code;
	strncpy(outcome->text, text != NULL ? text : message, sizeof(outcome->text) - 1);
	free(text);
}

static struct outcome
invoke(const char *method, const char *params)
{
	struct outcome outcome = { 0 };
	struct cJSON *json = params != NULL ? cJSON_Parse(params) : NULL;

	tarn_rpc_invoke(method, json, note, &outcome);
	cJSON_Delete(json);
	return outcome;
}

static void
test_a_call_from_within_ends_once_with_result_or_error(void)
{
	struct outcome outcome = invoke("echo", "{\"value\":[1,2]}");

	CU_ASSERT(outcome.count == 1 && outcome.code == 0);
	CU_ASSERT_STRING_EQUAL(outcome.text, "[1,2]");
	outcome = invoke("echo", NULL);
	CU_ASSERT(outcome.count == 1 && outcome.code == TARN_RPC_INVALID_PARAMS);
	CU_ASSERT_STRING_EQUAL(outcome.text, "value: missing");
	outcome = invoke("fail", NULL);
	CU_ASSERT(outcome.count == 1 && outcome.code == -EEXIST);
	outcome = invoke("absent", NULL);
	CU_ASSERT(outcome.count == 1 && outcome.code == TARN_RPC_METHOD_NOT_FOUND);
	outcome = invoke("nothing", "[]");
	CU_ASSERT(outcome.count == 1 && outcome.code == 0);
}

static void
test_methods_are_found_by_name_and_alias(void)
{
	CU_ASSERT(tarn_rpc_method_find("types") == tarn_rpc_method_find("all_types"));
	CU_ASSERT(tarn_rpc_method_find("types") != NULL);
	CU_ASSERT(tarn_rpc_method_find("Types") == NULL);
}

static bool
listed(bool current, bool aliases, const char *name)
{
	struct cJSON *list = tarn_rpc_list_methods(current, aliases), *item;
	bool found = false;

	cJSON_ArrayForEach (item, list) {
		found = found || strcmp(item->valuestring, name) == 0;
	}
	cJSON_Delete(list);
	return found;
}

static void
test_states_decide_what_may_be_called_and_is_listed(void)
{
	CU_ASSERT(invoke("early", NULL).code == TARN_RPC_INVALID_STATE);
	CU_ASSERT(!listed(true, false, "early") && listed(false, false, "early"));
	CU_ASSERT(listed(false, true, "all_types") && !listed(false, false, "all_types"));
	tarn_rpc_set_state(TARN_RPC_STARTUP);
	CU_ASSERT(invoke("early", NULL).code == 0);
	CU_ASSERT(invoke("nothing", NULL).code == TARN_RPC_INVALID_STATE);
	CU_ASSERT(invoke("echo", "{\"value\":1}").code == 0);
	CU_ASSERT(listed(true, false, "early") && !listed(true, false, "nothing"));
	tarn_rpc_set_state(TARN_RPC_RUNTIME);
}

static struct cJSON *
named(struct cJSON *array, const char *name)
{
	struct cJSON *item;

	cJSON_ArrayForEach (item, array) {
		if (strcmp(cJSON_GetObjectItem(item, "name")->valuestring, name) == 0) {
			return item;
		}
	}
	return NULL;
}

static void
test_the_schema_tells_all_that_was_declared(void)
{
	struct cJSON *schema = tarn_rpc_schema();
	struct cJSON *method = named(cJSON_GetObjectItem(schema, "methods"), "types");
	struct cJSON *params = cJSON_GetObjectItem(method, "params");
	struct cJSON *pow2 = named(params, "pow2"), *depth = named(params, "depth");

	CU_ASSERT_STRING_EQUAL(cJSON_GetObjectItem(method, "noun")->valuestring, "test");
	CU_ASSERT_STRING_EQUAL(cJSON_GetObjectItem(method, "alias")->valuestring, "all_types");
	CU_ASSERT_FATAL(pow2 != NULL && depth != NULL); /* groups are written out */
	CU_ASSERT_STRING_EQUAL(cJSON_GetObjectItem(pow2, "type")->valuestring, "u32");
	CU_ASSERT(cJSON_GetObjectItem(pow2, "default")->valueint == 4096);
	CU_ASSERT_STRING_EQUAL(cJSON_GetObjectItem(pow2, "unit")->valuestring, "bytes");
	CU_ASSERT_STRING_EQUAL(cJSON_GetObjectItem(depth, "word")->valuestring, "auto");
	CU_ASSERT(cJSON_GetArraySize(cJSON_GetObjectItem(named(params, "color"), "values")) == 2);
	CU_ASSERT(named(cJSON_GetObjectItem(named(params, "items"), "params"), "key") != NULL);
	CU_ASSERT_STRING_EQUAL(cJSON_GetObjectItem(named(params, "legacy"), "type")->valuestring,
			       "inert");
	cJSON_Delete(schema);
}

static void
test_sound_declarations_pass_their_check(void)
{
	tarn_rpc_check_methods(); /* it would abort */
	CU_ASSERT(tarn_rpc_method_next(NULL) != NULL);
}

static void
check_with(void *arg)
{
	tarn_rpc_method_register(arg);
	tarn_rpc_check_methods();
}

static void
test_broken_declarations_are_found(void)
{
	struct small {
		uint32_t number;
	};
	static const struct tarn_rpc_field wide[] = {
		{ "n", TARN_RPC_U64, TARN_RPC_AT(struct small, number), .help = "x" },
	};
	static const struct tarn_rpc_field bad_default[] = {
		{ "n", TARN_RPC_U32, TARN_RPC_AT(struct small, number), .max = 4, .def = "5",
		  .help = "x" },
	};
	static const struct tarn_rpc_field silent[] = {
		{ "n", TARN_RPC_U32, TARN_RPC_AT(struct small, number), .min = 0 },
	};
	TARN_RPC_FIELDS(wide_fields, struct small, wide);
	TARN_RPC_FIELDS(default_fields, struct small, bad_default);
	TARN_RPC_FIELDS(silent_fields, struct small, silent);
	struct tarn_rpc_method method = { .name = "zz", .fields = &wide_fields, .help = "x" };

	CU_ASSERT(ut_aborts(check_with, &method));
	method.fields = &default_fields;
	CU_ASSERT(ut_aborts(check_with, &method));
	method.fields = &silent_fields;
	CU_ASSERT(ut_aborts(check_with, &method));
	method.fields = &tarn_rpc_no_fields;
	method.example = "{\"x\":1}";
	CU_ASSERT(ut_aborts(check_with, &method));
	method.example = NULL;
	method.name = "echo"; /* there is one already */
	CU_ASSERT(ut_aborts(check_with, &method));
	method.name = "zz";
	CU_ASSERT(!ut_aborts(check_with, &method));
}

UT_SUITE(jsonrpc_methods, NULL, NULL,
	 UT_CASE(test_a_call_from_within_ends_once_with_result_or_error),
	 UT_CASE(test_methods_are_found_by_name_and_alias),
	 UT_CASE(test_states_decide_what_may_be_called_and_is_listed),
	 UT_CASE(test_the_schema_tells_all_that_was_declared),
	 UT_CASE(test_sound_declarations_pass_their_check),
	 UT_CASE(test_broken_declarations_are_found));
