/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A file or block device by the best driver that works here. What fails for every driver (no such
 * file, in use) is reported as the first one put it.
 */
#include <errno.h>
#include <string.h>

#include "tarn/bdev_driver.h"
#include "tarn/util.h"

static const char *const order[] = { "uring", "aio", "sync" };

static size_t
order_index(const char *driver_name)
{
	size_t i = 0;

	while (i < tarn_array_count(order) && strcmp(order[i], driver_name) != 0)
		i++;
	return i;
}

/* "uring: why; aio: why", as far as it fits. */
static void
append_reason(struct tarn_reason *all, const char *driver_name, const char *why)
{
	struct tarn_reason before = *all;

	(void)tarn_reason_set(all, 0, "%s%s%s: %s", before.text, before.text[0] != '\0' ? "; " : "",
			      driver_name, why);
}

int
tarn_bdev_create_file(const char *driver_name, const char *name,
		      const struct tarn_bdev_file_opts *opts, struct tarn_bdev **ret_bdev,
		      struct tarn_reason *ret_reason)
{
	size_t first = order_index(driver_name);
	struct tarn_bdev_file_opts next = *opts;
	struct tarn_reason all = { "" };
	struct tarn_reason why = { "" };
	int status, first_status;

	if (strcmp(driver_name, "uring_cmd") == 0)
		return tarn_bdev_create(driver_name, name, opts, ret_bdev, ret_reason);
	if (first == tarn_array_count(order))
		return tarn_reason_set(ret_reason, -ENOENT,
				       "driver %s is none for files: use uring, aio or sync",
				       driver_name);
	first_status = tarn_bdev_create(driver_name, name, opts, ret_bdev, ret_reason);
	if (first_status == 0 || !opts->fallback || first_status == -EEXIST)
		return first_status;
	if (ret_reason != NULL)
		append_reason(&all, driver_name, ret_reason->text);
	else
		append_reason(&all, driver_name, strerror(-first_status));
	next.requested_driver = driver_name;
	for (size_t i = first + 1; i < tarn_array_count(order); i++) {
		next.fallback_reason = all.text;
		status = tarn_bdev_create(order[i], name, &next, ret_bdev, &why);
		if (status == 0)
			return 0;
		append_reason(&all, order[i], why.text);
	}
	return first_status;
}
