/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runs a seed. Each life of the engine's process is a child; what the world has of it lies in
 * shared memory. What a child says on stderr is kept with its failure.
 */
#include "seed.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cache/format.h"
#include "tarn/util.h"

#define LIFE_CPU_S 120 /* more is a loop without an end */

struct sim *
seed_world(void)
{
	struct sim *world =
	    mmap(NULL, sizeof(*world), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (world == MAP_FAILED)
		return NULL;
	/* A life uses little of each huge page that it would be given, zeroed. */
	(void)prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
	world->life_stderr = memfd_create("stderr of a life", MFD_CLOEXEC);
	return world;
}

/* What it was up against. */
static void
describe_faults(struct sim *world)
{
	size_t used = strlen(world->failure);
	const struct plan *plan = &world->plan;

	snprintf(world->failure + used, sizeof(world->failure) - used,
		 " {failing per mille: writes %u, flushes %u, reads %u%s%s; %u shards}",
		 plan->write_fail_per_mille, plan->flush_fail_per_mille, plan->read_fail_per_mille,
		 plan->corrupt ? "; bits flip" : "",
		 plan->super_damage ? "; superblocks are damaged" : "", plan->shard_count);
}

void
seed_plan(uint64_t seed, bool hard, struct plan *ret, struct rng *ret_rng)
{
	ret_rng->state = seed * UINT64_C(0x2545f4914f6cdd1d) + 1;
	plan_make(ret, ret_rng, hard);
}

static void
begin_seed(struct sim *world, uint64_t seed)
{
	struct rng rng;

	device_reset(&world->device);
	memset(&world->model, 0, sizeof(world->model));
	world->seed = seed;
	world->failure[0] = '\0';
	world->life = world->step = 0;
	memset(world->trace, 0, sizeof(world->trace));
	memset(&world->counts, 0, sizeof(world->counts));
	seed_plan(seed, world->hard, &world->plan, &rng);
	world->model.object_count = world->plan.object_count;
	world->model.block_count = world->plan.block_count;
	model_reset(&world->model);
	world->rng.state = rng_next(&rng);
	world->device.rng.state = rng_next(&rng);
	world->device.size_bytes = world->plan.device_bytes;
	world->device.write_cache = world->plan.write_cache;
	world->now_ns = UINT64_C(1000000000);
	world->wall_s = UINT64_C(1700000000);
	memset(world->boot_id, 0, sizeof(world->boot_id));
	world->boot_id[0] = 1;
	world->disk_sequence = world->plan.disk_sequence_known ? 1 : 0;
	world->formatted = world->corrupted = false;
	world->blank = true;
	memset(world->volume, 0, sizeof(world->volume));
	memset(world->tail, 0, sizeof(world->tail));
	world->model.segment_slack = 40;
	world->model.unreadable =
	    world->plan.read_fail_per_mille != 0 || world->plan.open_read_fail_per_mille != 0;
	world->model.strict = world->plan.write_fail_per_mille == 0 &&
			      world->plan.flush_fail_per_mille == 0 &&
			      world->plan.read_fail_per_mille == 0 &&
			      world->plan.open_read_fail_per_mille == 0 && !world->plan.corrupt;
	world->next_content = 1;
}

/*
 * A bit of the older copy of the superblock flips, where both are whole: that costs nothing.
 */
static void
damage_super(struct sim *world)
{
	const struct disk_super *supers =
	    (const struct disk_super *)(const void *)world->device.image;
	uint64_t older = supers[0].sequence < supers[1].sequence ? 0 : 1;

	if (!world->plan.super_damage || !world->formatted || rng_chance(&world->rng, 500) ||
	    format_super_verify(&supers[0]) != 0 || format_super_verify(&supers[1]) != 0)
		return;
	device_corrupt(&world->device, older * DEVICE_BLOCK, (older + 1) * DEVICE_BLOCK, 0);
}

static void
between_lives(struct sim *world, enum ending ending)
{
	struct rng *rng = &world->rng;
	bool power = ending == ENDING_POWER;

	if (ending == ENDING_STOP && rng_chance(rng, 500)) {
		device_power_loss(&world->device);
		power = true;
		/* A stop that failed has promised nothing against that. */
		if (world->model.end != MODEL_END_STOP)
			model_ended(&world->model, MODEL_END_POWER);
	}
	if (power && plan_maybe(rng, world->plan.unnoticed_per_mille))
		power = false; /* the device forgot, and nobody noticed */
	if (power && world->plan.disk_sequence_known && rng_chance(rng, 500))
		world->disk_sequence++; /* the device alone */
	else if (power && (world->plan.disk_sequence_known || rng_chance(rng, 500)))
		world->boot_id[0]++;
	damage_super(world);
	world->wall_s += rng_below(rng, 300);
	if (rng_chance(rng, 150))
		world->wall_s -= rng_below(rng, 100000); /* the clock is set back */
}

static void
write_image(const struct sim *world)
{
	const struct device *device = &world->device;
	FILE *file = fopen(world->image, "we");
	size_t written = 0;

	if (file != NULL)
		written = fwrite(device->image, 1, device->size_bytes, file);
	if (file == NULL || fclose(file) != 0 || written != device->size_bytes) {
		perror(world->image);
		exit(2);
	}
}

/* --- A life's process --- */

static void
become_life(struct sim *world)
{
	const struct rlimit cpu = { LIFE_CPU_S, LIFE_CPU_S + 1 };
	const struct rlimit core = { 0, 0 };

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	setrlimit(RLIMIT_CPU, &cpu);
	if (world->verbose || world->life_stderr < 0)
		return;
	setrlimit(RLIMIT_CORE, &core);
	if (ftruncate(world->life_stderr, 0) != 0 || lseek(world->life_stderr, 0, SEEK_SET) != 0 ||
	    dup2(world->life_stderr, STDERR_FILENO) < 0)
		_exit(2);
}

/* It ended in a way that is not its own: by an assertion, or a sanitizer. */
static void
describe_death(struct sim *world, int status)
{
	int used = snprintf(world->failure, sizeof(world->failure),
			    "life %u, step %u: ended by %s: ", world->life, world->step,
			    WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "a sanitizer");
	char *said = world->failure + used;
	ssize_t got = pread(world->life_stderr, said, sizeof(world->failure) - (size_t)used - 1, 0);

	said[got > 0 ? got : 0] = '\0';
	if (got > 0 && said[got - 1] == '\n')
		said[got - 1] = '\0';
}

static int
run_life(struct sim *world, bool here)
{
	pid_t pid;
	int status;

	world->crash_countdown = 0;
	world->counts.lives++;
	if (here && world->image != NULL)
		write_image(world);
	if (here)
		return (int)life_run(world);
	fflush(stdout);
	pid = fork();
	if (pid < 0) {
		perror("fork");
		exit(2);
	}
	if (pid == 0) {
		become_life(world);
		_exit((int)life_run(world));
	}
	while (waitpid(pid, &status, 0) < 0)
		tarn_assert(errno == EINTR);
	if (WIFEXITED(status) && (WEXITSTATUS(status) == LIFE_STOPPED ||
				  WEXITSTATUS(status) == LIFE_CRASHED || world->failure[0] != '\0'))
		return WEXITSTATUS(status);
	if (world->failure[0] == '\0')
		describe_death(world, status);
	return LIFE_FAILED;
}

bool
seed_run(struct sim *world, uint64_t seed, int life_here)
{
	uint32_t count;

	begin_seed(world, seed);
	count = world->plan.life_count + 2;
	tarn_assert(count <= SIM_LIVES_MAX);
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
		status = run_life(world, (int)world->life == life_here);
		if (status == LIFE_CRASHED)
			world->counts.crashes++;
		else if (status != LIFE_STOPPED) {
			describe_faults(world);
			return false;
		}
		between_lives(world, world->life_plan.ending);
	}
	return true;
}
