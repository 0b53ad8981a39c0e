/* SPDX-License-Identifier: BSD-3-Clause */
#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/jsonrpc/connection.h"
#include "lib/jsonrpc/internal.h"
#include "tarn/util.h"

/*
 * JSON-RPC 2.0, sections 4 to 6: texts into calls, outcomes into answers. A batch is answered by
 * one array, when the last of its calls has ended; an answer is queued whatever became of the
 * client meanwhile.
 */
#define BATCH_MAX_COUNT 4096

struct batch {
	struct connection *conn;
	struct cJSON *answers;
	uint32_t owed_count;
};

/* One call on its way. */
struct call {
	struct connection *conn;
	struct batch *batch; /* NULL: it came alone */
	struct cJSON *id;    /* NULL: a notification */
};

/* Numbers are echoed with all their digits. */
static struct cJSON *
id_copy(const struct cJSON *id)
{
	if (id == NULL) {
		return cJSON_CreateNull();
	}
	if (cJSON_IsNumber(id) && id->valuedouble == floor(id->valuedouble)) {
		return tarn_json_i64((int64_t)id->valuedouble);
	}
	return cJSON_Duplicate(id, false);
}

static bool
id_valid(const struct cJSON *id)
{
	if (cJSON_IsNumber(id)) {
		return fabs(id->valuedouble) <= (double)TARN_JSON_INTEGER_MAX;
	}
	return cJSON_IsString(id) || cJSON_IsNull(id);
}

static struct cJSON *
answer_error(int code, const char *message)
{
	struct cJSON *error = cJSON_CreateObject();

	if (tarn_json_add_i64(error, "code", code) != 0 ||
	    tarn_json_add_text(error, "message", message) != 0) {
		cJSON_Delete(error);
		return NULL;
	}
	return error;
}

/* \return the answer, or NULL for want of memory. Takes outcome->result. */
static struct cJSON *
answer_create(const struct cJSON *id, struct jsonrpc_outcome *outcome)
{
	struct cJSON *answer = cJSON_CreateObject();
	struct cJSON *body = outcome->result;
	const char *name = "result";
	int rc;

	outcome->result = NULL;
	if (outcome->code != 0) {
		body = answer_error(outcome->code, outcome->message);
		name = "error";
	}
	rc = jsonrpc_add(answer, "jsonrpc", cJSON_CreateString("2.0"));
	rc = jsonrpc_add(answer, "id", id_copy(id)) != 0 ? -ENOMEM : rc;
	rc = jsonrpc_add(answer, name, body) != 0 ? -ENOMEM : rc;
	if (rc != 0) {
		cJSON_Delete(answer);
		return NULL;
	}
	return answer;
}

static void
batch_finish(struct batch *batch)
{
	/* Notifications alone are answered by nothing at all, not by []. */
	if (cJSON_GetArraySize(batch->answers) > 0) {
		connection_send(batch->conn, batch->answers);
	}
	cJSON_Delete(batch->answers);
	free(batch);
}

/*
 * Takes answer, which is NULL for notifications, and (there is nothing better to do) for want of
 * memory.
 */
static void
deliver(struct connection *conn, struct batch *batch, struct cJSON *answer)
{
	if (batch == NULL) {
		if (answer != NULL) {
			connection_send(conn, answer);
		}
		cJSON_Delete(answer);
		return;
	}
	if (answer != NULL) {
		cJSON_AddItemToArray(batch->answers, answer);
	}
	tarn_assert(batch->owed_count > 0);
	if (--batch->owed_count == 0) {
		batch_finish(batch);
	}
}

static void
call_done(void *arg, struct jsonrpc_outcome *outcome)
{
	struct call call = *(struct call *)arg;

	free(arg);
	deliver(call.conn, call.batch, call.id != NULL ? answer_create(call.id, outcome) : NULL);
	cJSON_Delete(call.id);
	connection_call_done(call.conn);
}

static void
refuse(struct connection *conn, struct batch *batch, const struct cJSON *id, const char *message)
{
	struct jsonrpc_outcome outcome = { .code = TARN_RPC_INVALID_REQUEST, .message = message };

	deliver(conn, batch, answer_create(id, &outcome));
}

