/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

/*
 * Small helpers that every folder uses: assertions, arithmetic, list additions. No state, any
 * thread.
 */

/** Report a broken invariant on stderr and abort(). What tarn_assert() calls. */
void tarn_panic(const char *file, int line, const char *func, const char *what)
    __attribute__((noreturn, cold));

/**
 * An invariant of tarn's own; stays in release builds. Bad input is an error, never an assertion.
 */
#define tarn_assert(cond)                                                                          \
	((__builtin_expect(!(cond), 0)) ? tarn_panic(__FILE__, __LINE__, __func__, #cond) : (void)0)

#define tarn_likely(cond) __builtin_expect(!!(cond), 1)
#define tarn_unlikely(cond) __builtin_expect(!!(cond), 0)

#define tarn_container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
#define tarn_array_count(array) (sizeof(array) / sizeof((array)[0]))
#define TARN_CACHE_LINE_BYTES 64

/* What a user asks for; auto: where it is to be had. */
enum tarn_tristate { TARN_OFF, TARN_ON, TARN_AUTO };

/* glibc's <sys/queue.h> lacks the variant that allows removal of the current element. */
#define TARN_TAILQ_FOREACH_SAFE(var, head, field, next)                                            \
	for ((var) = TAILQ_FIRST(head); (var) != NULL && ((next) = TAILQ_NEXT(var, field), true);  \
	     (var) = (next))

static inline uint64_t
tarn_min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t
tarn_max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static inline bool
tarn_is_pow2(uint64_t value)
{
	return value != 0 && (value & (value - 1)) == 0;
}

/** Round up to a multiple of align, a power of two. The caller knows that it does not overflow. */
static inline uint64_t
tarn_align_up(uint64_t value, uint64_t align)
{
	return (value + align - 1) & ~(align - 1);
}

/** Smallest power of two that is at least value (1 to 2^63). */
static inline uint64_t
tarn_ceil_pow2(uint64_t value)
{
	return value <= 1 ? 1 : UINT64_C(1) << (64 - __builtin_clzll(value - 1));
}

/** \return whether [offset, offset + length) lies within [0, size), without overflow. */
static inline bool
tarn_range_within(uint64_t offset, uint64_t length, uint64_t size)
{
	return length <= size && offset <= size - length;
}

/** \return a * b, or UINT64_MAX where that overflows. */
static inline uint64_t
tarn_mul_sat(uint64_t a, uint64_t b)
{
	uint64_t product;

	return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

/**
 * CRC32C (Castagnoli, RFC 3720 appendix B.4), by ISA-L.
 * \param seed  0, or the value returned for the bytes before these.
 */
uint32_t tarn_crc32c(uint32_t seed, const void *data, size_t length_bytes);

/**
 * Copy src with its NUL into dst, cutting it where dst is too small.
 * \return 0, or -ENAMETOOLONG when it was cut.
 */
int tarn_strcpy(char *dst, size_t dst_bytes, const char *src);
