/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Devices by name: drivers, creation, opening, claims, events, removal. Control reactor only.
 *
 *	created --delete, gone--> removing --last close, last hold--> freed
 *
 * Removal tells the users once, refuses new ones, and then waits for as long as somebody holds the
 * device.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "lib/bdev/internal.h"
#include "tarn/log.h"
#include "tarn/name.h"
#include "tarn/notify.h"

TARN_NOTIFY_TYPE(bdev_register)
TARN_NOTIFY_TYPE(bdev_unregister)
TARN_NOTIFY_TYPE(bdev_resize)
TARN_NOTIFY_TYPE(bdev_gone)

#define QUEUE_DEPTH_MAX 4096
#define MAX_TRANSFER_DEFAULT (1u << 30)
#define IOV_COUNT_DEFAULT 1024

TAILQ_HEAD(bdev_list, tarn_bdev);
static struct bdev_list bdevs = TAILQ_HEAD_INITIALIZER(bdevs);
static struct tarn_bdev_driver_node *drivers;

void
tarn_bdev_driver_register(struct tarn_bdev_driver_node *node)
{
	node->next = drivers;
	drivers = node;
}

static struct tarn_bdev_driver_node *
driver_find(const char *name)
{
	for (struct tarn_bdev_driver_node *node = drivers; node != NULL; node = node->next) {
		if (strcmp(node->driver->name, name) == 0)
			return node;
	}
	return NULL;
}

const struct tarn_bdev_driver *
tarn_bdev_driver_find(const char *name)
{
	struct tarn_bdev_driver_node *node = driver_find(name);

	return node != NULL ? node->driver : NULL;
}

struct tarn_bdev *
tarn_bdev_find(const char *name)
{
	struct tarn_bdev *bdev;

	TAILQ_FOREACH (bdev, &bdevs, link) {
		if (strcmp(bdev->name, name) == 0 || strcasecmp(bdev->uuid, name) == 0)
			return bdev;
	}
	return NULL;
}

struct tarn_bdev *
tarn_bdev_next(struct tarn_bdev *bdev)
{
	return bdev == NULL ? TAILQ_FIRST(&bdevs) : TAILQ_NEXT(bdev, link);
}

static int
uuid_check(const char *uuid)
{
	static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

	if (strlen(uuid) != sizeof(form) - 1)
		return -EINVAL;
	for (size_t i = 0; form[i] != '\0'; i++) {
		bool hex = strchr("0123456789abcdefABCDEF", uuid[i]) != NULL;

		if (form[i] == '-' ? uuid[i] != '-' : !hex)
			return -EINVAL;
	}
	return 0;
}

/* A random UUID, version 4 of RFC 9562. */
static void
uuid_make(char *text)
{
	uint8_t b[16];

	if (getrandom(b, sizeof(b), 0) != sizeof(b))
		memset(b, 0, sizeof(b));
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	snprintf(text, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
		 b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12],
		 b[13], b[14], b[15]);
}

/* The device's own UUID, also in its options, so that a saved configuration brings it back. */
static int
uuid_settle(struct tarn_bdev *bdev, struct tarn_reason *reason)
{
	struct tarn_bdev_common_opts *common = bdev->opts;

	if (common->uuid == NULL) {
		uuid_make(bdev->uuid);
		common->uuid = strdup(bdev->uuid);
		return common->uuid != NULL
			   ? 0
			   : tarn_reason_set(reason, -ENOMEM, "%s: out of memory", bdev->name);
	}
	if (uuid_check(common->uuid) != 0)
		return tarn_reason_set(reason, -EINVAL, "%s: \"%s\" is not a UUID", bdev->name,
				       common->uuid);
	if (tarn_bdev_find(common->uuid) != NULL)
		return tarn_reason_set(reason, -EEXIST, "%s: another bdev has the UUID %s",
				       bdev->name, common->uuid);
	return tarn_strcpy(bdev->uuid, sizeof(bdev->uuid), common->uuid);
}

