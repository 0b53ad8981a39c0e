/* SPDX-License-Identifier: BSD-3-Clause */
/* bdev_get_iostat, bdev_reset_iostat: statistics, gathered from one bdev after the other. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/internal.h"
#include "tarn/bdev_stats.h"
#include "tarn/env.h"
#include "tarn/util.h"

/* SPDK's names; flush and write zeroes are in its form, though not in its list. */
static const struct {
	int op;
	const char *bytes, *ops, *errors, *latency, *latency_max, *latency_min;
} op_names[] = {
#define OP_NAMES(op, name, bytes_name)                                                             \
	{                                                                                          \
		op, "bytes_" bytes_name, "num_" name "_ops", "num_" name "_errors",                \
		    name "_latency_ticks", "max_" name "_latency_ticks",                           \
		    "min_" name "_latency_ticks"                                                   \
	}
	OP_NAMES(TARN_IO_READ, "read", "read"),
	OP_NAMES(TARN_IO_WRITE, "write", "written"),
	OP_NAMES(TARN_IO_DISCARD, "unmap", "unmapped"),
	OP_NAMES(-1, "copy", "copied"),
	OP_NAMES(TARN_IO_FLUSH, "flush", "flushed"),
	OP_NAMES(TARN_IO_WRITE_ZEROES, "write_zeroes", "zeroed"),
};

static void
add_channel_stats(struct cJSON *object, const struct tarn_channel_stats *stats)
{
	static const struct tarn_op_stats none;
	uint64_t error_count = 0;
	struct cJSON *errors;

	for (size_t i = 0; i < tarn_array_count(op_names); i++) {
		const struct tarn_op_stats *op =
		    op_names[i].op < 0 ? &none : &stats->op[op_names[i].op];

		if (op_names[i].op != TARN_IO_FLUSH)
			tarn_json_add_u64(object, op_names[i].bytes, op->bytes);
		tarn_json_add_u64(object, op_names[i].ops, op->count);
		tarn_json_add_u64(object, op_names[i].latency, op->latency_ns);
		tarn_json_add_u64(object, op_names[i].latency_max, op->max_latency_ns);
		tarn_json_add_u64(object, op_names[i].latency_min, op->min_latency_ns);
		tarn_json_add_u64(object, op_names[i].errors, op->error_count);
		error_count += op->error_count;
	}
	errors = cJSON_AddObjectToObject(object, "io_error");
	if (error_count > 0)
		tarn_json_add_u64(errors, "failed", error_count);
	tarn_json_add_u64(object, "current_queue_depth", stats->queue_depth);
	tarn_json_add_u64(object, "max_queue_depth", stats->queue_depth_max);
	tarn_json_add_u64(object, "split_count", stats->split_count);
	tarn_json_add_u64(object, "merge_count", stats->merge_count);
	tarn_json_add_u64(object, "wait_count", stats->wait_count);
	tarn_json_add_u64(object, "driver_submit_count", stats->driver_submit_count);
}

static void
add_percentiles(struct cJSON *object, const struct tarn_bdev_stats *stats)
{
	static const struct {
		const char *name;
		double percent;
	} percents[] = {
		{ "p50", 50 },	   { "p90", 90 },	{ "p99", 99 },
		{ "p99_9", 99.9 }, { "p99_99", 99.99 }, { "max", 100 },
	};
	struct cJSON *all = cJSON_AddObjectToObject(object, "latency_percentiles_ns");

	for (int op = 0; op < TARN_IO_OP_COUNT; op++) {
		struct cJSON *one = cJSON_AddObjectToObject(all, tarn_io_op_name(op));

		tarn_json_add_u64(one, "count", tarn_histogram_count(&stats->histogram[op]));
		for (size_t i = 0; i < tarn_array_count(percents); i++)
			tarn_json_add_u64(one, percents[i].name,
					  tarn_histogram_percentile_ns(&stats->histogram[op],
								       percents[i].percent));
	}
}

static struct cJSON *
bdev_stats_json(struct tarn_bdev *bdev, const struct tarn_bdev_stats *stats, bool percentiles)
{
	struct cJSON *object = cJSON_CreateObject();

	tarn_json_add_text(object, "name", tarn_bdev_name(bdev));
	add_channel_stats(object, &stats->total);
	if (stats->sampling_period_us != 0) {
		tarn_json_add_u64(object, "queue_depth_polling_period", stats->sampling_period_us);
		tarn_json_add_u64(object, "queue_depth", stats->sampled_depth);
		tarn_json_add_u64(object, "io_time", stats->io_time_us);
		tarn_json_add_u64(object, "weighted_io_time", stats->weighted_io_time_us);
	}
	if (percentiles)
		add_percentiles(object, stats);
	return object;
}

