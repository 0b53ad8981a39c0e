/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cache_store, cache_lookup, cache_remove, cache_touch, cache_exists and the batches: their fields,
 * and what each makes of an entry. cache_object.c carries them out.
 */
#include <cjson/cJSON.h>
#include <errno.h>
#include <string.h>

#include "rpc/cache.h"
#include "rpc/internal.h"
#include "tarn/reason.h"
#include "tarn/util.h"

#define BATCH_MAX 1024
#define VALUE_MAX_BYTES (32 << 20) /* a request's own bound */

/* Every set of parameters begins so. */
#define NAME_FIELD(params)                                                                         \
	{                                                                                          \
		"name", TARN_RPC_STRING, TARN_RPC_AT(params, name), .required = true, .min = 1,    \
								    .max = TARN_CACHE_NAME_MAX,    \
								    .help = "Name of the cache"    \
	}
#define KEY_FIELDS(params)                                                                         \
	{                                                                                          \
		.type = TARN_RPC_GROUP, TARN_RPC_AT(params, key), .fields = &rpc_cache_key_fields  \
	}

/* --- What several have --- */

struct ttl {
	int64_t ttl_s, expire_at_s;
	bool never;
};
static const struct tarn_rpc_field ttl_list[] = {
	{ "ttl_s", TARN_RPC_I64, TARN_RPC_AT(struct ttl, ttl_s), .def = "0", .min = 0,
	  .max = TARN_JSON_INTEGER_MAX, .unit = "s", .def_help = "0: the cache's default_ttl_s",
	  .word = "never", .word_flag = TARN_RPC_FLAG(struct ttl, never),
	  .help = "Time to live, from now on" },
	{ "expire_at_s", TARN_RPC_I64, TARN_RPC_AT(struct ttl, expire_at_s), .def = "0", .min = 0,
	  .max = TARN_JSON_INTEGER_MAX, .unit = "s", .def_help = "0: by ttl_s",
	  .help = "Unix time at which it is over, instead" },
};
static const struct tarn_rpc_fields ttl_fields = { ttl_list, tarn_array_count(ttl_list),
						   sizeof(struct ttl) };

static int
ttl_fill(const struct ttl *ttl, struct rpc_cache_item *item)
{
	if (ttl->expire_at_s != 0) {
		if (ttl->ttl_s != 0 || ttl->never)
			return tarn_reason_set(&item->reason, -EINVAL,
					       "expire_at_s: not together with ttl_s");
		item->op.flags |= TARN_CACHE_EXPIRY_AT;
		item->op.ttl_s = ttl->expire_at_s;
	} else {
		item->op.ttl_s = ttl->never ? TARN_CACHE_TTL_NEVER : ttl->ttl_s;
	}
	return 0;
}

#define DURABLE_HELP "Answer only when it survives power loss"

static void
add_expiry(const struct rpc_cache_item *item, struct cJSON *object)
{
	if (item->op.expiry_s != 0)
		tarn_json_add_u64(object, "expire_at_s", item->op.expiry_s);
}

/* --- Store --- */

struct store_entry {
	struct rpc_cache_key key;
	char *value, *file;
	struct tarn_rpc_bytes value_base64;
	struct ttl ttl;
	bool if_absent, if_present, durable;
};
static const struct tarn_rpc_field store_entry_list[] = {
	KEY_FIELDS(struct store_entry),
	{ "value", TARN_RPC_STRING, TARN_RPC_AT(struct store_entry, value), .max = VALUE_MAX_BYTES,
	  .help = "The value, where it is UTF-8 without NUL" },
	{ "value_base64", TARN_RPC_BYTES, TARN_RPC_AT(struct store_entry, value_base64),
	  .max = VALUE_MAX_BYTES, .help = "The value, whatever its bytes, instead" },
	{ "file", TARN_RPC_STRING, TARN_RPC_AT(struct store_entry, file), .min = 1,
	  .help = "File with the value, instead; relative to the daemon's working folder" },
	{ .type = TARN_RPC_GROUP, TARN_RPC_AT(struct store_entry, ttl), .fields = &ttl_fields },
	{ "if_absent", TARN_RPC_BOOL, TARN_RPC_AT(struct store_entry, if_absent), .def = "false",
	  .help = "Only where the key is not there" },
	{ "if_present", TARN_RPC_BOOL, TARN_RPC_AT(struct store_entry, if_present), .def = "false",
	  .help = "Only where the key is there" },
	{ "durable", TARN_RPC_BOOL, TARN_RPC_AT(struct store_entry, durable), .def = "false",
	  .help = DURABLE_HELP },
};
TARN_RPC_FIELDS(store_entry_fields, struct store_entry, store_entry_list);

