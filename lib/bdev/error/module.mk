SRCS := error.c inject.c
DEPS := lib/util lib/bdev
