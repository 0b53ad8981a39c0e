/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The medium. Invariants:
 *
 *	generation 0           what image holds is durable
 *	generation g           image holds write g; kept what was durable before
 *	generation g | LOST    the same, and no flush will change that: one failed, and let go of it
 *
 * volatile_map has each block of which a sector has a generation, and perhaps others.
 */
#include "device.h"

#include <string.h>

#include "tarn/util.h"

#define LOST UINT32_C(0x80000000)
#define SECTORS_PER_BLOCK (DEVICE_BLOCK / DEVICE_SECTOR)

/* How power loss chooses what is lost. */
enum loss {
	LOSS_ALL,
	LOSS_NONE,
	LOSS_SECTORS, /* each for itself */
	LOSS_WRITES,  /* each write as a whole */
	LOSS_NEWEST,  /* all from some write on */
	LOSS_OLDEST,  /* all up to some write */
	LOSS_ONE,     /* one write only, the others are there */
	LOSS_COUNT,
};

void
device_reset(struct device *device)
{
	for (uint64_t block = 0; block < DEVICE_BLOCKS_MAX; block++) {
		if (!device->touched[block])
			continue;
		memset(device->image + block * DEVICE_BLOCK, 0, DEVICE_BLOCK);
		memset(&device->generation[block * SECTORS_PER_BLOCK], 0,
		       SECTORS_PER_BLOCK * sizeof(device->generation[0]));
		device->durable_at[block] = 0;
		device->touched[block] = device->unreadable[block] = false;
	}
	memset(device->volatile_map, 0, sizeof(device->volatile_map));
	device->kept_free_count = device->kept_count = 0;
	memset(device, 0, offsetof(struct device, generation));
}

/* fn for each sector that is not durable, in order of place. */
static void
each_volatile(struct device *device, void (*fn)(struct device *device, uint64_t sector, void *arg),
	      void *arg)
{
	for (uint32_t word = 0; word < tarn_array_count(device->volatile_map); word++) {
		for (uint64_t left = device->volatile_map[word]; left != 0; left &= left - 1) {
			uint64_t bit = (uint64_t)__builtin_ctzll(left);
			uint64_t first = (word * UINT64_C(64) + bit) * SECTORS_PER_BLOCK;
			uint32_t still = 0;

			for (uint64_t i = first; i < first + SECTORS_PER_BLOCK; i++) {
				if (device->generation[i] != 0)
					fn(device, i, arg);
				still |= device->generation[i];
			}
			if (still == 0)
				device->volatile_map[word] &= ~(UINT64_C(1) << bit);
		}
	}
}

/* A sector is to be written to that is durable: keep what survives. */
static void
keep(struct device *device, uint64_t sector)
{
	uint32_t at = device->kept_free_count != 0 ? device->kept_free[--device->kept_free_count]
						   : device->kept_count++;

	device->kept_at[sector] = at;
	memcpy(device->kept[at], device->image + sector * DEVICE_SECTOR, DEVICE_SECTOR);
}

static void
make_durable(struct device *device, uint64_t sector)
{
	device->kept_free[device->kept_free_count++] = device->kept_at[sector];
	device->generation[sector] = 0;
	device->durable_at[sector / SECTORS_PER_BLOCK] = (uint32_t)device->flush_count;
}

static void
put_sector(struct device *device, uint64_t sector, const uint8_t *data)
{
	uint32_t before = device->generation[sector];
	uint64_t block = sector / SECTORS_PER_BLOCK;

	/* A flush under way has promised what is there now. */
	if (before != 0 && (before & LOST) == 0 && before <= device->flushing)
		make_durable(device, sector);
	if (device->generation[sector] == 0)
		keep(device, sector);
	device->touched[block] = true;
	device->unreadable[block] = false;
	device->volatile_map[block / 64] |= UINT64_C(1) << (block % 64);
	memcpy(device->image + sector * DEVICE_SECTOR, data, DEVICE_SECTOR);
	device->generation[sector] = (uint32_t)device->write_count;
}

