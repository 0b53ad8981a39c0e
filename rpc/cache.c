/* SPDX-License-Identifier: BSD-3-Clause */
/* cache_create, cache_delete, cache_set_options: caches by name, from making to stopping them. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "rpc/cache.h"
#include "rpc/internal.h"
#include "tarn/cache_stats.h"
#include "tarn/log.h"
#include "tarn/util.h"

/* --- Finding --- */

static const struct tarn_rpc_field name_list[] = {
	{ "name", TARN_RPC_STRING, TARN_RPC_AT(struct rpc_name_params, name), .required = true,
	  .min = 1, .max = TARN_CACHE_NAME_MAX, .help = "Name of the cache" },
};
const struct tarn_rpc_fields rpc_cache_name_fields = { name_list, 1,
						       sizeof(struct rpc_name_params) };

/* A cache on its way out: it is still listed by the engine, and takes nothing more. */
struct ending {
	TAILQ_ENTRY(ending) link;
	struct tarn_rpc_request *req;
	struct tarn_cache *cache;
	char name[TARN_CACHE_NAME_MAX + 1];
};
static TAILQ_HEAD(, ending) endings = TAILQ_HEAD_INITIALIZER(endings);

static bool
is_ending(const struct tarn_cache *cache)
{
	const struct ending *ending;

	TAILQ_FOREACH (ending, &endings, link) {
		if (ending->cache == cache)
			return true;
	}
	return false;
}

int
rpc_cache_find(const char *name, struct tarn_cache **ret_cache, struct tarn_reason *ret_reason)
{
	struct tarn_cache *cache = tarn_cache_find(name);

	if (cache == NULL)
		return tarn_reason_set(ret_reason, -ENODEV,
				       "cache \"%s\" does not exist; cache_get_caches lists them",
				       name);
	if (is_ending(cache))
		return tarn_reason_set(ret_reason, -ESHUTDOWN, "cache \"%s\" is being deleted",
				       name);
	*ret_cache = cache;
	return 0;
}

struct tarn_cache *
rpc_cache_need(struct tarn_rpc_request *req, const char *name)
{
	struct tarn_reason reason = { "" };
	struct tarn_cache *cache = NULL;
	int rc = rpc_cache_find(name, &cache, &reason);

	if (rc != 0)
		tarn_rpc_fail(req, rc, "%s", reason.text);
	return cache;
}

/* --- Stopping all: when nothing is with them any more, one after the other --- */

static struct {
	uint32_t hold_count;
	void (*done)(void *arg); /* not NULL: stopping */
	void *arg;
	char name[TARN_CACHE_NAME_MAX + 1]; /* of the one that is being stopped */
} stop;

static void stop_next(void);

static void
stopped(void *arg, int status)
{
	(void)arg;
	if (status != 0)
		tarn_error("cache \"%s\" was not stopped cleanly (%s): its next start recovers it",
			   stop.name, strerror(-status));
	stop_next();
}

static void
stop_next(void)
{
	struct tarn_cache *cache = tarn_cache_next(NULL);

	if (cache == NULL) {
		rpc_cache_offload_end();
		stop.done(stop.arg);
		return;
	}
	tarn_strcpy(stop.name, sizeof(stop.name), tarn_cache_name(cache));
	tarn_cache_stop(cache, stopped, NULL);
}

void
rpc_cache_hold(void)
{
	stop.hold_count++;
}

void
rpc_cache_unhold(void)
{
	tarn_assert(stop.hold_count > 0);
	stop.hold_count--;
	if (stop.hold_count == 0 && stop.done != NULL)
		stop_next();
}

void
rpc_cache_stop_all(void (*done)(void *arg), void *arg)
{
	stop.done = done;
	stop.arg = arg;
	if (stop.hold_count == 0)
		stop_next();
}

/* --- cache_create --- */

struct create_params {
	struct tarn_cache_opts opts;
	struct tarn_cache_settings settings;
};
#define CREATE_AT(member) TARN_RPC_AT(struct create_params, member)

