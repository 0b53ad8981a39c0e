/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Running a configuration: its form is checked as a whole and flattened into a list of calls, in
 * order of the subsystems' dependencies; then one call after the other.
 */
#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rpc/internal.h"
#include "tarn/log.h"
#include "tarn/reactor.h"

#define FILE_MAX_BYTES (16 << 20)
#define CALL_COUNT_MAX 65536

struct config_call {
	const char *subsystem, *method;
	const struct cJSON *params;
	int place; /* in the subsystem's "config", from 0 */
};

struct load {
	char *path;	    /* NULL: not from a file */
	struct cJSON *json; /* a copy; the calls point into it */
	struct config_call *calls;
	uint32_t count, index, capacity;
	rpc_config_done done;
	void *arg;
	int status;
	struct tarn_deferred next;
	char error[RPC_CONFIG_ERROR_BYTES];
};

static int __attribute__((format(printf, 3, 4)))
load_error(struct load *load, int status, const char *format, ...)
{
	int used = 0;
	va_list args;

	if (load->path != NULL)
		used = snprintf(load->error, sizeof(load->error), "%s: ", load->path);
	if (used < 0 || (size_t)used >= sizeof(load->error))
		used = 0;
	va_start(args, format);
	vsnprintf(load->error + used, sizeof(load->error) - (size_t)used, format, args);
	va_end(args);
	load->status = status;
	return status;
}

/* --- Form --- */

/* \return the name of a member that an object has beside these, or NULL. */
static const char *
odd_member(const struct cJSON *object, const char *a, const char *b)
{
	const struct cJSON *item;

	cJSON_ArrayForEach (item, object) {
		if (strcmp(item->string, a) != 0 && (b == NULL || strcmp(item->string, b) != 0))
			return item->string;
	}
	return NULL;
}

static int
append_call(struct load *load, const struct config_call *call)
{
	if (load->count == CALL_COUNT_MAX)
		return load_error(load, -E2BIG, "more than %d calls", CALL_COUNT_MAX);
	if (load->count == load->capacity) {
		uint32_t capacity = load->capacity == 0 ? 16 : load->capacity * 2;
		void *calls = realloc(load->calls, capacity * sizeof(*load->calls));

		if (calls == NULL)
			return load_error(load, -ENOMEM, "out of memory");
		load->calls = calls;
		load->capacity = capacity;
	}
	load->calls[load->count++] = *call;
	return 0;
}

static int
flatten_call(struct load *load, const char *subsystem, const struct cJSON *item, int place)
{
	const struct cJSON *method = cJSON_GetObjectItemCaseSensitive(item, "method");
	const struct cJSON *params = cJSON_GetObjectItemCaseSensitive(item, "params");
	const char *odd;

	if (!cJSON_IsObject(item))
		return load_error(load, -EINVAL, "subsystem \"%s\", call %d: must be an object",
				  subsystem, place + 1);
	odd = odd_member(item, "method", "params");
	if (odd != NULL)
		return load_error(load, -EINVAL,
				  "subsystem \"%s\", call %d: \"%s\" is neither method nor params",
				  subsystem, place + 1, odd);
	if (!cJSON_IsString(method))
		return load_error(load, -EINVAL,
				  "subsystem \"%s\", call %d: \"method\" is missing or no string",
				  subsystem, place + 1);
	if (tarn_rpc_method_find(method->valuestring) == NULL)
		return load_error(load, -EINVAL,
				  "subsystem \"%s\", call %d: method \"%s\" does not exist",
				  subsystem, place + 1, method->valuestring);
	if (strcmp(tarn_rpc_method_find(method->valuestring)->name, "framework_wait_init") == 0)
		return load_error(load, -EINVAL,
				  "subsystem \"%s\", call %d: %s waits for the end of the "
				  "configuration, and so cannot be in one",
				  subsystem, place + 1, method->valuestring);
	if (params != NULL && !cJSON_IsObject(params))
		return load_error(load, -EINVAL,
				  "subsystem \"%s\", call %d (%s): \"params\" must be an object",
				  subsystem, place + 1, method->valuestring);
	return append_call(load,
			   &(struct config_call){ subsystem, method->valuestring, params, place });
}

