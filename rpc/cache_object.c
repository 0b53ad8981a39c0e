/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The way of one call with operations on keys, one or a batch: its steps are in `steps`. Each entry
 * of its parameters is an item; an item that fails takes no part in the steps that follow.
 *
 * The parameters belong to the call until it is answered: keys and values point into them.
 */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/cache.h"
#include "rpc/internal.h"
#include "tarn/cache_stats.h"
#include "tarn/reactor.h"
#include "tarn/util.h"

#define ALL_VALUES_MAX_BYTES (UINT64_C(32) << 20) /* of one answer; of the files of one batch */

struct rpc_cache_call {
	struct tarn_rpc_request *req;
	const struct rpc_cache_method *method;
	void *params;
	const char *name; /* of the cache; in params */
	struct rpc_cache_item *items;
	struct tarn_cache_op **ops; /* those that are submitted */
	uint32_t item_count, op_count, pending;
	uint32_t step;
	bool has_files;
	struct tarn_offload_call offload;
};

static void next_step(struct rpc_cache_call *call);

static bool
stores(const struct rpc_cache_call *call)
{
	return call->method->kind == TARN_CACHE_STORE;
}

static bool
wants_file(const struct rpc_cache_item *item)
{
	return item->file.path != NULL && item->status == 0;
}

static void
take_file_status(struct rpc_cache_item *item)
{
	item->status = item->file.status;
	item->reason = item->file.reason;
	item->failed = item->status != 0;
}

/* --- Files, before and after --- */

static void
read_file(struct rpc_cache_file *file, uint64_t *used_bytes)
{
	if (*used_bytes >= ALL_VALUES_MAX_BYTES) {
		file->status = tarn_reason_set(&file->reason, -EMSGSIZE,
					       "file \"%s\": the files before it in the batch have "
					       "32 MiB together, which is the most",
					       file->path);
		return;
	}
	rpc_cache_file_read(file);
	*used_bytes += file->data_bytes;
}

static void
files_run(void *arg)
{
	struct rpc_cache_call *call = arg;
	uint64_t used_bytes = 0;

	for (uint32_t i = 0; i < call->item_count; i++) {
		if (!wants_file(&call->items[i]))
			continue;
		if (stores(call))
			read_file(&call->items[i].file, &used_bytes);
		else
			rpc_cache_file_write(&call->items[i].file);
	}
}

static void
files_done(void *arg)
{
	struct rpc_cache_call *call = arg;

	for (uint32_t i = 0; i < call->item_count; i++) {
		struct rpc_cache_item *item = &call->items[i];

		if (!wants_file(item))
			continue;
		take_file_status(item);
		if (stores(call)) {
			item->op.buf = item->file.data;
			item->op.buf_bytes = item->file.data_bytes;
		}
	}
	next_step(call);
}

static void
files_start(struct rpc_cache_call *call)
{
	int rc;

	call->offload =
	    (struct tarn_offload_call){ .fn = files_run, .done = files_done, .arg = call };
	rc = rpc_cache_offload(&call->offload);
	if (rc == 0)
		return;
	for (uint32_t i = 0; i < call->item_count; i++) {
		struct rpc_cache_file *file = &call->items[i].file;

		if (!wants_file(&call->items[i]))
			continue;
		file->status =
		    tarn_reason_set(&file->reason, rc, "no thread for files: %s", strerror(-rc));
		take_file_status(&call->items[i]);
	}
	next_step(call);
}

static void
load_files(struct rpc_cache_call *call)
{
	if (stores(call) && call->has_files)
		files_start(call);
	else
		next_step(call);
}

static void
save_files(struct rpc_cache_call *call)
{
	if (stores(call) || !call->has_files) {
		next_step(call);
		return;
	}
	for (uint32_t i = 0; i < call->item_count; i++) {
		call->items[i].file.data = (void *)call->items[i].op.lent;
		call->items[i].file.data_bytes = call->items[i].op.result_bytes;
	}
	files_start(call);
}

/* --- The operations --- */

