/* SPDX-License-Identifier: BSD-3-Clause */
#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/jsonrpc/internal.h"

/*
 * A scanner that accepts RFC 8259 and I-JSON's (RFC 7493) exclusions, and builds nothing: cJSON
 * builds, from text that went through here. Recursive, to a fixed depth.
 *
 * Names of all open objects lie on one stack; an object's are sorted and compared when it closes,
 * so that no input makes the search for duplicates quadratic.
 */
struct span {
	size_t start, end; /* between the quotes */
};

struct scanner {
	const char *text;
	size_t length, at;
	uint32_t depth;
	struct span *names;
	size_t name_count, name_room;
	struct tarn_json_error *error;
};

static int scan_value(struct scanner *s);

static int __attribute__((format(printf, 3, 4)))
fail_at(struct scanner *s, size_t at, const char *format, ...)
{
	struct tarn_json_error *error = s->error;
	va_list args;

	error->offset = at;
	error->line = 1;
	error->column = 1;
	for (size_t i = 0; i < at; i++) {
		error->column++;
		if (s->text[i] == '\n') {
			error->line++;
			error->column = 1;
		}
	}
	va_start(args, format);
	vsnprintf(error->text, sizeof(error->text), format, args);
	va_end(args);
	return -EINVAL;
}

/* \return the next character, '\0' at the end (a NUL of the text matches nothing either). */
static char
peek(const struct scanner *s)
{
	return s->at < s->length ? s->text[s->at] : '\0';
}

static int
unexpected(struct scanner *s, const char *wanted)
{
	unsigned char c;

	if (s->at >= s->length) {
		return fail_at(s, s->at, "the text ends where %s should stand", wanted);
	}
	c = (unsigned char)s->text[s->at];
	if (c > 0x20 && c < 0x7f) {
		return fail_at(s, s->at, "'%c' where %s should stand", c, wanted);
	}
	return fail_at(s, s->at, "byte 0x%02x where %s should stand", c, wanted);
}

static void
skip_space(struct scanner *s)
{
	while (s->at < s->length && strchr(" \t\n\r", s->text[s->at]) != NULL &&
	       s->text[s->at] != '\0') {
		s->at++;
	}
}

static int
hex_value(const char *digits, size_t room)
{
	int value = 0;

	if (room < 4) {
		return -1;
	}
	for (int i = 0; i < 4; i++) {
		char c = digits[i];
		int digit = c >= '0' && c <= '9'   ? c - '0'
			    : c >= 'a' && c <= 'f' ? c - 'a' + 10
			    : c >= 'A' && c <= 'F' ? c - 'A' + 10
						   : -1;

		if (digit < 0) {
			return -1;
		}
		value = value * 16 + digit;
	}
	return value;
}

/* At the 'u' of an escape. */
static int
scan_unicode_escape(struct scanner *s)
{
	size_t start = s->at - 1;
	int unit = hex_value(s->text + s->at + 1, s->length - s->at - 1);
	int low;

	if (unit < 0) {
		return fail_at(s, start, "\\u needs four hexadecimal digits");
	}
	if (unit == 0) {
		return fail_at(s, start, "U+0000 is not allowed in strings");
	}
	s->at += 5;
	if (unit < 0xd800 || unit > 0xdfff) {
		return 0;
	}
	low = -1;
	if (unit < 0xdc00 && s->length - s->at >= 6 && memcmp(s->text + s->at, "\\u", 2) == 0) {
		low = hex_value(s->text + s->at + 2, 4);
	}
	if (low < 0xdc00 || low > 0xdfff) {
		return fail_at(s, start, "lone surrogate in a string");
	}
	s->at += 6;
	return 0;
}

static int
scan_escape(struct scanner *s)
{
	char c;

	s->at++;
	c = peek(s);
	if (c == 'u') {
		return scan_unicode_escape(s);
	}
	if (c == '\0' || strchr("\"\\/bfnrt", c) == NULL) {
		return fail_at(s, s->at - 1, "unknown escape in a string");
	}
	s->at++;
	return 0;
}

/* Plain characters of a string, one at a time: it stops at what is special. */
static int
scan_string_char(struct scanner *s)
{
	unsigned char c = (unsigned char)s->text[s->at];
	size_t bytes;

	if (c < 0x20) {
		return fail_at(s, s->at, "control character 0x%02x in a string; escape it", c);
	}
	bytes = jsonrpc_utf8_length(s->text + s->at, s->length - s->at);
	if (bytes == 0) {
		return fail_at(s, s->at, "byte 0x%02x is no valid UTF-8", c);
	}
	s->at += bytes;
	return 0;
}

