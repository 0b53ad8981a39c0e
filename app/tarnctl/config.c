/* SPDX-License-Identifier: BSD-3-Clause */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/tarnctl/ctl.h"
#include "tarn/json.h"

/*
 * save_config and load_config on this side of the socket, so that FILE is the caller's and not the
 * daemon's. With fields (--…) they are the server's methods of these names.
 */
static bool
is_method_call(int argc, char **argv)
{
	return argc > 1 && strncmp(argv[1], "--", 2) == 0;
}

static enum ctl_exit
get_subsystem(struct ctl *ctl, const char *name, struct cJSON *list)
{
	struct cJSON *params = cJSON_CreateObject(), *config = NULL, *entry;
	enum ctl_exit status;

	cJSON_AddStringToObject(params, "name", name);
	status = ctl_call(ctl, "framework_get_config", params, &config);
	cJSON_Delete(params);
	if (status != CTL_OK) {
		return status;
	}
	entry = cJSON_CreateObject();
	cJSON_AddStringToObject(entry, "subsystem", name);
	cJSON_AddItemToObject(entry, "config", config);
	cJSON_AddItemToArray(list, entry);
	return CTL_OK;
}

static enum ctl_exit
get_config(struct ctl *ctl, struct cJSON *list)
{
	struct cJSON *subsystems;
	const struct cJSON *subsystem;
	enum ctl_exit status = ctl_call(ctl, "framework_get_subsystems", NULL, &subsystems);

	if (status != CTL_OK) {
		return status;
	}
	cJSON_ArrayForEach (subsystem, subsystems) {
		const char *name = ctl_text(subsystem, "subsystem");

		status = name != NULL ? get_subsystem(ctl, name, list) : CTL_OK;
		if (status != CTL_OK) {
			break;
		}
	}
	cJSON_Delete(subsystems);
	return status;
}

/* A file is whole or as it was before. */
static enum ctl_exit
write_file(const char *path, const char *text)
{
	char temporary[4096];
	FILE *file;
	int length = snprintf(temporary, sizeof(temporary), "%s.new", path);
	bool ok;

	if (length < 0 || (size_t)length >= sizeof(temporary)) {
		return ctl_usage("%s: path too long", path);
	}
	file = fopen(temporary, "we");
	if (file == NULL) {
		ctl_error("%s: %s", temporary, strerror(errno));
		return CTL_REFUSED;
	}
	ok = fprintf(file, "%s\n", text) > 0;
	ok = fclose(file) == 0 && ok;
	if (!ok || rename(temporary, path) != 0) {
		ctl_error("%s: %s", path, strerror(errno));
		remove(temporary);
		return CTL_REFUSED;
	}
	return CTL_OK;
}

enum ctl_exit
ctl_save_config(struct ctl *ctl, int argc, char **argv)
{
	struct cJSON *config, *list;
	enum ctl_exit status;
	char *text;

	if (is_method_call(argc, argv)) {
		return ctl_method(ctl, argc, argv);
	}
	if (argc > 2) {
		return ctl_usage("usage: tarnctl save_config [FILE]");
	}
	config = cJSON_CreateObject();
	list = cJSON_AddArrayToObject(config, "subsystems");
	status = get_config(ctl, list);
	text = status == CTL_OK ? tarn_json_print(config, true) : NULL;
	if (text != NULL && argc > 1 && strcmp(argv[1], "-") != 0) {
		status = write_file(argv[1], text);
	} else if (text != NULL) {
		puts(text);
	}
	free(text);
	cJSON_Delete(config);
	return status;
}

/* --- load_config --- */

/* One call of the file and its place in it. */
struct entry {
	const char *file, *subsystem;
	int index;
	const char *method;
	const struct cJSON *params;
};

static enum ctl_exit
call_entry(struct ctl *ctl, const struct entry *entry)
{
	struct cJSON *result;
	enum ctl_exit status = ctl_call(ctl, entry->method, entry->params, &result);

	if (status != CTL_OK) {
		ctl_error("%s: stopped at subsystem \"%s\", config[%d] (%s)", entry->file,
			  entry->subsystem, entry->index, entry->method);
		return status;
	}
	cJSON_Delete(result);
	return CTL_OK;
}

