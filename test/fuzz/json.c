/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bytes as JSON text: what the strict scanner lets through is parsed, printed and parsed again, and
 * the framer finds the same text whatever the pieces.
 */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tarn/json.h"
#include "tarn/util.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* One that frames by the byte ends where one that frames at once does. */
static void
compare_framers(const char *text, size_t size)
{
	struct tarn_json_framer whole = { 0 }, bytewise = { 0 };
	bool whole_done = false, done = false;
	int64_t taken = tarn_json_frame(&whole, text, size, &whole_done);
	size_t at = 0;

	while (at < size && !done) {
		int64_t one = tarn_json_frame(&bytewise, text + at, 1, &done);

		if (one < 0) {
			tarn_assert(taken < 0);
			return;
		}
		at++;
	}
	tarn_assert(taken == (int64_t)at && whole_done == done);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tarn_json_error error = { 0 };
	struct cJSON *json = NULL, *again = NULL;
	int rc = tarn_json_parse((const char *)data, size, &json, &error);
	char *text;

	compare_framers((const char *)data, size);
	if (rc != 0) {
		tarn_assert(rc == -EINVAL && error.line > 0 && error.text[0] != '\0');
		tarn_assert(error.offset <= size);
		return 0;
	}
	tarn_assert(memchr(data, '\0', size) == NULL);
	text = tarn_json_print(json, false);
	tarn_assert(text != NULL);
	tarn_assert(tarn_json_parse(text, strlen(text), &again, &error) == 0);
	free(text);
	cJSON_Delete(again);
	cJSON_Delete(json);
	return 0;
}
