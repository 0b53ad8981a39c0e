# SPDX-License-Identifier: BSD-3-Clause
SRCS := main.c opts.c opts_value.c zipf.c pattern.c verify.c rate.c target.c target_file.c describe.c \
	job.c run.c report.c progress.c
DEPS := lib/util lib/env lib/reactor lib/bdev rpc
PKGS := libcjson
LDLIBS := -lm
