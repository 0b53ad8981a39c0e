/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <stdbool.h>
#include <stdint.h>

/*
 * What is stored: bytes that follow from a number, so that any part of them tells whether it is
 * that of another version, or of two. Begins with the number where it is long enough.
 */

/** `bytes` of content, from `offset` on. */
void content_fill(uint32_t content, uint64_t offset, void *buf, uint64_t bytes);
/** \return whether these are they. */
bool content_is(uint32_t content, uint64_t offset, const void *buf, uint64_t bytes);
