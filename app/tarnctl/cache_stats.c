/* SPDX-License-Identifier: BSD-3-Clause */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/tarnctl/ctl.h"
#include "tarn/util.h"

/* cache_get_stats for eyes: a line for each subject; reasons only where there were any. */
static const struct cJSON *
group_of(const struct cJSON *stats, const char *name)
{
	return cJSON_GetObjectItemCaseSensitive(stats, name);
}

double
ctl_number(const struct cJSON *object, const char *name)
{
	const struct cJSON *number = cJSON_GetObjectItemCaseSensitive(object, name);

	return cJSON_IsNumber(number) ? number->valuedouble : 0;
}

char *
ctl_bytes_text(double bytes)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB" };
	char text[32];
	size_t unit = 0;

	while (bytes >= 1024 && unit + 1 < tarn_array_count(units)) {
		bytes /= 1024;
		unit++;
	}
	snprintf(text, sizeof(text), unit == 0 ? "%.0f %s" : "%.1f %s", bytes, units[unit]);
	return strdup(text);
}

static void
print_bytes(const char *before, double bytes, const char *after)
{
	char *text = ctl_bytes_text(bytes);

	printf("%s%s%s", before, text != NULL ? text : "?", after);
	free(text);
}

static void
print_ratio(const struct cJSON *object, const char *name, double factor, const char *unit)
{
	const struct cJSON *ratio = cJSON_GetObjectItemCaseSensitive(object, name);

	if (cJSON_IsNumber(ratio)) {
		printf("%.2f%s", ratio->valuedouble * factor, unit);
	} else {
		putchar('-');
	}
}

/* "absent 3, expired 1": what is not 0, the total and bytes aside. \return how many. */
static int
print_parts(const struct cJSON *group, const char *lead)
{
	const struct cJSON *part;
	int count = 0;

	cJSON_ArrayForEach (part, group) {
		if (!cJSON_IsNumber(part) || part->valuedouble == 0 ||
		    strcmp(part->string, "total") == 0 || strcmp(part->string, "bytes") == 0) {
			continue;
		}
		printf("%s", lead);
		for (const char *c = part->string; *c != '\0'; c++) {
			putchar(*c == '_' ? ' ' : *c);
		}
		printf(" %.0f", part->valuedouble);
		lead = ", ";
		count++;
	}
	return count;
}

static void
print_line(const char *subject, const struct cJSON *group)
{
	printf("%-10s", subject);
	fputs(print_parts(group, "") == 0 ? "none\n" : "\n", stdout);
}

static void
print_traffic(const struct cJSON *stats)
{
	const struct cJSON *hits = group_of(stats, "hits"), *misses = group_of(stats, "misses");
	const struct cJSON *stores = group_of(stats, "stores");
	const struct cJSON *rejects = group_of(stats, "rejects");
	double hit_count = ctl_number(hits, "total"), miss_count = ctl_number(misses, "total");

	printf("lookups   %10.0f  hit ratio ", hit_count + miss_count);
	print_ratio(stats, "hit_ratio", 100, "%");
	printf("\n  hits    %10.0f  ", hit_count);
	print_bytes("", ctl_number(hits, "bytes"), "");
	print_parts(hits, "; ");
	printf("\n  misses  %10.0f", miss_count);
	print_parts(misses, "  ");
	printf("\nstores    %10.0f  ", ctl_number(stores, "total"));
	print_bytes("", ctl_number(stores, "bytes"), "");
	printf("\n  refused %10.0f", ctl_number(rejects, "total"));
	print_parts(rejects, "  ");
	printf("\nremoves   %10.0f\ntouches   %10.0f\n", ctl_number(stats, "removes"),
	       ctl_number(stats, "touches"));
}

static void
print_log(const struct cJSON *stats)
{
	const struct cJSON *log = group_of(stats, "log");

	printf("log       write amplification ");
	print_ratio(log, "write_amplification", 1, "");
	print_bytes(", ", ctl_number(log, "bytes"), " written");
	printf("; head %.0f, durable %.0f, tail %.0f\n", ctl_number(log, "head"),
	       ctl_number(log, "durable"), ctl_number(log, "tail"));
	print_line("segments", group_of(stats, "segments"));
	print_line("reclaim", group_of(stats, "reclaim"));
	print_line("errors", group_of(stats, "errors"));
}

static void
print_index(const struct cJSON *stats)
{
	const struct cJSON *index = group_of(stats, "index");

	printf("index     ");
	print_ratio(index, "load", 100, "%");
	printf(" of %.0f slots; ", ctl_number(index, "slots"));
	printf("objects %.0f, dirty blocks %.0f", ctl_number(index, "objects"),
	       ctl_number(index, "dirty"));
	print_bytes("; ", ctl_number(stats, "ram_bytes"), " of RAM\n");
}

static void
print_latency(const struct cJSON *stats)
{
	static const char *const kinds[] = { "hit", "miss", "store" };
	static const char *const columns[] = { "p50", "p90", "p99", "p99_9", "max" };
	const struct cJSON *latency = group_of(stats, "latency_ns");

	printf("\n%-10s%10s%10s%10s%10s%10s%12s\n", "in us", "count", "p50", "p90", "p99", "p99.9",
	       "max");
	for (size_t i = 0; i < tarn_array_count(kinds); i++) {
		const struct cJSON *kind = group_of(latency, kinds[i]);

		printf("%-10s%10.0f", kinds[i], ctl_number(kind, "count"));
		for (size_t c = 0; c < tarn_array_count(columns); c++) {
			printf("%*.1f", c + 1 < tarn_array_count(columns) ? 10 : 12,
			       ctl_number(kind, columns[c]) / 1000);
		}
		putchar('\n');
	}
}

enum ctl_exit
ctl_cache_stats(struct ctl *ctl, int argc, char **argv)
{
	struct cJSON *params, *stats;
	enum ctl_exit status;

	if (argc == 3 && strcmp(argv[1], "-j") == 0) {
		ctl->format = CTL_FORMAT_JSON;
		argv++;
		argc--;
	}
	if (argc != 2 || argv[1][0] == '-') {
		return ctl_usage("usage: tarnctl cache stats [-j] NAME");
	}
	params = cJSON_CreateObject();
	cJSON_AddStringToObject(params, "name", argv[1]);
	status = ctl_call(ctl, "cache_get_stats", params, &stats);
	cJSON_Delete(params);
	if (status != CTL_OK) {
		return status;
	}
	if (ctl->format == CTL_FORMAT_JSON) {
		ctl_print_result(ctl, stats);
	} else {
		print_traffic(stats);
		print_log(stats);
		print_index(stats);
		print_latency(stats);
	}
	cJSON_Delete(stats);
	return CTL_OK;
}
