/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * File descriptors, and sleep. Sockets are watched always; what drivers complete by is watched
 * during sleep only, because a watched ring or eventfd costs the kernel a wake-up on every
 * completion.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "lib/reactor/internal.h"
#include "tarn/env.h"

/* What epoll gives back for fds that only end the sleep; no watch lies at this address. */
static struct tarn_fd_watch wake_only;

static int
epoll_add(int epoll_fd, int fd, uint32_t epoll_events, struct tarn_fd_watch *watch)
{
	struct epoll_event event = { .events = epoll_events, .data.ptr = watch };

	return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : -errno;
}

int
fds_init(struct tarn_reactor *reactor)
{
	int status;

	reactor->fd_period_ns = REACTOR_FD_PERIOD_MIN_NS;
	reactor->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (reactor->epoll_fd < 0)
		return -errno;
	reactor->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (reactor->event_fd < 0) {
		status = -errno;
		goto close_epoll;
	}
	status = epoll_add(reactor->epoll_fd, reactor->event_fd, EPOLLIN, &wake_only);
	if (status != 0)
		goto close_event;
	return 0;

close_event:
	close(reactor->event_fd);
close_epoll:
	close(reactor->epoll_fd);
	return status;
}

void
fds_fini(struct tarn_reactor *reactor)
{
	tarn_assert(TAILQ_EMPTY(&reactor->watches));
	close(reactor->event_fd);
	close(reactor->epoll_fd);
}

void
fds_wake(struct tarn_reactor *reactor)
{
	uint64_t one = 1;
	ssize_t written = write(reactor->event_fd, &one, sizeof(one));

	/* It fails only when the counter is full, and then the reactor is awake. */
	(void)written;
}

int
tarn_fd_watch_add(int fd, uint32_t epoll_events, tarn_fd_fn fn, void *arg,
		  struct tarn_fd_watch **ret_watch)
{
	struct tarn_reactor *reactor = tarn_reactor_self();
	struct tarn_fd_watch *watch = calloc(1, sizeof(*watch));
	int status;

	tarn_assert(reactor != NULL);
	if (watch == NULL)
		return -ENOMEM;
	watch->fd = fd;
	watch->epoll_events = epoll_events;
	watch->fn = fn;
	watch->arg = arg;
	watch->reactor = reactor;
	status = epoll_add(reactor->epoll_fd, fd, epoll_events, watch);
	if (status != 0) {
		free(watch);
		return status;
	}
	TAILQ_INSERT_TAIL(&reactor->watches, watch, link);
	*ret_watch = watch;
	return 0;
}

int
tarn_fd_watch_modify(struct tarn_fd_watch *watch, uint32_t epoll_events)
{
	struct epoll_event event = { .events = epoll_events, .data.ptr = watch };

	tarn_assert(watch->reactor == tarn_reactor_self() && !watch->dead);
	if (watch->epoll_events == epoll_events)
		return 0;
	if (epoll_ctl(watch->reactor->epoll_fd, EPOLL_CTL_MOD, watch->fd, &event) != 0)
		return -errno;
	watch->epoll_events = epoll_events;
	return 0;
}

void
tarn_fd_watch_remove(struct tarn_fd_watch **watch_ptr)
{
	struct tarn_fd_watch *watch = *watch_ptr;
	struct tarn_reactor *reactor;

	if (watch == NULL)
		return;
	*watch_ptr = NULL;
	reactor = watch->reactor;
	tarn_assert(reactor == tarn_reactor_self() && !watch->dead);
	epoll_ctl(reactor->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
	if (reactor->handling_fds) {
		watch->dead = true;
		reactor->dead_watch_count++;
		return;
	}
	TAILQ_REMOVE(&reactor->watches, watch, link);
	free(watch);
}

static void
sweep_dead(struct tarn_reactor *reactor)
{
	struct tarn_fd_watch *watch, *next;

	TARN_TAILQ_FOREACH_SAFE (watch, &reactor->watches, link, next) {
		if (watch->dead) {
			TAILQ_REMOVE(&reactor->watches, watch, link);
			free(watch);
		}
	}
	reactor->dead_watch_count = 0;
}

static uint32_t
handle(struct tarn_reactor *reactor, struct epoll_event *events, int count)
{
	uint32_t handled = 0;

	reactor->handling_fds = true;
	for (int i = 0; i < count; i++) {
		struct tarn_fd_watch *watch = events[i].data.ptr;

		/* An event that is already here may be of one that an earlier handler removed. */
		if (watch == &wake_only || watch->dead)
			continue;
		watch->fn(watch->arg, events[i].events);
		handled++;
	}
	reactor->handling_fds = false;
	if (reactor->dead_watch_count != 0)
		sweep_dead(reactor);
	return handled;
}

uint32_t
fds_run(struct tarn_reactor *reactor)
{
	struct epoll_event events[REACTOR_FD_EVENTS_MAX];
	uint32_t handled;
	int count;

	if (tarn_likely(reactor->turn_ns < reactor->fd_due_ns) || TAILQ_EMPTY(&reactor->watches))
		return 0;
	count = epoll_wait(reactor->epoll_fd, events, REACTOR_FD_EVENTS_MAX, 0);
	handled = count > 0 ? handle(reactor, events, count) : 0;
	/* Look seldom while there is nothing, often while there is. */
	if (handled != 0)
		reactor->fd_period_ns = REACTOR_FD_PERIOD_MIN_NS;
	else
		reactor->fd_period_ns =
		    tarn_min_u64(reactor->fd_period_ns * 2, REACTOR_FD_PERIOD_MAX_NS);
	reactor->fd_due_ns = reactor->turn_ns + reactor->fd_period_ns;
	return handled;
}

/* \return whether all fds will end the sleep; the kernel may have no memory for one. */
static bool
arm_pollers(struct tarn_reactor *reactor, bool arm)
{
	struct tarn_poller *poller;
	bool armed = true;

	TAILQ_FOREACH (poller, &reactor->active, link) {
		if (!poller->opts.has_fd)
			continue;
		if (!arm)
			epoll_ctl(reactor->epoll_fd, EPOLL_CTL_DEL, poller->opts.fd, NULL);
		else if (epoll_add(reactor->epoll_fd, poller->opts.fd, EPOLLIN, &wake_only) != 0)
			armed = false;
	}
	return armed;
}

void
fds_sleep(struct tarn_reactor *reactor, uint64_t for_ns)
{
	struct epoll_event events[REACTOR_FD_EVENTS_MAX];
	struct timespec timeout;
	uint64_t drained;
	int count;

	if (!arm_pollers(reactor, true))
		for_ns = tarn_min_u64(for_ns, REACTOR_FD_PERIOD_MAX_NS);
	timeout.tv_sec = (time_t)(for_ns / 1000000000);
	timeout.tv_nsec = (long)(for_ns % 1000000000);
	count = epoll_pwait2(reactor->epoll_fd, events, REACTOR_FD_EVENTS_MAX,
			     for_ns == TARN_SLEEP_ANY ? NULL : &timeout, NULL);
	arm_pollers(reactor, false);
	for (int i = 0; i < count; i++) {
		if (events[i].data.ptr == &wake_only &&
		    read(reactor->event_fd, &drained, sizeof(drained)) > 0)
			break;
	}
	atomic_store(&reactor->sleeping, 0);
	reactor->turn_ns = tarn_now_ns();
	if (count > 0 && handle(reactor, events, count) > 0)
		reactor->last_work_ns = reactor->turn_ns;
	reactor->fd_period_ns = REACTOR_FD_PERIOD_MIN_NS;
	reactor->fd_due_ns = reactor->turn_ns;
}
