SRCS := aio.c queue.c
DEPS :=
LDLIBS := -laio
