/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "tarn/util.h"

/*
 * What each driver is created with, for tarn_bdev_create(), and the actions of tarn_bdev_control().
 * Plain data; strings are copied. A structure of zeroes with its required strings set is a good
 * default unless a field says otherwise.
 */

/* Fields that every driver has; first in each structure. */
struct tarn_bdev_common_opts {
	const char *uuid;     /* text form; NULL: one is made */
	uint32_t queue_depth; /* I/Os in the driver per channel; 0: its default */
	/* find the smallest depth that keeps the throughput; queue_depth is then the most */
	bool queue_depth_auto;
	uint32_t background_depth; /* of these for background I/O; 0: a quarter, at least 1 */
	/* queue_depth_auto also keeps the mean latency below this; 0: no target */
	uint64_t latency_target_us;
};

/*
 * uring, aio and sync: the same parameters for the same file or device. uring_cmd: those of uring,
 * for an NVMe namespace by either of its nodes, without buffered and fallback; it discards and
 * zeroes by NVMe commands, whatever no_fallocate says.
 */
struct tarn_bdev_file_opts {
	struct tarn_bdev_common_opts common;
	const char *filename; /* required: a regular file or a block device */
	uint32_t block_size; /* bytes, a power of two; 0: what the device or file system asks for */
	bool read_only;
	bool buffered;	   /* without O_DIRECT (RPC: direct: false) */
	bool no_fallocate; /* RPC: fallocate: false: discard and write zeroes by other means only */
	bool fallback;	   /* try uring, then aio, then sync, from the driver named on */
	/* uring and uring_cmd only; refused by name for the others. */
	enum tarn_tristate sqpoll;
	enum tarn_tristate iopoll;
	int32_t sqpoll_cpu;	 /* -1: not pinned. Set it: 0 is a CPU */
	uint32_t sqpoll_idle_ms; /* 0: the kernel's default of 1 s */
	bool no_fixed_buffers;
	bool no_fixed_files;
	bool no_ring_flags; /* plain ring: to compare, or to work around a kernel */
	/* aio only. */
	bool nowait; /* RWF_NOWAIT first; a request that would block is sent again without it */
	/* sync only. */
	uint32_t worker_count; /* threads; 0: inline on the reactor */
	/* Not from users. */
	bool shared; /* for measuring, with read_only: open it although others hold it */
	const char *requested_driver; /* fallback took another one than this; NULL: it did not */
	const char *fallback_reason;  /* why */
};

struct tarn_bdev_ram_opts {
	struct tarn_bdev_common_opts common;
	uint64_t size_bytes; /* required, a multiple of block_size */
	uint32_t block_size; /* 0: 4096 */
	uint32_t physical_block_size;
};

struct tarn_bdev_null_opts {
	struct tarn_bdev_common_opts common;
	uint64_t size_bytes; /* required, a multiple of block_size */
	uint32_t block_size; /* 0: 4096 */
	uint32_t physical_block_size;
};

/* Passes I/O on to base_name, except where tarn_bdev_error_inject says otherwise. */
struct tarn_bdev_error_opts {
	struct tarn_bdev_common_opts common;
	const char *base_name; /* required; claimed */
};

/*
 * Passes I/O on to base_name; completes it late: most by the average, one in 100 by the p99
 * latency.
 */
struct tarn_bdev_delay_opts {
	struct tarn_bdev_common_opts common;
	const char *base_name; /* required; claimed */
	uint64_t average_read_us, p99_read_us, average_write_us, p99_write_us;
};

enum tarn_bdev_command {
	/* arg: NULL. uring, uring_cmd, aio, sync: take the size from the file or device again */
	TARN_BDEV_RESCAN,
	/*
	 * arg: NULL. The same drivers, on a block device: see whether it is gone, or has another
	 * size. For lib/bdev, when the kernel tells of a change.
	 */
	TARN_BDEV_LOOK,
	/* arg: const uint64_t *size_bytes. null only: -EINVAL unless a multiple of the block */
	TARN_BDEV_RESIZE,
	TARN_BDEV_INJECT,      /* arg: const struct tarn_bdev_error_inject *. error */
	TARN_BDEV_SET_LATENCY, /* arg: const struct tarn_bdev_delay_latency *. delay */
};

enum tarn_error_type {
	TARN_ERROR_NONE,    /* RPC "clear": end the injection for that operation */
	TARN_ERROR_FAILURE, /* complete with `status`, without touching the base */
	TARN_ERROR_PENDING, /* hang until cleared, then pass on */
	/* XOR corrupt_value into the byte at corrupt_offset of each block */
	TARN_ERROR_CORRUPT_DATA,
	TARN_ERROR_NOMEM, /* RPC "nomem": complete with -ENOMEM */
	/*
	 * complete with success, without touching the base: a lost write, a flush that does nothing
	 */
	TARN_ERROR_DROP,
	TARN_ERROR_SHORT, /* the driver's view of a short transfer: -EIO after half of it is done */
};

struct tarn_bdev_error_inject {
	int op; /* enum tarn_io_op, or -1 for all */
	enum tarn_error_type type;
	uint64_t count;	     /* so many I/Os; UINT64_MAX: until cleared */
	uint64_t skip_count; /* let so many pass first: "the Nth" */
	uint32_t share_ppm;  /* of those left, so many in a million, by a fixed seed; 0: all */
	uint64_t offset_bytes,
	    length_bytes;     /* only I/O that touches this range; length 0: everywhere */
	int status;	      /* -errno; 0: -EIO */
	uint32_t queue_depth; /* SPDK's: only when more than this many are in flight; 0: always */
	uint64_t corrupt_offset; /* within each block */
	uint8_t corrupt_value;	 /* not 0 */
};

enum tarn_delay_type {
	TARN_DELAY_AVERAGE_READ,
	TARN_DELAY_P99_READ,
	TARN_DELAY_AVERAGE_WRITE,
	TARN_DELAY_P99_WRITE,
};

struct tarn_bdev_delay_latency {
	enum tarn_delay_type type;
	uint64_t latency_us;
};
