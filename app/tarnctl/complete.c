/* SPDX-License-Identifier: BSD-3-Clause */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/tarnctl/ctl.h"

/*
 * What could stand where the cursor is: the scripts of completion.c give all words up to it, the
 * last perhaps empty, and take one candidate per line. Without a server there are fewer; nothing is
 * ever said about it.
 */
static void
offer(const char *candidate, const char *word)
{
	if (candidate != NULL && strncmp(candidate, word, strlen(word)) == 0) {
		puts(candidate);
	}
}

static void
offer_commands(const struct ctl *ctl, const char *word)
{
	const struct cJSON *method;

	for (const struct ctl_command *c = ctl_commands; c->name != NULL; c++) {
		offer(c->help != NULL ? c->name : NULL, word);
	}
	cJSON_ArrayForEach (method, ctl_methods(ctl)) {
		offer(ctl_text(method, "name"), word);
	}
	if (word[0] == '-') {
		static const char *const options[] = { "--socket", "--timeout", "--json",
						       "--table",  "--help",	"--version" };

		for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
			offer(options[i], word);
		}
	}
}

static bool
is_given(const char *name, int argc, char **argv)
{
	for (int i = 0; i < argc; i++) {
		if (strncmp(argv[i], "--", 2) == 0 && strcmp(argv[i] + 2, name) == 0) {
			return true;
		}
	}
	return false;
}

static void
offer_fields(const struct cJSON *method, const char *word, int argc, char **argv)
{
	const struct cJSON *field;

	cJSON_ArrayForEach (field, cJSON_GetObjectItemCaseSensitive(method, "params")) {
		const char *name = ctl_text(field, "name"), *type = ctl_text(field, "type");
		char flag[128];

		if (name == NULL || type == NULL || strcmp(type, "inert") == 0) {
			continue;
		}
		if (is_given(name, argc, argv) && strcmp(type, "strings") != 0 &&
		    strcmp(type, "objects") != 0) {
			continue;
		}
		snprintf(flag, sizeof(flag), "--%s", name);
		offer(flag, word);
	}
	offer("--params", word);
	offer("--help", word);
}

/* Names of what a method lists. */
static void
offer_names(struct ctl *ctl, const char *method, const char *word)
{
	struct cJSON *list = NULL;
	const struct cJSON *item;

	if (ctl_find_method(ctl, method) == NULL || ctl_call(ctl, method, NULL, &list) != CTL_OK) {
		return;
	}
	cJSON_ArrayForEach (item, list) {
		offer(ctl_text(item, "name"), word);
	}
	cJSON_Delete(list);
}

static void
offer_bdevs(struct ctl *ctl, const char *word)
{
	offer_names(ctl, "bdev_get_bdevs", word);
}

static void
offer_caches(struct ctl *ctl, const char *word)
{
	offer_names(ctl, "cache_get_caches", word);
}

/* "name" of a method that makes something is a new one. */
static bool
takes_bdev(const struct cJSON *method, const char *field)
{
	const char *name = ctl_text(method, "name");

	if (strcmp(field, "name") == 0) {
		return strncmp(name, "bdev_", 5) == 0 && strstr(name, "_create") == NULL;
	}
	return strcmp(field, "bdev_name") == 0 || strcmp(field, "base_name") == 0 ||
	       strcmp(field, "base_bdev_name") == 0 || strcmp(field, "core_bdev_name") == 0;
}

static bool
takes_cache(const struct cJSON *method, const char *field)
{
	const char *name = ctl_text(method, "name");

	if (strcmp(field, "name") == 0) {
		return strncmp(name, "cache_", 6) == 0 && strstr(name, "_create") == NULL;
	}
	return strcmp(field, "cache_name") == 0;
}