static int
value_fill(const struct store_entry *entry, struct rpc_cache_item *item)
{
	int given =
	    (entry->value != NULL) + (entry->value_base64.data != NULL) + (entry->file != NULL);

	if (given != 1)
		return tarn_reason_set(&item->reason, -EINVAL,
				       "value: give exactly one of value, value_base64 and file");
	item->file.path = entry->file;
	if (entry->value != NULL) {
		item->op.buf = entry->value;
		item->op.buf_bytes = strlen(entry->value);
	} else {
		item->op.buf = entry->value_base64.data;
		item->op.buf_bytes = entry->value_base64.data_bytes;
	}
	return 0;
}

static int
store_fill(const void *arg, struct rpc_cache_item *item)
{
	const struct store_entry *entry = arg;
	int rc = rpc_cache_key_fill(&entry->key, item);

	rc = rc == 0 ? value_fill(entry, item) : rc;
	rc = rc == 0 ? ttl_fill(&entry->ttl, item) : rc;
	if (rc == 0 && entry->if_absent && entry->if_present)
		rc = tarn_reason_set(&item->reason, -EINVAL,
				     "if_absent: not together with if_present");
	item->op.flags |= (entry->if_absent ? TARN_CACHE_IF_ABSENT : 0) |
			  (entry->if_present ? TARN_CACHE_IF_PRESENT : 0) |
			  (entry->durable ? TARN_CACHE_DURABLE : 0);
	return rc;
}

static void
store_answer(const struct rpc_cache_item *item, struct cJSON *object)
{
	cJSON_AddBoolToObject(object, "stored", item->status == 0);
}

struct store_params {
	char *name;
	struct store_entry entry;
};
static const struct tarn_rpc_field store_list[] = {
	NAME_FIELD(struct store_params),
	{ .type = TARN_RPC_GROUP,
	  TARN_RPC_AT(struct store_params, entry),
	  .fields = &store_entry_fields },
};
TARN_RPC_FIELDS(store_fields, struct store_params, store_list);

static const struct rpc_cache_method store_method = {
	.kind = TARN_CACHE_STORE,
	.fields = &store_fields,
	.entry_offset = offsetof(struct store_params, entry),
	.fill = store_fill,
	.answer = store_answer,
};
#define STORE_DETAILS                                                                              \
	"What was there under the key is replaced. A store that fails leaves nothing under the "   \
	"key. Acknowledged means that it survives the end of the process; durable or cache_flush " \
	"make it survive power loss."
TARN_RPC_METHOD("cache_store", rpc_cache_keys, store_fields, "Store a value under a key",
		.details = STORE_DETAILS,
		.result = "{stored: true, or false where if_absent or if_present forbade it}",
		.example = "{\"name\": \"cache0\", \"key\": \"greeting\", \"value\": \"hello\", "
			   "\"ttl_s\": 3600}",
		.arg = &store_method)

struct batch_params {
	char *name;
	struct tarn_rpc_objects entries;
};
static const struct tarn_rpc_field store_batch_list[] = {
	NAME_FIELD(struct batch_params),
	{ "entries", TARN_RPC_OBJECTS, TARN_RPC_AT(struct batch_params, entries), .required = true,
	  .max = BATCH_MAX, .fields = &store_entry_fields, .help = "What to store, in this order" },
};
TARN_RPC_FIELDS(store_batch_fields, struct batch_params, store_batch_list);

static const struct rpc_cache_method store_batch_method = {
	.kind = TARN_CACHE_STORE,
	.fields = &store_batch_fields,
	.entry_offset = offsetof(struct batch_params, entries),
	.batch_entry_bytes = sizeof(struct store_entry),
	.fill = store_fill,
	.answer = store_answer,
};
TARN_RPC_METHOD("cache_store_batch", rpc_cache_keys, store_batch_fields,
		"Store many values at once", .details = STORE_DETAILS,
		.result = "in the order of the entries, {stored} or {error: {code, message}}",
		.example = "{\"name\": \"cache0\", \"entries\": [{\"key\": \"a\", \"value\": "
			   "\"1\"}, {\"key_base64\": \"AAEC\", \"value_base64\": \"/w==\"}]}",
		.arg = &store_batch_method)

/* --- Lookup --- */

enum encoding { ENCODING_AUTO, ENCODING_BASE64 };
static const struct tarn_rpc_name encoding_names[] = {
	{ "auto", ENCODING_AUTO },
	{ "base64", ENCODING_BASE64 },
	{ NULL, 0 },
};

