# SPDX-License-Identifier: BSD-3-Clause
SRCS := describe.c group.c mode.c ring.c setup.c
DEPS := lib/util lib/env lib/reactor
PKGS := liburing
