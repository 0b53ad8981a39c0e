/* SPDX-License-Identifier: BSD-3-Clause */
/* bdev_enable_histogram, bdev_get_histogram: latencies in SPDK's layout of buckets. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/internal.h"
#include "tarn/bdev_stats.h"
#include "tarn/util.h"

/*
 * SPDK's clients expect every range that a 64-bit value can fall in: 64 less the granularity, plus
 * one.
 */
#define RANGE_COUNT (64 - TARN_HISTOGRAM_GRANULARITY + 1)
#define BUCKET_COUNT (RANGE_COUNT * TARN_HISTOGRAM_SUB_COUNT)

static const struct tarn_rpc_name opc_names[] = {
	{ "read", TARN_IO_READ },
	{ "write", TARN_IO_WRITE },
	{ "flush", TARN_IO_FLUSH },
	{ "unmap", TARN_IO_DISCARD },
	{ "write_zeroes", TARN_IO_WRITE_ZEROES },
	{ "all", -1 },
	{ NULL, 0 },
};

struct enable_params {
	char *name;
	bool enable;
};
static const struct tarn_rpc_field enable_list[] = {
	{ "name", TARN_RPC_STRING, TARN_RPC_AT(struct enable_params, name), .required = true,
	  .min = 1, .max = TARN_BDEV_NAME_MAX, .help = "Name of the bdev" },
	{ "enable", TARN_RPC_BOOL, TARN_RPC_AT(struct enable_params, enable), .required = true,
	  .help = "Begin again, or stop" },
	{ "opc", TARN_RPC_INERT, .help = "SPDK's; choose the operation in bdev_get_histogram" },
	{ "granularity", TARN_RPC_INERT, .def = "7", .help = "SPDK's; it is 6 here" },
	{ "min_nsec", TARN_RPC_INERT, .def = "1000", .help = "SPDK's; it is 0 here" },
	{ "max_nsec", TARN_RPC_INERT, .def = "120000000000", .help = "SPDK's; it is 275 s here" },
};
TARN_RPC_FIELDS(enable_fields, struct enable_params, enable_list);

static void
enable_done(void *arg, int status)
{
	struct tarn_rpc_request *req = arg;

	if (status == 0)
		tarn_rpc_reply_true(req);
	else
		tarn_rpc_fail(req, status, "histogram: %s", strerror(-status));
}

static void
rpc_bdev_enable_histogram(struct tarn_rpc_request *req, const struct cJSON *json)
{
	struct enable_params params;
	struct tarn_bdev *bdev;

	if (tarn_rpc_decode(req, json, &enable_fields, &params) != 0)
		return;
	bdev = rpc_bdev_need(req, params.name);
	if (bdev != NULL)
		tarn_bdev_enable_histogram(bdev, params.enable, enable_done, req);
	tarn_rpc_params_free(&enable_fields, &params);
}
TARN_RPC_METHOD("bdev_enable_histogram", rpc_bdev_enable_histogram, enable_fields,
		"Begin or stop a histogram of a bdev's latencies", .result = "true",
		.alias = "enable_bdev_histogram",
		.example = "{\"name\": \"ram0\", \"enable\": true}")

struct histogram_params {
	char *name;
	int opc;
};
static const struct tarn_rpc_field histogram_list[] = {
	{ "name", TARN_RPC_STRING, TARN_RPC_AT(struct histogram_params, name), .required = true,
	  .min = 1, .max = TARN_BDEV_NAME_MAX, .help = "Name of the bdev" },
	{ "opc", TARN_RPC_ENUM, TARN_RPC_AT(struct histogram_params, opc), .def = "\"all\"",
	  .names = opc_names, .help = "Operation whose latencies are wanted" },
};
TARN_RPC_FIELDS(histogram_fields, struct histogram_params, histogram_list);

struct histogram_call {
	struct tarn_rpc_request *req;
	int opc;
	struct tarn_bdev_stats stats;
	uint64_t bucket[BUCKET_COUNT]; /* little-endian, as they are sent */
};

static void
histogram_collect(struct histogram_call *call)
{
	for (int op = 0; op < TARN_IO_OP_COUNT; op++) {
		if (call->opc >= 0 && call->opc != op)
			continue;
		for (uint32_t i = 0; i < TARN_HISTOGRAM_BUCKET_COUNT; i++)
			call->bucket[i] += call->stats.histogram[op].bucket[i];
	}
	for (uint32_t i = 0; i < BUCKET_COUNT; i++)
		call->bucket[i] = htole64(call->bucket[i]);
}

static void
histogram_done(void *arg, int status)
{
	struct histogram_call *call = arg;
	struct cJSON *result;

	if (status != 0) {
		tarn_rpc_fail(call->req, status, "histogram: %s", strerror(-status));
		free(call);
		return;
	}
	histogram_collect(call);
	result = cJSON_CreateObject();
	tarn_json_add_base64(result, "histogram", call->bucket, sizeof(call->bucket));
	tarn_json_add_u64(result, "granularity", TARN_HISTOGRAM_GRANULARITY);
	tarn_json_add_u64(result, "bucket_shift", TARN_HISTOGRAM_GRANULARITY);
	tarn_json_add_u64(result, "min_range", 0);
	tarn_json_add_u64(result, "max_range", RANGE_COUNT - 1);
	tarn_json_add_u64(result, "tsc_rate", RPC_TICK_RATE);
	tarn_rpc_reply(call->req, result);
	free(call);
}

static void
rpc_bdev_get_histogram(struct tarn_rpc_request *req, const struct cJSON *json)
{
	struct histogram_params params;
	struct histogram_call *call;
	struct tarn_bdev *bdev;

	if (tarn_rpc_decode(req, json, &histogram_fields, &params) != 0)
		return;
	bdev = rpc_bdev_need(req, params.name);
	if (bdev == NULL)
		goto out;
	if (!tarn_bdev_histogram_enabled(bdev)) {
		tarn_rpc_fail(req, -EFAULT,
			      "bdev \"%s\" has no histogram; bdev_enable_histogram first",
			      params.name);
		goto out;
	}
	call = calloc(1, sizeof(*call));
	if (call == NULL) {
		tarn_rpc_reply(req, NULL);
		goto out;
	}
	call->req = req;
	call->opc = params.opc;
	tarn_bdev_get_stats(bdev, TARN_STATS_KEEP, true, &call->stats, histogram_done, call);
out:
	tarn_rpc_params_free(&histogram_fields, &params);
}
TARN_RPC_METHOD(
    "bdev_get_histogram", rpc_bdev_get_histogram, histogram_fields,
    "Read the histogram of a bdev's latencies",
    .details = "Buckets are those of SPDK's histogram: 2^granularity for each power of two of "
	       "ticks, and a tick is a nanosecond.",
    .result = "{histogram: base64 of little-endian 64-bit counts, granularity, tsc_rate, …}",
    .alias = "get_bdev_histogram", .example = "{\"name\": \"ram0\"}")
