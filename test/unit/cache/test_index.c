/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>

#include "lib/cache/index.h"
#include "test/unit/common/ut.h"

static struct index index_under_test;

static void
setup(void)
{
	CU_ASSERT_FATAL(index_init(&index_under_test, 1000) == 0);
}

static void
teardown(void)
{
	index_fini(&index_under_test);
}

static void
test_ids_of_blocks_give_back_volume_and_number(void)
{
	struct index_slot slot = { .id = index_block_id(16383, (UINT64_C(1) << 40) - 1) };

	CU_ASSERT(index_kind(&slot) == INDEX_KIND_BLOCK);
	CU_ASSERT(index_volume(&slot) == 16383);
	CU_ASSERT(index_block(&slot) == (UINT64_C(1) << 40) - 1);
	slot.id = index_object_id(UINT64_MAX);
	CU_ASSERT(index_kind(&slot) == INDEX_KIND_OBJECT && (slot.id & INDEX_MARKS) == 0);
}

static void
test_nine_tenths_full_everything_is_found_and_nothing_else(void)
{
	struct index *index = &index_under_test;
	uint32_t count = 3600, lost = 0, extra = 0;

	for (uint32_t i = 0; i < count; i++) {
		struct index_slot *slot = index_insert(index, index_block_id(1, i));

		CU_ASSERT_FATAL(slot != NULL);
		slot->place = i;
	}
	for (uint32_t i = 0; i < count; i++) {
		struct index_slot *slot = index_find(index, index_block_id(1, i));

		lost += slot == NULL || slot->place != i;
		extra += index_find(index, index_block_id(2, i)) != NULL;
	}
	CU_ASSERT(lost == 0 && extra == 0 && index->entry_count == count);
}

static void
test_an_index_of_one_pair_is_filled_to_the_last_slot(void)
{
	struct index index;
	uint32_t found = 0;

	CU_ASSERT_FATAL(index_init(&index, 2) == 0);
	for (uint32_t i = 0; i < 8; i++)
		CU_ASSERT_FATAL(index_insert(&index, index_block_id(1, i)) != NULL);
	CU_ASSERT(index_insert(&index, index_block_id(1, 8)) == NULL);
	for (uint32_t i = 0; i < 9; i++)
		found += index_find(&index, index_block_id(1, i)) != NULL;
	CU_ASSERT(found == 8);
	index_fini(&index);
}

/* As the log makes it: the oldest go, new ones come. */
static void
test_where_the_oldest_make_room_none_is_refused(void)
{
	struct index *index = &index_under_test;
	uint32_t full = 3200, refused = 0, lost = 0;

	for (uint32_t i = 0; i < 50 * full; i++) {
		if (i >= full) {
			struct index_slot *slot = index_find(index, index_block_id(1, i - full));

			lost += slot == NULL;
			if (slot != NULL)
				index_remove(index, slot);
		}
		refused += index_insert(index, index_block_id(1, i)) == NULL;
	}
	CU_ASSERT(refused == 0 && lost == 0 && index->entry_count == full);
}

static void
test_random_work_agrees_with_an_array(void)
{
	struct index *index = &index_under_test;
	uint32_t *model = calloc(6000, sizeof(*model));
	uint32_t wrong = 0, there = 0;
	unsigned int seed = 1;

	for (uint32_t i = 1; i < 400000; i++) {
		uint32_t key = (uint32_t)rand_r(&seed) % 6000;
		uint64_t id = index_object_id((uint64_t)key * UINT64_C(0x9e3779b97f4a7c15));
		struct index_slot *slot = index_find(index, id);

		wrong += (slot == NULL) != (model[key] == 0) ||
			 (slot != NULL && slot->place != model[key]);
		if (slot != NULL && i % 3 == 0) {
			index_remove(index, slot);
			model[key] = 0;
			there--;
		} else if (slot == NULL && there < 3500) {
			slot = index_insert(index, id);
			CU_ASSERT_FATAL(slot != NULL);
			slot->place = model[key] = i;
			there++;
		}
	}
	CU_ASSERT(wrong == 0 && index->entry_count == there && index->object_count == there);
	index_recount(index);
	CU_ASSERT(index->entry_count == there);
	free(model);
}

static void
test_a_full_index_refuses_and_a_dirty_entry_takes_a_clean_ones_place(void)
{
	struct index *index = &index_under_test;
	struct index_slot *slot;
	uint32_t i = 0;

	while ((slot = index_insert(index, index_block_id(1, i))) != NULL)
		index_set_dirty(index, slot, i++ % 2 == 0);
	CU_ASSERT(i > 2800);
	CU_ASSERT(index_find(index, index_block_id(1, i)) == NULL);
	CU_ASSERT(index_insert_over_clean(index, index_block_id(1, i)) != NULL);
	CU_ASSERT(index_find(index, index_block_id(1, i)) != NULL);
	CU_ASSERT(index->entry_count == i);
	for (uint32_t j = 0; j < i; j += 2)
		CU_ASSERT_FATAL(index_find(index, index_block_id(1, j)) != NULL);
}

static void
test_marks_are_counted(void)
{
	struct index *index = &index_under_test;
	struct index_slot *slot = index_insert(index, index_block_id(1, 1));

	index_set_dirty(index, slot, true);
	index_set_dirty(index, slot, true);
	index_set_suspect(index, slot);
	CU_ASSERT(index->dirty_count == 1 && index->suspect_count == 1);
	for (int i = 0; i < 9; i++)
		index_hit(slot);
	CU_ASSERT((slot->id & INDEX_HITS) == 3 && index_find(index, index_block_id(1, 1)) == slot);
	index_remove(index, slot);
	CU_ASSERT(index->dirty_count == 0 && index->suspect_count == 0 && index->entry_count == 0);
}

UT_SUITE(cache_index, setup, teardown, UT_CASE(test_ids_of_blocks_give_back_volume_and_number),
	 UT_CASE(test_nine_tenths_full_everything_is_found_and_nothing_else),
	 UT_CASE(test_an_index_of_one_pair_is_filled_to_the_last_slot),
	 UT_CASE(test_where_the_oldest_make_room_none_is_refused),
	 UT_CASE(test_random_work_agrees_with_an_array),
	 UT_CASE(test_a_full_index_refuses_and_a_dirty_entry_takes_a_clean_ones_place),
	 UT_CASE(test_marks_are_counted));
