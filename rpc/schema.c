/* SPDX-License-Identifier: BSD-3-Clause */
/* tarn_get_schema: the declarations of all methods, from which clients and doc/rpc.md are built. */
#include <cjson/cJSON.h>

#include "rpc/internal.h"

static void
rpc_tarn_get_schema(struct tarn_rpc_request *req, const struct cJSON *json)
{
	char none;

	if (tarn_rpc_decode(req, json, &tarn_rpc_no_fields, &none) == 0)
		tarn_rpc_reply(req, tarn_rpc_schema());
}
TARN_RPC_METHOD("tarn_get_schema", rpc_tarn_get_schema, tarn_rpc_no_fields,
		"Describe every method: its fields, their units, ranges and defaults, its result",
		.result = "{version, state, methods: [{name, help, params: […], …}]}",
		.example = "{}", .states = TARN_RPC_ALWAYS)
