/* SPDX-License-Identifier: BSD-3-Clause */
/* cache_purge, _flush, _checkpoint, _expire, _list_keys: a cache as a whole. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/cache.h"
#include "rpc/internal.h"
#include "tarn/util.h"

/* A request that a cache works on; what it was asked for, for messages. */
struct manage_call {
	struct tarn_rpc_request *req;
	const char *what;
	char name[TARN_CACHE_NAME_MAX + 1];
};

/* \return NULL: the request was answered. */
static struct manage_call *
manage_begin(struct tarn_rpc_request *req, const char *name, const char *what)
{
	struct manage_call *call = calloc(1, sizeof(*call));

	if (call == NULL) {
		tarn_rpc_reply(req, NULL);
		return NULL;
	}
	call->req = req;
	call->what = what;
	tarn_strcpy(call->name, sizeof(call->name), name);
	rpc_cache_hold();
	return call;
}

static void
manage_end(struct manage_call *call)
{
	free(call);
	rpc_cache_unhold();
}

/* What -errno means to those who asked. */
static const char *
explain(int status)
{
	switch (status) {
	case -EBUSY:
		return "one is being written already";
	case -ENOSPC:
		return "too many purges are in force; try again when the log has gone on";
	case -EIO:
		return "its device fails";
	case -ESHUTDOWN:
		return "it is being stopped";
	default:
		return strerror(-status);
	}
}

static void
manage_done(void *arg, int status)
{
	struct manage_call *call = arg;

	if (status == 0)
		tarn_rpc_reply_true(call->req);
	else
		tarn_rpc_fail(call->req, status, "cache \"%s\": %s: %s", call->name, call->what,
			      explain(status));
	manage_end(call);
}

/* --- By name alone --- */

struct manage_action {
	const char *what;
	void (*run)(struct tarn_cache *cache, tarn_cache_cb cb, void *arg);
};

static void
rpc_cache_action(struct tarn_rpc_request *req, const struct cJSON *json)
{
	const struct manage_action *action = tarn_rpc_arg(req);
	struct rpc_name_params params;
	struct manage_call *call;
	struct tarn_cache *cache;

	if (tarn_rpc_decode(req, json, &rpc_cache_name_fields, &params) != 0)
		return;
	cache = rpc_cache_need(req, params.name);
	call = cache != NULL ? manage_begin(req, params.name, action->what) : NULL;
	if (call != NULL)
		action->run(cache, manage_done, call);
	tarn_rpc_params_free(&rpc_cache_name_fields, &params);
}

static const struct manage_action flush_action = { "flush", tarn_cache_flush };
static const struct manage_action checkpoint_action = { "checkpoint", tarn_cache_checkpoint };

TARN_RPC_METHOD("cache_flush", rpc_cache_action, rpc_cache_name_fields,
		"Make everything that was acknowledged survive power loss", .result = "true",
		.example = "{\"name\": \"cache0\"}", .arg = &flush_action)
TARN_RPC_METHOD("cache_checkpoint", rpc_cache_action, rpc_cache_name_fields,
		"Write the index to the device now, for a faster start after a crash",
		.result = "true", .example = "{\"name\": \"cache0\"}", .arg = &checkpoint_action)

/* --- cache_expire --- */

static void
expire_done(void *arg, int status, uint64_t dropped_count)
{
	struct manage_call *call = arg;
	struct cJSON *result;

	if (status != 0) {
		manage_done(call, status);
		return;
	}
	result = cJSON_CreateObject();
	tarn_json_add_u64(result, "dropped", dropped_count);
	tarn_rpc_reply(call->req, result);
	manage_end(call);
}

static void
rpc_cache_expire(struct tarn_rpc_request *req, const struct cJSON *json)
{
	struct rpc_name_params params;
	struct manage_call *call;
	struct tarn_cache *cache;

	if (tarn_rpc_decode(req, json, &rpc_cache_name_fields, &params) != 0)
		return;
	cache = rpc_cache_need(req, params.name);
	call = cache != NULL ? manage_begin(req, params.name, "expire") : NULL;
	if (call != NULL)
		tarn_cache_expire(cache, expire_done, call);
	tarn_rpc_params_free(&rpc_cache_name_fields, &params);
}
TARN_RPC_METHOD("cache_expire", rpc_cache_expire, rpc_cache_name_fields,
		"Drop every object whose time is over, now",
		.details =
		    "They are misses anyway, and go when the log comes to them. Their place in "
		    "the index is free at once, their space comes back as the log goes on.",
		.result = "{dropped: how many}", .example = "{\"name\": \"cache0\"}")

/* --- cache_purge --- */

struct purge_params {
	char *name, *prefix;
	struct tarn_rpc_bytes prefix_base64;
	bool all;
};
static const struct tarn_rpc_field purge_list[] = {
	{ "name", TARN_RPC_STRING, TARN_RPC_AT(struct purge_params, name), .required = true,
	  .min = 1, .max = TARN_CACHE_NAME_MAX, .help = "Name of the cache" },
	{ "prefix", TARN_RPC_STRING, TARN_RPC_AT(struct purge_params, prefix), .min = 1,
	  .max = TARN_CACHE_KEY_MAX, .help = "What the keys begin with" },
	{ "prefix_base64", TARN_RPC_BYTES, TARN_RPC_AT(struct purge_params, prefix_base64),
	  .min = 1, .max = TARN_CACHE_KEY_MAX,
	  .help = "What the keys begin with, whatever its bytes, instead" },
	{ "all", TARN_RPC_BOOL, TARN_RPC_AT(struct purge_params, all), .def = "false",
	  .help = "Every object, instead" },
};
TARN_RPC_FIELDS(purge_fields, struct purge_params, purge_list);

