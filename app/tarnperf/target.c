/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The devices: from paths by one driver, or from a config. Before anything is opened for writing,
 * whatever file or device lies under it is held against --destroy-data.
 */
#include "target.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "target_file.h"
#include "tarn/util.h"

/* --- Paths --- */

static int
create_from_path(const char *path, const struct perf_opts *opts, struct tarn_bdev **ret_bdev,
		 struct tarn_reason *reason)
{
	struct tarn_bdev_file_opts file = opts->file;
	uint64_t wanted = (uint64_t)opts->depth * opts->job_count;
	int rc = perf_target_file_check(path, opts, reason);

	if (rc != 0)
		return rc;
	file.filename = path;
	file.read_only = opts->read_percent == 100;
	if (file.common.queue_depth == 0 && wanted > 128)
		file.common.queue_depth = (uint32_t)tarn_min_u64(wanted, 4096);
	return tarn_bdev_create_file(opts->driver, path, &file, ret_bdev, reason);
}

static int
create_in_memory(const struct perf_opts *opts, struct tarn_bdev **ret_bdev,
		 struct tarn_reason *reason)
{
	struct tarn_bdev_null_opts null = {
		.common = opts->file.common,
		.size_bytes = opts->device_bytes,
		.block_size = opts->file.block_size,
	};
	struct tarn_bdev_ram_opts ram = {
		.common = opts->file.common,
		.size_bytes = opts->device_bytes,
		.block_size = opts->file.block_size,
	};

	if (null.block_size == 0 && opts->block_bytes % 4096 != 0)
		null.block_size = ram.block_size = 512;
	if (strcmp(opts->driver, "ram") == 0)
		return tarn_bdev_create("ram", "ram0", &ram, ret_bdev, reason);
	return tarn_bdev_create("null", "null0", &null, ret_bdev, reason);
}

/* --- Configs --- */

/* The bdev that a wrapper passes I/O on to, or NULL: it is none. */
static struct tarn_bdev *
base_of(const struct tarn_bdev *bdev)
{
	const char *driver = tarn_bdev_driver_name(bdev);

	if (strcmp(driver, "error") == 0) {
		const struct tarn_bdev_error_opts *opts = tarn_bdev_opts(bdev);

		return tarn_bdev_find(opts->base_name);
	}
	if (strcmp(driver, "delay") == 0) {
		const struct tarn_bdev_delay_opts *opts = tarn_bdev_opts(bdev);

		return tarn_bdev_find(opts->base_name);
	}
	return NULL;
}

static bool
is_base(const struct tarn_bdev *bdev)
{
	struct tarn_bdev *other = NULL;

	while ((other = tarn_bdev_next(other)) != NULL) {
		if (base_of(other) == bdev)
			return true;
	}
	return false;
}

/* Whether a write to this bdev ends on something that the user must allow. */
static int
check_config_bdev(struct tarn_bdev *bdev, const struct perf_opts *opts, struct tarn_reason *reason)
{
	const char *driver = tarn_bdev_driver_name(bdev);

	if (opts->read_percent == 100 || opts->destroy_data || strcmp(driver, "null") == 0 ||
	    strcmp(driver, "ram") == 0)
		return 0;
	if (base_of(bdev) != NULL)
		return check_config_bdev(base_of(bdev), opts, reason);
	return tarn_reason_set(
	    reason, -EPERM,
	    "bdev %s: --rw %s would destroy what is on it; --destroy-data allows it",
	    tarn_bdev_name(bdev), perf_opts_rw_name(opts));
}

static bool
is_named(const struct perf_opts *opts, const char *name)
{
	for (uint32_t i = 0; i < opts->bdev_name_count; i++) {
		if (strcmp(opts->bdev_names[i], name) == 0)
			return true;
	}
	return opts->bdev_name_count == 0;
}

static int
pick_from_config(struct perf_targets *targets, const struct perf_opts *opts,
		 struct tarn_reason *reason)
{
	struct tarn_bdev *bdev = NULL;

