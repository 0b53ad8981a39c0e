# SPDX-License-Identifier: BSD-3-Clause
SRCS := command.c device.c identify.c io.c mode.c uring_cmd.c
DEPS := lib/util lib/env lib/reactor lib/uring lib/bdev
PKGS := liburing
