# SPDX-License-Identifier: BSD-3-Clause
SRCS := io.c mode.c uring.c
DEPS := lib/util lib/env lib/reactor lib/uring lib/bdev
PKGS := liburing