static void
settle_limits(struct tarn_bdev *bdev)
{
	const struct tarn_bdev_common_opts *common = bdev->opts;
	struct tarn_bdev_limits *limits = &bdev->limits;

	tarn_assert(tarn_is_pow2(limits->block_size));
	if (limits->physical_block_size == 0)
		limits->physical_block_size = limits->block_size;
	if (limits->buffer_align == 0)
		limits->buffer_align = 1;
	if (limits->max_transfer_bytes == 0)
		limits->max_transfer_bytes = MAX_TRANSFER_DEFAULT;
	if (limits->iov_count_max == 0)
		limits->iov_count_max = IOV_COUNT_DEFAULT;
	tarn_assert(limits->max_transfer_bytes >= limits->block_size);
	limits->support[TARN_IO_READ] = TARN_IO_NATIVE;
	limits->support[TARN_IO_WRITE] = TARN_IO_NATIVE;
	if (limits->support[TARN_IO_DISCARD] == TARN_IO_NONE)
		limits->support[TARN_IO_DISCARD] = TARN_IO_NOOP;
	if (limits->support[TARN_IO_WRITE_ZEROES] == TARN_IO_NONE)
		limits->support[TARN_IO_WRITE_ZEROES] = TARN_IO_EMULATED;
	if (limits->read_only) {
		limits->support[TARN_IO_WRITE] = TARN_IO_NONE;
		limits->support[TARN_IO_DISCARD] = TARN_IO_NONE;
		limits->support[TARN_IO_WRITE_ZEROES] = TARN_IO_NONE;
	}
	bdev->queue_depth = common->queue_depth != 0 ? common->queue_depth : limits->queue_depth;
	bdev->background_depth = common->background_depth != 0
				     ? common->background_depth
				     : (uint32_t)tarn_max_u64(bdev->queue_depth / 4, 1);
	atomic_store(&bdev->depth_now, bdev->queue_depth);
	atomic_store(&bdev->size_bytes, limits->size_bytes);
}

static int
check_create(const char *driver_name, const char *name, const struct tarn_bdev_common_opts *common,
	     struct tarn_reason *reason)
{
	if (driver_find(driver_name) == NULL)
		return tarn_reason_set(reason, -ENOENT, "there is no driver \"%s\"", driver_name);
	if (name[0] == '\0' || strlen(name) > TARN_BDEV_NAME_MAX)
		return tarn_reason_set(reason, -EINVAL,
				       "name: a bdev's name has 1 to %d characters",
				       TARN_BDEV_NAME_MAX);
	if (!tarn_name_valid(name))
		return tarn_reason_set(reason, -EINVAL,
				       "name: a bdev's name has no control characters, and not "
				       "only spaces");
	if (tarn_bdev_find(name) != NULL)
		return tarn_reason_set(reason, -EEXIST, "%s: a bdev of that name exists", name);
	if (common->queue_depth > QUEUE_DEPTH_MAX)
		return tarn_reason_set(reason, -EINVAL, "%s: queue_depth %u is over %d", name,
				       common->queue_depth, QUEUE_DEPTH_MAX);
	if (common->background_depth > QUEUE_DEPTH_MAX)
		return tarn_reason_set(reason, -EINVAL, "%s: background_depth %u is over %d", name,
				       common->background_depth, QUEUE_DEPTH_MAX);
	return 0;
}

static void *
opts_copy(const struct tarn_bdev_driver *driver, const void *opts)
{
	struct tarn_bdev_common_opts *copy;

	if (driver->opts_copy != NULL)
		return driver->opts_copy(opts);
	copy = malloc(driver->opts_bytes);
	if (copy == NULL)
		return NULL;
	memcpy(copy, opts, driver->opts_bytes);
	if (copy->uuid != NULL) {
		copy->uuid = strdup(copy->uuid);
		if (copy->uuid == NULL) {
			free(copy);
			return NULL;
		}
	}
	return copy;
}

static void
opts_free(const struct tarn_bdev_driver *driver, void *opts)
{
	struct tarn_bdev_common_opts *common = opts;

	if (opts == NULL)
		return;
	if (driver->opts_free != NULL) {
		driver->opts_free(opts);
		return;
	}
	free((void *)(uintptr_t)common->uuid);
	free(common);
}

static void
bdev_free(struct tarn_bdev *bdev)
{
	opts_free(bdev->driver, bdev->opts);
	pthread_mutex_destroy(&bdev->retired_lock);
	bdev->magic = 0;
	free(bdev->ctx);
	free(bdev);
}

static struct tarn_bdev *
bdev_alloc(struct tarn_bdev_driver_node *node, const char *name, const void *opts)
{
	struct tarn_bdev *bdev = calloc(1, sizeof(*bdev));

	if (bdev == NULL)
		return NULL;
	bdev->magic = BDEV_MAGIC;
	bdev->node = node;
	bdev->driver = node->driver;
	pthread_mutex_init(&bdev->retired_lock, NULL);
	TAILQ_INIT(&bdev->descs);
	for (uint32_t i = 0; i < TARN_REACTOR_COUNT_MAX; i++)
		TAILQ_INIT(&bdev->channels[i]);
	tarn_strcpy(bdev->name, sizeof(bdev->name), name);
	bdev->ctx = calloc(1, tarn_max_u64(bdev->driver->bdev_ctx_bytes, 1));
	bdev->opts = opts_copy(bdev->driver, opts);
	if (bdev->ctx == NULL || bdev->opts == NULL) {
		bdev_free(bdev);
		return NULL;
	}
	return bdev;
}

