/* SPDX-License-Identifier: BSD-3-Clause */
/* Settings of devices and of all devices: limits, sampling, SPDK's examine. */
#include <cjson/cJSON.h>
#include <errno.h>

#include "rpc/internal.h"
#include "tarn/bdev_stats.h"

/* Here memory is reserved by --iomem-bytes, and nothing is built on new devices by itself. */
static const struct tarn_rpc_field options_list[] = {
	{ "bdev_io_pool_size", TARN_RPC_INERT, .def = "65535",
	  .help = "SPDK's; see tarnd --iomem-bytes" },
	{ "bdev_io_cache_size", TARN_RPC_INERT, .def = "256", .help = "SPDK's" },
	{ "bdev_auto_examine", TARN_RPC_INERT, .def = "true", .help = "SPDK's" },
	{ "small_buf_pool_size", TARN_RPC_INERT, .def = "8191", .help = "SPDK's, older" },
	{ "large_buf_pool_size", TARN_RPC_INERT, .def = "1023", .help = "SPDK's, older" },
	{ "iobuf_small_cache_size", TARN_RPC_INERT, .def = "128", .help = "SPDK's" },
	{ "iobuf_large_cache_size", TARN_RPC_INERT, .def = "16", .help = "SPDK's" },
};
static const struct tarn_rpc_fields options_fields = {
	options_list, sizeof(options_list) / sizeof(options_list[0]), 0
};

static void
rpc_bdev_set_options(struct tarn_rpc_request *req, const struct cJSON *json)
{
	char none;

	if (tarn_rpc_decode(req, json, &options_fields, &none) == 0)
		tarn_rpc_reply_true(req);
}
TARN_RPC_METHOD("bdev_set_options", rpc_bdev_set_options, options_fields,
		"Set options of all bdevs: SPDK's, none of which has a meaning here",
		.details = "Each is accepted at SPDK's default, so that its configurations load.",
		.result = "true", .alias = "set_bdev_options", .example = "{}",
		.states = TARN_RPC_ALWAYS)

static void
rpc_bdev_wait_for_examine(struct tarn_rpc_request *req, const struct cJSON *json)
{
	char none;

	if (tarn_rpc_decode(req, json, &tarn_rpc_no_fields, &none) == 0)
		tarn_rpc_reply_true(req);
}
TARN_RPC_METHOD(
    "bdev_wait_for_examine", rpc_bdev_wait_for_examine, tarn_rpc_no_fields,
    "Wait until new bdevs have been looked at",
    .details = "A create method answers when its bdev is ready, so this answers at once.",
    .result = "true", .alias = "wait_for_examine", .example = "{}")

static void
rpc_bdev_examine(struct tarn_rpc_request *req, const struct cJSON *json)
{
	struct rpc_name_params params;

	if (tarn_rpc_decode(req, json, &rpc_name_fields, &params) != 0)
		return;
	if (rpc_bdev_need(req, params.name) != NULL)
		tarn_rpc_reply_true(req);
	tarn_rpc_params_free(&rpc_name_fields, &params);
}
TARN_RPC_METHOD(
    "bdev_examine", rpc_bdev_examine, rpc_name_fields, "Look at a bdev again",
    .details = "Nothing is built on a bdev by itself, so that this finds nothing to do.",
    .result = "true", .example = "{\"name\": \"ram0\"}")

struct qos_params {
	char *name;
	uint64_t rw_ios, rw_mbytes, r_mbytes, w_mbytes;
	bool rw_ios_given, rw_mbytes_given, r_mbytes_given, w_mbytes_given;
};
#define QOS_MBYTES_MAX (UINT64_C(1) << 32)
static const struct tarn_rpc_field qos_list[] = {
	{ "name", TARN_RPC_STRING, TARN_RPC_AT(struct qos_params, name), .required = true, .min = 1,
	  .max = TARN_BDEV_NAME_MAX, .help = "Name of the bdev" },
	{ "rw_ios_per_sec", TARN_RPC_U64, TARN_RPC_AT(struct qos_params, rw_ios), .unit = "1/s",
	  .def_help = "unchanged", .given = TARN_RPC_FLAG(struct qos_params, rw_ios_given),
	  .help = "Reads and writes; 0 is no limit" },
	{ "rw_mbytes_per_sec", TARN_RPC_U64, TARN_RPC_AT(struct qos_params, rw_mbytes),
	  .max = QOS_MBYTES_MAX, .unit = "MiB/s", .def_help = "unchanged",
	  .given = TARN_RPC_FLAG(struct qos_params, rw_mbytes_given),
	  .help = "Data read and written; 0 is no limit" },
	{ "r_mbytes_per_sec", TARN_RPC_U64, TARN_RPC_AT(struct qos_params, r_mbytes),
	  .max = QOS_MBYTES_MAX, .unit = "MiB/s", .def_help = "unchanged",
	  .given = TARN_RPC_FLAG(struct qos_params, r_mbytes_given),
	  .help = "Data read; 0 is no limit" },
	{ "w_mbytes_per_sec", TARN_RPC_U64, TARN_RPC_AT(struct qos_params, w_mbytes),
	  .max = QOS_MBYTES_MAX, .unit = "MiB/s", .def_help = "unchanged",
	  .given = TARN_RPC_FLAG(struct qos_params, w_mbytes_given),
	  .help = "Data written; 0 is no limit" },
};
TARN_RPC_FIELDS(qos_fields, struct qos_params, qos_list);

