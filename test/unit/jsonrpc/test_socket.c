/* SPDX-License-Identifier: BSD-3-Clause */
/* The socket's path: who may have it, and what a client is told. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tarn/util.h"
#include "test/unit/jsonrpc/ut_rpc.h"

static int
start_at(const char *path, struct tarn_rpc_server **ret_server, struct tarn_reason *reason)
{
	struct tarn_rpc_server_opts opts = { .path = path };

	reason->text[0] = '\0';
	return tarn_rpc_server_start(&opts, ret_server, reason);
}

static void
test_the_socket_is_for_its_owner_only(void)
{
	mode_t old_mask = umask(0);
	struct stat st;

	ut_server_restart(NULL);
	umask(old_mask);
	CU_ASSERT(stat(ut_path(UT_SOCKET), &st) == 0);
	CU_ASSERT((st.st_mode & 07777) == 0600);
}

static void
test_a_live_servers_socket_is_not_taken(void)
{
	struct tarn_rpc_server *second = NULL;
	struct tarn_reason reason;
	int fd = ut_connect();

	CU_ASSERT(start_at(ut_path(UT_SOCKET), &second, &reason) == -EADDRINUSE);
	CU_ASSERT(second == NULL);
	CU_ASSERT(strstr(reason.text, ut_path(UT_SOCKET)) != NULL);
	CU_ASSERT(strstr(reason.text, "running") != NULL);
	CU_ASSERT(strstr(ut_exchange(fd, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"nothing\"}"),
			 "true") != NULL);
	close(fd);
}

/* A socket file as other programs leave it. \return its fd. */
static int
bind_socket(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CU_ASSERT_FATAL(tarn_strcpy(address.sun_path, sizeof(address.sun_path), path) == 0);
	CU_ASSERT_FATAL(bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
	return fd;
}

static void
test_a_dead_servers_socket_is_replaced(void)
{
	struct tarn_rpc_server *second = NULL;
	struct tarn_reason reason;
	const char *path = ut_path("stale.sock");

	close(bind_socket(path));
	close(open(ut_path("stale.sock.lock"), O_CREAT | O_RDWR, 0600));
	CU_ASSERT_FATAL(start_at(ut_path("stale.sock"), &second, &reason) == 0);
	tarn_rpc_server_stop(&second);
	CU_ASSERT(second == NULL);
	CU_ASSERT(access(ut_path("stale.sock"), F_OK) != 0);
	CU_ASSERT(access(ut_path("stale.sock.lock"), F_OK) != 0);
}

static void
test_another_programs_socket_is_not_taken(void)
{
	struct tarn_rpc_server *second = NULL;
	struct tarn_reason reason;
	int fd = bind_socket(ut_path("other.sock"));

	CU_ASSERT(listen(fd, 1) == 0);
	CU_ASSERT(start_at(ut_path("other.sock"), &second, &reason) == -EADDRINUSE);
	CU_ASSERT(access(ut_path("other.sock"), F_OK) == 0);
	close(fd);
	unlink(ut_path("other.sock"));
}

static void
test_what_is_no_socket_is_not_removed(void)
{
	struct tarn_rpc_server *second = NULL;
	struct tarn_reason reason;

	close(open(ut_path("file"), O_CREAT | O_RDWR, 0600));
	CU_ASSERT(start_at(ut_path("file"), &second, &reason) == -EEXIST);
	CU_ASSERT(access(ut_path("file"), F_OK) == 0);
	unlink(ut_path("file"));
}

static void
test_a_path_that_cannot_be_is_refused_with_its_name(void)
{
	struct tarn_rpc_server *second = NULL;
	struct tarn_reason reason;
	char path[200];

	CU_ASSERT(start_at(ut_path("no/such/folder.sock"), &second, &reason) == -ENOENT);
	CU_ASSERT(strstr(reason.text, "no/such/folder.sock") != NULL);
	CU_ASSERT(strstr(reason.text, "folder exist") != NULL);
	memset(path, 'x', sizeof(path));
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	CU_ASSERT(start_at(path, &second, &reason) == -ENAMETOOLONG);
	CU_ASSERT(start_at("", &second, &reason) == -EINVAL);
}

static void
test_stopping_leaves_a_socket_that_is_another_servers(void)
{
	int fd;

	unlink(ut_path(UT_SOCKET));
	fd = bind_socket(ut_path(UT_SOCKET));
	tarn_rpc_server_stop(&ut_server);
	CU_ASSERT(access(ut_path(UT_SOCKET), F_OK) == 0);
	close(fd);
	unlink(ut_path(UT_SOCKET));
}

/* --- Client: it blocks, so it has a thread, and the server is turned until that is done --- */

struct client_run {
	void (*fn)(struct client_run *run);
	atomic_bool done;
	char path[256];
	int rc[4];
	struct tarn_rpc_answer answers[4];
	struct tarn_reason reason;
};

static void *
client_thread(void *arg)
{
	struct client_run *run = arg;

	run->fn(run);
	atomic_store(&run->done, true);
	return NULL;
}

static void
run_client(struct client_run *run, void (*fn)(struct client_run *run))
{
	pthread_t thread;

	run->fn = fn;
	CU_ASSERT_FATAL(tarn_strcpy(run->path, sizeof(run->path), ut_path(UT_SOCKET)) == 0);
	CU_ASSERT_FATAL(pthread_create(&thread, NULL, client_thread, run) == 0);
	while (!atomic_load(&run->done)) {
		ut_turn();
		usleep(50);
	}
	pthread_join(thread, NULL);
}

static void
call_three(struct client_run *run)
{
	struct tarn_rpc_client *client = NULL;
	struct cJSON *params = cJSON_Parse("{\"value\":[4096,\"x\"]}");

	run->rc[0] = tarn_rpc_client_connect(run->path, 0, &client, &run->reason);
	run->rc[1] = tarn_rpc_client_call(client, "echo", params, &run->answers[0], &run->reason);
	run->rc[2] = tarn_rpc_client_call(client, "fail", NULL, &run->answers[1], &run->reason);
	run->rc[3] = tarn_rpc_client_call(client, "big", NULL, &run->answers[2], &run->reason);
	cJSON_Delete(params);
	tarn_rpc_client_close(&client);
}

static void
test_the_client_gets_results_and_errors(void)
{
	struct client_run run = { 0 };

	run_client(&run, call_three);
	for (size_t i = 0; i < tarn_array_count(run.rc); i++) {
		CU_ASSERT(run.rc[i] == 0);
	}
	CU_ASSERT(run.answers[0].code == 0 && cJSON_GetArraySize(run.answers[0].result) == 2);
	CU_ASSERT(run.answers[1].code == -EEXIST);
	CU_ASSERT_STRING_EQUAL(run.answers[1].message, "fail: \xef\xbf\xbd is there");
	CU_ASSERT(run.answers[2].code == 0 &&
		  strlen(run.answers[2].result->valuestring) == 1u << 20);
	for (size_t i = 0; i < tarn_array_count(run.answers); i++) {
		tarn_rpc_answer_free(&run.answers[i]);
	}
}

static void
call_late(struct client_run *run)
{
	struct tarn_rpc_client *client = NULL;

	run->rc[0] = tarn_rpc_client_connect(run->path, 50, &client, &run->reason);
	run->rc[1] = tarn_rpc_client_call(client, "later", NULL, &run->answers[0], &run->reason);
	tarn_rpc_client_close(&client);
}

static void
test_the_client_waits_no_longer_than_told(void)
{
	struct client_run run = { 0 };

	run_client(&run, call_late);
	CU_ASSERT(run.rc[0] == 0 && run.rc[1] == -ETIMEDOUT);
	CU_ASSERT(strstr(run.reason.text, "later: no answer") != NULL);
}

static void
test_the_client_says_when_no_server_is_there(void)
{
	struct tarn_rpc_client *client = NULL;
	struct tarn_reason reason;
	int fd;

	CU_ASSERT(tarn_rpc_client_connect(ut_path("absent.sock"), 0, &client, &reason) == -ENOENT);
	CU_ASSERT(strstr(reason.text, "absent.sock") != NULL);
	fd = bind_socket(ut_path("dead.sock"));
	close(fd);
	CU_ASSERT(tarn_rpc_client_connect(ut_path("dead.sock"), 0, &client, &reason) ==
		  -ECONNREFUSED);
	CU_ASSERT(tarn_rpc_client_connect(ut_path("dead.sock"), 30, &client, &reason) ==
		  -ECONNREFUSED);
	unlink(ut_path("dead.sock"));
	CU_ASSERT(client == NULL);
}

UT_SUITE(jsonrpc_socket, ut_server_setup, ut_server_teardown,
	 UT_CASE(test_the_socket_is_for_its_owner_only),
	 UT_CASE(test_a_live_servers_socket_is_not_taken),
	 UT_CASE(test_a_dead_servers_socket_is_replaced),
	 UT_CASE(test_another_programs_socket_is_not_taken),
	 UT_CASE(test_what_is_no_socket_is_not_removed),
	 UT_CASE(test_a_path_that_cannot_be_is_refused_with_its_name),
	 UT_CASE(test_stopping_leaves_a_socket_that_is_another_servers),
	 UT_CASE(test_the_client_gets_results_and_errors),
	 UT_CASE(test_the_client_waits_no_longer_than_told),
	 UT_CASE(test_the_client_says_when_no_server_is_there));