int
tarn_bdev_create(const char *driver_name, const char *name, const void *opts,
		 struct tarn_bdev **ret_bdev, struct tarn_reason *ret_reason)
{
	struct tarn_bdev *bdev;
	int status;

	tarn_assert(tarn_on_control_reactor());
	status = check_create(driver_name, name, opts, ret_reason);
	if (status != 0)
		return status;
	bdev = bdev_alloc(driver_find(driver_name), name, opts);
	if (bdev == NULL)
		return tarn_reason_set(ret_reason, -ENOMEM, "%s: out of memory", name);
	status = uuid_settle(bdev, ret_reason);
	if (status != 0)
		goto free_bdev;
	status = bdev->driver->open(bdev, bdev->opts, &bdev->limits, ret_reason);
	if (status != 0)
		goto free_bdev;
	settle_limits(bdev);
	TAILQ_INSERT_TAIL(&bdevs, bdev, link);
	tarn_notify_send(&bdev_register_notify, bdev->name);
	*ret_bdev = bdev;
	return 0;

free_bdev:
	bdev_free(bdev);
	return status;
}

static void
destroy(void *arg)
{
	struct tarn_bdev *bdev = arg;
	tarn_io_cb done = bdev->delete_done;
	void *done_arg = bdev->delete_arg;

	bdev->destroying = false;
	if (bdev->hold_count != 0)
		return; /* taken since this was sent, as by statistics: its end comes back here */
	stats_sampling_free(bdev);
	bdev->driver->close(bdev);
	TAILQ_REMOVE(&bdevs, bdev, link);
	tarn_notify_send(&bdev_unregister_notify, bdev->name);
	bdev_free(bdev);
	if (done != NULL)
		done(done_arg, 0);
}

static void
destroy_when_unused(struct tarn_bdev *bdev)
{
	if (!atomic_load(&bdev->removing) || bdev->open_count != 0 || bdev->hold_count != 0 ||
	    bdev->destroying || atomic_load(&bdev->gone) == GONE_TOLD)
		return;
	bdev->destroying = true;
	/* By message: whoever brought this about may still have the device in its hands. */
	tarn_msg_send(tarn_reactor_get(0), &bdev->delete_msg, destroy, bdev);
}

void
bdev_hold(struct tarn_bdev *bdev)
{
	bdev->hold_count++;
}

void
bdev_unhold(struct tarn_bdev *bdev)
{
	tarn_assert(bdev->hold_count > 0);
	bdev->hold_count--;
	destroy_when_unused(bdev);
}

static void
send_event(struct tarn_bdev *bdev, enum tarn_bdev_event event)
{
	struct tarn_bdev_desc *desc, *next;

	bdev_hold(bdev);
	TARN_TAILQ_FOREACH_SAFE (desc, &bdev->descs, link, next) {
		if (event == TARN_BDEV_EVENT_REMOVE) {
			if (desc->told_of_removal)
				continue;
			desc->told_of_removal = true;
		}
		/*
		 * An earlier one's handler may have closed it; its memory lasts until a later turn.
		 */
		if (desc->event_cb != NULL && !desc->closed)
			desc->event_cb(bdev, event, desc->event_arg);
	}
	bdev_unhold(bdev);
}

struct refusal {
	tarn_io_cb done;
	void *arg;
	int status;
};

static void
refuse(void *arg)
{
	struct refusal refusal = *(struct refusal *)arg;

	free(arg);
	refusal.done(refusal.arg, refusal.status);
}

/* Answer a delete that does not happen: later, as every answer. */
static void
refuse_delete(tarn_io_cb done, void *arg, int status)
{
	struct refusal *refusal;

	if (done == NULL)
		return;
	refusal = malloc(sizeof(*refusal));
	if (refusal != NULL) {
		*refusal = (struct refusal){ .done = done, .arg = arg, .status = status };
		if (tarn_reactor_call(tarn_reactor_get(0), refuse, refusal) == 0)
			return;
	}
	free(refusal);
	done(arg, -ENOMEM);
}

static void
removal_starts(void *arg)
{
	struct tarn_bdev *bdev = arg;

	send_event(bdev, TARN_BDEV_EVENT_REMOVE);
	bdev_unhold(bdev);
}

void
tarn_bdev_delete(struct tarn_bdev *bdev, bool force, tarn_io_cb done, void *arg)
{
	tarn_assert(tarn_on_control_reactor() && bdev->magic == BDEV_MAGIC);
	if (atomic_load(&bdev->removing) && bdev->delete_done != NULL) {
		refuse_delete(done, arg, -ENODEV);
		return;
	}
	if (!force && bdev->open_count != 0 && !atomic_load(&bdev->removing)) {
		refuse_delete(done, arg, -EBUSY);
		return;
	}
	bdev->delete_done = done;
	bdev->delete_arg = arg;
	if (atomic_exchange(&bdev->removing, true))
		return; /* it is on its way out already: now somebody waits for it */
	bdev_hold(bdev);
	tarn_msg_send(tarn_reactor_get(0), &bdev->delete_msg, removal_starts, bdev);
}

