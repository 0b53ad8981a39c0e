/* SPDX-License-Identifier: BSD-3-Clause */
#include "test/unit/cache/alloc_fault.h"

#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/types.h>

/* What the linker's --wrap calls them: the wrapper, and what it stands before. */
#define WRAP(type, name, params, args, refused)                                                    \
	type __real_##name params;                                                                 \
	type __wrap_##name params;                                                                 \
	type __wrap_##name params                                                                  \
	{                                                                                          \
		if (!strikes())                                                                    \
			return __real_##name args;                                                 \
		errno = ENOMEM;                                                                    \
		return refused;                                                                    \
	}

static struct {
	bool armed, on, struck;
	uint64_t left;
} fault;

static bool
strikes(void)
{
	if (!fault.armed || (fault.left == 0 && !fault.on))
		return false;
	if (fault.left > 0 && --fault.left > 0)
		return false;
	fault.struck = true;
	return true;
}

WRAP(void *, malloc, (size_t bytes), (bytes), NULL)
WRAP(void *, calloc, (size_t count, size_t bytes), (count, bytes), NULL)
WRAP(void *, realloc, (void *old, size_t bytes), (old, bytes), NULL)
WRAP(void *, aligned_alloc, (size_t align, size_t bytes), (align, bytes), NULL)
WRAP(char *, strdup, (const char *text), (text), NULL)
WRAP(void *, mmap, (void *at, size_t bytes, int prot, int flags, int fd, off_t offset),
     (at, bytes, prot, flags, fd, offset), MAP_FAILED)
WRAP(void *, tarn_iobuf_get, (size_t bytes), (bytes), NULL)

void
alloc_fault_arm(uint64_t n, bool on)
{
	fault.armed = true;
	fault.on = on;
	fault.struck = false;
	fault.left = n;
}

bool
alloc_fault_disarm(void)
{
	fault.armed = false;
	return fault.struck;
}
