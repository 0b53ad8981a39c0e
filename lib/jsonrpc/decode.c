/* SPDX-License-Identifier: BSD-3-Clause */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/jsonrpc/internal.h"
#include "tarn/util.h"

/*
 * Objects by tables. First nothing unknown may be there, then each field of the table is looked
 * for; a group's fields count as the table's own.
 */
const struct tarn_rpc_fields tarn_rpc_no_fields = { NULL, 0, 0 };

int
jsonrpc_error_set(struct jsonrpc_error *error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error->text, sizeof(error->text), format, args);
	va_end(args);
	return -EINVAL;
}

int
jsonrpc_error_prefix(struct jsonrpc_error *error, const char *format, ...)
{
	char old[JSONRPC_ERROR_BYTES];
	va_list args;
	size_t used;

	memcpy(old, error->text, sizeof(old));
	va_start(args, format);
	vsnprintf(error->text, sizeof(error->text), format, args);
	va_end(args);
	used = strlen(error->text);
	/* An index belongs to the name before it: "entries[3]: key: missing". */
	snprintf(error->text + used, sizeof(error->text) - used, "%s%s", old[0] == '[' ? "" : ": ",
		 old);
	return -EINVAL;
}

static bool
is_named(const struct tarn_rpc_field *field, const char *name)
{
	return field->type != TARN_RPC_GROUP &&
	       (strcmp(field->name, name) == 0 ||
		(field->alias != NULL && strcmp(field->alias, name) == 0));
}

static bool
is_known(const struct tarn_rpc_fields *fields, const char *name)
{
	for (uint32_t i = 0; i < fields->count; i++) {
		const struct tarn_rpc_field *field = &fields->list[i];

		if (is_named(field, name) ||
		    (field->type == TARN_RPC_GROUP && is_known(field->fields, name))) {
			return true;
		}
	}
	return false;
}

/* Append the names of a table to text. \return how much of it is used. */
static size_t
list_names(const struct tarn_rpc_fields *fields, char *text, size_t text_bytes, size_t used)
{
	for (uint32_t i = 0; i < fields->count; i++) {
		const struct tarn_rpc_field *field = &fields->list[i];
		int rc;

		if (field->type == TARN_RPC_GROUP) {
			used = list_names(field->fields, text, text_bytes, used);
			continue;
		}
		if (field->type == TARN_RPC_INERT) {
			continue;
		}
		rc = snprintf(text + used, text_bytes - used, "%s%s", used > 0 ? ", " : "",
			      field->name);
		if (rc < 0 || (size_t)rc >= text_bytes - used) {
			text[used] = '\0';
			return used;
		}
		used += (size_t)rc;
	}
	return used;
}

static int
unknown_field(const struct tarn_rpc_fields *fields, const char *name, struct jsonrpc_error *error)
{
	char names[320];

	if (list_names(fields, names, sizeof(names), 0) == 0) {
		return jsonrpc_error_set(error, "%.100s: unknown field; there are none", name);
	}
	return jsonrpc_error_set(error, "%.100s: unknown field; known are %s", name, names);
}

static int
inert_check(const struct tarn_rpc_field *field, const struct cJSON *value,
	    struct jsonrpc_error *error)
{
	struct cJSON *wanted = field->def != NULL ? cJSON_Parse(field->def) : NULL;
	bool same = wanted != NULL && cJSON_Compare(wanted, value, true);

	cJSON_Delete(wanted);
	if (same) {
		return 0;
	}
	return field->def != NULL
		   ? jsonrpc_error_set(error, "not supported here; leave it out or give %s",
				       field->def)
		   : jsonrpc_error_set(error, "not supported here; leave it out");
}

static int
default_decode(const struct tarn_rpc_field *field, char *params, struct jsonrpc_error *error)
{
	struct cJSON *value;
	int rc;

	if (field->def == NULL || field->type == TARN_RPC_INERT) {
		return 0;
	}
	value = cJSON_Parse(field->def);
	if (value == NULL) {
		return -ENOMEM;
	}
	rc = jsonrpc_value_decode(field, value, params, error);
	cJSON_Delete(value);
	return rc;
}

