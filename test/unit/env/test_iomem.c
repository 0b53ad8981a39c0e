/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "tarn/env.h"
#include "tarn/util.h"
#include "test/unit/common/ut.h"

#define REGION_CHUNKS 8
#define CHUNK TARN_IOMEM_CHUNK_BYTES

static void
setup(void)
{
	const struct tarn_env_opts opts = { .iomem_bytes = REGION_CHUNKS * CHUNK - 5 };

	CU_ASSERT_EQUAL_FATAL(tarn_env_init(&opts), 0);
}

static void
teardown(void)
{
	tarn_env_fini();
}

static uint64_t
used_bytes(void)
{
	struct tarn_iomem_info info;

	tarn_iomem_get_info(&info);
	return info.used_bytes;
}

static void
test_the_region_is_rounded_up_to_chunks_and_unused_at_start(void)
{
	struct tarn_iomem_info info;

	tarn_iomem_get_info(&info);
	CU_ASSERT_EQUAL(info.size_bytes, REGION_CHUNKS * CHUNK);
	CU_ASSERT_EQUAL(info.used_bytes, 0);
	CU_ASSERT_EQUAL(tarn_iomem_chunk_count(), REGION_CHUNKS);
	CU_ASSERT_EQUAL(info.hugepages, info.reason == NULL);
}

static void
test_a_second_start_is_refused(void)
{
	CU_ASSERT_EQUAL(tarn_env_init(NULL), -EALREADY);
	CU_ASSERT_EQUAL(tarn_iomem_chunk_count(), REGION_CHUNKS);
}

static void
test_more_than_the_address_space_is_refused(void)
{
	const struct tarn_env_opts opts = { .iomem_bytes = UINT64_C(1) << 60 };

	tarn_env_fini();
	CU_ASSERT_EQUAL(tarn_env_init(&opts), -ENOMEM);
	setup();
}

static void
test_without_hugepages_the_reason_is_told(void)
{
	const struct tarn_env_opts opts = { .no_hugepages = true };
	struct tarn_iomem_info info;

	tarn_env_fini();
	CU_ASSERT_EQUAL_FATAL(tarn_env_init(&opts), 0);
	tarn_iomem_get_info(&info);
	CU_ASSERT_FALSE(info.hugepages);
	CU_ASSERT_PTR_NOT_NULL_FATAL(info.reason);
	CU_ASSERT_STRING_EQUAL(info.reason, "not asked for");
	CU_ASSERT_EQUAL(info.size_bytes, UINT64_C(1) << 30);
}

static void
test_buffers_of_every_size_are_aligned_writable_and_within_a_chunk(void)
{
	for (size_t length = 1; length <= CHUNK; length = length * 2 + 1) {
		uint8_t *buf = tarn_iobuf_get(length);
		uint64_t align = tarn_is_pow2(length) ? length : 1;

		CU_ASSERT_PTR_NOT_NULL_FATAL(buf);
		CU_ASSERT_EQUAL((uintptr_t)buf % tarn_max_u64(align, TARN_IOMEM_ALIGN), 0);
		CU_ASSERT_TRUE(tarn_iomem_chunk_index(buf, length) >= 0);
		memset(buf, 0xa5, length);
		tarn_iobuf_put(buf);
		tarn_iobuf_thread_flush();
	}
}

static void
test_buffers_of_a_power_of_two_are_aligned_to_it(void)
{
	for (size_t length = TARN_IOMEM_ALIGN; length <= 4 * CHUNK; length *= 2) {
		uint8_t *odd = tarn_iobuf_get(CHUNK), *buf = tarn_iobuf_get(length);

		CU_ASSERT_PTR_NOT_NULL_FATAL(buf);
		CU_ASSERT_EQUAL((uintptr_t)buf % length, 0);
		tarn_iobuf_put(buf);
		tarn_iobuf_put(odd);
		tarn_iobuf_thread_flush();
	}
}

static void
test_buffers_do_not_overlap(void)
{
	enum { COUNT = 1200 };
	uint32_t *bufs[COUNT];

	for (uint32_t i = 0; i < COUNT; i++) {
		bufs[i] = tarn_iobuf_get(4096 << (i % 3 == 0));
		CU_ASSERT_PTR_NOT_NULL_FATAL(bufs[i]);
		for (uint32_t at = 0; at < 1024; at++)
			bufs[i][at] = i;
	}
	for (uint32_t i = 0; i < COUNT; i++) {
		uint32_t wrong = 0;

		for (uint32_t at = 0; at < 1024; at++)
			wrong += bufs[i][at] != i;
		CU_ASSERT_EQUAL(wrong, 0);
		tarn_iobuf_put(bufs[i]);
	}
}

