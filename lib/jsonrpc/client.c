/* SPDX-License-Identifier: BSD-3-Clause */
#include <cjson/cJSON.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "lib/jsonrpc/internal.h"
#include "tarn/jsonrpc.h"
#include "tarn/util.h"

/*
 * A blocking client, one call at a time. Answers are held to the same strict form as requests.
 */
#define READ_BYTES (64u * 1024)
#define ANSWER_MAX_BYTES (256u << 20)
#define CONNECT_PAUSE_NS 20000000

struct tarn_rpc_client {
	int fd;
	uint32_t timeout_ms;
	uint64_t next_id;
	char *data; /* read and not yet used */
	size_t used, room;
	char path[108];
};

static int64_t
now_ms(void)
{
	struct timespec ts;

	/* Not the daemon's clock: a client may live in a process without one. */
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Deadlines are times of now_ms(); INT64_MAX: none. */
static int64_t
deadline_of(uint32_t timeout_ms)
{
	return timeout_ms != 0 ? now_ms() + timeout_ms : INT64_MAX;
}

static int
wait_for(int fd, short events, int64_t deadline_ms)
{
	for (;;) {
		struct pollfd pfd = { .fd = fd, .events = events };
		int64_t left_ms = deadline_ms == INT64_MAX ? -1 : deadline_ms - now_ms();
		int rc;

		if (deadline_ms != INT64_MAX && left_ms <= 0) {
			return -ETIMEDOUT;
		}
		rc = poll(&pfd, 1, (int)left_ms);
		if (rc > 0) {
			return 0;
		}
		if (rc < 0 && errno != EINTR) {
			return -errno;
		}
	}
}

static int
connect_once(const struct sockaddr_un *address, int *ret_fd)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int status;

	if (fd < 0) {
		return -errno;
	}
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) != 0) {
		status = -errno;
		close(fd);
		return status;
	}
	*ret_fd = fd;
	return 0;
}

static int
connect_until(const struct sockaddr_un *address, int64_t deadline_ms, int *ret_fd)
{
	const struct timespec pause = { .tv_nsec = CONNECT_PAUSE_NS };

	for (;;) {
		int rc = connect_once(address, ret_fd);

		if (rc != -ENOENT && rc != -ECONNREFUSED && rc != -EAGAIN) {
			return rc;
		}
		if (deadline_ms == INT64_MAX || now_ms() >= deadline_ms) {
			return rc;
		}
		nanosleep(&pause, NULL);
	}
}

int
tarn_rpc_client_connect(const char *path, uint32_t timeout_ms, struct tarn_rpc_client **ret_client,
			struct tarn_reason *ret_reason)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct tarn_rpc_client *client;
	int fd = -1;
	int rc = tarn_strcpy(address.sun_path, sizeof(address.sun_path), path);

	rc = rc == 0 ? connect_until(&address, deadline_of(timeout_ms), &fd) : rc;
	if (rc == -ENOENT || rc == -ECONNREFUSED) {
		return tarn_reason_set(ret_reason, rc, "no server at %s", path);
	}
	if (rc != 0) {
		return tarn_reason_set(ret_reason, rc, "cannot connect to %s: %s", path,
				       strerror(-rc));
	}
	client = calloc(1, sizeof(*client));
	if (client == NULL) {
		close(fd);
		return tarn_reason_set(ret_reason, -ENOMEM, "out of memory");
	}
	client->fd = fd;
	client->timeout_ms = timeout_ms;
	tarn_strcpy(client->path, sizeof(client->path), path);
	*ret_client = client;
	return 0;
}

void
tarn_rpc_client_close(struct tarn_rpc_client **client)
{
	if (*client != NULL) {
		close((*client)->fd);
		free((*client)->data);
		free(*client);
		*client = NULL;
	}
}

static char *
request_text(const char *method, const struct cJSON *params, uint64_t id)
{
	struct cJSON *request = cJSON_CreateObject();
	char *text = NULL;
	int rc = jsonrpc_add(request, "jsonrpc", cJSON_CreateString("2.0"));

	rc = tarn_json_add_u64(request, "id", id) != 0 ? -ENOMEM : rc;
	rc = jsonrpc_add(request, "method", cJSON_CreateString(method)) != 0 ? -ENOMEM : rc;
	if (params != NULL) {
		rc = jsonrpc_add(request, "params", cJSON_Duplicate(params, true)) != 0 ? -ENOMEM
											: rc;
	}
	if (rc == 0) {
		text = tarn_json_print(request, false);
	}
	cJSON_Delete(request);
	return text;
}

