/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/** Tell the service manager of $NOTIFY_SOCKET (sd_notify(3)); nothing without one. */
void tarnd_notify_socket(const char *state);
