/* SPDX-License-Identifier: BSD-3-Clause */
/* Checkpoints that come to nothing. */
#include <errno.h>

#include "test/unit/cache/stage.h"

static void
setup(void)
{
	stage_setup();
	stage.opts.shard_count = 1;
}

static void
test_a_checkpoint_that_failed_leaves_its_sequence_and_the_good_area_alone(void)
{
	uint64_t good;

	stage_start();
	stage_store_many(0, 10, 3000, 1, 4);
	CU_ASSERT(stage_checkpoint() == 0);
	good = stage.cache->checkpoint_sequence;
	CU_ASSERT(stage_flush() == 0);
	for (uint32_t i = 1; i <= 3; i++) {
		/* The one after the header, which is on the device then. */
		stage_inject(TARN_IO_FLUSH, TARN_ERROR_FAILURE, 1, 1);
		CU_ASSERT(stage_checkpoint() == -EIO);
		stage_clear();
		CU_ASSERT(stage.cache->checkpoint_sequence == good);
		CU_ASSERT(stage.cache->checkpoint_tried == good + 2 * i - 1);
	}
	CU_ASSERT(stage_checkpoint() == 0);
	CU_ASSERT(stage.cache->checkpoint_sequence == good + 7);
	CU_ASSERT(stage_checkpoint() == 0);
	CU_ASSERT(stage.cache->checkpoint_sequence == good + 8);
}

UT_SUITE(cache_checkpoint, setup, stage_teardown,
	 UT_CASE(test_a_checkpoint_that_failed_leaves_its_sequence_and_the_good_area_alone));
