/* SPDX-License-Identifier: BSD-3-Clause */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/jsonrpc/connection.h"
#include "lib/jsonrpc/internal.h"
#include "tarn/util.h"

/*
 * Bytes of one client. Everything happens in run(): take whole texts out of what was read, carry
 * them out, send what is ready, then decide what to wait for. run() is called when the socket is
 * ready and, by a message, after an answer that came from elsewhere, so that it never nests.
 *
 * Reading pauses while too many calls are in flight or too much output waits: the socket's own
 * buffer then holds the client back.
 */
#define READ_BYTES (64u * 1024)
#define KEPT_ROOM_BYTES (256u * 1024) /* an empty queue keeps no more than this */
#define TEXTS_PER_RUN 64	      /* others of the reactor want their turn too */

static size_t
queue_length(const struct byte_queue *queue)
{
	return queue->used - queue->start;
}

/* Make room for so many more bytes behind what is queued. */
static int
queue_reserve(struct byte_queue *queue, size_t bytes)
{
	size_t length = queue_length(queue), room = queue->room;
	char *data;

	if (queue->room - queue->used >= bytes) {
		return 0;
	}
	if (queue->start > 0) {
		memmove(queue->data, queue->data + queue->start, length);
		queue->start = 0;
		queue->used = length;
	}
	while (room - length < bytes) {
		room = room == 0 ? READ_BYTES : room * 2;
	}
	if (room == queue->room) {
		return 0;
	}
	data = realloc(queue->data, room);
	if (data == NULL) {
		return -ENOMEM;
	}
	queue->data = data;
	queue->room = room;
	return 0;
}

static void
queue_consume(struct byte_queue *queue, size_t bytes)
{
	queue->start += bytes;
	if (queue->start < queue->used) {
		return;
	}
	queue->start = queue->used = 0;
	if (queue->room > KEPT_ROOM_BYTES) {
		free(queue->data);
		queue->data = NULL;
		queue->room = 0;
	}
}

static void
close_socket(struct connection *conn)
{
	struct tarn_rpc_server *server = conn->server;

	if (conn->fd < 0) {
		return;
	}
	tarn_fd_watch_remove(&conn->watch);
	close(conn->fd);
	conn->fd = -1;
	conn->eof = true;
	conn->server = NULL;
	queue_consume(&conn->out, queue_length(&conn->out));
	server_forget(server, conn);
}

static void
break_off(struct connection *conn)
{
	conn->broken = true;
	queue_consume(&conn->in, queue_length(&conn->in));
	conn->framed = 0;
	if (conn->server != NULL) {
		conn->server->stats.broken_count++;
	}
}

static bool
is_paused(const struct connection *conn)
{
	return conn->call_count >= conn->limits.request_max ||
	       queue_length(&conn->out) >= conn->limits.output_max_bytes;
}

/* --- Input --- */

static void
read_input(struct connection *conn)
{
	ssize_t got;

	if (conn->fd < 0 || conn->eof || conn->broken || is_paused(conn)) {
		return;
	}
	if (queue_reserve(&conn->in, READ_BYTES) != 0) {
		message_send_error(conn, TARN_RPC_INTERNAL_ERROR, "out of memory");
		break_off(conn);
		return;
	}
	got = recv(conn->fd, conn->in.data + conn->in.used, READ_BYTES, 0);
	if (got > 0) {
		conn->in.used += (size_t)got;
	} else if (got == 0) {
		conn->eof = true;
	} else if (errno != EAGAIN && errno != EINTR) {
		close_socket(conn);
	}
}

/* What is left when the client sends no more and no text ends in it. */
static void
refuse_rest(struct connection *conn)
{
	if (conn->framer.started || conn->framer.in_string) {
		message_refuse(conn, conn->in.data + conn->in.start, queue_length(&conn->in));
		break_off(conn);
	}
	queue_consume(&conn->in, queue_length(&conn->in));
	conn->framed = 0;
}

static void
refuse_long(struct connection *conn)
{
	char message[80];

	snprintf(message, sizeof(message), "request of more than %zu bytes",
		 conn->limits.request_max_bytes);
	message_send_error(conn, TARN_RPC_INVALID_REQUEST, message);
}

/* Carry out the next whole text. \return whether there was one. */
static bool
take_text(struct connection *conn)
{
	struct byte_queue *in = &conn->in;
	const char *text = in->data + in->start;
	size_t length = queue_length(in);
	bool done;
	int64_t rc;

	if (length == 0) {
		return false;
	}
	rc = tarn_json_frame(&conn->framer, text + conn->framed, length - conn->framed, &done);
	if (rc < 0) {
		message_refuse(conn, text, length);
		break_off(conn);
		return false;
	}
	conn->framed += (size_t)rc;
	if (conn->framed > conn->limits.request_max_bytes) {
		refuse_long(conn);
		break_off(conn);
		return false;
	}
	if (!done) {
		if (!conn->framer.started) {
			queue_consume(in, conn->framed); /* white space between texts */
			conn->framed = 0;
		}
		return false;
	}
	if (!message_handle(conn, text, conn->framed)) {
		break_off(conn);
		return false;
	}
	queue_consume(in, conn->framed);
	conn->framed = 0;
	return true;
}

