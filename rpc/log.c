/* SPDX-License-Identifier: BSD-3-Clause */
/* log_*: levels and flags of the log, as SPDK has them. */
#include <cjson/cJSON.h>
#include <errno.h>

#include "rpc/internal.h"
#include "tarn/log.h"

static const struct tarn_rpc_name level_names[] = {
	{ "ERROR", TARN_LOG_ERROR },
	{ "WARNING", TARN_LOG_WARNING },
	{ "NOTICE", TARN_LOG_NOTICE },
	{ "INFO", TARN_LOG_INFO },
	{ "DEBUG", TARN_LOG_DEBUG },
	{ "DISABLED", TARN_LOG_DISABLED },
	{ "error", TARN_LOG_ERROR },
	{ "warning", TARN_LOG_WARNING },
	{ "notice", TARN_LOG_NOTICE },
	{ "info", TARN_LOG_INFO },
	{ "debug", TARN_LOG_DEBUG },
	{ "disabled", TARN_LOG_DISABLED },
	{ NULL, 0 },
};

struct level_params {
	int level;
};
static const struct tarn_rpc_field level_list[] = {
	{ "level", TARN_RPC_ENUM, TARN_RPC_AT(struct level_params, level), .required = true,
	  .names = level_names, .help = "Lines above this level are left out" },
};
TARN_RPC_FIELDS(level_fields, struct level_params, level_list);

static void
rpc_log_set_level(struct tarn_rpc_request *req, const struct cJSON *json)
{
	struct level_params params;
	void (*const *set)(enum tarn_log_level) = tarn_rpc_arg(req);

	if (tarn_rpc_decode(req, json, &level_fields, &params) != 0)
		return;
	(*set)(params.level);
	tarn_rpc_reply_true(req);
}

static void
rpc_log_get_level(struct tarn_rpc_request *req, const struct cJSON *json)
{
	enum tarn_log_level (*const *get)(void) = tarn_rpc_arg(req);
	char none;

	if (tarn_rpc_decode(req, json, &tarn_rpc_no_fields, &none) != 0)
		return;
	tarn_rpc_reply_string(req, tarn_log_level_name((*get)()));
}

static void (*const set_level)(enum tarn_log_level) = tarn_log_set_level;
static void (*const set_print_level)(enum tarn_log_level) = tarn_log_set_print_level;
static enum tarn_log_level (*const get_level)(void) = tarn_log_get_level;
static enum tarn_log_level (*const get_print_level)(void) = tarn_log_get_print_level;

TARN_RPC_METHOD("log_set_level", rpc_log_set_level, level_fields,
		"Set the level up to which log lines are made", .result = "true",
		.alias = "set_log_level", .example = "{\"level\": \"NOTICE\"}",
		.states = TARN_RPC_ALWAYS, .arg = &set_level)
TARN_RPC_METHOD("log_get_level", rpc_log_get_level, tarn_rpc_no_fields,
		"Tell the level up to which log lines are made", .result = "its name",
		.alias = "get_log_level", .example = "{}", .states = TARN_RPC_ALWAYS,
		.arg = &get_level)
TARN_RPC_METHOD("log_set_print_level", rpc_log_set_level, level_fields,
		"Set the level up to which log lines are printed to standard error",
		.result = "true", .alias = "set_log_print_level",
		.example = "{\"level\": \"NOTICE\"}", .states = TARN_RPC_ALWAYS,
		.arg = &set_print_level)
TARN_RPC_METHOD("log_get_print_level", rpc_log_get_level, tarn_rpc_no_fields,
		"Tell the level up to which log lines are printed", .result = "its name",
		.alias = "get_log_print_level", .example = "{}", .states = TARN_RPC_ALWAYS,
		.arg = &get_print_level)

struct flag_params {
	char *flag;
};
static const struct tarn_rpc_field flag_list[] = {
	{ "flag", TARN_RPC_STRING, TARN_RPC_AT(struct flag_params, flag), .required = true,
	  .min = 1, .max = 64, .help = "A flag of log_get_flags, or all" },
};
TARN_RPC_FIELDS(flag_fields, struct flag_params, flag_list);

static const bool flag_on = true, flag_off = false;

static void
rpc_log_switch_flag(struct tarn_rpc_request *req, const struct cJSON *json)
{
	struct flag_params params;
	const bool *enable = tarn_rpc_arg(req);

	if (tarn_rpc_decode(req, json, &flag_fields, &params) != 0)
		return;
	if (tarn_log_set_flag(params.flag, *enable) == 0)
		tarn_rpc_reply_true(req);
	else
		tarn_rpc_fail(req, -ENOENT,
			      "log flag \"%s\" does not exist; log_get_flags lists them",
			      params.flag);
	tarn_rpc_params_free(&flag_fields, &params);
}
TARN_RPC_METHOD(
    "log_set_flag", rpc_log_switch_flag, flag_fields, "Make a component's debug lines",
    .result = "true",
    .details = "They also need a level of INFO or DEBUG: log_set_level, log_set_print_level.",
    .alias = "set_log_flag", .example = "{\"flag\": \"all\"}", .states = TARN_RPC_ALWAYS,
    .arg = &flag_on)
TARN_RPC_METHOD("log_clear_flag", rpc_log_switch_flag, flag_fields,
		"Make a component's debug lines no more", .result = "true",
		.alias = "clear_log_flag", .example = "{\"flag\": \"all\"}",
		.states = TARN_RPC_ALWAYS, .arg = &flag_off)

static void
rpc_log_get_flags(struct tarn_rpc_request *req, const struct cJSON *json)
{
	struct cJSON *result;
	char none;

	if (tarn_rpc_decode(req, json, &tarn_rpc_no_fields, &none) != 0)
		return;
	result = cJSON_CreateObject();
	for (const struct tarn_log_flag *flag = tarn_log_flag_next(NULL); flag != NULL;
	     flag = tarn_log_flag_next(flag))
		cJSON_AddBoolToObject(result, flag->name,
				      __atomic_load_n(&flag->enabled, __ATOMIC_RELAXED));
	tarn_rpc_reply(req, result);
}
TARN_RPC_METHOD("log_get_flags", rpc_log_get_flags, tarn_rpc_no_fields,
		"List the log flags and whether each is on",
		.result = "an object of true and false by name", .alias = "get_log_flags",
		.example = "{}", .states = TARN_RPC_ALWAYS)
