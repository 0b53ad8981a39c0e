/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The methods that the lab's daemon has beside tarnd's: single I/Os, and load that knows what must
 * be there (load.h).
 */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tarn/env.h"
#include "tarn/rpc.h"
#include "test/lab/daemon/load.h"

static const struct tarn_rpc_name op_names[] = {
	{ "read", TARN_IO_READ },
	{ "write", TARN_IO_WRITE },
	{ "flush", TARN_IO_FLUSH },
	{ "discard", TARN_IO_DISCARD },
	{ "write_zeroes", TARN_IO_WRITE_ZEROES },
	{ NULL, 0 },
};

/* --- Single I/Os --- */

struct io_params {
	const char *bdev_name;
	int op;
	uint64_t offset_bytes, length_bytes;
	uint32_t fill;
	bool fua;
};
static const struct tarn_rpc_field io_list[] = {
	{ "bdev_name", TARN_RPC_STRING, TARN_RPC_AT(struct io_params, bdev_name), .required = true,
	  .help = "Name of the bdev" },
	{ "op", TARN_RPC_ENUM, TARN_RPC_AT(struct io_params, op), .required = true,
	  .names = op_names, .help = "Operation" },
	{ "offset_bytes", TARN_RPC_SIZE, TARN_RPC_AT(struct io_params, offset_bytes), .def = "0",
	  .help = "First byte" },
	{ "length_bytes", TARN_RPC_SIZE, TARN_RPC_AT(struct io_params, length_bytes), .def = "4096",
	  .max = 16 << 20, .help = "How many" },
	{ "fill", TARN_RPC_U32, TARN_RPC_AT(struct io_params, fill), .def = "0", .max = 255,
	  .help = "Byte to write, or to find in a read" },
	{ "fua", TARN_RPC_BOOL, TARN_RPC_AT(struct io_params, fua), .def = "false",
	  .help = "Force unit access" },
};
TARN_RPC_FIELDS(io_fields, struct io_params, io_list);

struct one_io {
	struct tarn_rpc_request *req;
	struct tarn_bdev_desc *desc;
	struct tarn_channel *channel;
	struct tarn_io io;
	struct io_params params;
	uint8_t *data;
};

static void
one_end(struct one_io *one)
{
	if (one->channel != NULL)
		tarn_channel_put(one->channel);
	if (one->desc != NULL)
		tarn_bdev_close(one->desc);
	if (one->data != NULL)
		tarn_iobuf_put(one->data);
	free(one);
}

static void
one_done(void *arg, int status)
{
	struct one_io *one = arg;
	struct cJSON *result = cJSON_CreateObject();
	bool filled = true;

	for (uint64_t i = 0; one->params.op == TARN_IO_READ && i < one->params.length_bytes; i++)
		filled = filled && one->data[i] == one->params.fill;
	tarn_json_add_i64(result, "status", status);
	cJSON_AddStringToObject(result, "error", status == 0 ? "" : strerrorname_np(-status));
	cJSON_AddBoolToObject(result, "filled", filled);
	tarn_rpc_reply(one->req, result);
	one_end(one);
}

static void
one_submit(struct one_io *one)
{
	const struct io_params *params = &one->params;
	uint32_t flags = params->fua ? TARN_IO_FUA : 0;

	switch (params->op) {
	case TARN_IO_READ:
		tarn_bdev_read(one->channel, &one->io, one->data, params->length_bytes,
			       params->offset_bytes, 0, one_done, one);
		break;
	case TARN_IO_WRITE:
		memset(one->data, (int)params->fill, params->length_bytes);
		tarn_bdev_write(one->channel, &one->io, one->data, params->length_bytes,
				params->offset_bytes, flags, one_done, one);
		break;
	case TARN_IO_FLUSH:
		tarn_bdev_flush(one->channel, &one->io, one_done, one);
		break;
	case TARN_IO_DISCARD:
		tarn_bdev_discard(one->channel, &one->io, params->offset_bytes,
				  params->length_bytes, flags, one_done, one);
		break;
	default:
		tarn_bdev_write_zeroes(one->channel, &one->io, params->offset_bytes,
				       params->length_bytes, flags, one_done, one);
		break;
	}
}

