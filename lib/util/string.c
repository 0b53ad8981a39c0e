/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include "tarn/name.h"
#include "tarn/util.h"

int
tarn_strcpy(char *dst, size_t dst_bytes, const char *src)
{
	size_t length = strlen(src);

	if (length < dst_bytes) {
		memcpy(dst, src, length + 1);
		return 0;
	}
	if (dst_bytes > 0) {
		memcpy(dst, src, dst_bytes - 1);
		dst[dst_bytes - 1] = '\0';
	}
	return -ENAMETOOLONG;
}

bool
tarn_name_valid(const char *text)
{
	bool visible = false;

	for (const uint8_t *at = (const uint8_t *)text; *at != '\0'; at++) {
		if (*at < 0x20 || *at == 0x7f)
			return false;
		if (*at == 0xc2 && at[1] >= 0x80 && at[1] <= 0x9f) /* UTF-8 of U+0080 to U+009F */
			return false;
		visible = visible || *at != ' ';
	}
	return visible;
}