static const struct tarn_rpc_field create_list[] = {
	{ "name", TARN_RPC_STRING, CREATE_AT(opts.name), .required = true, .min = 1,
	  .max = TARN_CACHE_NAME_MAX, .help = "Name of the cache" },
	{ "bdev_name", TARN_RPC_STRING, CREATE_AT(opts.bdev_name), .required = true, .min = 1,
	  .max = TARN_BDEV_NAME_MAX, .help = "Bdev that the cache is on, and has to itself" },
	{ "force", TARN_RPC_BOOL, CREATE_AT(opts.force), .def = "false", .secret = true,
	  .help = "Format it, whatever is on it; everything there is lost" },
	{ "shard_count", TARN_RPC_U32, CREATE_AT(opts.shard_count), .def = "0",
	  .max = TARN_CACHE_SHARD_MAX,
	  .def_help = "0: as it is there; new: the number of CPUs, at most 4",
	  .help = "Independent parts, each with its own log, dealt over the reactors" },
	{ "segment_bytes", TARN_RPC_U32, CREATE_AT(opts.segment_bytes), .def = "0", .min = 131072,
	  .max = 16777216, .pow2 = true, .zero = true, .unit = "bytes",
	  .def_help = "0: as it is there; new: by the size of the device",
	  .help = "What the log is reclaimed in; a value is smaller than a segment" },
	{ "expected_entry_bytes", TARN_RPC_U32, CREATE_AT(opts.expected_entry_bytes), .def = "0",
	  .min = 64, .max = 4096, .zero = true, .unit = "bytes",
	  .def_help = "0: as it is there; new: 4096",
	  .help = "Size of a usual object: the index in RAM gets room for a device full of these" },
	{ "uuid", TARN_RPC_STRING, CREATE_AT(opts.uuid), .min = 36, .max = 36, .def_help = "any",
	  .help = "Open only the cache that has this identity" },
	{ "default_ttl_s", TARN_RPC_I64, CREATE_AT(settings.default_ttl_s), .def = "0", .min = 0,
	  .max = TARN_JSON_INTEGER_MAX, .unit = "s", .def_help = "0: they do not expire",
	  .help = "Time to live of objects that are stored without one" },
	{ "max_object_bytes", TARN_RPC_SIZE, CREATE_AT(settings.max_object_bytes), .def = "0",
	  .unit = "bytes", .def_help = "0: what a segment holds",
	  .help = "Larger values are refused" },
	{ "checkpoint_interval_s", TARN_RPC_U32, CREATE_AT(settings.checkpoint_interval_s),
	  .def = "300", .max = 86400, .unit = "s",
	  .help = "How often the index is written while running, for a faster start after a "
		  "crash; 0: only when stopped" },
};
TARN_RPC_FIELDS(create_fields, struct create_params, create_list);

static void
create_done(void *arg, int status, struct tarn_cache *cache, const struct tarn_reason *reason)
{
	struct tarn_rpc_request *req = arg;

	if (status == 0)
		tarn_rpc_reply_string(req, tarn_cache_name(cache));
	else
		tarn_rpc_fail(req, status, "%s", reason->text);
	rpc_cache_unhold();
}

static void
rpc_cache_create(struct tarn_rpc_request *req, const struct cJSON *json)
{
	struct create_params params = { 0 };

	if (tarn_rpc_decode(req, json, &create_fields, &params) != 0)
		return;
	params.opts.default_ttl_s = params.settings.default_ttl_s;
	params.opts.max_object_bytes = params.settings.max_object_bytes;
	params.opts.checkpoint_interval_s = params.settings.checkpoint_interval_s;
	rpc_cache_hold();
	tarn_cache_create(&params.opts, create_done, req);
	tarn_rpc_params_free(&create_fields, &params);
}
TARN_RPC_METHOD(
    "cache_create", rpc_cache_create, create_fields,
    "Open the cache on a bdev, recovering it after a crash, or format a blank bdev",
    .details = "A bdev with something else on it is refused, as is one whose cache has other "
	       "geometry than what is asked for, another uuid, or lies on a device that has "
	       "shrunk: nothing is written then. force formats all the same.",
    .result = "name of the cache", .example = "{\"name\": \"cache0\", \"bdev_name\": \"disk1\"}")

