/* SPDX-License-Identifier: BSD-3-Clause */
#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/jsonrpc/internal.h"
#include "tarn/util.h"

/*
 * Values that are no numbers. What a member points to is always the params structure's own copy,
 * and a member is either empty or whole: a value that fails to decode leaves it empty.
 */
#define STRING_MAX_BYTES 4096
#define ARRAY_MAX_COUNT 1024

static int
bool_decode(const struct tarn_rpc_field *field, const struct cJSON *value, bool *ret,
	    struct jsonrpc_error *error)
{
	if (!cJSON_IsBool(value)) {
		return jsonrpc_error_set(error, "must be true or false");
	}
	*ret = cJSON_IsTrue(value) != field->invert;
	return 0;
}

static int
length_check(const struct tarn_rpc_field *field, uint64_t count, uint64_t max, const char *what,
	     struct jsonrpc_error *error)
{
	uint64_t bound = field->max != 0 ? field->max : max;

	if (count == 0 && field->min > 0) {
		return jsonrpc_error_set(error, "must not be empty");
	}
	if (count > bound || count < (uint64_t)field->min) {
		return jsonrpc_error_set(error,
					 "%" PRIu64 " %s; it must have %" PRId64 " to %" PRIu64,
					 count, what, field->min, bound);
	}
	return 0;
}

static int
string_decode(const struct tarn_rpc_field *field, const struct cJSON *value, char **ret,
	      struct jsonrpc_error *error)
{
	int rc;

	if (!cJSON_IsString(value)) {
		return jsonrpc_error_set(error, "must be a string");
	}
	rc = length_check(field, strlen(value->valuestring), STRING_MAX_BYTES, "bytes", error);
	if (rc == 0) {
		*ret = strdup(value->valuestring);
		rc = *ret != NULL ? 0 : -ENOMEM;
	}
	return rc;
}

static int
enum_refuse(const struct tarn_rpc_field *field, const struct cJSON *value,
	    struct jsonrpc_error *error)
{
	char list[256] = "";
	size_t used = 0;

	for (const struct tarn_rpc_name *name = field->names; name->name != NULL; name++) {
		int rc = snprintf(list + used, sizeof(list) - used, "%s%s", used > 0 ? ", " : "",
				  name->name);

		if (rc < 0 || (size_t)rc >= sizeof(list) - used) {
			break;
		}
		used += (size_t)rc;
	}
	if (!cJSON_IsString(value)) {
		return jsonrpc_error_set(error, "must be one of the strings %s", list);
	}
	return jsonrpc_error_set(error, "\"%.64s\" is none of %s", value->valuestring, list);
}

static int
enum_decode(const struct tarn_rpc_field *field, const struct cJSON *value, int *ret,
	    struct jsonrpc_error *error)
{
	const struct tarn_rpc_name *name = field->names;

	while (name->name != NULL &&
	       !(cJSON_IsString(value) && strcmp(name->name, value->valuestring) == 0)) {
		name++;
	}
	if (name->name == NULL) {
		return enum_refuse(field, value, error);
	}
	*ret = name->value;
	return 0;
}

static int
tristate_decode(const struct cJSON *value, int *ret, struct jsonrpc_error *error)
{
	static const char *const names[] = { "off", "on", "auto" };

	if (cJSON_IsBool(value)) {
		*ret = cJSON_IsTrue(value);
		return 0;
	}
	for (int i = 0; cJSON_IsString(value) && i < 3; i++) {
		if (strcmp(value->valuestring, names[i]) == 0) {
			*ret = i;
			return 0;
		}
	}
	return jsonrpc_error_set(error, "must be \"off\", \"on\", \"auto\", true or false");
}

static int
bytes_decode(const struct tarn_rpc_field *field, const struct cJSON *value,
	     struct tarn_rpc_bytes *ret, struct jsonrpc_error *error)
{
	int rc;

	if (!cJSON_IsString(value)) {
		return jsonrpc_error_set(error, "must be a string of base64");
	}
	rc = tarn_base64_decode(value->valuestring, &ret->data, &ret->data_bytes);
	if (rc == -EINVAL) {
		return jsonrpc_error_set(error, "is not valid base64 (RFC 4648, with padding)");
	}
	if (rc == 0) {
		rc = length_check(field, ret->data_bytes, STRING_MAX_BYTES, "bytes", error);
	}
	return rc;
}

static int
array_check(const struct tarn_rpc_field *field, const struct cJSON *value, const char *of_what,
	    struct jsonrpc_error *error)
{
	if (!cJSON_IsArray(value)) {
		return jsonrpc_error_set(error, "must be an array of %s", of_what);
	}
	return length_check(field, (uint64_t)cJSON_GetArraySize(value), ARRAY_MAX_COUNT, "elements",
			    error);
}

