/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The I/O memory region: address space that is reserved at start and made usable chunk by chunk,
 * as chunks are first handed out. Hugepages are asked for at that moment: mmap() then reserves
 * them or fails, so that a later touch cannot. Once one chunk did not get them no further one
 * tries, and the reason is kept.
 *
 * A chunk that is given back stays usable, since rings may have it registered.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "internal.h"
#include "tarn/util.h"

#define IOMEM_DEFAULT_BYTES (UINT64_C(1) << 30)
#define IOMEM_BYTES_MAX (UINT64_C(1) << 44)

enum chunk_flag {
	CHUNK_TAKEN = 1,
	CHUNK_USABLE = 2, /* memory is mapped */
};

static struct {
	uint8_t *base;
	uint64_t size_bytes;
	uint32_t chunk_count;
	uint32_t search_from; /* all chunks before it are taken */
	uint32_t taken_count;
	uint32_t huge_count, usable_count;
	uint8_t *flags; /* enum chunk_flag, of each chunk */
	bool try_hugepages;
	char reason[160]; /* empty while hugepages are in force */
	pthread_mutex_t lock;
} iomem = { .lock = PTHREAD_MUTEX_INITIALIZER };

/*
 * Aligned to the next power of two of its size, so that a buffer's alignment follows from its
 * offset.
 */
static uint8_t *
reserve(uint64_t size_bytes)
{
	uint64_t align = tarn_ceil_pow2(size_bytes);
	uint8_t *map, *base;

	map = mmap(NULL, size_bytes + align, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		   -1, 0);
	if (map == MAP_FAILED)
		return NULL;
	base = (uint8_t *)tarn_align_up((uintptr_t)map, align);
	if (base > map)
		munmap(map, (size_t)(base - map));
	munmap(base + size_bytes, (size_t)(map + align - base));
	/* A core dump of all I/O memory helps nobody. */
	(void)madvise(base, size_bytes, MADV_DONTDUMP);
	return base;
}

static bool
map_huge(uint8_t *addr, uint64_t length)
{
	void *map;

	if (!iomem.try_hugepages)
		return false;
	/* The log2 of the page size: the machine's default may be 1 GiB. */
	map = mmap(addr, length, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_HUGETLB |
		       (TARN_IOMEM_CHUNK_SHIFT << MAP_HUGE_SHIFT),
		   -1, 0);
	if (map != MAP_FAILED)
		return true;
	iomem.try_hugepages = false;
	snprintf(iomem.reason, sizeof(iomem.reason),
		 "no free 2 MiB hugepage after %u chunks (%s): raise vm.nr_hugepages",
		 iomem.huge_count, strerror(errno));
	return false;
}

