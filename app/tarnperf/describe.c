/* SPDX-License-Identifier: BSD-3-Clause */
/* Devices as JSON: lib/bdev's facts, and the driver's own by its sink. */
#include "describe.h"

#include <cjson/cJSON.h>
#include <stdlib.h>

#include "tarn/json.h"

static void
describe(struct tarn_bdev *bdev, cJSON *object)
{
	struct tarn_json_sink state;
	const struct tarn_info_sink sink = tarn_json_sink(&state, object);

	tarn_bdev_describe(bdev, &sink);
}

uint64_t
perf_describe_submit_count(struct tarn_bdev *bdev)
{
	cJSON *object = cJSON_CreateObject();
	const cJSON *count;
	uint64_t submit_count = 0;

	describe(bdev, object);
	count = cJSON_GetObjectItemCaseSensitive(object, "submissions");
	if (cJSON_IsRaw(count))
		submit_count = strtoull(count->valuestring, NULL, 10);
	cJSON_Delete(object);
	return submit_count;
}

struct cJSON *
perf_describe_targets(const struct perf_targets *targets)
{
	cJSON *array = cJSON_CreateArray();

	for (uint32_t i = 0; i < targets->count; i++) {
		struct tarn_bdev_info info;
		cJSON *object = cJSON_CreateObject();

		tarn_bdev_get_info(targets->target[i].bdev, &info);
		cJSON_AddItemToArray(array, object);
		cJSON_AddStringToObject(object, "name", info.name);
		cJSON_AddStringToObject(object, "driver", info.driver);
		tarn_json_add_u64(object, "size_bytes", info.size_bytes);
		tarn_json_add_u64(object, "block_size", info.block_size);
		tarn_json_add_u64(object, "queue_depth", info.queue_depth);
		cJSON_AddBoolToObject(object, "write_cache", info.write_cache);
		cJSON_AddBoolToObject(object, "rotational", info.rotational);
		describe(targets->target[i].bdev,
			 cJSON_AddObjectToObject(object, "driver_specific"));
	}
	return array;
}