static int
strings_decode(const struct tarn_rpc_field *field, const struct cJSON *value,
	       struct tarn_rpc_strings *ret, struct jsonrpc_error *error)
{
	const struct tarn_rpc_field any = { .type = TARN_RPC_STRING };
	const struct cJSON *item;
	int rc = array_check(field, value, "strings", error);

	if (rc != 0) {
		return rc;
	}
	ret->items = calloc((size_t)cJSON_GetArraySize(value) + 1, sizeof(*ret->items));
	if (ret->items == NULL) {
		return -ENOMEM;
	}
	cJSON_ArrayForEach (item, value) {
		rc = string_decode(&any, item, &ret->items[ret->count], error);
		if (rc != 0) {
			return rc == -EINVAL ? jsonrpc_error_prefix(error, "[%u]", ret->count) : rc;
		}
		ret->count++;
	}
	return 0;
}

static int
objects_decode(const struct tarn_rpc_field *field, const struct cJSON *value,
	       struct tarn_rpc_objects *ret, struct jsonrpc_error *error)
{
	size_t item_bytes = field->fields->params_bytes;
	const struct cJSON *item;
	int rc = array_check(field, value, "objects", error);

	if (rc != 0) {
		return rc;
	}
	ret->items = calloc((size_t)cJSON_GetArraySize(value) + 1, item_bytes);
	if (ret->items == NULL) {
		return -ENOMEM;
	}
	cJSON_ArrayForEach (item, value) {
		char *params = (char *)ret->items + ret->count * item_bytes;

		rc = jsonrpc_object_decode(item, field->fields, params, error);
		if (rc != 0) {
			return rc == -EINVAL ? jsonrpc_error_prefix(error, "[%u]", ret->count) : rc;
		}
		ret->count++;
	}
	return 0;
}

static int
json_decode(const struct cJSON *value, struct cJSON **ret)
{
	*ret = cJSON_Duplicate(value, true);
	return *ret != NULL ? 0 : -ENOMEM;
}

static int
decode_by_type(const struct tarn_rpc_field *field, const struct cJSON *value, char *params,
	       struct jsonrpc_error *error)
{
	void *member = jsonrpc_member(field, params);

	switch (field->type) {
	case TARN_RPC_BOOL:
		return bool_decode(field, value, member, error);
	case TARN_RPC_STRING:
		return string_decode(field, value, member, error);
	case TARN_RPC_ENUM:
		return enum_decode(field, value, member, error);
	case TARN_RPC_TRISTATE:
		return tristate_decode(value, member, error);
	case TARN_RPC_BYTES:
		return bytes_decode(field, value, member, error);
	case TARN_RPC_STRINGS:
		return strings_decode(field, value, member, error);
	case TARN_RPC_OBJECTS:
		return objects_decode(field, value, member, error);
	case TARN_RPC_JSON:
		return json_decode(value, member);
	default:
		tarn_assert(jsonrpc_type_is_number(field->type));
		return jsonrpc_number_decode(field, value, params, error);
	}
}

int
jsonrpc_value_decode(const struct tarn_rpc_field *field, const struct cJSON *value, char *params,
		     struct jsonrpc_error *error)
{
	int rc = decode_by_type(field, value, params, error);

	if (rc != 0) {
		jsonrpc_value_clear(field, params, true);
	}
	return rc;
}

static void
strings_free(struct tarn_rpc_strings *strings)
{
	for (uint32_t i = 0; i < strings->count; i++) {
		free(strings->items[i]);
	}
	free(strings->items);
}

static void
objects_free(const struct tarn_rpc_field *field, struct tarn_rpc_objects *objects)
{
	for (uint32_t i = 0; i < objects->count; i++) {
		tarn_rpc_params_free(field->fields,
				     (char *)objects->items + i * field->fields->params_bytes);
	}
	free(objects->items);
}

void
jsonrpc_value_clear(const struct tarn_rpc_field *field, char *params, bool release)
{
	void *member = jsonrpc_member(field, params);

	switch (field->type) {
	case TARN_RPC_STRING:
		release ? free(*(char **)member) : (void)0;
		break;
	case TARN_RPC_BYTES:
		release ? free(((struct tarn_rpc_bytes *)member)->data) : (void)0;
		break;
	case TARN_RPC_STRINGS:
		release ? strings_free(member) : (void)0;
		break;
	case TARN_RPC_OBJECTS:
		release ? objects_free(field, member) : (void)0;
		break;
	case TARN_RPC_JSON:
		release ? cJSON_Delete(*(struct cJSON **)member) : (void)0;
		break;
	default:
		return; /* values, not pointers: they stay what the caller made them */
	}
	memset(member, 0, field->size);
}
