/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "test/sim/model.h"
#include "test/unit/common/ut.h"

static struct model model;
static struct subject *subject = &model.blocks[0][0];

static void
setup(void)
{
	memset(&model, 0, sizeof(model));
	model.object_count = model.block_count = 1;
	model_reset(&model);
	model.strict = true;
	model.segment_slack = 40;
}

static uint64_t
submit(uint32_t content, bool dirty)
{
	struct version version = {
		.kind = content != 0 ? VERSION_VALUE : VERSION_ABSENT,
		.content = content,
		.dirty = dirty,
	};

	return model_submit(&model, subject, &version);
}

static void
put(uint32_t content, bool dirty)
{
	model_complete(&model, subject, submit(content, dirty), MODEL_ACKED);
}

static bool
same(const void *arg, const struct subject *of, const struct version *version)
{
	(void)of;
	return version->content == *(const uint32_t *)arg;
}

/* \return whether a read of that content is let pass; 0: a miss. */
static bool
allows(uint32_t content, bool dirty)
{
	struct observation seen = {
		.upper = model_read_upper(subject),
		.lower = model_read_begin(subject),
		.hit = content != 0,
		.dirty_known = true,
		.dirty = dirty,
		.same = same,
		.arg = &content,
	};

	return model_read_end(&model, subject, &seen) == NULL;
}

static void
end_and_open(enum model_end end)
{
	model_ended(&model, end);
	model_opened(&model);
}

static void
test_an_older_version_than_the_acknowledged_one_is_refused(void)
{
	put(1, true);
	put(2, true);
	CU_ASSERT(allows(2, true));
	CU_ASSERT(!allows(1, true));
}

static void
test_a_dirty_block_is_never_a_miss(void)
{
	put(1, true);
	CU_ASSERT(!allows(0, false));
}

static void
test_after_power_loss_one_of_flushed_and_later_is_the_truth_for_good(void)
{
	put(1, true);
	model_flushed(&model, model.ack);
	put(2, true);
	put(3, true);
	end_and_open(MODEL_END_POWER);
	CU_ASSERT(allows(2, true));
	CU_ASSERT(!allows(3, true));
	CU_ASSERT(!allows(1, true));
	end_and_open(MODEL_END_POWER);
	CU_ASSERT(allows(2, true));
}

static void
test_after_the_process_died_what_was_acknowledged_is_there(void)
{
	put(1, true);
	put(2, true);
	end_and_open(MODEL_END_KILL);
	CU_ASSERT(!allows(1, true));
	CU_ASSERT(allows(2, true));
}

static void
test_what_was_forgotten_does_not_come_back(void)
{
	put(1, false);
	put(0, false);
	model_flushed(&model, model.ack);
	end_and_open(MODEL_END_POWER);
	CU_ASSERT(!allows(1, false));
}

static void
test_a_clean_entry_does_not_vanish_without_a_reason(void)
{
	put(1, false);
	CU_ASSERT(!allows(0, false));
	model.segments = 41;
	CU_ASSERT(allows(0, false));
	CU_ASSERT(!allows(1, false));
}

static void
test_what_is_marked_clean_is_as_old_in_the_log_as_it_was(void)
{
	struct version mark = { .kind = VERSION_VALUE, .content = 1, .mark = true };

	put(1, true);
	model.segments = 40;
	model_complete(&model, subject, model_submit(&model, subject, &mark), MODEL_ACKED);
	CU_ASSERT(!allows(0, false));
	model.segments = 41;
	CU_ASSERT(allows(0, false));
}

UT_SUITE(sim_model, setup, NULL,
	 UT_CASE(test_an_older_version_than_the_acknowledged_one_is_refused),
	 UT_CASE(test_a_dirty_block_is_never_a_miss),
	 UT_CASE(test_after_power_loss_one_of_flushed_and_later_is_the_truth_for_good),
	 UT_CASE(test_after_the_process_died_what_was_acknowledged_is_there),
	 UT_CASE(test_what_was_forgotten_does_not_come_back),
	 UT_CASE(test_a_clean_entry_does_not_vanish_without_a_reason),
	 UT_CASE(test_what_is_marked_clean_is_as_old_in_the_log_as_it_was));
