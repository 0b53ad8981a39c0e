# SPDX-License-Identifier: BSD-3-Clause
SRCS := ram.c
DEPS := lib/util lib/bdev
