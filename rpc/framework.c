/* SPDX-License-Identifier: BSD-3-Clause */
/* rpc_get_methods, spdk_*, framework_start_init and framework_wait_init: the daemon itself. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "rpc/internal.h"
#include "tarn/version.h"

struct methods_params {
	bool current, include_aliases;
};
static const struct tarn_rpc_field methods_list[] = {
	{ "current", TARN_RPC_BOOL, TARN_RPC_AT(struct methods_params, current), .def = "false",
	  .help = "Only those that may be called now" },
	{ "include_aliases", TARN_RPC_BOOL, TARN_RPC_AT(struct methods_params, include_aliases),
	  .def = "false", .help = "Older names too" },
};
TARN_RPC_FIELDS(methods_fields, struct methods_params, methods_list);

static void
rpc_rpc_get_methods(struct tarn_rpc_request *req, const struct cJSON *json)
{
	struct methods_params params;

	if (tarn_rpc_decode(req, json, &methods_fields, &params) == 0)
		tarn_rpc_reply(req, tarn_rpc_list_methods(params.current, params.include_aliases));
}
TARN_RPC_METHOD("rpc_get_methods", rpc_rpc_get_methods, methods_fields, "List the methods",
		.result = "an array of names", .alias = "get_rpc_methods",
		.example = "{\"current\": true}", .states = TARN_RPC_ALWAYS)

static void
rpc_spdk_get_version(struct tarn_rpc_request *req, const struct cJSON *json)
{
	struct cJSON *result, *fields;
	char none;

	if (tarn_rpc_decode(req, json, &tarn_rpc_no_fields, &none) != 0)
		return;
	result = cJSON_CreateObject();
	cJSON_AddStringToObject(result, "version", "tarn v" TARN_VERSION);
	fields = cJSON_AddObjectToObject(result, "fields");
	tarn_json_add_u64(fields, "major", TARN_VERSION_MAJOR);
	tarn_json_add_u64(fields, "minor", TARN_VERSION_MINOR);
	tarn_json_add_u64(fields, "patch", TARN_VERSION_PATCH);
	cJSON_AddStringToObject(fields, "suffix", "");
	tarn_rpc_reply(req, result);
}
TARN_RPC_METHOD("spdk_get_version", rpc_spdk_get_version, tarn_rpc_no_fields,
		"Tell the version of this daemon, under the name that SPDK's clients ask for",
		.result = "{version, fields: {major, minor, patch, suffix}}",
		.alias = "get_spdk_version", .example = "{}", .states = TARN_RPC_ALWAYS)

static const struct tarn_rpc_name signal_names[] = {
	{ "SIGINT", SIGINT }, { "SIGTERM", SIGTERM }, { "SIGQUIT", SIGQUIT },
	{ "SIGHUP", SIGHUP }, { "SIGKILL", SIGKILL }, { NULL, 0 },
};
struct kill_params {
	int sig_name;
};
static const struct tarn_rpc_field kill_list[] = {
	{ "sig_name", TARN_RPC_ENUM, TARN_RPC_AT(struct kill_params, sig_name), .required = true,
	  .names = signal_names, .help = "Signal; SIGINT and SIGTERM end it in order" },
};
TARN_RPC_FIELDS(kill_fields, struct kill_params, kill_list);

static void
rpc_spdk_kill_instance(struct tarn_rpc_request *req, const struct cJSON *json)
{
	struct kill_params params;

	if (tarn_rpc_decode(req, json, &kill_fields, &params) != 0)
		return;
	tarn_rpc_reply_true(req);
	kill(getpid(), params.sig_name);
}
TARN_RPC_METHOD("spdk_kill_instance", rpc_spdk_kill_instance, kill_fields,
		"Send this daemon a signal", .result = "true", .alias = "kill_instance",
		.example = "{\"sig_name\": \"SIGTERM\"}", .states = TARN_RPC_ALWAYS)

static void
rpc_framework_start_init(struct tarn_rpc_request *req, const struct cJSON *json)
{
	char none;

	if (tarn_rpc_decode(req, json, &tarn_rpc_no_fields, &none) == 0)
		rpc_start_init(req);
}
TARN_RPC_METHOD("framework_start_init", rpc_framework_start_init, tarn_rpc_no_fields,
		"Go on with a start that --wait-for-rpc held: load the configuration file",
		.result = "true, when the daemon runs", .alias = "start_subsystem_init",
		.example = "{}", .states = TARN_RPC_STARTUP)

static void
rpc_framework_wait_init(struct tarn_rpc_request *req, const struct cJSON *json)
{
	char none;

	if (tarn_rpc_decode(req, json, &tarn_rpc_no_fields, &none) == 0)
		rpc_start_wait(req);
}
TARN_RPC_METHOD("framework_wait_init", rpc_framework_wait_init, tarn_rpc_no_fields,
		"Wait until the daemon runs: its configuration is loaded", .result = "true",
		.alias = "wait_subsystem_init", .example = "{}", .states = TARN_RPC_ALWAYS)
