/* SPDX-License-Identifier: BSD-3-Clause */
/* Configuration as it is now, and loading one at run time. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <string.h>

#include "rpc/cache.h"
#include "rpc/internal.h"

/* In order of dependency. */
const struct rpc_subsystem rpc_subsystems[] = {
	{ .name = "bdev", .save = rpc_bdev_save },
	{ .name = "cache", .depends_on = { "bdev" }, .save = rpc_cache_save },
};
const uint32_t rpc_subsystem_count = sizeof(rpc_subsystems) / sizeof(rpc_subsystems[0]);

static const struct rpc_subsystem *
subsystem_find(const char *name)
{
	for (uint32_t i = 0; i < rpc_subsystem_count; i++) {
		if (strcmp(rpc_subsystems[i].name, name) == 0)
			return &rpc_subsystems[i];
	}
	return NULL;
}

static void
rpc_framework_get_subsystems(struct tarn_rpc_request *req, const struct cJSON *json)
{
	struct cJSON *result;
	char none;

	if (tarn_rpc_decode(req, json, &tarn_rpc_no_fields, &none) != 0)
		return;
	result = cJSON_CreateArray();
	for (uint32_t i = 0; i < rpc_subsystem_count; i++) {
		const struct rpc_subsystem *subsystem = &rpc_subsystems[i];
		struct cJSON *object = cJSON_CreateObject(), *depends;

		cJSON_AddStringToObject(object, "subsystem", subsystem->name);
		depends = cJSON_AddArrayToObject(object, "depends_on");
		for (int d = 0; d < RPC_SUBSYSTEM_DEPENDS_MAX && subsystem->depends_on[d] != NULL;
		     d++)
			cJSON_AddItemToArray(depends, cJSON_CreateString(subsystem->depends_on[d]));
		cJSON_AddItemToArray(result, object);
	}
	tarn_rpc_reply(req, result);
}
TARN_RPC_METHOD("framework_get_subsystems", rpc_framework_get_subsystems, tarn_rpc_no_fields,
		"List the subsystems of a configuration, in order of dependency",
		.result = "an array of {subsystem, depends_on}", .alias = "get_subsystems",
		.example = "{}", .states = TARN_RPC_ALWAYS)

static struct cJSON *
subsystem_config(const struct rpc_subsystem *subsystem)
{
	struct cJSON *array = cJSON_CreateArray();

	if (array == NULL || subsystem->save(array) != 0) {
		cJSON_Delete(array);
		return NULL;
	}
	return array;
}

struct get_params {
	char *name;
	bool with_batches;
};
static const struct tarn_rpc_field get_list[] = {
	{ "name", TARN_RPC_STRING, TARN_RPC_AT(struct get_params, name), .required = true, .min = 1,
	  .max = 64, .help = "A subsystem of framework_get_subsystems" },
	{ "with_batches", TARN_RPC_BOOL, TARN_RPC_AT(struct get_params, with_batches),
	  .def = "false",
	  .help = "SPDK's; there are no batches here, so that both answers are the same" },
};
TARN_RPC_FIELDS(get_fields, struct get_params, get_list);

static void
rpc_framework_get_config(struct tarn_rpc_request *req, const struct cJSON *json)
{
	const struct rpc_subsystem *subsystem;
	struct get_params params;

	if (tarn_rpc_decode(req, json, &get_fields, &params) != 0)
		return;
	subsystem = subsystem_find(params.name);
	if (subsystem != NULL)
		tarn_rpc_reply(req, subsystem_config(subsystem));
	else
		tarn_rpc_refuse(req,
				"name: subsystem \"%s\" does not exist; "
				"framework_get_subsystems lists them",
				params.name);
	tarn_rpc_params_free(&get_fields, &params);
}
TARN_RPC_METHOD("framework_get_config", rpc_framework_get_config, get_fields,
		"Give the calls that bring a subsystem back as it is now",
		.result = "an array of {method, params}", .alias = "get_subsystem_config",
		.example = "{\"name\": \"bdev\"}")

static void
rpc_save_config(struct tarn_rpc_request *req, const struct cJSON *json)
{
	struct cJSON *result, *array;
	char none;

	if (tarn_rpc_decode(req, json, &tarn_rpc_no_fields, &none) != 0)
		return;
	result = cJSON_CreateObject();
	array = cJSON_AddArrayToObject(result, "subsystems");
	for (uint32_t i = 0; i < rpc_subsystem_count; i++) {
		struct cJSON *object = cJSON_CreateObject();
		struct cJSON *config = subsystem_config(&rpc_subsystems[i]);

		cJSON_AddStringToObject(object, "subsystem", rpc_subsystems[i].name);
		cJSON_AddItemToObject(object, "config", config);
		cJSON_AddItemToArray(array, object);
		if (config == NULL) {
			cJSON_Delete(result);
			result = NULL;
			break;
		}
	}
	tarn_rpc_reply(req, result);
}
TARN_RPC_METHOD("save_config", rpc_save_config, tarn_rpc_no_fields,
		"Give the configuration that brings back the state of now",
		.details = "It is what tarnd -c and load_config take, and never holds a force.",
		.result = "{subsystems: [{subsystem, config: [{method, params}]}]}",
		.example = "{}")

struct load_params {
	struct cJSON *config;
};
static const struct tarn_rpc_field load_list[] = {
	{ "config", TARN_RPC_JSON, TARN_RPC_AT(struct load_params, config), .required = true,
	  .help = "A configuration as save_config gives" },
};
TARN_RPC_FIELDS(load_fields, struct load_params, load_list);

static void
load_done(void *arg, int status, const char *error)
{
	struct tarn_rpc_request *req = arg;

	if (status == 0)
		tarn_rpc_reply_true(req);
	else
		tarn_rpc_fail(req, status, "%s", error);
}

static void
rpc_load_config(struct tarn_rpc_request *req, const struct cJSON *json)
{
	struct load_params params;

	if (tarn_rpc_decode(req, json, &load_fields, &params) != 0)
		return;
	rpc_config_load(params.config, load_done, req);
	tarn_rpc_params_free(&load_fields, &params);
}
TARN_RPC_METHOD("load_config", rpc_load_config, load_fields,
		"Run the calls of a configuration, one after the other",
		.details = "It ends at the first that fails; what the ones before it made stays.",
		.result = "true", .example = "{\"config\": {\"subsystems\": []}}")
