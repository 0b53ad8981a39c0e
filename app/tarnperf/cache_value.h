/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Keys, sizes and values of a cache load. A key's number gives its text and, where sizes vary, its
 * size; a value can be checked by itself: whose it is, of which store, and that it is whole.
 */
#define PERF_KEY_BYTES 16

/** Sixteen digits, without a NUL. */
void perf_key_fill(char key[PERF_KEY_BYTES], uint64_t number);

#define PERF_SIZE_COUNT_MAX 16

/* How large values are. */
struct perf_sizes {
	bool uniform; /* from size[0] to size[1]; otherwise each of the list alike */
	uint32_t count;
	uint64_t size[PERF_SIZE_COUNT_MAX]; /* bytes */
};
/** "4044", "100-8k" or "100,4k,64k". \return 0, -EINVAL or -ERANGE. */
int perf_sizes_parse(const char *text, struct perf_sizes *ret);
/** \return bytes of the value of that key. */
uint64_t perf_sizes_of(const struct perf_sizes *sizes, uint64_t number);
uint64_t perf_sizes_max(const struct perf_sizes *sizes);

/** buf has room for bytes rounded up to 8. */
void perf_value_fill(void *buf, uint64_t bytes, uint64_t number, uint64_t generation);
/** \return whether it is, whole, what some store of that key filled in. */
bool perf_value_check(const void *buf, uint64_t bytes, uint64_t number);
