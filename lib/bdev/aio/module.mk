# SPDX-License-Identifier: BSD-3-Clause
SRCS := aio.c queue.c
DEPS := lib/util lib/env lib/reactor lib/bdev
LDLIBS := -laio
