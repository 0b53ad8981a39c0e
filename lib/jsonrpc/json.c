/* SPDX-License-Identifier: BSD-3-Clause */
#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/jsonrpc/internal.h"
#include "tarn/json.h"

/*
 * Building trees: what cJSON does not offer. Its numbers are doubles, so integers of 64 bits are
 * raw items, which it prints as they stand.
 */
struct cJSON *
tarn_json_u64(uint64_t value)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%" PRIu64, value);
	return cJSON_CreateRaw(digits);
}

struct cJSON *
tarn_json_i64(int64_t value)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%" PRId64, value);
	return cJSON_CreateRaw(digits);
}

int
jsonrpc_add(struct cJSON *object, const char *name, struct cJSON *item)
{
	if (item != NULL && cJSON_AddItemToObject(object, name, item)) {
		return 0;
	}
	cJSON_Delete(item);
	return -ENOMEM;
}

int
tarn_json_add_u64(struct cJSON *object, const char *name, uint64_t value)
{
	return jsonrpc_add(object, name, tarn_json_u64(value));
}

int
tarn_json_add_i64(struct cJSON *object, const char *name, int64_t value)
{
	return jsonrpc_add(object, name, tarn_json_i64(value));
}

/* \return the bytes of the UTF-8 sequence at text, 0 when there is none (RFC 3629, section 4). */
size_t
jsonrpc_utf8_length(const char *text, size_t text_bytes)
{
	const uint8_t *s = (const uint8_t *)text;
	uint8_t low = 0x80, high = 0xbf;
	size_t length;

	if (s[0] < 0x80) {
		return 1;
	}
	if (s[0] < 0xc2 || s[0] > 0xf4) {
		return 0;
	}
	length = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	/* Overlong forms, surrogates and what lies beyond U+10FFFF show in the second byte. */
	if (s[0] == 0xe0) {
		low = 0xa0;
	} else if (s[0] == 0xed) {
		high = 0x9f;
	} else if (s[0] == 0xf0) {
		low = 0x90;
	} else if (s[0] == 0xf4) {
		high = 0x8f;
	}
	if (text_bytes < length || s[1] < low || s[1] > high) {
		return 0;
	}
	for (size_t i = 2; i < length; i++) {
		if (s[i] < 0x80 || s[i] > 0xbf) {
			return 0;
		}
	}
	return length;
}

bool
tarn_utf8_valid(const char *text, size_t text_bytes)
{
	size_t i = 0;

	while (i < text_bytes) {
		size_t length = text[i] != '\0' ? jsonrpc_utf8_length(text + i, text_bytes - i) : 0;

		if (length == 0) {
			return false;
		}
		i += length;
	}
	return true;
}

int
tarn_json_add_text(struct cJSON *object, const char *name, const char *value)
{
	static const char replacement[] = "\xef\xbf\xbd";
	size_t length = strlen(value), used = 0;
	char *clean = malloc(length * (sizeof(replacement) - 1) + 1);
	int rc;

	if (clean == NULL) {
		return -ENOMEM;
	}
	for (size_t i = 0; i < length;) {
		size_t bytes = jsonrpc_utf8_length(value + i, length - i);
		const char *from = bytes != 0 ? value + i : replacement;
		size_t from_bytes = bytes != 0 ? bytes : sizeof(replacement) - 1;

		memcpy(clean + used, from, from_bytes);
		used += from_bytes;
		i += bytes != 0 ? bytes : 1;
	}
	clean[used] = '\0';
	rc = jsonrpc_add(object, name, cJSON_CreateString(clean));
	free(clean);
	return rc;
}

int
tarn_json_add_base64(struct cJSON *object, const char *name, const void *data, size_t data_bytes)
{
	char *text = tarn_base64_encode(data, data_bytes);
	int rc;

	if (text == NULL) {
		return -ENOMEM;
	}
	rc = jsonrpc_add(object, name, cJSON_CreateString(text));
	free(text);
	return rc;
}
