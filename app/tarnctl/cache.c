/* SPDX-License-Identifier: BSD-3-Clause */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/tarnctl/ctl.h"
#include "tarn/json.h"

/*
 * "cache VERB [NAME [KEY [VALUE]]] [--FIELD VALUE]...": any method cache_VERB, with its name, key
 * and value as plain words. A value to store may come from stdin, and one that is looked up goes to
 * stdout as it is.
 */
#define WORD_MAX 3
static const char *const word_fields[WORD_MAX] = { "--name", "--key", "--value" };

/* --- list --- */

static char *
text_of_ratio(const struct cJSON *ratio)
{
	char text[16] = "-";

	if (cJSON_IsNumber(ratio)) {
		snprintf(text, sizeof(text), "%.2f%%", ratio->valuedouble * 100);
	}
	return strdup(text);
}

static void
add_text(struct cJSON *row, const char *name, char *text)
{
	cJSON_AddStringToObject(row, name, text != NULL ? text : "");
	free(text);
}

static enum ctl_exit
add_row(struct ctl *ctl, const struct cJSON *cache, struct cJSON *rows)
{
	struct cJSON *row, *stats = NULL, *params = cJSON_CreateObject();
	bool ending;
	enum ctl_exit status;

	cJSON_AddStringToObject(params, "name", ctl_text(cache, "name"));
	status = ctl_call(ctl, "cache_get_stats", params, &stats);
	cJSON_Delete(params);
	/* One that is being stopped or deleted tells no more; the others still do. */
	ending = status == CTL_REFUSED;
	if (status != CTL_OK && !ending) {
		return status;
	}
	row = cJSON_CreateObject();
	cJSON_AddStringToObject(row, "name", ctl_text(cache, "name"));
	cJSON_AddStringToObject(row, "bdev", ctl_text(cache, "bdev_name"));
	cJSON_AddStringToObject(row, "state", ending ? "ending" : ctl_text(cache, "state"));
	add_text(row, "size", ctl_bytes_text(ctl_number(cache, "data_bytes")));
	cJSON_AddNumberToObject(row, "objects",
				ctl_number(cJSON_GetObjectItem(stats, "index"), "objects"));
	add_text(row, "hits", text_of_ratio(cJSON_GetObjectItem(stats, "hit_ratio")));
	add_text(row, "ram", ctl_bytes_text(ctl_number(stats, "ram_bytes")));
	cJSON_AddItemToArray(rows, row);
	cJSON_Delete(stats);
	return CTL_OK;
}

static enum ctl_exit
list(struct ctl *ctl, int argc, char **argv)
{
	struct cJSON *caches, *rows;
	const struct cJSON *cache;
	enum ctl_exit status;

	if (argc == 2 && strcmp(argv[1], "-j") == 0) {
		ctl->format = CTL_FORMAT_JSON;
	} else if (argc > 1) {
		return ctl_usage("usage: tarnctl cache list [-j]");
	}
	status = ctl_call(ctl, "cache_get_caches", NULL, &caches);
	if (status != CTL_OK) {
		return status;
	}
	rows = cJSON_CreateArray();
	cJSON_ArrayForEach (cache, caches) {
		status = add_row(ctl, cache, rows);
		if (status != CTL_OK) {
			break;
		}
	}
	if (status == CTL_OK && ctl->format == CTL_FORMAT_JSON) {
		ctl_print_result(ctl, caches);
	} else if (status == CTL_OK && rows->child == NULL) {
		puts("no caches; tarnctl cache create --help says how to make one");
	} else if (status == CTL_OK) {
		ctl_print_table(rows);
	}
	cJSON_Delete(rows);
	cJSON_Delete(caches);
	return status;
}

/* --- Methods --- */

/* As it is; a terminal's prompt shall not stand behind it. */
static void
print_bytes(const char *data, size_t bytes)
{
	fwrite(data, 1, bytes, stdout);
	if (isatty(STDOUT_FILENO) && bytes > 0 && data[bytes - 1] != '\n') {
		putchar('\n');
	}
}

