/* SPDX-License-Identifier: BSD-3-Clause */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/tarnctl/ctl.h"
#include "tarn/json.h"

/*
 * Results: JSON for programs; for eyes, lists as tables and objects as names and values.
 */
static bool
is_list_of_objects(const struct cJSON *json)
{
	return cJSON_IsArray(json) && cJSON_IsObject(json->child);
}

static void
print_json(struct cJSON *json)
{
	char *text = tarn_json_print(json, true);

	if (text != NULL) {
		puts(text);
	}
	free(text);
}

static void
print_object(const struct cJSON *object)
{
	const struct cJSON *member;
	int width = 0;

	cJSON_ArrayForEach (member, object) {
		int length = (int)strlen(member->string);

		width = length > width && !is_list_of_objects(member) ? length : width;
	}
	cJSON_ArrayForEach (member, object) {
		char *cell = is_list_of_objects(member) ? NULL : ctl_cell(member);

		if (cell != NULL) {
			printf("%-*s  %s\n", width, member->string, cell);
		}
		free(cell);
	}
	cJSON_ArrayForEach (member, object) {
		if (is_list_of_objects(member)) {
			printf("\n%s:\n", member->string);
			ctl_print_table(member);
		}
	}
}

static void
print_for_eyes(const struct cJSON *result)
{
	const struct cJSON *item;
	char *cell;

	if (is_list_of_objects(result)) {
		ctl_print_table(result);
	} else if (cJSON_IsObject(result)) {
		print_object(result);
	} else if (cJSON_IsArray(result)) {
		cJSON_ArrayForEach (item, result) {
			cell = ctl_cell(item);
			puts(cell != NULL ? cell : "");
			free(cell);
		}
	} else {
		cell = ctl_cell(result);
		puts(cell != NULL ? cell : "");
		free(cell);
	}
}

void
ctl_print_result(const struct ctl *ctl, struct cJSON *result)
{
	bool table =
	    ctl->format == CTL_FORMAT_TABLE ||
	    (ctl->format == CTL_FORMAT_AUTO && is_list_of_objects(result) && isatty(STDOUT_FILENO));

	if (table) {
		print_for_eyes(result);
	} else {
		print_json(result);
	}
}
