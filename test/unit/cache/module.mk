# SPDX-License-Identifier: BSD-3-Clause
# What test/unit/tarnck uses, too. For alloc_fault.c the linker puts wrappers before allocations.
SRCS := stage.c volatile.c impossible.c alloc_fault.c
DEPS := lib/cache
LDLIBS := $(addprefix -Wl$(comma)--wrap=,malloc calloc realloc aligned_alloc strdup mmap tarn_iobuf_get)
