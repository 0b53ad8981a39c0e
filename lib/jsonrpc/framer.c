/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>

#include "tarn/json.h"

/*
 * Where one text of a stream ends. Only brackets and strings count here: whether it is JSON at all
 * is for the strict scanner to say, once the whole of it is there.
 */
static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void
in_string(struct tarn_json_framer *framer, char c)
{
	if (framer->escaped) {
		framer->escaped = false;
	} else if (c == '\\') {
		framer->escaped = true;
	} else if (c == '"') {
		framer->in_string = false;
	}
}

/* \return 1 at the end of the text, 0 within it, -EINVAL. */
static int
outside_string(struct tarn_json_framer *framer, char c)
{
	switch (c) {
	case '{':
	case '[':
		framer->started = true;
		return ++framer->depth <= TARN_JSON_DEPTH_MAX ? 0 : -EINVAL;
	case '}':
	case ']':
		if (!framer->started) {
			return -EINVAL;
		}
		return --framer->depth == 0;
	case '"':
		framer->in_string = true;
		return framer->started ? 0 : -EINVAL;
	default:
		return framer->started || is_space(c) ? 0 : -EINVAL;
	}
}

int64_t
tarn_json_frame(struct tarn_json_framer *framer, const char *data, size_t data_bytes,
		bool *ret_done)
{
	*ret_done = false;
	for (size_t i = 0; i < data_bytes; i++) {
		int rc = 0;

		if (framer->in_string) {
			in_string(framer, data[i]);
		} else {
			rc = outside_string(framer, data[i]);
		}
		if (rc < 0) {
			return rc;
		}
		if (rc > 0) {
			*framer = (struct tarn_json_framer){ 0 };
			*ret_done = true;
			return (int64_t)i + 1;
		}
	}
	return (int64_t)data_bytes;
}
