/* SPDX-License-Identifier: BSD-3-Clause */
/* The end of a process that found a bug in itself. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tarn/util.h"

void
tarn_panic(const char *file, int line, const char *func, const char *what)
{
	char text[512];
	int length;

	/* No log, no stdio buffer, no heap: any of them may be what is broken. */
	length = snprintf(text, sizeof(text), "tarn: bug: %s:%d: %s: %s\n", file, line, func, what);
	if (length > 0) {
		size_t bytes = tarn_min_u64((uint64_t)length, sizeof(text) - 1);

		if (write(STDERR_FILENO, text, bytes) < 0)
			abort();
	}
	abort();
}
