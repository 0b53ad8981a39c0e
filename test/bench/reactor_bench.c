/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What reactors cost beside I/O, as one JSON object: how long a message to a sleeping reactor takes
 * until its function runs, how long one to a busy reactor does, and how many go round per second.
 *
 * Ping goes from the control reactor to the other one, which stamps it and sends it back. Before
 * each ping to a sleeper the sender waits long enough for it to have fallen asleep. The stream
 * keeps STREAM messages going.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tarn/env.h"
#include "tarn/histogram.h"
#include "tarn/reactor.h"
#include "tarn/util.h"

#define PING_COUNT 1000
#define PAUSE_US 2000 /* far longer than a reactor spins before it sleeps */
#define STREAM 64
#define STREAM_COUNT 4000000

struct bench {
	struct tarn_reactor *near, *far;
	struct tarn_msg ping;
	uint64_t sent_ns;
	uint32_t ping_count;
	bool ping_out; /* on a crowded machine it may take longer than the pause */
	struct tarn_histogram wakeup;
	struct tarn_poller *pause;
	struct tarn_msg stream[STREAM];
	uint64_t stream_count, stream_ns;
	uint32_t stream_left;
	struct tarn_reactor_stats stats;
};

static struct bench bench;

static void stream_there(void *arg);

static void
stream_back(void *arg)
{
	if (bench.stream_count++ < STREAM_COUNT)
		tarn_msg_send(bench.far, arg, stream_there, arg);
	else if (--bench.stream_left == 0) {
		bench.stream_ns = tarn_now_ns() - bench.stream_ns;
		tarn_reactor_get_stats(&bench.stats);
		tarn_reactors_stop(0);
	}
}

static void
stream_there(void *arg)
{
	tarn_msg_send(bench.near, arg, stream_back, arg);
}

static void
stream_start(void)
{
	bench.stream_ns = tarn_now_ns();
	bench.stream_left = STREAM;
	for (uint32_t i = 0; i < STREAM; i++)
		tarn_msg_send(bench.far, &bench.stream[i], stream_there, &bench.stream[i]);
}

static void
ping_back(void *arg)
{
	(void)arg;
	bench.ping_out = false;
	if (++bench.ping_count < PING_COUNT)
		return;
	tarn_poller_unregister(&bench.pause);
	stream_start();
}

static void
ping_there(void *arg)
{
	tarn_histogram_add(&bench.wakeup, tarn_now_ns() - bench.sent_ns);
	tarn_msg_send(bench.near, &bench.ping, ping_back, arg);
}

static int
pause_over(void *arg)
{
	if (bench.ping_out)
		return 0;
	bench.ping_out = true;
	bench.sent_ns = tarn_now_ns();
	tarn_msg_send(bench.far, &bench.ping, ping_there, arg);
	return 1;
}

static void
start(void *arg)
{
	const struct tarn_poller_opts opts = {
		.name = "pause",
		.fn = pause_over,
		.period_us = PAUSE_US,
	};

	(void)arg;
	bench.pause = tarn_poller_register(&opts);
	tarn_assert(bench.pause != NULL);
}

static void
print(const struct tarn_reactor_stats *near, double cpu_s)
{
	printf("{\"wakeups\": %llu, \"wakeup_us\": {\"p50\": %.3f, \"p90\": %.3f, \"p99\": %.3f},\n"
	       " \"messages_per_s\": %.0f, \"cpu_s\": %.3f}\n",
	       (unsigned long long)near->wakeup_count,
	       (double)tarn_histogram_percentile_ns(&bench.wakeup, 50) / 1e3,
	       (double)tarn_histogram_percentile_ns(&bench.wakeup, 90) / 1e3,
	       (double)tarn_histogram_percentile_ns(&bench.wakeup, 99) / 1e3,
	       2e9 * STREAM_COUNT / (double)bench.stream_ns, cpu_s);
}

int
main(int argc, char **argv)
{
	struct tarn_reactor_opts opts = { .poll_mode = TARN_POLL_ADAPTIVE };
	struct tarn_msg msg = { 0 };

	if (argc != 2 || tarn_cpus_parse(argv[1], &opts.cpus) != 0 || CPU_COUNT(&opts.cpus) != 2) {
		fputs("usage: reactor_bench CPU,CPU\n", stderr);
		return 2;
	}
	if (tarn_env_init(NULL) != 0 || tarn_reactors_init(&opts) != 0)
		return 1;
	bench.near = tarn_reactor_get(0);
	bench.far = tarn_reactor_get(1);
	tarn_msg_send(bench.near, &msg, start, NULL);
	if (tarn_reactors_run() != 0)
		return 1;
	print(&bench.stats, (double)clock() / CLOCKS_PER_SEC);
	tarn_reactors_fini();
	tarn_env_fini();
	return 0;
}
