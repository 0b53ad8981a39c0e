/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tarn/jsonrpc.h"
#include "tarn/rpc.h"
#include "test/unit/common/ut.h"

/*
 * Methods of all kinds, and a server on a reactor turned by hand, by the fake clock: what a client
 * sent before a turn is there in that turn, whatever the speed.
 */
struct cJSON;

enum color { RED, GREEN = 5 };

struct item_params {
	char *key;
	uint32_t weight;
};
struct inner_params {
	uint32_t depth;
	bool depth_auto;
};
/* Every type once. */
struct types_params {
	bool flag, buffered, depth_given;
	uint32_t u32, pow2;
	int32_t i32;
	uint64_t u64, size;
	int64_t i64;
	double ratio;
	char *text;
	enum color color;
	int mode;
	struct tarn_rpc_bytes bytes;
	struct tarn_rpc_strings strings;
	struct tarn_rpc_objects items;
	struct cJSON *any;
	struct inner_params inner;
	bool force;
};
extern const struct tarn_rpc_fields *const ut_types_fields;

/* Calls of "later", which are answered by ut_answer_later(). */
extern uint32_t ut_later_count;
/** Answer the last of them. */
void ut_answer_later(void);
/* Calls of "nothing". */
extern uint32_t ut_nothing_count;

/* --- Server --- */

#define UT_SOCKET "ut_rpc.sock"
extern struct tarn_rpc_server *ut_server;
extern char ut_folder[64]; /* a fresh one, of each test */
/** Reactor, clock, folder and server, for UT_SUITE(). */
void ut_server_setup(void);
void ut_server_teardown(void);
/** Start the server again, with these options. */
void ut_server_restart(const struct tarn_rpc_server_opts *opts);
/** Path of a file in ut_folder; valid until called again. */
const char *ut_path(const char *name);

/** One turn, a millisecond later. */
void ut_turn(void);
void ut_turns(uint32_t count);

/** Connect a client; nonblocking. */
int ut_connect(void);
/** Send all of it, turning the server as its buffers fill. \return whether the server took it. */
bool ut_send(int fd, const char *data, size_t data_bytes);
bool ut_send_text(int fd, const char *text);
/**
 * Read until the server has nothing more to say. \return what it said; valid until called again.
 */
const char *ut_receive(int fd);
/** Send a text and say what came back. */
const char *ut_exchange(int fd, const char *text);
/** \return whether the server has closed this connection. */
bool ut_is_closed(int fd);
uint32_t ut_connection_count(void);
