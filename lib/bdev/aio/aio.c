/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Driver aio: Linux native AIO. One context per reactor serves all its bdevs; queue.c moves the
 * I/O.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/bdev/aio/aio.h"

#define AIO_QUEUE_DEPTH 128
#define AIO_EVENTS_MIN 32
#define AIO_RING_MAGIC 0xa10a10a1
/*
 * With I/O in flight that will wake nobody: nap, so that the next I/O is sent with a wake-up. Twice
 * as long each time that there was nothing, so that I/O that hangs costs next to nothing.
 */
#define AIO_NAP_MIN_NS 20000
#define AIO_NAP_MAX_NS 1000000

/* All groups, for describe, which sums up over the reactors. */
static pthread_mutex_t groups_lock = PTHREAD_MUTEX_INITIALIZER;
static struct aio_group *groups;

/* A reactor has few bdevs on most machines; fs.aio-max-nr may leave less than asked for. */
static int
context_setup(struct aio_group *group)
{
	int status;

	group->event_count = AIO_EVENTS_MAX;
	while ((status = io_setup((int)group->event_count, &group->context)) == -EAGAIN &&
	       group->event_count > AIO_EVENTS_MIN)
		group->event_count /= 2;
	if (status != 0)
		return status;
	group->ring = (struct aio_ring *)group->context;
	if (group->ring->magic != AIO_RING_MAGIC || group->ring->incompat_features != 0 ||
	    group->ring->header_length != sizeof(struct aio_ring))
		group->ring = NULL;
	return 0;
}

static int
aio_group_open(struct tarn_group *tgroup)
{
	struct aio_group *group = tarn_group_ctx(tgroup);
	int status;

	group->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (group->event_fd < 0)
		return -errno;
	status = context_setup(group);
	if (status != 0) {
		(void)close(group->event_fd);
		return status;
	}
	group->flush = (struct tarn_deferred){ .fn = aio_queue_flush, .arg = group };
	(void)pthread_mutex_lock(&groups_lock);
	group->next = groups;
	groups = group;
	(void)pthread_mutex_unlock(&groups_lock);
	return 0;
}

static void
aio_group_close(struct tarn_group *tgroup)
{
	struct aio_group *group = tarn_group_ctx(tgroup);
	struct aio_group **at = &groups;

	tarn_assert(group->inflight_count == 0 && group->waiting.first == NULL);
	tarn_assert(!group->flush.scheduled);
	(void)pthread_mutex_lock(&groups_lock);
	while (*at != group)
		at = &(*at)->next;
	*at = group->next;
	(void)pthread_mutex_unlock(&groups_lock);
	(void)io_destroy(group->context);
	(void)close(group->event_fd);
}

static int
aio_poll(struct tarn_group *tgroup)
{
	return aio_queue_poll(tarn_group_ctx(tgroup));
}

static int
aio_sleep_fd(struct tarn_group *tgroup)
{
	return ((struct aio_group *)tarn_group_ctx(tgroup))->event_fd;
}

static uint64_t
nap_ns(struct aio_group *group)
{
	uint64_t ns = tarn_max_u64(group->nap_ns, AIO_NAP_MIN_NS);

	group->nap_ns = tarn_min_u64(2 * ns, AIO_NAP_MAX_NS);
	return ns;
}

static uint64_t
aio_may_sleep_ns(struct tarn_group *tgroup)
{
	struct aio_group *group = tarn_group_ctx(tgroup);
	uint64_t drained;

	/*
	 * Drained always, or what is long reaped would end each sleep at once; and before the look
	 * at the ring: what completes after that look writes it again.
	 */
	(void)!read(group->event_fd, &drained, sizeof(drained));
	if (group->failed.first != NULL)
		return TARN_SLEEP_NO;
	if (group->stalled)
		return AIO_NAP_MIN_NS;
	if (group->inflight_count == 0)
		return TARN_SLEEP_ANY;
	if (group->ring != NULL &&
	    group->ring->head != __atomic_load_n(&group->ring->tail, __ATOMIC_ACQUIRE))
		return TARN_SLEEP_NO;
	return group->ring != NULL && group->silent_count == 0 ? TARN_SLEEP_ANY : nap_ns(group);
}

