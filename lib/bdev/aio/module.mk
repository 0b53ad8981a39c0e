# SPDX-License-Identifier: BSD-3-Clause
SRCS := aio.c queue.c
DEPS := include
LDLIBS := -laio
