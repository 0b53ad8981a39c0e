/* SPDX-License-Identifier: BSD-3-Clause */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#include "lib/jsonrpc/internal.h"
#include "tarn/version.h"

/*
 * The declarations of all methods as JSON. What has no value is left out. README.md describes the
 * form, and tarnctl and the generator of doc/rpc.md read it.
 */
static const char *const type_names[] = {
	[TARN_RPC_BOOL] = "bool",	[TARN_RPC_U32] = "u32",
	[TARN_RPC_I32] = "i32",		[TARN_RPC_U64] = "u64",
	[TARN_RPC_I64] = "i64",		[TARN_RPC_SIZE] = "size",
	[TARN_RPC_DOUBLE] = "double",	[TARN_RPC_STRING] = "string",
	[TARN_RPC_ENUM] = "enum",	[TARN_RPC_TRISTATE] = "tristate",
	[TARN_RPC_BYTES] = "base64",	[TARN_RPC_STRINGS] = "strings",
	[TARN_RPC_OBJECTS] = "objects", [TARN_RPC_JSON] = "json",
	[TARN_RPC_GROUP] = "group",	[TARN_RPC_INERT] = "inert",
};

/* Additions whose failures add up; the caller looks once. */
static void
add(struct cJSON *object, const char *name, struct cJSON *item, bool *failed)
{
	*failed = jsonrpc_add(object, name, item) != 0 || *failed;
}

static void
add_text(struct cJSON *object, const char *name, const char *text, bool *failed)
{
	if (text != NULL) {
		add(object, name, cJSON_CreateString(text), failed);
	}
}

static void
add_true(struct cJSON *object, const char *name, bool value, bool *failed)
{
	if (value) {
		add(object, name, cJSON_CreateTrue(), failed);
	}
}

static struct cJSON *
enum_names(const struct tarn_rpc_name *names)
{
	struct cJSON *array = cJSON_CreateArray();

	for (; array != NULL && names->name != NULL; names++) {
		if (!cJSON_AddItemToArray(array, cJSON_CreateString(names->name))) {
			cJSON_Delete(array);
			array = NULL;
		}
	}
	return array;
}

static bool add_fields(struct cJSON *array, const struct tarn_rpc_fields *fields);

static struct cJSON *
fields_schema(const struct tarn_rpc_fields *fields)
{
	struct cJSON *array = cJSON_CreateArray();

	if (array != NULL && !add_fields(array, fields)) {
		cJSON_Delete(array);
		return NULL;
	}
	return array;
}

static struct cJSON *
field_schema(const struct tarn_rpc_field *field)
{
	struct cJSON *object = cJSON_CreateObject();
	bool failed = object == NULL;

	add_text(object, "name", field->name, &failed);
	add_text(object, "type", type_names[field->type], &failed);
	add_text(object, "alias", field->alias, &failed);
	add_true(object, "required", field->required, &failed);
	if (field->def != NULL) {
		add(object, "default", cJSON_Parse(field->def), &failed);
	}
	add_text(object, "default_help", field->def_help, &failed);
	if (field->min != 0) {
		add(object, "min", tarn_json_i64(field->min), &failed);
	}
	if (field->max != 0) {
		add(object, "max", tarn_json_u64(field->max), &failed);
	}
	add_true(object, "power_of_two", field->pow2, &failed);
	add_true(object, "zero_allowed", field->zero, &failed);
	add_true(object, "not_saved", field->secret, &failed);
	add_text(object, "unit", field->unit, &failed);
	add_text(object, "word", field->word, &failed);
	if (field->names != NULL) {
		add(object, "values", enum_names(field->names), &failed);
	}
	if (field->fields != NULL) {
		add(object, "params", fields_schema(field->fields), &failed);
	}
	add_text(object, "help", field->help, &failed);
	if (failed) {
		cJSON_Delete(object);
		return NULL;
	}
	return object;
}

static bool
add_fields(struct cJSON *array, const struct tarn_rpc_fields *fields)
{
	for (uint32_t i = 0; i < fields->count; i++) {
		const struct tarn_rpc_field *field = &fields->list[i];
		bool added;

		if (field->type == TARN_RPC_GROUP) {
			added = add_fields(array, field->fields);
		} else {
			added = cJSON_AddItemToArray(array, field_schema(field));
		}
		if (!added) {
			return false;
		}
	}
	return true;
}

static struct cJSON *
states_schema(uint32_t states)
{
	const char *names[2];
	int count = 0;

	if (states == 0 || (states & TARN_RPC_RUNTIME) != 0) {
		names[count++] = "runtime";
	}
	if ((states & TARN_RPC_STARTUP) != 0) {
		names[count++] = "startup";
	}
	return cJSON_CreateStringArray(names, count);
}

static struct cJSON *
method_schema(const struct tarn_rpc_method *method)
{
	struct cJSON *object = cJSON_CreateObject();
	bool failed = object == NULL;
	char noun[32];

	/* "bdev" of "bdev_get_bdevs". */
	snprintf(noun, sizeof(noun), "%.*s", (int)strcspn(method->name, "_"), method->name);
	add_text(object, "name", method->name, &failed);
	add_text(object, "alias", method->alias, &failed);
	add_text(object, "noun", method->noun != NULL ? method->noun : noun, &failed);
	add_text(object, "help", method->help, &failed);
	add_text(object, "details", method->details, &failed);
	add_text(object, "result", method->result, &failed);
	if (method->example != NULL) {
		add(object, "example", cJSON_Parse(method->example), &failed);
	}
	add(object, "states", states_schema(method->states), &failed);
	add(object, "params", fields_schema(method->fields), &failed);
	if (failed) {
		cJSON_Delete(object);
		return NULL;
	}
	return object;
}

struct cJSON *
tarn_rpc_schema(void)
{
	struct cJSON *schema = cJSON_CreateObject(), *methods = cJSON_CreateArray();
	bool failed = schema == NULL || methods == NULL;

	for (const struct tarn_rpc_method *m = tarn_rpc_method_next(NULL); m != NULL && !failed;
	     m = tarn_rpc_method_next(m)) {
		failed = !cJSON_AddItemToArray(methods, method_schema(m));
	}
	add_text(schema, "version", TARN_VERSION, &failed);
	add_text(schema, "state", tarn_rpc_get_state() == TARN_RPC_RUNTIME ? "runtime" : "startup",
		 &failed);
	add(schema, "methods", methods, &failed);
	if (failed) {
		cJSON_Delete(schema);
		return NULL;
	}
	return schema;
}
