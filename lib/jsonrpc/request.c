/* SPDX-License-Identifier: BSD-3-Clause */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/jsonrpc/internal.h"
#include "tarn/util.h"

/*
 * One call of a method, from its handler to its answer. Whoever asked (a connection, the config
 * loader) is known here only as a function to call once.
 */
#define REQUEST_MAGIC UINT32_C(0x71727063)
#define MESSAGE_BYTES 1024

struct tarn_rpc_request {
	uint32_t magic; /* gone after the answer, so that a second one is caught */
	const struct tarn_rpc_method *method;
	jsonrpc_outcome_fn done;
	void *arg;
};

static void
finish(struct tarn_rpc_request *req, struct jsonrpc_outcome *outcome)
{
	tarn_assert(req->magic == REQUEST_MAGIC);
	req->magic = 0;
	req->done(req->arg, outcome);
	cJSON_Delete(outcome->result);
	free(req);
}

static void
finish_error(struct tarn_rpc_request *req, int code, const char *format, va_list args)
{
	char message[MESSAGE_BYTES];
	struct jsonrpc_outcome outcome = { .code = code, .message = message };

	vsnprintf(message, sizeof(message), format, args);
	finish(req, &outcome);
}

void
tarn_rpc_reply(struct tarn_rpc_request *req, struct cJSON *result)
{
	struct jsonrpc_outcome outcome = { .result = result };

	if (result == NULL) {
		outcome.code = TARN_RPC_INTERNAL_ERROR;
		outcome.message = "out of memory while answering";
	}
	finish(req, &outcome);
}

void
tarn_rpc_reply_true(struct tarn_rpc_request *req)
{
	tarn_rpc_reply(req, cJSON_CreateTrue());
}

void
tarn_rpc_reply_string(struct tarn_rpc_request *req, const char *text)
{
	tarn_rpc_reply(req, cJSON_CreateString(text));
}

void
tarn_rpc_fail(struct tarn_rpc_request *req, int status, const char *format, ...)
{
	va_list args;

	tarn_assert(status < 0);
	va_start(args, format);
	finish_error(req, status, format, args);
	va_end(args);
}

void
tarn_rpc_refuse(struct tarn_rpc_request *req, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	finish_error(req, TARN_RPC_INVALID_PARAMS, format, args);
	va_end(args);
}

const char *
tarn_rpc_method_name(const struct tarn_rpc_request *req)
{
	return req->method->name;
}

const void *
tarn_rpc_arg(const struct tarn_rpc_request *req)
{
	return req->method->arg;
}

static void __attribute__((format(printf, 4, 5)))
refuse_call(jsonrpc_outcome_fn done, void *arg, int code, const char *format, ...)
{
	char message[MESSAGE_BYTES];
	struct jsonrpc_outcome outcome = { .code = code, .message = message };
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	done(arg, &outcome);
}

void
jsonrpc_call(const char *name, const struct cJSON *params, jsonrpc_outcome_fn done, void *arg)
{
	const struct tarn_rpc_method *method = tarn_rpc_method_find(name);
	uint32_t states;
	struct tarn_rpc_request *req;

	if (method == NULL) {
		refuse_call(done, arg, TARN_RPC_METHOD_NOT_FOUND,
			    "%.100s: no such method; rpc_get_methods lists them", name);
		return;
	}
	states = method->states != 0 ? method->states : TARN_RPC_RUNTIME;
	if ((states & tarn_rpc_get_state()) == 0) {
		refuse_call(done, arg, TARN_RPC_INVALID_STATE,
			    "%s: only possible %s framework_start_init", name,
			    states == TARN_RPC_RUNTIME ? "after" : "before");
		return;
	}
	req = malloc(sizeof(*req));
	if (req == NULL) {
		refuse_call(done, arg, TARN_RPC_INTERNAL_ERROR, "%s: out of memory", name);
		return;
	}
	*req = (struct tarn_rpc_request){ REQUEST_MAGIC, method, done, arg };
	method->handler(req, params);
}

struct invocation {
	tarn_rpc_done done;
	void *arg;
};

static void
invoke_done(void *arg, struct jsonrpc_outcome *outcome)
{
	struct invocation invocation = *(struct invocation *)arg;

	free(arg);
	invocation.done(invocation.arg, outcome->result, outcome->code, outcome->message);
}

void
tarn_rpc_invoke(const char *method, const struct cJSON *params, tarn_rpc_done done, void *arg)
{
	struct invocation *invocation = malloc(sizeof(*invocation));

	if (invocation == NULL) {
		done(arg, NULL, TARN_RPC_INTERNAL_ERROR, "out of memory");
		return;
	}
	*invocation = (struct invocation){ done, arg };
	jsonrpc_call(method, params, invoke_done, invocation);
}
