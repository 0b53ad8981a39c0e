# SPDX-License-Identifier: BSD-3-Clause
SRCS := bdev.c bdev_delay.c bdev_error.c bdev_file.c bdev_histogram.c bdev_info.c bdev_iostat.c bdev_null.c bdev_options.c \
	bdev_probe.c bdev_ram.c bdev_save.c bdev_uring_cmd.c cache.c cache_file.c cache_info.c cache_keys.c cache_manage.c \
	cache_object.c cache_stats.c config.c config_load.c framework.c log.c notify.c schema.c \
	start.c thread.c
DEPS := lib/util lib/env lib/reactor lib/bdev lib/cache lib/jsonrpc
PKGS := libcjson
LDLIBS := -lm