static enum ctl_exit
print_value(const struct cJSON *result)
{
	const char *text = ctl_text(result, "value"), *base64 = ctl_text(result, "value_base64");
	void *data = NULL;
	size_t bytes = 0;

	if (!ctl_flag(result, "hit")) {
		ctl_error("a miss");
		return CTL_REFUSED;
	}
	if (text != NULL) {
		print_bytes(text, strlen(text));
	} else if (base64 != NULL && tarn_base64_decode(base64, &data, &bytes) == 0) {
		print_bytes(data, bytes);
	}
	free(data);
	return CTL_OK;
}

/* A value for which there is neither a word nor a flag. */
static bool
add_stdin(struct cJSON *params)
{
	size_t bytes = 0;
	char *text;

	if (cJSON_HasObjectItem(params, "value") || cJSON_HasObjectItem(params, "value_base64") ||
	    cJSON_HasObjectItem(params, "file")) {
		return true;
	}
	text = ctl_read_file("-", &bytes);
	if (text != NULL) {
		tarn_json_add_base64(params, "value_base64", text, bytes);
	}
	free(text);
	return text != NULL;
}

static enum ctl_exit
call(struct ctl *ctl, const struct cJSON *method, int argc, char **argv)
{
	const char *name = ctl_text(method, "name");
	struct cJSON *params = ctl_params_of_args(ctl, method, argc, argv), *result;
	enum ctl_exit status;

	if (params == NULL) {
		return CTL_USAGE;
	}
	if (strcmp(name, "cache_store") == 0 && !add_stdin(params)) {
		cJSON_Delete(params);
		return CTL_REFUSED;
	}
	status = ctl_call(ctl, name, params, &result);
	cJSON_Delete(params);
	if (status != CTL_OK) {
		return status;
	}
	if (strcmp(name, "cache_lookup") == 0 && ctl->format == CTL_FORMAT_AUTO) {
		status = print_value(result);
	} else {
		ctl_print_result(ctl, result);
	}
	cJSON_Delete(result);
	return status;
}

/* Words before the flags become flags. argv is the verb and what follows it. */
static enum ctl_exit
call_with_words(struct ctl *ctl, const struct cJSON *method, int argc, char **argv)
{
	char **args = calloc((size_t)argc + WORD_MAX + 1, sizeof(*args));
	enum ctl_exit status;
	int count = 0, i = 1;

	if (args == NULL) {
		ctl_error("out of memory");
		return CTL_REFUSED;
	}
	for (; i < argc && i <= WORD_MAX && argv[i][0] != '-'; i++) {
		args[count++] = (char *)word_fields[i - 1];
		args[count++] = argv[i];
	}
	for (; i < argc; i++) {
		args[count++] = argv[i];
	}
	status = call(ctl, method, count, args);
	free(args);
	return status;
}

static const struct cJSON *
find_method(const struct ctl *ctl, const char *verb)
{
	char name[64];
	int length = snprintf(name, sizeof(name), "cache_%s", verb);

	return length > 0 && (size_t)length < sizeof(name) ? ctl_find_method(ctl, name) : NULL;
}

static enum ctl_exit
run_verb(struct ctl *ctl, int argc, char **argv)
{
	const struct cJSON *method;
	enum ctl_exit status = ctl_load_schema(ctl);

	if (status != CTL_OK) {
		return status;
	}
	method = find_method(ctl, argv[0]);
	if (method == NULL) {
		return ctl_usage("no method cache_%s; tarnctl cache --help says what there is",
				 argv[0]);
	}
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0) {
			ctl_print_method_help(method);
			return CTL_OK;
		}
	}
	return call_with_words(ctl, method, argc, argv);
}

enum ctl_exit
ctl_cache(struct ctl *ctl, int argc, char **argv)
{
	argv++;
	argc--;
	if (argc > 0 && strcmp(argv[0], "-j") == 0) {
		ctl->format = CTL_FORMAT_JSON;
		argv++;
		argc--;
	}
	if (argc == 0 || strcmp(argv[0], "list") == 0) {
		return list(ctl, argc, argv);
	}
	if (strcmp(argv[0], "stats") == 0) {
		return ctl_cache_stats(ctl, argc, argv);
	}
	return run_verb(ctl, argc, argv);
}
