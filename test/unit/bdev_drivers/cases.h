/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include "test/unit/bdev_drivers/dut.h"

/*
 * The tests of drivers, by list. EVERY_DRIVER (every.c) runs on each driver; FILE_DRIVER (files.c)
 * on those of files and block devices, PAGE_CACHE where a mode does not ask for O_DIRECT, and
 * BACKING_FILE, REGULAR_FILE and BLOCK_DEVICE for what only the one medium or the other can show. A
 * suite in modes.c runs a list unchanged in one mode on one medium.
 */
#define BLOCK 4096u

#define EVERY_DRIVER(C, s)                                                                         \
	C(s, test_read_returns_what_was_written), C(s, test_first_and_last_block_are_there),       \
	    C(s, test_vectors_gather_and_scatter_in_order),                                        \
	    C(s, test_buffers_outside_io_memory_work), C(s, test_what_is_not_aligned_is_refused),  \
	    C(s, test_smallest_alignment_that_is_announced_works),                                 \
	    C(s, test_io_of_any_size_is_split_and_whole),                                          \
	    C(s, test_fua_write_completes_and_is_there), C(s, test_flush_succeeds),                \
	    C(s, test_discarded_blocks_can_be_written_again),                                      \
	    C(s, test_zeroes_are_read_where_they_were_written_only),                               \
	    C(s, test_zeroes_of_any_size_succeed),                                                 \
	    C(s, test_more_in_flight_than_places_all_complete),                                    \
	    C(s, test_a_callback_may_submit_its_io_again),                                         \
	    C(s, test_all_operations_may_be_in_flight_together),                                   \
	    C(s, test_statistics_count_operations_bytes_and_errors),                               \
	    C(s, test_a_closed_device_can_be_created_again),                                       \
	    C(s, test_io_ends_a_reactors_sleep_and_keeps_it_from_none_after)

#define FILE_DRIVER(C, s)                                                                          \
	C(s, test_a_read_only_bdev_is_not_opened_for_writing),                                     \
	    C(s, test_without_fallocate_zeroes_and_discard_still_work),                            \
	    C(s, test_what_is_no_device_is_refused_with_the_reason),                               \
	    C(s, test_what_another_holds_is_refused)

#define PAGE_CACHE(C, s)                                                                           \
	C(s, test_page_cache_instead_of_o_direct_works),                                           \
	    C(s, test_no_space_is_an_error_of_that_write_only)

#define BACKING_FILE(C, s) C(s, test_a_file_cut_short_fails_what_is_behind_its_end_only)

#define REGULAR_FILE(C, s)                                                                         \
	C(s, test_a_transfer_that_ends_at_the_files_end_is_an_error),                              \
	    C(s, test_rescan_takes_the_new_size),                                                  \
	    C(s, test_sizes_that_cannot_be_are_refused_with_the_reason),                           \
	    C(s, test_no_permission_is_refused)

#define BLOCK_DEVICE(C, s) C(s, test_a_read_only_device_is_refused_for_writing)

#define DECLARE(unused, function) function(void)
void EVERY_DRIVER(DECLARE, );
void FILE_DRIVER(DECLARE, );
void PAGE_CACHE(DECLARE, );
void BACKING_FILE(DECLARE, );
void REGULAR_FILE(DECLARE, );
void BLOCK_DEVICE(DECLARE, );

/** A buffer of I/O memory with known contents, for tarn_iobuf_put(). */
void *buffer(size_t length_bytes);
/** Write data, then zeroes over the middle of it with these flags, and look at all of it. */
void zeroes_over_data(uint32_t flags);
/** Whether DUT_DEVICE_ENV names an NVMe namespace. */
bool is_nvme_device(void);
