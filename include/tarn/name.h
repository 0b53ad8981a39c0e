/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <stdbool.h>

/**
 * Whether text may name something that operators see: no control characters (U+0000 to U+001F,
 * U+007F to U+009F), which hide or garble it in lists and logs, and not only spaces.
 */
bool tarn_name_valid(const char *text);
