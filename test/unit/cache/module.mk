# SPDX-License-Identifier: BSD-3-Clause
# What test/unit/tarnck uses, too.
SRCS := stage.c volatile.c impossible.c
DEPS := lib/cache
