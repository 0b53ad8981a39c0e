SRCS := io.c mode.c ring.c setup.c uring.c
DEPS :=
LDLIBS := -luring
