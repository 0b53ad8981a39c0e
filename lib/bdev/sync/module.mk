# SPDX-License-Identifier: BSD-3-Clause
SRCS := sync.c
DEPS := include
