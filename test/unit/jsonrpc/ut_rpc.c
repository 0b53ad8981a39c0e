/* SPDX-License-Identifier: BSD-3-Clause */
#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tarn/env.h"
#include "tarn/reactor.h"
#include "tarn/util.h"
#include "test/unit/jsonrpc/ut_rpc.h"

/* --- Methods --- */

static const struct tarn_rpc_name color_names[] = { { "red", RED },
						    { "green", GREEN },
						    { NULL, 0 } };
static const struct tarn_rpc_field item_list[] = {
	{ "key", TARN_RPC_STRING, TARN_RPC_AT(struct item_params, key), .required = true,
	  .help = "Key" },
	{ "weight", TARN_RPC_U32, TARN_RPC_AT(struct item_params, weight), .def = "1",
	  .help = "Weight" },
};
TARN_RPC_FIELDS(item_fields, struct item_params, item_list);
static const struct tarn_rpc_field inner_list[] = {
	{ "depth", TARN_RPC_U32, TARN_RPC_AT(struct inner_params, depth), .def = "32", .min = 1,
	  .max = 128, .word = "auto", .word_flag = TARN_RPC_FLAG(struct inner_params, depth_auto),
	  .help = "Depth" },
};
TARN_RPC_FIELDS(inner_fields, struct inner_params, inner_list);

#define AT(member) TARN_RPC_AT(struct types_params, member)
static const struct tarn_rpc_field types_list[] = {
	{ "flag", TARN_RPC_BOOL, AT(flag), .help = "A flag" },
	{ "direct", TARN_RPC_BOOL, AT(buffered), .def = "true", .invert = true,
	  .help = "Opposite" },
	{ "u32", TARN_RPC_U32, AT(u32), .given = TARN_RPC_FLAG(struct types_params, depth_given),
	  .help = "A number" },
	{ "pow2", TARN_RPC_U32, AT(pow2), .def = "4096", .min = 512, .max = 65536, .zero = true,
	  .pow2 = true, .alias = "power", .unit = "bytes", .help = "A power of two" },
	{ "i32", TARN_RPC_I32, AT(i32), .def = "-1", .help = "A number" },
	{ "u64", TARN_RPC_U64, AT(u64), .help = "A number" },
	{ "size", TARN_RPC_SIZE, AT(size), .help = "A size" },
	{ "i64", TARN_RPC_I64, AT(i64), .help = "A number" },
	{ "ratio", TARN_RPC_DOUBLE, AT(ratio), .def = "0.5", .max = 1, .help = "A share" },
	{ "text", TARN_RPC_STRING, AT(text), .min = 1, .max = 8, .help = "A text" },
	{ "color", TARN_RPC_ENUM, AT(color), .names = color_names, .help = "A color" },
	{ "mode", TARN_RPC_TRISTATE, AT(mode), .def = "\"auto\"", .help = "A mode" },
	{ "bytes", TARN_RPC_BYTES, AT(bytes), .help = "Bytes" },
	{ "strings", TARN_RPC_STRINGS, AT(strings), .max = 3, .help = "Strings" },
	{ "items", TARN_RPC_OBJECTS, AT(items), .fields = &item_fields, .help = "Items" },
	{ "any", TARN_RPC_JSON, AT(any), .help = "Anything" },
	{ NULL, TARN_RPC_GROUP, AT(inner), .fields = &inner_fields },
	{ "force", TARN_RPC_BOOL, AT(force), .secret = true, .help = "Force" },
	{ "nowait", TARN_RPC_INERT, .def = "false" },
	{ "legacy", TARN_RPC_INERT, .def = NULL },
};
TARN_RPC_FIELDS(types_fields, struct types_params, types_list);
const struct tarn_rpc_fields *const ut_types_fields = &types_fields;

static void
rpc_types(struct tarn_rpc_request *req, const struct cJSON *json)
{
	struct types_params params = { 0 };

	if (tarn_rpc_decode(req, json, &types_fields, &params) == 0) {
		tarn_rpc_reply(req, tarn_rpc_encode(&types_fields, &params, true));
	}
	tarn_rpc_params_free(&types_fields, &params);
}
TARN_RPC_METHOD("types", rpc_types, types_fields, "Give back what was given",
		.example = "{\"u32\": 3}", .alias = "all_types", .noun = "test")

struct echo_params {
	struct cJSON *value;
};
static const struct tarn_rpc_field echo_list[] = {
	{ "value", TARN_RPC_JSON, TARN_RPC_AT(struct echo_params, value), .required = true,
	  .help = "Any" },
};
TARN_RPC_FIELDS(echo_fields, struct echo_params, echo_list);

static void
rpc_echo(struct tarn_rpc_request *req, const struct cJSON *json)
{
	struct echo_params params = { 0 };

	if (tarn_rpc_decode(req, json, &echo_fields, &params) == 0) {
		tarn_rpc_reply(req, cJSON_Duplicate(params.value, true));
	}
	tarn_rpc_params_free(&echo_fields, &params);
}
TARN_RPC_METHOD("echo", rpc_echo, echo_fields, "Give back a value", .states = TARN_RPC_ALWAYS)

uint32_t ut_nothing_count;
static void
rpc_nothing(struct tarn_rpc_request *req, const struct cJSON *json)
{
	char none;

	if (tarn_rpc_decode(req, json, &tarn_rpc_no_fields, &none) == 0) {
		ut_nothing_count++;
		tarn_rpc_reply_true(req);
	}
}
TARN_RPC_METHOD("nothing", rpc_nothing, tarn_rpc_no_fields, "Do nothing")

