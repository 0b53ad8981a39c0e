/* SPDX-License-Identifier: BSD-3-Clause */
#include <cjson/cJSON.h>
#include <endian.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/tarnctl/ctl.h"
#include "tarn/json.h"
#include "tarn/util.h"

/*
 * What bdev_get_histogram answers: SPDK's log-linear histogram of ticks. With granularity g, range
 * 0 has 2^g buckets of one tick; range r > 0 has 2^g buckets of 2^(r-1) ticks, from 2^(g+r-1) on.
 */
#define BAR_COLUMNS 50
#define ROW_MAX 64

struct histogram {
	uint64_t *counts;
	size_t bucket_count;
	uint64_t total;
	uint32_t granularity, first_range;
	double ticks_per_us;
};

/* In microseconds. */
static double
bucket_start_us(const struct histogram *h, size_t bucket)
{
	uint64_t in_range = (uint64_t)bucket & ((UINT64_C(1) << h->granularity) - 1);
	uint32_t range = (uint32_t)(bucket >> h->granularity) + h->first_range;
	uint64_t ticks = in_range;

	if (range > 0) {
		ticks = ((UINT64_C(1) << h->granularity) + in_range) << (range - 1);
	}
	return (double)ticks / h->ticks_per_us;
}

static double
bucket_end_us(const struct histogram *h, size_t bucket)
{
	uint32_t range = (uint32_t)(bucket >> h->granularity) + h->first_range;
	double width = range > 0 ? (double)(UINT64_C(1) << (range - 1)) : 1;

	return bucket_start_us(h, bucket) + width / h->ticks_per_us;
}

static bool
read_number(const struct cJSON *json, const char *name, double min, double max, double *ret)
{
	const struct cJSON *number = cJSON_GetObjectItemCaseSensitive(json, name);

	if (!cJSON_IsNumber(number) || number->valuedouble < min || number->valuedouble > max) {
		return false;
	}
	*ret = number->valuedouble;
	return true;
}

static bool
read_histogram(const struct cJSON *json, struct histogram *h)
{
	const char *text = ctl_text(json, "histogram");
	double granularity, tick_rate, first_range = 0;
	size_t bytes = 0;
	void *data = NULL;

	if (text == NULL || !read_number(json, "granularity", 1, 20, &granularity) ||
	    !read_number(json, "tsc_rate", 1, 1e13, &tick_rate) ||
	    (cJSON_HasObjectItem(json, "min_range") &&
	     !read_number(json, "min_range", 0, 63, &first_range)) ||
	    tarn_base64_decode(text, &data, &bytes) != 0) {
		return false;
	}
	h->counts = data;
	h->bucket_count = bytes / sizeof(uint64_t);
	h->granularity = (uint32_t)granularity;
	h->first_range = (uint32_t)first_range;
	h->ticks_per_us = tick_rate / 1e6;
	for (size_t i = 0; i < h->bucket_count; i++) {
		h->counts[i] = le64toh(h->counts[i]);
		h->total += h->counts[i];
	}
	/* Beyond this, bucket limits do not fit 64 bits. */
	return (h->bucket_count >> h->granularity) + h->first_range + h->granularity <= 65;
}

/* The upper end of the bucket in which the share of all I/Os is reached. */
static double
percentile_us(const struct histogram *h, double share)
{
	uint64_t seen = 0;
	size_t last = 0;

	for (size_t i = 0; i < h->bucket_count; i++) {
		seen += h->counts[i];
		last = h->counts[i] > 0 ? i : last;
		if (h->counts[i] > 0 && (double)seen >= share * (double)h->total) {
			return bucket_end_us(h, i);
		}
	}
	return bucket_end_us(h, last);
}

static double
mean_us(const struct histogram *h)
{
	double sum = 0;

	for (size_t i = 0; i < h->bucket_count; i++) {
		sum += (double)h->counts[i] * (bucket_start_us(h, i) + bucket_end_us(h, i)) / 2;
	}
	return sum / (double)h->total;
}

static const struct {
	const char *name;
	double share;
} percentiles[] = { { "p50", 0.5 },	{ "p90", 0.9 },	      { "p95", 0.95 }, { "p99", 0.99 },
		    { "p99.9", 0.999 }, { "p99.99", 0.9999 }, { "max", 1 } };

