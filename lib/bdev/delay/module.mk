SRCS := delay.c
DEPS := lib/util lib/env lib/bdev