/* --- cache_delete --- */

struct delete_params {
	char *name;
	bool force, keep;
};
static const struct tarn_rpc_field delete_list[] = {
	{ "name", TARN_RPC_STRING, TARN_RPC_AT(struct delete_params, name), .required = true,
	  .min = 1, .max = TARN_CACHE_NAME_MAX, .help = "Name of the cache" },
	{ "force", TARN_RPC_BOOL, TARN_RPC_AT(struct delete_params, force), .def = "false",
	  .help = "Also when there are dirty blocks, which are lost" },
	{ "keep", TARN_RPC_BOOL, TARN_RPC_AT(struct delete_params, keep), .def = "false",
	  .help = "Only stop it: what it holds stays on the bdev, for a later cache_create" },
};
TARN_RPC_FIELDS(delete_fields, struct delete_params, delete_list);

static void
delete_done(void *arg, int status)
{
	struct ending *ending = arg;

	if (status == 0)
		tarn_rpc_reply_true(ending->req);
	else if (status == -EBUSY)
		tarn_rpc_fail(ending->req, status,
			      "cache \"%s\" has dirty blocks: clean it first, keep it, or force",
			      ending->name);
	else
		tarn_rpc_fail(ending->req, status, "cache \"%s\": %s", ending->name,
			      strerror(-status));
	TAILQ_REMOVE(&endings, ending, link);
	free(ending);
	rpc_cache_unhold();
}

static void
delete_start(struct tarn_rpc_request *req, struct tarn_cache *cache, bool keep, bool force)
{
	struct ending *ending = calloc(1, sizeof(*ending));

	if (ending == NULL) {
		tarn_rpc_reply(req, NULL);
		return;
	}
	ending->req = req;
	ending->cache = cache;
	tarn_strcpy(ending->name, sizeof(ending->name), tarn_cache_name(cache));
	TAILQ_INSERT_TAIL(&endings, ending, link);
	rpc_cache_hold();
	if (keep)
		tarn_cache_stop(cache, delete_done, ending);
	else
		tarn_cache_delete(cache, force, delete_done, ending);
}

static void
rpc_cache_delete(struct tarn_rpc_request *req, const struct cJSON *json)
{
	struct delete_params params;
	struct tarn_cache *cache;

	if (tarn_rpc_decode(req, json, &delete_fields, &params) != 0)
		return;
	if (params.keep && params.force) {
		tarn_rpc_refuse(req, "keep: not together with force");
	} else {
		cache = rpc_cache_need(req, params.name);
		if (cache != NULL)
			delete_start(req, cache, params.keep, params.force);
	}
	tarn_rpc_params_free(&delete_fields, &params);
}
TARN_RPC_METHOD("cache_delete", rpc_cache_delete, delete_fields,
		"Stop a cache and make its bdev blank, or with keep only stop it",
		.details = "Requests in flight end before; new ones are refused.", .result = "true",
		.example = "{\"name\": \"cache0\"}")

/* --- cache_set_options --- */

struct options_params {
	char *name;
	struct tarn_cache_settings settings;
	bool ttl_given, max_given, interval_given;
};
#define OPTIONS_AT(member) TARN_RPC_AT(struct options_params, settings.member)
#define OPTIONS_GIVEN(flag) TARN_RPC_FLAG(struct options_params, flag)

