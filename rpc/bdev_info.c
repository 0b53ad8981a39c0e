/* SPDX-License-Identifier: BSD-3-Clause */
/* bdev_get_bdevs: what there is, also waiting for a name to appear. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "rpc/internal.h"
#include "tarn/env.h"
#include "tarn/util.h"

/* SPDK's names of operations, of which those without a device's answer are never supported. */
static const struct {
	const char *name;
	int op;
} io_types[] = {
	{ "read", TARN_IO_READ },
	{ "write", TARN_IO_WRITE },
	{ "unmap", TARN_IO_DISCARD },
	{ "flush", TARN_IO_FLUSH },
	{ "reset", -1 },
	{ "nvme_admin", -1 },
	{ "nvme_io", -1 },
	{ "nvme_io_md", -1 },
	{ "write_zeroes", TARN_IO_WRITE_ZEROES },
	{ "zcopy", -1 },
	{ "get_zone_info", -1 },
	{ "zone_management", -1 },
	{ "zone_append", -1 },
	{ "compare", -1 },
	{ "compare_and_write", -1 },
	{ "abort", -1 },
	{ "seek_hole", -1 },
	{ "seek_data", -1 },
	{ "copy", -1 },
	{ "nvme_iov_md", -1 },
};

static void
add_driver_specific(struct cJSON *object, struct tarn_bdev *bdev)
{
	struct cJSON *specific = cJSON_AddObjectToObject(object, "driver_specific");
	struct tarn_json_sink state;
	const struct tarn_info_sink sink =
	    tarn_json_sink(&state, cJSON_AddObjectToObject(specific, tarn_bdev_driver_name(bdev)));

	tarn_bdev_describe(bdev, &sink);
}

/* --- What every device has --- */

static void
add_rate_limits(struct cJSON *object, const struct tarn_bdev *bdev)
{
	struct cJSON *limits = cJSON_AddObjectToObject(object, "assigned_rate_limits");
	struct tarn_bdev_qos qos;

	tarn_bdev_get_qos(bdev, &qos);
	tarn_json_add_u64(limits, "rw_ios_per_sec", qos.rw_ios_per_s);
	tarn_json_add_u64(limits, "rw_mbytes_per_sec", qos.rw_bytes_per_s >> 20);
	tarn_json_add_u64(limits, "r_mbytes_per_sec", qos.read_bytes_per_s >> 20);
	tarn_json_add_u64(limits, "w_mbytes_per_sec", qos.write_bytes_per_s >> 20);
}

static void
add_io_types(struct cJSON *object, const struct tarn_bdev_info *info)
{
	struct cJSON *types = cJSON_AddObjectToObject(object, "supported_io_types");

	for (size_t i = 0; i < tarn_array_count(io_types); i++)
		cJSON_AddBoolToObject(types, io_types[i].name,
				      io_types[i].op >= 0 &&
					  info->support[io_types[i].op] != TARN_IO_NONE);
}

/* What SPDK has no place for. */
static void
add_own(struct cJSON *object, const struct tarn_bdev_info *info)
{
	struct cJSON *own = cJSON_AddObjectToObject(object, "tarn"), *support;

	cJSON_AddStringToObject(own, "driver", info->driver);
	tarn_json_add_u64(own, "size_bytes", info->size_bytes);
	tarn_json_add_u64(own, "physical_block_size", info->physical_block_size);
	tarn_json_add_u64(own, "buffer_align", info->buffer_align);
	tarn_json_add_u64(own, "max_transfer_bytes", info->max_transfer_bytes);
	tarn_json_add_u64(own, "queue_depth", info->queue_depth);
	cJSON_AddBoolToObject(own, "queue_depth_auto", info->queue_depth_auto);
	tarn_json_add_u64(own, "queue_depth_now", info->queue_depth_now);
	tarn_json_add_u64(own, "background_depth", info->background_depth);
	tarn_json_add_u64(own, "open_count", info->open_count);
	if (info->claimed_by != NULL)
		tarn_json_add_text(own, "claimed_by", info->claimed_by);
	cJSON_AddBoolToObject(own, "read_only", info->read_only);
	cJSON_AddBoolToObject(own, "write_cache", info->write_cache);
	cJSON_AddBoolToObject(own, "rotational", info->rotational);
	cJSON_AddBoolToObject(own, "removing", info->removing);
	support = cJSON_AddObjectToObject(own, "support");
	for (int op = 0; op < TARN_IO_OP_COUNT; op++)
		cJSON_AddStringToObject(support, tarn_io_op_name(op),
					tarn_io_support_name(info->support[op]));
	cJSON_AddStringToObject(support, "fua", tarn_io_support_name(info->fua));
}