static int
find_value(const struct tarn_rpc_field *field, const struct cJSON *json,
	   const struct cJSON **ret_value, struct jsonrpc_error *error)
{
	const struct cJSON *other = NULL;

	*ret_value = cJSON_GetObjectItemCaseSensitive(json, field->name);
	if (field->alias != NULL) {
		other = cJSON_GetObjectItemCaseSensitive(json, field->alias);
	}
	if (*ret_value != NULL && other != NULL) {
		return jsonrpc_error_set(error, "given twice, also as \"%s\"", field->alias);
	}
	*ret_value = *ret_value != NULL ? *ret_value : other;
	return 0;
}

static int
field_decode(const struct tarn_rpc_field *field, const struct cJSON *json, char *params,
	     struct jsonrpc_error *error)
{
	const struct cJSON *value;
	int rc = find_value(field, json, &value, error);

	if (rc != 0) {
		return rc;
	}
	jsonrpc_flag_set(params, field->given, value != NULL);
	if (value == NULL) {
		return field->required ? jsonrpc_error_set(error, "missing")
				       : default_decode(field, params, error);
	}
	if (field->type == TARN_RPC_INERT) {
		return inert_check(field, value, error);
	}
	return jsonrpc_value_decode(field, value, params, error);
}

static void
clear(const struct tarn_rpc_fields *fields, char *params, bool release)
{
	for (uint32_t i = 0; i < fields->count; i++) {
		const struct tarn_rpc_field *field = &fields->list[i];

		if (field->type == TARN_RPC_GROUP) {
			clear(field->fields, params + field->offset, release);
		} else {
			jsonrpc_value_clear(field, params, release);
		}
	}
}

static int
fields_decode(const struct cJSON *json, const struct tarn_rpc_fields *fields, char *params,
	      struct jsonrpc_error *error)
{
	for (uint32_t i = 0; i < fields->count; i++) {
		const struct tarn_rpc_field *field = &fields->list[i];
		int rc;

		if (field->type == TARN_RPC_GROUP) {
			rc = fields_decode(json, field->fields, params + field->offset, error);
		} else {
			rc = field_decode(field, json, params, error);
			rc = rc == -EINVAL ? jsonrpc_error_prefix(error, "%s", field->name) : rc;
		}
		if (rc != 0) {
			return rc;
		}
	}
	return 0;
}

int
jsonrpc_object_decode(const struct cJSON *json, const struct tarn_rpc_fields *fields, char *params,
		      struct jsonrpc_error *error)
{
	const struct cJSON *member;
	int rc;

	clear(fields, params, false);
	/* A client that passes arguments by place may pass none of them as []. */
	if (json != NULL && !cJSON_IsObject(json) &&
	    !(cJSON_IsArray(json) && cJSON_GetArraySize(json) == 0)) {
		return jsonrpc_error_set(error, "must be an object with named fields");
	}
	cJSON_ArrayForEach (member, json) {
		if (!is_known(fields, member->string)) {
			return unknown_field(fields, member->string, error);
		}
	}
	rc = fields_decode(json, fields, params, error);
	if (rc != 0) {
		clear(fields, params, true);
	}
	return rc;
}

int
tarn_rpc_decode_text(const struct cJSON *json, const struct tarn_rpc_fields *fields, void *params,
		     char *error_text, size_t error_bytes)
{
	struct jsonrpc_error error = { "" };
	int rc = jsonrpc_object_decode(json, fields, params, &error);

	if (rc != 0) {
		tarn_strcpy(error_text, error_bytes, rc == -ENOMEM ? "out of memory" : error.text);
	}
	return rc;
}

int
tarn_rpc_decode(struct tarn_rpc_request *req, const struct cJSON *json,
		const struct tarn_rpc_fields *fields, void *params)
{
	struct jsonrpc_error error = { "" };
	int rc = jsonrpc_object_decode(json, fields, params, &error);

	if (rc == -ENOMEM) {
		tarn_rpc_fail(req, rc, "%s: out of memory", tarn_rpc_method_name(req));
	} else if (rc != 0) {
		tarn_rpc_refuse(req, "%s", error.text);
	}
	return rc;
}

void
tarn_rpc_params_free(const struct tarn_rpc_fields *fields, void *params)
{
	clear(fields, params, true);
}
