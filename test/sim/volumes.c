/* SPDX-License-Identifier: BSD-3-Clause */
/* Volumes' identities: set, looked at after each opening, and now and then forgotten. */
#include "sim.h"

#include <string.h>

#include "tarn/util.h"

struct call {
	bool done;
	int status;
};

static void
called(void *arg, int status)
{
	struct call *call = arg;

	call->done = true;
	call->status = status;
}

/* What it had is gone for good: its identity does not come back. */
static void
forgotten(struct sim_volume *volume)
{
	uint32_t number = (uint32_t)(volume - sim->volume);

	volume->made = false;
	for (uint32_t i = 0; i < sim->plan.block_count; i++)
		model_subject_reset(&sim->model.blocks[number][i]);
}

static void
volume_forget(struct sim_volume *volume, const uint8_t uuid[16])
{
	struct call call = { .done = false };

	sim_say("forget volume %u", volume->id);
	if (!control_ban_volume((uint32_t)(volume - sim->volume)))
		return;
	volume->forgetting = true;
	tarn_cache_volume_forget(sim_cache, uuid, called, &call);
	sim_wait(&call.done, "forgetting a volume");
	if (call.status != 0)
		sim_fail("forgetting a volume failed with %d", call.status);
	volume->forgetting = false;
	forgotten(volume);
}

static void
volume_set(struct sim_volume *volume, const uint8_t uuid[16], uint64_t generation)
{
	struct tarn_cache_volume got = { .generation = generation };
	struct call call = { .done = false };

	memcpy(got.uuid, uuid, sizeof(got.uuid));
	volume->unsure = true;
	tarn_cache_volume_set(sim_cache, &got, called, &call);
	sim_wait(&call.done, "setting a volume");
	if (call.status != 0)
		sim_fail("setting a volume failed with %d", call.status);
	if (volume->made ? got.id != volume->id : got.id <= sim->volume_id_max)
		sim_fail("a volume has id %u; it was %u, and %u the greatest", got.id, volume->id,
			 sim->volume_id_max);
	volume->id = got.id;
	volume->generation = generation;
	volume->made = true;
	volume->unsure = false;
	sim->volume_id_max = (uint32_t)tarn_max_u64(sim->volume_id_max, got.id);
}

static void
volume_check(struct sim_volume *volume, const uint8_t uuid[16])
{
	struct tarn_cache_volume got;
	bool forgetting = volume->forgetting;

	volume->forgetting = false;
	if (!volume->made)
		return;
	if (tarn_cache_volume_get(sim_cache, uuid, &got) != 0) {
		if (!forgetting)
			sim_fail("volume %u is not there any more", volume->id);
		forgotten(volume);
		return;
	}
	if (got.id != volume->id || (got.generation != volume->generation &&
				     !(volume->unsure && got.generation == volume->generation + 1)))
		sim_fail("volume %u has become %u, its generation %llu was %llu", volume->id,
			 got.id, (unsigned long long)got.generation,
			 (unsigned long long)volume->generation);
	volume->generation = got.generation;
	volume->unsure = false;
}

void
volume_all(void)
{
	struct call call = { .done = false };

	for (uint32_t i = 0; i < MODEL_VOLUMES; i++) {
		struct sim_volume *volume = &sim->volume[i];
		uint8_t uuid[16] = { 1, (uint8_t)i };

		volume_check(volume, uuid);
		if (volume->made && plan_maybe(&sim->rng, sim->plan.forget_per_mille))
			volume_forget(volume, uuid);
		if (!volume->made || rng_chance(&sim->rng, 200))
			volume_set(volume, uuid, volume->generation + 1);
	}
	tarn_cache_set_clean_cb(sim_cache, block_clean_hint, NULL, called, &call);
	sim_wait(&call.done, "setting a callback");
}