static int
send_all(struct tarn_rpc_client *client, const char *text, int64_t deadline_ms)
{
	size_t length = strlen(text), sent = 0;

	while (sent < length) {
		ssize_t rc =
		    send(client->fd, text + sent, length - sent, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (rc >= 0) {
			sent += (size_t)rc;
		} else if (errno == EAGAIN) {
			int waited = wait_for(client->fd, POLLOUT, deadline_ms);

			if (waited != 0) {
				return waited;
			}
		} else if (errno == EPIPE || errno == ECONNRESET) {
			return 0; /* the server may have said why before it hung up: read that */
		} else if (errno != EINTR) {
			return -errno;
		}
	}
	return 0;
}

static int
read_more(struct tarn_rpc_client *client, int64_t deadline_ms)
{
	ssize_t got;
	int rc = wait_for(client->fd, POLLIN, deadline_ms);

	if (rc != 0) {
		return rc;
	}
	if (client->room - client->used < READ_BYTES) {
		size_t room = client->room == 0 ? READ_BYTES : client->room * 2;
		char *data = room <= ANSWER_MAX_BYTES ? realloc(client->data, room) : NULL;

		if (data == NULL) {
			return -ENOMEM;
		}
		client->data = data;
		client->room = room;
	}
	got = recv(client->fd, client->data + client->used, client->room - client->used, 0);
	if (got < 0) {
		return errno == EINTR ? 0 : -errno;
	}
	client->used += (size_t)got;
	return got > 0 ? 0 : -ECONNRESET;
}

/* Read the next whole text. */
static int
next_text(struct tarn_rpc_client *client, int64_t deadline_ms, struct cJSON **ret_json)
{
	struct tarn_json_framer framer = { 0 };
	size_t framed = 0;
	bool done = false;
	int rc;

	for (;;) {
		int64_t bytes = 0;

		if (framed < client->used) {
			bytes = tarn_json_frame(&framer, client->data + framed,
						client->used - framed, &done);
		}
		if (bytes < 0) {
			return -EBADMSG;
		}
		framed += (size_t)bytes;
		if (done) {
			break;
		}
		rc = read_more(client, deadline_ms);
		if (rc != 0) {
			return rc;
		}
	}
	rc = tarn_json_parse(client->data, framed, ret_json, NULL);
	client->used -= framed;
	memmove(client->data, client->data + framed, client->used);
	return rc == -EINVAL ? -EBADMSG : rc;
}

static int
take_answer(struct cJSON *json, struct tarn_rpc_answer *ret_answer)
{
	const struct cJSON *error = cJSON_GetObjectItemCaseSensitive(json, "error");
	const struct cJSON *code = cJSON_GetObjectItemCaseSensitive(error, "code");
	const struct cJSON *message = cJSON_GetObjectItemCaseSensitive(error, "message");
	struct tarn_rpc_answer answer = { 0 };

	if (error == NULL) {
		answer.result = cJSON_DetachItemFromObjectCaseSensitive(json, "result");
		if (answer.result == NULL) {
			return -EBADMSG;
		}
	} else {
		if (!cJSON_IsNumber(code) || code->valueint == 0 || !cJSON_IsString(message)) {
			return -EBADMSG;
		}
		answer.code = code->valueint;
		answer.message = strdup(message->valuestring);
		if (answer.message == NULL) {
			return -ENOMEM;
		}
	}
	*ret_answer = answer;
	return 0;
}

/* Answers without an id are the server's own: it could not read the request, or has no room. */
static bool
answers(const struct cJSON *json, uint64_t id)
{
	const struct cJSON *got = cJSON_GetObjectItemCaseSensitive(json, "id");

	return cJSON_IsNull(got) || (cJSON_IsNumber(got) && got->valuedouble == (double)id);
}

static int
call(struct tarn_rpc_client *client, const char *text, uint64_t id,
     struct tarn_rpc_answer *ret_answer)
{
	int64_t deadline_ms = deadline_of(client->timeout_ms);
	struct cJSON *json = NULL;
	int rc = send_all(client, text, deadline_ms);

	rc = rc == 0 ? next_text(client, deadline_ms, &json) : rc;
	if (rc == 0) {
		rc = cJSON_IsObject(json) && answers(json, id) ? take_answer(json, ret_answer)
							       : -EBADMSG;
	}
	cJSON_Delete(json);
	return rc;
}

int
tarn_rpc_client_call(struct tarn_rpc_client *client, const char *method, const struct cJSON *params,
		     struct tarn_rpc_answer *ret_answer, struct tarn_reason *ret_reason)
{
	uint64_t id = ++client->next_id;
	char *text = request_text(method, params, id);
	int rc = text != NULL ? call(client, text, id, ret_answer) : -ENOMEM;

	free(text);
	if (rc == -ETIMEDOUT) {
		return tarn_reason_set(ret_reason, rc, "%s: no answer from %s within %u ms", method,
				       client->path, client->timeout_ms);
	}
	if (rc == -ECONNRESET) {
		return tarn_reason_set(ret_reason, rc, "%s: the server at %s ended the connection",
				       method, client->path);
	}
	if (rc != 0) {
		return tarn_reason_set(ret_reason, rc, "%s: %s: %s", method, client->path,
				       strerror(-rc));
	}
	return 0;
}

void
tarn_rpc_answer_free(struct tarn_rpc_answer *answer)
{
	cJSON_Delete(answer->result);
	free(answer->message);
	*answer = (struct tarn_rpc_answer){ 0 };
}
