/* SPDX-License-Identifier: BSD-3-Clause */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/jsonrpc/internal.h"
#include "tarn/util.h"

/*
 * The methods that were linked in, in order of name, and the state that says which of them may be
 * called.
 */
static struct tarn_rpc_method *method_list;
static uint32_t current_state = TARN_RPC_RUNTIME;

void
tarn_rpc_method_register(struct tarn_rpc_method *method)
{
	struct tarn_rpc_method **place = &method_list;

	while (*place != NULL && strcmp((*place)->name, method->name) < 0) {
		place = &(*place)->next;
	}
	method->next = *place;
	*place = method;
}

const struct tarn_rpc_method *
tarn_rpc_method_find(const char *name)
{
	for (const struct tarn_rpc_method *m = method_list; m != NULL; m = m->next) {
		if (strcmp(m->name, name) == 0 ||
		    (m->alias != NULL && strcmp(m->alias, name) == 0)) {
			return m;
		}
	}
	return NULL;
}

const struct tarn_rpc_method *
tarn_rpc_method_next(const struct tarn_rpc_method *method)
{
	return method == NULL ? method_list : method->next;
}

void
tarn_rpc_set_state(uint32_t state)
{
	tarn_assert(state == TARN_RPC_STARTUP || state == TARN_RPC_RUNTIME);
	current_state = state;
}

uint32_t
tarn_rpc_get_state(void)
{
	return current_state;
}

struct cJSON *
tarn_rpc_list_methods(bool current, bool include_aliases)
{
	struct cJSON *array = cJSON_CreateArray();

	for (const struct tarn_rpc_method *m = method_list; array != NULL && m != NULL;
	     m = m->next) {
		uint32_t states = m->states != 0 ? m->states : TARN_RPC_RUNTIME;
		bool added = true;

		if (current && (states & current_state) == 0) {
			continue;
		}
		added = cJSON_AddItemToArray(array, cJSON_CreateString(m->name));
		if (added && include_aliases && m->alias != NULL) {
			added = cJSON_AddItemToArray(array, cJSON_CreateString(m->alias));
		}
		if (!added) {
			cJSON_Delete(array);
			return NULL;
		}
	}
	return array;
}

/* --- Checks of declarations: a mistake stops the daemon, and any unit test, at its start --- */

static void __attribute__((noreturn))
broken(const char *method, const char *field, const char *what)
{
	char text[256];

	snprintf(text, sizeof(text), "RPC method %s, field %s: %s", method, field, what);
	tarn_panic(__FILE__, __LINE__, __func__, text);
}

/*
 * The bytes of the member that each type writes; 0: an enum or a group, which have a size of their
 * own.
 */
static size_t
type_size(enum tarn_rpc_type type)
{
	static const size_t sizes[] = {
		[TARN_RPC_BOOL] = sizeof(bool),
		[TARN_RPC_U32] = sizeof(uint32_t),
		[TARN_RPC_I32] = sizeof(int32_t),
		[TARN_RPC_U64] = sizeof(uint64_t),
		[TARN_RPC_I64] = sizeof(int64_t),
		[TARN_RPC_SIZE] = sizeof(uint64_t),
		[TARN_RPC_DOUBLE] = sizeof(double),
		[TARN_RPC_STRING] = sizeof(char *),
		[TARN_RPC_ENUM] = sizeof(int),
		[TARN_RPC_TRISTATE] = sizeof(int),
		[TARN_RPC_BYTES] = sizeof(struct tarn_rpc_bytes),
		[TARN_RPC_STRINGS] = sizeof(struct tarn_rpc_strings),
		[TARN_RPC_OBJECTS] = sizeof(struct tarn_rpc_objects),
		[TARN_RPC_JSON] = sizeof(struct cJSON *),
		[TARN_RPC_GROUP] = 0,
		[TARN_RPC_INERT] = 0,
	};

	return sizes[type];
}

static void check_fields(const char *method, const struct tarn_rpc_fields *fields);

static void
check_default(const char *method, const struct tarn_rpc_field *field, char *scratch)
{
	struct cJSON *value = cJSON_Parse(field->def);
	struct jsonrpc_error error;

	if (value == NULL) {
		broken(method, field->name, "its default is no JSON");
	}
	if (field->type != TARN_RPC_INERT) {
		if (jsonrpc_value_decode(field, value, scratch, &error) != 0) {
			broken(method, field->name, "its default is refused");
		}
		jsonrpc_value_clear(field, scratch, true);
	}
	cJSON_Delete(value);
}

static void
check_field(const char *method, const struct tarn_rpc_field *field, size_t params_bytes)
{
	bool nested = field->type == TARN_RPC_GROUP || field->type == TARN_RPC_OBJECTS;

	if (field->name == NULL && field->type != TARN_RPC_GROUP) {
		broken(method, "?", "it has no name");
	}
	if (type_size(field->type) != 0 && type_size(field->type) != field->size) {
		broken(method, field->name, "its member has another size than its type");
	}
	if (field->offset + field->size > params_bytes) {
		broken(method, field->name, "its member lies outside its structure");
	}
	if ((field->fields != NULL) != nested ||
	    (field->names != NULL) != (field->type == TARN_RPC_ENUM)) {
		broken(method, field->name, "its .fields or .names do not fit its type");
	}
	if (field->required && field->def != NULL) {
		broken(method, field->name, "required, with a default");
	}
	if (field->type != TARN_RPC_INERT && !nested && field->help == NULL) {
		broken(method, field->name, "it has no help");
	}
	if (nested) {
		check_fields(method, field->fields);
	}
}

static void
check_fields(const char *method, const struct tarn_rpc_fields *fields)
{
	char *scratch = calloc(1, fields->params_bytes + 1);

	tarn_assert(scratch != NULL);
	for (uint32_t i = 0; i < fields->count; i++) {
		check_field(method, &fields->list[i], fields->params_bytes);
		if (fields->list[i].def != NULL) {
			check_default(method, &fields->list[i], scratch);
		}
	}
	free(scratch);
}

static void
check_example(const struct tarn_rpc_method *method)
{
	struct cJSON *json = NULL;
	char *params = calloc(1, method->fields->params_bytes + 1);
	struct jsonrpc_error error = { "" };

	tarn_assert(params != NULL);
	if (tarn_json_parse(method->example, strlen(method->example), &json, NULL) != 0) {
		broken(method->name, "-", "its example is no JSON");
	}
	if (jsonrpc_object_decode(json, method->fields, params, &error) != 0) {
		broken(method->name, "of its example", error.text);
	}
	tarn_rpc_params_free(method->fields, params);
	cJSON_Delete(json);
	free(params);
}

void
tarn_rpc_check_methods(void)
{
	for (const struct tarn_rpc_method *m = method_list; m != NULL; m = m->next) {
		if (tarn_rpc_method_find(m->name) != m ||
		    (m->alias != NULL && tarn_rpc_method_find(m->alias) != m)) {
			broken(m->name, "-", "two methods have this name or alias");
		}
		if (m->help == NULL) {
			broken(m->name, "-", "it has no help");
		}
		check_fields(m->name, m->fields);
		if (m->example != NULL) {
			check_example(m);
		}
	}
}
