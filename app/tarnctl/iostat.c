/* SPDX-License-Identifier: BSD-3-Clause */
#include <cjson/cJSON.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "app/tarnctl/ctl.h"
#include "tarn/json.h"
#include "tarn/util.h"

/*
 * Rates between two samples of bdev_get_iostat. The average queue is what Little's law says: time
 * spent in I/O per time. %util needs bdev_set_qd_sampling_period, and is "-" without.
 */
struct opts {
	double interval_s;
	long count; /* of reports; 0: until interrupted */
	char **names;
	int name_count;
};

/* One bdev between two samples. */
struct rates {
	double reads, writes, unmaps; /* per second */
	double read_mb, write_mb;     /* 10^6 bytes per second */
	double read_await_ms, write_await_ms;
	double queue;
	double util; /* per cent; negative: not sampled */
};

static bool
parse_opts(struct ctl *ctl, int argc, char **argv, struct opts *opts)
{
	char *end;
	int option;

	optind = 0;
	while ((option = getopt(argc, argv, "w:c:j")) != -1) {
		if (option == 'w') {
			opts->interval_s = strtod(optarg, &end);
			opts->count = opts->count == 1 ? 0 : opts->count;
			if (*end != '\0' ||
			    !(opts->interval_s >= 0.01 && opts->interval_s <= 86400)) {
				ctl_usage("iostat: -w takes seconds, from 0.01 to 86400");
				return false;
			}
		} else if (option == 'c') {
			opts->count = strtol(optarg, &end, 10);
			if (*end != '\0' || opts->count < 1) {
				ctl_usage("iostat: -c takes a number of reports, from 1");
				return false;
			}
		} else if (option == 'j') {
			ctl->format = CTL_FORMAT_JSON;
		} else {
			return false;
		}
	}
	opts->names = argv + optind;
	opts->name_count = argc - optind;
	return true;
}

static double
delta(const struct cJSON *before, const struct cJSON *after, const char *name)
{
	double difference = ctl_number(after, name) - ctl_number(before, name);

	return difference > 0 ? difference : 0; /* somebody reset them */
}

static void
compute(const struct cJSON *before, const struct cJSON *after, double seconds, double tick_rate,
	struct rates *rates)
{
	double reads = delta(before, after, "num_read_ops");
	double writes = delta(before, after, "num_write_ops");
	double read_s = delta(before, after, "read_latency_ticks") / tick_rate;
	double write_s = delta(before, after, "write_latency_ticks") / tick_rate;

	rates->reads = reads / seconds;
	rates->writes = writes / seconds;
	rates->unmaps = delta(before, after, "num_unmap_ops") / seconds;
	rates->read_mb = delta(before, after, "bytes_read") / seconds / 1e6;
	rates->write_mb = delta(before, after, "bytes_written") / seconds / 1e6;
	rates->read_await_ms = reads > 0 ? read_s * 1000 / reads : 0;
	rates->write_await_ms = writes > 0 ? write_s * 1000 / writes : 0;
	rates->queue = (read_s + write_s) / seconds;
	rates->util = -1;
	if (cJSON_HasObjectItem(after, "io_time") && cJSON_HasObjectItem(before, "io_time")) {
		rates->util = delta(before, after, "io_time") / 1e6 / seconds * 100; /* µs */
	}
}

static void
print_rates(const char *name, int width, const struct rates *rates)
{
	char util[16] = "-";

	if (rates->util >= 0) {
		snprintf(util, sizeof(util), "%.1f", rates->util > 100 ? 100 : rates->util);
	}
	printf("%-*s %9.1f %9.2f %8.3f %9.1f %9.2f %8.3f %8.1f %7.2f %6s\n", width, name,
	       rates->reads, rates->read_mb, rates->read_await_ms, rates->writes, rates->write_mb,
	       rates->write_await_ms, rates->unmaps, rates->queue, util);
}

static struct cJSON *
rates_json(const char *name, const struct rates *rates)
{
	struct cJSON *json = cJSON_CreateObject();

	cJSON_AddStringToObject(json, "name", name);
	cJSON_AddNumberToObject(json, "reads_per_s", rates->reads);
	cJSON_AddNumberToObject(json, "read_mb_per_s", rates->read_mb);
	cJSON_AddNumberToObject(json, "read_await_ms", rates->read_await_ms);
	cJSON_AddNumberToObject(json, "writes_per_s", rates->writes);
	cJSON_AddNumberToObject(json, "write_mb_per_s", rates->write_mb);
	cJSON_AddNumberToObject(json, "write_await_ms", rates->write_await_ms);
	cJSON_AddNumberToObject(json, "unmaps_per_s", rates->unmaps);
	cJSON_AddNumberToObject(json, "average_queue", rates->queue);
	if (rates->util >= 0) {
		cJSON_AddNumberToObject(json, "util_percent", rates->util);
	}
	return json;
}

