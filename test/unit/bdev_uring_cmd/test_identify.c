/* SPDX-License-Identifier: BSD-3-Clause */
/* What devices, broken ones too, say of themselves. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bdev/uring_cmd/identify.h"
#include "test/unit/common/ut.h"

#define NAME "/dev/ng9n9"

static uint8_t ns[NVME_IDENTIFY_BYTES], controller[NVME_IDENTIFY_BYTES];
static struct nvme_identity identity;

static void
put_le(uint8_t *at, uint64_t value, size_t length)
{
	for (size_t i = 0; i < length; i++)
		at[i] = (uint8_t)(value >> (8 * i));
}

static void
format_put(unsigned int index, unsigned int metadata_bytes, uint8_t shift)
{
	put_le(ns + 128 + (size_t)index * 4, metadata_bytes, 2);
	ns[128 + index * 4 + 2] = shift;
}

/* As the specification wants it: no NUL, blanks at the end. */
static void
text_put(size_t offset, size_t length, const char *text)
{
	for (size_t i = 0; i < length; i++)
		controller[offset + i] = (uint8_t)(*text != '\0' ? *text++ : ' ');
}

/* A good device of 1 GiB in blocks of 4 KiB, which is the second of its two formats. */
static void
start(void)
{
	memset(ns, 0, sizeof(ns));
	memset(controller, 0, sizeof(controller));
	put_le(ns, 262144, 8);
	ns[25] = 1; /* NLBAF */
	ns[26] = 1; /* FLBAS */
	format_put(0, 8, 9);
	format_put(1, 0, 12);
	text_put(4, 20, "S4EVNX0R123456");
	text_put(24, 40, "A drive");
	text_put(64, 8, "2B2QEXE7");
	controller[77] = 7;
	put_le(controller + 520, 0x0c, 2);
	controller[525] = 1;
}

static int
parse(struct tarn_reason *reason)
{
	memset(&identity, 0x5a, sizeof(identity));
	return nvme_identity_parse(NAME, ns, controller, &identity, reason);
}

static void
refused(const char *says)
{
	struct tarn_reason reason = { "" };

	CU_ASSERT_EQUAL(parse(&reason), -EINVAL);
	if (strstr(reason.text, says) == NULL)
		(void)fprintf(stderr, "no \"%s\" in: %s\n", says, reason.text);
	CU_ASSERT_PTR_NOT_NULL(strstr(reason.text, says));
	CU_ASSERT_EQUAL(strncmp(reason.text, NAME, strlen(NAME)), 0);
	CU_ASSERT_EQUAL(identity.mdts, 0x5a); /* the output is untouched */
}

static void
test_a_good_device_is_understood(void)
{
	for (uint8_t i = 0; i < 16; i++)
		ns[104 + i] = i;
	CU_ASSERT_EQUAL_FATAL(parse(NULL), 0);
	CU_ASSERT_EQUAL(identity.size_blocks, 262144);
	CU_ASSERT_EQUAL(identity.block_shift, 12);
	CU_ASSERT_EQUAL(identity.mdts, 7);
	CU_ASSERT(identity.write_cache && identity.has_dsm && identity.has_write_zeroes);
	CU_ASSERT_STRING_EQUAL(identity.serial, "S4EVNX0R123456");
	CU_ASSERT_STRING_EQUAL(identity.model, "A drive");
	CU_ASSERT_STRING_EQUAL(identity.firmware, "2B2QEXE7");
	CU_ASSERT_STRING_EQUAL(identity.nguid, "000102030405060708090a0b0c0d0e0f");
	CU_ASSERT_STRING_EQUAL(identity.eui64, ""); /* all zero: it has none */
}

static void
test_what_a_device_does_not_claim_it_does_not_have(void)
{
	put_le(controller + 520, 0xfff3, 2); /* all but these two */
	controller[525] = 0xfe;
	CU_ASSERT_EQUAL_FATAL(parse(NULL), 0);
	CU_ASSERT_FALSE(identity.has_dsm || identity.has_write_zeroes || identity.write_cache);
}

