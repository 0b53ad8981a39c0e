/* SPDX-License-Identifier: BSD-3-Clause */
/* bdev_error_*: wrappers that fail, corrupt or hold back I/O on demand. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>

#include "rpc/internal.h"
#include "tarn/bdev_opts.h"

struct error_params {
	const char *name;
	struct tarn_bdev_error_opts opts;
};

static const struct tarn_rpc_field error_list[] = {
	{ "base_name", TARN_RPC_STRING, TARN_RPC_AT(struct error_params, opts.base_name),
	  .required = true, .min = 1, .max = TARN_BDEV_NAME_MAX, .help = "Name of the bdev below" },
	{ "name", TARN_RPC_STRING, TARN_RPC_AT(struct error_params, name), .min = 1,
	  .max = TARN_BDEV_NAME_MAX, .def_help = "EE_ and the name of the bdev below",
	  .help = "Name of the new bdev" },
	{ .type = TARN_RPC_GROUP,
	  TARN_RPC_AT(struct error_params, opts.common),
	  .fields = &rpc_bdev_common_fields },
};
TARN_RPC_FIELDS(error_fields, struct error_params, error_list);

static void
rpc_bdev_error_create(struct tarn_rpc_request *req, const struct cJSON *json)
{
	struct error_params params = { 0 };
	struct tarn_reason reason = { "" };
	struct tarn_bdev *bdev = NULL;
	char name[TARN_BDEV_NAME_MAX + 4];
	int rc;

	if (tarn_rpc_decode(req, json, &error_fields, &params) != 0)
		return;
	snprintf(name, sizeof(name), "EE_%s", params.opts.base_name);
	rc = tarn_bdev_create("error", params.name != NULL ? params.name : name, &params.opts,
			      &bdev, &reason);
	rpc_bdev_created(req, rc, bdev, &reason);
	tarn_rpc_params_free(&error_fields, &params);
}
TARN_RPC_METHOD(
    "bdev_error_create", rpc_bdev_error_create, error_fields,
    "Create a bdev that passes I/O on, except where bdev_error_inject_error says otherwise",
    .result = "name of the bdev", .alias = "construct_error_bdev",
    .example = "{\"base_name\": \"ram0\"}")
TARN_RPC_METHOD("bdev_error_delete", rpc_bdev_driver_delete, rpc_name_fields,
		"Delete a bdev of bdev_error_create", .result = "true",
		.alias = "delete_error_bdev", .example = "{\"name\": \"EE_ram0\"}", .arg = "error")

/* Beside the operations: end every injection. */
#define INJECT_CLEAR (-2)

static const struct tarn_rpc_name op_names[] = {
	{ "read", TARN_IO_READ },
	{ "write", TARN_IO_WRITE },
	{ "flush", TARN_IO_FLUSH },
	{ "unmap", TARN_IO_DISCARD },
	{ "write_zeroes", TARN_IO_WRITE_ZEROES },
	{ "all", -1 },
	{ "clear", INJECT_CLEAR },
	{ NULL, 0 },
};
static const struct tarn_rpc_name type_names[] = {
	{ "failure", TARN_ERROR_FAILURE },
	{ "pending", TARN_ERROR_PENDING },
	{ "corrupt_data", TARN_ERROR_CORRUPT_DATA },
	{ "nomem", TARN_ERROR_NOMEM },
	{ "short", TARN_ERROR_SHORT },
	{ "drop", TARN_ERROR_DROP },
	{ "clear", TARN_ERROR_NONE },
	{ NULL, 0 },
};
/* What a medium or its way may answer. */
static const struct tarn_rpc_name errno_names[] = {
	{ "EIO", -EIO },
	{ "ENOSPC", -ENOSPC },
	{ "ENODEV", -ENODEV },
	{ "ETIMEDOUT", -ETIMEDOUT },
	{ "EREMOTEIO", -EREMOTEIO },
	{ "EILSEQ", -EILSEQ },
	{ "ENOMEM", -ENOMEM },
	{ "EROFS", -EROFS },
	{ NULL, 0 },
};

struct inject_params {
	char *name;
	struct tarn_bdev_error_inject inject;
	int type;
	uint32_t corrupt_value;
};
#define INJECT_AT(member) TARN_RPC_AT(struct inject_params, inject.member)

