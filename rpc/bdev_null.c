/* SPDX-License-Identifier: BSD-3-Clause */
/* bdev_null_*: devices without a medium, which complete everything at once. */
#include <cjson/cJSON.h>
#include <errno.h>

#include "rpc/internal.h"
#include "tarn/bdev_opts.h"
#include "tarn/util.h"

struct null_params {
	const char *name;
	uint64_t num_blocks;
	struct tarn_bdev_null_opts opts;
};

static const struct tarn_rpc_field null_list[] = {
	{ "name", TARN_RPC_STRING, TARN_RPC_AT(struct null_params, name), .required = true,
	  .min = 1, .max = TARN_BDEV_NAME_MAX, .help = "Name of the new bdev" },
	{ "num_blocks", TARN_RPC_U64, TARN_RPC_AT(struct null_params, num_blocks), .required = true,
	  .min = 1, .unit = "blocks", .help = "Size" },
	{ "block_size", TARN_RPC_U32, TARN_RPC_AT(struct null_params, opts.block_size),
	  .def = "4096", .min = 512, .max = 1048576, .pow2 = true, .unit = "bytes",
	  .help = "Logical block size" },
	{ "physical_block_size", TARN_RPC_U32,
	  TARN_RPC_AT(struct null_params, opts.physical_block_size), .def = "0", .min = 512,
	  .max = 1048576, .pow2 = true, .zero = true, .unit = "bytes",
	  .def_help = "0: the logical one", .help = "Physical block size that the bdev tells" },
	{ .type = TARN_RPC_GROUP,
	  TARN_RPC_AT(struct null_params, opts.common),
	  .fields = &rpc_bdev_common_fields },
	{ "preferred_write_alignment", TARN_RPC_INERT, .def = "0", .help = "SPDK's" },
	{ "preferred_write_granularity", TARN_RPC_INERT, .def = "0", .help = "SPDK's" },
	{ "optimal_write_size", TARN_RPC_INERT, .def = "0", .help = "SPDK's" },
	{ "preferred_unmap_alignment", TARN_RPC_INERT, .def = "0", .help = "SPDK's" },
	{ "preferred_unmap_granularity", TARN_RPC_INERT, .def = "0", .help = "SPDK's" },
	{ .type = TARN_RPC_GROUP, .fields = &rpc_bdev_medium_inert_fields },
};
TARN_RPC_FIELDS(null_fields, struct null_params, null_list);

static void
rpc_bdev_null_create(struct tarn_rpc_request *req, const struct cJSON *json)
{
	struct null_params params = { 0 };
	struct tarn_reason reason = { "" };
	struct tarn_bdev *bdev = NULL;
	int rc;

	if (tarn_rpc_decode(req, json, &null_fields, &params) != 0)
		return;
	params.opts.size_bytes = tarn_mul_sat(params.num_blocks, params.opts.block_size);
	rc = tarn_bdev_create("null", params.name, &params.opts, &bdev, &reason);
	rpc_bdev_created(req, rc, bdev, &reason);
	tarn_rpc_params_free(&null_fields, &params);
}
TARN_RPC_METHOD("bdev_null_create", rpc_bdev_null_create, null_fields,
		"Create a bdev without a medium",
		.details = "Writes go nowhere and reads leave the buffer as it is: to measure what "
			   "everything else costs.",
		.result = "name of the bdev", .alias = "construct_null_bdev",
		.example = "{\"name\": \"null0\", \"num_blocks\": 262144, \"block_size\": 4096}")
TARN_RPC_METHOD("bdev_null_delete", rpc_bdev_driver_delete, rpc_name_fields,
		"Delete a bdev of bdev_null_create", .result = "true", .alias = "delete_null_bdev",
		.example = "{\"name\": \"null0\"}", .arg = "null")

struct resize_params {
	char *name;
	uint64_t new_size;
};
static const struct tarn_rpc_field resize_list[] = {
	{ "name", TARN_RPC_STRING, TARN_RPC_AT(struct resize_params, name), .required = true,
	  .min = 1, .max = TARN_BDEV_NAME_MAX, .help = "Name of the bdev" },
	{ "new_size", TARN_RPC_U64, TARN_RPC_AT(struct resize_params, new_size), .required = true,
	  .min = 1, .max = UINT64_C(1) << 40, .unit = "MiB", .help = "New size" },
};
TARN_RPC_FIELDS(resize_fields, struct resize_params, resize_list);

static void
rpc_bdev_null_resize(struct tarn_rpc_request *req, const struct cJSON *json)
{
	struct resize_params params;
	struct tarn_reason reason = { "" };
	struct tarn_bdev *bdev;

	if (tarn_rpc_decode(req, json, &resize_fields, &params) != 0)
		return;
	bdev = rpc_bdev_need_driver(req, params.name, "null");
	if (bdev != NULL) {
		uint64_t size_bytes = params.new_size << 20;
		int rc = tarn_bdev_control(bdev, TARN_BDEV_RESIZE, &size_bytes, &reason);

		if (rc == 0)
			tarn_rpc_reply_true(req);
		else
			tarn_rpc_fail(req, rc, "%s", reason.text);
	}
	tarn_rpc_params_free(&resize_fields, &params);
}
TARN_RPC_METHOD("bdev_null_resize", rpc_bdev_null_resize, resize_fields, "Resize a null bdev",
		.result = "true", .example = "{\"name\": \"null0\", \"new_size\": 2048}")

static void
null_to_params(const struct tarn_bdev *bdev, const struct tarn_bdev_info *info, void *arg)
{
	struct null_params *params = arg;

	params->name = info->name;
	params->opts = *(const struct tarn_bdev_null_opts *)tarn_bdev_opts(bdev);
	params->opts.common.uuid = info->uuid;
	params->opts.block_size = info->block_size;
	params->num_blocks = info->size_bytes / info->block_size;
}
const struct rpc_bdev_type rpc_bdev_null = { "null", "bdev_null_create", &null_fields,
					     null_to_params };
