/* SPDX-License-Identifier: BSD-3-Clause */
/* Values: two words that say whose they are, then numbers that follow from these. */
#include "cache_value.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "opts_value.h"
#include "random.h"
#include "tarn/util.h"

#define VALUE_SIZE_MAX (UINT64_C(16) << 20)

void
perf_key_fill(char key[PERF_KEY_BYTES], uint64_t number)
{
	static const char digits[] = "0123456789abcdef";

	for (int i = PERF_KEY_BYTES - 1; i >= 0; i--, number >>= 4)
		key[i] = digits[number & 0xf];
}

int
perf_sizes_parse(const char *text, struct perf_sizes *ret)
{
	struct perf_sizes sizes = { 0 };
	char copy[256], *rest = copy, *word;

	if (tarn_strcpy(copy, sizeof(copy), text) != 0)
		return -EINVAL;
	sizes.uniform = strchr(copy, '-') != NULL;
	while ((word = strsep(&rest, sizes.uniform ? "-" : ",")) != NULL) {
		uint64_t size;
		int rc = perf_value_size(word, &size);

		if (rc != 0 || sizes.count == PERF_SIZE_COUNT_MAX)
			return rc != 0 ? rc : -ERANGE;
		if (size == 0 || size > VALUE_SIZE_MAX)
			return -ERANGE;
		sizes.size[sizes.count++] = size;
	}
	if (sizes.uniform && (sizes.count != 2 || sizes.size[0] > sizes.size[1]))
		return -EINVAL;
	*ret = sizes;
	return 0;
}

uint64_t
perf_sizes_of(const struct perf_sizes *sizes, uint64_t number)
{
	uint64_t mixed = perf_random_mix(number);

	if (sizes->uniform)
		return sizes->size[0] + mixed % (sizes->size[1] - sizes->size[0] + 1);
	return sizes->size[sizes->count == 1 ? 0 : mixed % sizes->count];
}

uint64_t
perf_sizes_max(const struct perf_sizes *sizes)
{
	uint64_t max = 0;

	for (uint32_t i = 0; i < sizes->count; i++)
		max = tarn_max_u64(max, sizes->size[i]);
	return max;
}

void
perf_value_fill(void *buf, uint64_t bytes, uint64_t number, uint64_t generation)
{
	uint64_t *words = buf;
	struct perf_random random;

	perf_random_init(&random, number ^ perf_random_mix(generation));
	for (uint64_t i = 0; i < (bytes + 7) / 8; i++)
		words[i] = i == 0 ? number : i == 1 ? generation : perf_random_next(&random);
}

bool
perf_value_check(const void *buf, uint64_t bytes, uint64_t number)
{
	const uint8_t *at = buf;
	uint64_t word[2] = { number, 0 };
	struct perf_random random;

	if (memcmp(at, word, tarn_min_u64(bytes, 8)) != 0)
		return false;
	if (bytes < sizeof(word))
		return true;
	memcpy(word, at, sizeof(word));
	perf_random_init(&random, number ^ perf_random_mix(word[1]));
	for (uint64_t i = sizeof(word); i < bytes; i += 8) {
		uint64_t expected = perf_random_next(&random);

		if (memcmp(at + i, &expected, tarn_min_u64(8, bytes - i)) != 0)
			return false;
	}
	return true;
}