/* SPDK's configurations may group calls into arrays (batches); they run in their order. */
static int
flatten_subsystem(struct load *load, const char *name, const struct cJSON *config)
{
	const struct cJSON *item, *inner;
	int place = 0, rc;

	cJSON_ArrayForEach (item, config) {
		if (!cJSON_IsArray(item)) {
			rc = flatten_call(load, name, item, place);
			if (rc != 0)
				return rc;
		} else {
			cJSON_ArrayForEach (inner, item) {
				rc = flatten_call(load, name, inner, place);
				if (rc != 0)
					return rc;
			}
		}
		place++;
	}
	return 0;
}

static bool
subsystem_known(const char *name)
{
	for (uint32_t i = 0; i < rpc_subsystem_count; i++) {
		if (strcmp(rpc_subsystems[i].name, name) == 0)
			return true;
	}
	return false;
}

static int
check_subsystem(struct load *load, const struct cJSON *item, int place)
{
	const struct cJSON *name = cJSON_GetObjectItemCaseSensitive(item, "subsystem");
	const struct cJSON *config = cJSON_GetObjectItemCaseSensitive(item, "config");
	const char *odd;

	if (!cJSON_IsObject(item) || !cJSON_IsString(name))
		return load_error(load, -EINVAL,
				  "\"subsystems\", element %d: must be an object with the string "
				  "\"subsystem\"",
				  place + 1);
	odd = odd_member(item, "subsystem", "config");
	if (odd != NULL)
		return load_error(load, -EINVAL,
				  "subsystem \"%s\": \"%s\" is neither subsystem nor config",
				  name->valuestring, odd);
	if (config != NULL && !cJSON_IsArray(config) && !cJSON_IsNull(config))
		return load_error(load, -EINVAL, "subsystem \"%s\": \"config\" must be an array",
				  name->valuestring);
	if (!subsystem_known(name->valuestring))
		tarn_notice(
		    "%s%sconfiguration of subsystem \"%s\" skipped: there is no such subsystem",
		    load->path != NULL ? load->path : "", load->path != NULL ? ": " : "",
		    name->valuestring);
	return 0;
}

static int
check_root(struct load *load)
{
	const struct cJSON *array = cJSON_GetObjectItemCaseSensitive(load->json, "subsystems"),
			   *item;
	const char *odd;
	int place = 0, rc;

	if (!cJSON_IsObject(load->json) || !cJSON_IsArray(array))
		return load_error(load, -EINVAL, "must be an object with the array \"subsystems\"");
	odd = odd_member(load->json, "subsystems", NULL);
	if (odd != NULL)
		return load_error(load, -EINVAL, "\"%s\" is unknown beside \"subsystems\"", odd);
	cJSON_ArrayForEach (item, array) {
		rc = check_subsystem(load, item, place++);
		if (rc != 0)
			return rc;
	}
	return 0;
}

static int
flatten(struct load *load)
{
	const struct cJSON *array = cJSON_GetObjectItemCaseSensitive(load->json, "subsystems"),
			   *item;
	int rc;

	for (uint32_t i = 0; i < rpc_subsystem_count; i++) {
		const char *name = rpc_subsystems[i].name;

		cJSON_ArrayForEach (item, array) {
			const struct cJSON *given =
			    cJSON_GetObjectItemCaseSensitive(item, "subsystem");

			if (strcmp(given->valuestring, name) != 0)
				continue;
			rc = flatten_subsystem(load, name,
					       cJSON_GetObjectItemCaseSensitive(item, "config"));
			if (rc != 0)
				return rc;
		}
	}
	return 0;
}

/* --- Running --- */

static void
load_finish(struct load *load)
{
	load->done(load->arg, load->status, load->status != 0 ? load->error : NULL);
	cJSON_Delete(load->json);
	free(load->calls);
	free(load->path);
	free(load);
}

