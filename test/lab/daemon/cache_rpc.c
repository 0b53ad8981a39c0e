/* SPDX-License-Identifier: BSD-3-Clause */
/* The lab's methods for caches: load with a record of what must be there (cache_load.h). */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tarn/rpc.h"
#include "test/lab/daemon/cache_load.h"

struct params {
	const char *name, *path;
	struct record_head like;
	struct cache_load_opts load;
	struct cache_check_opts check;
};
#define NAME_FIELD                                                                                 \
	{                                                                                          \
		"name", TARN_RPC_STRING, TARN_RPC_AT(struct params, name),                         \
		    .required = true, .min = 1, .max = CACHE_LOAD_NAME_MAX,                        \
		    .help = "Name of the load"                                                     \
	}
#define CACHE_FIELD(member)                                                                        \
	{                                                                                          \
		"cache_name", TARN_RPC_STRING, TARN_RPC_AT(struct params, member),                 \
		    .required = true, .help = "Name of the cache"                                  \
	}
static const struct tarn_rpc_field create_list[] = {
	NAME_FIELD,
	{ "record", TARN_RPC_STRING, TARN_RPC_AT(struct params, path), .required = true,
	  .help = "File of the record: a new one, or one to go on with" },
	{ "objects", TARN_RPC_U32, TARN_RPC_AT(struct params, like.object_count), .def = "600",
	  .max = 100000, .help = "Of a new record: objects" },
	{ "blocks", TARN_RPC_U32, TARN_RPC_AT(struct params, like.block_count), .def = "200",
	  .min = 2 * CACHE_LOAD_DEPTH_MAX, .max = 100000,
	  .help = "Of a new record: blocks of 4096 bytes" },
	{ "seed", TARN_RPC_U64, TARN_RPC_AT(struct params, like.seed), .def = "1",
	  .help = "Of what it does; of a new record: of what it stores" },
};
static const struct tarn_rpc_field start_list[] = {
	NAME_FIELD,
	CACHE_FIELD(load.cache_name),
	{ "depth", TARN_RPC_U32, TARN_RPC_AT(struct params, load.depth), .def = "8", .min = 1,
	  .max = CACHE_LOAD_DEPTH_MAX, .help = "Requests in flight" },
	{ "read_percent", TARN_RPC_U32, TARN_RPC_AT(struct params, load.read_percent), .def = "30",
	  .max = 90, .help = "Lookups among 100 requests" },
	{ "durable_percent", TARN_RPC_U32, TARN_RPC_AT(struct params, load.durable_percent),
	  .def = "0", .max = 100, .help = "Durable ones among 100 changes" },
	{ "flush_every", TARN_RPC_U32, TARN_RPC_AT(struct params, load.flush_every), .def = "0",
	  .help = "A flush after so many requests" },
	{ "mark_every", TARN_RPC_U32, TARN_RPC_AT(struct params, load.mark_every), .def = "20",
	  .help = "A mark after so many requests, where there is mark_bdev_name" },
	{ "mark_bdev_name", TARN_RPC_STRING, TARN_RPC_AT(struct params, load.mark_bdev_name),
	  .help = "Write the record to this bdev's first blocks, time and again" },
	{ "io_count", TARN_RPC_U64, TARN_RPC_AT(struct params, load.io_count), .def = "0",
	  .help = "End after so many; 0: when stopped" },
	{ "evict", TARN_RPC_BOOL, TARN_RPC_AT(struct params, load.evict), .def = "false",
	  .help = "Objects may have left the cache" },
};
static const struct tarn_rpc_field name_list[] = { NAME_FIELD };
static const struct tarn_rpc_field check_list[] = {
	NAME_FIELD,
	CACHE_FIELD(check.cache_name),
	{ "durable", TARN_RPC_BOOL, TARN_RPC_AT(struct params, check.rules.durable), .def = "false",
	  .help = "Power was lost: flushed is what must be there" },
	{ "evict", TARN_RPC_BOOL, TARN_RPC_AT(struct params, check.rules.evict), .def = "false",
	  .help = "Objects may have left the cache" },
	{ "failed", TARN_RPC_BOOL, TARN_RPC_AT(struct params, check.rules.failed), .def = "false",
	  .help = "Stores failed: what they were to replace may be gone" },
	{ "settle", TARN_RPC_BOOL, TARN_RPC_AT(struct params, check.settle), .def = "false",
	  .help = "From now on what is found must be there" },
};
TARN_RPC_FIELDS(create_fields, struct params, create_list);
TARN_RPC_FIELDS(start_fields, struct params, start_list);
TARN_RPC_FIELDS(name_fields, struct params, name_list);
TARN_RPC_FIELDS(check_fields, struct params, check_list);