static int
scan_string(struct scanner *s, struct span *ret_span)
{
	size_t quote = s->at++;

	ret_span->start = s->at;
	while (s->at < s->length && s->text[s->at] != '"') {
		int rc = s->text[s->at] == '\\' ? scan_escape(s) : scan_string_char(s);

		if (rc != 0) {
			return rc;
		}
	}
	if (s->at >= s->length) {
		return fail_at(s, quote, "string without an end");
	}
	ret_span->end = s->at++;
	return 0;
}

static size_t
skip_digits(struct scanner *s)
{
	size_t start = s->at;

	while (peek(s) >= '0' && peek(s) <= '9') {
		s->at++;
	}
	return s->at - start;
}

#define NUMBER_CHARS_MAX                                                                           \
	62 /* cJSON reads 63 characters of a number and takes the rest for garbage */

static int
scan_number(struct scanner *s)
{
	size_t start = s->at;
	char copy[NUMBER_CHARS_MAX + 1];

	s->at += peek(s) == '-';
	if (peek(s) == '0') {
		s->at++;
		if (peek(s) >= '0' && peek(s) <= '9') {
			return fail_at(s, start, "number with a leading zero");
		}
	} else if (skip_digits(s) == 0) {
		return unexpected(s, "a digit");
	}
	if (peek(s) == '.') {
		s->at++;
		if (skip_digits(s) == 0) {
			return unexpected(s, "a digit");
		}
	}
	if (peek(s) == 'e' || peek(s) == 'E') {
		s->at++;
		s->at += peek(s) == '+' || peek(s) == '-';
		if (skip_digits(s) == 0) {
			return unexpected(s, "a digit");
		}
	}
	if (s->at - start > NUMBER_CHARS_MAX) {
		return fail_at(s, start, "number of more than %d characters", NUMBER_CHARS_MAX);
	}
	memcpy(copy, s->text + start, s->at - start);
	copy[s->at - start] = '\0';
	if (!isfinite(strtod(copy, NULL))) {
		return fail_at(s, start, "number too large");
	}
	return 0;
}

static int
scan_word(struct scanner *s, const char *word)
{
	size_t length = strlen(word);

	if (s->length - s->at < length || memcmp(s->text + s->at, word, length) != 0) {
		return unexpected(s, "a value");
	}
	s->at += length;
	return 0;
}

/*
 * The next character of a string that was found valid, with escapes resolved. \return 0 at its end.
 */
static uint32_t
next_char(const char *text, struct span *span)
{
	static const char plain[] = "bfnrt", meant[] = "\b\f\n\r\t";
	const char *at = text + span->start;
	uint32_t c;

	if (span->start == span->end) {
		return 0;
	}
	if (at[0] != '\\') {
		span->start++;
		return (unsigned char)at[0];
	}
	if (at[1] != 'u') {
		const char *found = strchr(plain, at[1]);

		span->start += 2;
		return (unsigned char)(found != NULL ? meant[found - plain] : at[1]);
	}
	c = (uint32_t)hex_value(at + 2, 4);
	span->start += 6;
	if (c >= 0xd800 && c < 0xdc00) {
		c = 0x10000 + ((c - 0xd800) << 10) + ((uint32_t)hex_value(at + 8, 4) - 0xdc00);
		span->start += 6;
	}
	return c;
}

/* The same as UTF-8 bytes, so that an escaped character equals the one written out. */
struct unfold {
	const char *text;
	struct span span;
	uint8_t rest[3];
	unsigned int rest_count;
};

static uint32_t
next_byte(struct unfold *u)
{
	bool escaped = u->span.start < u->span.end && u->text[u->span.start] == '\\';
	uint32_t c;

	if (u->rest_count > 0) {
		return u->rest[--u->rest_count];
	}
	c = next_char(u->text, &u->span);
	if (!escaped || c < 0x80) {
		return c;
	}
	while (c >= (u->rest_count == 0 ? 0x40u : 0x40u >> u->rest_count)) {
		u->rest[u->rest_count++] = 0x80 | (c & 0x3f);
		c >>= 6;
	}
	return c | (0xff00u >> (u->rest_count + 1) & 0xff);
}

static int
compare_names(const void *left, const void *right, void *text)
{
	const struct span *a = left, *b = right;
	struct unfold ua = { .text = text, .span = *a }, ub = { .text = text, .span = *b };

	for (;;) {
		uint32_t ca = next_byte(&ua), cb = next_byte(&ub);

		if (ca != cb) {
			return ca < cb ? -1 : 1;
		}
		if (ca == 0) {
			return 0;
		}
	}
}

