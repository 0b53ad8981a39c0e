# SPDX-License-Identifier: BSD-3-Clause
SRCS := delay.c
DEPS := lib/util lib/env lib/bdev