static bool
has_state(const struct ctl *ctl, const char *method_name, const char *state)
{
	const struct cJSON *method = ctl_find_method(ctl, method_name), *name;

	cJSON_ArrayForEach (name, cJSON_GetObjectItemCaseSensitive(method, "states")) {
		if (cJSON_IsString(name) && strcmp(name->valuestring, state) == 0) {
			return true;
		}
	}
	return method == NULL; /* the server says what is wrong with it */
}

/* Calls made in this pass: before the start, those that are possible then; after it, the others. */
enum pass { PASS_STARTUP, PASS_REST, PASS_ALL };

static bool
is_due(const struct ctl *ctl, const char *method, enum pass pass)
{
	bool early = has_state(ctl, method, "startup");

	return pass == PASS_ALL || early == (pass == PASS_STARTUP);
}

static enum ctl_exit
load_subsystem(struct ctl *ctl, const char *file, const struct cJSON *subsystem, enum pass pass)
{
	struct entry entry = { .file = file, .subsystem = ctl_text(subsystem, "subsystem") };
	const struct cJSON *config = cJSON_GetObjectItemCaseSensitive(subsystem, "config"), *call;

	if (entry.subsystem == NULL || !(cJSON_IsArray(config) || cJSON_IsNull(config))) {
		ctl_error("%s: each of \"subsystems\" needs a \"subsystem\" and a \"config\" array",
			  file);
		return CTL_REFUSED;
	}
	cJSON_ArrayForEach (call, config) {
		enum ctl_exit status = CTL_OK;

		entry.method = ctl_text(call, "method");
		entry.params = cJSON_GetObjectItemCaseSensitive(call, "params");
		if (entry.method == NULL) {
			ctl_error("%s: subsystem \"%s\", config[%d]: no \"method\"", file,
				  entry.subsystem, entry.index);
			return CTL_REFUSED;
		}
		if (is_due(ctl, entry.method, pass)) {
			status = call_entry(ctl, &entry);
		}
		if (status != CTL_OK) {
			return status;
		}
		entry.index++;
	}
	return CTL_OK;
}

static enum ctl_exit
load_pass(struct ctl *ctl, const char *file, const struct cJSON *config, enum pass pass)
{
	const struct cJSON *subsystems = cJSON_GetObjectItemCaseSensitive(config, "subsystems"),
			   *subsystem;
	enum ctl_exit status = CTL_OK;

	if (!cJSON_IsArray(subsystems)) {
		ctl_error("%s: needs {\"subsystems\": [...]}", file);
		return CTL_REFUSED;
	}
	cJSON_ArrayForEach (subsystem, subsystems) {
		status = load_subsystem(ctl, file, subsystem, pass);
		if (status != CTL_OK) {
			break;
		}
	}
	return status;
}

static enum ctl_exit
load(struct ctl *ctl, const char *file, const struct cJSON *config)
{
	enum ctl_exit status = ctl_load_schema(ctl);
	const char *state = ctl_text(ctl->schema, "state");
	struct cJSON *result;

	if (status != CTL_OK) {
		return status;
	}
	if (state == NULL || strcmp(state, "startup") != 0) {
		return load_pass(ctl, file, config, PASS_ALL);
	}
	status = load_pass(ctl, file, config, PASS_STARTUP);
	if (status != CTL_OK || ctl_call(ctl, "framework_start_init", NULL, &result) != CTL_OK) {
		return CTL_REFUSED;
	}
	cJSON_Delete(result);
	return load_pass(ctl, file, config, PASS_REST);
}

enum ctl_exit
ctl_load_config(struct ctl *ctl, int argc, char **argv)
{
	const char *file = argc > 1 ? argv[1] : "-";
	struct tarn_json_error error = { 0 };
	struct cJSON *config = NULL;
	enum ctl_exit status = CTL_REFUSED;
	size_t bytes;
	char *text;

	if (is_method_call(argc, argv)) {
		return ctl_method(ctl, argc, argv);
	}
	if (argc > 2) {
		return ctl_usage("usage: tarnctl load_config [FILE]");
	}
	text = ctl_read_file(file, &bytes);
	if (text == NULL) {
		return CTL_REFUSED;
	}
	if (tarn_json_parse(text, bytes, &config, &error) != 0) {
		ctl_error("%s:%u:%u: %s", file, error.line, error.column, error.text);
	} else {
		status = load(ctl, file, config);
	}
	cJSON_Delete(config);
	free(text);
	return status;
}
