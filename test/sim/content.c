/* SPDX-License-Identifier: BSD-3-Clause */
#include "content.h"

#include <string.h>

#include "tarn/util.h"

static uint64_t
word_of(uint32_t content, uint64_t n)
{
	uint64_t x = (n << 32 | content) * UINT64_C(0x9e3779b97f4a7c15);

	return n == 0 ? content : x ^ (x >> 29);
}

void
content_fill(uint32_t content, uint64_t offset, void *buf, uint64_t bytes)
{
	uint8_t *to = buf;

	while (bytes != 0) {
		uint64_t word = word_of(content, offset / 8);
		uint64_t in_word = offset % 8;
		uint64_t length = tarn_min_u64(8 - in_word, bytes);

		if (length == sizeof(word))
			memcpy(to, &word, sizeof(word)); /* the compiler's own, and fast */
		else
			memcpy(to, (const uint8_t *)&word + in_word, length);
		to += length;
		offset += length;
		bytes -= length;
	}
}

bool
content_is(uint32_t content, uint64_t offset, const void *buf, uint64_t bytes)
{
	const uint8_t *from = buf;

	while (bytes != 0) {
		uint64_t word = word_of(content, offset / 8);
		uint64_t in_word = offset % 8;
		uint64_t length = tarn_min_u64(8 - in_word, bytes);

		if (length == sizeof(word)) {
			uint64_t got;

			memcpy(&got, from, sizeof(got));
			if (got != word)
				return false;
		} else if (memcmp(from, (const uint8_t *)&word + in_word, length) != 0) {
			return false;
		}
		from += length;
		offset += length;
		bytes -= length;
	}
	return true;
}