static void
rpc_lab_io(struct tarn_rpc_request *req, const struct cJSON *json)
{
	struct io_params params = { 0 };
	struct one_io *one;
	int status;

	if (tarn_rpc_decode(req, json, &io_fields, &params) != 0)
		return;
	one = calloc(1, sizeof(*one));
	if (one == NULL) {
		tarn_rpc_fail(req, -ENOMEM, "lab_io: no memory");
		tarn_rpc_params_free(&io_fields, &params);
		return;
	}
	one->req = req;
	one->params = params;
	status =
	    tarn_bdev_open(params.bdev_name, params.op != TARN_IO_READ, NULL, NULL, &one->desc);
	if (status == 0)
		status = tarn_channel_get(one->desc, &one->channel);
	if (status == 0) {
		one->data = tarn_iobuf_get(params.length_bytes);
		status = one->data != NULL ? 0 : -ENOMEM;
	}
	if (status == 0) {
		one_submit(one);
	} else {
		tarn_rpc_fail(req, status, "bdev %s: %s", params.bdev_name, strerror(-status));
		one_end(one);
	}
	tarn_rpc_params_free(&io_fields, &params);
}
TARN_RPC_METHOD("lab_io", rpc_lab_io, io_fields, "Carry out one I/O on a bdev",
		.example = "{\"bdev_name\": \"ram0\", \"op\": \"read\"}")

/* --- Load --- */

struct load_params {
	const char *name, *bdev_name;
	uint64_t block_count, seed;
	struct load_opts opts;
};
#define NAME_FIELD                                                                                 \
	{                                                                                          \
		"name", TARN_RPC_STRING, TARN_RPC_AT(struct load_params, name),                    \
		    .required = true, .min = 1, .max = LOAD_NAME_MAX, .help = "Name of the load"   \
	}
#define BDEV_FIELD                                                                                 \
	{                                                                                          \
		"bdev_name", TARN_RPC_STRING, TARN_RPC_AT(struct load_params, bdev_name),          \
		    .required = true, .help = "Name of the bdev"                                   \
	}
static const struct tarn_rpc_field create_list[] = {
	NAME_FIELD,
	{ "blocks", TARN_RPC_U64, TARN_RPC_AT(struct load_params, block_count), .required = true,
	  .min = LOAD_DEPTH_MAX + 1, .max = 1 << 20, .help = "Blocks of 4096 bytes that it uses" },
	{ "seed", TARN_RPC_U64, TARN_RPC_AT(struct load_params, seed), .def = "1",
	  .help = "Of what it does" },
};
static const struct tarn_rpc_field start_list[] = {
	NAME_FIELD,
	BDEV_FIELD,
	{ "depth", TARN_RPC_U32, TARN_RPC_AT(struct load_params, opts.depth), .def = "8", .min = 1,
	  .max = LOAD_DEPTH_MAX, .help = "I/Os in flight" },
	{ "read_percent", TARN_RPC_U32, TARN_RPC_AT(struct load_params, opts.read_percent),
	  .def = "50", .max = 100, .help = "Reads among 100 I/Os" },
	{ "fua_percent", TARN_RPC_U32, TARN_RPC_AT(struct load_params, opts.fua_percent),
	  .def = "0", .max = 100, .help = "FUA among 100 writes" },
	{ "flush_every", TARN_RPC_U32, TARN_RPC_AT(struct load_params, opts.flush_every),
	  .def = "0", .help = "A flush after so many I/Os" },
	{ "io_count", TARN_RPC_U64, TARN_RPC_AT(struct load_params, opts.io_count), .def = "0",
	  .help = "End after so many; 0: when stopped" },
};
static const struct tarn_rpc_field name_list[] = { NAME_FIELD };
static const struct tarn_rpc_field check_list[] = { NAME_FIELD, BDEV_FIELD };
TARN_RPC_FIELDS(create_fields, struct load_params, create_list);
TARN_RPC_FIELDS(start_fields, struct load_params, start_list);
TARN_RPC_FIELDS(name_fields, struct load_params, name_list);
TARN_RPC_FIELDS(check_fields, struct load_params, check_list);

