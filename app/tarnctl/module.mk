# SPDX-License-Identifier: BSD-3-Clause
SRCS := batch.c cache.c cache_stats.c command.c complete.c completion.c config.c flags.c help.c histogram.c iostat.c main.c method.c \
	output.c schema.c session.c table.c words.c
DEPS := lib/util lib/jsonrpc
PKGS := libcjson
LDLIBS := -lm
