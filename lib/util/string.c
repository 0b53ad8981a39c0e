/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>

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