/* \return the load, or NULL: it has answered. */
static struct load *
need_load(struct tarn_rpc_request *req, const char *name)
{
	struct load *load = load_find(name);

	if (load == NULL)
		tarn_rpc_fail(req, -ENOENT, "there is no load %s", name);
	return load;
}

static void
answer(struct tarn_rpc_request *req, int status, const char *what)
{
	if (status == 0)
		tarn_rpc_reply_true(req);
	else
		tarn_rpc_fail(req, status, "%s: %s", what, strerror(-status));
}

static void
reply_stats(struct tarn_rpc_request *req, const struct load_stats *stats)
{
	struct cJSON *result = cJSON_CreateObject();
	struct cJSON *ok = cJSON_AddObjectToObject(result, "ok");
	struct cJSON *errors = cJSON_AddObjectToObject(result, "errors");
	struct cJSON *by_errno = cJSON_AddObjectToObject(result, "by_errno");

	for (int op = 0; op < TARN_IO_OP_COUNT; op++) {
		tarn_json_add_u64(ok, tarn_io_op_name((enum tarn_io_op)op), stats->ok_count[op]);
		tarn_json_add_u64(errors, tarn_io_op_name((enum tarn_io_op)op),
				  stats->error_count[op]);
	}
	for (int i = 1; i < LOAD_ERRNO_MAX; i++) {
		if (stats->by_errno[i] > 0)
			tarn_json_add_u64(by_errno, strerrorname_np(i), stats->by_errno[i]);
	}
	tarn_json_add_u64(result, "wrong", stats->wrong_count);
	cJSON_AddBoolToObject(result, "running", stats->running);
	cJSON_AddBoolToObject(result, "removed", stats->removed);
	tarn_rpc_reply(req, result);
}

static void
rpc_lab_load_create(struct tarn_rpc_request *req, const struct cJSON *json)
{
	struct load_params params = { 0 };
	bool made;

	if (tarn_rpc_decode(req, json, &create_fields, &params) != 0)
		return;
	made = load_create(params.name, params.block_count, params.seed) != NULL;
	answer(req, made ? 0 : -EEXIST, params.name);
	tarn_rpc_params_free(&create_fields, &params);
}
TARN_RPC_METHOD("lab_load_create", rpc_lab_load_create, create_fields,
		"Begin a record of what blocks must hold",
		.example = "{\"name\": \"a\", \"blocks\": 1000}")

static void
rpc_lab_load_start(struct tarn_rpc_request *req, const struct cJSON *json)
{
	struct load_params params = { 0 };
	struct load *load;

	if (tarn_rpc_decode(req, json, &start_fields, &params) != 0)
		return;
	load = need_load(req, params.name);
	if (load != NULL)
		answer(req, load_start(load, params.bdev_name, &params.opts), params.bdev_name);
	tarn_rpc_params_free(&start_fields, &params);
}
TARN_RPC_METHOD("lab_load_start", rpc_lab_load_start, start_fields, "Put load on a bdev",
		.example = "{\"name\": \"a\", \"bdev_name\": \"ram0\"}")