static void
test_metadata_is_refused(void)
{
	ns[26] = 0;
	refused("8 bytes of metadata");
	ns[26] = 0x10; /* at the end of the data, instead of apart */
	refused("8 bytes of metadata");
}

static void
test_blocks_that_cannot_be_are_refused(void)
{
	const uint8_t bad[] = { 0, 1, 8, 17, 31, 63, 64, 255 };

	for (size_t i = 0; i < sizeof(bad); i++) {
		format_put(1, 0, bad[i]);
		refused("2^");
	}
	for (uint8_t shift = 9; shift <= 16; shift++) {
		format_put(1, 0, shift);
		CU_ASSERT_EQUAL(parse(NULL), 0);
	}
}

static void
test_a_size_that_cannot_be_is_refused(void)
{
	put_le(ns, 0, 8);
	refused("0 blocks");
	put_le(ns, UINT64_MAX, 8);
	refused("blocks of 4096 bytes");
	put_le(ns, UINT64_C(1) << 51, 8); /* 2^63 bytes */
	refused("blocks of 4096 bytes");
	put_le(ns, (UINT64_C(1) << 51) - 1, 8);
	CU_ASSERT_EQUAL(parse(NULL), 0);
}

static void
test_a_format_that_is_not_there_is_refused(void)
{
	ns[26] = 2;
	refused("LBA format 2 of 2");
	ns[25] = 255;
	refused("of 256");
	ns[25] = 64;
	refused("of 65");
}

static void
test_the_high_bits_of_the_format_count_past_16_formats_only(void)
{
	ns[26] = 0x21; /* 17, where it counts */
	CU_ASSERT_EQUAL(parse(NULL), 0);
	CU_ASSERT_EQUAL(identity.block_shift, 12);
	ns[25] = 17;
	format_put(17, 0, 9);
	CU_ASSERT_EQUAL(parse(NULL), 0);
	CU_ASSERT_EQUAL(identity.block_shift, 9);
	ns[25] = 16;
	refused("LBA format 17 of 17");
	ns[25] = 63;
	ns[26] = 0x6f;
	format_put(63, 0, 12);
	CU_ASSERT_EQUAL(parse(NULL), 0);
}

static void
test_texts_that_are_none_do_no_harm(void)
{
	memset(controller + 4, 0xff, 68);
	controller[10] = '"';
	CU_ASSERT_EQUAL_FATAL(parse(NULL), 0);
	CU_ASSERT_STRING_EQUAL(identity.serial, "??????\"?????????????");
	CU_ASSERT_EQUAL(strlen(identity.model), 40);
	memset(controller + 4, 0, 68);
	CU_ASSERT_EQUAL_FATAL(parse(NULL), 0);
	CU_ASSERT_STRING_EQUAL(identity.serial, "");
}

static void
test_noise_is_refused_or_has_a_size(void)
{
	unsigned int seed = 1;

	for (int round = 0; round < 20000; round++) {
		for (size_t i = 0; i < 400; i++) {
			seed = seed * 1103515245 + 12345;
			ns[i] = (uint8_t)(seed >> 16);
		}
		ns[25] &= 63;
		if (round % 2 == 0)
			put_le(ns, seed, 4), put_le(ns + 4, 0, 4);
		if (parse(NULL) != 0)
			continue;
		CU_ASSERT(identity.block_shift >= 9 && identity.block_shift <= 16);
		CU_ASSERT(identity.size_blocks > 0);
		CU_ASSERT((identity.size_blocks << identity.block_shift) >> identity.block_shift ==
			  identity.size_blocks);
	}
}

UT_SUITE(identify, start, NULL, UT_CASE(test_a_good_device_is_understood),
	 UT_CASE(test_what_a_device_does_not_claim_it_does_not_have),
	 UT_CASE(test_metadata_is_refused), UT_CASE(test_blocks_that_cannot_be_are_refused),
	 UT_CASE(test_a_size_that_cannot_be_is_refused),
	 UT_CASE(test_a_format_that_is_not_there_is_refused),
	 UT_CASE(test_the_high_bits_of_the_format_count_past_16_formats_only),
	 UT_CASE(test_texts_that_are_none_do_no_harm),
	 UT_CASE(test_noise_is_refused_or_has_a_size));
