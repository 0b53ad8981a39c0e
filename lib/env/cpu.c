/* SPDX-License-Identifier: BSD-3-Clause */
/* CPUs: lists of them as text, pinning, names of threads. */
#include <ctype.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tarn/env.h"
#include "tarn/util.h"

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* text: the digits of the mask, most significant first. */
static int
parse_mask(const char *text, cpu_set_t *cpus)
{
	size_t count = strlen(text);

	for (size_t i = 0; i < count; i++) {
		int digit = hex_digit(text[count - 1 - i]);

		if (digit < 0)
			return -EINVAL;
		for (unsigned int bit = 0; bit < 4; bit++) {
			if ((digit & (1 << bit)) == 0)
				continue;
			if (i * 4 + bit >= CPU_SETSIZE)
				return -ERANGE;
			CPU_SET(i * 4 + bit, cpus);
		}
	}
	return 0;
}

static const char *
skip_space(const char *text)
{
	while (isspace((unsigned char)*text))
		text++;
	return text;
}

/* One number; *text is moved past it and the space around it. */
static int
parse_cpu(const char **text, unsigned long *ret_cpu)
{
	char *end;

	*text = skip_space(*text);
	if (!isdigit((unsigned char)**text))
		return -EINVAL;
	*ret_cpu = strtoul(*text, &end, 10);
	*text = skip_space(end);
	return *ret_cpu < CPU_SETSIZE ? 0 : -ERANGE;
}

/* "0,2-3" up to the character `end`, which nothing but space follows. */
static int
parse_list(const char *text, char end, cpu_set_t *cpus)
{
	for (;;) {
		unsigned long first, last;
		int status = parse_cpu(&text, &first);

		if (status != 0)
			return status;
		last = first;
		if (*text == '-') {
			text++;
			status = parse_cpu(&text, &last);
			if (status != 0)
				return status;
		}
		if (last < first)
			return -EINVAL;
		for (unsigned long cpu = first; cpu <= last; cpu++)
			CPU_SET(cpu, cpus);
		if (*text != ',')
			break;
		text++;
	}
	if (*text != end)
		return -EINVAL;
	return end == '\0' || *skip_space(text + 1) == '\0' ? 0 : -EINVAL;
}

int
tarn_cpus_parse(const char *text, cpu_set_t *ret_cpus)
{
	cpu_set_t cpus;
	int status;

	CPU_ZERO(&cpus);
	text = skip_space(text);
	if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
		status = parse_mask(text + 2, &cpus);
	else if (text[0] == '[')
		status = parse_list(text + 1, ']', &cpus);
	else
		status = parse_list(text, '\0', &cpus);
	if (status != 0)
		return status;
	if (CPU_COUNT(&cpus) == 0)
		return -EINVAL;
	*ret_cpus = cpus;
	return 0;
}

int
tarn_cpus_format(const cpu_set_t *cpus, char *text, size_t text_bytes)
{
	size_t length = 0;

	if (text_bytes == 0)
		return -ENAMETOOLONG;
	text[0] = '\0';
	for (int first = 0; first < CPU_SETSIZE; first++) {
		const char *comma = length > 0 ? "," : "";
		int last = first, added;

		if (!CPU_ISSET(first, cpus))
			continue;
		while (last + 1 < CPU_SETSIZE && CPU_ISSET(last + 1, cpus))
			last++;
		if (last > first)
			added = snprintf(text + length, text_bytes - length, "%s%d-%d", comma,
					 first, last);
		else
			added = snprintf(text + length, text_bytes - length, "%s%d", comma, first);
		length += (size_t)added;
		if (length >= text_bytes)
			return -ENAMETOOLONG;
		first = last;
	}
	return 0;
}

void
tarn_cpus_allowed(cpu_set_t *ret_cpus)
{
	CPU_ZERO(ret_cpus);
	/* Fails only on machines with more CPUs than cpu_set_t holds; those beyond are not used. */
	if (sched_getaffinity(0, sizeof(*ret_cpus), ret_cpus) != 0)
		for (unsigned int cpu = 0; cpu < CPU_SETSIZE; cpu++)
			CPU_SET(cpu, ret_cpus);
}

int
tarn_cpu_pin(unsigned int cpu)
{
	cpu_set_t cpus;

	if (cpu >= CPU_SETSIZE)
		return -EINVAL;
	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	return -pthread_setaffinity_np(pthread_self(), sizeof(cpus), &cpus);
}

void
tarn_thread_set_name(const char *name)
{
	char cut[16];

	(void)tarn_strcpy(cut, sizeof(cut), name);
	(void)pthread_setname_np(pthread_self(), cut);
}
