/* SPDX-License-Identifier: BSD-3-Clause */
/* framework_get_reactors, thread_get_*: reactors, each of which is one of SPDK's threads too. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "rpc/internal.h"
#include "tarn/env.h"
#include "tarn/reactor.h"

/* SPDK's thread ids begin at 1. */
static uint64_t
thread_id(const struct tarn_reactor *reactor)
{
	return tarn_reactor_index(reactor) + 1;
}

static void
add_identity(struct cJSON *object, const struct tarn_reactor *reactor, bool with_mask)
{
	char name[32], mask[(CPU_SETSIZE / 4) + 1];
	uint32_t cpu = tarn_reactor_cpu(reactor);

	snprintf(name, sizeof(name), "reactor_%u", tarn_reactor_index(reactor));
	cJSON_AddStringToObject(object, "name", name);
	tarn_json_add_u64(object, "id", thread_id(reactor));
	if (!with_mask)
		return;
	/* A mask of one bit: its hexadecimal digit, then zeroes. */
	snprintf(mask, sizeof(mask), "%x%0*d", 1u << (cpu % 4), (int)(cpu / 4), 0);
	if (cpu / 4 == 0)
		mask[1] = '\0';
	cJSON_AddStringToObject(object, "cpumask", mask);
}

static struct cJSON *
ticks_object(void)
{
	struct cJSON *object = cJSON_CreateObject();

	tarn_json_add_u64(object, "tick_rate", RPC_TICK_RATE);
	return object;
}

/* --- What each reactor must tell itself --- */

struct visit {
	struct tarn_rpc_request *req;
	struct cJSON *result, *array;
	uint64_t now_ns;
};

static void
visit_reply(void *arg)
{
	struct visit *visit = arg;

	tarn_rpc_reply(visit->req, visit->result);
	free(visit);
}

static void
visit_reactors(struct tarn_rpc_request *req, const char *array_name, tarn_msg_fn fn)
{
	struct visit *visit = calloc(1, sizeof(*visit));

	if (visit == NULL) {
		tarn_rpc_reply(req, NULL);
		return;
	}
	visit->req = req;
	visit->result = ticks_object();
	if (array_name[0] == 'r')
		tarn_json_add_u64(visit->result, "pid", (uint64_t)getpid());
	visit->array = cJSON_AddArrayToObject(visit->result, array_name);
	visit->now_ns = tarn_now_ns();
	if (tarn_reactor_for_each(fn, visit_reply, visit) != 0) {
		cJSON_Delete(visit->result);
		free(visit);
		tarn_rpc_reply(req, NULL);
	}
}

static void
visit_thread(void *arg)
{
	struct visit *visit = arg;
	struct cJSON *thread = cJSON_CreateObject();
	struct tarn_reactor_stats stats;

	tarn_reactor_get_stats(&stats);
	add_identity(thread, tarn_reactor_self(), true);
	tarn_json_add_u64(thread, "busy", stats.busy_ns);
	tarn_json_add_u64(thread, "idle", stats.idle_ns);
	cJSON_AddBoolToObject(thread, "in_interrupt", false);
	tarn_json_add_u64(thread, "active_pollers_count", stats.active_poller_count);
	tarn_json_add_u64(thread, "timed_pollers_count", stats.timed_poller_count);
	tarn_json_add_u64(thread, "paused_pollers_count", 0);
	cJSON_AddItemToArray(visit->array, thread);
}

static void
rpc_thread_get_stats(struct tarn_rpc_request *req, const struct cJSON *json)
{
	char none;

	if (tarn_rpc_decode(req, json, &tarn_rpc_no_fields, &none) == 0)
		visit_reactors(req, "threads", visit_thread);
}
TARN_RPC_METHOD("thread_get_stats", rpc_thread_get_stats, tarn_rpc_no_fields,
		"Tell how busy each reactor's thread is", .details = "A tick is a nanosecond.",
		.result = "{tick_rate, threads: [{name, id, cpumask, busy, idle, …}]}",
		.example = "{}", .states = TARN_RPC_ALWAYS)