static void
gone(void *arg)
{
	struct tarn_bdev *bdev = arg;

	bdev_hold(bdev);
	atomic_store(&bdev->gone, GONE_HANDLED);
	if (!atomic_load(&bdev->removing)) {
		tarn_error("bdev %s: the device is gone; it is removed", bdev->name);
		tarn_notify_send(&bdev_gone_notify, bdev->name);
		tarn_bdev_delete(bdev, true, NULL, NULL);
	}
	bdev_unhold(bdev);
}

void
tarn_bdev_notify_gone(struct tarn_bdev *bdev)
{
	int expected = GONE_NOT;

	/* The caller has a channel of it; from here to gone() the state keeps it. */
	if (atomic_compare_exchange_strong(&bdev->gone, &expected, GONE_TOLD))
		tarn_msg_send(tarn_reactor_get(0), &bdev->gone_msg, gone, bdev);
}

void
tarn_bdev_notify_resize(struct tarn_bdev *bdev, uint64_t size_bytes)
{
	tarn_assert(tarn_on_control_reactor());
	if (atomic_exchange(&bdev->size_bytes, size_bytes) == size_bytes)
		return;
	bdev->limits.size_bytes = size_bytes;
	tarn_notify_send(&bdev_resize_notify, bdev->name);
	send_event(bdev, TARN_BDEV_EVENT_RESIZE);
}

int
tarn_bdev_control(struct tarn_bdev *bdev, uint32_t command, const void *arg,
		  struct tarn_reason *ret_reason)
{
	tarn_assert(tarn_on_control_reactor());
	if (bdev->driver->control == NULL)
		return tarn_reason_set(ret_reason, -ENOTSUP,
				       "%s: driver %s has no actions of its own", bdev->name,
				       bdev->driver->name);
	return bdev->driver->control(bdev, command, arg, ret_reason);
}

static bool
others_claim(const struct tarn_bdev *bdev, const struct tarn_bdev_desc *own)
{
	const struct tarn_bdev_desc *desc;

	TAILQ_FOREACH (desc, &bdev->descs, link) {
		if (desc != own && desc->claim != NULL)
			return true;
	}
	return false;
}

int
tarn_bdev_open(const char *name, bool write, tarn_bdev_event_cb event_cb, void *arg,
	       struct tarn_bdev_desc **ret_desc)
{
	struct tarn_bdev *bdev = tarn_bdev_find(name);
	struct tarn_bdev_desc *desc;

	tarn_assert(tarn_on_control_reactor());
	if (bdev == NULL || atomic_load(&bdev->removing))
		return -ENODEV;
	if (write && bdev->limits.read_only)
		return -EROFS;
	if (write && others_claim(bdev, NULL))
		return -EBUSY;
	desc = calloc(1, sizeof(*desc));
	if (desc == NULL)
		return -ENOMEM;
	desc->bdev = bdev;
	desc->write = write;
	desc->event_cb = event_cb;
	desc->event_arg = arg;
	atomic_store(&desc->ref_count, 1);
	TAILQ_INSERT_TAIL(&bdev->descs, desc, link);
	bdev->open_count++;
	*ret_desc = desc;
	return 0;
}

static void
desc_free(void *arg)
{
	struct tarn_bdev_desc *desc = arg;
	struct tarn_bdev *bdev = desc->bdev;

	free(desc);
	bdev_unhold(bdev);
}

void
desc_unref(struct tarn_bdev_desc *desc)
{
	if (atomic_fetch_sub(&desc->ref_count, 1) == 1)
		tarn_msg_send(tarn_reactor_get(0), &desc->close_msg, desc_free, desc);
}

void
tarn_bdev_close(struct tarn_bdev_desc *desc)
{
	struct tarn_bdev *bdev = desc->bdev;

	tarn_assert(tarn_on_control_reactor());
	/*
	 * Its channels, all put, may still be on their way out: they keep the device until they
	 * are.
	 */
	bdev_hold(bdev);
	desc->closed = true;
	TAILQ_REMOVE(&bdev->descs, desc, link);
	bdev->open_count--;
	desc_unref(desc);
}

int
tarn_bdev_claim(struct tarn_bdev_desc *desc, const char *module)
{
	const struct tarn_bdev_desc *other;

	tarn_assert(tarn_on_control_reactor() && module != NULL);
	TAILQ_FOREACH (other, &desc->bdev->descs, link) {
		if (other != desc && (other->claim != NULL || other->write))
			return -EBUSY;
	}
	desc->claim = module;
	return 0;
}

void
tarn_bdev_release(struct tarn_bdev_desc *desc)
{
	desc->claim = NULL;
}
