# SPDX-License-Identifier: BSD-3-Clause
SRCS := io.c mode.c ring.c setup.c uring.c
DEPS := include
PKGS := liburing
