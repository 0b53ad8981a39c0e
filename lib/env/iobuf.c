/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Buffers in chunks of the I/O memory region.
 *
 *   thread cache   a stack of free buffers for each size class, no lock
 *   pool           for each class: the chunks cut into that size with free buffers, under a lock
 *   region         chunks (iomem.c): for the pools, and as runs for buffers of more than 1 MiB
 *
 * Nothing is written into a free buffer: which ones are free stands in bitmaps beside the chunks,
 * so that memory is not touched before its user does, and a chunk whose buffers all came back can
 * serve another size. One byte per 4 KiB says whether a buffer that starts there is out; it
 * catches what is put twice.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "internal.h"
#include "tarn/util.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(addr, bytes) ((void)(addr), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(addr, bytes) ((void)(addr), (void)(bytes))
#endif

#define PAGE_SHIFT 12
#define CLASS_COUNT 9 /* 4 KiB to 1 MiB */
#define CLASS_BYTES_MAX ((size_t)1 << (PAGE_SHIFT + CLASS_COUNT - 1))
#define CACHE_COUNT_MAX 128
#define CACHE_BYTES_MAX ((size_t)1 << 20) /* for each class and thread, but at least two buffers */
#define CHUNK_PAGE_COUNT (1u << (TARN_IOMEM_CHUNK_SHIFT - PAGE_SHIFT))

enum chunk_kind {
	CHUNK_KIND_NONE, /* not handed out, or inside a run */
	CHUNK_KIND_RUN,	 /* first of a run */
	CHUNK_KIND_CLASS /* this and above: cut into buffers of class kind - CHUNK_KIND_CLASS */
};

struct chunk {
	uint8_t kind;
	uint32_t free_count; /* buffers in the pool; CLASS only */
	uint32_t run_count;  /* chunks of the run; RUN only */
	uint64_t free_bits[CHUNK_PAGE_COUNT / 64];
	TAILQ_ENTRY(chunk) link; /* in its pool, while free_count > 0 */
};

struct pool {
	_Alignas(TARN_CACHE_LINE_BYTES) pthread_mutex_t lock;
	TAILQ_HEAD(, chunk) chunks;
	uint32_t free_count;
};

struct thread_cache {
	uint32_t count[CLASS_COUNT];
	void *buf[CLASS_COUNT][CACHE_COUNT_MAX];
};

static struct {
	uint8_t *base;
	uint64_t size_bytes;
	uint8_t *out; /* for each page: a buffer that starts here was handed out */
	struct chunk *chunks;
	struct pool pools[CLASS_COUNT];
} iobuf;

static __thread struct thread_cache thread_cache;

static inline uint32_t
class_shift(uint32_t class_index)
{
	return PAGE_SHIFT + class_index;
}

static inline uint32_t
class_cache_count(uint32_t class_index)
{
	size_t count = CACHE_BYTES_MAX >> class_shift(class_index);

	return count > CACHE_COUNT_MAX ? CACHE_COUNT_MAX : count < 2 ? 2 : (uint32_t)count;
}

static inline uint32_t
class_of(size_t length_bytes)
{
	if (length_bytes <= (size_t)1 << PAGE_SHIFT)
		return 0;
	return 64 - PAGE_SHIFT - (uint32_t)__builtin_clzll(length_bytes - 1);
}

int
env_iobuf_init(uint32_t chunk_count)
{
	iobuf.chunks = calloc(chunk_count, sizeof(*iobuf.chunks));
	iobuf.out = calloc(chunk_count, CHUNK_PAGE_COUNT);
	if (iobuf.chunks == NULL || iobuf.out == NULL) {
		free(iobuf.chunks);
		free(iobuf.out);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < CLASS_COUNT; i++) {
		pthread_mutex_init(&iobuf.pools[i].lock, NULL);
		TAILQ_INIT(&iobuf.pools[i].chunks);
		iobuf.pools[i].free_count = 0;
	}
	iobuf.base = tarn_iomem_chunk_addr(0);
	iobuf.size_bytes = (uint64_t)chunk_count << TARN_IOMEM_CHUNK_SHIFT;
	return 0;
}

void
env_iobuf_fini(void)
{
	/* The addresses may be mapped anew, for others. */
	ASAN_UNPOISON_MEMORY_REGION(iobuf.base, iobuf.size_bytes);
	for (uint32_t i = 0; i < CLASS_COUNT; i++)
		pthread_mutex_destroy(&iobuf.pools[i].lock);
	free(iobuf.chunks);
	free(iobuf.out);
	iobuf.chunks = NULL;
	iobuf.out = NULL;
	iobuf.size_bytes = 0;
}

