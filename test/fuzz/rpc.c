/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Params by tables: the input is one JSON object, decoded by a table of every type and, where a
 * table takes it, encoded and decoded again to the same.
 */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tarn/rpc.h"
#include "tarn/util.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct item_params {
	char *key;
	int64_t weight;
};
struct inner_params {
	uint32_t depth;
	bool depth_auto;
};
struct params {
	bool flag, given;
	uint32_t u32, pow2;
	int32_t i32;
	uint64_t u64, size;
	int64_t i64;
	double ratio;
	char *text;
	int color, mode;
	struct tarn_rpc_bytes bytes;
	struct tarn_rpc_strings strings;
	struct tarn_rpc_objects items;
	struct cJSON *any;
	struct inner_params inner;
};

#define AT(member) TARN_RPC_AT(struct params, member)
static const struct tarn_rpc_name colors[] = { { "red", -1 }, { "green", 5 }, { NULL, 0 } };
static const struct tarn_rpc_field item_list[] = {
	{ "key", TARN_RPC_STRING, TARN_RPC_AT(struct item_params, key), .required = true },
	{ "weight", TARN_RPC_I64, TARN_RPC_AT(struct item_params, weight), .def = "-1" },
};
TARN_RPC_FIELDS(item_fields, struct item_params, item_list);
static const struct tarn_rpc_field inner_list[] = {
	{ "depth", TARN_RPC_U32, TARN_RPC_AT(struct inner_params, depth), .def = "32", .min = 1,
	  .max = 128, .word = "auto", .word_flag = TARN_RPC_FLAG(struct inner_params, depth_auto) },
};
TARN_RPC_FIELDS(inner_fields, struct inner_params, inner_list);
static const struct tarn_rpc_field list[] = {
	{ "flag", TARN_RPC_BOOL, AT(flag), .def = "true", .invert = true },
	{ "u32", TARN_RPC_U32, AT(u32), .given = TARN_RPC_FLAG(struct params, given) },
	{ "pow2", TARN_RPC_U32, AT(pow2), .def = "512", .min = 512, .zero = true, .pow2 = true },
	{ "i32", TARN_RPC_I32, AT(i32), .min = -5, .max = 5 },
	{ "u64", TARN_RPC_U64, AT(u64), .alias = "long" },
	{ "size", TARN_RPC_SIZE, AT(size), .def = "4096" },
	{ "i64", TARN_RPC_I64, AT(i64), .def = "0" },
	{ "ratio", TARN_RPC_DOUBLE, AT(ratio), .max = 1 },
	{ "text", TARN_RPC_STRING, AT(text), .max = 16 },
	{ "color", TARN_RPC_ENUM, AT(color), .names = colors, .def = "\"red\"" },
	{ "mode", TARN_RPC_TRISTATE, AT(mode), .def = "\"auto\"" },
	{ "bytes", TARN_RPC_BYTES, AT(bytes), .max = 64 },
	{ "strings", TARN_RPC_STRINGS, AT(strings), .max = 4 },
	{ "items", TARN_RPC_OBJECTS, AT(items), .fields = &item_fields },
	{ "any", TARN_RPC_JSON, AT(any), .alias = "every" },
	{ NULL, TARN_RPC_GROUP, AT(inner), .fields = &inner_fields },
	{ "nowait", TARN_RPC_INERT, .def = "false" },
};
TARN_RPC_FIELDS(fields, struct params, list);

static char *
encode_text(const struct params *params)
{
	struct cJSON *json = tarn_rpc_encode(&fields, params, false);
	char *text = cJSON_PrintUnformatted(json);

	tarn_assert(text != NULL);
	cJSON_Delete(json);
	return text;
}

static void
check_round_trip(struct params *params)
{
	char error[256] = "", *text = encode_text(params), *again;
	struct params second = { 0 };
	struct cJSON *json = NULL;

	/* Sizes as "99999G" may lie beyond 2^53, which plain numbers may not. */
	if (params->size <= (uint64_t)TARN_JSON_INTEGER_MAX) {
		tarn_assert(tarn_json_parse(text, strlen(text), &json, NULL) == 0);
		tarn_assert(tarn_rpc_decode_text(json, &fields, &second, error, sizeof(error)) ==
			    0);
		again = encode_text(&second);
		tarn_assert(strcmp(text, again) == 0);
		free(again);
		tarn_rpc_params_free(&fields, &second);
		cJSON_Delete(json);
	}
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct params params = { 0 };
	struct cJSON *json = NULL;
	char error[512] = "";
	int rc;

	if (tarn_json_parse((const char *)data, size, &json, NULL) != 0) {
		return 0;
	}
	rc = tarn_rpc_decode_text(json, &fields, &params, error, sizeof(error));
	tarn_assert((rc == 0) == (error[0] == '\0'));
	if (rc == 0) {
		check_round_trip(&params);
	} else {
		tarn_assert(params.text == NULL && params.items.items == NULL &&
			    params.any == NULL);
	}
	tarn_rpc_params_free(&fields, &params);
	cJSON_Delete(json);
	return 0;
}
