/* SPDX-License-Identifier: BSD-3-Clause */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/tarnctl/ctl.h"
#include "tarn/json.h"
#include "tarn/util.h"

/*
 * Arguments into params. What a flag takes follows from the type that the server declares; whether
 * a value is within its bounds is for the server to say.
 */
static bool
is_type(const struct cJSON *field, const char *type)
{
	const char *declared = ctl_text(field, "type");

	return declared != NULL && strcmp(declared, type) == 0;
}

static struct cJSON *
json_of_text(const char *name, const char *text, size_t bytes)
{
	struct tarn_json_error error;
	struct cJSON *json = NULL;

	if (tarn_json_parse(text, bytes, &json, &error) == -EINVAL) {
		ctl_usage("%s: not JSON: line %u, column %u: %s", name, error.line, error.column,
			  error.text);
	}
	return json;
}

/* "4096", "0x1000", "4K", "4KiB": powers of 1024. */
static struct cJSON *
integer_of_text(const char *name, const char *text)
{
	static const char units[] = "KMGTP";
	bool negative = text[0] == '-';
	uint64_t value, factor = 1;
	const char *unit;
	char *end;

	errno = 0;
	value = strtoull(text + negative, &end, 0);
	if (errno == 0 && *end != '\0' && end != text + negative) {
		unit = strchr(units, *end);
		if (unit != NULL && (end[1] == '\0' || strcmp(end + 1, "iB") == 0)) {
			factor = UINT64_C(1) << (10 * (unit - units + 1));
			end += strlen(end);
		}
	}
	value = tarn_mul_sat(value, factor);
	if (text[negative] < '0' || text[negative] > '9' || errno != 0 || *end != '\0' ||
	    value > (uint64_t)TARN_JSON_INTEGER_MAX) {
		ctl_usage("%s: \"%s\" is no integer up to 2^53 (4096, 0x1000, 4K and 4KiB are)",
			  name, text);
		return NULL;
	}
	return tarn_json_i64(negative ? -(int64_t)value : (int64_t)value);
}

static struct cJSON *
double_of_text(const char *name, const char *text)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end != '\0' || !(value - value == 0)) {
		ctl_usage("%s: \"%s\" is no number", name, text);
		return NULL;
	}
	return cJSON_CreateNumber(value);
}

static struct cJSON *
bool_of_text(const char *name, const char *text)
{
	static const char *const yes[] = { "true", "on", "yes", "1" };
	static const char *const no[] = { "false", "off", "no", "0" };

	for (size_t i = 0; i < tarn_array_count(yes); i++) {
		if (strcmp(text, yes[i]) == 0) {
			return cJSON_CreateTrue();
		}
		if (strcmp(text, no[i]) == 0) {
			return cJSON_CreateFalse();
		}
	}
	ctl_usage("%s: \"%s\" is neither true nor false", name, text);
	return NULL;
}

static struct cJSON *
string_of_text(const char *name, const char *text)
{
	if (!tarn_utf8_valid(text, strlen(text))) {
		ctl_usage("%s: not valid UTF-8; a field for base64 may take it", name);
		return NULL;
	}
	return cJSON_CreateString(text);
}

/* \return the value, or NULL, having said what is wrong. */
static struct cJSON *
value_of_text(const struct cJSON *field, const char *text)
{
	const char *name = ctl_text(field, "name"), *word = ctl_text(field, "word");

	if (word != NULL && strcmp(word, text) == 0) {
		return cJSON_CreateString(text);
	}
	if (is_type(field, "bool")) {
		return bool_of_text(name, text);
	}
	if (is_type(field, "u32") || is_type(field, "i32") || is_type(field, "u64") ||
	    is_type(field, "i64") || is_type(field, "size")) {
		return integer_of_text(name, text);
	}
	if (is_type(field, "double")) {
		return double_of_text(name, text);
	}
	if (is_type(field, "json") || is_type(field, "objects") ||
	    (is_type(field, "strings") && text[0] == '[')) {
		return json_of_text(name, text, strlen(text));
	}
	if (is_type(field, "inert")) {
		struct cJSON *json = NULL;

		/* The server knows which one value it takes. */
		return tarn_json_parse(text, strlen(text), &json, NULL) == 0
			   ? json
			   : string_of_text(name, text);
	}
	return string_of_text(name, text);
}

/* Arrays grow with each flag; anything else may be given once. */
static bool
add_value(struct cJSON *params, const struct cJSON *field, struct cJSON *value)
{
	const char *name = ctl_text(field, "name");
	struct cJSON *there = cJSON_GetObjectItemCaseSensitive(params, name);
	bool array = is_type(field, "strings") || is_type(field, "objects");

	if (!array || (cJSON_IsArray(value) && there == NULL)) {
		if (there != NULL) {
			ctl_usage("--%s: given twice", name);
			cJSON_Delete(value);
			return false;
		}
		return cJSON_AddItemToObject(params, name, value);
	}
	if (there == NULL) {
		there = cJSON_AddArrayToObject(params, name);
	}
	if (cJSON_IsArray(value)) {
		while (value->child != NULL) {
			cJSON_AddItemToArray(there, cJSON_DetachItemFromArray(value, 0));
		}
		cJSON_Delete(value);
		return true;
	}
	return cJSON_AddItemToArray(there, value);
}

