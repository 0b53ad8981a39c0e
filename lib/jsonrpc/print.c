/* SPDX-License-Identifier: BSD-3-Clause */
#include <cjson/cJSON.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/jsonrpc/internal.h"

/*
 * Trees to text, for people two blanks deep, with short lists on one line. Single values are
 * cJSON's to print.
 */
#define LINE_COLUMNS 80

/* Text that grows; after a failure it stays as it was, and failed. */
struct text {
	char *data;
	size_t used, room;
	bool failed;
};

static void
put(struct text *text, const char *data, size_t bytes)
{
	size_t room = text->room == 0 ? 256 : text->room;
	char *larger;

	while (room - text->used <= bytes) {
		room *= 2;
	}
	if (room != text->room && !text->failed) {
		larger = realloc(text->data, room);
		text->failed = larger == NULL;
		text->data = larger != NULL ? larger : text->data;
		text->room = larger != NULL ? room : text->room;
	}
	if (!text->failed) {
		memcpy(text->data + text->used, data, bytes);
		text->used += bytes;
		text->data[text->used] = '\0';
	}
}

static void
put_line(struct text *text, uint32_t depth)
{
	put(text, "\n", 1);
	for (uint32_t i = 0; i < depth; i++) {
		put(text, "  ", 2);
	}
}

/* What cJSON prints on one line. */
static void
put_plain(struct text *text, const struct cJSON *json)
{
	char *plain = cJSON_PrintUnformatted(json);

	if (plain != NULL) {
		put(text, plain, strlen(plain));
	}
	text->failed = text->failed || plain == NULL;
	free(plain);
}

static bool
is_nested(const struct cJSON *json)
{
	return cJSON_IsArray(json) || cJSON_IsObject(json);
}

/* Lists of plain values are rows; they and what is empty need no lines of their own. */
static bool
fits_line(const struct cJSON *json)
{
	const struct cJSON *child;
	size_t columns = 0;

	if (cJSON_IsObject(json) && json->child != NULL) {
		return false;
	}
	cJSON_ArrayForEach (child, json) {
		columns += cJSON_IsString(child) ? strlen(child->valuestring) + 4 : 8;
		if (is_nested(child) || columns > LINE_COLUMNS) {
			return false;
		}
	}
	return true;
}

static void put_value(struct text *text, const struct cJSON *json, uint32_t depth);

static void
put_member_name(struct text *text, const struct cJSON *member)
{
	struct cJSON *name;

	if (member->string == NULL) {
		return;
	}
	name = cJSON_CreateStringReference(member->string);
	put_plain(text, name);
	put(text, ": ", 2);
	cJSON_Delete(name);
}

static void
put_row(struct text *text, const struct cJSON *array)
{
	const struct cJSON *item;

	put(text, "[", 1);
	cJSON_ArrayForEach (item, array) {
		put(text, ", ", item == array->child ? 0 : 2);
		put_plain(text, item);
	}
	put(text, "]", 1);
}

static void
put_lines(struct text *text, const struct cJSON *json, uint32_t depth)
{
	const struct cJSON *child;

	put(text, cJSON_IsArray(json) ? "[" : "{", 1);
	cJSON_ArrayForEach (child, json) {
		put(text, ",", child == json->child ? 0 : 1);
		put_line(text, depth + 1);
		put_member_name(text, child);
		put_value(text, child, depth + 1);
	}
	put_line(text, depth);
	put(text, cJSON_IsArray(json) ? "]" : "}", 1);
}

static void
put_value(struct text *text, const struct cJSON *json, uint32_t depth)
{
	if (cJSON_IsArray(json) && fits_line(json)) {
		put_row(text, json);
	} else if (is_nested(json) && json->child != NULL) {
		put_lines(text, json, depth);
	} else {
		put_plain(text, json);
	}
}

static bool
make_plain(struct cJSON *json)
{
	struct cJSON *child;

	/* cJSON prints what fits an int with %d, and anything else with %g. */
	if (cJSON_IsNumber(json) && json->valuedouble != (double)json->valueint &&
	    json->valuedouble == floor(json->valuedouble) && fabs(json->valuedouble) < 1e18) {
		char digits[24];

		snprintf(digits, sizeof(digits), "%" PRId64, (int64_t)json->valuedouble);
		json->valuestring = cJSON_malloc(sizeof(digits));
		if (json->valuestring == NULL) {
			return false;
		}
		memcpy(json->valuestring, digits, sizeof(digits));
		json->type = (json->type & ~0xff) | cJSON_Raw;
	}
	cJSON_ArrayForEach (child, json) {
		if (!make_plain(child)) {
			return false;
		}
	}
	return true;
}

char *
tarn_json_print(struct cJSON *json, bool formatted)
{
	struct text text = { .data = NULL };

	if (!make_plain(json)) {
		return NULL;
	}
	if (!formatted) {
		return cJSON_PrintUnformatted(json);
	}
	put_value(&text, json, 0);
	if (text.failed) {
		free(text.data);
		return NULL;
	}
	return text.data;
}
