/* SPDX-License-Identifier: BSD-3-Clause */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/tarnctl/ctl.h"
#include "tarn/json.h"

/*
 * Many calls over one connection: a line is either a command as tarnctl takes it, or {"method": …,
 * "params": …}. Empty lines and those that start with '#' are skipped. Results come one per line.
 */
static void
print_line(struct cJSON *result)
{
	char *text = tarn_json_print(result, false);

	puts(text != NULL ? text : "");
	free(text);
	fflush(stdout); /* a script may wait for it before it writes the next line */
}

static enum ctl_exit
call_and_print(struct ctl *ctl, const char *method, const struct cJSON *params)
{
	struct cJSON *result;
	enum ctl_exit status = ctl_call(ctl, method, params, &result);

	if (status == CTL_OK) {
		print_line(result);
		cJSON_Delete(result);
	}
	return status;
}

static enum ctl_exit
run_json(struct ctl *ctl, const char *line)
{
	struct tarn_json_error error;
	struct cJSON *call = NULL;
	enum ctl_exit status;

	if (tarn_json_parse(line, strlen(line), &call, &error) != 0) {
		return ctl_usage("batch: not JSON: column %u: %s", error.column, error.text);
	}
	if (ctl_text(call, "method") == NULL) {
		status = ctl_usage("batch: no \"method\" in %.60s", line);
	} else {
		status = call_and_print(ctl, ctl_text(call, "method"),
					cJSON_GetObjectItemCaseSensitive(call, "params"));
	}
	cJSON_Delete(call);
	return status;
}

static enum ctl_exit
run_words(struct ctl *ctl, const char *line)
{
	int count = 0;
	char **words = ctl_words_split(line, &count);
	const struct cJSON *method;
	struct cJSON *params = NULL;
	enum ctl_exit status = CTL_USAGE;

	if (words == NULL || count == 0) {
		status = ctl_usage("batch: a quote without an end in %.60s", line);
		goto out;
	}
	status = ctl_load_schema(ctl);
	if (status != CTL_OK) {
		goto out;
	}
	method = ctl_find_method(ctl, words[0]);
	if (method == NULL) {
		status = ctl_usage("batch: no method \"%s\"", words[0]);
		goto out;
	}
	params = ctl_params_of_args(ctl, method, count - 1, words + 1);
	status = params != NULL ? call_and_print(ctl, ctl_text(method, "name"), params) : CTL_USAGE;
out:
	cJSON_Delete(params);
	if (words != NULL) {
		ctl_words_free(words);
	}
	return status;
}

enum ctl_exit
ctl_batch(struct ctl *ctl, int argc, char **argv)
{
	bool keep_going = argc == 2 && strcmp(argv[1], "-k") == 0;
	enum ctl_exit status = CTL_OK;
	char *line = NULL;
	size_t room = 0;

	if (argc > 1 && !keep_going) {
		return ctl_usage("usage: tarnctl batch [-k] < CALLS");
	}
	while (getline(&line, &room, stdin) >= 0) {
		const char *start = line + strspn(line, " \t\r\n");
		enum ctl_exit one;

		if (*start == '\0' || *start == '#') {
			continue;
		}
		one = *start == '{' ? run_json(ctl, start) : run_words(ctl, start);
		status = status == CTL_OK ? one : status;
		if ((one != CTL_OK && !keep_going) || ferror(stdout)) {
			break;
		}
	}
	free(line);
	return status;
}
