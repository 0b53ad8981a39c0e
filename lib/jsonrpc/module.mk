# SPDX-License-Identifier: BSD-3-Clause
SRCS := base64.c client.c connection.c decode.c encode.c framer.c json.c message.c method.c number.c \
	print.c request.c schema.c server.c sink.c socket.c strict.c value.c
DEPS := lib/util lib/reactor
PKGS := libcjson
LDLIBS := -lm
