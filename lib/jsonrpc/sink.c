/* SPDX-License-Identifier: BSD-3-Clause */
/* What something tells of itself, as JSON. */
#include <cjson/cJSON.h>

#include "tarn/json.h"
#include "tarn/util.h"

static struct cJSON *
top(void *arg)
{
	struct tarn_json_sink *sink = arg;

	return sink->object[sink->depth];
}

static void
sink_begin(void *arg, const char *name)
{
	struct tarn_json_sink *sink = arg;
	struct cJSON *object = cJSON_AddObjectToObject(top(arg), name);

	tarn_assert(sink->depth + 1 < TARN_JSON_SINK_DEPTH_MAX);
	sink->object[++sink->depth] = object;
}

static void
sink_end(void *arg)
{
	struct tarn_json_sink *sink = arg;

	tarn_assert(sink->depth > 0);
	sink->depth--;
}

static void
sink_text(void *arg, const char *name, const char *value)
{
	tarn_json_add_text(top(arg), name, value);
}

static void
sink_number(void *arg, const char *name, uint64_t value)
{
	tarn_json_add_u64(top(arg), name, value);
}

static void
sink_flag(void *arg, const char *name, bool value)
{
	cJSON_AddBoolToObject(top(arg), name, value);
}

struct tarn_info_sink
tarn_json_sink(struct tarn_json_sink *state, struct cJSON *object)
{
	*state = (struct tarn_json_sink){ .object = { object } };
	return (struct tarn_info_sink){
		.begin = sink_begin,
		.end = sink_end,
		.text = sink_text,
		.number = sink_number,
		.flag = sink_flag,
		.arg = state,
	};
}
