/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Numbers with units. strtod reads the number and what follows must be a unit of the table, whole,
 * so that "4kb" or "10 s" is an error and not a guess.
 */
#include "opts_value.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <strings.h>

struct unit {
	const char *name;
	double factor;
};

static const struct unit size_units[] = {
	{ "", 1 },	 { "b", 1 },	    { "k", 0x1p10 }, { "kib", 0x1p10 },
	{ "m", 0x1p20 }, { "mib", 0x1p20 }, { "g", 0x1p30 }, { "gib", 0x1p30 },
	{ "t", 0x1p40 }, { "tib", 0x1p40 }, { NULL, 0 },
};
static const struct unit duration_units[] = {
	{ "", 1e9 },   { "s", 1e9 },	{ "ms", 1e6 }, { "us", 1e3 },
	{ "m", 60e9 }, { "h", 3600e9 }, { NULL, 0 },
};
static const struct unit count_units[] = {
	{ "", 1 }, { "k", 1e3 }, { "m", 1e6 }, { "g", 1e9 }, { NULL, 0 },
};

static int
value_parse(const char *text, const struct unit *units, uint64_t *ret)
{
	double value;
	char *end;

	if (!isdigit((unsigned char)text[0]) || strncasecmp(text, "0x", 2) == 0)
		return -EINVAL;
	value = strtod(text, &end);
	for (; units->name != NULL; units++) {
		if (strcasecmp(end, units->name) != 0)
			continue;
		value = round(value * units->factor);
		if (!(value < 0x1p63))
			return -ERANGE;
		*ret = (uint64_t)value;
		return 0;
	}
	return -EINVAL;
}

int
perf_value_size(const char *text, uint64_t *ret)
{
	return value_parse(text, size_units, ret);
}

int
perf_value_duration(const char *text, uint64_t *ret)
{
	return value_parse(text, duration_units, ret);
}

int
perf_value_count(const char *text, uint64_t *ret)
{
	return value_parse(text, count_units, ret);
}