	for (uint32_t i = 0; i < opts->bdev_name_count; i++) {
		if (tarn_bdev_find(opts->bdev_names[i]) == NULL)
			return tarn_reason_set(reason, -ENODEV, "--bdev %s: not in %s",
					       opts->bdev_names[i], opts->config);
	}
	while ((bdev = tarn_bdev_next(bdev)) != NULL) {
		struct tarn_bdev_info info;
		int rc;

		tarn_bdev_get_info(bdev, &info);
		if (!is_named(opts, info.name))
			continue;
		if (opts->bdev_name_count == 0 && (info.claimed_by != NULL || is_base(bdev)))
			continue; /* another one, which is driven itself, stands on it */
		if (targets->count == PERF_DEVICE_COUNT_MAX)
			return tarn_reason_set(reason, -E2BIG, "%s: more than %d bdevs",
					       opts->config, PERF_DEVICE_COUNT_MAX);
		rc = check_config_bdev(bdev, opts, reason);
		if (rc != 0)
			return rc;
		targets->target[targets->count++].bdev = bdev;
	}
	if (targets->count == 0)
		return tarn_reason_set(reason, -ENODEV, "%s: makes no bdev", opts->config);
	return 0;
}

/* --- All of them --- */

int
perf_targets_make(struct perf_targets *targets, const struct perf_opts *opts,
		  struct tarn_reason *reason)
{
	if (opts->config != NULL)
		return pick_from_config(targets, opts, reason);
	if (opts->path_count == 0) {
		targets->count = 1;
		return create_in_memory(opts, &targets->target[0].bdev, reason);
	}
	for (uint32_t i = 0; i < opts->path_count; i++) {
		int rc = create_from_path(opts->paths[i], opts, &targets->target[i].bdev, reason);

		if (rc != 0)
			return rc;
		targets->count++;
	}
	return 0;
}

/* The region in units of one I/O. */
static int
target_region(struct perf_target *target, const struct perf_opts *opts, struct tarn_reason *reason)
{
	const struct tarn_bdev_info *info = &target->info;
	uint64_t length_bytes = opts->length_bytes;

	if (opts->block_bytes % info->block_size != 0)
		return tarn_reason_set(
		    reason, -EINVAL,
		    "%s: --block-size %llu is no multiple of its block of %u bytes", info->name,
		    (unsigned long long)opts->block_bytes, info->block_size);
	if (opts->offset_bytes % opts->block_bytes != 0)
		return tarn_reason_set(
		    reason, -EINVAL, "--offset %llu is no multiple of --block-size %llu",
		    (unsigned long long)opts->offset_bytes, (unsigned long long)opts->block_bytes);
	if (length_bytes == 0 && opts->offset_bytes < info->size_bytes)
		length_bytes = info->size_bytes - opts->offset_bytes;
	if (length_bytes < opts->block_bytes ||
	    !tarn_range_within(opts->offset_bytes, length_bytes, info->size_bytes))
		return tarn_reason_set(reason, -EINVAL,
				       "%s: its %llu bytes do not hold --offset %llu --length %llu "
				       "in blocks of %llu",
				       info->name, (unsigned long long)info->size_bytes,
				       (unsigned long long)opts->offset_bytes,
				       (unsigned long long)opts->length_bytes,
				       (unsigned long long)opts->block_bytes);
	target->first_block = opts->offset_bytes / opts->block_bytes;
	target->block_count = length_bytes / opts->block_bytes;
	return 0;
}

static int
target_open(struct perf_target *target, const struct perf_opts *opts, struct tarn_reason *reason)
{
	const char *name = tarn_bdev_name(target->bdev);
	int rc;

	tarn_bdev_get_info(target->bdev, &target->info);
	rc = target_region(target, opts, reason);
	if (rc != 0)
		return rc;
	target->stats = calloc(1, sizeof(*target->stats));
	if (target->stats == NULL)
		return tarn_reason_set(reason, -ENOMEM, "%s: no memory for statistics", name);
	rc = tarn_bdev_open(name, opts->read_percent < 100, NULL, NULL, &target->desc);
	if (rc != 0)
		tarn_reason_set(reason, rc, "%s: cannot be opened: %s", name, strerror(-rc));
	return rc;
}

int
perf_targets_open(struct perf_targets *targets, const struct perf_opts *opts,
		  struct tarn_reason *reason)
{
	int rc = perf_targets_make(targets, opts, reason);

	for (uint32_t i = 0; i < targets->count && rc == 0; i++)
		rc = target_open(&targets->target[i], opts, reason);
	if (rc != 0)
		perf_targets_close(targets);
	return rc;
}

void
perf_targets_close(struct perf_targets *targets)
{
	for (uint32_t i = 0; i < targets->count; i++) {
		struct perf_target *target = &targets->target[i];

		if (target->desc != NULL)
			tarn_bdev_close(target->desc);
		target->desc = NULL;
		free(target->stats);
		target->stats = NULL;
	}
}