static void
call_done(void *arg, const struct cJSON *result, int code, const char *message)
{
	struct load *load = arg;
	const struct config_call *call = &load->calls[load->index];

	(void)result;
	if (code != 0)
		load_error(load, code < 0 && code > -4096 ? code : -EINVAL,
			   "subsystem \"%s\", call %d (%s): %s", call->subsystem, call->place + 1,
			   call->method, message);
	load->index++;
	tarn_deferred_schedule(&load->next); /* not from here: this may still be within the call */
}

static void
load_next(void *arg)
{
	struct load *load = arg;

	if (load->status == 0 && load->index < load->count) {
		const struct config_call *call = &load->calls[load->index];

		tarn_rpc_invoke(call->method, call->params, call_done, load);
	} else {
		load_finish(load);
	}
}

static struct load *
load_create(rpc_config_done done, void *arg)
{
	struct load *load = calloc(1, sizeof(*load));

	if (load == NULL)
		return NULL;
	load->done = done;
	load->arg = arg;
	load->next.fn = load_next;
	load->next.arg = load;
	return load;
}

void
rpc_config_load(const struct cJSON *json, rpc_config_done done, void *arg)
{
	struct load *load = load_create(done, arg);

	if (load == NULL) {
		done(arg, -ENOMEM, "out of memory");
		return;
	}
	load->json = cJSON_Duplicate(json, true);
	if (load->json == NULL)
		load_error(load, -ENOMEM, "out of memory");
	else if (check_root(load) == 0)
		flatten(load);
	tarn_deferred_schedule(&load->next);
}

/* --- Files --- */

static int
read_all(struct load *load, int fd, char **ret_text, size_t *ret_bytes)
{
	struct stat st;
	char *text;
	ssize_t got;
	size_t used = 0;

	if (fstat(fd, &st) != 0)
		return load_error(load, -errno, "%s", strerror(errno));
	if (S_ISDIR(st.st_mode))
		return load_error(load, -EISDIR, "is a directory; give a JSON file");
	text = malloc(FILE_MAX_BYTES + 1);
	if (text == NULL)
		return load_error(load, -ENOMEM, "out of memory");
	while ((got = read(fd, text + used, FILE_MAX_BYTES + 1 - used)) > 0)
		used += (size_t)got;
	if (got < 0 || used > FILE_MAX_BYTES) {
		free(text);
		return got < 0 ? load_error(load, -errno, "%s", strerror(errno))
			       : load_error(load, -EFBIG, "longer than %d bytes", FILE_MAX_BYTES);
	}
	*ret_text = text;
	*ret_bytes = used;
	return 0;
}

static int
parse_file(struct load *load)
{
	struct tarn_json_error error;
	size_t text_bytes = 0;
	char *text = NULL;
	int fd = open(load->path, O_RDONLY | O_CLOEXEC), rc;

	if (fd < 0)
		return load_error(load, -errno, "%s", strerror(errno));
	rc = read_all(load, fd, &text, &text_bytes);
	close(fd);
	if (rc != 0)
		return rc;
	rc = tarn_json_parse(text, text_bytes, &load->json, &error);
	free(text);
	if (rc == -EINVAL) {
		load->status = rc;
		snprintf(load->error, sizeof(load->error), "%s:%u:%u: %s", load->path, error.line,
			 error.column, error.text);
	} else if (rc != 0) {
		load_error(load, rc, "out of memory");
	}
	return rc;
}

void
rpc_config_load_file(const char *path, rpc_config_done done, void *arg)
{
	struct load *load = load_create(done, arg);

	if (load == NULL || (load->path = strdup(path)) == NULL) {
		free(load);
		done(arg, -ENOMEM, "out of memory");
		return;
	}
	if (parse_file(load) == 0 && check_root(load) == 0)
		flatten(load);
	tarn_deferred_schedule(&load->next);
}