static void
test_the_whole_region_can_be_had_and_had_again_in_another_size(void)
{
	void *bufs[REGION_CHUNKS * 2];

	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < REGION_CHUNKS * 2; i++) {
			bufs[i] = tarn_iobuf_get(CHUNK / 2);
			CU_ASSERT_PTR_NOT_NULL(bufs[i]);
		}
		CU_ASSERT_PTR_NULL(tarn_iobuf_get(CHUNK / 2));
		CU_ASSERT_PTR_NULL(tarn_iobuf_get(4096));
		CU_ASSERT_PTR_NULL(tarn_iobuf_get(CHUNK));
		CU_ASSERT_EQUAL(used_bytes(), REGION_CHUNKS * CHUNK);
		for (int i = 0; i < REGION_CHUNKS * 2; i++)
			tarn_iobuf_put(bufs[i]);
		tarn_iobuf_thread_flush();
		/* One spare chunk stays with its class. */
		CU_ASSERT_TRUE(used_bytes() <= CHUNK);
		bufs[0] = tarn_iobuf_get((REGION_CHUNKS - 1) * CHUNK);
		CU_ASSERT_PTR_NOT_NULL(bufs[0]);
		tarn_iobuf_put(bufs[0]);
	}
}

static void
test_sizes_that_cannot_be_had_give_null(void)
{
	CU_ASSERT_PTR_NULL(tarn_iobuf_get(0));
	CU_ASSERT_PTR_NULL(tarn_iobuf_get(REGION_CHUNKS * CHUNK + 1));
	CU_ASSERT_PTR_NULL(tarn_iobuf_get(SIZE_MAX));
	tarn_iobuf_put(NULL);
}

static void
test_chunk_index_is_told_for_whole_ranges_of_one_chunk_only(void)
{
	uint8_t *start = tarn_iomem_chunk_addr(3);
	int outside;

	CU_ASSERT_EQUAL(tarn_iomem_chunk_index(start, CHUNK), 3);
	CU_ASSERT_EQUAL(tarn_iomem_chunk_index(start + CHUNK - 1, 1), 3);
	CU_ASSERT_EQUAL(tarn_iomem_chunk_index(start + 1, CHUNK), -1);
	CU_ASSERT_EQUAL(tarn_iomem_chunk_index(start, SIZE_MAX), -1);
	CU_ASSERT_EQUAL(tarn_iomem_chunk_index(start - 1, 1), 2);
	CU_ASSERT_EQUAL(tarn_iomem_chunk_index(&outside, 1), -1);
	CU_ASSERT_EQUAL(tarn_iomem_chunk_index(start + 5 * CHUNK, 1), -1);
}

static void
put_twice(void *arg)
{
	(void)arg;
	/* I/O memory is not inherited by a child, so it starts its own. */
	tarn_env_fini();
	if (tarn_env_init(NULL) == 0) {
		void *buf = tarn_iobuf_get(4096);

		tarn_iobuf_put(buf);
		tarn_iobuf_put(buf);
	}
}

static void
put_middle(void *arg)
{
	size_t length = *(size_t *)arg;

	tarn_env_fini();
	if (tarn_env_init(NULL) == 0)
		tarn_iobuf_put((uint8_t *)tarn_iobuf_get(length) + 4096);
}

static void
put_foreign(void *arg)
{
	tarn_iobuf_put(arg);
}

static void
test_putting_what_was_not_got_asserts(void)
{
	size_t small = 8192, large = 4 * CHUNK;
	int foreign;

	CU_ASSERT_TRUE(ut_aborts(put_twice, NULL));
	CU_ASSERT_TRUE(ut_aborts(put_middle, &small));
	CU_ASSERT_TRUE(ut_aborts(put_middle, &large));
	CU_ASSERT_TRUE(ut_aborts(put_foreign, &foreign));
}

UT_SUITE(iomem, setup, teardown,
	 UT_CASE(test_the_region_is_rounded_up_to_chunks_and_unused_at_start),
	 UT_CASE(test_a_second_start_is_refused),
	 UT_CASE(test_more_than_the_address_space_is_refused),
	 UT_CASE(test_without_hugepages_the_reason_is_told),
	 UT_CASE(test_buffers_of_every_size_are_aligned_writable_and_within_a_chunk),
	 UT_CASE(test_buffers_of_a_power_of_two_are_aligned_to_it),
	 UT_CASE(test_buffers_do_not_overlap),
	 UT_CASE(test_the_whole_region_can_be_had_and_had_again_in_another_size),
	 UT_CASE(test_sizes_that_cannot_be_had_give_null),
	 UT_CASE(test_chunk_index_is_told_for_whole_ranges_of_one_chunk_only),
	 UT_CASE(test_putting_what_was_not_got_asserts));
