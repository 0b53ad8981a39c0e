# SPDX-License-Identifier: BSD-3-Clause
SRCS := sync.c
DEPS := lib/util lib/env lib/reactor lib/bdev
