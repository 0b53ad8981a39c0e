/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runs seeds. Each life of the engine's process is a child; what the world has of it lies in shared
 * memory. In a debugger, --life N runs that life in this process.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sim.h"
#include "tarn/util.h"

#define LIFE_LIMIT_S 60 /* of real time: more is a loop without an end */

struct options {
	uint64_t seed, count;
	bool progress;
	int life;	   /* the one that runs in this process; -1: none */
	const char *image; /* file for what that life finds on the device; NULL: none */
	double seconds;	   /* stop after so many; 0: no limit */
};

static void
usage(FILE *to)
{
	fputs("usage: sim [SEED] [--count N] [--seconds N] [--progress] [--verbose] [--life N] "
	      "[--image FILE]\n"
	      "Run the cache engine on a simulated device and clock, from SEED (1) on.\n"
	      "  --count N     so many seeds (1)\n"
	      "  --seconds N   not longer than this, whatever the count\n"
	      "  --progress    a line now and then\n"
	      "  --verbose     every step of it; what fails calls abort()\n"
	      "  --life N      life N in this process, for a debugger\n"
	      "  --image FILE  write what life N finds on the device to FILE\n"
	      "Example: gdb --args sim 4711 --verbose --life 3\n",
	      to);
}

/* --- One seed --- */

static void
begin_seed(struct sim *world, uint64_t seed)
{
	struct rng rng = { seed * UINT64_C(0x2545f4914f6cdd1d) + 1 };

	device_reset(&world->device);
	model_reset(&world->model);
	world->seed = seed;
	world->failure[0] = '\0';
	world->life = world->step = 0;
	plan_make(&world->plan, &rng);
	world->rng.state = rng_next(&rng);
	world->device.rng.state = rng_next(&rng);
	world->device.size_bytes = world->plan.shard_count * (UINT64_C(13) << 20);
	world->device.write_cache = world->plan.write_cache;
	world->now_ns = UINT64_C(1000000000);
	world->wall_s = UINT64_C(1700000000);
	world->boot_id[0] = 1;
	world->disk_sequence = world->plan.disk_sequence_known ? 1 : 0;
	world->formatted = world->corrupted = false;
	memset(world->volume, 0, sizeof(world->volume));
	world->model.segment_slack = 40;
	world->model.segments = 0;
	world->model.durable_time_s = world->model.time_max_s = 0;
	world->model.unreadable = world->plan.read_fail_per_mille != 0;
	world->model.strict = world->plan.write_fail_per_mille == 0 &&
			      world->plan.flush_fail_per_mille == 0 &&
			      world->plan.read_fail_per_mille == 0 && !world->plan.corrupt;
	world->next_content = 1;
}

/* What happens to the machine between two lives. */
static void
between_lives(struct sim *world, enum ending ending)
{
	struct rng *rng = &world->rng;
	bool power = ending == ENDING_POWER;

	if (ending == ENDING_STOP && rng_chance(rng, 500)) {
		device_power_loss(&world->device);
		power = true;
	}
	if (power && world->plan.disk_sequence_known && rng_chance(rng, 500))
		world->disk_sequence++; /* the device alone */
	else if (power && (world->plan.disk_sequence_known || rng_chance(rng, 500)))
		world->boot_id[0]++;
	world->wall_s += rng_below(rng, 300);
	if (rng_chance(rng, 150))
		world->wall_s -= rng_below(rng, 100000); /* the clock is set back */
}

static void
write_image(const struct device *device, const char *path)
{
	FILE *file = fopen(path, "we");
	size_t written = 0;

	if (file != NULL)
		written = fwrite(device->image, 1, device->size_bytes, file);
	if (file == NULL || fclose(file) != 0 || written != device->size_bytes) {
		perror(path);
		exit(2);
	}
}

static int
run_life(struct sim *world, bool here)
{
	pid_t pid;
	int status;

	world->crash_countdown = 0;
	world->life_total++;
	if (here)
		return (int)life_run(world);
	fflush(stdout);
	pid = fork();
	if (pid < 0) {
		perror("fork");
		exit(2);
	}
	if (pid == 0) {
		alarm(LIFE_LIMIT_S);
		_exit((int)life_run(world));
	}
	while (waitpid(pid, &status, 0) < 0)
		tarn_assert(errno == EINTR);
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	if (world->failure[0] == '\0')
		snprintf(world->failure, sizeof(world->failure), "life %u, step %u: ended by %s",
			 world->life, world->step, strsignal(WTERMSIG(status)));
	return LIFE_FAILED;
}

