/* SPDX-License-Identifier: BSD-3-Clause */
/*
 *	TRY polling --TRIAL periods, or too many without work--> TRY sleep --TRIAL periods--> KEEP
 *	   ^---------------------------- keep_ns later -------------------------------------------/
 *
 * A decision that is confirmed is kept twice as long as before, so that trials cost little where
 * nothing changes.
 */
#include "lib/reactor/spin.h"

#include "tarn/util.h"

#define TRIAL_COUNT 32
#define MISS_MAX 4 /* polls in vain in a trial that are enough to know */
#define KEEP_MIN_NS UINT64_C(100000000)
#define KEEP_MAX_NS UINT64_C(1600000000)

static void
try(struct spin *spin, bool polls)
{
	spin->trying = true;
	spin->polls = polls;
	spin->period_count = 0;
	spin->miss_count = 0;
	spin->idle_ns = 0;
}

void
spin_init(struct spin *spin, uint64_t max_ns)
{
	*spin = (struct spin){ .max_ns = max_ns, .keep_ns = KEEP_MIN_NS };
	try(spin, true);
}

uint64_t
spin_for_ns(const struct spin *spin)
{
	return spin->polls ? spin->max_ns : 0;
}

static void
keep(struct spin *spin, bool polls, bool before, uint64_t now_ns)
{
	spin->keep_ns =
	    polls == before ? tarn_min_u64(spin->keep_ns * 2, KEEP_MAX_NS) : KEEP_MIN_NS;
	spin->kept_polls = polls;
	spin->polls = polls;
	spin->trying = false;
	spin->miss_count = 0;
	spin->keep_until_ns = now_ns + spin->keep_ns;
}

static void
trial_over(struct spin *spin, uint64_t now_ns)
{
	uint64_t mean_ns = spin->idle_ns / spin->period_count;

	if (spin->polls && spin->miss_count >= MISS_MAX) {
		keep(spin, false, spin->kept_polls, now_ns);
	} else if (spin->polls) {
		spin->polls_mean_ns = mean_ns;
		try(spin, false);
	} else {
		/* Polling has to be better by a twentieth: it costs CPU time. */
		keep(spin, spin->polls_mean_ns < mean_ns - mean_ns / 20, spin->kept_polls, now_ns);
	}
}

void
spin_idle_over(struct spin *spin, uint64_t idle_ns, uint64_t now_ns)
{
	bool missed = spin->polls && idle_ns > spin->max_ns;

	if (!spin->trying) {
		spin->miss_count = missed ? spin->miss_count + 1 : 0;
		if (now_ns >= spin->keep_until_ns || spin->miss_count >= TRIAL_COUNT)
			try(spin, true);
		return;
	}
	spin->period_count++;
	spin->miss_count += missed;
	/* One that lasted for other reasons must not decide. */
	spin->idle_ns += tarn_min_u64(idle_ns, spin->max_ns * 4);
	if (spin->period_count >= TRIAL_COUNT || spin->miss_count >= MISS_MAX)
		trial_over(spin, now_ns);
}
