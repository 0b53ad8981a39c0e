# SPDX-License-Identifier: BSD-3-Clause
SRCS := null.c
DEPS := lib/util lib/bdev