static void
offer_values(struct ctl *ctl, const struct cJSON *method, const struct cJSON *field,
	     const char *word)
{
	const char *type = ctl_text(field, "type");
	const struct cJSON *value;

	cJSON_ArrayForEach (value, cJSON_GetObjectItemCaseSensitive(field, "values")) {
		offer(cJSON_GetStringValue(value), word);
	}
	offer(ctl_text(field, "word"), word);
	if (type != NULL && strcmp(type, "bool") == 0) {
		offer("true", word);
		offer("false", word);
	}
	if (type != NULL && strcmp(type, "tristate") == 0) {
		offer("off", word);
		offer("on", word);
		offer("auto", word);
	}
	if (takes_bdev(method, ctl_text(field, "name"))) {
		offer_bdevs(ctl, word);
	}
	if (takes_cache(method, ctl_text(field, "name"))) {
		offer_caches(ctl, word);
	}
}

static void
complete_method(struct ctl *ctl, const char *name, int argc, char **argv)
{
	const struct cJSON *method = ctl_find_method(ctl, name), *field = NULL;
	const char *word = argv[argc - 1], *before = argv[argc - 2];

	if (method == NULL) {
		return;
	}
	if (argc > 2 && strncmp(before, "--", 2) == 0) {
		field = ctl_find_field(method, before + 2, strlen(before + 2));
	}
	if (field != NULL && word[0] != '-') {
		offer_values(ctl, method, field, word);
	}
	if (field == NULL || strcmp(ctl_text(field, "type"), "bool") == 0) {
		offer_fields(method, word, argc - 1, argv);
	}
}

static void
offer_verbs(const struct ctl *ctl, const char *word)
{
	const struct cJSON *method;

	offer("list", word);
	offer("stats", word);
	cJSON_ArrayForEach (method, ctl_methods(ctl)) {
		const char *name = ctl_text(method, "name");

		if (strncmp(name, "cache_", 6) == 0) {
			offer(name + 6, word);
		}
	}
}

/* argv[0] is "cache". */
static void
complete_cache(struct ctl *ctl, int argc, char **argv)
{
	char name[64];

	if (argc == 2) {
		offer_verbs(ctl, argv[1]);
		return;
	}
	snprintf(name, sizeof(name), "cache_%s", argv[1]);
	if (argc == 3 && argv[2][0] != '-' && strcmp(argv[1], "create") != 0) {
		offer_caches(ctl, argv[2]);
	}
	complete_method(ctl, name, argc - 1, argv + 1);
}

static void
complete_command(struct ctl *ctl, int argc, char **argv)
{
	const char *word = argv[argc - 1];

	if (strcmp(argv[0], "iostat") == 0 || strcmp(argv[0], "histogram") == 0) {
		offer_bdevs(ctl, word);
	} else if (strcmp(argv[0], "completion") == 0) {
		offer("bash", word);
		offer("zsh", word);
		offer("fish", word);
	} else if (strcmp(argv[0], "cache") == 0) {
		complete_cache(ctl, argc, argv);
	} else {
		complete_method(ctl, argv[0], argc, argv);
	}
}

/* \return how many words are options before the command. */
static int
skip_options(struct ctl *ctl, int argc, char **argv)
{
	int i = 0;

	while (i < argc - 1 && argv[i][0] == '-') {
		bool socket = strcmp(argv[i], "-s") == 0 || strcmp(argv[i], "-r") == 0 ||
			      strcmp(argv[i], "--socket") == 0;
		bool valued =
		    socket || strcmp(argv[i], "-T") == 0 || strcmp(argv[i], "--timeout") == 0;

		if (socket) {
			ctl->path = argv[i + 1];
		}
		i += valued ? 2 : 1;
	}
	return i;
}

enum ctl_exit
ctl_complete(struct ctl *ctl, int argc, char **argv)
{
	int skipped;

	argv++;
	argc--;
	skipped = skip_options(ctl, argc, argv);
	argv += skipped;
	argc -= skipped;
	if (argc <= 0) {
		return CTL_OK; /* the value of an option: a file, for the shell to complete */
	}
	if (ctl_server_is_there(ctl)) {
		ctl_load_schema(ctl);
	}
	if (argc == 1) {
		offer_commands(ctl, argv[0]);
	} else {
		complete_command(ctl, argc, argv);
	}
	return CTL_OK;
}
