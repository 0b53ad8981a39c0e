/* SPDX-License-Identifier: BSD-3-Clause */
/* tarnck: check the cache on a device that no daemon holds. Options and wiring. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ck.h"
#include "tarn/env.h"
#include "tarn/reactor.h"

static int
report(const struct ck *ck)
{
	if (ck->reason.text[0] != '\0')
		fprintf(stderr, "tarnck: %s\n", ck->reason.text);
	if (ck->opts->json)
		return ck_report_json(ck);
	if (ck->reason.text[0] == '\0')
		ck_report_text(ck);
	return 0;
}

int
main(int argc, char **argv)
{
	static struct ck ck;
	/* The drivers' way of opening has a place for its worker threads there; none ever runs. */
	struct tarn_reactor_opts reactors = { .unpinned = true };
	struct ck_opts opts;
	int status = ck_opts_parse(argc, argv, &opts);
	int rc;

	if (status != -1)
		return status;
	rc = tarn_env_init(NULL);
	if (rc == 0)
		rc = tarn_reactors_init(&reactors);
	if (rc != 0) {
		fprintf(stderr, "tarnck: memory: %s\n", strerror(-rc));
		return CK_OPERATIONAL;
	}
	status = ck_check(&ck, &opts);
	rc = report(&ck);
	ck_fini(&ck);
	tarn_reactors_fini();
	tarn_env_fini();
	if (fflush(stdout) != 0)
		rc = -errno;
	if (rc != 0) {
		fprintf(stderr, "tarnck: standard output: %s\n", strerror(-rc));
		return CK_OPERATIONAL;
	}
	return status;
}