static void
qos_apply(struct tarn_bdev *bdev, const struct qos_params *params)
{
	struct tarn_bdev_qos qos;

	tarn_bdev_get_qos(bdev, &qos);
	if (params->rw_ios_given)
		qos.rw_ios_per_s = params->rw_ios;
	if (params->rw_mbytes_given)
		qos.rw_bytes_per_s = params->rw_mbytes << 20;
	if (params->r_mbytes_given)
		qos.read_bytes_per_s = params->r_mbytes << 20;
	if (params->w_mbytes_given)
		qos.write_bytes_per_s = params->w_mbytes << 20;
	tarn_bdev_set_qos(bdev, &qos);
}

static void
rpc_bdev_set_qos_limit(struct tarn_rpc_request *req, const struct cJSON *json)
{
	struct qos_params params = { 0 };
	struct tarn_bdev *bdev;

	if (tarn_rpc_decode(req, json, &qos_fields, &params) != 0)
		return;
	if (!params.rw_ios_given && !params.rw_mbytes_given && !params.r_mbytes_given &&
	    !params.w_mbytes_given) {
		tarn_rpc_fail(req, -EINVAL,
			      "no limit given: set rw_ios_per_sec, rw_mbytes_per_sec, "
			      "r_mbytes_per_sec or w_mbytes_per_sec");
	} else {
		bdev = rpc_bdev_need(req, params.name);
		if (bdev != NULL) {
			qos_apply(bdev, &params);
			tarn_rpc_reply_true(req);
		}
	}
	tarn_rpc_params_free(&qos_fields, &params);
}
TARN_RPC_METHOD(
    "bdev_set_qos_limit", rpc_bdev_set_qos_limit, qos_fields,
    "Limit I/O of a bdev by number or bytes per second", .result = "true",
    .alias = "set_bdev_qos_limit",
    .example = "{\"name\": \"ram0\", \"rw_ios_per_sec\": 20000, \"r_mbytes_per_sec\": 100}")

struct sampling_params {
	char *name;
	uint64_t period;
};
static const struct tarn_rpc_field sampling_list[] = {
	{ "name", TARN_RPC_STRING, TARN_RPC_AT(struct sampling_params, name), .required = true,
	  .min = 1, .max = TARN_BDEV_NAME_MAX, .help = "Name of the bdev" },
	{ "period", TARN_RPC_U64, TARN_RPC_AT(struct sampling_params, period), .required = true,
	  .min = 100, .max = 3600000000, .zero = true, .unit = "us",
	  .help = "Time between samples; 0 ends them" },
};
TARN_RPC_FIELDS(sampling_fields, struct sampling_params, sampling_list);

static void
rpc_bdev_set_qd_sampling_period(struct tarn_rpc_request *req, const struct cJSON *json)
{
	struct sampling_params params;
	struct tarn_bdev *bdev;

	if (tarn_rpc_decode(req, json, &sampling_fields, &params) != 0)
		return;
	bdev = rpc_bdev_need(req, params.name);
	if (bdev != NULL) {
		int rc = tarn_bdev_set_qd_sampling(bdev, params.period);

		if (rc == 0)
			tarn_rpc_reply_true(req);
		else
			tarn_rpc_fail(req, rc, "bdev \"%s\": out of memory", params.name);
	}
	tarn_rpc_params_free(&sampling_fields, &params);
}
TARN_RPC_METHOD(
    "bdev_set_qd_sampling_period", rpc_bdev_set_qd_sampling_period, sampling_fields,
    "Sample the queue depth of a bdev, for queue_depth, io_time and weighted_io_time in "
    "bdev_get_iostat",
    .result = "true", .alias = "set_bdev_qd_sampling_period",
    .example = "{\"name\": \"ram0\", \"period\": 10000}")
