/* SPDX-License-Identifier: BSD-3-Clause */
/* bdev_delay_*: wrappers that complete late. */
#include <cjson/cJSON.h>
#include <errno.h>

#include "rpc/internal.h"
#include "tarn/bdev_opts.h"

struct delay_params {
	const char *name;
	struct tarn_bdev_delay_opts opts;
};

static const struct tarn_rpc_field delay_list[] = {
	{ "name", TARN_RPC_STRING, TARN_RPC_AT(struct delay_params, name), .required = true,
	  .min = 1, .max = TARN_BDEV_NAME_MAX, .help = "Name of the new bdev" },
	{ "base_bdev_name", TARN_RPC_STRING, TARN_RPC_AT(struct delay_params, opts.base_name),
	  .required = true, .min = 1, .max = TARN_BDEV_NAME_MAX, .help = "Name of the bdev below" },
	{ "avg_read_latency", TARN_RPC_U64, TARN_RPC_AT(struct delay_params, opts.average_read_us),
	  .required = true, .max = 3600000000, .unit = "us", .help = "Delay of most reads" },
	{ "p99_read_latency", TARN_RPC_U64, TARN_RPC_AT(struct delay_params, opts.p99_read_us),
	  .required = true, .max = 3600000000, .unit = "us", .help = "Delay of one read in 100" },
	{ "avg_write_latency", TARN_RPC_U64,
	  TARN_RPC_AT(struct delay_params, opts.average_write_us), .required = true,
	  .max = 3600000000, .unit = "us", .help = "Delay of most writes" },
	{ "p99_write_latency", TARN_RPC_U64, TARN_RPC_AT(struct delay_params, opts.p99_write_us),
	  .required = true, .max = 3600000000, .unit = "us", .help = "Delay of one write in 100" },
	{ .type = TARN_RPC_GROUP,
	  TARN_RPC_AT(struct delay_params, opts.common),
	  .fields = &rpc_bdev_common_fields },
};
TARN_RPC_FIELDS(delay_fields, struct delay_params, delay_list);

static void
rpc_bdev_delay_create(struct tarn_rpc_request *req, const struct cJSON *json)
{
	struct delay_params params = { 0 };
	struct tarn_reason reason = { "" };
	struct tarn_bdev *bdev = NULL;
	int rc;

	if (tarn_rpc_decode(req, json, &delay_fields, &params) != 0)
		return;
	rc = tarn_bdev_create("delay", params.name, &params.opts, &bdev, &reason);
	rpc_bdev_created(req, rc, bdev, &reason);
	tarn_rpc_params_free(&delay_fields, &params);
}
TARN_RPC_METHOD(
    "bdev_delay_create", rpc_bdev_delay_create, delay_fields,
    "Create a bdev that passes I/O on and completes it late", .result = "name of the bdev",
    .example = "{\"name\": \"slow0\", \"base_bdev_name\": \"ram0\", \"avg_read_latency\": "
	       "100, \"p99_read_latency\": 1000, \"avg_write_latency\": 100, "
	       "\"p99_write_latency\": 1000}")
TARN_RPC_METHOD("bdev_delay_delete", rpc_bdev_driver_delete, rpc_name_fields,
		"Delete a bdev of bdev_delay_create", .result = "true",
		.example = "{\"name\": \"slow0\"}", .arg = "delay")

static const struct tarn_rpc_name latency_names[] = {
	{ "avg_read", TARN_DELAY_AVERAGE_READ },
	{ "p99_read", TARN_DELAY_P99_READ },
	{ "avg_write", TARN_DELAY_AVERAGE_WRITE },
	{ "p99_write", TARN_DELAY_P99_WRITE },
	{ NULL, 0 },
};

struct latency_params {
	char *name;
	struct tarn_bdev_delay_latency latency;
};
static const struct tarn_rpc_field latency_list[] = {
	{ "delay_bdev_name", TARN_RPC_STRING, TARN_RPC_AT(struct latency_params, name),
	  .required = true, .min = 1, .max = TARN_BDEV_NAME_MAX, .help = "Name of the delay bdev" },
	{ "latency_type", TARN_RPC_ENUM, TARN_RPC_AT(struct latency_params, latency.type),
	  .required = true, .names = latency_names, .help = "Which of its delays" },
	{ "latency_us", TARN_RPC_U64, TARN_RPC_AT(struct latency_params, latency.latency_us),
	  .required = true, .max = 3600000000, .unit = "us", .help = "The new delay" },
};
TARN_RPC_FIELDS(latency_fields, struct latency_params, latency_list);

static void
rpc_bdev_delay_update_latency(struct tarn_rpc_request *req, const struct cJSON *json)
{
	struct latency_params params;
	struct tarn_reason reason = { "" };
	struct tarn_bdev *bdev;
	int rc;

	if (tarn_rpc_decode(req, json, &latency_fields, &params) != 0)
		return;
	bdev = rpc_bdev_need_driver(req, params.name, "delay");
	if (bdev != NULL) {
		rc = tarn_bdev_control(bdev, TARN_BDEV_SET_LATENCY, &params.latency, &reason);
		if (rc == 0)
			tarn_rpc_reply_true(req);
		else
			tarn_rpc_fail(req, rc, "%s", reason.text);
	}
	tarn_rpc_params_free(&latency_fields, &params);
}
TARN_RPC_METHOD("bdev_delay_update_latency", rpc_bdev_delay_update_latency, latency_fields,
		"Change a delay of a delay bdev", .result = "true",
		.example = "{\"delay_bdev_name\": \"slow0\", \"latency_type\": \"avg_read\", "
			   "\"latency_us\": 200}")

static void
delay_to_params(const struct tarn_bdev *bdev, const struct tarn_bdev_info *info, void *arg)
{
	struct delay_params *params = arg;

	params->name = info->name;
	params->opts = *(const struct tarn_bdev_delay_opts *)tarn_bdev_opts(bdev);
	params->opts.common.uuid = info->uuid;
}
const struct rpc_bdev_type rpc_bdev_delay = { "delay", "bdev_delay_create", &delay_fields,
					      delay_to_params };
