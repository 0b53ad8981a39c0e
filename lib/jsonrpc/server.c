/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/jsonrpc/connection.h"
#include "tarn/log.h"
#include "tarn/rpc.h"
#include "tarn/util.h"

/*
 * Accepts clients within their number, and once a second looks for those that do not read.
 */
#define ACCEPTS_PER_TURN 32
#define TICK_US 1000000

static const struct tarn_rpc_server_opts default_opts = {
	.path = TARN_RPC_SOCKET_DEFAULT,
	.connection_max = 512,
	.request_max = 256,
	.request_max_bytes = 32u << 20,
	.output_max_bytes = 4u << 20,
	.output_stalled_s = 60,
};

static void
resume_accept(struct tarn_rpc_server *server)
{
	if (server->accept_paused) {
		server->accept_paused = false;
		tarn_fd_watch_modify(server->watch, EPOLLIN);
	}
}

void
server_forget(struct tarn_rpc_server *server, struct connection *conn)
{
	TAILQ_REMOVE(&server->connections, conn, link);
	server->stats.connection_count--;
	resume_accept(server);
}

/* It gets an answer if its socket takes one at once, as a fresh one does. */
static void
turn_away(struct tarn_rpc_server *server, int fd)
{
	static const char answer[] =
	    "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-11,\"message\":"
	    "\"too many connections; close some and try again\"}}\n";
	ssize_t sent = send(fd, answer, sizeof(answer) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);

	(void)sent; /* best effort: it is refused in any case */
	close(fd);
	server->stats.refused_count++;
}

static void
accept_failed(struct tarn_rpc_server *server, int error)
{
	if (error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM) {
		tarn_warning("RPC server %s: cannot accept a connection: %s", server->socket.path,
			     strerror(error));
		server->accept_paused = true;
		tarn_fd_watch_modify(server->watch, 0);
	}
}

static void
listener_ready(void *arg, uint32_t epoll_events)
{
	struct tarn_rpc_server *server = arg;

	(void)epoll_events;
	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		int fd = accept4(server->socket.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0) {
			accept_failed(server, errno);
			return;
		}
		if (server->stats.connection_count >= server->opts.connection_max ||
		    connection_start(server, fd) != 0) {
			turn_away(server, fd);
			continue;
		}
		server->stats.connection_count++;
		server->stats.accepted_count++;
	}
}

static bool
is_stalled(const struct connection *conn, uint64_t now_ns)
{
	uint64_t limit_ns = conn->limits.output_stalled_s * UINT64_C(1000000000);

	return conn->out.used > conn->out.start && now_ns - conn->progress_ns > limit_ns;
}

static int
tick(void *arg)
{
	struct tarn_rpc_server *server = arg;
	uint64_t now_ns = tarn_reactor_turn_ns();
	struct connection *conn, *next;
	int cut_count = 0;

	resume_accept(server);
	TARN_TAILQ_FOREACH_SAFE (conn, &server->connections, link, next) {
		if (is_stalled(conn, now_ns)) {
			connection_cut(conn);
			cut_count++;
		}
	}
	return cut_count;
}

static uint64_t
tick_may_sleep_ns(void *arg)
{
	struct tarn_rpc_server *server = arg;
	struct connection *conn;

	TAILQ_FOREACH (conn, &server->connections, link) {
		if (conn->out.used > conn->out.start) {
			return TICK_US * UINT64_C(1000);
		}
	}
	return server->accept_paused ? TICK_US * UINT64_C(1000) : TARN_SLEEP_ANY;
}

static void
fill_opts(struct tarn_rpc_server_opts *opts, const struct tarn_rpc_server_opts *given)
{
	*opts = default_opts;
	if (given == NULL) {
		return;
	}
	opts->path = given->path != NULL ? given->path : opts->path;
	opts->connection_max =
	    given->connection_max != 0 ? given->connection_max : opts->connection_max;
	opts->request_max = given->request_max != 0 ? given->request_max : opts->request_max;
	opts->request_max_bytes =
	    given->request_max_bytes != 0 ? given->request_max_bytes : opts->request_max_bytes;
	opts->output_max_bytes =
	    given->output_max_bytes != 0 ? given->output_max_bytes : opts->output_max_bytes;
	opts->output_stalled_s =
	    given->output_stalled_s != 0 ? given->output_stalled_s : opts->output_stalled_s;
}

int
tarn_rpc_server_start(const struct tarn_rpc_server_opts *opts, struct tarn_rpc_server **ret_server,
		      struct tarn_reason *ret_reason)
{
	struct tarn_rpc_server *server = calloc(1, sizeof(*server));
	struct tarn_poller_opts ticker = {
		.name = "rpc_server",
		.fn = tick,
		.arg = server,
		.period_us = TICK_US,
		.may_sleep_ns = tick_may_sleep_ns,
	};
	int rc;

	tarn_assert(tarn_on_control_reactor());
	if (server == NULL) {
		return tarn_reason_set(ret_reason, -ENOMEM, "RPC server: out of memory");
	}
	TAILQ_INIT(&server->connections);
	fill_opts(&server->opts, opts);
	rc = listen_socket_open(&server->socket, server->opts.path, ret_reason);
	if (rc != 0) {
		goto free_server;
	}
	server->opts.path = server->socket.path;
	server->ticker = tarn_poller_register(&ticker);
	rc = server->ticker != NULL ? tarn_fd_watch_add(server->socket.fd, EPOLLIN, listener_ready,
							server, &server->watch)
				    : -ENOMEM;
	if (rc != 0) {
		tarn_reason_set(ret_reason, rc, "RPC server: cannot watch the socket: %s",
				strerror(-rc));
		goto close_socket;
	}
	*ret_server = server;
	return 0;

close_socket:
	tarn_poller_unregister(&server->ticker);
	listen_socket_close(&server->socket);
free_server:
	free(server);
	return rc;
}

void
tarn_rpc_server_stop(struct tarn_rpc_server **server_ptr)
{
	struct tarn_rpc_server *server = *server_ptr;

	if (server == NULL) {
		return;
	}
	tarn_assert(tarn_on_control_reactor());
	*server_ptr = NULL;
	tarn_fd_watch_remove(&server->watch);
	tarn_poller_unregister(&server->ticker);
	server->accept_paused = false;
	while (!TAILQ_EMPTY(&server->connections)) {
		connection_cut(TAILQ_FIRST(&server->connections));
	}
	listen_socket_close(&server->socket);
	free(server);
}

void
tarn_rpc_server_get_stats(const struct tarn_rpc_server *server,
			  struct tarn_rpc_server_stats *ret_stats)
{
	const struct connection *conn;

	*ret_stats = server->stats;
	TAILQ_FOREACH (conn, &server->connections, link) {
		ret_stats->request_count += conn->call_count;
	}
}
