/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tarn/info.h"

/*
 * JSON text as RFC 8259 has it, and nothing else: cJSON builds and prints the trees, a scanner of
 * our own refuses before it what cJSON would let through. No state, any thread.
 */
struct cJSON;

#define TARN_JSON_DEPTH_MAX 64
/*
 * cJSON's numbers are doubles: beyond this, two integers may be one double (RFC 8259, section 6).
 */
#define TARN_JSON_INTEGER_MAX ((INT64_C(1) << 53) - 1)

struct tarn_json_error {
	uint32_t line, column; /* from 1; the column counts bytes */
	size_t offset;	       /* of the byte, from 0 */
	char text[160];	       /* what is wrong there, without the place */
};

/**
 * Parse exactly one JSON text, with white space around it. Refused: anything that RFC 8259 does not
 * allow, invalid UTF-8, duplicate names in an object, U+0000 and lone surrogates in strings,
 * numbers beyond double, nesting deeper than TARN_JSON_DEPTH_MAX.
 * \param text       need not end in NUL.
 * \param ret_error  may be NULL; written on -EINVAL.
 * \return 0 with *ret_json (the caller ends it with cJSON_Delete()), -EINVAL or -ENOMEM.
 */
int tarn_json_parse(const char *text, size_t text_bytes, struct cJSON **ret_json,
		    struct tarn_json_error *ret_error);

/*
 * Finds the end of one JSON text in a stream that has no framing. A structure of zeroes starts it;
 * feed it the stream's bytes, in pieces of any size.
 */
struct tarn_json_framer {
	uint32_t depth;
	bool started, in_string, escaped;
};
/**
 * \return how many bytes of data belong to the text up to and with its end, *ret_done then being
 * true; or data_bytes with *ret_done false; or -EINVAL: what starts here is no object or array, or
 * nests too deep.
 */
int64_t tarn_json_frame(struct tarn_json_framer *framer, const char *data, size_t data_bytes,
			bool *ret_done);

/*
 * Integers of 64 bits, printed as plain digits. They are for printing: cJSON_IsNumber() is false.
 */
struct cJSON *tarn_json_u64(uint64_t value);
struct cJSON *tarn_json_i64(int64_t value);
/*
 * Add to an object. \return 0 or -ENOMEM, which the reply of the request would notice in any case.
 */
int tarn_json_add_u64(struct cJSON *object, const char *name, uint64_t value);
int tarn_json_add_i64(struct cJSON *object, const char *name, int64_t value);
/**
 * Bytes that come from elsewhere (file names, device models): what is no valid UTF-8 becomes
 * U+FFFD.
 */
int tarn_json_add_text(struct cJSON *object, const char *name, const char *value);
int tarn_json_add_base64(struct cJSON *object, const char *name, const void *data,
			 size_t data_bytes);

/* Takes what something tells of itself (info.h) into an object, and objects in it. */
#define TARN_JSON_SINK_DEPTH_MAX 8
struct tarn_json_sink {
	struct cJSON *object[TARN_JSON_SINK_DEPTH_MAX];
	uint32_t depth;
};
/** \return a sink for object; *state is its memory, untouched by others while it is used. */
struct tarn_info_sink tarn_json_sink(struct tarn_json_sink *state, struct cJSON *object);

/**
 * Print a tree, on one line or formatted. Integers beyond 2^31, which cJSON would print as
 * 1.024e+15, become plain digits (raw items, also in the tree). \return a string for free(), or
 * NULL for want of memory.
 */
char *tarn_json_print(struct cJSON *json, bool formatted);

/** \return whether it is one well-formed UTF-8 string (RFC 3629), without U+0000. */
bool tarn_utf8_valid(const char *text, size_t text_bytes);

/* Base64 of RFC 4648, section 4, with padding. */
/** \return a string for free(), or NULL for want of memory. */
char *tarn_base64_encode(const void *data, size_t data_bytes);
/** \return 0 with *ret_data (for free(), never NULL) and *ret_bytes, -EINVAL or -ENOMEM. */
int tarn_base64_decode(const char *text, void **ret_data, size_t *ret_bytes);
