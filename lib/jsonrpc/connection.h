/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "tarn/json.h"
#include "tarn/jsonrpc.h"
#include "tarn/reactor.h"

/*
 * The server's inner parts: server.c accepts, connection.c moves bytes, message.c makes calls of
 * texts and texts of answers, socket.c knows about paths.
 */
struct cJSON;
struct connection;

/* --- socket.c --- */

/* A listening socket and what is needed to take it away again. */
struct listen_socket {
	int fd;
	int lock_fd; /* holds the lock on PATH.lock: two daemons never take over one path */
	uint64_t device, inode;
	char path[108];
	char lock_path[108 + 8];
};
int listen_socket_open(struct listen_socket *socket, const char *path,
		       struct tarn_reason *ret_reason);
void listen_socket_close(struct listen_socket *socket);

/* --- server.c --- */

struct tarn_rpc_server {
	struct listen_socket socket;
	struct tarn_rpc_server_opts opts; /* with every default filled in */
	struct tarn_rpc_server_stats stats;
	struct tarn_fd_watch *watch;
	struct tarn_poller *ticker;
	bool accept_paused; /* for want of fds, until a connection closes or the next tick */
	TAILQ_HEAD(, connection) connections;
};
/** A connection's socket was closed. */
void server_forget(struct tarn_rpc_server *server, struct connection *conn);

/* --- connection.c --- */

struct byte_queue {
	char *data;
	size_t start, used, room; /* what is queued lies in [start, used) */
};

/*
 * One client. It outlives its socket for as long as calls are owed an answer, and its server too.
 *
 * open -- peer gone, stalled, server stops: close_socket() --> closed -- no call left --> freed
 */
struct connection {
	struct tarn_rpc_server *server; /* NULL once closed */
	TAILQ_ENTRY(connection) link;
	int fd; /* -1 once closed */
	struct tarn_fd_watch *watch;
	struct tarn_rpc_server_opts limits;
	struct byte_queue in, out;
	size_t framed; /* of in: how far the framer has seen it */
	struct tarn_json_framer framer;
	uint32_t call_count; /* owed an answer */
	bool eof;	     /* the client sends no more */
	bool broken;	     /* nothing more is read from it; closed when its answers are out */
	bool running;
	bool msg_sent;
	struct tarn_msg msg;
	uint64_t progress_ns; /* when output was last taken, or queue became non-empty */
};
/** Serve an accepted socket. Takes fd over, on success only. \return 0 or -errno. */
int connection_start(struct tarn_rpc_server *server, int fd);
/**
 * Cut it off: after a last attempt to send, nothing more is read or sent. It may be freed by this.
 */
void connection_cut(struct connection *conn);
/** Queue an answer. The tree stays the caller's. */
void connection_send(struct connection *conn, struct cJSON *json);
/** A call of it was answered. It may be freed by this. */
void connection_call_done(struct connection *conn);

/* --- message.c --- */

/**
 * Carry out one text: a request, a notification or a batch. \return false: it was no JSON, and is
 * answered so.
 */
bool message_handle(struct connection *conn, const char *text, size_t text_bytes);
/** Send an error that belongs to no request. */
void message_send_error(struct connection *conn, int code, const char *message);
/** Answer bytes that are no JSON, or the start of a text that cannot become any. */
void message_refuse(struct connection *conn, const char *text, size_t text_bytes);
