/* SPDX-License-Identifier: BSD-3-Clause */
/* bdev_probe: which driver is fastest on a file or device. */
#include <cjson/cJSON.h>
#include <errno.h>

#include "rpc/internal.h"
#include "tarn/bdev_probe.h"

static const struct tarn_rpc_field probe_list[] = {
	{ "filename", TARN_RPC_STRING, TARN_RPC_AT(struct tarn_bdev_probe_opts, filename),
	  .required = true, .min = 1,
	  .help = "Block device, NVMe namespace (/dev/ngXnY) or regular file; it may be in use" },
	{ "block_size", TARN_RPC_U32, TARN_RPC_AT(struct tarn_bdev_probe_opts, block_size),
	  .def = "4096", .min = 512, .max = 1048576, .pow2 = true, .unit = "bytes",
	  .help = "Bytes of one read" },
	{ "queue_depth", TARN_RPC_U32, TARN_RPC_AT(struct tarn_bdev_probe_opts, queue_depth),
	  .def = "32", .min = 1, .max = TARN_PROBE_DEPTH_MAX,
	  .help = "Reads at once in the second measurement; the first has one" },
	{ "duration_ms", TARN_RPC_U32, TARN_RPC_AT(struct tarn_bdev_probe_opts, duration_ms),
	  .def = "200", .min = 1, .max = TARN_PROBE_DURATION_MS_MAX, .unit = "ms",
	  .help = "Length of each measurement" },
	{ "direct", TARN_RPC_BOOL, TARN_RPC_AT(struct tarn_bdev_probe_opts, buffered),
	  .def = "true", .invert = true, .help = "Go past the page cache (O_DIRECT)" },
};
TARN_RPC_FIELDS(probe_fields, struct tarn_bdev_probe_opts, probe_list);

static void
add_figures(struct cJSON *object, const char *name, const struct tarn_bdev_probe_figures *figures)
{
	struct cJSON *own = cJSON_AddObjectToObject(object, name);

	tarn_json_add_u64(own, "ios_per_s", figures->ios_per_s);
	tarn_json_add_u64(own, "mean_latency_ns", figures->mean_latency_ns);
	tarn_json_add_u64(own, "cpu_ns_per_io", figures->cpu_ns_per_io);
}

static struct cJSON *
result_json(const struct tarn_bdev_probe_result *result)
{
	struct cJSON *object = cJSON_CreateObject();

	cJSON_AddStringToObject(object, "driver", result->driver);
	cJSON_AddStringToObject(object, "mode", result->mode);
	cJSON_AddBoolToObject(object, "works", result->status == 0);
	if (result->status != 0) {
		tarn_json_add_i64(object, "status", result->status);
		tarn_json_add_text(object, "reason", result->reason.text);
	} else {
		add_figures(object, "single", &result->single);
		add_figures(object, "deep", &result->deep);
	}
	return object;
}

static void
add_fastest(struct cJSON *object, const char *name, const struct tarn_bdev_probe_report *report,
	    int index)
{
	struct cJSON *fastest;

	if (index < 0) {
		cJSON_AddNullToObject(object, name);
		return;
	}
	fastest = cJSON_AddObjectToObject(object, name);
	cJSON_AddStringToObject(fastest, "driver", report->result[index].driver);
	cJSON_AddStringToObject(fastest, "mode", report->result[index].mode);
}

/* Who waits for the probe to end; there is one at a time. */
static struct {
	bool running;
	void (*stopped)(void *arg);
	void *stopped_arg;
} current;

void
rpc_bdev_probe_stop(void (*done)(void *arg), void *arg)
{
	if (!current.running) {
		done(arg);
		return;
	}
	current.stopped = done;
	current.stopped_arg = arg;
	tarn_bdev_probe_cancel();
}

static void
probe_reply(struct tarn_rpc_request *req, int status, const struct tarn_bdev_probe_report *report)
{
	struct cJSON *object, *results;

	if (status != 0) {
		tarn_rpc_fail(req, status, "bdev_probe: the daemon ends before it has measured");
		return;
	}
	object = cJSON_CreateObject();
	tarn_json_add_u64(object, "block_size", report->block_size);
	tarn_json_add_u64(object, "queue_depth", report->queue_depth);
	tarn_json_add_u64(object, "duration_ms", report->duration_ms);
	add_fastest(object, "fastest", report, report->fastest);
	add_fastest(object, "fastest_single", report, report->fastest_single);
	results = cJSON_AddArrayToObject(object, "results");
	for (uint32_t i = 0; i < report->count; i++)
		cJSON_AddItemToArray(results, result_json(&report->result[i]));
	tarn_rpc_reply(req, object);
}

static void
probe_done(void *arg, int status, const struct tarn_bdev_probe_report *report)
{
	probe_reply(arg, status, report);
	current.running = false;
	if (current.stopped != NULL)
		current.stopped(current.stopped_arg);
}

static void
rpc_bdev_probe(struct tarn_rpc_request *req, const struct cJSON *json)
{
	struct tarn_bdev_probe_opts params = { 0 };
	struct tarn_reason reason = { "" };
	int rc;

	if (tarn_rpc_decode(req, json, &probe_fields, &params) != 0)
		return;
	rc = tarn_bdev_probe(&params, probe_done, req, &reason);
	if (rc != 0)
		tarn_rpc_fail(req, rc, "%s", reason.text);
	else
		current.running = true;
	tarn_rpc_params_free(&probe_fields, &params);
}
TARN_RPC_METHOD(
    "bdev_probe", rpc_bdev_probe, probe_fields,
    "Measure which driver reads a file or device fastest",
    .details = "Reads at random, never writes. Each driver and mode is measured with one read at a "
	       "time and with queue_depth of them.",
    .result = "{fastest: {driver, mode}, fastest_single, results: [{driver, mode, works, single, "
	      "deep}], …}",
    .example = "{\"filename\": \"disk0.img\", \"duration_ms\": 20}")
