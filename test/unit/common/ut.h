/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <CUnit/CUnit.h>
#include <stddef.h>

/*
 * What a unit test is made of: test functions that use CUnit's CU_ASSERT family, and in each file
 * a table of them. ut_main.c runs the tables of all files that were linked. See README.md.
 */
struct ut_case {
	const char *name;
	void (*fn)(void);
};

struct ut_suite {
	const char *name;
	const struct ut_case *cases;
	size_t case_count;
	void (*setup)(void);	/* before each test; may be NULL */
	void (*teardown)(void); /* after each test, also a failed one; may be NULL */
	struct ut_suite *next;
};
void ut_suite_register(struct ut_suite *suite);

#define UT_CASE(function)                                                                          \
	{                                                                                          \
		.name = #function, .fn = (function)                                                \
	}

/* UT_SUITE(log, setup, teardown, UT_CASE(test_a), UT_CASE(test_b)); */
#define UT_SUITE(suite, setup_fn, teardown_fn, ...)                                                \
	UT_SUITE_WHERE(1, suite, setup_fn, teardown_fn, __VA_ARGS__)

/* The same, for a suite that is there only where `condition` holds when the program starts. */
#define UT_SUITE_WHERE(condition, suite, setup_fn, teardown_fn, ...)                               \
	static const struct ut_case suite##_cases[] = { __VA_ARGS__ };                             \
	static struct ut_suite suite##_suite = {                                                   \
		.name = #suite,                                                                    \
		.cases = suite##_cases,                                                            \
		.case_count = sizeof(suite##_cases) / sizeof(suite##_cases[0]),                    \
		.setup = (setup_fn),                                                               \
		.teardown = (teardown_fn),                                                         \
	};                                                                                         \
	__attribute__((constructor)) static void suite##_suite_register(void)                      \
	{                                                                                          \
		if (condition)                                                                     \
			ut_suite_register(&suite##_suite);                                         \
	}                                                                                          \
	struct ut_suite

/**
 * End this test as skipped, because of something that the machine does not have. On the main
 * thread.
 */
void ut_skip(const char *reason) __attribute__((noreturn));

/**
 * Run fn(arg) in a child process. \return whether it was ended by abort(), as tarn_assert() does.
 */
int ut_aborts(void (*fn)(void *arg), void *arg);
