# SPDX-License-Identifier: BSD-3-Clause
SRCS := io.c mode.c ring.c setup.c uring.c
DEPS := lib/util lib/env lib/reactor lib/bdev
PKGS := liburing
