/* SPDX-License-Identifier: BSD-3-Clause */
#include <cjson/cJSON.h>
#include <stdlib.h>

#include "lib/jsonrpc/internal.h"
#include "tarn/util.h"

/*
 * Params structures back to objects. encode(decode(x)) decodes to the same structure:
 * test/unit/jsonrpc proves it for every type.
 */
static struct cJSON *
name_of_value(const struct tarn_rpc_field *field, int value)
{
	for (const struct tarn_rpc_name *name = field->names; name->name != NULL; name++) {
		if (name->value == value) {
			return cJSON_CreateString(name->name);
		}
	}
	tarn_panic(__FILE__, __LINE__, __func__, field->name);
}

static struct cJSON *
bytes_encode(const struct tarn_rpc_bytes *bytes)
{
	char *text = tarn_base64_encode(bytes->data, bytes->data_bytes);
	struct cJSON *json = text != NULL ? cJSON_CreateString(text) : NULL;

	free(text);
	return json;
}

static struct cJSON *
objects_encode(const struct tarn_rpc_field *field, const struct tarn_rpc_objects *objects)
{
	struct cJSON *array = cJSON_CreateArray();

	for (uint32_t i = 0; array != NULL && i < objects->count; i++) {
		const char *item = (const char *)objects->items + i * field->fields->params_bytes;

		/* Within arrays everything is written out: an element reads better whole. */
		if (!cJSON_AddItemToArray(array, tarn_rpc_encode(field->fields, item, false))) {
			cJSON_Delete(array);
			array = NULL;
		}
	}
	return array;
}

static struct cJSON *
number_encode(const struct tarn_rpc_field *field, const char *params)
{
	const void *member = params + field->offset;

	if (field->word_flag != 0 && *(const bool *)(params + field->word_flag - 1)) {
		return cJSON_CreateString(field->word);
	}
	switch (field->type) {
	case TARN_RPC_U32:
		return tarn_json_u64(*(const uint32_t *)member);
	case TARN_RPC_I32:
		return tarn_json_i64(*(const int32_t *)member);
	case TARN_RPC_I64:
		return tarn_json_i64(*(const int64_t *)member);
	case TARN_RPC_DOUBLE:
		return cJSON_CreateNumber(*(const double *)member);
	default:
		return tarn_json_u64(*(const uint64_t *)member);
	}
}

static struct cJSON *
value_encode(const struct tarn_rpc_field *field, const char *params)
{
	static const char *const tristates[] = { "off", "on", "auto" };
	const void *member = params + field->offset;
	const struct tarn_rpc_strings *strings = member;

	switch (field->type) {
	case TARN_RPC_BOOL:
		return cJSON_CreateBool(*(const bool *)member != field->invert);
	case TARN_RPC_STRING:
		return cJSON_CreateString(*(const char *const *)member);
	case TARN_RPC_ENUM:
		return name_of_value(field, *(const int *)member);
	case TARN_RPC_TRISTATE:
		tarn_assert(*(const unsigned int *)member < tarn_array_count(tristates));
		return cJSON_CreateString(tristates[*(const int *)member]);
	case TARN_RPC_BYTES:
		return bytes_encode(member);
	case TARN_RPC_STRINGS:
		return cJSON_CreateStringArray((const char *const *)strings->items,
					       (int)strings->count);
	case TARN_RPC_OBJECTS:
		return objects_encode(field, member);
	case TARN_RPC_JSON:
		return cJSON_Duplicate(*(struct cJSON *const *)member, true);
	default:
		return number_encode(field, params);
	}
}

/* Whether there is nothing to write. */
static bool
is_absent(const struct tarn_rpc_field *field, const char *params)
{
	const void *member = params + field->offset;

	if (field->secret) {
		return true;
	}
	switch (field->type) {
	case TARN_RPC_INERT:
		return true;
	case TARN_RPC_STRING:
	case TARN_RPC_BYTES: /* its data comes first */
	case TARN_RPC_JSON:
		return *(const void *const *)member == NULL;
	case TARN_RPC_STRINGS:
		return ((const struct tarn_rpc_strings *)member)->count == 0 && !field->required;
	case TARN_RPC_OBJECTS:
		return ((const struct tarn_rpc_objects *)member)->count == 0 && !field->required;
	default:
		return false;
	}
}

static bool
equals_default(const struct tarn_rpc_field *field, struct cJSON *value)
{
	char *text;
	struct cJSON *plain, *def;
	bool same;

	if (field->def == NULL || field->required) {
		return false;
	}
	text = cJSON_PrintUnformatted(value); /* raw items become numbers again */
	plain = text != NULL ? cJSON_Parse(text) : NULL;
	def = cJSON_Parse(field->def);
	same = plain != NULL && def != NULL && cJSON_Compare(plain, def, true);
	cJSON_Delete(def);
	cJSON_Delete(plain);
	cJSON_free(text);
	return same;
}

static bool
fields_encode(const struct tarn_rpc_fields *fields, const char *params, bool omit_defaults,
	      struct cJSON *object)
{
	for (uint32_t i = 0; i < fields->count; i++) {
		const struct tarn_rpc_field *field = &fields->list[i];
		struct cJSON *value;

		if (field->type == TARN_RPC_GROUP) {
			if (!fields_encode(field->fields, params + field->offset, omit_defaults,
					   object)) {
				return false;
			}
			continue;
		}
		if (is_absent(field, params)) {
			continue;
		}
		value = value_encode(field, params);
		if (value != NULL && omit_defaults && equals_default(field, value)) {
			cJSON_Delete(value);
			continue;
		}
		if (jsonrpc_add(object, field->name, value) != 0) {
			return false;
		}
	}
	return true;
}

struct cJSON *
tarn_rpc_encode(const struct tarn_rpc_fields *fields, const void *params, bool omit_defaults)
{
	struct cJSON *object = cJSON_CreateObject();

	if (object != NULL && !fields_encode(fields, params, omit_defaults, object)) {
		cJSON_Delete(object);
		return NULL;
	}
	return object;
}
