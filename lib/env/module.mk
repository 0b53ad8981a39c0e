# SPDX-License-Identifier: BSD-3-Clause
SRCS := clock.c cpu.c env.c iobuf.c iomem.c
DEPS := include lib/util