typedef bool (*sector_fn)(struct device *device);

static bool
always(struct device *device)
{
	(void)device;
	return true;
}

static bool
sometimes(struct device *device)
{
	return rng_chance(&device->rng, 500);
}

static void
put(struct device *device, const struct iovec *iov, uint64_t offset_bytes, sector_fn fn, bool fua)
{
	const uint8_t *data = iov->iov_base;

	tarn_assert(offset_bytes % DEVICE_SECTOR == 0 && iov->iov_len % DEVICE_SECTOR == 0);
	for (uint64_t at = 0; at < iov->iov_len; at += DEVICE_SECTOR) {
		uint64_t sector = (offset_bytes + at) / DEVICE_SECTOR;

		if (!fn(device))
			continue;
		put_sector(device, sector, data + at);
		if (fua || !device->write_cache)
			make_durable(device, sector);
	}
}

static void
put_all(struct device *device, const struct iovec *iov, uint32_t iov_count, uint64_t offset_bytes,
	bool fua)
{
	device->write_count++;
	for (uint32_t i = 0; i < iov_count; i++) {
		tarn_assert(tarn_range_within(offset_bytes, iov[i].iov_len, device->size_bytes));
		put(device, &iov[i], offset_bytes, always, fua);
		offset_bytes += iov[i].iov_len;
	}
}

void
device_write(struct device *device, const struct iovec *iov, uint32_t iov_count,
	     uint64_t offset_bytes, bool fua)
{
	put_all(device, iov, iov_count, offset_bytes, fua);
}

void
device_tear(struct device *device, const struct iovec *iov, uint32_t iov_count,
	    uint64_t offset_bytes)
{
	sector_fn fn = rng_chance(&device->rng, 300) ? always : sometimes;

	if (rng_chance(&device->rng, 300))
		return; /* not at all */
	device->write_count++;
	for (uint32_t i = 0; i < iov_count; i++) {
		put(device, &iov[i], offset_bytes, fn, false);
		offset_bytes += iov[i].iov_len;
	}
}

void
device_zero(struct device *device, uint64_t offset_bytes, uint64_t length_bytes)
{
	static uint8_t zeroes[DEVICE_BLOCK];

	while (length_bytes != 0) {
		struct iovec iov = { zeroes, tarn_min_u64(length_bytes, sizeof(zeroes)) };

		put_all(device, &iov, 1, offset_bytes, false);
		offset_bytes += iov.iov_len;
		length_bytes -= iov.iov_len;
	}
}

bool
device_read(const struct device *device, const struct iovec *iov, uint32_t iov_count,
	    uint64_t offset_bytes)
{
	bool readable = true;

	for (uint32_t i = 0; i < iov_count; i++) {
		tarn_assert(tarn_range_within(offset_bytes, iov[i].iov_len, device->size_bytes));
		memcpy(iov[i].iov_base, device->image + offset_bytes, iov[i].iov_len);
		for (uint64_t at = 0; at < iov[i].iov_len; at += DEVICE_SECTOR)
			readable &= !device->unreadable[(offset_bytes + at) / DEVICE_BLOCK];
		offset_bytes += iov[i].iov_len;
	}
	return readable;
}

/* --- Flush --- */

uint64_t
device_flush_begin(struct device *device)
{
	device->flushing_count++;
	device->flushing = device->write_count;
	return device->write_count;
}

static void
flush_over(struct device *device)
{
	if (--device->flushing_count == 0)
		device->flushing = 0;
}

/* What a flush does to the sectors. */
struct flush {
	uint64_t covers;
	bool any;
};

static bool
is_covered(const struct device *device, uint64_t sector, const struct flush *flush)
{
	uint32_t generation = device->generation[sector];

	return (generation & LOST) == 0 && generation <= flush->covers;
}

