/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tarn/json.h"
#include "tarn/rpc.h"

/*
 * What the files of this folder share. Nothing here is for others.
 */

/* --- json.c, strict.c --- */

/** Add an item, or delete it where that fails; a NULL item is -ENOMEM. \return 0 or -ENOMEM. */
int jsonrpc_add(struct cJSON *object, const char *name, struct cJSON *item);
/** \return the bytes of the UTF-8 sequence at text, 0 when there is none (RFC 3629, section 4). */
size_t jsonrpc_utf8_length(const char *text, size_t text_bytes);
/** Refuse what is no strict JSON text (see tarn_json_parse()). \return 0, -EINVAL or -ENOMEM. */
int jsonrpc_strict(const char *text, size_t text_bytes, struct tarn_json_error *ret_error);

/* --- Messages about fields (decode.c) --- */

#define JSONRPC_ERROR_BYTES 512
struct jsonrpc_error {
	char text[JSONRPC_ERROR_BYTES];
};
/** Write the message. \return -EINVAL, so that it can end a function. */
int jsonrpc_error_set(struct jsonrpc_error *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/**
 * Put the name of what the message is about in front of it: "a: b", "a[3]: b: c". \return -EINVAL.
 */
int jsonrpc_error_prefix(struct jsonrpc_error *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* --- number.c, value.c: one value --- */

bool jsonrpc_type_is_number(enum tarn_rpc_type type);
/**
 * Decode a value of a number type, word included. \return 0 or -EINVAL with the message, without
 * the name.
 */
int jsonrpc_number_decode(const struct tarn_rpc_field *field, const struct cJSON *value,
			  char *params, struct jsonrpc_error *error);
/** The same for any type but groups and inert fields. \return 0, -EINVAL or -ENOMEM. */
int jsonrpc_value_decode(const struct tarn_rpc_field *field, const struct cJSON *value,
			 char *params, struct jsonrpc_error *error);
/** Make the member empty; with release, free what it holds. */
void jsonrpc_value_clear(const struct tarn_rpc_field *field, char *params, bool release);
/** The member of a field. */
static inline void *
jsonrpc_member(const struct tarn_rpc_field *field, char *params)
{
	return params + field->offset;
}
/** Set one of a field's optional flags, which may be absent. */
static inline void
jsonrpc_flag_set(char *params, size_t flag, bool value)
{
	if (flag != 0) {
		*(bool *)(params + flag - 1) = value;
	}
}

/* --- decode.c --- */

/**
 * Decode an object by a table. \return 0, -EINVAL with a message, or -ENOMEM; then params holds
 * nothing.
 */
int jsonrpc_object_decode(const struct cJSON *json, const struct tarn_rpc_fields *fields,
			  char *params, struct jsonrpc_error *error);

/* --- request.c: one call, from a connection or from within --- */

/** How a call ended. code 0: result, which the receiver may take by setting it to NULL. */
struct jsonrpc_outcome {
	int code;
	struct cJSON *result;
	const char *message;
};
typedef void (*jsonrpc_outcome_fn)(void *arg, struct jsonrpc_outcome *outcome);

/** Call a method by name. done runs once, perhaps before this returns. */
void jsonrpc_call(const char *method, const struct cJSON *params, jsonrpc_outcome_fn done,
		  void *arg);
