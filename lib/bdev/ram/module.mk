SRCS := ram.c
DEPS := lib/util lib/bdev