/* Under the pool's lock; all of the chunk's buffers are in the pool. */
static void
pool_shrink(struct pool *pool, struct chunk *chunk)
{
	TAILQ_REMOVE(&pool->chunks, chunk, link);
	pool->free_count -= chunk->free_count;
	chunk->kind = CHUNK_KIND_NONE;
	env_chunks_put(tarn_iomem_chunk_addr((uint32_t)(chunk - iobuf.chunks)), 1);
}

/*
 * Return the spare chunks of all pools to the region. A pool that is in use, perhaps by this
 * thread, is passed over: waiting for it could be a deadlock.
 */
static void
release_spares(void)
{
	for (uint32_t i = 0; i < CLASS_COUNT; i++) {
		uint32_t buf_count = CHUNK_PAGE_COUNT >> i;
		struct pool *pool = &iobuf.pools[i];
		struct chunk *chunk, *next;

		if (pthread_mutex_trylock(&pool->lock) != 0)
			continue;
		TARN_TAILQ_FOREACH_SAFE (chunk, &pool->chunks, link, next) {
			if (chunk->free_count == buf_count)
				pool_shrink(pool, chunk);
		}
		pthread_mutex_unlock(&pool->lock);
	}
}

static uint8_t *
chunks_get(uint32_t count)
{
	uint8_t *addr = env_chunks_get(count);

	if (addr != NULL)
		return addr;
	release_spares();
	return env_chunks_get(count);
}

/* Under the pool's lock. */
static bool
pool_grow(struct pool *pool, uint32_t class_index)
{
	uint32_t buf_count = CHUNK_PAGE_COUNT >> class_index;
	struct chunk *chunk;
	uint8_t *addr;

	addr = chunks_get(1);
	if (addr == NULL)
		return false;
	ASAN_POISON_MEMORY_REGION(addr, TARN_IOMEM_CHUNK_BYTES);
	chunk = &iobuf.chunks[(addr - iobuf.base) >> TARN_IOMEM_CHUNK_SHIFT];
	chunk->kind = (uint8_t)(CHUNK_KIND_CLASS + class_index);
	chunk->free_count = buf_count;
	memset(chunk->free_bits, 0, sizeof(chunk->free_bits));
	for (uint32_t i = 0; i < buf_count; i++)
		chunk->free_bits[i / 64] |= UINT64_C(1) << (i % 64);
	TAILQ_INSERT_HEAD(&pool->chunks, chunk, link);
	pool->free_count += buf_count;
	return true;
}

/* Under the pool's lock; the pool is not empty. */
static void *
pool_take(struct pool *pool, uint32_t class_index)
{
	struct chunk *chunk = TAILQ_FIRST(&pool->chunks);
	uint64_t start = (uint64_t)(chunk - iobuf.chunks) << TARN_IOMEM_CHUNK_SHIFT;
	uint32_t word = 0, bit;

	while (chunk->free_bits[word] == 0)
		word++;
	bit = (uint32_t)__builtin_ctzll(chunk->free_bits[word]);
	chunk->free_bits[word] &= chunk->free_bits[word] - 1;
	chunk->free_count--;
	pool->free_count--;
	if (chunk->free_count == 0)
		TAILQ_REMOVE(&pool->chunks, chunk, link);
	return iobuf.base + start + ((uint64_t)(word * 64 + bit) << class_shift(class_index));
}

/* Under the pool's lock. */
static void
pool_give(struct pool *pool, uint32_t class_index, void *buf)
{
	uint64_t offset = (uint64_t)((uint8_t *)buf - iobuf.base);
	struct chunk *chunk = &iobuf.chunks[offset >> TARN_IOMEM_CHUNK_SHIFT];
	uint32_t bit =
	    (uint32_t)((offset & (TARN_IOMEM_CHUNK_BYTES - 1)) >> class_shift(class_index));
	uint32_t buf_count = CHUNK_PAGE_COUNT >> class_index;

	chunk->free_bits[bit / 64] |= UINT64_C(1) << (bit % 64);
	if (chunk->free_count++ == 0)
		TAILQ_INSERT_TAIL(&pool->chunks, chunk, link);
	pool->free_count++;
	/*
	 * One spare chunk stays, so that a user at the edge does not take and return one all the
	 * time.
	 */
	if (chunk->free_count < buf_count || pool->free_count < 2 * buf_count)
		return;
	pool_shrink(pool, chunk);
}

