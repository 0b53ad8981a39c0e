/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include "app/tarnck/ck.h"
#include "test/unit/cache/stage.h"

/*
 * Images to check: what the stage's cache (test/unit/cache/stage.h) has left on its device, in a
 * file in memory. One shard of segments of 32 blocks.
 */
#define SEGMENT_BLOCKS 32

extern struct ck ck;	       /* of the last check */
extern struct ck_opts ck_opts; /* for the next */

void image_setup(void);
void image_teardown(void);
/** Check the device as it is. \return the exit status. */
enum ck_status image_check(void);
/** The same of these bytes instead. */
enum ck_status image_check_bytes(const void *bytes, uint64_t length_bytes);

/** Run fn and \return what it prints; the caller frees it. */
char *image_printed(void (*fn)(void));

/** \return the byte of the device at which a block of a segment lies. */
uint64_t image_byte(uint64_t sequence, uint32_t block);
void image_flip(uint64_t byte);
void image_wipe(uint64_t from, uint64_t bytes);
/** \return the first finding of that kind of structure; NULL: there is none. */
const struct ck_finding *image_finding(const char *what);
