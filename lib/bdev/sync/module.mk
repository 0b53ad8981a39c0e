SRCS := sync.c
DEPS :=
