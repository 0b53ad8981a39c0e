/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <stdbool.h>
#include <stdint.h>

/*
 * Memory that cannot be had. The linker puts these in the place of malloc(), calloc(), realloc(),
 * aligned_alloc(), strdup(), mmap() and tarn_iobuf_get() of all that is linked into the test (see
 * module.mk): what no test has armed is passed on. One thread.
 */
/** The n-th allocation from now on fails (1: the next), and with `on` all that follow it. */
void alloc_fault_arm(uint64_t n, bool on);
/** \return whether one has failed; from here on none does. */
bool alloc_fault_disarm(void);
