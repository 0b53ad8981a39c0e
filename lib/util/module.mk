# SPDX-License-Identifier: BSD-3-Clause
SRCS := crc32c.c histogram.c log.c notify.c panic.c reason.c string.c
DEPS := include
PKGS := libisal
LDLIBS := -lm
