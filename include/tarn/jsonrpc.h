/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "tarn/reason.h"

/*
 * JSON-RPC 2.0 over a unix stream socket: the server on the control reactor, and a blocking client.
 * Texts follow each other without framing, as SPDK's clients send them. rpc.h says how methods are
 * written.
 */
struct cJSON;
struct tarn_rpc_server; /* Opaque. */
struct tarn_rpc_client; /* Opaque. */

#define TARN_RPC_SOCKET_DEFAULT "/var/tmp/tarn.sock"

/* --- Server. Control reactor only. --- */

struct tarn_rpc_server_opts {
	const char *path;	 /* of the socket; NULL: TARN_RPC_SOCKET_DEFAULT */
	uint32_t connection_max; /* the next one is told so and closed; 0: 512 */
	uint32_t request_max;	 /* in flight per connection; reading pauses beyond; 0: 256 */
	size_t
	    request_max_bytes; /* of one request or batch; longer ends the connection; 0: 32 MiB */
	size_t output_max_bytes;   /* unread answers; reading pauses beyond; 0: 4 MiB */
	uint32_t output_stalled_s; /* a client that reads nothing for so long is cut off; 0: 60 */
};

/**
 * Create the socket, with mode 0600 from its first moment, and serve it. A socket that no process
 * serves any more is replaced. opts is copied.
 * \param ret_reason  may be NULL; on failure what failed, and what to do.
 * \return 0, -EADDRINUSE (served by a live process), -EEXIST (there is something that is no
 * socket), -ENAMETOOLONG, -ENOENT (no such folder), -EACCES, -ENOMEM or what else the system said.
 */
int tarn_rpc_server_start(const struct tarn_rpc_server_opts *opts,
			  struct tarn_rpc_server **ret_server, struct tarn_reason *ret_reason);
/**
 * Close every connection, after one attempt to send what is ready, and remove the socket. Requests
 * that are still owed an answer stay valid, and their answers go nowhere. NULL is ignored; sets
 * *server to NULL.
 */
void tarn_rpc_server_stop(struct tarn_rpc_server **server);

struct tarn_rpc_server_stats {
	uint32_t connection_count, request_count; /* now */
	uint64_t accepted_count, refused_count;	  /* connections */
	uint64_t served_count;			  /* requests answered, notifications included */
	uint64_t broken_count; /* connections ended by us: unparsable, too long, stalled */
};
void tarn_rpc_server_get_stats(const struct tarn_rpc_server *server,
			       struct tarn_rpc_server_stats *ret_stats);

/* --- Client. Any thread, one at a time; blocks. --- */

/**
 * Connect to a server.
 * \param timeout_ms  for each call, and for connecting (tried again while nobody listens); 0: no
 *                    limit, and a single attempt to connect.
 * \return 0, or -errno with *ret_reason (may be NULL): -ENOENT or -ECONNREFUSED when no server is
 * there.
 */
int tarn_rpc_client_connect(const char *path, uint32_t timeout_ms,
			    struct tarn_rpc_client **ret_client, struct tarn_reason *ret_reason);
/** NULL is ignored. Sets *client to NULL. */
void tarn_rpc_client_close(struct tarn_rpc_client **client);

struct tarn_rpc_answer {
	int code;	      /* 0, or that of the error */
	struct cJSON *result; /* when code is 0 */
	char *message;	      /* when it is not */
};
/**
 * Call a method and wait for its answer. params (may be NULL) stays the caller's.
 * \return 0 with *ret_answer (whatever it says; end it with tarn_rpc_answer_free()), or -errno with
 * *ret_reason: -ETIMEDOUT, -ECONNRESET (the server went away), -EBADMSG (what came is no answer),
 * -ENOMEM. After a failure the client can only be closed.
 */
int tarn_rpc_client_call(struct tarn_rpc_client *client, const char *method,
			 const struct cJSON *params, struct tarn_rpc_answer *ret_answer,
			 struct tarn_reason *ret_reason);
void tarn_rpc_answer_free(struct tarn_rpc_answer *answer);