static const struct tarn_rpc_field inject_list[] = {
	{ "name", TARN_RPC_STRING, TARN_RPC_AT(struct inject_params, name), .required = true,
	  .min = 1, .max = TARN_BDEV_NAME_MAX, .help = "Name of the error bdev" },
	{ "io_type", TARN_RPC_ENUM, INJECT_AT(op), .required = true, .names = op_names,
	  .help = "Operation; clear ends every injection" },
	{ "error_type", TARN_RPC_ENUM, TARN_RPC_AT(struct inject_params, type), .required = true,
	  .names = type_names,
	  .help = "What happens to it: short is a short transfer, drop a success without effect; "
		  "clear ends the injection for that operation" },
	{ "num", TARN_RPC_U64, INJECT_AT(count), .def = "1", .min = 1,
	  .help = "How many I/Os; 4294967295 and more: until cleared" },
	{ "skip", TARN_RPC_U64, INJECT_AT(skip_count), .def = "0",
	  .help = "How many pass unharmed first" },
	{ "share_ppm", TARN_RPC_U32, INJECT_AT(share_ppm), .def = "0", .max = 1000000,
	  .unit = "per million", .def_help = "0: all",
	  .help = "Share of the I/Os that it happens to" },
	{ "offset_bytes", TARN_RPC_SIZE, INJECT_AT(offset_bytes), .def = "0", .unit = "bytes",
	  .help = "Only I/O that touches the range from here on" },
	{ "length_bytes", TARN_RPC_SIZE, INJECT_AT(length_bytes), .def = "0", .unit = "bytes",
	  .def_help = "0: everywhere", .help = "Length of the range" },
	{ "errno", TARN_RPC_ENUM, INJECT_AT(status), .def = "\"EIO\"", .names = errno_names,
	  .help = "With failure: the error" },
	{ "queue_depth", TARN_RPC_U32, INJECT_AT(queue_depth), .def = "0",
	  .help = "Only while more I/Os than this are in flight" },
	{ "corrupt_offset", TARN_RPC_U64, INJECT_AT(corrupt_offset), .def = "0", .unit = "bytes",
	  .help = "With corrupt_data: place of the byte in each block" },
	{ "corrupt_value", TARN_RPC_U32, TARN_RPC_AT(struct inject_params, corrupt_value),
	  .def = "0", .max = 255, .def_help = "0: 255",
	  .help = "With corrupt_data: what is XORed into it" },
	{ "nvme_sct", TARN_RPC_INERT, .def = "0", .help = "SPDK's; use errno" },
	{ "nvme_sc", TARN_RPC_INERT, .def = "0", .help = "SPDK's; use errno" },
};
TARN_RPC_FIELDS(inject_fields, struct inject_params, inject_list);

static void
rpc_bdev_error_inject_error(struct tarn_rpc_request *req, const struct cJSON *json)
{
	struct inject_params params = { 0 };
	struct tarn_reason reason = { "" };
	struct tarn_bdev *bdev;
	int rc;

	if (tarn_rpc_decode(req, json, &inject_fields, &params) != 0)
		return;
	params.inject.type = (enum tarn_error_type)params.type;
	params.inject.corrupt_value =
	    params.corrupt_value == 0 ? 255 : (uint8_t)params.corrupt_value;
	if (params.inject.op == INJECT_CLEAR) {
		params.inject.op = -1;
		params.inject.type = TARN_ERROR_NONE;
	}
	if (params.inject.count >= UINT32_MAX)
		params.inject.count = UINT64_MAX;
	bdev = rpc_bdev_need_driver(req, params.name, "error");
	if (bdev != NULL) {
		rc = tarn_bdev_control(bdev, TARN_BDEV_INJECT, &params.inject, &reason);
		if (rc == 0)
			tarn_rpc_reply_true(req);
		else
			tarn_rpc_fail(req, rc, "%s", reason.text);
	}
	tarn_rpc_params_free(&inject_fields, &params);
}
TARN_RPC_METHOD("bdev_error_inject_error", rpc_bdev_error_inject_error, inject_fields,
		"Make coming I/O of an error bdev fail, hang or return wrong data",
		.details = "Injections are not part of save_config.", .result = "true",
		.alias = "bdev_inject_error",
		.example =
		    "{\"name\": \"EE_ram0\", \"io_type\": \"read\", \"error_type\": \"failure\", "
		    "\"num\": 1}")

static void
error_to_params(const struct tarn_bdev *bdev, const struct tarn_bdev_info *info, void *arg)
{
	struct error_params *params = arg;

	params->name = info->name;
	params->opts = *(const struct tarn_bdev_error_opts *)tarn_bdev_opts(bdev);
	params->opts.common.uuid = info->uuid;
}
const struct rpc_bdev_type rpc_bdev_error = { "error", "bdev_error_create", &error_fields,
					      error_to_params };
