/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Why something failed, in a sentence for the user: what failed, on which object, what to do.
 * Written by whoever knows, beside the -errno that it returns.
 */
struct tarn_reason {
	char text[512];
};

/**
 * Write it; reason may be NULL. \return status, so that it can end a function: return
 * tarn_reason(...).
 */
int tarn_reason_set(struct tarn_reason *reason, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