static void
explain(struct rpc_cache_item *item)
{
	const char *name = item->call->name;
	struct tarn_reason *reason = &item->reason;

	switch (item->status) {
	case -E2BIG:
		tarn_reason_set(reason, 0,
				"cache \"%s\": the value is over its max_object_bytes; nothing "
				"is stored under the key now",
				name);
		break;
	case -EINVAL:
		tarn_reason_set(reason, 0, "offset_bytes: the value has only %llu",
				(unsigned long long)item->op.value_bytes);
		break;
	case -ENOSPC:
		tarn_reason_set(reason, 0, "cache \"%s\": its index is full", name);
		break;
	case -EIO:
		tarn_reason_set(reason, 0, "cache \"%s\": its device fails", name);
		break;
	case -ENOMEM:
		tarn_reason_set(reason, 0, "cache \"%s\": no I/O memory for a value of that size",
				name);
		break;
	case -ESHUTDOWN:
		tarn_reason_set(reason, 0, "cache \"%s\" is being stopped", name);
		break;
	default:
		tarn_reason_set(reason, 0, "cache \"%s\": %s", name, strerror(-item->status));
	}
}

static void
op_done(struct tarn_cache_op *op)
{
	struct rpc_cache_item *item = op->arg;
	struct rpc_cache_call *call = item->call;

	item->status = op->status;
	item->failed = op->status != 0 && op->status != -ENOENT && op->status != -EEXIST;
	if (item->failed)
		explain(item);
	call->pending--;
	if (call->pending == 0)
		next_step(call);
}

static void
operate(struct rpc_cache_call *call)
{
	struct tarn_reason reason = { "" };
	struct tarn_cache *cache = NULL;
	int rc = rpc_cache_find(call->name, &cache, &reason); /* perhaps it went meanwhile */

	for (uint32_t i = 0; i < call->item_count; i++) {
		struct rpc_cache_item *item = &call->items[i];

		if (item->status != 0)
			continue;
		item->status = rc;
		item->failed = rc != 0;
		item->reason = reason;
		if (rc == 0) {
			item->op.cache = cache;
			item->op.cb = op_done;
			item->op.arg = item;
			call->ops[call->op_count++] = &item->op;
		}
	}
	call->pending = call->op_count;
	if (call->op_count == 0)
		next_step(call);
	else
		tarn_cache_submit(call->ops, call->op_count, call->method->kind);
}

/* --- The answer --- */

void
rpc_cache_add_bytes(struct cJSON *object, const char *name, const void *data, uint64_t data_bytes,
		    bool base64_only)
{
	char full_name[32];
	char *text;

	if (base64_only || !tarn_utf8_valid(data, data_bytes)) {
		tarn_strcpy(full_name, sizeof(full_name), name);
		strncat(full_name, "_base64", sizeof(full_name) - strlen(full_name) - 1);
		tarn_json_add_base64(object, full_name, data, data_bytes);
		return;
	}
	text = strndup(data_bytes > 0 ? data : "", data_bytes);
	if (text != NULL)
		cJSON_AddStringToObject(object, name, text);
	free(text);
}

static struct cJSON *
item_json(const struct rpc_cache_item *item)
{
	struct cJSON *object = cJSON_CreateObject(), *error;

	if (!item->failed) {
		item->call->method->answer(item, object);
		return object;
	}
	error = cJSON_AddObjectToObject(object, "error");
	tarn_json_add_i64(error, "code", item->status);
	tarn_json_add_text(error, "message", item->reason.text);
	return object;
}

static struct cJSON *
batch_json(struct rpc_cache_call *call)
{
	struct cJSON *array = cJSON_CreateArray();
	uint64_t used_bytes = 0;

	for (uint32_t i = 0; i < call->item_count; i++) {
		struct rpc_cache_item *item = &call->items[i];
		uint64_t item_bytes = item->file.path == NULL ? item->op.result_bytes : 0;

		if (item->status == 0 && used_bytes + item_bytes > ALL_VALUES_MAX_BYTES) {
			item->failed = true;
			item->status = tarn_reason_set(&item->reason, -EMSGSIZE,
						       "the answer would be too long: look this "
						       "key up by itself, or into a file");
		} else {
			used_bytes += item_bytes;
		}
		cJSON_AddItemToArray(array, item_json(item));
	}
	return array;
}

static void
call_free(struct rpc_cache_call *call)
{
	for (uint32_t i = 0; call->items != NULL && i < call->item_count; i++) {
		if (call->items[i].op.lent != NULL)
			tarn_cache_release(&call->items[i].op);
		if (stores(call))
			free(call->items[i].file.data);
	}
	free(call->items);
	free(call->ops);
	if (call->params != NULL)
		tarn_rpc_params_free(call->method->fields, call->params);
	free(call->params);
	free(call);
}

static void
answer(struct rpc_cache_call *call)
{
	const struct rpc_cache_item *first = call->items;

	if (call->method->batch_entry_bytes != 0)
		tarn_rpc_reply(call->req, batch_json(call));
	else if (!first->failed)
		tarn_rpc_reply(call->req, item_json(first));
	else
		tarn_rpc_fail(call->req, first->status, "%s", first->reason.text);
	call_free(call);
	rpc_cache_unhold();
}