static void
flush_sector(struct device *device, uint64_t sector, void *arg)
{
	struct flush *flush = arg;

	if (!is_covered(device, sector, flush))
		return;
	make_durable(device, sector);
	flush->any = true;
}

void
device_flush_end(struct device *device, uint64_t covers)
{
	struct flush flush = { .covers = covers };

	device->flush_count++;
	each_volatile(device, flush_sector, &flush);
	if (!flush.any)
		device->flush_count--;
	flush_over(device);
}

static void
fail_sector(struct device *device, uint64_t sector, void *arg)
{
	if (!is_covered(device, sector, arg))
		return;
	switch (rng_below(&device->rng, 3)) {
	case 0:
		make_durable(device, sector);
		break;
	case 1:
		device->generation[sector] |= LOST;
		break;
	default:
		break;
	}
}

void
device_flush_fail(struct device *device, uint64_t covers)
{
	struct flush flush = { .covers = covers };

	each_volatile(device, fail_sector, &flush);
	flush_over(device);
}

/* --- Power --- */

static bool
is_lost(struct device *device, enum loss loss, uint32_t generation, uint64_t pivot)
{
	if ((generation & LOST) != 0)
		return true;
	switch (loss) {
	case LOSS_ALL:
		return true;
	case LOSS_NONE:
		return false;
	case LOSS_SECTORS:
		return rng_chance(&device->rng, 500);
	case LOSS_WRITES:
		return ((generation * UINT64_C(0x9e3779b97f4a7c15)) >> 40 & 1) == (pivot & 1);
	case LOSS_NEWEST:
		return generation >= pivot;
	case LOSS_OLDEST:
		return generation <= pivot;
	default:
		return generation == pivot;
	}
}

struct power {
	enum loss loss;
	uint64_t pivot, seen; /* some write of which a sector is not durable; of how many sectors */
};

static void
choose_pivot(struct device *device, uint64_t sector, void *arg)
{
	struct power *power = arg;

	if (rng_below(&device->rng, ++power->seen) == 0)
		power->pivot = device->generation[sector] & ~LOST;
}

static void
lose_sector(struct device *device, uint64_t sector, void *arg)
{
	const struct power *power = arg;
	uint64_t at = sector * DEVICE_SECTOR;

	if (is_lost(device, power->loss, device->generation[sector], power->pivot))
		memcpy(device->image + at, device->kept[device->kept_at[sector]], DEVICE_SECTOR);
	make_durable(device, sector);
}

void
device_power_loss(struct device *device)
{
	struct power power = { .loss = (enum loss)rng_below(&device->rng, LOSS_COUNT) };

	each_volatile(device, choose_pivot, &power);
	each_volatile(device, lose_sector, &power);
	device->flushing = 0;
	device->flushing_count = 0;
}

uint64_t
device_corrupt(struct device *device, uint64_t from_bytes, uint64_t to_bytes, uint32_t flushes)
{
	uint64_t from = from_bytes / DEVICE_BLOCK, to = to_bytes / DEVICE_BLOCK;
	uint64_t found = UINT64_MAX, seen = 0, at;
	uint8_t bit;

	for (uint64_t block = from; block < to; block++)
		if (device->touched[block] &&
		    device->durable_at[block] + flushes <= device->flush_count &&
		    device->generation[block * SECTORS_PER_BLOCK] == 0 &&
		    rng_below(&device->rng, ++seen) == 0)
			found = block;
	if (found == UINT64_MAX)
		return found;
	at = found * DEVICE_BLOCK + rng_below(&device->rng, DEVICE_BLOCK);
	if (rng_chance(&device->rng, 400)) {
		device->unreadable[found] = true;
		return at / DEVICE_SECTOR * DEVICE_SECTOR;
	}
	bit = (uint8_t)(1u << rng_below(&device->rng, 8));
	device->image[at] ^= bit;
	return at / DEVICE_SECTOR * DEVICE_SECTOR;
}
