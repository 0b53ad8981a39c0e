/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <stdbool.h>
#include <stddef.h>

/*
 * The kernel's word that something happened to a block device, so that one without I/O is known to
 * be gone, or to have grown, too. Within lib/bdev only. Control reactor.
 */

/**
 * Listen, for one more device, from the first one on.
 * \return whether; device_events_state() says why not. Where it does, device_events_release() ends
 * it.
 */
bool device_events_hold(void);
void device_events_release(void);
/** \return "watched", or why not. */
const char *device_events_state(bool watched);
/** Whether a message of the kernel's tells of a block device that was there before. */
bool device_events_concerns(const char *message, size_t length_bytes);