static void
rpc_lab_load_get(struct tarn_rpc_request *req, const struct cJSON *json)
{
	struct load_params params = { 0 };
	struct load *load;

	if (tarn_rpc_decode(req, json, &name_fields, &params) != 0)
		return;
	load = need_load(req, params.name);
	if (load != NULL)
		reply_stats(req, load_stats(load));
	tarn_rpc_params_free(&name_fields, &params);
}
TARN_RPC_METHOD("lab_load_get", rpc_lab_load_get, name_fields, "Count what a load did",
		.example = "{\"name\": \"a\"}")

static void
rpc_lab_load_delete(struct tarn_rpc_request *req, const struct cJSON *json)
{
	struct load_params params = { 0 };
	struct load *load;

	if (tarn_rpc_decode(req, json, &name_fields, &params) != 0)
		return;
	load = need_load(req, params.name);
	if (load != NULL && load_stats(load)->running) {
		answer(req, -EBUSY, params.name);
	} else if (load != NULL) {
		load_delete(load);
		tarn_rpc_reply_true(req);
	}
	tarn_rpc_params_free(&name_fields, &params);
}
TARN_RPC_METHOD("lab_load_delete", rpc_lab_load_delete, name_fields, "Forget a load and its record",
		.example = "{\"name\": \"a\"}")

/* Whom to answer when a load has stopped, or checked. */
struct waiter {
	struct tarn_rpc_request *req;
	struct load *load;
};

static void
stop_done(void *arg, int status)
{
	struct waiter *waiter = arg;

	(void)status;
	reply_stats(waiter->req, load_stats(waiter->load));
	free(waiter);
}

static void
check_done(void *arg, int status)
{
	struct waiter *waiter = arg;
	const struct load_check *check = load_check(waiter->load);
	struct cJSON *result = cJSON_CreateObject();

	(void)status;
	tarn_json_add_u64(result, "checked", check->checked_count);
	tarn_json_add_u64(result, "lost", check->lost_count);
	tarn_json_add_u64(result, "wrong", check->wrong_count);
	tarn_json_add_u64(result, "errors", check->error_count);
	tarn_rpc_reply(waiter->req, result);
	free(waiter);
}

static struct waiter *
waiter_new(struct tarn_rpc_request *req, const char *name)
{
	struct load *load = need_load(req, name);
	struct waiter *waiter = load != NULL ? malloc(sizeof(*waiter)) : NULL;

	if (waiter != NULL)
		*waiter = (struct waiter){ .req = req, .load = load };
	else if (load != NULL)
		tarn_rpc_fail(req, -ENOMEM, "%s: no memory", name);
	return waiter;
}

static void
rpc_lab_load_stop(struct tarn_rpc_request *req, const struct cJSON *json)
{
	struct load_params params = { 0 };
	struct waiter *waiter;

	if (tarn_rpc_decode(req, json, &name_fields, &params) != 0)
		return;
	waiter = waiter_new(req, params.name);
	if (waiter != NULL)
		load_stop(waiter->load, stop_done, waiter);
	tarn_rpc_params_free(&name_fields, &params);
}
TARN_RPC_METHOD("lab_load_stop", rpc_lab_load_stop, name_fields,
		"Stop a load, wait for its I/O, and count", .example = "{\"name\": \"a\"}")

static void
rpc_lab_load_check(struct tarn_rpc_request *req, const struct cJSON *json)
{
	struct load_params params = { 0 };
	struct waiter *waiter;
	int status;

	if (tarn_rpc_decode(req, json, &check_fields, &params) != 0)
		return;
	waiter = waiter_new(req, params.name);
	if (waiter != NULL) {
		status = load_check_start(waiter->load, params.bdev_name, check_done, waiter);
		if (status != 0) {
			answer(req, status, params.bdev_name);
			free(waiter);
		}
	}
	tarn_rpc_params_free(&check_fields, &params);
}
TARN_RPC_METHOD("lab_load_check", rpc_lab_load_check, check_fields,
		"Read all that a load wrote and say what is not as it must be",
		.example = "{\"name\": \"a\", \"bdev_name\": \"ram0\"}")