/* Whether this process may have a context at all, and if not why, before a channel wants one. */
static int
context_probe(struct tarn_reason *reason)
{
	io_context_t context = NULL;
	int status = io_setup(AIO_EVENTS_MIN, &context);

	if (status == 0) {
		(void)io_destroy(context);
		return 0;
	}
	if (status == -EAGAIN)
		return tarn_reason_set(reason, status,
				       "driver aio: the kernel's limit on AIO requests is used up: "
				       "raise the sysctl fs.aio-max-nr");
	if (status == -ENOSYS || status == -EPERM)
		return tarn_reason_set(reason, status,
				       "driver aio: this kernel or a seccomp filter does not allow "
				       "io_setup(2): use driver uring or sync");
	return tarn_reason_set(reason, status, "driver aio: io_setup(2) failed: %s",
			       strerror(-status));
}

static int
aio_open(struct tarn_bdev *bdev, const void *opts, struct tarn_bdev_limits *limits,
	 struct tarn_reason *reason)
{
	const struct tarn_bdev_file_opts *fopts = opts;
	struct aio_bdev *abdev = tarn_bdev_ctx(bdev);
	int status = tarn_bdev_file_check_opts("aio", fopts, reason);

	if (status == 0)
		status = context_probe(reason);
	if (status == 0)
		status = tarn_bdev_file_open(fopts, &abdev->file, reason);
	if (status != 0)
		return status;
	abdev->nowait = fopts->nowait && abdev->file.nowait;
	tarn_bdev_file_limits(&abdev->file, limits);
	limits->queue_depth = AIO_QUEUE_DEPTH;
	return 0;
}

static void
aio_close(struct tarn_bdev *bdev)
{
	struct aio_bdev *abdev = tarn_bdev_ctx(bdev);

	tarn_bdev_file_close(&abdev->file);
}

static int
aio_control(struct tarn_bdev *bdev, uint32_t command, const void *arg, struct tarn_reason *reason)
{
	struct aio_bdev *abdev = tarn_bdev_ctx(bdev);

	(void)arg;
	return tarn_bdev_file_control(bdev, &abdev->file, command, reason);
}

static void
describe_counters(const struct tarn_info_sink *sink)
{
	uint64_t enters = 0, submits = 0, reaps = 0, completions = 0;

	(void)pthread_mutex_lock(&groups_lock);
	for (const struct aio_group *group = groups; group != NULL; group = group->next) {
		enters += __atomic_load_n(&group->enter_count, __ATOMIC_RELAXED);
		submits += __atomic_load_n(&group->submit_count, __ATOMIC_RELAXED);
		reaps += __atomic_load_n(&group->reap_count, __ATOMIC_RELAXED);
		completions += __atomic_load_n(&group->complete_count, __ATOMIC_RELAXED);
	}
	(void)pthread_mutex_unlock(&groups_lock);
	/* Of the contexts, which all bdevs of this driver share. */
	sink->number(sink->arg, "submissions", enters);
	sink->number(sink->arg, "submitted_ios", submits);
	sink->number(sink->arg, "reaps", reaps);
	sink->number(sink->arg, "completions", completions);
}

static void
aio_describe(struct tarn_bdev *bdev, const struct tarn_info_sink *sink)
{
	struct aio_bdev *abdev = tarn_bdev_ctx(bdev);
	const struct tarn_bdev_file_opts *fopts = tarn_bdev_opts(bdev);

	tarn_bdev_file_describe(&abdev->file, fopts, sink);
	sink->flag(sink->arg, "nowait", abdev->nowait);
	if (fopts->nowait && !abdev->nowait)
		sink->text(sink->arg, "nowait_reason",
			   "the file or device does not take RWF_NOWAIT");
	sink->number(sink->arg, "nowait_retries",
		     __atomic_load_n(&abdev->nowait_retry_count, __ATOMIC_RELAXED));
	sink->text(sink->arg, "flush_by",
		   __atomic_load_n(&abdev->fdsync_refused, __ATOMIC_RELAXED)
		       ? "worker (the kernel refuses IOCB_CMD_FDSYNC)"
		       : "IOCB_CMD_FDSYNC");
	describe_counters(sink);
}

static const struct tarn_bdev_driver aio_driver = {
	.name = "aio",
	.product = "AIO disk",
	.batch_clock = true,
	.bdev_ctx_bytes = sizeof(struct aio_bdev),
	.group_ctx_bytes = sizeof(struct aio_group),
	.io_ctx_bytes = sizeof(struct aio_io),
	.opts_copy = tarn_bdev_file_opts_copy,
	.opts_free = tarn_bdev_file_opts_free,
	.open = aio_open,
	.close = aio_close,
	.control = aio_control,
	.describe = aio_describe,
	.group_open = aio_group_open,
	.group_close = aio_group_close,
	.poll = aio_poll,
	.may_sleep_ns = aio_may_sleep_ns,
	.sleep_fd = aio_sleep_fd,
	.submit = aio_queue_submit,
};
TARN_BDEV_DRIVER(aio_driver)
