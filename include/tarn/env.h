/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What tarn takes from the machine: I/O memory, time, CPUs.
 */

/* --- Time. Any thread. --- */

/**
 * Nanoseconds since some point before the start of the process; never goes back. Read from the
 * CPU's time stamp counter where the kernel itself trusts that as its clock source, from
 * CLOCK_MONOTONIC otherwise.
 */
uint64_t tarn_now_ns(void);
/**
 * The same for a third less, where it is compared with this thread's own readings only: against
 * those of other threads it may be some microseconds early. For what is measured at every I/O.
 */
uint64_t tarn_now_unordered_ns(void);
/**
 * The same, but counting the time that the machine was suspended as well (CLOCK_BOOTTIME): not to
 * be compared with the others.
 */
uint64_t tarn_boot_ns(void);
/**
 * From here on tarn_now_ns() is what tarn_fake_clock_advance() makes it, starting at start_ns.
 * Tests only.
 */
void tarn_fake_clock_start(uint64_t start_ns);
void tarn_fake_clock_advance(uint64_t by_ns);
void tarn_fake_clock_stop(void);

/* --- CPUs --- */

/**
 * Read a CPU list as SPDK's and as taskset's: a mask ("0x3"), a list in brackets ("[0,2-3]") or
 * without.
 * \return 0, -EINVAL (not of that form, or empty) or -ERANGE (a CPU number too large for
 * cpu_set_t).
 */
int tarn_cpus_parse(const char *text, cpu_set_t *ret_cpus);
/** Write as "0,2-3". \return 0 or -ENAMETOOLONG. */
int tarn_cpus_format(const cpu_set_t *cpus, char *text, size_t text_bytes);
/** The CPUs that this process may run on. */
void tarn_cpus_allowed(cpu_set_t *ret_cpus);
/**
 * Pin the calling thread. \return 0, or -EINVAL: the CPU is absent or not allowed to this process.
 */
int tarn_cpu_pin(unsigned int cpu);
/** Name the calling thread, cut to the kernel's 15 characters. */
void tarn_thread_set_name(const char *name);

/* --- I/O memory: buffers that a device may read and write directly. Any thread. --- */

/*
 * One region of address space, reserved at start and handed out in chunks of 2 MiB, which become
 * memory as they are first used: hugepages when the machine has them, ordinary pages otherwise. A
 * driver that must make buffers known to the kernel does so by chunk: a buffer of up to a chunk
 * lies within one.
 */
#define TARN_IOMEM_CHUNK_SHIFT 21
#define TARN_IOMEM_CHUNK_BYTES (UINT64_C(1) << TARN_IOMEM_CHUNK_SHIFT)
/* Of every buffer; buffers of a larger power of two are aligned to that. */
#define TARN_IOMEM_ALIGN 4096

struct tarn_env_opts {
	uint64_t iomem_bytes; /* 0: the default of 1 GiB of address space; rounded up to chunks */
	bool no_hugepages;    /* do not even try */
};

struct tarn_iomem_info {
	uint64_t size_bytes; /* of the region */
	uint64_t used_bytes; /* in chunks that were handed out */
	/* explicit hugepages; otherwise ordinary (perhaps transparent huge) pages */
	bool hugepages;
	const char *reason; /* why not hugepages; NULL when hugepages */
};

/**
 * Reserve the region and calibrate the clock. Once, before any other thread runs; opts may be NULL.
 * \return 0, -EALREADY, or -ENOMEM: no such amount of address space.
 */
int tarn_env_init(const struct tarn_env_opts *opts);
/** Give the region back. Every buffer was put, every other thread has ended. */
void tarn_env_fini(void);
void tarn_iomem_get_info(struct tarn_iomem_info *ret_info);

/**
 * Take a buffer, aligned to TARN_IOMEM_ALIGN, contents undefined. Sizes up to 1 MiB come from
 * power-of-two classes through a cache of the calling thread, without a lock; larger ones are runs
 * of chunks, under one.
 * \return NULL when the region is used up or length_bytes is 0.
 */
void *tarn_iobuf_get(size_t length_bytes);
/**
 * Give it back, from any thread. NULL is ignored; anything else that tarn_iobuf_get() did not give
 * asserts.
 */
void tarn_iobuf_put(void *buf);
/** Return what the calling thread has cached to the pools; a thread does so before it ends. */
void tarn_iobuf_thread_flush(void);

/**
 * \return the index of the chunk that holds [buf, buf + length), or -1: it is not I/O memory, or
 * crosses chunks.
 */
int tarn_iomem_chunk_index(const void *buf, size_t length_bytes);
/** \return where the chunk of that index starts. */
void *tarn_iomem_chunk_addr(uint32_t index);
/** \return how many chunks the region has, used or not. */
uint32_t tarn_iomem_chunk_count(void);
