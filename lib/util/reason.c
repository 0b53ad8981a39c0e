/* SPDX-License-Identifier: BSD-3-Clause */
#include "tarn/reason.h"

#include <stdarg.h>
#include <stdio.h>

int
tarn_reason_set(struct tarn_reason *reason, int status, const char *format, ...)
{
	va_list args;

	if (reason == NULL)
		return status;
	va_start(args, format);
	vsnprintf(reason->text, sizeof(reason->text), format, args);
	va_end(args);
	return status;
}