struct cJSON *
rpc_bdev_info(struct tarn_bdev *bdev)
{
	static const char *const preferred[] = {
		"preferred_write_alignment", "preferred_write_granularity", "optimal_write_size",
		"preferred_unmap_alignment", "preferred_unmap_granularity",
	};
	struct cJSON *object = cJSON_CreateObject();
	struct tarn_bdev_info info;
	struct cJSON *aliases;

	tarn_bdev_get_info(bdev, &info);
	tarn_json_add_text(object, "name", info.name);
	aliases = cJSON_AddArrayToObject(object, "aliases");
	cJSON_AddItemToArray(aliases, cJSON_CreateString(info.uuid));
	cJSON_AddStringToObject(object, "product_name", info.product);
	tarn_json_add_u64(object, "block_size", info.block_size);
	tarn_json_add_u64(object, "num_blocks", info.size_bytes / info.block_size);
	for (size_t i = 0; i < tarn_array_count(preferred); i++)
		tarn_json_add_u64(object, preferred[i], 0);
	cJSON_AddStringToObject(object, "uuid", info.uuid);
	add_rate_limits(object, bdev);
	cJSON_AddBoolToObject(object, "claimed", info.claimed_by != NULL);
	if (info.claimed_by != NULL)
		cJSON_AddStringToObject(object, "claim_type", "exclusive_write");
	cJSON_AddFalseToObject(object, "zoned");
	add_io_types(object, &info);
	add_driver_specific(object, bdev);
	add_own(object, &info);
	return object;
}

/* --- Waiting for a name: looked for now and then, since what waits here is a script --- */

#define WAIT_PERIOD_US 10000

struct wait {
	TAILQ_ENTRY(wait) link;
	struct tarn_rpc_request *req;
	struct tarn_poller *poller;
	char *name;
	uint64_t deadline_ns;
};
static TAILQ_HEAD(, wait) waits = TAILQ_HEAD_INITIALIZER(waits);

static void
wait_free(struct wait *wait)
{
	TAILQ_REMOVE(&waits, wait, link);
	tarn_poller_unregister(&wait->poller);
	free(wait->name);
	free(wait);
}

static void
reply_one(struct tarn_rpc_request *req, struct tarn_bdev *bdev)
{
	struct cJSON *array = cJSON_CreateArray();

	cJSON_AddItemToArray(array, rpc_bdev_info(bdev));
	tarn_rpc_reply(req, array);
}

static int
wait_poll(void *arg)
{
	struct wait *wait = arg;
	struct tarn_bdev *bdev = rpc_bdev_find(wait->name);

	if (bdev != NULL) {
		reply_one(wait->req, bdev);
	} else if (tarn_now_ns() >= wait->deadline_ns) {
		tarn_rpc_fail(wait->req, -ENODEV, "bdev \"%s\" did not appear in time", wait->name);
	} else {
		return 0;
	}
	wait_free(wait);
	return 1;
}

static void
wait_start(struct tarn_rpc_request *req, const char *name, uint64_t timeout_ms)
{
	struct wait *wait = calloc(1, sizeof(*wait));

	if (wait != NULL) {
		wait->req = req;
		wait->name = strdup(name);
		wait->deadline_ns = tarn_now_ns() + timeout_ms * 1000000;
		wait->poller = tarn_poller_register(&(struct tarn_poller_opts){
		    .name = "bdev_get_bdevs",
		    .fn = wait_poll,
		    .arg = wait,
		    .period_us = WAIT_PERIOD_US,
		});
		TAILQ_INSERT_TAIL(&waits, wait, link);
	}
	if (wait == NULL || wait->name == NULL || wait->poller == NULL) {
		if (wait != NULL)
			wait_free(wait);
		tarn_rpc_reply(req, NULL);
	}
}

void
rpc_bdev_waits_cancel(void)
{
	struct wait *wait;

	while ((wait = TAILQ_FIRST(&waits)) != NULL) {
		tarn_rpc_fail(wait->req, -ESHUTDOWN, "bdev \"%s\" did not appear: the daemon ends",
			      wait->name);
		wait_free(wait);
	}
}

/* --- The method --- */

struct get_params {
	char *name;
	uint64_t timeout;
};
static const struct tarn_rpc_field get_list[] = {
	{ "name", TARN_RPC_STRING, TARN_RPC_AT(struct get_params, name), .min = 1,
	  .max = TARN_BDEV_NAME_MAX, .def_help = "all", .help = "Name or UUID of the one wanted" },
	{ "timeout", TARN_RPC_U64, TARN_RPC_AT(struct get_params, timeout), .def = "0",
	  .max = 86400000, .unit = "ms", .help = "How long to wait for that name to appear" },
};
TARN_RPC_FIELDS(get_fields, struct get_params, get_list);

static void
rpc_bdev_get_bdevs(struct tarn_rpc_request *req, const struct cJSON *json)
{
	struct get_params params;
	struct tarn_bdev *bdev;
	struct cJSON *array;

	if (tarn_rpc_decode(req, json, &get_fields, &params) != 0)
		return;
	if (params.name == NULL) {
		array = cJSON_CreateArray();
		for (bdev = tarn_bdev_next(NULL); bdev != NULL; bdev = tarn_bdev_next(bdev))
			cJSON_AddItemToArray(array, rpc_bdev_info(bdev));
		tarn_rpc_reply(req, array);
	} else if (params.timeout > 0 && rpc_bdev_find(params.name) == NULL) {
		wait_start(req, params.name, params.timeout);
	} else {
		bdev = rpc_bdev_need(req, params.name);
		if (bdev != NULL)
			reply_one(req, bdev);
	}
	tarn_rpc_params_free(&get_fields, &params);
}
TARN_RPC_METHOD(
    "bdev_get_bdevs", rpc_bdev_get_bdevs, get_fields, "Describe all bdevs, or one",
    .details =
	"driver_specific says what the driver does and why; tarn holds what SPDK has no "
	"place for. With a timeout it waits for the name; without, an unknown name is an error.",
    .result = "an array of objects", .alias = "get_bdevs", .example = "{}")
