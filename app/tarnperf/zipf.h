/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include "random.h"

/*
 * Numbers below count where the rank-th most frequent comes in proportion to 1 / rank^theta, the
 * ranks scattered over the whole range. Any count, any theta above 0, no tables:
 * rejection-inversion (W. Hörmann, G. Derflinger, "Rejection-inversion to generate variates from
 * monotone discrete distributions", ACM TOMACS 6(3), 1996).
 */
struct perf_zipf {
	uint64_t count;
	uint64_t step; /* coprime to count: rank * step mod count scatters */
	double theta;
	double integral_first, integral_last, shortcut;
};

/** count is not 0. */
void perf_zipf_init(struct perf_zipf *zipf, uint64_t count, double theta);
/** \return a rank from 1, the most frequent, to count. */
uint64_t perf_zipf_rank(const struct perf_zipf *zipf, struct perf_random *random);
/** \return the number below count that has this rank; each has one. */
uint64_t perf_zipf_scatter(const struct perf_zipf *zipf, uint64_t rank);
