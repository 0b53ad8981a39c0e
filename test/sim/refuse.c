/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What must be refused before the cache is opened (contract C9), with nothing written: other
 * geometry, another cache's identity, a device that shrank or holds something else, a newer
 * version, two damaged superblocks.
 */
#include <errno.h>
#include <string.h>

#include "bdev.h"
#include "lib/cache/format.h"
#include "sim.h"
#include "tarn/bdev.h"
#include "tarn/util.h"

#define SUPERS_BYTES (2 * DEVICE_BLOCK)

struct attempt {
	bool done;
	int status;
	struct tarn_cache *cache;
};

static void
attempted(void *arg, int status, struct tarn_cache *cache, const struct tarn_reason *reason)
{
	struct attempt *attempt = arg;

	(void)reason;
	attempt->done = true;
	attempt->status = status;
	attempt->cache = cache;
}

static void
refused(const char *what, const struct tarn_cache_opts *asked, int expected)
{
	struct tarn_cache_env env = {
		.seed = rng_next(&sim->rng) | 1,
		.wall_time_s = sim->wall_s,
		.disk_sequence = sim->disk_sequence,
	};
	struct tarn_cache_opts opts = *asked;
	struct attempt attempt = { .done = false };
	uint64_t writes = sim->device.write_count;

	memcpy(env.boot_id, sim->boot_id, sizeof(env.boot_id));
	opts.name = "refused";
	opts.env = &env;
	if (opts.bdev_name == NULL)
		opts.bdev_name = "sim";
	tarn_cache_create(&opts, attempted, &attempt);
	sim_wait(&attempt.done, "being refused");
	sim_say("%s: refused with %d", what, attempt.status);
	if (attempt.status != expected || attempt.cache != NULL)
		sim_fail("%s: ended with %d, not %d", what, attempt.status, expected);
	if (sim->device.write_count != writes)
		sim_fail("%s: refused, but the device was written to", what);
}

/* --- What is on the device --- */

static void
refuse_changed(const char *what, const void *supers, int expected)
{
	static const struct tarn_cache_opts opts;
	uint8_t before[SUPERS_BYTES];
	bool unreadable[2];

	/* What is written anew can be read. */
	memcpy(unreadable, sim->device.unreadable, sizeof(unreadable));
	memset(sim->device.unreadable, 0, sizeof(unreadable));
	memcpy(before, sim->device.image, sizeof(before));
	memcpy(sim->device.image, supers, SUPERS_BYTES);
	refused(what, &opts, expected);
	memcpy(sim->device.image, before, sizeof(before));
	memcpy(sim->device.unreadable, unreadable, sizeof(unreadable));
}

static void
refuse_foreign(void)
{
	uint8_t supers[SUPERS_BYTES] = { 0 };
	uint64_t first = rng_below(&sim->rng, sizeof(supers));
	uint64_t bytes = rng_range(&sim->rng, 1, sizeof(supers) - first);

	for (uint64_t i = first; i < first + bytes; i++)
		supers[i] = (uint8_t)(rng_next(&sim->rng) | 1);
	refuse_changed("something else on the device", supers, -EEXIST);
}

static uint32_t
super_crc(struct disk_super *super)
{
	super->head.crc32c = 0;
	return tarn_crc32c(0, super, sizeof(*super));
}

/* One copy, or both. */
static void
refuse_newer(void)
{
	struct disk_super supers[2];
	uint32_t which = (uint32_t)rng_range(&sim->rng, 1, 3);

	memcpy(supers, sim->device.image, sizeof(supers));
	for (uint32_t i = 0; i < 2; i++) {
		if ((which & 1u << i) == 0)
			continue;
		supers[i].head.magic = DISK_SUPER_MAGIC;
		supers[i].head.version = DISK_VERSION + 1;
		supers[i].head.crc32c = super_crc(&supers[i]);
	}
	refuse_changed("a newer version", supers, -EPROTONOSUPPORT);
}

static void
refuse_damaged(void)
{
	uint8_t supers[SUPERS_BYTES];

	memcpy(supers, sim->device.image, sizeof(supers));
	for (uint32_t i = 0; i < 2; i++) /* behind the magic: it is told by that */
		supers[i * DEVICE_BLOCK + rng_range(&sim->rng, 8, DEVICE_BLOCK - 1)] ^=
		    (uint8_t)(1u << rng_below(&sim->rng, 8));
	refuse_changed("both superblocks damaged", supers, -EUCLEAN);
}

/* --- What is asked for --- */

static void
refuse_geometry(void)
{
	struct tarn_cache_opts opts = { .shard_count = sim->plan.shard_count + 1 };

	if (rng_chance(&sim->rng, 500))
		opts = (struct tarn_cache_opts){ .segment_bytes = 256 * 1024 };
	refused("other geometry", &opts, -EINVAL);
}

static void
refuse_identity(void)
{
	const struct tarn_cache_opts opts = { .uuid = "00000000-0000-4000-8000-000000000000" };

	refused("another identity", &opts, -ENOTUNIQ);
}

static void
refuse_shrunk(void)
{
	struct sim_bdev_opts bdev_opts = { .device = &sim->device, .event = sim_io_event };
	const struct tarn_cache_opts opts = { .bdev_name = "shrunk" };
	uint64_t size = sim->device.size_bytes;
	struct tarn_bdev *bdev;
	struct tarn_reason reason;

	sim->device.size_bytes -= rng_range(&sim->rng, 1, size / DEVICE_BLOCK / 2) * DEVICE_BLOCK;
	if (tarn_bdev_create("sim", "shrunk", &bdev_opts, &bdev, &reason) != 0)
		sim_fail("bdev: %s", reason.text);
	sim->device.size_bytes = size;
	refused("a device that shrank", &opts, -ENOSPC);
}

void
refuse_some(void)
{
	static void (*const kinds[])(void) = { refuse_geometry, refuse_identity, refuse_shrunk,
					       refuse_newer, refuse_damaged };

	if (!plan_maybe(&sim->rng, sim->plan.refuse_per_mille))
		return;
	if (sim->formatted)
		kinds[rng_below(&sim->rng, tarn_array_count(kinds))]();
	else if (sim->blank)
		refuse_foreign();
}