/* Whom to answer later. */
struct waiter {
	struct tarn_rpc_request *req;
	struct cache_load *load;
};

/* \return a waiter for the load of that name, or NULL: it has answered. */
static struct waiter *
waiter_new(struct tarn_rpc_request *req, const char *name)
{
	struct cache_load *load = cache_load_find(name);
	struct waiter *waiter;

	if (load == NULL) {
		tarn_rpc_fail(req, -ENOENT, "there is no load %s", name);
		return NULL;
	}
	waiter = malloc(sizeof(*waiter));
	if (waiter == NULL)
		tarn_rpc_fail(req, -ENOMEM, "%s: no memory", name);
	else
		*waiter = (struct waiter){ .req = req, .load = load };
	return waiter;
}

static void
answer_stats(struct tarn_rpc_request *req, const struct cache_load_stats *stats)
{
	static const char *const kinds[] = { "lookup", "store", "remove", "touch" };
	struct cJSON *result = cJSON_CreateObject();
	struct cJSON *ok = cJSON_AddObjectToObject(result, "ok");
	struct cJSON *errors = cJSON_AddObjectToObject(result, "errors");
	struct cJSON *by_errno = cJSON_AddObjectToObject(result, "by_errno");

	for (int kind = 0; kind < SLOT_KIND_COUNT; kind++) {
		tarn_json_add_u64(ok, kinds[kind], stats->ok_count[kind]);
		tarn_json_add_u64(errors, kinds[kind], stats->error_count[kind]);
	}
	tarn_json_add_u64(ok, "flush", stats->flush_count);
	tarn_json_add_u64(errors, "flush", stats->flush_error_count);
	tarn_json_add_u64(ok, "mark", stats->mark_count);
	tarn_json_add_u64(errors, "mark", stats->mark_error_count);
	for (int i = 1; i < CACHE_LOAD_ERRNO_MAX; i++) {
		if (stats->by_errno[i] > 0)
			tarn_json_add_u64(by_errno, strerrorname_np(i), stats->by_errno[i]);
	}
	tarn_json_add_u64(result, "hits", stats->hit_count);
	tarn_json_add_u64(result, "bad", stats->bad_count);
	tarn_json_add_u64(result, "lost", stats->lost_count);
	tarn_json_add_u64(result, "wrong", stats->wrong_count);
	cJSON_AddStringToObject(result, "first_wrong", stats->first_wrong);
	cJSON_AddBoolToObject(result, "running", stats->running);
	tarn_rpc_reply(req, result);
}

static void
rpc_lab_cache_create(struct tarn_rpc_request *req, const struct cJSON *json)
{
	struct params params = { 0 };
	int status;

	if (tarn_rpc_decode(req, json, &create_fields, &params) != 0)
		return;
	status = cache_load_create(params.name, params.path, &params.like);
	if (status == 0)
		tarn_rpc_reply_true(req);
	else
		tarn_rpc_fail(req, status, "load %s on %s: %s", params.name, params.path,
			      strerror(-status));
	tarn_rpc_params_free(&create_fields, &params);
}
TARN_RPC_METHOD("lab_cache_create", rpc_lab_cache_create, create_fields,
		"Begin a record of what a cache must hold, or go on with one",
		.example = "{\"name\": \"a\", \"record\": \"/dev/shm/a\"}")

static void
start_done(void *arg, int status)
{
	struct waiter *waiter = arg;

	if (status == 0)
		tarn_rpc_reply_true(waiter->req);
	else
		tarn_rpc_fail(waiter->req, status, "the load does not start: %s",
			      strerror(-status));
	free(waiter);
}

static void
rpc_lab_cache_start(struct tarn_rpc_request *req, const struct cJSON *json)
{
	struct params params = { 0 };
	struct waiter *waiter;

	if (tarn_rpc_decode(req, json, &start_fields, &params) != 0)
		return;
	waiter = waiter_new(req, params.name);
	if (waiter != NULL)
		cache_load_start(waiter->load, &params.load, start_done, waiter);
	tarn_rpc_params_free(&start_fields, &params);
}
TARN_RPC_METHOD("lab_cache_start", rpc_lab_cache_start, start_fields, "Put load on a cache",
		.example = "{\"name\": \"a\", \"cache_name\": \"c0\"}")

