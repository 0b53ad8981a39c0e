/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The clock. Three sources, one in force at a time:
 *
 *   CLOCK_MONOTONIC   until env_clock_init(), and after it where the TSC is not to be trusted
 *   TSC               base_ns + (tsc - base_tsc) * mult >> MULT_SHIFT
 *   fake              what tests make it
 *
 * The TSC is trusted where the CPU says that it runs at one rate in every state (what the kernel
 * calls constant_tsc and nonstop_tsc) and the kernel, having compared the CPUs' counters, keeps
 * time by it.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#if defined(__x86_64__)
#include <cpuid.h>
#include <x86intrin.h>
#endif

#include "internal.h"
#include "tarn/util.h"

#define MULT_SHIFT 32
#define CALIBRATE_NS UINT64_C(10000000)
#define CALIBRATE_TRIES 32

enum clock_source {
	CLOCK_SOURCE_KERNEL,
	CLOCK_SOURCE_TSC,
	CLOCK_SOURCE_FAKE,
};

/* Written before other threads run, except by tests that start and stop the fake clock. */
static struct {
	_Alignas(TARN_CACHE_LINE_BYTES) _Atomic uint32_t source;
	uint32_t real_source; /* what tarn_fake_clock_stop() returns to */
	uint64_t base_tsc, base_ns, mult;
	_Atomic uint64_t fake_ns;
} env_clock;

static uint64_t
kernel_now_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

#if defined(__x86_64__)

static inline uint64_t
ns_of_tsc(uint64_t tsc)
{
	uint64_t ticks = tsc - env_clock.base_tsc;

	return env_clock.base_ns +
	       (uint64_t)(((unsigned __int128)ticks * env_clock.mult) >> MULT_SHIFT);
}

static inline uint64_t
tsc_now_ns(void)
{
	unsigned int cpu;

	/*
	 * RDTSCP waits for the loads before it, RDTSC does not: a thread that had just read
	 * another one's time could then, by up to some microseconds of waiting for that cache
	 * line, read an earlier one.
	 */
	return ns_of_tsc(__rdtscp(&cpu));
}

static inline uint64_t
tsc_now_unordered_ns(void)
{
	return ns_of_tsc(__rdtsc());
}

static bool
tsc_trusted(void)
{
	unsigned int eax, ebx, ecx, edx;
	char source[64] = "";
	FILE *file;

	/* RDTSCP is there. */
	if (!__get_cpuid(0x80000001, &eax, &ebx, &ecx, &edx) || (edx & (1u << 27)) == 0)
		return false;
	/* Intel SDM volume 3, "Invariant TSC": bit 8 of EDX. */
	if (!__get_cpuid(0x80000007, &eax, &ebx, &ecx, &edx) || (edx & (1u << 8)) == 0)
		return false;
	file = fopen("/sys/devices/system/clocksource/clocksource0/current_clocksource", "re");
	if (file == NULL)
		return false;
	if (fgets(source, sizeof(source), file) == NULL)
		source[0] = '\0';
	fclose(file);
	source[strcspn(source, "\n")] = '\0';
	return strcmp(source, "tsc") == 0 || strcmp(source, "kvm-clock") == 0;
}

/* Both clocks at one moment: of several tries the one that was interrupted least. */
static void
sample_both(uint64_t *ret_tsc, uint64_t *ret_ns)
{
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < CALIBRATE_TRIES; i++) {
		uint64_t before, after, now;

		before = __rdtsc();
		_mm_lfence();
		now = kernel_now_ns(CLOCK_MONOTONIC);
		_mm_lfence();
		after = __rdtsc();
		if (after - before >= best)
			continue;
		best = after - before;
		/*
		 * The earlier reading: the TSC's time is then never behind the kernel's at the
		 * switch.
		 */
		*ret_tsc = before;
		*ret_ns = now;
	}
}

static bool
tsc_calibrate(void)
{
	uint64_t start_tsc, start_ns, end_tsc, end_ns;

	sample_both(&start_tsc, &start_ns);
	do {
		sample_both(&end_tsc, &end_ns);
	} while (end_ns - start_ns < CALIBRATE_NS);
	if (end_tsc <= start_tsc)
		return false;
	env_clock.mult = (uint64_t)(((unsigned __int128)(end_ns - start_ns) << MULT_SHIFT) /
				    (end_tsc - start_tsc));
	env_clock.base_tsc = end_tsc;
	env_clock.base_ns = end_ns;
	return true;
}

#else

static inline uint64_t
tsc_now_ns(void)
{
	return kernel_now_ns(CLOCK_MONOTONIC);
}

static inline uint64_t
tsc_now_unordered_ns(void)
{
	return kernel_now_ns(CLOCK_MONOTONIC);
}

static bool
tsc_trusted(void)
{
	return false;
}

static bool
tsc_calibrate(void)
{
	return false;
}

#endif

void
env_clock_init(void)
{
	/* A simulation, which begins with the fake clock, has no use for ten milliseconds of that.
	 */
	if (atomic_load(&env_clock.source) != CLOCK_SOURCE_KERNEL || !tsc_trusted() ||
	    !tsc_calibrate())
		return;
	env_clock.real_source = CLOCK_SOURCE_TSC;
	atomic_store(&env_clock.source, CLOCK_SOURCE_TSC);
}

uint64_t
tarn_now_ns(void)
{
	uint32_t source = atomic_load_explicit(&env_clock.source, memory_order_relaxed);

	if (tarn_likely(source == CLOCK_SOURCE_TSC))
		return tsc_now_ns();
	if (source == CLOCK_SOURCE_FAKE)
		return atomic_load_explicit(&env_clock.fake_ns, memory_order_relaxed);
	return kernel_now_ns(CLOCK_MONOTONIC);
}

uint64_t
tarn_now_unordered_ns(void)
{
	uint32_t source = atomic_load_explicit(&env_clock.source, memory_order_relaxed);

	return tarn_likely(source == CLOCK_SOURCE_TSC) ? tsc_now_unordered_ns() : tarn_now_ns();
}

uint64_t
tarn_boot_ns(void)
{
	if (atomic_load_explicit(&env_clock.source, memory_order_relaxed) == CLOCK_SOURCE_FAKE)
		return tarn_now_ns();
	return kernel_now_ns(CLOCK_BOOTTIME);
}

void
tarn_fake_clock_start(uint64_t start_ns)
{
	atomic_store(&env_clock.fake_ns, start_ns);
	atomic_store(&env_clock.source, CLOCK_SOURCE_FAKE);
}

void
tarn_fake_clock_advance(uint64_t by_ns)
{
	tarn_assert(atomic_load(&env_clock.source) == CLOCK_SOURCE_FAKE);
	atomic_fetch_add(&env_clock.fake_ns, by_ns);
}

void
tarn_fake_clock_stop(void)
{
	atomic_store(&env_clock.source, env_clock.real_source);
}
