/* SPDX-License-Identifier: BSD-3-Clause */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/tarnctl/ctl.h"
#include "tarn/json.h"

/* --help, from what the server declares. */
static const char usage[] =
    "Usage: tarnctl [OPTION]... COMMAND [ARGUMENT]...\n"
    "       tarnctl [OPTION]... METHOD [--FIELD VALUE]...\n"
    "\n"
    "Control a running tarnd by its JSON-RPC socket.\n"
    "\n"
    "Options:\n"
    "  -s, --socket PATH      the server's socket (default: $TARN_SOCKET, or\n"
    "                         " TARN_RPC_SOCKET_DEFAULT ")\n"
    "  -T, --timeout SECONDS  wait no longer for a connection and for each answer\n"
    "  -j, --json             print JSON (the default, except for lists on a terminal)\n"
    "  -t, --table            print a table\n"
    "  -h, --help             this help; METHOD --help for one method\n"
    "  -V, --version          print the version\n"
    "\n"
    "Fields of a method are given as --field VALUE, --field=VALUE, or for flags --field and\n"
    "--no-field; '-' and '_' are the same. Lists: repeat the field, or give a JSON array.\n"
    "--params JSON (or @FILE, or - for stdin) gives fields as they go over the wire.\n"
    "\n"
    "Exit status: 0; 1 when the server refused, or there is none; 2 for wrong usage.\n"
    "\n"
    "Examples:\n"
    "  tarnctl bdev_get_bdevs\n"
    "  tarnctl -s ./tarn.sock bdev_malloc_create --name ram0 --num_blocks 16384\n"
    "  tarnctl iostat -w 1 uring0\n";

#define NAME_COLUMNS 30

static void
print_entry(const char *name, const char *text)
{
	if (strlen(name) < NAME_COLUMNS - 2) {
		printf("  %-*s%s\n", NAME_COLUMNS - 2, name, text);
	} else {
		printf("  %s\n%*s%s\n", name, NAME_COLUMNS, "", text);
	}
}

/* Methods in order of name come in groups by noun all but by themselves. */
static void
print_methods(const struct ctl *ctl)
{
	const struct cJSON *method;
	const char *last = "";

	cJSON_ArrayForEach (method, ctl_methods(ctl)) {
		const char *noun = ctl_text(method, "noun");

		noun = noun != NULL ? noun : "";
		if (strcmp(noun, last) != 0) {
			printf("\nMethods of %s:\n", noun);
			last = noun;
		}
		print_entry(ctl_text(method, "name"), ctl_text(method, "help"));
	}
}

void
ctl_print_help(struct ctl *ctl)
{
	fputs(usage, stdout);
	printf("\nCommands:\n");
	for (const struct ctl_command *c = ctl_commands; c->name != NULL; c++) {
		if (c->help != NULL) {
			print_entry(c->name, c->help);
		}
	}
	if (!ctl_server_is_there(ctl)) {
		printf("\nMethods: those of the running server, and there is none at %s.\n"
		       "Start one with: tarnd -c CONFIG.json -r %s\n",
		       ctl->path, ctl->path);
	} else if (ctl_load_schema(ctl) == CTL_OK) {
		print_methods(ctl);
	}
}

/* What a value of a field looks like. */
static const char *
placeholder(const struct cJSON *field)
{
	static const char *const names[][2] = {
		{ "bool", "" },		{ "double", "NUMBER" },
		{ "string", "TEXT" },	{ "tristate", "off|on|auto" },
		{ "base64", "BASE64" }, { "strings", "TEXT..." },
		{ "objects", "JSON" },	{ "json", "JSON" },
		{ "size", "SIZE" },	{ "inert", "VALUE" },
		{ "enum", "WORD" },
	};
	const char *type = ctl_text(field, "type");

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (type != NULL && strcmp(names[i][0], type) == 0) {
			return names[i][1];
		}
	}
	return "N";
}

static void
print_names(const struct cJSON *names)
{
	const struct cJSON *name;

	cJSON_ArrayForEach (name, names) {
		printf("%s%s", name == names->child ? "" : ", ", name->valuestring);
	}
}

/* What the bounds of a field count, when it is no number. */
static const char *
counted(const struct cJSON *field)
{
	const char *type = ctl_text(field, "type");

	if (type != NULL && (strcmp(type, "string") == 0 || strcmp(type, "base64") == 0)) {
		return " bytes";
	}
	return type != NULL && (strcmp(type, "strings") == 0 || strcmp(type, "objects") == 0)
		   ? " of them"
		   : "";
}

static void
print_range(const struct cJSON *field)
{
	const struct cJSON *min = cJSON_GetObjectItemCaseSensitive(field, "min");
	const struct cJSON *max = cJSON_GetObjectItemCaseSensitive(field, "max");
	char *low = min != NULL ? ctl_cell(min) : NULL, *high = max != NULL ? ctl_cell(max) : NULL;

	if (low != NULL && high != NULL) {
		printf("; %s to %s", low, high);
	} else if (low != NULL) {
		printf("; at least %s", low);
	} else if (high != NULL) {
		printf("; at most %s", high);
	}
	if (low != NULL || high != NULL) {
		fputs(counted(field), stdout);
	}
	free(low);
	free(high);
	if (ctl_flag(field, "power_of_two")) {
		printf("; a power of two");
	}
	if (ctl_flag(field, "zero_allowed")) {
		printf("; or 0");
	}
}

