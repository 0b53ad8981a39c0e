/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdint.h>
#include <string.h>

#include "tarn/util.h"
#include "test/unit/common/ut.h"

/* RFC 3720, appendix B.4. */
static void
test_crc32c_of_the_rfcs_examples(void)
{
	uint8_t data[32];

	memset(data, 0, sizeof(data));
	CU_ASSERT_EQUAL(tarn_crc32c(0, data, sizeof(data)), 0x8a9136aa);
	memset(data, 0xff, sizeof(data));
	CU_ASSERT_EQUAL(tarn_crc32c(0, data, sizeof(data)), 0x62a8ab43);
	for (uint32_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)i;
	CU_ASSERT_EQUAL(tarn_crc32c(0, data, sizeof(data)), 0x46dd794e);
	for (uint32_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(31 - i);
	CU_ASSERT_EQUAL(tarn_crc32c(0, data, sizeof(data)), 0x113fdb5c);
	CU_ASSERT_EQUAL(tarn_crc32c(0, "123456789", 9), 0xe3069283);
}

static void
test_crc32c_goes_on_from_its_own_value_at_any_cut(void)
{
	uint8_t data[1000];
	uint32_t whole;

	for (uint32_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + i / 256);
	whole = tarn_crc32c(0, data, sizeof(data));
	for (uint32_t cut = 0; cut <= sizeof(data); cut++) {
		uint32_t head = tarn_crc32c(0, data, cut);

		CU_ASSERT_EQUAL(tarn_crc32c(head, data + cut, sizeof(data) - cut), whole);
	}
}

static void
test_crc32c_of_nothing_is_the_seed(void)
{
	CU_ASSERT_EQUAL(tarn_crc32c(0, "", 0), 0);
	CU_ASSERT_EQUAL(tarn_crc32c(0x12345678, "", 0), 0x12345678);
}

static void
test_crc32c_sees_every_flipped_bit(void)
{
	uint8_t data[512] = { 1, 2, 3 };
	uint32_t good = tarn_crc32c(0, data, sizeof(data));

	for (uint32_t bit = 0; bit < sizeof(data) * 8; bit++) {
		data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		CU_ASSERT_NOT_EQUAL(tarn_crc32c(0, data, sizeof(data)), good);
		data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

UT_SUITE(crc32c, NULL, NULL, UT_CASE(test_crc32c_of_the_rfcs_examples),
	 UT_CASE(test_crc32c_goes_on_from_its_own_value_at_any_cut),
	 UT_CASE(test_crc32c_of_nothing_is_the_seed), UT_CASE(test_crc32c_sees_every_flipped_bit));