#define LATER_MAX 1024
static struct tarn_rpc_request *later[LATER_MAX];
uint32_t ut_later_count;

static void
rpc_later(struct tarn_rpc_request *req, const struct cJSON *json)
{
	(void)json;
	CU_ASSERT_FATAL(ut_later_count < LATER_MAX);
	later[ut_later_count++] = req;
}
TARN_RPC_METHOD("later", rpc_later, tarn_rpc_no_fields, "Answer when the test says so")

void
ut_answer_later(void)
{
	CU_ASSERT_FATAL(ut_later_count > 0);
	ut_later_count--;
	tarn_rpc_reply(later[ut_later_count], tarn_json_u64(ut_later_count));
}

static void
rpc_fail(struct tarn_rpc_request *req, const struct cJSON *json)
{
	(void)json;
	tarn_rpc_fail(req, -EEXIST, "%s: \xff is there", tarn_rpc_method_name(req));
}
TARN_RPC_METHOD("fail", rpc_fail, tarn_rpc_no_fields, "Fail")

static void
rpc_big(struct tarn_rpc_request *req, const struct cJSON *json)
{
	size_t bytes = 1u << 20;
	char *text = malloc(bytes + 1);

	(void)json;
	CU_ASSERT_FATAL(text != NULL);
	memset(text, 'x', bytes);
	text[bytes] = '\0';
	tarn_rpc_reply_string(req, text);
	free(text);
}
TARN_RPC_METHOD("big", rpc_big, tarn_rpc_no_fields, "Answer with a MiB")
TARN_RPC_METHOD("early", rpc_nothing, tarn_rpc_no_fields, "Before start only",
		.states = TARN_RPC_STARTUP)

/* --- Server --- */

struct tarn_rpc_server *ut_server;
char ut_folder[64];

const char *
ut_path(const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", ut_folder, name);
	return path;
}

void
ut_server_restart(const struct tarn_rpc_server_opts *opts)
{
	struct tarn_rpc_server_opts with_path =
	    opts != NULL ? *opts : (struct tarn_rpc_server_opts){ 0 };
	struct tarn_reason reason = { "" };

	tarn_rpc_server_stop(&ut_server);
	with_path.path = ut_path(UT_SOCKET);
	CU_ASSERT_FATAL(tarn_rpc_server_start(&with_path, &ut_server, &reason) == 0);
}

void
ut_server_setup(void)
{
	struct tarn_reactor_opts opts = { .unpinned = true };

	CPU_ZERO(&opts.cpus);
	CPU_SET(0, &opts.cpus);
	tarn_fake_clock_start(UINT64_C(1000000000));
	CU_ASSERT_FATAL(tarn_reactors_init(&opts) == 0);
	tarn_reactor_turn(tarn_reactor_get(0));
	strcpy(ut_folder, "/tmp/tarn-ut-rpc-XXXXXX");
	CU_ASSERT_FATAL(mkdtemp(ut_folder) != NULL);
	ut_nothing_count = 0;
	ut_later_count = 0;
	ut_server_restart(NULL);
}

void
ut_server_teardown(void)
{
	while (ut_later_count > 0) {
		ut_answer_later();
	}
	tarn_rpc_server_stop(&ut_server);
	ut_turns(3);
	CU_ASSERT(rmdir(ut_folder) == 0); /* nothing is left in it */
	tarn_reactors_fini();
	tarn_fake_clock_stop();
}

void
ut_turn(void)
{
	tarn_fake_clock_advance(1000000);
	tarn_reactor_turn(tarn_reactor_get(0));
}

void
ut_turns(uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		ut_turn();
	}
}

int
ut_connect(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CU_ASSERT_FATAL(
	    tarn_strcpy(address.sun_path, sizeof(address.sun_path), ut_path(UT_SOCKET)) == 0);
	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_FATAL(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
	CU_ASSERT_FATAL(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
	ut_turns(2);
	return fd;
}

bool
ut_send(int fd, const char *data, size_t data_bytes)
{
	uint32_t idle_turns = 0;

	while (data_bytes > 0 && idle_turns < 100) {
		ssize_t sent = send(fd, data, data_bytes, MSG_NOSIGNAL);

		if (sent < 0 && errno != EAGAIN) {
			return false;
		}
		idle_turns = sent > 0 ? 0 : idle_turns + 1;
		data += sent > 0 ? sent : 0;
		data_bytes -= sent > 0 ? (size_t)sent : 0;
		ut_turn();
	}
	return data_bytes == 0;
}

bool
ut_send_text(int fd, const char *text)
{
	return ut_send(fd, text, strlen(text));
}

const char *
ut_receive(int fd)
{
	static char text[8u << 20];
	size_t used = 0;

	for (uint32_t idle_turns = 0; idle_turns < 10;) {
		ssize_t got = recv(fd, text + used, sizeof(text) - 1 - used, 0);

		used += got > 0 ? (size_t)got : 0;
		idle_turns = got > 0 ? 0 : idle_turns + 1;
		ut_turn();
	}
	text[used] = '\0';
	return text;
}

const char *
ut_exchange(int fd, const char *text)
{
	CU_ASSERT(ut_send_text(fd, text));
	return ut_receive(fd);
}

bool
ut_is_closed(int fd)
{
	struct pollfd pfd = { .fd = fd };

	ut_turns(3);
	return poll(&pfd, 1, 0) == 1 && (pfd.revents & POLLHUP) != 0;
}

uint32_t
ut_connection_count(void)
{
	struct tarn_rpc_server_stats stats;

	tarn_rpc_server_get_stats(ut_server, &stats);
	return stats.connection_count;
}
