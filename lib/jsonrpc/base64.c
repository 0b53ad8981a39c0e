/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tarn/json.h"

/*
 * Base64 (RFC 4648, section 4). Decoding takes the canonical form only, so that equal data has
 * equal text: padding is there, and bits that stand for nothing are zero.
 */
static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *
tarn_base64_encode(const void *data, size_t data_bytes)
{
	const uint8_t *in = data;
	char *text = malloc((data_bytes + 2) / 3 * 4 + 1);
	char *out = text;

	if (text == NULL) {
		return NULL;
	}
	for (size_t i = 0; i < data_bytes; i += 3) {
		size_t left = data_bytes - i;
		uint32_t bits = (uint32_t)in[i] << 16;

		bits |= left > 1 ? (uint32_t)in[i + 1] << 8 : 0;
		bits |= left > 2 ? in[i + 2] : 0;
		*out++ = alphabet[bits >> 18];
		*out++ = alphabet[bits >> 12 & 63];
		*out++ = left > 1 ? alphabet[bits >> 6 & 63] : '=';
		*out++ = left > 2 ? alphabet[bits & 63] : '=';
	}
	*out = '\0';
	return text;
}

static int
value_of(char c)
{
	const char *at = c != '\0' ? strchr(alphabet, c) : NULL;

	return at != NULL ? (int)(at - alphabet) : -1;
}

/* Four characters, of which the last pad_count are padding, to 3 - pad_count bytes. */
static int
decode_quantum(const char *text, unsigned int pad_count, uint8_t *out)
{
	uint32_t bits = 0;

	for (unsigned int i = 0; i < 4; i++) {
		int value = i < 4 - pad_count ? value_of(text[i]) : 0;

		if (value < 0) {
			return -EINVAL;
		}
		bits = bits << 6 | (uint32_t)value;
	}
	if ((bits & ((UINT32_C(1) << (pad_count * 8)) - 1)) != 0) {
		return -EINVAL;
	}
	for (unsigned int i = 0; i < 3 - pad_count; i++) {
		out[i] = (uint8_t)(bits >> (16 - i * 8));
	}
	return 0;
}

int
tarn_base64_decode(const char *text, void **ret_data, size_t *ret_bytes)
{
	size_t length = strlen(text);
	unsigned int pad_count = 0;
	uint8_t *data;

	if (length % 4 != 0) {
		return -EINVAL;
	}
	while (pad_count < 2 && pad_count < length && text[length - 1 - pad_count] == '=') {
		pad_count++;
	}
	data = malloc(length / 4 * 3 + 1);
	if (data == NULL) {
		return -ENOMEM;
	}
	for (size_t i = 0; i < length; i += 4) {
		if (decode_quantum(text + i, i + 4 == length ? pad_count : 0, data + i / 4 * 3) !=
		    0) {
			free(data);
			return -EINVAL;
		}
	}
	*ret_data = data;
	*ret_bytes = length / 4 * 3 - pad_count;
	return 0;
}
