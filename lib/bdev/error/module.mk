# SPDX-License-Identifier: BSD-3-Clause
SRCS := error.c inject.c
DEPS := lib/util lib/bdev
