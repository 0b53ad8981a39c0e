# SPDX-License-Identifier: BSD-3-Clause
SRCS := main.c opts.c notify_socket.c
DEPS := lib/util lib/env lib/reactor lib/bdev lib/jsonrpc rpc
PKGS := libcjson