struct lookup_entry {
	struct rpc_cache_key key;
	uint64_t offset_bytes, length_bytes;
	int encoding;
	char *file;
};
static const struct tarn_rpc_field lookup_entry_list[] = {
	KEY_FIELDS(struct lookup_entry),
	{ "offset_bytes", TARN_RPC_U64, TARN_RPC_AT(struct lookup_entry, offset_bytes), .def = "0",
	  .unit = "bytes", .help = "Where in the value to begin" },
	{ "length_bytes", TARN_RPC_U64, TARN_RPC_AT(struct lookup_entry, length_bytes), .def = "0",
	  .unit = "bytes", .def_help = "0: to its end",
	  .help = "How much of it; only that is read from the device" },
	{ "encoding", TARN_RPC_ENUM, TARN_RPC_AT(struct lookup_entry, encoding), .def = "\"auto\"",
	  .names = encoding_names,
	  .help = "auto: value where it is UTF-8 without NUL, otherwise value_base64" },
	{ "file", TARN_RPC_STRING, TARN_RPC_AT(struct lookup_entry, file), .min = 1,
	  .help = "File that takes the value, instead of the answer; replaced where it is there" },
};
TARN_RPC_FIELDS(lookup_entry_fields, struct lookup_entry, lookup_entry_list);

static int
lookup_fill(const void *arg, struct rpc_cache_item *item)
{
	const struct lookup_entry *entry = arg;

	item->op.flags = TARN_CACHE_LEND;
	item->op.offset_bytes = entry->offset_bytes;
	item->op.buf_bytes = entry->length_bytes;
	item->base64_only = entry->encoding == ENCODING_BASE64;
	item->file.path = entry->file;
	return rpc_cache_key_fill(&entry->key, item);
}

static void
lookup_answer(const struct rpc_cache_item *item, struct cJSON *object)
{
	cJSON_AddBoolToObject(object, "hit", item->status == 0);
	if (item->status != 0)
		return;
	if (item->file.path != NULL)
		tarn_json_add_text(object, "file", item->file.path);
	else
		rpc_cache_add_bytes(object, "value", item->op.lent, item->op.result_bytes,
				    item->base64_only);
	tarn_json_add_u64(object, "value_bytes", item->op.value_bytes);
	add_expiry(item, object);
}

struct lookup_params {
	char *name;
	struct lookup_entry entry;
};
static const struct tarn_rpc_field lookup_list[] = {
	NAME_FIELD(struct lookup_params),
	{ .type = TARN_RPC_GROUP,
	  TARN_RPC_AT(struct lookup_params, entry),
	  .fields = &lookup_entry_fields },
};
TARN_RPC_FIELDS(lookup_fields, struct lookup_params, lookup_list);

static const struct rpc_cache_method lookup_method = {
	.kind = TARN_CACHE_LOOKUP,
	.fields = &lookup_fields,
	.entry_offset = offsetof(struct lookup_params, entry),
	.fill = lookup_fill,
	.answer = lookup_answer,
};
#define LOOKUP_DETAILS                                                                             \
	"value_bytes is the length of the whole value, expire_at_s the Unix time at which it is "  \
	"over, left out where it never is. What cannot be read or fails its checksum is a miss."
TARN_RPC_METHOD("cache_lookup", rpc_cache_keys, lookup_fields, "Look a key up",
		.details = LOOKUP_DETAILS,
		.result = "{hit: true, value | value_base64 | file, value_bytes, expire_at_s}, or "
			  "{hit: false}",
		.example = "{\"name\": \"cache0\", \"key\": \"greeting\"}", .arg = &lookup_method)

static const struct tarn_rpc_field lookup_batch_list[] = {
	NAME_FIELD(struct batch_params),
	{ "entries", TARN_RPC_OBJECTS, TARN_RPC_AT(struct batch_params, entries), .required = true,
	  .max = BATCH_MAX, .fields = &lookup_entry_fields, .help = "What to look up" },
};
TARN_RPC_FIELDS(lookup_batch_fields, struct batch_params, lookup_batch_list);

static const struct rpc_cache_method lookup_batch_method = {
	.kind = TARN_CACHE_LOOKUP,
	.fields = &lookup_batch_fields,
	.entry_offset = offsetof(struct batch_params, entries),
	.batch_entry_bytes = sizeof(struct lookup_entry),
	.fill = lookup_fill,
	.answer = lookup_answer,
};
TARN_RPC_METHOD("cache_lookup_batch", rpc_cache_keys, lookup_batch_fields,
		"Look many keys up at once",
		.details = LOOKUP_DETAILS " An answer has up to 32 MiB of values.",
		.result = "in the order of the entries, what cache_lookup answers, or "
			  "{error: {code, message}}",
		.example = "{\"name\": \"cache0\", \"entries\": [{\"key\": \"a\"}, "
			   "{\"key_base64\": \"AAEC\", \"encoding\": \"base64\"}]}",
		.arg = &lookup_batch_method)

