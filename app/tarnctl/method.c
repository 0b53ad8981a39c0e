/* SPDX-License-Identifier: BSD-3-Clause */
#include <cjson/cJSON.h>
#include <string.h>

#include "app/tarnctl/ctl.h"

/* A method of the server as a subcommand. */
static enum ctl_exit
unknown_method(const struct ctl *ctl, const char *name)
{
	const struct cJSON *method;

	cJSON_ArrayForEach (method, ctl_methods(ctl)) {
		const char *known = ctl_text(method, "name");

		if (known != NULL && (strstr(known, name) != NULL || strstr(name, known) != NULL)) {
			return ctl_usage("no method or command \"%s\"; did you mean %s? tarnctl "
					 "--help lists all",
					 name, known);
		}
	}
	return ctl_usage("no method or command \"%s\"; tarnctl --help lists all", name);
}

enum ctl_exit
ctl_method(struct ctl *ctl, int argc, char **argv)
{
	const struct cJSON *method;
	struct cJSON *params, *result;
	enum ctl_exit status = ctl_load_schema(ctl);

	if (status != CTL_OK) {
		return status;
	}
	method = ctl_find_method(ctl, argv[0]);
	if (method == NULL) {
		return unknown_method(ctl, argv[0]);
	}
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			ctl_print_method_help(method);
			return CTL_OK;
		}
	}
	params = ctl_params_of_args(ctl, method, argc - 1, argv + 1);
	if (params == NULL) {
		return CTL_USAGE;
	}
	status =
	    ctl_call(ctl, ctl_text(method, "name"), params->child != NULL ? params : NULL, &result);
	cJSON_Delete(params);
	if (status == CTL_OK) {
		ctl_print_result(ctl, result);
		cJSON_Delete(result);
	}
	return status;
}