/* --- Gathering --- */

struct gather {
	struct tarn_rpc_request *req;
	char **names; /* of the devices, copied: they may go away meanwhile */
	uint32_t count, index;
	bool named; /* the caller named them: one that went away is an error */
	bool per_channel, percentiles, reset_only;
	enum tarn_stats_reset reset;
	struct tarn_bdev *bdev;
	struct cJSON *result, *array;
	struct tarn_bdev_stats stats;
};

static void
gather_free(struct gather *gather)
{
	for (uint32_t i = 0; i < gather->count; i++)
		free(gather->names[i]);
	free(gather->names);
	cJSON_Delete(gather->result);
	free(gather);
}

static void
gather_finish(struct gather *gather)
{
	if (gather->reset_only) {
		tarn_rpc_reply_true(gather->req);
	} else {
		tarn_rpc_reply(gather->req, gather->result);
		gather->result = NULL;
	}
	gather_free(gather);
}

static void
gather_channels(struct gather *gather)
{
	const struct tarn_bdev_stats *stats = &gather->stats;

	for (uint32_t i = 0; i < stats->channel_count; i++) {
		struct cJSON *object = cJSON_CreateObject();

		tarn_json_add_u64(object, "thread_id", stats->channel[i].reactor_index + 1);
		add_channel_stats(object, &stats->channel[i].stats);
		cJSON_AddItemToArray(gather->array, object);
	}
}

static void gather_next(struct gather *gather);

static void
gather_one_done(void *arg, int status)
{
	struct gather *gather = arg;

	if (status != 0) {
		tarn_rpc_fail(gather->req, status, "bdev \"%s\": statistics: %s",
			      gather->names[gather->index], strerror(-status));
		gather_free(gather);
		return;
	}
	if (gather->per_channel)
		gather_channels(gather);
	else if (!gather->reset_only)
		cJSON_AddItemToArray(gather->array, bdev_stats_json(gather->bdev, &gather->stats,
								    gather->percentiles));
	gather->index++;
	gather_next(gather);
}

static void
gather_next(struct gather *gather)
{
	for (; gather->index < gather->count; gather->index++) {
		gather->bdev = rpc_bdev_find(gather->names[gather->index]);
		if (gather->bdev != NULL) {
			tarn_bdev_get_stats(gather->bdev, gather->reset, gather->percentiles,
					    &gather->stats, gather_one_done, gather);
			return;
		}
		if (gather->named) {
			rpc_bdev_need(gather->req, gather->names[gather->index]);
			gather_free(gather);
			return;
		}
	}
	gather_finish(gather);
}

static int
gather_add(struct gather *gather, const char *name)
{
	gather->names[gather->count] = strdup(name);
	return gather->names[gather->count++] != NULL ? 0 : -ENOMEM;
}

/* All of `names`, or every device there is when there are none. */
static int
gather_choose(struct gather *gather, const struct tarn_rpc_strings *names)
{
	uint32_t total = names->count;
	int rc = 0;

	gather->named = total > 0;
	for (struct tarn_bdev *bdev = tarn_bdev_next(NULL); !gather->named && bdev != NULL;
	     bdev = tarn_bdev_next(bdev))
		total++;
	gather->names = calloc((size_t)total + 1, sizeof(*gather->names));
	if (gather->names == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < names->count && rc == 0; i++)
		rc = gather_add(gather, names->items[i]);
	for (struct tarn_bdev *bdev = tarn_bdev_next(NULL);
	     !gather->named && bdev != NULL && rc == 0; bdev = tarn_bdev_next(bdev))
		rc = gather_add(gather, tarn_bdev_name(bdev));
	return rc;
}

static void
gather_start(struct gather *gather, const struct tarn_rpc_strings *names)
{
	if (gather_choose(gather, names) != 0) {
		tarn_rpc_reply(gather->req, NULL);
		gather_free(gather);
		return;
	}
	gather->result = cJSON_CreateObject();
	tarn_json_add_u64(gather->result, "tick_rate", RPC_TICK_RATE);
	tarn_json_add_u64(gather->result, "ticks", tarn_now_ns());
	if (gather->per_channel)
		tarn_json_add_text(gather->result, "name", names->items[0]);
	gather->array =
	    cJSON_AddArrayToObject(gather->result, gather->per_channel ? "channels" : "bdevs");
	gather_next(gather);
}

/* --- bdev_get_iostat, bdev_reset_iostat --- */

