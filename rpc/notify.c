/* SPDX-License-Identifier: BSD-3-Clause */
/* notify_*: events for clients that poll. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>

#include "rpc/internal.h"
#include "tarn/notify.h"

static void
rpc_notify_get_types(struct tarn_rpc_request *req, const struct cJSON *json)
{
	struct cJSON *result;
	char none;

	if (tarn_rpc_decode(req, json, &tarn_rpc_no_fields, &none) != 0)
		return;
	result = cJSON_CreateArray();
	for (const struct tarn_notify_type *type = tarn_notify_type_next(NULL); type != NULL;
	     type = tarn_notify_type_next(type))
		cJSON_AddItemToArray(result, cJSON_CreateString(type->name));
	tarn_rpc_reply(req, result);
}
TARN_RPC_METHOD("notify_get_types", rpc_notify_get_types, tarn_rpc_no_fields,
		"List the kinds of events", .result = "an array of names",
		.alias = "get_notification_types", .example = "{}", .states = TARN_RPC_ALWAYS)

struct notifications_params {
	uint64_t id, max;
};
static const struct tarn_rpc_field notifications_list[] = {
	{ "id", TARN_RPC_U64, TARN_RPC_AT(struct notifications_params, id), .def = "0",
	  .help = "The first event wanted; older ones than the last 1024 are gone" },
	{ "max", TARN_RPC_U64, TARN_RPC_AT(struct notifications_params, max), .def = "1024",
	  .help = "How many at most" },
};
TARN_RPC_FIELDS(notifications_fields, struct notifications_params, notifications_list);

static void
rpc_notify_get_notifications(struct tarn_rpc_request *req, const struct cJSON *json)
{
	struct notifications_params params;
	struct tarn_notify_event *events;
	struct cJSON *result = NULL;
	uint32_t count, max;

	if (tarn_rpc_decode(req, json, &notifications_fields, &params) != 0)
		return;
	max = params.max < TARN_NOTIFY_RING_COUNT ? (uint32_t)params.max : TARN_NOTIFY_RING_COUNT;
	events = calloc((size_t)max + 1, sizeof(*events));
	if (events != NULL) {
		count = tarn_notify_get(params.id, max, events);
		result = cJSON_CreateArray();
		for (uint32_t i = 0; i < count; i++) {
			struct cJSON *event = cJSON_CreateObject();

			cJSON_AddStringToObject(event, "type", events[i].type);
			tarn_json_add_text(event, "ctx", events[i].object);
			tarn_json_add_u64(event, "id", events[i].id);
			cJSON_AddItemToArray(result, event);
		}
	}
	free(events);
	tarn_rpc_reply(req, result);
}
TARN_RPC_METHOD(
    "notify_get_notifications", rpc_notify_get_notifications, notifications_fields,
    "Read events: what happened to which object",
    .details = "Ask again with the last id plus one. Ids have no gaps, so that a first id above "
	       "the one asked for tells how many were missed.",
    .result = "an array of {type, ctx, id}, oldest first", .alias = "get_notifications",
    .example = "{\"id\": 0, \"max\": 10}", .states = TARN_RPC_ALWAYS)
