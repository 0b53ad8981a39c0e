/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The parameters of every RPC method, by its own tables: the first line of the input is the
 * method's name, the rest one JSON object. Nothing is carried out.
 */
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "tarn/rpc.h"
#include "tarn/util.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NAME_MAX_BYTES 64

/* One by its name; where there is none of that name, any. */
static const struct tarn_rpc_method *
choose(const char *name)
{
	const struct tarn_rpc_method *method = tarn_rpc_method_find(name);
	uint32_t count = 0, n = 0;

	if (method != NULL)
		return method;
	while ((method = tarn_rpc_method_next(method)) != NULL)
		count++;
	for (const char *at = name; *at != '\0'; at++)
		n = n * 31 + (uint8_t)*at;
	method = tarn_rpc_method_next(NULL);
	for (uint32_t i = 0; i < n % count; i++)
		method = tarn_rpc_method_next(method);
	return method;
}

static void
decode(const struct tarn_rpc_method *method, const struct cJSON *json)
{
	void *params = calloc(1, tarn_max_u64(method->fields->params_bytes, 1));
	char error[512] = "";
	int rc = tarn_rpc_decode_text(json, method->fields, params, error, sizeof(error));

	tarn_assert((rc == 0) == (error[0] == '\0'));
	tarn_rpc_params_free(method->fields, params);
	free(params);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = memchr(data, '\n', size);
	char name[NAME_MAX_BYTES] = "";
	struct cJSON *json = NULL;
	size_t name_bytes;

	if (end == NULL)
		return 0;
	name_bytes = (size_t)(end - data);
	memcpy(name, data, tarn_min_u64(name_bytes, sizeof(name) - 1));
	if (tarn_json_parse((const char *)end + 1, size - name_bytes - 1, &json, NULL) != 0)
		return 0;
	decode(choose(name), json);
	cJSON_Delete(json);
	return 0;
}
