/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <pthread.h>
#include <stdatomic.h>

#include "tarn/bdev.h"
#include "tarn/bdev_opts.h"

/*
 * Which I/O of an error device is to go wrong, and how. Any thread. There is a lock, taken only
 * while some injection is in force: this is a device for tests.
 */
struct inject {
	pthread_mutex_t lock;
	atomic_uint generation;	  /* changes with the rules */
	atomic_uint active_count; /* operations that have a rule */
	struct inject_rule {
		struct tarn_bdev_error_inject inject; /* counts go down as it is applied */
		uint64_t random;
	} rule[TARN_IO_OP_COUNT];
};

void inject_init(struct inject *inject);
void inject_fini(struct inject *inject);
/** Set, or by type TARN_ERROR_NONE clear, the rule of one operation or of all. */
void inject_set(struct inject *inject, const struct tarn_bdev_error_inject *wanted);
/**
 * What happens to this I/O; counts it. inflight_count: of the channel, without it.
 * \return the type, TARN_ERROR_NONE for nothing; *ret_rule is a copy of the rule when it is
 * another.
 */
enum tarn_error_type inject_take(struct inject *inject, const struct tarn_io *io,
				 uint32_t inflight_count, struct tarn_bdev_error_inject *ret_rule);
/** \return whether I/O of this operation that hangs is to go on hanging. */
bool inject_still_pending(struct inject *inject, enum tarn_io_op op);
