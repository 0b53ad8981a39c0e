/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The checkable block. The filling differs from block to block and from write to write and does not
 * compress, so that neither a compressing device nor a deduplicating one makes it cheaper than real
 * data.
 */
#include "pattern.h"

#include <assert.h>
#include <string.h>

#include "random.h"
#include "tarn/util.h"

#define PATTERN_MAGIC UINT64_C(0x667265706e726174) /* "tarnperf", as a hex dump shows it */

struct pattern_block {
	uint64_t magic;
	uint64_t run;
	uint64_t offset_bytes;
	uint64_t generation;
	uint32_t crc32c; /* of the whole block with this field as zero */
	uint32_t reserved;
	uint64_t filling[59];
};
static_assert(sizeof(struct pattern_block) == PERF_PATTERN_BYTES, "a block of 512 bytes");

static uint32_t
block_crc(const struct pattern_block *block)
{
	static const uint32_t zero;
	uint32_t crc = tarn_crc32c(0, block, offsetof(struct pattern_block, crc32c));

	crc = tarn_crc32c(crc, &zero, sizeof(zero));
	return tarn_crc32c(crc, &block->reserved,
			   sizeof(*block) - offsetof(struct pattern_block, reserved));
}

void
perf_pattern_fill(void *buf, size_t length_bytes, const struct perf_pattern *pattern)
{
	struct pattern_block *block = buf;

	tarn_assert(length_bytes % sizeof(*block) == 0 &&
		    pattern->offset_bytes % sizeof(*block) == 0);
	for (size_t i = 0; i < length_bytes / sizeof(*block); i++, block++) {
		struct perf_random random;

		block->magic = PATTERN_MAGIC;
		block->run = pattern->run;
		block->offset_bytes = pattern->offset_bytes + i * sizeof(*block);
		block->generation = pattern->generation;
		block->reserved = 0;
		perf_random_init(&random,
				 pattern->run ^ (block->offset_bytes << 16) ^ pattern->generation);
		for (size_t j = 0; j < tarn_array_count(block->filling); j++)
			block->filling[j] = perf_random_next(&random);
		block->crc32c = block_crc(block);
	}
}

static enum perf_pattern_result
block_check(const struct pattern_block *block, uint64_t run, uint64_t generation,
	    struct perf_pattern_error *error)
{
	if (block->magic != PATTERN_MAGIC)
		return PERF_PATTERN_ABSENT;
	if (block->crc32c != block_crc(block))
		return PERF_PATTERN_DAMAGED;
	if (block->run != run) {
		error->expected = run;
		error->found = block->run;
		return PERF_PATTERN_OTHER_RUN;
	}
	if (block->offset_bytes != error->offset_bytes) {
		error->expected = error->offset_bytes;
		error->found = block->offset_bytes;
		return PERF_PATTERN_MISPLACED;
	}
	if (generation != PERF_PATTERN_ANY_GENERATION && block->generation != generation) {
		error->expected = generation;
		error->found = block->generation;
		return PERF_PATTERN_GENERATION;
	}
	return PERF_PATTERN_GOOD;
}

enum perf_pattern_result
perf_pattern_check(const void *buf, size_t length_bytes, const struct perf_pattern *pattern,
		   struct perf_pattern_error *ret_error)
{
	const struct pattern_block *block = buf;

	tarn_assert(length_bytes % sizeof(*block) == 0);
	for (size_t i = 0; i < length_bytes / sizeof(*block); i++) {
		struct perf_pattern_error error = {
			.offset_bytes = pattern->offset_bytes + i * sizeof(*block),
		};

		error.result = block_check(&block[i], pattern->run, pattern->generation, &error);
		if (error.result != PERF_PATTERN_GOOD) {
			*ret_error = error;
			return error.result;
		}
	}
	return PERF_PATTERN_GOOD;
}

const char *
perf_pattern_result_text(enum perf_pattern_result result)
{
	static const char *const texts[] = {
		[PERF_PATTERN_GOOD] = "good",
		[PERF_PATTERN_ABSENT] = "holds no data of this program",
		[PERF_PATTERN_DAMAGED] = "damaged: its checksum is wrong",
		[PERF_PATTERN_OTHER_RUN] = "of a run with another seed",
		[PERF_PATTERN_MISPLACED] = "of another place",
		[PERF_PATTERN_GENERATION] = "of another write to this place",
	};

	return texts[result];
}
