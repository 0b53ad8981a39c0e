/* SPDX-License-Identifier: BSD-3-Clause */
/* What the methods of all devices share: finding one by name, creating, deleting, common fields. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "rpc/internal.h"
#include "tarn/bdev_opts.h"

static const struct tarn_rpc_field name_list[] = {
	{ "name", TARN_RPC_STRING, TARN_RPC_AT(struct rpc_name_params, name), .required = true,
	  .min = 1, .max = TARN_BDEV_NAME_MAX, .help = "Name or UUID of the bdev" },
};
const struct tarn_rpc_fields rpc_name_fields = { name_list, 1, sizeof(struct rpc_name_params) };

static const struct tarn_rpc_field common_list[] = {
	{ "uuid", TARN_RPC_STRING, TARN_RPC_AT(struct tarn_bdev_common_opts, uuid), .max = 36,
	  .def_help = "a random one",
	  .help = "UUID of the new bdev, which is also an alias of it" },
	{ "queue_depth", TARN_RPC_U32, TARN_RPC_AT(struct tarn_bdev_common_opts, queue_depth),
	  .def = "0", .max = 65536, .def_help = "0: the driver's own", .word = "auto",
	  .word_flag = TARN_RPC_FLAG(struct tarn_bdev_common_opts, queue_depth_auto),
	  .help = "I/Os in the driver at once, on each reactor; auto finds the smallest depth that "
		  "keeps the throughput" },
	{ "background_depth", TARN_RPC_U32,
	  TARN_RPC_AT(struct tarn_bdev_common_opts, background_depth), .def = "0", .max = 65536,
	  .def_help = "0: a quarter", .help = "How many of these background I/O may have" },
	{ "latency_target_us", TARN_RPC_U64,
	  TARN_RPC_AT(struct tarn_bdev_common_opts, latency_target_us), .def = "0", .unit = "us",
	  .def_help = "0: none", .help = "With queue_depth auto: mean latency to stay below" },
};
const struct tarn_rpc_fields rpc_bdev_common_fields = { common_list,
							sizeof(common_list) /
							    sizeof(common_list[0]),
							sizeof(struct tarn_bdev_common_opts) };

static const struct tarn_rpc_field inert_list[] = {
	{ "md_size", TARN_RPC_INERT, .def = "0", .help = "SPDK's; metadata is not supported" },
	{ "dif_type", TARN_RPC_INERT, .def = "0", .help = "SPDK's" },
	{ "dif_is_head_of_md", TARN_RPC_INERT, .def = "false", .help = "SPDK's" },
	{ "dif_pi_format", TARN_RPC_INERT, .def = "0", .help = "SPDK's" },
};
const struct tarn_rpc_fields rpc_bdev_medium_inert_fields = {
	inert_list, sizeof(inert_list) / sizeof(inert_list[0]), 0
};

struct tarn_bdev *
rpc_bdev_find(const char *name)
{
	struct tarn_bdev *bdev = tarn_bdev_find(name);

	if (bdev != NULL)
		return bdev;
	for (bdev = tarn_bdev_next(NULL); bdev != NULL; bdev = tarn_bdev_next(bdev)) {
		struct tarn_bdev_info info;

		tarn_bdev_get_info(bdev, &info);
		if (strcasecmp(info.uuid, name) == 0)
			return bdev;
	}
	return NULL;
}

struct tarn_bdev *
rpc_bdev_need(struct tarn_rpc_request *req, const char *name)
{
	struct tarn_bdev *bdev = rpc_bdev_find(name);

	if (bdev == NULL)
		tarn_rpc_fail(req, -ENODEV, "bdev \"%s\" does not exist; bdev_get_bdevs lists them",
			      name);
	return bdev;
}

struct tarn_bdev *
rpc_bdev_need_driver(struct tarn_rpc_request *req, const char *name, const char *driver)
{
	struct tarn_bdev *bdev = rpc_bdev_need(req, name);
	const char *asked;

	if (bdev == NULL)
		return NULL;
	asked = tarn_bdev_driver_name(bdev);
	if (strcmp(asked, "uring") == 0 || strcmp(asked, "aio") == 0 ||
	    strcmp(asked, "sync") == 0) {
		const struct tarn_bdev_file_opts *opts = tarn_bdev_opts(bdev);

		if (opts->requested_driver != NULL)
			asked = opts->requested_driver;
	}
	if (strcmp(asked, driver) == 0)
		return bdev;
	tarn_rpc_fail(req, -ENODEV, "bdev \"%s\" is not of driver %s but of %s", name, driver,
		      asked);
	return NULL;
}

void
rpc_bdev_created(struct tarn_rpc_request *req, int rc, const struct tarn_bdev *bdev,
		 const struct tarn_reason *reason)
{
	if (rc == 0)
		tarn_rpc_reply_string(req, tarn_bdev_name(bdev));
	else
		tarn_rpc_fail(req, rc, "%s", reason->text);
}

void
rpc_bdev_file_created(void *arg, int status, struct tarn_bdev *bdev,
		      const struct tarn_reason *reason)
{
	rpc_bdev_created(arg, status, bdev, reason);
}

struct delete_call {
	struct tarn_rpc_request *req;
	char name[TARN_BDEV_NAME_MAX + 1];
};

static void
fail_in_use(struct delete_call *call)
{
	struct tarn_bdev *bdev = tarn_bdev_find(call->name);
	struct tarn_bdev_info info = { 0 };

	if (bdev != NULL)
		tarn_bdev_get_info(bdev, &info);
	tarn_rpc_fail(call->req, -EBUSY,
		      "bdev \"%s\" is in use by %u user(s)%s%s; delete what stands on it first",
		      call->name, info.open_count, info.claimed_by != NULL ? ", claimed by " : "",
		      info.claimed_by != NULL ? info.claimed_by : "");
}

static void
delete_done(void *arg, int status)
{
	struct delete_call *call = arg;

	if (status == 0)
		tarn_rpc_reply_true(call->req);
	else if (status == -EBUSY)
		fail_in_use(call);
	else
		tarn_rpc_fail(call->req, status, "bdev \"%s\" is being deleted already",
			      call->name);
	free(call);
}

void
rpc_bdev_delete(struct tarn_rpc_request *req, struct tarn_bdev *bdev)
{
	struct delete_call *call = calloc(1, sizeof(*call));

	if (call == NULL) {
		tarn_rpc_reply(req, NULL);
		return;
	}
	call->req = req;
	snprintf(call->name, sizeof(call->name), "%s", tarn_bdev_name(bdev));
	tarn_bdev_delete(bdev, false, delete_done, call);
}

void
rpc_bdev_rescan(struct tarn_rpc_request *req, const struct cJSON *json)
{
	struct rpc_name_params params;
	struct tarn_reason reason = { "" };
	struct tarn_bdev *bdev;
	int rc;

	if (tarn_rpc_decode(req, json, &rpc_name_fields, &params) != 0)
		return;
	bdev = rpc_bdev_need_driver(req, params.name, tarn_rpc_arg(req));
	if (bdev != NULL) {
		rc = tarn_bdev_control(bdev, TARN_BDEV_RESCAN, NULL, &reason);
		if (rc == 0)
			tarn_rpc_reply_true(req);
		else
			tarn_rpc_fail(req, rc, "%s", reason.text);
	}
	tarn_rpc_params_free(&rpc_name_fields, &params);
}

void
rpc_bdev_driver_delete(struct tarn_rpc_request *req, const struct cJSON *json)
{
	struct rpc_name_params params;
	struct tarn_bdev *bdev;

	if (tarn_rpc_decode(req, json, &rpc_name_fields, &params) != 0)
		return;
	bdev = rpc_bdev_need_driver(req, params.name, tarn_rpc_arg(req));
	if (bdev != NULL)
		rpc_bdev_delete(req, bdev);
	tarn_rpc_params_free(&rpc_name_fields, &params);
}

void
rpc_bdev_free_name(const char *prefix, char *name, size_t name_bytes)
{
	uint32_t number = 0;

	do {
		snprintf(name, name_bytes, "%s%u", prefix, number++);
	} while (tarn_bdev_find(name) != NULL);
}