static const struct tarn_rpc_field options_list[] = {
	{ "name", TARN_RPC_STRING, TARN_RPC_AT(struct options_params, name), .required = true,
	  .min = 1, .max = TARN_CACHE_NAME_MAX, .help = "Name of the cache" },
	{ "default_ttl_s", TARN_RPC_I64, OPTIONS_AT(default_ttl_s), .min = 0,
	  .max = TARN_JSON_INTEGER_MAX, .unit = "s", .def_help = "as it is",
	  .given = OPTIONS_GIVEN(ttl_given),
	  .help =
	      "Time to live of objects stored without one, from now on; 0: they do not expire" },
	{ "max_object_bytes", TARN_RPC_SIZE, OPTIONS_AT(max_object_bytes), .unit = "bytes",
	  .def_help = "as it is", .given = OPTIONS_GIVEN(max_given),
	  .help = "Larger values are refused; 0: what a segment holds" },
	{ "checkpoint_interval_s", TARN_RPC_U32, OPTIONS_AT(checkpoint_interval_s), .max = 86400,
	  .unit = "s", .def_help = "as it is", .given = OPTIONS_GIVEN(interval_given),
	  .help = "How often the index is written while running; 0: only when stopped" },
};
TARN_RPC_FIELDS(options_fields, struct options_params, options_list);

static void
set_options(struct tarn_rpc_request *req, struct tarn_cache *cache,
	    const struct options_params *params)
{
	struct tarn_cache_settings settings;
	struct tarn_cache_info info;

	tarn_cache_get_info(cache, &info);
	tarn_cache_get_settings(cache, &settings);
	if (params->ttl_given)
		settings.default_ttl_s = params->settings.default_ttl_s;
	if (params->max_given)
		settings.max_object_bytes = params->settings.max_object_bytes == 0
						? info.max_object_bytes
						: params->settings.max_object_bytes;
	if (params->interval_given)
		settings.checkpoint_interval_s = params->settings.checkpoint_interval_s;
	if (tarn_cache_set_settings(cache, &settings) == 0)
		tarn_rpc_reply_true(req);
	else
		tarn_rpc_refuse(req,
				"max_object_bytes: a segment of cache \"%s\" holds at most %llu",
				params->name, (unsigned long long)info.max_object_bytes);
}

static void
rpc_cache_set_options(struct tarn_rpc_request *req, const struct cJSON *json)
{
	struct options_params params = { 0 };
	struct tarn_cache *cache;

	if (tarn_rpc_decode(req, json, &options_fields, &params) != 0)
		return;
	cache = rpc_cache_need(req, params.name);
	if (cache != NULL)
		set_options(req, cache, &params);
	tarn_rpc_params_free(&options_fields, &params);
}
TARN_RPC_METHOD("cache_set_options", rpc_cache_set_options, options_fields,
		"Change what can change while a cache runs", .result = "true",
		.example = "{\"name\": \"cache0\", \"default_ttl_s\": 3600}")

/* --- Saving --- */

static struct cJSON *
save_params(const struct tarn_cache *cache)
{
	struct tarn_cache_settings settings;
	struct create_params params = { 0 };
	struct tarn_cache_info info;
	char uuid[RPC_UUID_BYTES];

	tarn_cache_get_info(cache, &info);
	tarn_cache_get_settings(cache, &settings);
	rpc_uuid_format(info.uuid, uuid);
	params.opts.name = info.name;
	params.opts.bdev_name = info.bdev_name;
	params.opts.uuid = uuid; /* with it, the geometry is what is there */
	params.settings = settings;
	if (settings.max_object_bytes == info.max_object_bytes)
		params.settings.max_object_bytes = 0;
	return tarn_rpc_encode(&create_fields, &params, true);
}

int
rpc_cache_save(struct cJSON *array)
{
	for (struct tarn_cache *cache = tarn_cache_next(NULL); cache != NULL;
	     cache = tarn_cache_next(cache)) {
		struct cJSON *entry;

		if (is_ending(cache))
			continue;
		entry = rpc_config_entry("cache_create", save_params(cache));
		if (entry == NULL || !cJSON_AddItemToArray(array, entry))
			return -ENOMEM;
	}
	return 0;
}