/* Rows of powers of two microseconds: row 0 is below 1 us, row i from 2^(i-1) to 2^i. */
static size_t
row_of(double us)
{
	size_t row = 0;

	while (us >= 1 && row + 1 < ROW_MAX) {
		us /= 2;
		row++;
	}
	return row;
}

static void
print_bar(uint64_t count, uint64_t most)
{
	int columns = (int)((double)count / (double)most * BAR_COLUMNS + 0.5);

	columns = count > 0 && columns == 0 ? 1 : columns;
	for (int i = 0; i < columns; i++) {
		putchar('#');
	}
	putchar('\n');
}

static void
print_rows(const struct histogram *h)
{
	uint64_t rows[ROW_MAX] = { 0 }, most = 1;
	size_t first = 0, last = ROW_MAX - 1;

	for (size_t i = 0; i < h->bucket_count; i++) {
		size_t row = row_of(bucket_start_us(h, i));

		rows[row] += h->counts[i];
		most = tarn_max_u64(most, rows[row]);
	}
	while (first < last && rows[first] == 0) {
		first++;
	}
	while (last > first && rows[last] == 0) {
		last--;
	}
	printf("\n%12s %12s %7s\n", "from (us)", "I/Os", "%");
	for (size_t row = first; row <= last; row++) {
		uint64_t from = row == 0 ? 0 : UINT64_C(1) << (row - 1);

		printf("%12" PRIu64 " %12" PRIu64 " %6.2f%% ", from, rows[row],
		       100.0 * (double)rows[row] / (double)h->total);
		print_bar(rows[row], most);
	}
}

static void
print_chart(const char *name, const struct histogram *h)
{
	printf("%s: %" PRIu64 " I/Os", name, h->total);
	if (h->total == 0) {
		printf(" since its histogram was enabled\n");
		return;
	}
	printf(", latency in us:\n\n%12s %12.1f\n", "mean", mean_us(h));
	for (size_t i = 0; i < tarn_array_count(percentiles); i++) {
		printf("%12s %12.1f\n", percentiles[i].name,
		       percentile_us(h, percentiles[i].share));
	}
	print_rows(h);
}

static void
print_json(const char *name, const struct histogram *h)
{
	struct cJSON *json = cJSON_CreateObject(), *list;
	char *text;

	cJSON_AddStringToObject(json, "name", name);
	tarn_json_add_u64(json, "count", h->total);
	if (h->total > 0) {
		cJSON_AddNumberToObject(json, "mean_us", mean_us(h));
		list = cJSON_AddObjectToObject(json, "percentiles_us");
		for (size_t i = 0; i < tarn_array_count(percentiles); i++) {
			cJSON_AddNumberToObject(list, percentiles[i].name,
						percentile_us(h, percentiles[i].share));
		}
	}
	text = tarn_json_print(json, true);
	puts(text != NULL ? text : "");
	free(text);
	cJSON_Delete(json);
}

enum ctl_exit
ctl_histogram(struct ctl *ctl, int argc, char **argv)
{
	struct histogram h = { 0 };
	struct cJSON *params, *result;
	enum ctl_exit status;

	if (argc > 1 && strcmp(argv[1], "-j") == 0) {
		ctl->format = CTL_FORMAT_JSON;
		argv++;
		argc--;
	}
	if (argc != 2 || argv[1][0] == '-') {
		return ctl_usage("usage: tarnctl histogram [-j] BDEV");
	}
	params = cJSON_CreateObject();
	cJSON_AddStringToObject(params, "name", argv[1]);
	status = ctl_call(ctl, "bdev_get_histogram", params, &result);
	cJSON_Delete(params);
	if (status != CTL_OK) {
		ctl_error("try first: tarnctl bdev_enable_histogram --name %s --enable", argv[1]);
		return status;
	}
	if (!read_histogram(result, &h)) {
		ctl_error("bdev_get_histogram: the answer is none that tarnctl understands");
		status = CTL_REFUSED;
	} else if (ctl->format == CTL_FORMAT_JSON) {
		print_json(argv[1], &h);
	} else {
		print_chart(argv[1], &h);
	}
	free(h.counts);
	cJSON_Delete(result);
	return status;
}