/* The value of "--params": JSON, @FILE or - for stdin. Its members go before those of flags. */
static bool
add_params(struct cJSON *params, const char *text)
{
	size_t bytes = strlen(text);
	char *read = NULL;
	struct cJSON *json;

	if (text[0] == '@' || strcmp(text, "-") == 0) {
		read = ctl_read_file(text[0] == '@' ? text + 1 : text, &bytes);
		if (read == NULL) {
			return false;
		}
		text = read;
	}
	json = json_of_text("--params", text, bytes);
	free(read);
	if (json != NULL && !cJSON_IsObject(json)) {
		ctl_usage("--params: must be an object");
		cJSON_Delete(json);
		return false;
	}
	while (json != NULL && json->child != NULL) {
		struct cJSON *member = cJSON_DetachItemViaPointer(json, json->child);

		if (cJSON_HasObjectItem(params, member->string)) {
			ctl_usage("--%s: given twice, also in --params", member->string);
			cJSON_Delete(member);
			cJSON_Delete(json);
			return false;
		}
		cJSON_AddItemToObject(params, member->string, member);
	}
	cJSON_Delete(json);
	return json != NULL;
}

struct arg {
	const char *name; /* without the dashes */
	size_t name_bytes;
	const char *value; /* after '=', or the next argument; NULL: none */
	bool attached;	   /* after '=' */
};

static bool
is_bool_word(const char *text)
{
	return strcmp(text, "true") == 0 || strcmp(text, "false") == 0 || strcmp(text, "on") == 0 ||
	       strcmp(text, "off") == 0;
}

/* One flag. \return how many arguments it took, 0: wrong. */
static int
take_flag(struct cJSON *params, const struct cJSON *method, const struct arg *arg)
{
	const struct cJSON *field = ctl_find_field(method, arg->name, arg->name_bytes);
	const char *text = arg->value;
	struct cJSON *value;

	if (field == NULL && arg->name_bytes > 3 && !arg->attached &&
	    memcmp(arg->name, "no-", 3) == 0) {
		field = ctl_find_field(method, arg->name + 3, arg->name_bytes - 3);
		if (field != NULL && is_type(field, "bool")) {
			return add_value(params, field, cJSON_CreateFalse()) ? 1 : 0;
		}
		field = NULL;
	}
	if (field == NULL) {
		ctl_usage("%s has no field \"%.*s\"; try: tarnctl %s --help",
			  ctl_text(method, "name"), (int)arg->name_bytes, arg->name,
			  ctl_text(method, "name"));
		return 0;
	}
	if (is_type(field, "bool") && !arg->attached && (text == NULL || !is_bool_word(text))) {
		return add_value(params, field, cJSON_CreateTrue()) ? 1 : 0;
	}
	if (text == NULL) {
		ctl_usage("--%s: needs a value", ctl_text(field, "name"));
		return 0;
	}
	value = value_of_text(field, text);
	if (value == NULL || !add_value(params, field, value)) {
		return 0;
	}
	return arg->attached ? 1 : 2;
}

static bool
is_named(const struct arg *arg, const char *name)
{
	return arg->name_bytes == strlen(name) && memcmp(arg->name, name, arg->name_bytes) == 0;
}

/* \return how many arguments were taken, 0: wrong. */
static int
take_arg(struct ctl *ctl, struct cJSON *params, const struct cJSON *method, char **argv)
{
	const char *equals;
	struct arg arg;

	if (strcmp(argv[0], "-j") == 0 || strcmp(argv[0], "-t") == 0) {
		ctl->format = argv[0][1] == 'j' ? CTL_FORMAT_JSON : CTL_FORMAT_TABLE;
		return 1;
	}
	if (strncmp(argv[0], "--", 2) != 0 || argv[0][2] == '\0') {
		ctl_usage("\"%s\": fields are given as --field value", argv[0]);
		return 0;
	}
	equals = strchr(argv[0], '=');
	arg.name = argv[0] + 2;
	arg.name_bytes = equals != NULL ? (size_t)(equals - arg.name) : strlen(arg.name);
	arg.attached = equals != NULL;
	arg.value = equals != NULL ? equals + 1 : argv[1];
	if (is_named(&arg, "params") && ctl_find_field(method, "params", 6) == NULL) {
		if (arg.value == NULL) {
			ctl_usage("--params: needs a value");
			return 0;
		}
		return !add_params(params, arg.value) ? 0 : arg.attached ? 1 : 2;
	}
	return take_flag(params, method, &arg);
}

static bool
check_required(const struct cJSON *params, const struct cJSON *method)
{
	const struct cJSON *field;

	cJSON_ArrayForEach (field, cJSON_GetObjectItemCaseSensitive(method, "params")) {
		const char *name = ctl_text(field, "name"), *alias = ctl_text(field, "alias");

		if (!ctl_flag(field, "required") ||
		    cJSON_GetObjectItemCaseSensitive(params, name) != NULL ||
		    (alias != NULL && cJSON_GetObjectItemCaseSensitive(params, alias) != NULL)) {
			continue;
		}
		ctl_usage("%s needs --%s; try: tarnctl %s --help", ctl_text(method, "name"), name,
			  ctl_text(method, "name"));
		return false;
	}
	return true;
}

struct cJSON *
ctl_params_of_args(struct ctl *ctl, const struct cJSON *method, int argc, char **argv)
{
	struct cJSON *params = cJSON_CreateObject();

	for (int i = 0; i < argc && params != NULL;) {
		int taken = take_arg(ctl, params, method, argv + i);

		if (taken == 0) {
			cJSON_Delete(params);
			params = NULL;
		}
		i += taken;
	}
	if (params != NULL && !check_required(params, method)) {
		cJSON_Delete(params);
		params = NULL;
	}
	return params;
}
