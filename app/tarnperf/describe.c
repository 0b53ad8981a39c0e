/* SPDX-License-Identifier: BSD-3-Clause */
/* Devices as JSON: lib/bdev's facts, and the driver's own by its sink. */
#include "describe.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tarn/util.h"

#define NESTING_MAX 8

struct json_sink {
	cJSON *object[NESTING_MAX];
	uint32_t depth;
};

void
perf_describe_add_u64(struct cJSON *object, const char *name, uint64_t value)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%" PRIu64, value);
	cJSON_AddRawToObject(object, name, digits);
}

static cJSON *
sink_object(void *arg)
{
	struct json_sink *sink = arg;

	return sink->object[sink->depth];
}

static void
sink_begin(void *arg, const char *name)
{
	struct json_sink *sink = arg;
	cJSON *object = cJSON_AddObjectToObject(sink_object(sink), name);

	tarn_assert(sink->depth + 1 < NESTING_MAX);
	sink->object[++sink->depth] = object;
}

static void
sink_end(void *arg)
{
	struct json_sink *sink = arg;

	tarn_assert(sink->depth > 0);
	sink->depth--;
}

static void
sink_text(void *arg, const char *name, const char *value)
{
	cJSON_AddStringToObject(sink_object(arg), name, value);
}

static void
sink_number(void *arg, const char *name, uint64_t value)
{
	perf_describe_add_u64(sink_object(arg), name, value);
}

static void
sink_flag(void *arg, const char *name, bool value)
{
	cJSON_AddBoolToObject(sink_object(arg), name, value);
}

static void
describe(struct tarn_bdev *bdev, cJSON *object)
{
	struct json_sink json = { .object = { object } };
	struct tarn_info_sink sink = {
		.begin = sink_begin,
		.end = sink_end,
		.text = sink_text,
		.number = sink_number,
		.flag = sink_flag,
		.arg = &json,
	};

	tarn_bdev_describe(bdev, &sink);
}

struct submit_sink {
	uint64_t count;
};

static void
skip_name(void *arg, const char *name)
{
	(void)arg;
	(void)name;
}

static void
skip(void *arg)
{
	(void)arg;
}

static void
skip_text(void *arg, const char *name, const char *value)
{
	(void)arg;
	(void)name;
	(void)value;
}

static void
skip_flag(void *arg, const char *name, bool value)
{
	(void)arg;
	(void)name;
	(void)value;
}

static void
count_submissions(void *arg, const char *name, uint64_t value)
{
	struct submit_sink *sink = arg;

	if (strcmp(name, "submissions") == 0)
		sink->count += value;
}

uint64_t
perf_describe_submit_count(struct tarn_bdev *bdev)
{
	struct submit_sink submit = { 0 };
	struct tarn_info_sink sink = {
		.begin = skip_name,
		.end = skip,
		.text = skip_text,
		.number = count_submissions,
		.flag = skip_flag,
		.arg = &submit,
	};

	tarn_bdev_describe(bdev, &sink);
	return submit.count;
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
		perf_describe_add_u64(object, "size_bytes", info.size_bytes);
		perf_describe_add_u64(object, "block_size", info.block_size);
		perf_describe_add_u64(object, "queue_depth", info.queue_depth);
		cJSON_AddBoolToObject(object, "write_cache", info.write_cache);
		cJSON_AddBoolToObject(object, "rotational", info.rotational);
		describe(targets->target[i].bdev,
			 cJSON_AddObjectToObject(object, "driver_specific"));
	}
	return array;
}
