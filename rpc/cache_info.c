/* SPDX-License-Identifier: BSD-3-Clause */
/* cache_get_caches: what there is, and how it started. */
#include <cjson/cJSON.h>
#include <stdio.h>

#include "rpc/cache.h"
#include "rpc/internal.h"
#include "tarn/cache_stats.h"

void
rpc_uuid_format(const uint8_t uuid[16], char text[RPC_UUID_BYTES])
{
	char *out = text;

	for (int i = 0; i < 16; i++)
		out += snprintf(out, 4, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
				uuid[i]);
}

static void
add_start(struct cJSON *object, const struct tarn_cache_info *info)
{
	struct cJSON *start = cJSON_AddObjectToObject(object, "start");

	cJSON_AddStringToObject(start, "kind",
				info->formatted	    ? "formatted"
				: info->clean_start ? "clean"
						    : "recovered");
	cJSON_AddBoolToObject(start, "same_boot", info->same_boot);
	cJSON_AddBoolToObject(start, "checkpoint_used", info->checkpoint_used);
	cJSON_AddBoolToObject(start, "checkpoint_damaged", info->checkpoint_damaged);
	tarn_json_add_u64(start, "recovery_us", info->recovery_us);
	tarn_json_add_u64(start, "recovered_entries", info->recovered_entries);
	tarn_json_add_u64(start, "suspect_entries", info->suspect_entries);
	tarn_json_add_u64(start, "damaged_segments", info->damaged_segments);
}

static void
add_options(struct cJSON *object, const struct tarn_cache *cache)
{
	struct cJSON *options = cJSON_AddObjectToObject(object, "options");
	struct tarn_cache_settings settings;

	tarn_cache_get_settings(cache, &settings);
	tarn_json_add_i64(options, "default_ttl_s", settings.default_ttl_s);
	tarn_json_add_u64(options, "max_object_bytes", settings.max_object_bytes);
	tarn_json_add_u64(options, "checkpoint_interval_s", settings.checkpoint_interval_s);
}

static struct cJSON *
cache_json(const struct tarn_cache *cache)
{
	struct cJSON *object = cJSON_CreateObject();
	struct tarn_cache_info info;
	char uuid[RPC_UUID_BYTES];

	tarn_cache_get_info(cache, &info);
	rpc_uuid_format(info.uuid, uuid);
	tarn_json_add_text(object, "name", info.name);
	tarn_json_add_text(object, "bdev_name", info.bdev_name);
	cJSON_AddStringToObject(object, "state", info.failed ? "failed" : "running");
	tarn_json_add_u64(object, "data_bytes", info.data_bytes);
	tarn_json_add_u64(object, "device_bytes", info.device_bytes);
	tarn_json_add_u64(object, "shard_count", info.shard_count);
	tarn_json_add_u64(object, "segment_bytes", info.segment_bytes);
	tarn_json_add_u64(object, "segment_count", info.segment_count);
	tarn_json_add_u64(object, "index_slot_count", info.index_slot_count);
	tarn_json_add_u64(object, "index_bytes", info.index_bytes);
	tarn_json_add_u64(object, "format_time_s", info.format_time_s);
	cJSON_AddStringToObject(object, "uuid", uuid);
	add_options(object, cache);
	add_start(object, &info);
	return object;
}

struct get_params {
	char *name;
};
static const struct tarn_rpc_field get_list[] = {
	{ "name", TARN_RPC_STRING, TARN_RPC_AT(struct get_params, name), .min = 1,
	  .max = TARN_CACHE_NAME_MAX, .def_help = "all", .help = "Name of the one wanted" },
};
TARN_RPC_FIELDS(get_fields, struct get_params, get_list);

static void
reply_all(struct tarn_rpc_request *req)
{
	struct cJSON *array = cJSON_CreateArray();

	for (struct tarn_cache *cache = tarn_cache_next(NULL); cache != NULL;
	     cache = tarn_cache_next(cache))
		cJSON_AddItemToArray(array, cache_json(cache));
	tarn_rpc_reply(req, array);
}

static void
rpc_cache_get_caches(struct tarn_rpc_request *req, const struct cJSON *json)
{
	struct get_params params;
	struct tarn_cache *cache;
	struct cJSON *array;

	if (tarn_rpc_decode(req, json, &get_fields, &params) != 0)
		return;
	if (params.name == NULL) {
		reply_all(req);
	} else {
		cache = rpc_cache_need(req, params.name);
		if (cache != NULL) {
			array = cJSON_CreateArray();
			cJSON_AddItemToArray(array, cache_json(cache));
			tarn_rpc_reply(req, array);
		}
	}
	tarn_rpc_params_free(&get_fields, &params);
}
TARN_RPC_METHOD(
    "cache_get_caches", rpc_cache_get_caches, get_fields, "Describe all caches, or one",
    .details = "state is running, or failed: its log cannot be written, stores are refused, "
	       "lookups go on. start says how it was opened: checkpoint_damaged means that one was "
	       "there and all segments were read instead, suspect_entries are dirty ones that may "
	       "be older than what was lost.",
    .result = "an array of objects", .example = "{}")
