/* SPDX-License-Identifier: BSD-3-Clause */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "app/tarnctl/ctl.h"
#include "tarn/json.h"

/*
 * Tables with one row per object and one column per name, in order of first appearance. What is
 * nested is not shown, and on a terminal that is too narrow neither is what is 0, false or empty in
 * every row: -j is for that.
 */
#define COLUMN_MAX 64

struct column {
	const char *name;
	int width;
	bool numbers; /* to the right */
	bool telling; /* something in it is neither 0, false, null nor empty */
};

struct table {
	struct column columns[COLUMN_MAX];
	int count;
};

char *
ctl_cell(const struct cJSON *value)
{
	struct cJSON *copy;
	char *text;

	if (cJSON_IsString(value)) {
		text = strdup(value->valuestring);
		/* A name must neither break a row nor command the terminal. */
		for (char *c = text; c != NULL && *c != '\0'; c++) {
			*c = (unsigned char)*c < ' ' || *c == 0x7f ? '?' : *c;
		}
		return text;
	}
	copy = cJSON_Duplicate(value, true);
	text = copy != NULL ? tarn_json_print(copy, false) : NULL;
	cJSON_Delete(copy);
	return text;
}

/* Columns, not bytes: continuation bytes of UTF-8 take none. */
static int
display_width(const char *text)
{
	int width = 0;

	for (; *text != '\0'; text++) {
		width += ((unsigned char)*text & 0xc0) != 0x80;
	}
	return width;
}

static struct column *
find_column(struct table *table, const char *name)
{
	for (int i = 0; i < table->count; i++) {
		if (strcmp(table->columns[i].name, name) == 0) {
			return &table->columns[i];
		}
	}
	if (table->count == COLUMN_MAX) {
		return NULL;
	}
	table->columns[table->count] = (struct column){ name, display_width(name), true, false };
	return &table->columns[table->count++];
}

static bool
is_scalar(const struct cJSON *value)
{
	return !cJSON_IsArray(value) && !cJSON_IsObject(value);
}

static bool
is_telling(const struct cJSON *value)
{
	return cJSON_IsTrue(value) || (cJSON_IsNumber(value) && value->valuedouble != 0) ||
	       (cJSON_IsString(value) && value->valuestring[0] != '\0');
}

static void
measure_row(struct table *table, const struct cJSON *row)
{
	const struct cJSON *value;

	cJSON_ArrayForEach (value, row) {
		struct column *column = is_scalar(value) ? find_column(table, value->string) : NULL;
		char *cell;

		if (column == NULL) {
			continue;
		}
		cell = ctl_cell(value);
		if (cell != NULL && display_width(cell) > column->width) {
			column->width = display_width(cell);
		}
		column->numbers = column->numbers && cJSON_IsNumber(value);
		column->telling = column->telling || is_telling(value);
		free(cell);
	}
}

/* The last column is not padded: lines have no blanks at their end. */
static void
print_cell(const struct table *table, int index, const char *text)
{
	const struct column *column = &table->columns[index];
	int pad = column->width - display_width(text);

	printf("%s%*s%s", index == 0 ? "" : "  ", column->numbers ? pad : 0, "", text);
	if (!column->numbers && index + 1 < table->count) {
		printf("%*s", pad, "");
	}
}

static void
fit_terminal(struct table *table)
{
	struct winsize size;
	int width = 0, kept = 0;

	for (int i = 0; i < table->count; i++) {
		width += table->columns[i].width + (i == 0 ? 0 : 2);
	}
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 ||
	    width <= size.ws_col) {
		return;
	}
	for (int i = 0; i < table->count; i++) {
		if (table->columns[i].telling) {
			table->columns[kept++] = table->columns[i];
		}
	}
	table->count = kept;
}

void
ctl_print_table(const struct cJSON *array)
{
	struct table table = { .count = 0 };
	const struct cJSON *row;

	cJSON_ArrayForEach (row, array) {
		measure_row(&table, row);
	}
	fit_terminal(&table);
	for (int i = 0; i < table.count; i++) {
		print_cell(&table, i, table.columns[i].name);
	}
	putchar('\n');
	cJSON_ArrayForEach (row, array) {
		for (int i = 0; i < table.count; i++) {
			const struct cJSON *value =
			    cJSON_GetObjectItemCaseSensitive(row, table.columns[i].name);
			char *cell = value != NULL && is_scalar(value) ? ctl_cell(value) : NULL;

			print_cell(&table, i, cell != NULL ? cell : "-");
			free(cell);
		}
		putchar('\n');
	}
}
