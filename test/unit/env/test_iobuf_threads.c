/* SPDX-License-Identifier: BSD-3-Clause */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#include "tarn/env.h"
#include "test/unit/common/ut.h"

#define THREAD_COUNT 4
#define ROUND_COUNT 20000
#define SLOT_COUNT 64

/* Buffers on their way from one thread to another. */
static _Atomic(uint64_t *) slots[SLOT_COUNT];
static atomic_uint wrong_count, refused_count;

static void
setup(void)
{
	const struct tarn_env_opts opts = { .iomem_bytes = 64 * TARN_IOMEM_CHUNK_BYTES };

	CU_ASSERT_EQUAL_FATAL(tarn_env_init(&opts), 0);
	atomic_store(&wrong_count, 0);
	atomic_store(&refused_count, 0);
}

static void
teardown(void)
{
	tarn_env_fini();
}

static void
put_checked(uint64_t *buf)
{
	if (buf == NULL)
		return;
	if (buf[0] != (uintptr_t)buf)
		atomic_fetch_add(&wrong_count, 1);
	tarn_iobuf_put(buf);
}

/* Get a buffer, mark it, leave it in a slot, and put what another thread had left there. */
static void *
exchange(void *arg)
{
	unsigned int seed = (unsigned int)(uintptr_t)arg;

	for (int i = 0; i < ROUND_COUNT; i++) {
		size_t length = (size_t)4096 << (rand_r(&seed) % 5);
		uint64_t *buf = tarn_iobuf_get(length);

		if (buf == NULL)
			atomic_fetch_add(&refused_count, 1);
		else
			buf[0] = (uintptr_t)buf;
		put_checked(atomic_exchange(&slots[rand_r(&seed) % SLOT_COUNT], buf));
	}
	tarn_iobuf_thread_flush();
	return NULL;
}

static void
test_buffers_may_be_put_by_another_thread_and_none_is_lost(void)
{
	struct tarn_iomem_info info;
	pthread_t threads[THREAD_COUNT];

	for (uintptr_t i = 0; i < THREAD_COUNT; i++)
		CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, exchange, (void *)(i + 1)),
				      0);
	for (int i = 0; i < THREAD_COUNT; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < SLOT_COUNT; i++)
		put_checked(atomic_exchange(&slots[i], NULL));
	tarn_iobuf_thread_flush();
	CU_ASSERT_EQUAL(atomic_load(&wrong_count), 0);
	CU_ASSERT_EQUAL(atomic_load(&refused_count), 0);
	tarn_iomem_get_info(&info);
	/* All came back: no more than a spare chunk for each of the five sizes. */
	CU_ASSERT_TRUE(info.used_bytes <= 5 * TARN_IOMEM_CHUNK_BYTES);
}

UT_SUITE(iobuf_threads, setup, teardown,
	 UT_CASE(test_buffers_may_be_put_by_another_thread_and_none_is_lost));