/* --- Remove, touch, exists --- */

struct key_params {
	char *name;
	struct rpc_cache_key key;
	struct ttl ttl; /* touch */
	bool durable;	/* remove, touch */
};

static int
key_fill(const void *arg, struct rpc_cache_item *item)
{
	const struct key_params *params = arg;

	item->op.flags = params->durable ? TARN_CACHE_DURABLE : 0;
	return rpc_cache_key_fill(&params->key, item);
}

static const struct tarn_rpc_field remove_list[] = {
	NAME_FIELD(struct key_params),
	KEY_FIELDS(struct key_params),
	{ "durable", TARN_RPC_BOOL, TARN_RPC_AT(struct key_params, durable), .def = "false",
	  .help = DURABLE_HELP },
};
TARN_RPC_FIELDS(remove_fields, struct key_params, remove_list);

static void
remove_answer(const struct rpc_cache_item *item, struct cJSON *object)
{
	cJSON_AddBoolToObject(object, "removed", item->status == 0);
}
static const struct rpc_cache_method remove_method = {
	.kind = TARN_CACHE_REMOVE,
	.fields = &remove_fields,
	.fill = key_fill,
	.answer = remove_answer,
};
TARN_RPC_METHOD("cache_remove", rpc_cache_keys, remove_fields, "Remove what is under a key",
		.result = "{removed: whether it was there}",
		.example = "{\"name\": \"cache0\", \"key\": \"greeting\"}", .arg = &remove_method)

static const struct tarn_rpc_field touch_list[] = {
	NAME_FIELD(struct key_params),
	KEY_FIELDS(struct key_params),
	{ .type = TARN_RPC_GROUP, TARN_RPC_AT(struct key_params, ttl), .fields = &ttl_fields },
	{ "durable", TARN_RPC_BOOL, TARN_RPC_AT(struct key_params, durable), .def = "false",
	  .help = DURABLE_HELP },
};
TARN_RPC_FIELDS(touch_fields, struct key_params, touch_list);

static int
touch_fill(const void *arg, struct rpc_cache_item *item)
{
	const struct key_params *params = arg;
	int rc = key_fill(params, item);

	return rc == 0 ? ttl_fill(&params->ttl, item) : rc;
}
static void
touch_answer(const struct rpc_cache_item *item, struct cJSON *object)
{
	cJSON_AddBoolToObject(object, "touched", item->status == 0);
	add_expiry(item, object);
}
static const struct rpc_cache_method touch_method = {
	.kind = TARN_CACHE_TOUCH,
	.fields = &touch_fields,
	.fill = touch_fill,
	.answer = touch_answer,
};
TARN_RPC_METHOD("cache_touch", rpc_cache_keys, touch_fields,
		"Give what is under a key a new time to live",
		.details = "The value is written again, and so is as young as one just stored.",
		.result = "{touched: whether it was there, expire_at_s}",
		.example = "{\"name\": \"cache0\", \"key\": \"greeting\", \"ttl_s\": 60}",
		.arg = &touch_method)

static const struct tarn_rpc_field exists_list[] = {
	NAME_FIELD(struct key_params),
	KEY_FIELDS(struct key_params),
};
TARN_RPC_FIELDS(exists_fields, struct key_params, exists_list);

static void
exists_answer(const struct rpc_cache_item *item, struct cJSON *object)
{
	cJSON_AddBoolToObject(object, "exists", item->status == 0);
	if (item->status != 0)
		return;
	tarn_json_add_u64(object, "value_bytes", item->op.value_bytes);
	add_expiry(item, object);
}
static const struct rpc_cache_method exists_method = {
	.kind = TARN_CACHE_EXISTS,
	.fields = &exists_fields,
	.fill = key_fill,
	.answer = exists_answer,
};
TARN_RPC_METHOD("cache_exists", rpc_cache_keys, exists_fields,
		"Say whether something is under a key, without reading its value",
		.details = "It does not count as a hit or miss, nor as use.",
		.result = "{exists, value_bytes, expire_at_s}",
		.example = "{\"name\": \"cache0\", \"key\": \"greeting\"}", .arg = &exists_method)