static bool
map_ordinary(uint8_t *addr, uint64_t length)
{
	void *map = mmap(addr, length, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	if (map == MAP_FAILED)
		return false;
	(void)madvise(addr, length, MADV_HUGEPAGE);
	return true;
}

static bool
make_usable(uint32_t index)
{
	uint8_t *addr = tarn_iomem_chunk_addr(index);
	bool huge;

	if (iomem.flags[index] & CHUNK_USABLE)
		return true;
	huge = map_huge(addr, TARN_IOMEM_CHUNK_BYTES);
	if (!huge && !map_ordinary(addr, TARN_IOMEM_CHUNK_BYTES))
		return false;
	/* No copy-on-write of what a device writes to, should the process fork. */
	(void)madvise(addr, TARN_IOMEM_CHUNK_BYTES, MADV_DONTFORK);
	iomem.flags[index] |= CHUNK_USABLE;
	iomem.huge_count += huge;
	iomem.usable_count++;
	return true;
}

int
env_iomem_init(const struct tarn_env_opts *opts)
{
	uint64_t size_bytes = opts->iomem_bytes != 0 ? opts->iomem_bytes : IOMEM_DEFAULT_BYTES;

	if (iomem.base != NULL)
		return -EALREADY;
	if (size_bytes > IOMEM_BYTES_MAX)
		return -ENOMEM;
	size_bytes = tarn_align_up(size_bytes, TARN_IOMEM_CHUNK_BYTES);
	iomem.chunk_count = (uint32_t)(size_bytes >> TARN_IOMEM_CHUNK_SHIFT);
	iomem.flags = calloc(iomem.chunk_count, sizeof(*iomem.flags));
	if (iomem.flags == NULL)
		return -ENOMEM;
	iomem.base = reserve(size_bytes);
	if (iomem.base == NULL) {
		free(iomem.flags);
		return -ENOMEM;
	}
	iomem.size_bytes = size_bytes;
	iomem.search_from = iomem.taken_count = iomem.huge_count = iomem.usable_count = 0;
	iomem.reason[0] = '\0';
	iomem.try_hugepages = !opts->no_hugepages;
	if (opts->no_hugepages)
		snprintf(iomem.reason, sizeof(iomem.reason), "not asked for");
	/*
	 * The first chunk now, so that tarn_iomem_get_info() tells whether there are hugepages at
	 * all.
	 */
	if (!make_usable(0)) {
		env_iomem_fini();
		return -ENOMEM;
	}
	return 0;
}

void
env_iomem_fini(void)
{
	munmap(iomem.base, iomem.size_bytes);
	free(iomem.flags);
	iomem.base = NULL;
	iomem.flags = NULL;
	iomem.size_bytes = 0;
	iomem.chunk_count = 0;
}

static bool
run_is_free(uint32_t first, uint32_t count)
{
	for (uint32_t i = first; i < first + count; i++)
		if (iomem.flags[i] & CHUNK_TAKEN)
			return false;
	return true;
}

/* First fit. Runs of a power of two start at a multiple of it. \return the index or UINT32_MAX. */
static uint32_t
find_run(uint32_t count)
{
	uint32_t step = tarn_is_pow2(count) ? count : 1;
	uint32_t first;

	while (iomem.search_from < iomem.chunk_count &&
	       (iomem.flags[iomem.search_from] & CHUNK_TAKEN))
		iomem.search_from++;
	if (count > iomem.chunk_count)
		return UINT32_MAX;
	for (first = (uint32_t)tarn_align_up(iomem.search_from, step);
	     first <= iomem.chunk_count - count; first += step)
		if (run_is_free(first, count))
			return first;
	return UINT32_MAX;
}

void *
env_chunks_get(uint32_t count)
{
	void *addr = NULL;
	uint32_t first;
	bool usable = true;

	pthread_mutex_lock(&iomem.lock);
	first = find_run(count);
	if (first != UINT32_MAX) {
		for (uint32_t i = first; i < first + count && usable; i++)
			usable = make_usable(i);
		if (usable) {
			for (uint32_t i = first; i < first + count; i++)
				iomem.flags[i] |= CHUNK_TAKEN;
			iomem.taken_count += count;
			addr = tarn_iomem_chunk_addr(first);
		}
	}
	pthread_mutex_unlock(&iomem.lock);
	return addr;
}

void
env_chunks_put(void *addr, uint32_t count)
{
	uint32_t first = (uint32_t)(((uint8_t *)addr - iomem.base) >> TARN_IOMEM_CHUNK_SHIFT);

	pthread_mutex_lock(&iomem.lock);
	for (uint32_t i = first; i < first + count; i++) {
		tarn_assert(iomem.flags[i] & CHUNK_TAKEN);
		iomem.flags[i] &= (uint8_t)~CHUNK_TAKEN;
	}
	iomem.taken_count -= count;
	if (first < iomem.search_from)
		iomem.search_from = first;
	pthread_mutex_unlock(&iomem.lock);
}

void
tarn_iomem_get_info(struct tarn_iomem_info *ret_info)
{
	pthread_mutex_lock(&iomem.lock);
	*ret_info = (struct tarn_iomem_info){
		.size_bytes = iomem.size_bytes,
		.used_bytes = (uint64_t)iomem.taken_count << TARN_IOMEM_CHUNK_SHIFT,
		.hugepages = iomem.usable_count > 0 && iomem.huge_count == iomem.usable_count,
	};
	if (!ret_info->hugepages)
		ret_info->reason = iomem.base == NULL ? "not started" : iomem.reason;
	pthread_mutex_unlock(&iomem.lock);
}

int
tarn_iomem_chunk_index(const void *buf, size_t length_bytes)
{
	uint64_t offset = (uint64_t)((uintptr_t)buf - (uintptr_t)iomem.base);
	uint64_t within = offset & (TARN_IOMEM_CHUNK_BYTES - 1);

	if (offset >= iomem.size_bytes ||
	    !tarn_range_within(within, length_bytes, TARN_IOMEM_CHUNK_BYTES))
		return -1;
	return (int)(offset >> TARN_IOMEM_CHUNK_SHIFT);
}

void *
tarn_iomem_chunk_addr(uint32_t index)
{
	tarn_assert(index < iomem.chunk_count);
	return iomem.base + ((uint64_t)index << TARN_IOMEM_CHUNK_SHIFT);
}

uint32_t
tarn_iomem_chunk_count(void)
{
	return iomem.chunk_count;
}