static const struct cJSON *
find_bdev(const struct cJSON *sample, const char *name)
{
	const struct cJSON *bdev;

	cJSON_ArrayForEach (bdev, cJSON_GetObjectItemCaseSensitive(sample, "bdevs")) {
		if (ctl_text(bdev, "name") != NULL && strcmp(ctl_text(bdev, "name"), name) == 0) {
			return bdev;
		}
	}
	return NULL;
}

static bool
is_wanted(const struct opts *opts, const char *name)
{
	for (int i = 0; i < opts->name_count; i++) {
		if (strcmp(opts->names[i], name) == 0) {
			return true;
		}
	}
	return opts->name_count == 0;
}

static void
print_header(int width)
{
	printf("%-*s %9s %9s %8s %9s %9s %8s %8s %7s %6s\n", width, "Device", "r/s", "rMB/s",
	       "r_await", "w/s", "wMB/s", "w_await", "d/s", "aqu-sz", "%util");
}

static void
report(const struct ctl *ctl, const struct opts *opts, const struct cJSON *before,
       const struct cJSON *after)
{
	double tick_rate = ctl_number(after, "tick_rate");
	double seconds = (ctl_number(after, "ticks") - ctl_number(before, "ticks")) / tick_rate;
	const struct cJSON *bdevs = cJSON_GetObjectItemCaseSensitive(after, "bdevs"), *bdev;
	struct cJSON *array = cJSON_CreateArray();
	size_t width = strlen("Device");
	char *text;

	cJSON_ArrayForEach (bdev, bdevs) {
		width = tarn_max_u64(width, strlen(ctl_text(bdev, "name")));
	}
	if (ctl->format != CTL_FORMAT_JSON) {
		print_header((int)width);
	}
	cJSON_ArrayForEach (bdev, bdevs) {
		const char *name = ctl_text(bdev, "name");
		struct rates rates;

		if (!is_wanted(opts, name)) {
			continue;
		}
		/* One that came meanwhile counts from nothing. */
		compute(find_bdev(before, name), bdev, seconds, tick_rate, &rates);
		if (ctl->format == CTL_FORMAT_JSON) {
			cJSON_AddItemToArray(array, rates_json(name, &rates));
		} else {
			print_rates(name, (int)width, &rates);
		}
	}
	text = ctl->format == CTL_FORMAT_JSON ? cJSON_PrintUnformatted(array) : NULL;
	puts(text != NULL ? text : "");
	free(text);
	cJSON_Delete(array);
}

static enum ctl_exit
take_sample(struct ctl *ctl, const struct opts *opts, struct cJSON **ret_sample)
{
	enum ctl_exit status = ctl_call(ctl, "bdev_get_iostat", NULL, ret_sample);

	if (status != CTL_OK) {
		return status;
	}
	for (int i = 0; i < opts->name_count && status == CTL_OK; i++) {
		if (find_bdev(*ret_sample, opts->names[i]) == NULL) {
			ctl_error("iostat: there is no bdev \"%s\"", opts->names[i]);
			status = CTL_REFUSED;
		}
	}
	if (status == CTL_OK && ctl_number(*ret_sample, "tick_rate") <= 0) {
		ctl_error("iostat: bdev_get_iostat answers without a tick_rate");
		status = CTL_REFUSED;
	}
	if (status != CTL_OK) {
		cJSON_Delete(*ret_sample);
	}
	return status;
}

static void
pause_for(double seconds)
{
	struct timespec left = { .tv_sec = (time_t)seconds };

	left.tv_nsec = (long)((seconds - (double)left.tv_sec) * 1e9);
	while (nanosleep(&left, &left) != 0 && errno == EINTR) {
	}
}

enum ctl_exit
ctl_iostat(struct ctl *ctl, int argc, char **argv)
{
	struct opts opts = { .interval_s = 1, .count = 1 };
	struct cJSON *before, *after;
	enum ctl_exit status;

	if (!parse_opts(ctl, argc, argv, &opts)) {
		return CTL_USAGE;
	}
	status = take_sample(ctl, &opts, &before);
	if (status != CTL_OK) {
		return status;
	}
	for (long i = 0; opts.count == 0 || i < opts.count; i++) {
		pause_for(opts.interval_s);
		status = take_sample(ctl, &opts, &after);
		if (status != CTL_OK) {
			break;
		}
		report(ctl, &opts, before, after);
		cJSON_Delete(before);
		before = after;
		if (fflush(stdout) != 0) {
			if (errno != EPIPE) { /* a reader that has had enough is no error */
				ctl_error("cannot write the output: %s", strerror(errno));
				status = CTL_REFUSED;
			}
			break;
		}
	}
	cJSON_Delete(before);
	return status;
}