static void
purge(struct tarn_rpc_request *req, struct tarn_cache *cache, const struct purge_params *params)
{
	struct manage_call *call = manage_begin(req, params->name, "purge");

	if (call == NULL)
		return;
	if (params->prefix != NULL)
		tarn_cache_purge(cache, params->prefix, (uint32_t)strlen(params->prefix),
				 manage_done, call);
	else
		tarn_cache_purge(cache, params->prefix_base64.data,
				 (uint32_t)params->prefix_base64.data_bytes, manage_done, call);
}

static void
rpc_cache_purge(struct tarn_rpc_request *req, const struct cJSON *json)
{
	struct purge_params params;
	struct tarn_cache *cache;

	if (tarn_rpc_decode(req, json, &purge_fields, &params) != 0)
		return;
	if ((params.prefix != NULL) + (params.prefix_base64.data != NULL) + params.all != 1) {
		tarn_rpc_refuse(req, "prefix: give exactly one of prefix, prefix_base64 and all");
	} else {
		cache = rpc_cache_need(req, params.name);
		if (cache != NULL)
			purge(req, cache, &params);
	}
	tarn_rpc_params_free(&purge_fields, &params);
}
TARN_RPC_METHOD("cache_purge", rpc_cache_purge, purge_fields,
		"Make every object go whose key begins so, or every object",
		.details =
		    "It takes as long for many objects as for none. Their space comes back as "
		    "the log goes on.",
		.result = "true", .example = "{\"name\": \"cache0\", \"prefix\": \"session/\"}")

/* --- cache_list_keys --- */

struct list_params {
	char *name, *cursor;
	uint32_t max_count;
};
static const struct tarn_rpc_field list_list[] = {
	{ "name", TARN_RPC_STRING, TARN_RPC_AT(struct list_params, name), .required = true,
	  .min = 1, .max = TARN_CACHE_NAME_MAX, .help = "Name of the cache" },
	{ "cursor", TARN_RPC_STRING, TARN_RPC_AT(struct list_params, cursor), .min = 1, .max = 20,
	  .def_help = "from the first on", .help = "Where the last answer ended" },
	{ "max_count", TARN_RPC_U32, TARN_RPC_AT(struct list_params, max_count), .def = "100",
	  .min = 1, .max = 1024, .help = "How many keys at the most" },
};
TARN_RPC_FIELDS(list_fields, struct list_params, list_list);

static struct cJSON *
list_json(const struct tarn_cache_key_info *infos, uint32_t info_count, uint64_t cursor)
{
	struct cJSON *object = cJSON_CreateObject();
	struct cJSON *keys = cJSON_AddArrayToObject(object, "keys");
	char text[24];

	for (uint32_t i = 0; i < info_count; i++) {
		struct cJSON *key = cJSON_CreateObject();

		rpc_cache_add_bytes(key, "key", infos[i].key, infos[i].key_bytes, false);
		tarn_json_add_u64(key, "value_bytes", infos[i].value_bytes);
		if (infos[i].expiry_s != 0)
			tarn_json_add_u64(key, "expire_at_s", infos[i].expiry_s);
		cJSON_AddItemToArray(keys, key);
	}
	if (cursor != 0) {
		snprintf(text, sizeof(text), "%" PRIu64, cursor);
		cJSON_AddStringToObject(object, "cursor", text);
	}
	return object;
}

static void
list_done(void *arg, int status, const struct tarn_cache_key_info *infos, uint32_t info_count,
	  uint64_t cursor)
{
	struct manage_call *call = arg;

	if (status != 0) {
		manage_done(call, status);
		return;
	}
	tarn_rpc_reply(call->req, list_json(infos, info_count, cursor));
	manage_end(call);
}

/* It does not fit an integer of JSON, so it is digits in a string. */
static int
cursor_parse(const char *text, uint64_t *ret_cursor)
{
	char *end;

	*ret_cursor = 0;
	if (text == NULL)
		return 0;
	errno = 0;
	*ret_cursor = strtoull(text, &end, 10);
	return text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 ? -EINVAL : 0;
}

static void
rpc_cache_list_keys(struct tarn_rpc_request *req, const struct cJSON *json)
{
	struct list_params params;
	struct manage_call *call;
	struct tarn_cache *cache;
	uint64_t cursor;

	if (tarn_rpc_decode(req, json, &list_fields, &params) != 0)
		return;
	if (cursor_parse(params.cursor, &cursor) != 0) {
		tarn_rpc_refuse(req, "cursor: \"%s\" is none that an answer gave", params.cursor);
	} else {
		cache = rpc_cache_need(req, params.name);
		call = cache != NULL ? manage_begin(req, params.name, "list keys") : NULL;
		if (call != NULL)
			tarn_cache_list_keys(cache, cursor, params.max_count, list_done, call);
	}
	tarn_rpc_params_free(&list_fields, &params);
}
TARN_RPC_METHOD("cache_list_keys", rpc_cache_list_keys, list_fields,
		"List keys, in no order, for debugging: it reads each of them from the device",
		.details =
		    "Objects that stay are listed once over all calls from the first to the one "
		    "without a cursor; objects that come or go meanwhile, perhaps. Fewer than "
		    "max_count keys, even none, with a cursor are not the end.",
		.result = "{keys: [{key | key_base64, value_bytes, expire_at_s}], cursor: to go on "
			  "with, left out at the end}",
		.example = "{\"name\": \"cache0\"}")
