/* SPDX-License-Identifier: BSD-3-Clause */
/* The process of a run: from main() to the control reactor, and back. */
#include "process.h"

#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tarn/env.h"
#include "tarn/framework.h"
#include "tarn/reactor.h"

static volatile sig_atomic_t interrupted;

static void
on_signal(int signal_number)
{
	if (interrupted)
		_exit(128 + signal_number);
	interrupted = 1;
}

bool
perf_process_interrupted(void)
{
	return interrupted;
}

static void
cpu_times(struct perf_time *time)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	time->user_s = (double)usage.ru_utime.tv_sec + (double)usage.ru_utime.tv_usec / 1e6;
	time->system_s = (double)usage.ru_stime.tv_sec + (double)usage.ru_stime.tv_usec / 1e6;
}

void
perf_clock_start(struct perf_clock *clock)
{
	cpu_times(&clock->start);
	clock->start_ns = tarn_now_ns();
}

struct perf_time
perf_clock_read(const struct perf_clock *clock)
{
	struct perf_time time;

	cpu_times(&time);
	time.duration_s = (double)(tarn_now_ns() - clock->start_ns) / 1e9;
	time.user_s -= clock->start.user_s;
	time.system_s -= clock->start.system_s;
	return time;
}

static void
on_control_reactor(void *arg)
{
	const struct perf_process *process = arg;

	tarn_framework_start(&(struct tarn_framework_opts){
	    .config_path = process->opts->config,
	    .started = process->started,
	    .arg = process->arg,
	});
}

int
perf_process_run(const struct perf_process *process, struct tarn_reason *reason)
{
	struct sigaction action = { .sa_handler = on_signal };
	struct tarn_env_opts env = { .iomem_bytes = process->iomem_bytes };
	struct tarn_msg msg = { 0 };
	int rc = tarn_env_init(&env);

	if (rc != 0)
		return tarn_reason_set(reason, rc, "memory for I/O: %s", strerror(-rc));
	rc = tarn_reactors_init(&process->opts->reactors);
	if (rc != 0) {
		tarn_reason_set(reason, rc, "reactors: %s", strerror(-rc));
		goto out_env;
	}
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	tarn_msg_send(tarn_reactor_get(0), &msg, on_control_reactor, (void *)(uintptr_t)process);
	rc = tarn_reactors_run();
	if (rc < 0)
		tarn_reason_set(reason, rc, "reactors: %s", strerror(-rc));
	tarn_reactors_fini();
out_env:
	tarn_env_fini();
	return rc;
}