static void
add_own_stats(struct cJSON *object, const struct tarn_reactor_stats *stats)
{
	struct cJSON *own = cJSON_AddObjectToObject(object, "tarn");

	tarn_json_add_u64(own, "turn_count", stats->turn_count);
	tarn_json_add_u64(own, "message_count", stats->message_count);
	tarn_json_add_u64(own, "sleep_count", stats->sleep_count);
	tarn_json_add_u64(own, "wakeup_count", stats->wakeup_count);
	tarn_json_add_u64(own, "ring_highwater", stats->ring_highwater);
	tarn_json_add_u64(own, "overflow_count", stats->overflow_count);
	cJSON_AddStringToObject(own, "poll_mode",
				tarn_reactors_poll_mode() == TARN_POLL_BUSY ? "busy" : "adaptive");
}

static void
visit_reactor(void *arg)
{
	struct visit *visit = arg;
	const struct tarn_reactor *self = tarn_reactor_self();
	struct cJSON *object = cJSON_CreateObject(), *threads, *thread;
	struct tarn_reactor_stats stats;

	tarn_reactor_get_stats(&stats);
	tarn_json_add_u64(object, "lcore", tarn_reactor_cpu(self));
	tarn_json_add_u64(object, "tid", (uint64_t)gettid());
	tarn_json_add_u64(object, "busy", stats.busy_ns);
	tarn_json_add_u64(object, "idle", stats.idle_ns);
	cJSON_AddBoolToObject(object, "in_interrupt", false);
	threads = cJSON_AddArrayToObject(object, "lw_threads");
	thread = cJSON_CreateObject();
	add_identity(thread, self, true);
	tarn_json_add_u64(thread, "elapsed", stats.busy_ns + stats.idle_ns);
	cJSON_AddItemToArray(threads, thread);
	add_own_stats(object, &stats);
	cJSON_AddItemToArray(visit->array, object);
}

static void
rpc_framework_get_reactors(struct tarn_rpc_request *req, const struct cJSON *json)
{
	char none;

	if (tarn_rpc_decode(req, json, &tarn_rpc_no_fields, &none) == 0)
		visit_reactors(req, "reactors", visit_reactor);
}
TARN_RPC_METHOD(
    "framework_get_reactors", rpc_framework_get_reactors, tarn_rpc_no_fields,
    "Describe the reactors: their CPUs, threads, turns, messages and sleep",
    .result = "{tick_rate, pid, reactors: [{lcore, tid, busy, idle, lw_threads, tarn, …}]}",
    .example = "{}", .states = TARN_RPC_ALWAYS)

struct poller_lists {
	struct cJSON *active, *timed;
	uint64_t id;
};

static void
add_poller(const struct tarn_poller_info *info, void *arg)
{
	struct poller_lists *lists = arg;
	struct cJSON *object = cJSON_CreateObject();

	cJSON_AddStringToObject(object, "name", info->name);
	tarn_json_add_u64(object, "id", ++lists->id);
	cJSON_AddStringToObject(object, "state", "waiting");
	tarn_json_add_u64(object, "run_count", info->run_count);
	tarn_json_add_u64(object, "busy_count", info->busy_count);
	if (info->period_us != 0)
		tarn_json_add_u64(object, "period_ticks",
				  info->period_us * (RPC_TICK_RATE / 1000000));
	cJSON_AddItemToArray(info->period_us != 0 ? lists->timed : lists->active, object);
}

static void
visit_pollers(void *arg)
{
	struct visit *visit = arg;
	struct cJSON *thread = cJSON_CreateObject();
	struct poller_lists lists = { 0 };

	add_identity(thread, tarn_reactor_self(), false);
	lists.active = cJSON_AddArrayToObject(thread, "active_pollers");
	lists.timed = cJSON_AddArrayToObject(thread, "timed_pollers");
	cJSON_AddArrayToObject(thread, "paused_pollers");
	tarn_reactor_each_poller(add_poller, &lists);
	cJSON_AddItemToArray(visit->array, thread);
}

static void
rpc_thread_get_pollers(struct tarn_rpc_request *req, const struct cJSON *json)
{
	char none;

	if (tarn_rpc_decode(req, json, &tarn_rpc_no_fields, &none) == 0)
		visit_reactors(req, "threads", visit_pollers);
}
TARN_RPC_METHOD(
    "thread_get_pollers", rpc_thread_get_pollers, tarn_rpc_no_fields,
    "List the pollers of each reactor, and how often each found work",
    .result = "{tick_rate, threads: [{name, id, active_pollers, timed_pollers, paused_pollers}]}",
    .example = "{}", .states = TARN_RPC_ALWAYS)
