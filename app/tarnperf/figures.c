/* SPDX-License-Identifier: BSD-3-Clause */
/* Parts of reports, for people and for programs: latencies, CPU time, the machine. */
#include "figures.h"

#include <cjson/cJSON.h>
#include <string.h>
#include <sys/utsname.h>

#include "tarn/util.h"
#include "tarn/version.h"

static const struct {
	const char *name;
	double percent;
} percentiles[] = {
	{ "p50", 50 },	   { "p90", 90 },	{ "p95", 95 },	       { "p99", 99 },
	{ "p99_9", 99.9 }, { "p99_99", 99.99 }, { "p99_999", 99.999 },
};

double
perf_ratio(double part, double whole)
{
	return whole > 0 ? part / whole : 0;
}

static double
percentile_us(const struct tarn_histogram *histogram, size_t i)
{
	return (double)tarn_histogram_percentile_ns(histogram, percentiles[i].percent) / 1e3;
}

void
perf_percentiles_text(const struct tarn_histogram *histogram, FILE *out)
{
	for (size_t i = 0; i < tarn_array_count(percentiles); i++)
		fprintf(out, "%s p%g %.2f", i == 0 ? "" : ",", percentiles[i].percent,
			percentile_us(histogram, i));
	fputc('\n', out);
}

void
perf_add_us(struct cJSON *object, const char *name, double value_us)
{
	char digits[40];

	snprintf(digits, sizeof(digits), "%.3f", value_us);
	cJSON_AddRawToObject(object, name, digits);
}

struct cJSON *
perf_add_latency(struct cJSON *parent, const struct tarn_histogram *histogram, uint64_t sum_ns,
		 uint64_t count)
{
	cJSON *latency = cJSON_AddObjectToObject(parent, "latency_us");

	perf_add_us(latency, "mean", perf_ratio((double)sum_ns, (double)count) / 1e3);
	for (size_t i = 0; i < tarn_array_count(percentiles); i++)
		perf_add_us(latency, percentiles[i].name, percentile_us(histogram, i));
	return latency;
}

void
perf_cpu_text(const struct perf_time *time, double count, const char *thing, FILE *out)
{
	double cpu_s = time->user_s + time->system_s;

	fprintf(out, "  CPU    %.3f us per %s (user %.3f, system %.3f), %.0f %% of one CPU\n",
		perf_ratio(cpu_s * 1e6, count), thing, perf_ratio(time->user_s * 1e6, count),
		perf_ratio(time->system_s * 1e6, count), 100 * perf_ratio(cpu_s, time->duration_s));
}

void
perf_add_cpu(struct cJSON *root, const struct perf_time *time, double count, const char *each_name)
{
	cJSON *cpu = cJSON_AddObjectToObject(root, "cpu");
	double cpu_s = time->user_s + time->system_s;

	cJSON_AddNumberToObject(cpu, "user_s", time->user_s);
	cJSON_AddNumberToObject(cpu, "system_s", time->system_s);
	perf_add_us(cpu, each_name, perf_ratio(cpu_s * 1e6, count));
	cJSON_AddNumberToObject(cpu, "utilization", perf_ratio(cpu_s, time->duration_s));
}

static void
cpu_model(char *text, size_t text_bytes)
{
	FILE *file = fopen("/proc/cpuinfo", "re");
	char line[256];

	tarn_strcpy(text, text_bytes, "unknown");
	if (file == NULL)
		return;
	while (fgets(line, sizeof(line), file) != NULL) {
		char *colon = strchr(line, ':');

		if (strncmp(line, "model name", 10) != 0 || colon == NULL)
			continue;
		colon[strcspn(colon, "\n")] = '\0';
		tarn_strcpy(text, text_bytes, colon + strspn(colon, ": \t"));
		break;
	}
	fclose(file);
}

static void
add_machine(cJSON *root)
{
	cJSON *machine = cJSON_AddObjectToObject(root, "machine");
	struct utsname kernel;
	char model[256];

	uname(&kernel);
	cpu_model(model, sizeof(model));
	cJSON_AddStringToObject(machine, "cpu", model);
	cJSON_AddStringToObject(machine, "kernel", kernel.release);
}

void
perf_add_about(struct cJSON *root)
{
	cJSON_AddStringToObject(root, "version", TARN_VERSION);
	add_machine(root);
}

char *
perf_print(struct cJSON *root)
{
	char *text = cJSON_Print(root);

	cJSON_Delete(root);
	return text;
}
