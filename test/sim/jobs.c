/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Seeds over several processes. Each takes the next seed, runs it in a world of its own, and sends
 * what came of it in one message; they are printed in order of the seeds.
 */
#include "jobs.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "seed.h"
#include "tarn/util.h"

#define PROGRESS_S 5

struct result {
	uint64_t index; /* of the seed, from the first on */
	struct sim_counts counts;
	bool failed;
	char failure[SIM_FAILURE_BYTES];
};

struct jobs {
	const struct jobs_opts *opts;
	struct jobs_totals *totals;
	_Atomic uint64_t *next;	 /* the seed to take; shared */
	struct result **waiting; /* those that are over, though an earlier one is not */
	uint64_t done_count;	 /* printed */
	double start_s, told_s;
};

static double
now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* \return whether there is another one to run. */
static bool
take_seed(const struct jobs *jobs, uint64_t *ret_index)
{
	if (jobs->opts->seconds != 0 && now_s() - jobs->start_s >= jobs->opts->seconds)
		return false;
	*ret_index = atomic_fetch_add(jobs->next, 1);
	return *ret_index < jobs->opts->count;
}

static void
run_one(const struct jobs *jobs, struct sim *world, uint64_t index, struct result *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->index = index;
	ret->failed = !seed_run(world, jobs->opts->seed + index, jobs->opts->life_here);
	ret->counts = world->counts;
	memcpy(ret->failure, world->failure, sizeof(ret->failure));
}

/* --- In order --- */

static void
print_result(struct jobs *jobs, const struct result *result)
{
	struct jobs_totals *totals = jobs->totals;

	jobs->done_count++;
	totals->seed_count++;
	sim_counts_add(&totals->counts, &result->counts);
	if (!result->failed)
		return;
	totals->failed_count++;
	printf("FAIL seed %llu: %s\n", (unsigned long long)jobs->opts->seed + result->index,
	       result->failure);
	fflush(stdout);
}

static void
print_progress(struct jobs *jobs)
{
	if (!jobs->opts->progress || now_s() - jobs->told_s < PROGRESS_S)
		return;
	jobs->told_s = now_s();
	printf("%llu of %llu seeds, %llu failed, %.0f s\n", (unsigned long long)jobs->done_count,
	       (unsigned long long)jobs->opts->count,
	       (unsigned long long)jobs->totals->failed_count, jobs->told_s - jobs->start_s);
	fflush(stdout);
}

static int
put_in_order(struct jobs *jobs, const struct result *result)
{
	struct result *copy = malloc(sizeof(struct result));

	if (copy == NULL)
		return -ENOMEM;
	*copy = *result;
	jobs->waiting[result->index] = copy;
	while (jobs->done_count < jobs->opts->count && jobs->waiting[jobs->done_count] != NULL) {
		struct result *first = jobs->waiting[jobs->done_count];

		print_result(jobs, first);
		free(first);
	}
	return 0;
}

/* --- Processes --- */

static void
work(const struct jobs *jobs, int socket)
{
	static struct result result;
	struct sim *world = seed_world();
	uint64_t index;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (world == NULL)
		_exit(2);
	world->hard = jobs->opts->hard;
	while (take_seed(jobs, &index)) {
		run_one(jobs, world, index, &result);
		if (send(socket, &result, sizeof(result), MSG_NOSIGNAL) != sizeof(result))
			_exit(2);
	}
	_exit(0);
}

static int
gather(struct jobs *jobs, int socket)
{
	static struct result result;
	ssize_t got;
	int status = 0;

	while (status == 0 && (got = recv(socket, &result, sizeof(result), 0)) != 0) {
		if (got < 0 && errno == EINTR)
			continue;
		status = got < 0 ? -errno : put_in_order(jobs, &result);
		print_progress(jobs);
	}
	return status;
}

static int
run_processes(struct jobs *jobs)
{
	int sockets[2], status = 0, child_status;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) != 0)
		return -errno;
	fflush(stdout);
	for (uint32_t i = 0; i < jobs->opts->process_count && status == 0; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			close(sockets[0]);
			work(jobs, sockets[1]);
		}
		status = pid < 0 ? -errno : 0;
	}
	close(sockets[1]);
	if (status == 0)
		status = gather(jobs, sockets[0]);
	close(sockets[0]);
	while (wait(&child_status) > 0)
		if (status == 0 && (!WIFEXITED(child_status) || WEXITSTATUS(child_status) != 0))
			status = -ECHILD;
	return status;
}

static int
run_here(struct jobs *jobs)
{
	static struct result result;
	struct sim *world = seed_world();
	uint64_t index;

	if (world == NULL)
		return -ENOMEM;
	world->hard = jobs->opts->hard;
	world->verbose = jobs->opts->verbose;
	world->image = jobs->opts->image;
	while (take_seed(jobs, &index)) {
		run_one(jobs, world, index, &result);
		print_result(jobs, &result);
		print_progress(jobs);
	}
	return 0;
}

int
jobs_run(const struct jobs_opts *opts, struct jobs_totals *ret_totals)
{
	struct jobs jobs = { .opts = opts, .totals = ret_totals };
	int status;

	memset(ret_totals, 0, sizeof(*ret_totals));
	jobs.start_s = jobs.told_s = now_s();
	jobs.waiting = calloc(opts->count, sizeof(jobs.waiting[0]));
	if (jobs.waiting == NULL)
		return -ENOMEM;
	jobs.next = mmap(NULL, sizeof(*jobs.next), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (jobs.next == MAP_FAILED) {
		status = -errno;
		goto out;
	}
	status = opts->process_count > 1 ? run_processes(&jobs) : run_here(&jobs);
	ret_totals->elapsed_s = now_s() - jobs.start_s;
	munmap(jobs.next, sizeof(*jobs.next));
out:
	free(jobs.waiting);
	return status;
}