static void
print_field_notes(const struct cJSON *field)
{
	const struct cJSON *values = cJSON_GetObjectItemCaseSensitive(field, "values");
	const struct cJSON *def = cJSON_GetObjectItemCaseSensitive(field, "default");
	const char *def_help = ctl_text(field, "default_help"), *alias = ctl_text(field, "alias");
	char *text = def != NULL ? cJSON_PrintUnformatted(def) : NULL;

	printf("%*s(", NAME_COLUMNS, "");
	printf("%s", ctl_flag(field, "required") ? "required" : "optional");
	if (ctl_text(field, "unit") != NULL) {
		printf("; in %s", ctl_text(field, "unit"));
	}
	if (values != NULL) {
		printf("; ");
		print_names(values);
	}
	if (ctl_text(field, "word") != NULL) {
		printf("; or \"%s\"", ctl_text(field, "word"));
	}
	print_range(field);
	if (text != NULL || def_help != NULL) {
		printf("; default: %s", def_help != NULL ? def_help : text);
	}
	if (alias != NULL) {
		printf("; also --%s", alias);
	}
	printf(")\n");
	free(text);
}

static void
print_field(const struct cJSON *field)
{
	char name[128];

	snprintf(name, sizeof(name), "--%s %s", ctl_text(field, "name"), placeholder(field));
	print_entry(name, ctl_text(field, "help") != NULL ? ctl_text(field, "help") : "");
	print_field_notes(field);
}

/* The members of the objects that a field is a list of. */
static void
print_nested(const struct cJSON *field)
{
	const struct cJSON *nested = cJSON_GetObjectItemCaseSensitive(field, "params"), *member;

	if (nested == NULL) {
		return;
	}
	printf("\nEach object of --%s has:\n", ctl_text(field, "name"));
	cJSON_ArrayForEach (member, nested) {
		char name[128];

		snprintf(name, sizeof(name), "\"%s\": %s", ctl_text(member, "name"),
			 placeholder(member));
		print_entry(name, ctl_text(member, "help") != NULL ? ctl_text(member, "help") : "");
		print_field_notes(member);
	}
}

static bool
is_inert(const struct cJSON *field)
{
	const char *type = ctl_text(field, "type");

	return type != NULL && strcmp(type, "inert") == 0;
}

/* A word that a shell takes as it stands, or quoted. */
static void
print_shell_word(const char *text)
{
	if (text[0] != '\0' && strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					    "0123456789_-./:,=+@%") == strlen(text)) {
		fputs(text, stdout);
		return;
	}
	putchar('\'');
	for (; *text != '\0'; text++) {
		*text == '\'' ? fputs("'\\''", stdout) : putchar(*text);
	}
	putchar('\'');
}

static void
print_example(const struct cJSON *method, const struct cJSON *example)
{
	const struct cJSON *member;

	printf("\nExample:\n  tarnctl %s", ctl_text(method, "name"));
	cJSON_ArrayForEach (member, example) {
		char *text = cJSON_IsString(member) ? strdup(member->valuestring)
						    : cJSON_PrintUnformatted(member);

		printf(" --%s ", member->string);
		print_shell_word(text != NULL ? text : "");
		free(text);
	}
	putchar('\n');
}

static void
print_fields(const struct cJSON *fields)
{
	const struct cJSON *field;
	bool inert = false;

	printf(cJSON_GetArraySize(fields) > 0 ? "\nFields:\n" : "\nIt has no fields.\n");
	cJSON_ArrayForEach (field, fields) {
		inert = inert || is_inert(field);
		if (!is_inert(field)) {
			print_field(field);
		}
	}
	cJSON_ArrayForEach (field, fields) {
		print_nested(field);
	}
	if (inert) {
		printf("\nSPDK's fields without meaning here (accepted at their defaults):");
		cJSON_ArrayForEach (field, fields) {
			is_inert(field) ? printf(" %s", ctl_text(field, "name")) : 0;
		}
		putchar('\n');
	}
}

void
ctl_print_method_help(const struct cJSON *method)
{
	const struct cJSON *example = cJSON_GetObjectItemCaseSensitive(method, "example");

	printf("Usage: tarnctl %s [--FIELD VALUE]...\n\n%s.\n", ctl_text(method, "name"),
	       ctl_text(method, "help"));
	if (ctl_text(method, "details") != NULL) {
		printf("%s\n", ctl_text(method, "details"));
	}
	if (ctl_text(method, "alias") != NULL) {
		printf("Also called %s.\n", ctl_text(method, "alias"));
	}
	printf("Possible in state: ");
	print_names(cJSON_GetObjectItemCaseSensitive(method, "states"));
	putchar('\n');
	print_fields(cJSON_GetObjectItemCaseSensitive(method, "params"));
	if (ctl_text(method, "result") != NULL) {
		printf("\nResult: %s\n", ctl_text(method, "result"));
	}
	if (example != NULL) {
		print_example(method, example);
	}
}