/* \return whether all was well. */
static bool
run_seed(struct sim *world, uint64_t seed, const struct options *options)
{
	uint32_t count;

	begin_seed(world, seed);
	count = world->plan.life_count + 2;
	for (world->life = 0; world->life < count; world->life++) {
		int status;

		world->step = 0;
		plan_life(&world->plan, &world->rng, world->life, &world->life_plan);
		if (world->life + 2 >= count) { /* the end: look, stop, look again */
			world->life_plan.ending = ENDING_STOP;
			world->life_plan.sweep = true;
			world->life_plan.format = false;
			if (world->life + 1 == count)
				world->life_plan.step_count = 0;
		}
		if ((int)world->life == options->life && options->image != NULL)
			write_image(&world->device, options->image);
		status = run_life(world, (int)world->life == options->life);
		if (status == LIFE_CRASHED)
			world->crash_total++;
		else if (status != LIFE_STOPPED)
			return false;
		between_lives(world, world->life_plan.ending);
	}
	return true;
}

/* --- Many --- */

static double
now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int
run(struct sim *world, const struct options *options)
{
	double start_s = now_s(), told_s = start_s;
	uint64_t done = 0, failed = 0;

	while (done < options->count) {
		uint64_t seed = options->seed + done;

		done++;
		if (!run_seed(world, seed, options)) {
			failed++;
			printf("FAIL seed %llu: %s\n", (unsigned long long)seed, world->failure);
			fflush(stdout);
		}
		if (options->progress && now_s() - told_s >= 5) {
			told_s = now_s();
			printf("%llu of %llu seeds, %llu failed, %.0f s\n",
			       (unsigned long long)done, (unsigned long long)options->count,
			       (unsigned long long)failed, told_s - start_s);
			fflush(stdout);
		}
		if (options->seconds != 0 && now_s() - start_s >= options->seconds)
			break;
	}
	printf("%llu seeds from %llu: %llu lives, %llu crashes, %llu steps, %llu I/Os, %.1f s\n",
	       (unsigned long long)done, (unsigned long long)options->seed,
	       (unsigned long long)world->life_total, (unsigned long long)world->crash_total,
	       (unsigned long long)world->step_total, (unsigned long long)world->io_total,
	       now_s() - start_s);
	printf("%llu passed, %llu failed\n", (unsigned long long)(done - failed),
	       (unsigned long long)failed);
	return failed == 0 ? 0 : 1;
}

static bool
parse(int argc, char **argv, struct options *options, bool *ret_verbose)
{
	static const struct option longs[] = {
		{ "count", required_argument, NULL, 'c' },
		{ "seconds", required_argument, NULL, 's' },
		{ "progress", no_argument, NULL, 'p' },
		{ "verbose", no_argument, NULL, 'v' },
		{ "life", required_argument, NULL, 'l' },
		{ "image", required_argument, NULL, 'i' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
		switch (option) {
		case 'c':
			options->count = strtoull(optarg, NULL, 0);
			break;
		case 's':
			options->seconds = strtod(optarg, NULL);
			break;
		case 'p':
			options->progress = true;
			break;
		case 'v':
			*ret_verbose = true;
			break;
		case 'l':
			options->life = (int)strtol(optarg, NULL, 0);
			break;
		case 'i':
			options->image = optarg;
			break;
		case 'h':
			usage(stdout);
			exit(0);
		default:
			return false;
		}
	}
	if (optind < argc)
		options->seed = strtoull(argv[optind++], NULL, 0);
	return optind == argc && options->count != 0;
}

int
main(int argc, char **argv)
{
	struct options options = { .seed = 1, .count = 1, .life = -1 };
	bool verbose = false;
	struct sim *world;

	if (!parse(argc, argv, &options, &verbose)) {
		usage(stderr);
		return 2;
	}
	world =
	    mmap(NULL, sizeof(*world), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (world == MAP_FAILED) {
		perror("mmap");
		return 2;
	}
	world->verbose = verbose;
	return run(world, &options);
}
