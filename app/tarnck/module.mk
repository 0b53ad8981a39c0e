# SPDX-License-Identifier: BSD-3-Clause
SRCS := main.c opts.c device.c finding.c super.c checkpoint.c segment.c table.c trailer.c scan.c plan.c contents.c check.c \
	dump.c report.c json.c
DEPS := lib/util lib/env lib/reactor lib/bdev lib/cache
PKGS := libcjson
