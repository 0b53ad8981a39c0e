/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runs the suites that registered themselves: all tests, or those named on the command line; -l
 * lists them. One line for each: "ok NAME", "FAIL NAME: file:line: expression" or "skip NAME:
 * reason", then a summary.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ut.h"

#define HANG_S 300 /* a test that takes as long has hung; none depends on being faster */

static struct ut_suite *suite_list;
static const struct ut_suite *running_suite;
static const struct ut_case *running_case;
static const char *skip_reason;
static unsigned int passed_count, failed_count, skipped_count;

/* In order of name, so that runs compare. */
void
ut_suite_register(struct ut_suite *suite)
{
	struct ut_suite **place = &suite_list;

	while (*place != NULL && strcmp((*place)->name, suite->name) < 0)
		place = &(*place)->next;
	suite->next = *place;
	*place = suite;
}

void
ut_skip(const char *reason)
{
	skip_reason = reason;
	/* The way in which CUnit's fatal assertions leave a test. */
	longjmp(*CU_get_current_test()->pJumpBuf, 1);
}

int
ut_aborts(void (*fn)(void *arg), void *arg)
{
	struct rlimit no_core = { 0, 0 };
	int status = 0;
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		setrlimit(RLIMIT_CORE, &no_core);
		if (freopen("/dev/null", "w", stderr) == NULL)
			_exit(2);
		fn(arg);
		_exit(0);
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		return 0;
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void
on_hang(int signal_number)
{
	(void)signal_number;
	/*
	 * Not safe in a signal handler in general; the process ends here and a name is worth the
	 * risk.
	 */
	printf("FAIL %s: hangs\n", running_case->name);
	fflush(stdout);
	_exit(1);
}

static void
run_case(void)
{
	running_case->fn();
}

static void
report(const CU_FailureRecord *failure)
{
	if (failure != NULL) {
		failed_count++;
		for (; failure != NULL; failure = failure->pNext)
			printf("FAIL %s: %s:%u: %s\n", running_case->name, failure->strFileName,
			       failure->uiLineNumber, failure->strCondition);
	} else if (skip_reason != NULL) {
		skipped_count++;
		printf("skip %s: %s\n", running_case->name, skip_reason);
	} else {
		passed_count++;
		printf("ok %s\n", running_case->name);
	}
	fflush(stdout);
}

static bool
run_suite_case(const struct ut_suite *suite, const struct ut_case *one)
{
	CU_pSuite cu_suite;
	CU_pTest cu_test;
	bool ran;

	running_suite = suite;
	running_case = one;
	skip_reason = NULL;
	/* A registry for each test: its failures are then those of the run. */
	if (CU_initialize_registry() != CUE_SUCCESS)
		return false;
	cu_suite = CU_add_suite_with_setup_and_teardown(suite->name, NULL, NULL, suite->setup,
							suite->teardown);
	cu_test = cu_suite != NULL ? CU_add_test(cu_suite, one->name, run_case) : NULL;
	alarm(HANG_S);
	ran = cu_test != NULL && CU_run_test(cu_suite, cu_test) == CUE_SUCCESS;
	alarm(0);
	if (ran)
		report(CU_get_failure_list());
	CU_cleanup_registry();
	return ran;
}

static bool
wanted(const struct ut_case *one, char *const *names)
{
	if (*names == NULL)
		return true;
	for (; *names != NULL; names++)
		if (strcmp(*names, one->name) == 0)
			return true;
	return false;
}

int
main(int argc, char **argv)
{
	bool list = argc > 1 && strcmp(argv[1], "-l") == 0;

	if (argc > 1 && argv[1][0] == '-' && !list) {
		fprintf(stderr, "usage: %s [-l | TEST...]\n", argv[0]);
		return 2;
	}
	signal(SIGALRM, on_hang);
	for (const struct ut_suite *suite = suite_list; suite != NULL; suite = suite->next) {
		for (size_t i = 0; i < suite->case_count; i++) {
			const struct ut_case *one = &suite->cases[i];

			if (list) {
				puts(one->name);
			} else if (wanted(one, argv + 1) && !run_suite_case(suite, one)) {
				printf("FAIL %s: CUnit: %s\n", one->name, CU_get_error_msg());
				failed_count++;
			}
		}
	}
	if (list)
		return 0;
	printf("%s: %u passed, %u failed, %u skipped\n", argv[0], passed_count, failed_count,
	       skipped_count);
	if (argc > 1 && passed_count + failed_count + skipped_count == 0) {
		fprintf(stderr, "%s: no such test\n", argv[0]);
		return 2;
	}
	return failed_count == 0 ? 0 : 1;
}
