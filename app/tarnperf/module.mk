# SPDX-License-Identifier: BSD-3-Clause
SRCS := main.c opts.c opts_value.c opts_cache.c zipf.c pattern.c verify.c rate.c target.c target_file.c describe.c figures.c \
	process.c job.c run.c report.c progress.c cache_value.c lru.c cache_job.c cache_run.c cache_report.c
DEPS := lib/util lib/env lib/reactor lib/jsonrpc lib/bdev lib/cache rpc
PKGS := libcjson
LDLIBS := -lm