static const struct tarn_rpc_name reset_names[] = {
	{ "none", TARN_STATS_KEEP },
	{ "all", TARN_STATS_RESET_ALL },
	{ "maxmin", TARN_STATS_RESET_MAXMIN },
	{ "error", TARN_STATS_RESET_ERRORS },
	{ NULL, 0 },
};

struct iostat_params {
	char *name;
	struct tarn_rpc_strings names;
	bool per_channel, percentiles;
	int reset_mode;
};
static const struct tarn_rpc_field iostat_list[] = {
	{ "name", TARN_RPC_STRING, TARN_RPC_AT(struct iostat_params, name), .min = 1,
	  .max = TARN_BDEV_NAME_MAX, .def_help = "all", .help = "Name of one bdev" },
	{ "names", TARN_RPC_STRINGS, TARN_RPC_AT(struct iostat_params, names), .min = 1,
	  .def_help = "all", .help = "Names of bdevs, instead of name" },
	{ "per_channel", TARN_RPC_BOOL, TARN_RPC_AT(struct iostat_params, per_channel),
	  .def = "false", .help = "Tell of each reactor's channel; for one bdev" },
	{ "reset_mode", TARN_RPC_ENUM, TARN_RPC_AT(struct iostat_params, reset_mode),
	  .def = "\"none\"", .names = reset_names,
	  .help = "What to begin again, in the same moment in which it is read" },
	{ "percentiles", TARN_RPC_BOOL, TARN_RPC_AT(struct iostat_params, percentiles),
	  .def = "false", .help = "Add percentiles of latency" },
};
TARN_RPC_FIELDS(iostat_fields, struct iostat_params, iostat_list);

static void
rpc_bdev_get_iostat(struct tarn_rpc_request *req, const struct cJSON *json)
{
	struct iostat_params params = { 0 };
	struct tarn_rpc_strings one = { &params.name, 1 };
	struct tarn_rpc_strings *names;
	struct gather *gather;

	if (tarn_rpc_decode(req, json, &iostat_fields, &params) != 0)
		return;
	names = params.name != NULL ? &one : &params.names;
	if (params.name != NULL && params.names.count > 0) {
		tarn_rpc_refuse(req, "names: not together with name");
	} else if (params.per_channel && names->count != 1) {
		tarn_rpc_refuse(req, "per_channel: only for one bdev; give its name");
	} else if ((gather = calloc(1, sizeof(*gather))) == NULL) {
		tarn_rpc_reply(req, NULL);
	} else {
		gather->req = req;
		gather->per_channel = params.per_channel;
		gather->percentiles = params.percentiles;
		gather->reset = (enum tarn_stats_reset)params.reset_mode;
		gather_start(gather, names);
	}
	tarn_rpc_params_free(&iostat_fields, &params);
}
TARN_RPC_METHOD(
    "bdev_get_iostat", rpc_bdev_get_iostat, iostat_fields, "Read the I/O statistics of bdevs",
    .details = "A tick is a nanosecond. With per_channel the answer has channels instead of bdevs, "
	       "each with the thread_id of thread_get_stats.",
    .result = "{tick_rate, ticks, bdevs: [{name, bytes_read, num_read_ops, …}]}",
    .alias = "get_bdevs_iostat", .example = "{\"percentiles\": true}")

struct reset_params {
	char *name;
	int mode;
};
static const struct tarn_rpc_field reset_list[] = {
	{ "name", TARN_RPC_STRING, TARN_RPC_AT(struct reset_params, name), .min = 1,
	  .max = TARN_BDEV_NAME_MAX, .def_help = "all", .help = "Name of one bdev" },
	{ "mode", TARN_RPC_ENUM, TARN_RPC_AT(struct reset_params, mode), .def = "\"all\"",
	  .names = reset_names, .help = "What to begin again" },
};
TARN_RPC_FIELDS(reset_fields, struct reset_params, reset_list);

static void
rpc_bdev_reset_iostat(struct tarn_rpc_request *req, const struct cJSON *json)
{
	struct reset_params params = { 0 };
	struct gather *gather;

	if (tarn_rpc_decode(req, json, &reset_fields, &params) != 0)
		return;
	gather = calloc(1, sizeof(*gather));
	if (gather == NULL) {
		tarn_rpc_reply(req, NULL);
	} else {
		gather->req = req;
		gather->reset_only = true;
		gather->reset = (enum tarn_stats_reset)params.mode;
		gather_start(gather, &(struct tarn_rpc_strings){ &params.name,
								 params.name != NULL ? 1 : 0 });
	}
	tarn_rpc_params_free(&reset_fields, &params);
}
TARN_RPC_METHOD("bdev_reset_iostat", rpc_bdev_reset_iostat, reset_fields,
		"Begin the I/O statistics of bdevs again", .result = "true", .example = "{}")