static void (*const steps[])(struct rpc_cache_call *) = { load_files, operate, save_files, answer };

static void
next_step(struct rpc_cache_call *call)
{
	tarn_assert(call->step < tarn_array_count(steps));
	steps[call->step++](call);
}

/* --- From parameters to items --- */

int
rpc_cache_key_fill(const struct rpc_cache_key *key, struct rpc_cache_item *item)
{
	if ((key->text != NULL) == (key->base64.data != NULL))
		return tarn_reason_set(&item->reason, -EINVAL,
				       "key: give exactly one of key and key_base64");
	item->op.key = key->text != NULL ? (const void *)key->text : key->base64.data;
	item->op.key_bytes =
	    (uint32_t)(key->text != NULL ? strlen(key->text) : key->base64.data_bytes);
	return 0;
}

static const struct tarn_rpc_field key_list[] = {
	{ "key", TARN_RPC_STRING, TARN_RPC_AT(struct rpc_cache_key, text), .min = 1,
	  .max = TARN_CACHE_KEY_MAX, .help = "The key, where it is UTF-8 without NUL" },
	{ "key_base64", TARN_RPC_BYTES, TARN_RPC_AT(struct rpc_cache_key, base64), .min = 1,
	  .max = TARN_CACHE_KEY_MAX, .help = "The key, whatever its bytes, instead" },
};
const struct tarn_rpc_fields rpc_cache_key_fields = { key_list, tarn_array_count(key_list),
						      sizeof(struct rpc_cache_key) };

/* \return 0, or -EINVAL having refused the request, or -ENOMEM. */
static int
fill_items(struct rpc_cache_call *call, uint64_t max_object_bytes)
{
	const struct rpc_cache_method *method = call->method;
	const char *entry = (const char *)call->params + method->entry_offset;
	size_t entry_bytes = method->batch_entry_bytes;

	if (entry_bytes != 0)
		entry = ((const struct tarn_rpc_objects *)(const void *)entry)->items;
	for (uint32_t i = 0; i < call->item_count; i++) {
		struct rpc_cache_item *item = &call->items[i];

		item->call = call;
		if (method->fill(entry + i * entry_bytes, item) != 0) {
			if (entry_bytes != 0)
				tarn_rpc_refuse(call->req, "entries[%u]: %s", i, item->reason.text);
			else
				tarn_rpc_refuse(call->req, "%s", item->reason.text);
			return -EINVAL;
		}
		item->file.max_bytes = max_object_bytes;
		call->has_files = call->has_files || item->file.path != NULL;
	}
	return 0;
}

static int
make_items(struct rpc_cache_call *call, uint64_t max_object_bytes)
{
	const struct tarn_rpc_objects *entries =
	    (const void *)((const char *)call->params + call->method->entry_offset);

	call->name = *(char **)call->params;
	call->item_count = call->method->batch_entry_bytes != 0 ? entries->count : 1;
	/* At least one, so that an empty batch has memory too. */
	call->items = calloc(call->item_count + UINT32_C(1), sizeof(*call->items));
	call->ops = calloc(call->item_count + UINT32_C(1), sizeof(struct tarn_cache_op *));
	if (call->items == NULL || call->ops == NULL) {
		tarn_rpc_reply(call->req, NULL);
		return -ENOMEM;
	}
	return fill_items(call, max_object_bytes);
}

/* \return whether the call goes on; otherwise it was answered. */
static bool
call_begin(struct rpc_cache_call *call)
{
	struct tarn_cache_info info;
	struct tarn_cache *cache = rpc_cache_need(call->req, *(char **)call->params);

	if (cache == NULL)
		return false;
	tarn_cache_get_info(cache, &info);
	return make_items(call, info.max_object_bytes) == 0;
}

void
rpc_cache_keys(struct tarn_rpc_request *req, const struct cJSON *json)
{
	const struct rpc_cache_method *method = tarn_rpc_arg(req);
	struct rpc_cache_call *call = calloc(1, sizeof(*call));

	if (call == NULL || (call->params = calloc(1, method->fields->params_bytes)) == NULL) {
		free(call);
		tarn_rpc_reply(req, NULL);
		return;
	}
	call->req = req;
	call->method = method;
	if (tarn_rpc_decode(req, json, method->fields, call->params) != 0 || !call_begin(call)) {
		call_free(call);
		return;
	}
	rpc_cache_hold();
	next_step(call);
}
