/* SPDX-License-Identifier: BSD-3-Clause */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#include "app/tarnctl/ctl.h"

/* The declarations of the running server: lib/jsonrpc/README.md describes their form. */
enum ctl_exit
ctl_load_schema(struct ctl *ctl)
{
	if (ctl->schema != NULL) {
		return CTL_OK;
	}
	if (ctl_call(ctl, "tarn_get_schema", NULL, &ctl->schema) != CTL_OK) {
		return CTL_REFUSED;
	}
	if (!cJSON_IsArray(ctl_methods(ctl))) {
		ctl_error(
		    "tarn_get_schema: the answer of %s is of another version than this tarnctl",
		    ctl->path);
		return CTL_REFUSED;
	}
	return CTL_OK;
}

const struct cJSON *
ctl_methods(const struct ctl *ctl)
{
	return cJSON_GetObjectItemCaseSensitive(ctl->schema, "methods");
}

const char *
ctl_text(const struct cJSON *object, const char *name)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
}

bool
ctl_flag(const struct cJSON *object, const char *name)
{
	return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, name));
}

/* '-' in what the user wrote stands for '_' too. */
static bool
same_name(const char *name, const char *written, size_t written_bytes)
{
	if (name == NULL || strlen(name) != written_bytes) {
		return false;
	}
	for (size_t i = 0; i < written_bytes; i++) {
		if (name[i] != written[i] && !(name[i] == '_' && written[i] == '-')) {
			return false;
		}
	}
	return true;
}

const struct cJSON *
ctl_find_method(const struct ctl *ctl, const char *name)
{
	const struct cJSON *method;

	cJSON_ArrayForEach (method, ctl_methods(ctl)) {
		if (same_name(ctl_text(method, "name"), name, strlen(name)) ||
		    same_name(ctl_text(method, "alias"), name, strlen(name))) {
			return method;
		}
	}
	return NULL;
}

const struct cJSON *
ctl_find_field(const struct cJSON *method, const char *name, size_t name_bytes)
{
	const struct cJSON *field;

	cJSON_ArrayForEach (field, cJSON_GetObjectItemCaseSensitive(method, "params")) {
		if (same_name(ctl_text(field, "name"), name, name_bytes) ||
		    same_name(ctl_text(field, "alias"), name, name_bytes)) {
			return field;
		}
	}
	return NULL;
}
