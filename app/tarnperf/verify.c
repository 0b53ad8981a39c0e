/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The map behind --verify. Four bytes per block, from calloc, so that what is never touched costs
 * no memory. A generation that would overflow its 31 bits starts again at 1.
 */
#include "verify.h"

#include <errno.h>
#include <stdlib.h>

#include "tarn/util.h"

#define IN_FLIGHT 1u

int
perf_verify_init(struct perf_verify *verify, uint64_t block_count)
{
	verify->state = calloc(block_count, sizeof(*verify->state));
	verify->block_count = block_count;
	verify->cursor = 0;
	return verify->state != NULL ? 0 : -ENOMEM;
}

void
perf_verify_fini(struct perf_verify *verify)
{
	free(verify->state);
	verify->state = NULL;
}

uint64_t
perf_verify_take(struct perf_verify *verify, uint64_t block)
{
	for (uint64_t tries = 0; tries < verify->block_count; tries++) {
		if (!(verify->state[block] & IN_FLIGHT)) {
			verify->state[block] |= IN_FLIGHT;
			return block;
		}
		block = block + 1 < verify->block_count ? block + 1 : 0;
	}
	tarn_assert(!"a block that is not in flight");
	return 0;
}

void
perf_verify_put(struct perf_verify *verify, uint64_t block)
{
	tarn_assert(verify->state[block] & IN_FLIGHT);
	verify->state[block] &= ~IN_FLIGHT;
}

uint32_t
perf_verify_generation(const struct perf_verify *verify, uint64_t block)
{
	return verify->state[block] >> 1;
}

uint32_t
perf_verify_bump(struct perf_verify *verify, uint64_t block)
{
	uint32_t generation = (verify->state[block] >> 1) + 1;

	if (generation > INT32_MAX)
		generation = 1;
	verify->state[block] = generation << 1 | (verify->state[block] & IN_FLIGHT);
	return generation;
}

void
perf_verify_forget(struct perf_verify *verify, uint64_t block)
{
	verify->state[block] &= IN_FLIGHT;
}

bool
perf_verify_walk(struct perf_verify *verify, uint64_t *ret_block)
{
	for (; verify->cursor < verify->block_count; verify->cursor++) {
		if (verify->state[verify->cursor] >> 1 != 0) {
			*ret_block = verify->cursor++;
			return true;
		}
	}
	return false;
}
