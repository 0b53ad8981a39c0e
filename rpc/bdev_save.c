/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Devices as the calls that bring them back, in order of creation: a base is older than what stands
 * on it.
 */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/internal.h"
#include "tarn/bdev_opts.h"
#include "tarn/bdev_stats.h"
#include "tarn/util.h"

static const struct rpc_bdev_type *const types[] = {
	&rpc_bdev_uring,  &rpc_bdev_uring_cmd, &rpc_bdev_aio,	&rpc_bdev_sync,
	&rpc_bdev_malloc, &rpc_bdev_null,      &rpc_bdev_error, &rpc_bdev_delay,
};

static const struct rpc_bdev_type *
type_find(const char *driver)
{
	for (size_t i = 0; i < tarn_array_count(types); i++) {
		if (strcmp(types[i]->driver, driver) == 0)
			return types[i];
	}
	return NULL;
}

struct cJSON *
rpc_config_entry(const char *method, struct cJSON *params)
{
	struct cJSON *entry = params != NULL ? cJSON_CreateObject() : NULL;

	if (entry == NULL || cJSON_AddStringToObject(entry, "method", method) == NULL ||
	    !cJSON_AddItemToObject(entry, "params", params)) {
		cJSON_Delete(entry);
		cJSON_Delete(params);
		return NULL;
	}
	return entry;
}

static int
append(struct cJSON *array, struct cJSON *entry)
{
	if (entry == NULL)
		return -ENOMEM;
	return cJSON_AddItemToArray(array, entry) ? 0 : -ENOMEM;
}

static int
save_create(struct cJSON *array, struct tarn_bdev *bdev, const struct tarn_bdev_info *info)
{
	const struct rpc_bdev_type *type = type_find(info->driver);
	void *params;
	int rc;

	if (type != NULL &&
	    (type->fields == rpc_bdev_uring.fields || type == &rpc_bdev_uring_cmd)) {
		const struct tarn_bdev_file_opts *opts = tarn_bdev_opts(bdev);

		if (opts->shared)
			return 0; /* of a probe that runs */
		if (opts->requested_driver != NULL)
			type = type_find(opts->requested_driver);
	}
	if (type == NULL)
		return 0; /* of another subsystem, which saves it */
	params = calloc(1, type->fields->params_bytes);
	if (params == NULL)
		return -ENOMEM;
	type->to_params(bdev, info, params);
	rc = append(array,
		    rpc_config_entry(type->method, tarn_rpc_encode(type->fields, params, true)));
	free(params);
	return rc;
}

static int
save_qos(struct cJSON *array, struct tarn_bdev *bdev)
{
	struct tarn_bdev_qos qos;
	struct cJSON *params;

	tarn_bdev_get_qos(bdev, &qos);
	if (qos.rw_ios_per_s == 0 && qos.rw_bytes_per_s == 0 && qos.read_bytes_per_s == 0 &&
	    qos.write_bytes_per_s == 0)
		return 0;
	params = cJSON_CreateObject();
	tarn_json_add_text(params, "name", tarn_bdev_name(bdev));
	tarn_json_add_u64(params, "rw_ios_per_sec", qos.rw_ios_per_s);
	tarn_json_add_u64(params, "rw_mbytes_per_sec", qos.rw_bytes_per_s >> 20);
	tarn_json_add_u64(params, "r_mbytes_per_sec", qos.read_bytes_per_s >> 20);
	tarn_json_add_u64(params, "w_mbytes_per_sec", qos.write_bytes_per_s >> 20);
	return append(array, rpc_config_entry("bdev_set_qos_limit", params));
}

static int
save_histogram(struct cJSON *array, struct tarn_bdev *bdev)
{
	struct cJSON *params;

	if (!tarn_bdev_histogram_enabled(bdev))
		return 0;
	params = cJSON_CreateObject();
	tarn_json_add_text(params, "name", tarn_bdev_name(bdev));
	cJSON_AddTrueToObject(params, "enable");
	return append(array, rpc_config_entry("bdev_enable_histogram", params));
}

static int
save_sampling(struct cJSON *array, struct tarn_bdev *bdev)
{
	uint64_t period_us = tarn_bdev_get_qd_sampling(bdev);
	struct cJSON *params;

	if (period_us == 0)
		return 0;
	params = cJSON_CreateObject();
	tarn_json_add_text(params, "name", tarn_bdev_name(bdev));
	tarn_json_add_u64(params, "period", period_us);
	return append(array, rpc_config_entry("bdev_set_qd_sampling_period", params));
}

int
rpc_bdev_save(struct cJSON *array)
{
	int rc = 0;

	for (struct tarn_bdev *bdev = tarn_bdev_next(NULL); bdev != NULL && rc == 0;
	     bdev = tarn_bdev_next(bdev)) {
		struct tarn_bdev_info info;

		tarn_bdev_get_info(bdev, &info);
		if (info.removing)
			continue;
		rc = save_create(array, bdev, &info);
		if (rc == 0)
			rc = save_qos(array, bdev);
		if (rc == 0)
			rc = save_histogram(array, bdev);
		if (rc == 0)
			rc = save_sampling(array, bdev);
	}
	return rc;
}
