/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * With h(x) = x^-theta and H its integral, a uniform u between H(1.5) - 1 and H(count + 0.5) is
 * inverted and rounded to a rank k, and kept when it lies in the part of k's column that belongs to
 * h(k). Nearly all are.
 */
#include "zipf.h"

#include <math.h>

/* (exp(t) - 1) / t, also where t is nearly 0: theta near 1. */
static double
exp_ratio(double t)
{
	return fabs(t) > 1e-8 ? expm1(t) / t : 1 + t / 2;
}

static double
log_ratio(double t)
{
	return fabs(t) > 1e-8 ? log1p(t) / t : 1 - t / 2;
}

static double
integral(const struct perf_zipf *zipf, double x)
{
	double log_x = log(x);

	return exp_ratio((1 - zipf->theta) * log_x) * log_x;
}

static double
integral_inverse(const struct perf_zipf *zipf, double y)
{
	double t = fmax(y * (1 - zipf->theta), -1);

	return exp(log_ratio(t) * y);
}

static uint64_t
common_divisor(uint64_t a, uint64_t b)
{
	while (b != 0) {
		uint64_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

void
perf_zipf_init(struct perf_zipf *zipf, uint64_t count, double theta)
{
	zipf->count = count;
	zipf->theta = theta;
	zipf->integral_first = integral(zipf, 1.5) - 1;
	zipf->integral_last = integral(zipf, (double)count + 0.5);
	zipf->shortcut = 2 - integral_inverse(zipf, integral(zipf, 2.5) - pow(2, -theta));
	/*
	 * The golden section of the range, and from there the first coprime: ranks land far apart.
	 */
	zipf->step = (uint64_t)((double)count * 0.6180339887498949) | 1;
	while (common_divisor(zipf->step, count) != 1)
		zipf->step += 2;
}

uint64_t
perf_zipf_rank(const struct perf_zipf *zipf, struct perf_random *random)
{
	for (;;) {
		double u = zipf->integral_last +
			   perf_random_unit(random) * (zipf->integral_first - zipf->integral_last);
		double x = integral_inverse(zipf, u);
		double rank = fmin(fmax(floor(x + 0.5), 1), (double)zipf->count);

		if (rank - x <= zipf->shortcut ||
		    u >= integral(zipf, rank + 0.5) - pow(rank, -zipf->theta))
			return (uint64_t)rank;
	}
}

uint64_t
perf_zipf_scatter(const struct perf_zipf *zipf, uint64_t rank)
{
	return (uint64_t)((unsigned __int128)rank * zipf->step % zipf->count);
}
