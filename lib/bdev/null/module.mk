SRCS := null.c
DEPS := lib/util lib/bdev
