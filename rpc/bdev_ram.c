/* SPDX-License-Identifier: BSD-3-Clause */
/* bdev_malloc_*: devices in memory, driver ram. */
#include <cjson/cJSON.h>
#include <errno.h>

#include "rpc/internal.h"
#include "tarn/bdev_opts.h"
#include "tarn/util.h"

struct malloc_params {
	const char *name;
	uint64_t num_blocks;
	struct tarn_bdev_ram_opts opts;
};

static const struct tarn_rpc_field malloc_list[] = {
	{ "name", TARN_RPC_STRING, TARN_RPC_AT(struct malloc_params, name), .min = 1,
	  .max = TARN_BDEV_NAME_MAX, .def_help = "Malloc0, or the next number that is free",
	  .help = "Name of the new bdev" },
	{ "num_blocks", TARN_RPC_U64, TARN_RPC_AT(struct malloc_params, num_blocks),
	  .required = true, .min = 1, .unit = "blocks", .help = "Size" },
	{ "block_size", TARN_RPC_U32, TARN_RPC_AT(struct malloc_params, opts.block_size),
	  .def = "4096", .min = 512, .max = 1048576, .pow2 = true, .unit = "bytes",
	  .help = "Logical block size" },
	{ "physical_block_size", TARN_RPC_U32,
	  TARN_RPC_AT(struct malloc_params, opts.physical_block_size), .def = "0", .min = 512,
	  .max = 1048576, .pow2 = true, .zero = true, .unit = "bytes",
	  .def_help = "0: the logical one", .help = "Physical block size that the bdev tells" },
	{ .type = TARN_RPC_GROUP,
	  TARN_RPC_AT(struct malloc_params, opts.common),
	  .fields = &rpc_bdev_common_fields },
	{ "optimal_io_boundary", TARN_RPC_INERT, .def = "0", .help = "SPDK's" },
	{ "md_interleave", TARN_RPC_INERT, .def = "false", .help = "SPDK's" },
	{ "numa_id", TARN_RPC_INERT, .def = "-1",
	  .help = "SPDK's; memory comes from where the kernel takes it" },
	{ .type = TARN_RPC_GROUP, .fields = &rpc_bdev_medium_inert_fields },
};
TARN_RPC_FIELDS(malloc_fields, struct malloc_params, malloc_list);

static void
rpc_bdev_malloc_create(struct tarn_rpc_request *req, const struct cJSON *json)
{
	struct malloc_params params = { 0 };
	struct tarn_reason reason = { "" };
	struct tarn_bdev *bdev = NULL;
	char free_name[32];
	int rc;

	if (tarn_rpc_decode(req, json, &malloc_fields, &params) != 0)
		return;
	rpc_bdev_free_name("Malloc", free_name, sizeof(free_name));
	params.opts.size_bytes = tarn_mul_sat(params.num_blocks, params.opts.block_size);
	rc = tarn_bdev_create("ram", params.name != NULL ? params.name : free_name, &params.opts,
			      &bdev, &reason);
	rpc_bdev_created(req, rc, bdev, &reason);
	tarn_rpc_params_free(&malloc_fields, &params);
}
TARN_RPC_METHOD("bdev_malloc_create", rpc_bdev_malloc_create, malloc_fields,
		"Create a bdev in memory", .details = "Its contents end with it.",
		.result = "name of the bdev", .alias = "construct_malloc_bdev",
		.example = "{\"name\": \"ram0\", \"num_blocks\": 1024, \"block_size\": 4096}")
TARN_RPC_METHOD("bdev_malloc_delete", rpc_bdev_driver_delete, rpc_name_fields,
		"Delete a bdev of bdev_malloc_create", .result = "true",
		.alias = "delete_malloc_bdev", .example = "{\"name\": \"ram0\"}", .arg = "ram")

static void
malloc_to_params(const struct tarn_bdev *bdev, const struct tarn_bdev_info *info, void *arg)
{
	struct malloc_params *params = arg;

	params->name = info->name;
	params->opts = *(const struct tarn_bdev_ram_opts *)tarn_bdev_opts(bdev);
	params->opts.common.uuid = info->uuid;
	params->opts.block_size = info->block_size;
	params->num_blocks = info->size_bytes / info->block_size;
}
const struct rpc_bdev_type rpc_bdev_malloc = { "ram", "bdev_malloc_create", &malloc_fields,
					       malloc_to_params };
