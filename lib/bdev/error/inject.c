/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The rules of an error device. Shares are drawn from a fixed seed, so that a test sees the same
 * each time.
 */
#include <string.h>

#include "lib/bdev/error/inject.h"
#include "tarn/util.h"

#define SEED UINT64_C(0x9e3779b97f4a7c15)
#define PPM 1000000

void
inject_init(struct inject *inject)
{
	memset(inject, 0, sizeof(*inject));
	pthread_mutex_init(&inject->lock, NULL);
}

void
inject_fini(struct inject *inject)
{
	pthread_mutex_destroy(&inject->lock);
}

void
inject_set(struct inject *inject, const struct tarn_bdev_error_inject *wanted)
{
	unsigned int active_count = 0;

	pthread_mutex_lock(&inject->lock);
	for (int op = 0; op < TARN_IO_OP_COUNT; op++) {
		struct inject_rule *rule = &inject->rule[op];

		if (wanted->op < 0 || wanted->op == op) {
			rule->inject = *wanted;
			rule->random = SEED;
		}
		if (rule->inject.type != TARN_ERROR_NONE)
			active_count++;
	}
	atomic_store(&inject->active_count, active_count);
	atomic_fetch_add(&inject->generation, 1);
	pthread_mutex_unlock(&inject->lock);
}

/* xorshift64 (Marsaglia, "Xorshift RNGs", 2003). */
static uint64_t
next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static bool
concerns(const struct tarn_bdev_error_inject *inject, const struct tarn_io *io,
	 uint32_t inflight_count)
{
	if (inject->type == TARN_ERROR_NONE || inject->count == 0)
		return false;
	if (inject->queue_depth != 0 && inflight_count < inject->queue_depth)
		return false;
	if (inject->length_bytes == 0 || io->op == TARN_IO_FLUSH)
		return true;
	/* Not by the range's end: one that goes on "for ever" has none that a number holds. */
	if (io->offset_bytes >= inject->offset_bytes)
		return io->offset_bytes - inject->offset_bytes < inject->length_bytes;
	return inject->offset_bytes - io->offset_bytes < io->length_bytes;
}

static bool
apply(struct inject_rule *rule, const struct tarn_io *io, uint32_t inflight_count)
{
	struct tarn_bdev_error_inject *inject = &rule->inject;

	if (!concerns(inject, io, inflight_count))
		return false;
	if (inject->skip_count > 0) {
		inject->skip_count--;
		return false;
	}
	if (inject->share_ppm != 0 && next_random(&rule->random) % PPM >= inject->share_ppm)
		return false;
	if (inject->count != UINT64_MAX)
		inject->count--;
	return true;
}

enum tarn_error_type
inject_take(struct inject *inject, const struct tarn_io *io, uint32_t inflight_count,
	    struct tarn_bdev_error_inject *ret_rule)
{
	struct inject_rule *rule = &inject->rule[io->op];
	enum tarn_error_type type = TARN_ERROR_NONE;

	if (atomic_load(&inject->active_count) == 0)
		return type;
	pthread_mutex_lock(&inject->lock);
	if (apply(rule, io, inflight_count)) {
		*ret_rule = rule->inject;
		type = rule->inject.type;
	}
	pthread_mutex_unlock(&inject->lock);
	return type;
}

bool
inject_still_pending(struct inject *inject, enum tarn_io_op op)
{
	bool pending;

	pthread_mutex_lock(&inject->lock);
	pending = inject->rule[op].inject.type == TARN_ERROR_PENDING;
	pthread_mutex_unlock(&inject->lock);
	return pending;
}