/* \return whether more texts may be waiting. */
static bool
take_texts(struct connection *conn)
{
	for (uint32_t i = 0; i < TEXTS_PER_RUN; i++) {
		if (conn->broken || is_paused(conn)) {
			return false; /* an answer or the client's reading brings us back */
		}
		if (!take_text(conn)) {
			if (conn->eof && !conn->broken) {
				refuse_rest(conn);
			}
			return false;
		}
	}
	return queue_length(&conn->in) > 0;
}

/* --- Output --- */

static void
write_output(struct connection *conn)
{
	while (conn->fd >= 0 && queue_length(&conn->out) > 0) {
		ssize_t sent = send(conn->fd, conn->out.data + conn->out.start,
				    queue_length(&conn->out), MSG_NOSIGNAL | MSG_DONTWAIT);

		if (sent < 0) {
			if (errno != EAGAIN && errno != EINTR) {
				close_socket(conn);
			}
			return;
		}
		conn->progress_ns = tarn_reactor_turn_ns();
		queue_consume(&conn->out, (size_t)sent);
	}
}

static void
append_output(struct connection *conn, const char *text)
{
	size_t length = strlen(text);

	if (queue_reserve(&conn->out, length + 1) != 0) {
		conn->broken = true; /* an answer is missing: the client must not wait for it */
		return;
	}
	if (queue_length(&conn->out) == 0) {
		conn->progress_ns = tarn_reactor_turn_ns();
	}
	memcpy(conn->out.data + conn->out.used, text, length);
	conn->out.data[conn->out.used + length] = '\n';
	conn->out.used += length + 1;
}

static void run_by_message(void *arg);

static void
run_soon(struct connection *conn)
{
	if (!conn->running && !conn->msg_sent) {
		conn->msg_sent = true;
		tarn_msg_send(tarn_reactor_self(), &conn->msg, run_by_message, conn);
	}
}

void
connection_send(struct connection *conn, struct cJSON *json)
{
	char *text;

	if (conn->fd < 0) {
		return;
	}
	text = tarn_json_print(json, false);
	if (text == NULL) {
		conn->broken = true;
	} else {
		append_output(conn, text);
	}
	free(text);
	run_soon(conn);
}

void
connection_call_done(struct connection *conn)
{
	tarn_assert(conn->call_count > 0);
	conn->call_count--;
	if (conn->server != NULL) {
		conn->server->stats.served_count++;
	}
	run_soon(conn);
}

/* --- Life --- */

static void
watch_socket(struct connection *conn)
{
	bool reads = !conn->eof && !conn->broken && !is_paused(conn);
	uint32_t events = (reads ? EPOLLIN : 0) | (queue_length(&conn->out) > 0 ? EPOLLOUT : 0);

	if (tarn_fd_watch_modify(conn->watch, events) != 0) {
		close_socket(conn);
	}
}

static void
settle(struct connection *conn, bool more)
{
	bool input_over;

	if (conn->fd < 0 && !more && !is_paused(conn)) {
		queue_consume(&conn->in,
			      queue_length(&conn->in)); /* the start of a text, at most */
		conn->framed = 0;
	}
	input_over = conn->broken || (conn->eof && queue_length(&conn->in) == 0);
	if (input_over && conn->call_count == 0 && queue_length(&conn->out) == 0) {
		close_socket(conn);
	}
	if (conn->fd >= 0) {
		watch_socket(conn);
	}
	if (more) {
		run_soon(conn);
	}
	/* A client may send, close and be gone: what it sent is still carried out. */
	if (conn->fd < 0 && input_over && conn->call_count == 0 && !conn->msg_sent) {
		free(conn->in.data);
		free(conn->out.data);
		free(conn);
	}
}

static void
run(struct connection *conn)
{
	bool more;

	if (conn->running) {
		return;
	}
	conn->running = true;
	do {
		more = take_texts(conn);
		write_output(conn);
		/* Output that the client took at once may have ended a pause. */
	} while (!more && !conn->broken && !is_paused(conn) &&
		 conn->framed < queue_length(&conn->in));
	conn->running = false;
	settle(conn, more);
}

static void
run_by_message(void *arg)
{
	struct connection *conn = arg;

	conn->msg_sent = false;
	run(conn);
}

static void
socket_ready(void *arg, uint32_t epoll_events)
{
	struct connection *conn = arg;

	read_input(conn);
	/*
	 * Both directions are closed: epoll would say so again and again, and nobody hears answers.
	 */
	if ((epoll_events & (EPOLLHUP | EPOLLERR)) != 0 &&
	    (conn->eof || conn->broken || is_paused(conn))) {
		close_socket(conn);
	}
	run(conn);
}

int
connection_start(struct tarn_rpc_server *server, int fd)
{
	struct connection *conn = calloc(1, sizeof(*conn));
	int rc;

	if (conn == NULL) {
		return -ENOMEM;
	}
	conn->server = server;
	conn->fd = fd;
	conn->limits = server->opts;
	rc = tarn_fd_watch_add(fd, EPOLLIN, socket_ready, conn, &conn->watch);
	if (rc != 0) {
		free(conn);
		return rc;
	}
	TAILQ_INSERT_TAIL(&server->connections, conn, link);
	return 0;
}

void
connection_cut(struct connection *conn)
{
	write_output(conn);
	if (!conn->broken) {
		break_off(conn);
	}
	close_socket(conn);
	if (!conn->running) {
		settle(conn, false);
	}
}
