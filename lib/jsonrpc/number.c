/* SPDX-License-Identifier: BSD-3-Clause */
#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/jsonrpc/internal.h"
#include "tarn/util.h"

/*
 * Numbers of fields: exact, within bounds. A value is carried as a magnitude and a sign, so that
 * one check serves every width.
 */
struct exact {
	uint64_t magnitude;
	bool negative;
};

bool
jsonrpc_type_is_number(enum tarn_rpc_type type)
{
	return type >= TARN_RPC_U32 && type <= TARN_RPC_DOUBLE;
}

/* The raw items of tarn_json_u64() and tarn_json_i64(), in calls from within. */
static int
exact_of_raw(const char *digits, struct exact *ret)
{
	char *end;

	ret->negative = digits[0] == '-';
	digits += ret->negative;
	if (digits[0] < '0' || digits[0] > '9') {
		return -EINVAL;
	}
	errno = 0;
	ret->magnitude = strtoull(digits, &end, 10);
	return errno == 0 && *end == '\0' ? 0 : -EINVAL;
}

static int
exact_of_double(double value, struct exact *ret, struct jsonrpc_error *error)
{
	if (value != floor(value)) {
		return jsonrpc_error_set(error, "%.17g is not an integer", value);
	}
	if (fabs(value) > (double)TARN_JSON_INTEGER_MAX) {
		return jsonrpc_error_set(
		    error, "%.17g is beyond 2^53, where JSON's numbers are inexact", value);
	}
	ret->negative = value < 0;
	ret->magnitude = (uint64_t)fabs(value);
	return 0;
}

/* "512", "64K", "64KiB", "1 GiB" are not far apart; powers of 1024 in any case. */
static int
exact_of_size(const char *text, struct exact *ret)
{
	static const char units[] = "KMGTP";
	const char *unit;
	char *end;

	if (text[0] < '0' || text[0] > '9') {
		return -EINVAL;
	}
	errno = 0;
	ret->negative = false;
	ret->magnitude = strtoull(text, &end, 10);
	if (errno != 0) {
		return -EINVAL;
	}
	if (*end == '\0') {
		return 0;
	}
	unit = strchr(units, *end);
	if (unit == NULL || (strcmp(end + 1, "") != 0 && strcmp(end + 1, "iB") != 0)) {
		return -EINVAL;
	}
	ret->magnitude = tarn_mul_sat(ret->magnitude, UINT64_C(1) << (10 * (unit - units + 1)));
	return ret->magnitude < UINT64_MAX ? 0 : -EINVAL;
}

static int
exact_of_value(const struct tarn_rpc_field *field, const struct cJSON *value, struct exact *ret,
	       struct jsonrpc_error *error)
{
	if (cJSON_IsNumber(value)) {
		return exact_of_double(value->valuedouble, ret, error);
	}
	if (cJSON_IsRaw(value) && exact_of_raw(value->valuestring, ret) == 0) {
		return 0;
	}
	if (field->type == TARN_RPC_SIZE) {
		if (cJSON_IsString(value) && exact_of_size(value->valuestring, ret) == 0) {
			return 0;
		}
		return jsonrpc_error_set(error,
					 "must be a number of bytes, or a string as \"64MiB\"");
	}
	if (field->word != NULL) {
		return jsonrpc_error_set(error, "must be an integer or \"%s\"", field->word);
	}
	return jsonrpc_error_set(error, "must be an integer");
}

static uint64_t
type_max(const struct tarn_rpc_field *field)
{
	switch (field->type) {
	case TARN_RPC_U32:
		return UINT32_MAX;
	case TARN_RPC_I32:
		return INT32_MAX;
	case TARN_RPC_I64:
		return INT64_MAX;
	default:
		return UINT64_MAX;
	}
}

static int64_t
type_min(const struct tarn_rpc_field *field)
{
	switch (field->type) {
	case TARN_RPC_I32:
		return field->min != 0 || field->max != 0 ? field->min : INT32_MIN;
	case TARN_RPC_I64:
		return field->min != 0 || field->max != 0 ? field->min : INT64_MIN;
	default:
		return field->min;
	}
}

static bool
exact_in_range(const struct exact *exact, int64_t min, uint64_t max)
{
	if (exact->negative) {
		/* -min as unsigned is right for INT64_MIN too. */
		return min < 0 && exact->magnitude <= 0 - (uint64_t)min;
	}
	return exact->magnitude <= max && (min <= 0 || exact->magnitude >= (uint64_t)min);
}

static int
integer_check(const struct tarn_rpc_field *field, const struct exact *exact,
	      struct jsonrpc_error *error)
{
	uint64_t max = field->max != 0 ? field->max : type_max(field);
	int64_t min = type_min(field);
	const char *sign = exact->negative ? "-" : "";

	if (field->zero && exact->magnitude == 0) {
		return 0;
	}
	if (!exact_in_range(exact, min, max)) {
		return jsonrpc_error_set(
		    error, "%s%" PRIu64 " is not in the range %" PRId64 " to %" PRIu64 "%s%s%s",
		    sign, exact->magnitude, min, max, field->unit != NULL ? " " : "",
		    field->unit != NULL ? field->unit : "", field->zero ? ", nor 0" : "");
	}
	if (field->pow2 && exact->magnitude != 0 && !tarn_is_pow2(exact->magnitude)) {
		return jsonrpc_error_set(error, "%" PRIu64 " is not a power of two",
					 exact->magnitude);
	}
	return 0;
}

static void
integer_store(const struct tarn_rpc_field *field, const struct exact *exact, void *member)
{
	uint64_t bits = exact->negative ? 0 - exact->magnitude : exact->magnitude;

	if (field->type == TARN_RPC_U32 || field->type == TARN_RPC_I32) {
		*(uint32_t *)member = (uint32_t)bits;
	} else {
		*(uint64_t *)member = bits;
	}
}

static int
double_decode(const struct tarn_rpc_field *field, const struct cJSON *value, double *ret,
	      struct jsonrpc_error *error)
{
	double number;

	if (!cJSON_IsNumber(value)) {
		return jsonrpc_error_set(error, "must be a number");
	}
	number = value->valuedouble;
	if (field->zero && number == 0) {
		*ret = 0;
		return 0;
	}
	if (number < (double)field->min || (field->max != 0 && number > (double)field->max)) {
		return field->max != 0
			   ? jsonrpc_error_set(error,
					       "%g is not in the range %" PRId64 " to %" PRIu64,
					       number, field->min, field->max)
			   : jsonrpc_error_set(error, "%g is less than %" PRId64, number,
					       field->min);
	}
	*ret = number;
	return 0;
}

int
jsonrpc_number_decode(const struct tarn_rpc_field *field, const struct cJSON *value, char *params,
		      struct jsonrpc_error *error)
{
	struct exact exact = { 0 };
	int rc;

	if (field->word != NULL && cJSON_IsString(value) &&
	    strcmp(value->valuestring, field->word) == 0) {
		jsonrpc_flag_set(params, field->word_flag, true);
		return 0;
	}
	if (field->type == TARN_RPC_DOUBLE) {
		rc = double_decode(field, value, jsonrpc_member(field, params), error);
	} else {
		rc = exact_of_value(field, value, &exact, error);
		rc = rc == 0 ? integer_check(field, &exact, error) : rc;
		if (rc == 0) {
			integer_store(field, &exact, jsonrpc_member(field, params));
		}
	}
	if (rc == 0) {
		jsonrpc_flag_set(params, field->word_flag, false);
	}
	return rc;
}