static void
stop_done(void *arg, int status)
{
	struct waiter *waiter = arg;

	(void)status;
	answer_stats(waiter->req, cache_load_stats(waiter->load));
	free(waiter);
}

/* Get, stop and delete: they differ in what is done with the load first. */
static void
rpc_lab_cache_get(struct tarn_rpc_request *req, const struct cJSON *json)
{
	struct params params = { 0 };
	struct waiter *waiter;

	if (tarn_rpc_decode(req, json, &name_fields, &params) != 0)
		return;
	waiter = waiter_new(req, params.name);
	if (waiter != NULL)
		stop_done(waiter, 0);
	tarn_rpc_params_free(&name_fields, &params);
}
TARN_RPC_METHOD("lab_cache_get", rpc_lab_cache_get, name_fields, "Count what a cache's load did",
		.example = "{\"name\": \"a\"}")

static void
rpc_lab_cache_stop(struct tarn_rpc_request *req, const struct cJSON *json)
{
	struct params params = { 0 };
	struct waiter *waiter;

	if (tarn_rpc_decode(req, json, &name_fields, &params) != 0)
		return;
	waiter = waiter_new(req, params.name);
	if (waiter != NULL)
		cache_load_stop(waiter->load, stop_done, waiter);
	tarn_rpc_params_free(&name_fields, &params);
}
TARN_RPC_METHOD("lab_cache_stop", rpc_lab_cache_stop, name_fields,
		"Stop a cache's load, wait for its requests, and count",
		.example = "{\"name\": \"a\"}")

static void
delete_done(void *arg, int status)
{
	struct waiter *waiter = arg;

	(void)status;
	cache_load_delete(waiter->load);
	tarn_rpc_reply_true(waiter->req);
	free(waiter);
}

static void
rpc_lab_cache_delete(struct tarn_rpc_request *req, const struct cJSON *json)
{
	struct params params = { 0 };
	struct waiter *waiter;

	if (tarn_rpc_decode(req, json, &name_fields, &params) != 0)
		return;
	waiter = waiter_new(req, params.name);
	if (waiter != NULL)
		cache_load_stop(waiter->load, delete_done, waiter);
	tarn_rpc_params_free(&name_fields, &params);
}
TARN_RPC_METHOD("lab_cache_delete", rpc_lab_cache_delete, name_fields,
		"End a cache's load; its record's file stays", .example = "{\"name\": \"a\"}")

static void
check_done(void *arg, int status)
{
	struct waiter *waiter = arg;
	const struct cache_load_check *check = cache_load_checked(waiter->load);
	struct cJSON *result;

	if (status != 0) {
		tarn_rpc_fail(waiter->req, status, "the check does not start: %s",
			      strerror(-status));
		free(waiter);
		return;
	}
	result = cJSON_CreateObject();
	tarn_json_add_u64(result, "checked", check->checked_count);
	tarn_json_add_u64(result, "hits", check->hit_count);
	tarn_json_add_u64(result, "lost", check->lost_count);
	tarn_json_add_u64(result, "old", check->old_count);
	tarn_json_add_u64(result, "wrong", check->wrong_count);
	tarn_json_add_u64(result, "errors", check->error_count);
	cJSON_AddStringToObject(result, "first", check->first);
	tarn_rpc_reply(waiter->req, result);
	free(waiter);
}

static void
rpc_lab_cache_check(struct tarn_rpc_request *req, const struct cJSON *json)
{
	struct params params = { 0 };
	struct waiter *waiter;

	if (tarn_rpc_decode(req, json, &check_fields, &params) != 0)
		return;
	waiter = waiter_new(req, params.name);
	if (waiter != NULL)
		cache_load_check(waiter->load, &params.check, check_done, waiter);
	tarn_rpc_params_free(&check_fields, &params);
}
TARN_RPC_METHOD("lab_cache_check", rpc_lab_cache_check, check_fields,
		"Look up all that a load stored and say what is not as it must be",
		.example = "{\"name\": \"a\", \"cache_name\": \"c0\"}")
