/* SPDX-License-Identifier: BSD-3-Clause */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/tarnctl/ctl.h"

/*
 * The connection, made when it is first needed, and what is said when there is none.
 */
static void
print_error(const char *format, va_list args)
{
	char *text;

	fflush(stdout);
	if (vasprintf(&text, format, args) < 0) {
		text = NULL;
	}
	/* What somebody named, or a server said, must not command the terminal. */
	for (char *c = text; c != NULL && *c != '\0'; c++) {
		*c = ((unsigned char)*c < ' ' && *c != '\n') || *c == 0x7f ? '?' : *c;
	}
	fprintf(stderr, "tarnctl: %s\n", text != NULL ? text : "out of memory");
	free(text);
}

void
ctl_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print_error(format, args);
	va_end(args);
}

enum ctl_exit
ctl_usage(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print_error(format, args);
	va_end(args);
	return CTL_USAGE;
}

static enum ctl_exit
open_session(struct ctl *ctl)
{
	struct tarn_reason reason = { "" };
	int rc;

	if (ctl->client != NULL) {
		return CTL_OK;
	}
	rc = tarn_rpc_client_connect(ctl->path, ctl->timeout_ms, &ctl->client, &reason);
	if (rc == -ENOENT || rc == -ECONNREFUSED) {
		ctl_error(
		    "%s; start one with: tarnd -c CONFIG.json -r %s (or name its socket with -s)",
		    reason.text, ctl->path);
	} else if (rc == -EACCES) {
		ctl_error("%s; the socket belongs to the user who runs tarnd", reason.text);
	} else if (rc != 0) {
		ctl_error("%s", reason.text);
	}
	return rc == 0 ? CTL_OK : CTL_REFUSED;
}

bool
ctl_server_is_there(struct ctl *ctl)
{
	return ctl->client != NULL ||
	       tarn_rpc_client_connect(ctl->path, 0, &ctl->client, NULL) == 0;
}

enum ctl_exit
ctl_call(struct ctl *ctl, const char *method, const struct cJSON *params, struct cJSON **ret_result)
{
	struct tarn_reason reason = { "" };
	struct tarn_rpc_answer answer;

	if (open_session(ctl) != CTL_OK) {
		return CTL_REFUSED;
	}
	if (tarn_rpc_client_call(ctl->client, method, params, &answer, &reason) != 0) {
		ctl_error("%s", reason.text);
		tarn_rpc_client_close(&ctl->client);
		return CTL_REFUSED;
	}
	if (answer.code != 0) {
		ctl_error("%s: %s (code %d)", method, answer.message, answer.code);
		tarn_rpc_answer_free(&answer);
		return CTL_REFUSED;
	}
	*ret_result = answer.result;
	return CTL_OK;
}

void
ctl_close(struct ctl *ctl)
{
	tarn_rpc_client_close(&ctl->client);
	cJSON_Delete(ctl->schema);
	ctl->schema = NULL;
}

static char *
read_stream(FILE *file, size_t *ret_bytes)
{
	size_t used = 0, room = 64u * 1024;
	char *text = malloc(room);

	while (text != NULL) {
		size_t got = fread(text + used, 1, room - used - 1, file);
		char *larger;

		used += got;
		if (got == 0) {
			text[used] = '\0';
			*ret_bytes = used;
			return text;
		}
		room = used + 1 == room ? room * 2 : room;
		larger = realloc(text, room);
		if (larger == NULL) {
			free(text);
		}
		text = larger;
	}
	return NULL;
}

char *
ctl_read_file(const char *path, size_t *ret_bytes)
{
	bool is_stdin = strcmp(path, "-") == 0;
	FILE *file = is_stdin ? stdin : fopen(path, "re");
	char *text;
	bool failed;

	if (file == NULL) {
		ctl_error("%s: %s", path, strerror(errno));
		return NULL;
	}
	text = read_stream(file, ret_bytes);
	failed = ferror(file) != 0;
	if (failed || text == NULL) {
		ctl_error("%s: %s", path, strerror(failed ? errno : ENOMEM));
		free(text);
		text = NULL;
	}
	if (!is_stdin) {
		fclose(file);
	}
	return text;
}