/* \return what is wrong with a request, or NULL. */
static const char *
request_check(const struct cJSON *request)
{
	const struct cJSON *version, *method, *params, *id;

	if (!cJSON_IsObject(request)) {
		return "a request must be an object";
	}
	version = cJSON_GetObjectItemCaseSensitive(request, "jsonrpc");
	method = cJSON_GetObjectItemCaseSensitive(request, "method");
	params = cJSON_GetObjectItemCaseSensitive(request, "params");
	id = cJSON_GetObjectItemCaseSensitive(request, "id");
	if (id != NULL && !id_valid(id)) {
		return "id: must be a string, null, or a number within 2^53";
	}
	if (!cJSON_IsString(version) || strcmp(version->valuestring, "2.0") != 0) {
		return "jsonrpc: must be \"2.0\"";
	}
	if (!cJSON_IsString(method)) {
		return method == NULL ? "method: missing" : "method: must be a string";
	}
	if (params != NULL && !cJSON_IsObject(params) && !cJSON_IsArray(params)) {
		return "params: must be an object";
	}
	return NULL;
}

static void
dispatch(struct connection *conn, struct batch *batch, struct cJSON *request)
{
	const char *wrong = request_check(request);
	struct cJSON *id = NULL;
	struct call *call;

	if (cJSON_IsObject(request)) {
		id = cJSON_GetObjectItemCaseSensitive(request, "id");
	}
	if (wrong != NULL) {
		refuse(conn, batch, id != NULL && id_valid(id) ? id : NULL, wrong);
		return;
	}
	call = malloc(sizeof(*call));
	if (call == NULL) {
		refuse(conn, batch, id, "out of memory");
		return;
	}
	*call = (struct call){ conn, batch, NULL };
	if (id != NULL) {
		call->id = cJSON_DetachItemViaPointer(request, id);
	}
	conn->call_count++;
	jsonrpc_call(cJSON_GetObjectItemCaseSensitive(request, "method")->valuestring,
		     cJSON_GetObjectItemCaseSensitive(request, "params"), call_done, call);
}

static void
dispatch_batch(struct connection *conn, struct cJSON *requests)
{
	struct cJSON *request, *next;
	int count = cJSON_GetArraySize(requests);
	struct batch *batch;

	if (count == 0) {
		refuse(conn, NULL, NULL, "an empty batch");
		return;
	}
	if (count > BATCH_MAX_COUNT) {
		refuse(conn, NULL, NULL, "a batch of more than 4096 requests; send it in parts");
		return;
	}
	batch = malloc(sizeof(*batch));
	if (batch != NULL) {
		*batch = (struct batch){ conn, cJSON_CreateArray(), (uint32_t)count };
	}
	if (batch == NULL || batch->answers == NULL) {
		free(batch);
		refuse(conn, NULL, NULL, "out of memory");
		return;
	}
	for (request = requests->child; request != NULL; request = next) {
		next = request->next;
		dispatch(conn, batch, request);
	}
}

void
message_send_error(struct connection *conn, int code, const char *message)
{
	struct jsonrpc_outcome outcome = { .code = code, .message = message };

	deliver(conn, NULL, answer_create(NULL, &outcome));
}

static void
send_parse_error(struct connection *conn, const struct tarn_json_error *error)
{
	char message[256];

	snprintf(message, sizeof(message), "not JSON: line %u, column %u: %s", error->line,
		 error->column, error->text);
	message_send_error(conn, TARN_RPC_PARSE_ERROR, message);
}

void
message_refuse(struct connection *conn, const char *text, size_t text_bytes)
{
	struct tarn_json_error error = { 0 };

	if (jsonrpc_strict(text, text_bytes, &error) == -EINVAL) {
		send_parse_error(conn, &error);
	} else {
		message_send_error(conn, TARN_RPC_INVALID_REQUEST,
				   "a request must be an object, or an array of them");
	}
}

bool
message_handle(struct connection *conn, const char *text, size_t text_bytes)
{
	struct tarn_json_error error;
	struct cJSON *json;
	int rc = tarn_json_parse(text, text_bytes, &json, &error);

	if (rc == -EINVAL) {
		send_parse_error(conn, &error);
		return false;
	}
	if (rc != 0) {
		message_send_error(conn, TARN_RPC_INTERNAL_ERROR, "out of memory");
		return true;
	}
	if (cJSON_IsArray(json)) {
		dispatch_batch(conn, json);
	} else {
		dispatch(conn, NULL, json);
	}
	cJSON_Delete(json);
	return true;
}
