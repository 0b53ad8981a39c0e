/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "tarn/env.h"
#include "tarn/util.h"
#include "test/unit/common/ut.h"

static void
test_masks_and_lists_are_read_alike(void)
{
	static const struct {
		const char *text, *list;
	} cases[] = {
		{ "0x1", "0" },
		{ "0x3", "0-1" },
		{ "0XF0", "4-7" },
		{ "0x00000000000000000000000000000000001", "0" },
		{ "3", "3" },
		{ "[0,1]", "0-1" },
		{ " [ 0 , 2 - 3 ] ", "0,2-3" },
		{ "0,2-3,9", "0,2-3,9" },
		{ "5-5", "5" },
		{ "1,1,1", "1" },
		{ "1023", "1023" },
	};
	char text[64];
	cpu_set_t cpus;

	for (size_t i = 0; i < tarn_array_count(cases); i++) {
		CU_ASSERT_EQUAL(tarn_cpus_parse(cases[i].text, &cpus), 0);
		CU_ASSERT_EQUAL(tarn_cpus_format(&cpus, text, sizeof(text)), 0);
		CU_ASSERT_STRING_EQUAL(text, cases[i].list);
	}
}

static void
test_what_is_no_list_of_cpus_is_refused_and_changes_nothing(void)
{
	static const char *const bad[] = { "",	  " ",	  "0x",	  "0x0",  "0xg",   "[]", "[0",
					   "0]",  "[0]x", "0,",	  ",0",	  "1-",	   "-1", "3-1",
					   "0 1", "a",	  "0,,1", "1--2", "[0,1]]" };
	cpu_set_t cpus, before;

	CPU_ZERO(&cpus);
	CPU_SET(17, &cpus);
	before = cpus;
	for (size_t i = 0; i < tarn_array_count(bad); i++)
		CU_ASSERT_EQUAL(tarn_cpus_parse(bad[i], &cpus), -EINVAL);
	CU_ASSERT_EQUAL(tarn_cpus_parse("1024", &cpus), -ERANGE);
	CU_ASSERT_EQUAL(tarn_cpus_parse("0-99999999999999999999999", &cpus), -ERANGE);
	CU_ASSERT_TRUE(CPU_EQUAL(&cpus, &before));
}

static void
test_a_mask_beyond_the_last_cpu_is_out_of_range(void)
{
	char text[300] = "0x1";
	cpu_set_t cpus;

	memset(text + 3, '0', CPU_SETSIZE / 4);
	CU_ASSERT_EQUAL(tarn_cpus_parse(text, &cpus), -ERANGE);
	text[3 + CPU_SETSIZE / 4 - 1] = '\0';
	CU_ASSERT_EQUAL(tarn_cpus_parse(text, &cpus), 0);
}

static void
test_a_list_that_does_not_fit_is_told(void)
{
	cpu_set_t cpus;
	char text[8];

	CU_ASSERT_EQUAL(tarn_cpus_parse("0,2,4,6", &cpus), 0);
	CU_ASSERT_EQUAL(tarn_cpus_format(&cpus, text, sizeof(text)), 0);
	CU_ASSERT_STRING_EQUAL(text, "0,2,4,6");
	CU_ASSERT_EQUAL(tarn_cpus_format(&cpus, text, sizeof(text) - 1), -ENAMETOOLONG);
	CU_ASSERT_EQUAL(tarn_cpus_format(&cpus, text, 0), -ENAMETOOLONG);
}

struct pinned {
	unsigned int cpu;
	int status;
	cpu_set_t after;
	char name[16];
};

static void *
pin(void *arg)
{
	struct pinned *pinned = arg;

	pinned->status = tarn_cpu_pin(pinned->cpu);
	tarn_cpus_allowed(&pinned->after);
	tarn_thread_set_name("a-name-of-over-15-characters");
	pthread_getname_np(pthread_self(), pinned->name, sizeof(pinned->name));
	return NULL;
}

static void
run_pin(struct pinned *pinned)
{
	pthread_t thread;

	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, pin, pinned), 0);
	pthread_join(thread, NULL);
}

static void
test_a_pinned_thread_is_allowed_its_cpu_alone(void)
{
	struct pinned pinned = { .cpu = 0 };
	cpu_set_t allowed;

	tarn_cpus_allowed(&allowed);
	CU_ASSERT_TRUE_FATAL(CPU_COUNT(&allowed) > 0);
	while (!CPU_ISSET(pinned.cpu, &allowed))
		pinned.cpu++;
	run_pin(&pinned);
	CU_ASSERT_EQUAL(pinned.status, 0);
	CU_ASSERT_EQUAL(CPU_COUNT(&pinned.after), 1);
	CU_ASSERT_TRUE(CPU_ISSET(pinned.cpu, &pinned.after));
	CU_ASSERT_STRING_EQUAL(pinned.name, "a-name-of-over-");
}

static void
test_pinning_to_an_absent_cpu_is_refused(void)
{
	struct pinned pinned = { .cpu = CPU_SETSIZE - 1 };

	run_pin(&pinned);
	CU_ASSERT_EQUAL(pinned.status, -EINVAL);
	pinned.cpu = CPU_SETSIZE + 5;
	run_pin(&pinned);
	CU_ASSERT_EQUAL(pinned.status, -EINVAL);
}

UT_SUITE(cpus, NULL, NULL, UT_CASE(test_masks_and_lists_are_read_alike),
	 UT_CASE(test_what_is_no_list_of_cpus_is_refused_and_changes_nothing),
	 UT_CASE(test_a_mask_beyond_the_last_cpu_is_out_of_range),
	 UT_CASE(test_a_list_that_does_not_fit_is_told),
	 UT_CASE(test_a_pinned_thread_is_allowed_its_cpu_alone),
	 UT_CASE(test_pinning_to_an_absent_cpu_is_refused));