static bool __attribute__((noinline)) cache_fill(uint32_t class_index)
{
	struct pool *pool = &iobuf.pools[class_index];
	uint32_t wanted = class_cache_count(class_index) / 2, got = 0;

	if (iobuf.chunks == NULL)
		return false; /* tarn_env_init() was not called */
	pthread_mutex_lock(&pool->lock);
	while (got < wanted && (pool->free_count > 0 || pool_grow(pool, class_index)))
		thread_cache.buf[class_index][got++] = pool_take(pool, class_index);
	pthread_mutex_unlock(&pool->lock);
	thread_cache.count[class_index] = got;
	return got > 0;
}

/*
 * Return the `count` buffers that were put longest ago; the youngest are still in the CPU's cache.
 */
static void __attribute__((noinline)) cache_drain(uint32_t class_index, uint32_t count)
{
	struct pool *pool = &iobuf.pools[class_index];
	void **buf = thread_cache.buf[class_index];

	pthread_mutex_lock(&pool->lock);
	for (uint32_t i = 0; i < count; i++)
		pool_give(pool, class_index, buf[i]);
	pthread_mutex_unlock(&pool->lock);
	thread_cache.count[class_index] -= count;
	memmove(buf, buf + count, thread_cache.count[class_index] * sizeof(*buf));
}

static void *
run_get(size_t length_bytes)
{
	uint64_t count;
	struct chunk *chunk;
	uint8_t *addr;

	if (length_bytes > iobuf.size_bytes)
		return NULL;
	count = tarn_align_up(length_bytes, TARN_IOMEM_CHUNK_BYTES) >> TARN_IOMEM_CHUNK_SHIFT;
	addr = chunks_get((uint32_t)count);
	if (addr == NULL)
		return NULL;
	chunk = &iobuf.chunks[(addr - iobuf.base) >> TARN_IOMEM_CHUNK_SHIFT];
	chunk->kind = CHUNK_KIND_RUN;
	chunk->run_count = (uint32_t)count;
	iobuf.out[(addr - iobuf.base) >> PAGE_SHIFT] = 1;
	ASAN_POISON_MEMORY_REGION(addr, count << TARN_IOMEM_CHUNK_SHIFT);
	ASAN_UNPOISON_MEMORY_REGION(addr, length_bytes);
	return addr;
}

static void
run_put(struct chunk *chunk, void *buf)
{
	uint32_t count = chunk->run_count;

	tarn_assert(buf == tarn_iomem_chunk_addr((uint32_t)(chunk - iobuf.chunks)));
	ASAN_POISON_MEMORY_REGION(buf, (uint64_t)count << TARN_IOMEM_CHUNK_SHIFT);
	chunk->kind = CHUNK_KIND_NONE;
	env_chunks_put(buf, count);
}

void *
tarn_iobuf_get(size_t length_bytes)
{
	uint32_t class_index;
	uint8_t *buf;

	if (tarn_unlikely(length_bytes > CLASS_BYTES_MAX))
		return run_get(length_bytes);
	if (tarn_unlikely(length_bytes == 0))
		return NULL;
	class_index = class_of(length_bytes);
	if (tarn_unlikely(thread_cache.count[class_index] == 0) && !cache_fill(class_index))
		return NULL;
	buf = thread_cache.buf[class_index][--thread_cache.count[class_index]];
	iobuf.out[(uint64_t)(buf - iobuf.base) >> PAGE_SHIFT] = 1;
	ASAN_UNPOISON_MEMORY_REGION(buf, length_bytes);
	return buf;
}

void
tarn_iobuf_put(void *buf)
{
	uint64_t offset = (uint64_t)((uintptr_t)buf - (uintptr_t)iobuf.base);
	uint32_t class_index;
	struct chunk *chunk;

	if (buf == NULL)
		return;
	tarn_assert(offset < iobuf.size_bytes);
	tarn_assert((offset & ((1u << PAGE_SHIFT) - 1)) == 0 && iobuf.out[offset >> PAGE_SHIFT]);
	iobuf.out[offset >> PAGE_SHIFT] = 0;
	chunk = &iobuf.chunks[offset >> TARN_IOMEM_CHUNK_SHIFT];
	if (tarn_unlikely(chunk->kind < CHUNK_KIND_CLASS)) {
		run_put(chunk, buf);
		return;
	}
	class_index = chunk->kind - CHUNK_KIND_CLASS;
	ASAN_POISON_MEMORY_REGION(buf, (size_t)1 << class_shift(class_index));
	if (tarn_unlikely(thread_cache.count[class_index] == class_cache_count(class_index)))
		cache_drain(class_index, class_cache_count(class_index) / 2);
	thread_cache.buf[class_index][thread_cache.count[class_index]++] = buf;
}

void
tarn_iobuf_thread_flush(void)
{
	for (uint32_t i = 0; i < CLASS_COUNT; i++)
		if (thread_cache.count[i] > 0)
			cache_drain(i, thread_cache.count[i]);
}
