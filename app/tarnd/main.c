/* SPDX-License-Identifier: BSD-3-Clause */
/* tarnd: options and wiring. The daemon's life is in rpc/start.c. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "app/tarnd/notify_socket.h"
#include "app/tarnd/opts.h"
#include "tarn/framework.h"
#include "tarn/jsonrpc.h"
#include "tarn/log.h"
#include "tarn/reason.h"
#include "tarn/rpc.h"
#include "tarn/version.h"

struct tarnd {
	struct tarnd_opts opts;
	struct tarn_rpc_server *server;
	int signal_fd;
	struct tarn_fd_watch *signal_watch;
	bool stopping;
	int status; /* of the process */
};

static void
framework_stopped(void *arg)
{
	struct tarnd *tarnd = arg;

	tarn_rpc_server_stop(&tarnd->server);
	tarn_fd_watch_remove(&tarnd->signal_watch);
	tarn_reactors_stop(tarnd->status);
}

static void
stop(struct tarnd *tarnd)
{
	tarnd->stopping = true;
	tarnd_notify_socket("STOPPING=1");
	tarn_framework_stop(framework_stopped, tarnd);
}

static void
signal_arrived(void *arg, uint32_t events)
{
	struct tarnd *tarnd = arg;
	struct signalfd_siginfo info;

	(void)events;
	if (read(tarnd->signal_fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (tarnd->stopping) {
		tarn_error("%s again: ending at once", strsignal((int)info.ssi_signo));
		tarn_rpc_server_stop(&tarnd->server);
		_exit(128 + (int)info.ssi_signo);
	}
	tarn_notice("%s: ending", strsignal((int)info.ssi_signo));
	stop(tarnd);
}

static void
framework_started(void *arg, int status, const char *error)
{
	struct tarnd *tarnd = arg;

	if (status != 0) {
		tarn_error("%s", error);
		tarnd->status = EXIT_FAILURE;
		stop(tarnd);
		return;
	}
	tarn_notice(
	    "tarnd %s is ready: %u reactor(s), socket %s", TARN_VERSION, tarn_reactor_count(),
	    tarnd->opts.socket_path != NULL ? tarnd->opts.socket_path : TARN_RPC_SOCKET_DEFAULT);
	tarnd_notify_socket("READY=1");
}

/* The control reactor's first message. */
static void
begin(void *arg)
{
	struct tarnd *tarnd = arg;
	const struct tarn_rpc_server_opts server_opts = { .path = tarnd->opts.socket_path };
	struct tarn_reason reason = { "" };
	int rc;

	rc = tarn_fd_watch_add(tarnd->signal_fd, EPOLLIN, signal_arrived, tarnd,
			       &tarnd->signal_watch);
	if (rc != 0) {
		tarn_error("signals: %s", strerror(-rc));
		tarn_reactors_stop(EXIT_FAILURE);
		return;
	}
	rc = tarn_rpc_server_start(&server_opts, &tarnd->server, &reason);
	if (rc != 0) {
		tarn_error("%s", reason.text);
		tarn_fd_watch_remove(&tarnd->signal_watch);
		tarn_reactors_stop(EXIT_FAILURE);
		return;
	}
	tarn_framework_start(&(struct tarn_framework_opts){
	    .config_path = tarnd->opts.config_path,
	    .wait_for_rpc = tarnd->opts.wait_for_rpc,
	    .started = framework_started,
	    .arg = tarnd,
	});
}

/* Signals that end the daemon are read from an fd, and blocked in every thread made after. */
static int
take_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGQUIT);
	signal(SIGPIPE, SIG_IGN);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void
tell_memory(void)
{
	struct tarn_iomem_info info;

	tarn_iomem_get_info(&info);
	if (!info.hugepages)
		tarn_notice("I/O memory is in ordinary pages: %s", info.reason);
}

static const char cpu_hint[] = "; --cpumask must name CPUs that this process may run on";

static int
run(struct tarnd *tarnd)
{
	struct tarn_msg first;
	int rc;

	rc = tarn_env_init(&tarnd->opts.env);
	if (rc != 0) {
		tarn_error("I/O memory: %s; see --mem-size", strerror(-rc));
		return EXIT_FAILURE;
	}
	tell_memory();
	rc = tarn_reactors_init(&tarnd->opts.reactor);
	if (rc != 0) {
		tarn_error("reactors: %s%s", strerror(-rc), rc == -EINVAL ? cpu_hint : "");
		tarn_env_fini();
		return EXIT_FAILURE;
	}
	tarn_msg_send(tarn_reactor_get(0), &first, begin, tarnd);
	rc = tarn_reactors_run();
	if (rc < 0)
		tarn_error("reactors: %s%s", strerror(-rc), rc == -EINVAL ? cpu_hint : "");
	tarn_reactors_fini();
	tarn_env_fini();
	return rc < 0 ? EXIT_FAILURE : rc;
}

static int
print_schema(void)
{
	struct cJSON *schema = tarn_rpc_schema();
	char *text = schema != NULL ? tarn_json_print(schema, true) : NULL;

	if (text != NULL)
		puts(text);
	free(text);
	cJSON_Delete(schema);
	return text != NULL && fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int
main(int argc, char **argv)
{
	struct tarnd tarnd = { 0 };
	int status = tarnd_opts_parse(argc, argv, &tarnd.opts);

	if (status != -1)
		return status;
	tarn_rpc_check_methods();
	if (tarnd.opts.print_schema)
		return print_schema();
	tarnd.signal_fd = take_signals();
	if (tarnd.signal_fd < 0) {
		tarn_error("signalfd: %s", strerror(errno));
		return EXIT_FAILURE;
	}
	status = run(&tarnd);
	close(tarnd.signal_fd);
	return status;
}