static int
push_name(struct scanner *s, struct span name)
{
	if (s->name_count == s->name_room) {
		size_t room = s->name_room == 0 ? 32 : s->name_room * 2;
		struct span *names = realloc(s->names, room * sizeof(*names));

		if (names == NULL) {
			return -ENOMEM;
		}
		s->names = names;
		s->name_room = room;
	}
	s->names[s->name_count++] = name;
	return 0;
}

/* Compare the names from `first` on, and drop them. */
static int
close_object(struct scanner *s, size_t first)
{
	struct span *names;
	size_t count = s->name_count - first;

	s->name_count = first;
	if (count < 2) {
		return 0;
	}
	names = s->names + first;
	qsort_r(names, count, sizeof(*names), compare_names, (void *)(uintptr_t)s->text);
	for (size_t i = 1; i < count; i++) {
		struct span *a = &names[i - 1], *b = &names[i];

		if (compare_names(a, b, (void *)(uintptr_t)s->text) == 0) {
			struct span *later = a->start > b->start ? a : b;
			int shown = (int)(later->end - later->start);

			return fail_at(s, later->start - 1, "duplicate name \"%.*s\"",
				       shown > 64 ? 64 : shown, s->text + later->start);
		}
	}
	return 0;
}

static int
scan_member(struct scanner *s)
{
	struct span name;
	int rc;

	if (peek(s) != '"') {
		return unexpected(s, "a name in quotes");
	}
	rc = scan_string(s, &name);
	if (rc == 0) {
		rc = push_name(s, name);
	}
	if (rc != 0) {
		return rc;
	}
	skip_space(s);
	if (peek(s) != ':') {
		return unexpected(s, "':'");
	}
	s->at++;
	return scan_value(s);
}

/* Members or elements up to the closing bracket. */
static int
scan_list(struct scanner *s, char close, int (*scan_item)(struct scanner *s))
{
	s->at++;
	skip_space(s);
	if (peek(s) == close) {
		s->at++;
		return 0;
	}
	for (;;) {
		int rc;

		skip_space(s);
		rc = scan_item(s);
		if (rc != 0) {
			return rc;
		}
		skip_space(s);
		if (peek(s) == close) {
			s->at++;
			return 0;
		}
		if (peek(s) != ',') {
			return unexpected(s, close == '}' ? "',' or '}'" : "',' or ']'");
		}
		s->at++;
	}
}

static int
scan_nested(struct scanner *s)
{
	size_t first_name = s->name_count;
	int rc;

	if (++s->depth > TARN_JSON_DEPTH_MAX) {
		return fail_at(s, s->at, "nested deeper than %d", TARN_JSON_DEPTH_MAX);
	}
	if (peek(s) == '[') {
		rc = scan_list(s, ']', scan_value);
	} else {
		rc = scan_list(s, '}', scan_member);
		rc = rc == 0 ? close_object(s, first_name) : rc;
	}
	s->depth--;
	return rc;
}

static int
scan_value(struct scanner *s)
{
	struct span ignored;

	skip_space(s);
	switch (peek(s)) {
	case '{':
	case '[':
		return scan_nested(s);
	case '"':
		return scan_string(s, &ignored);
	case 't':
		return scan_word(s, "true");
	case 'f':
		return scan_word(s, "false");
	case 'n':
		return scan_word(s, "null");
	case '-':
	case '0' ... '9':
		return scan_number(s);
	default:
		return unexpected(s, "a value");
	}
}

int
jsonrpc_strict(const char *text, size_t text_bytes, struct tarn_json_error *ret_error)
{
	struct scanner s = { .text = text, .length = text_bytes, .error = ret_error };
	int rc = scan_value(&s);

	if (rc == 0) {
		skip_space(&s);
		if (s.at < s.length) {
			rc = unexpected(&s, "the end of the text");
		}
	}
	free(s.names);
	return rc;
}

int
tarn_json_parse(const char *text, size_t text_bytes, struct cJSON **ret_json,
		struct tarn_json_error *ret_error)
{
	struct tarn_json_error error = { 0 };
	struct cJSON *json;
	int rc = jsonrpc_strict(text, text_bytes, &error);

	if (rc == 0) {
		json = cJSON_ParseWithLength(text, text_bytes);
		if (json != NULL) {
			*ret_json = json;
		} else {
			rc = -ENOMEM; /* nothing else is left that cJSON could refuse */
		}
	}
	if (rc == -EINVAL && ret_error != NULL) {
		*ret_error = error;
	}
	return rc;
}
