/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Uevents of the kernel (netlink(7), NETLINK_KOBJECT_UEVENT), which it sends to every process that
 * may open such a socket: no privilege is needed, but a user namespace of a container's own gets
 * none. A message is a hint and no more: whatever it says, all block devices in use are looked at,
 * so that nothing depends on names, and a lost message costs nothing but a look.
 */
#include "lib/bdev/device_events.h"

#include <errno.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/bdev/file_ops.h"
#include "lib/bdev/internal.h"
#include "tarn/log.h"

#define KERNEL_GROUP 1	   /* udev's own messages are in another one */
#define MESSAGE_BYTES 8192 /* the kernel's are at most 2 KiB of text and a path */
#define MESSAGES_MAX 64	   /* of one turn */

static struct {
	int fd;
	struct tarn_fd_watch *watch;
	unsigned int holders;
	struct tarn_reason reason; /* why not */
} events;

static const char *
next_text(const char *text, const char *end)
{
	const char *nul = memchr(text, '\0', (size_t)(end - text));

	return nul == NULL ? end : nul + 1;
}

/* A message is "ACTION@PATH" and then "KEY=VALUE", each with its NUL. */
bool
device_events_concerns(const char *message, size_t length_bytes)
{
	const char *end = message + length_bytes;
	bool block = false, change = false;

	if (length_bytes == 0 || end[-1] != '\0')
		return false;
	for (const char *text = message; text < end; text = next_text(text, end)) {
		block = block || strcmp(text, "SUBSYSTEM=block") == 0;
		change = change || strcmp(text, "ACTION=remove") == 0 ||
			 strcmp(text, "ACTION=change") == 0 || strcmp(text, "ACTION=offline") == 0;
	}
	return block && change;
}

static void
look_at_all(void)
{
	struct tarn_bdev *bdev = NULL;
	struct tarn_reason reason = { "" };

	while ((bdev = tarn_bdev_next(bdev)) != NULL) {
		if (!bdev_has_file(bdev) || atomic_load(&bdev->removing))
			continue;
		if (bdev->driver->control(bdev, TARN_BDEV_LOOK, NULL, &reason) != 0)
			tarn_warning("%s", reason.text);
	}
}

/* \return whether there may be more; *concerns is set where a look is due. */
static bool
receive(bool *concerns)
{
	char message[MESSAGE_BYTES];
	struct sockaddr_nl from = { .nl_family = AF_NETLINK };
	socklen_t from_bytes = sizeof(from);
	ssize_t length = recvfrom(events.fd, message, sizeof(message), MSG_DONTWAIT,
				  (struct sockaddr *)&from, &from_bytes);

	if (length < 0) {
		if (errno == ENOBUFS)
			*concerns = true; /* some were lost */
		return errno == ENOBUFS || errno == EINTR;
	}
	if (from.nl_pid == 0 && device_events_concerns(message, (size_t)length))
		*concerns = true;
	return true;
}

static void
arrived(void *arg, uint32_t epoll_events)
{
	bool concerns = false;

	(void)arg;
	(void)epoll_events;
	for (int i = 0; i < MESSAGES_MAX && receive(&concerns); i++)
		continue;
	if (concerns)
		look_at_all();
}

static int
listen_to_kernel(void)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = KERNEL_GROUP };
	int status;

	events.fd =
	    socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);
	if (events.fd < 0)
		return tarn_reason_set(
		    &events.reason, -errno,
		    "not watched: a netlink socket for uevents cannot be had: %s", strerror(errno));
	if (bind(events.fd, (struct sockaddr *)&address, sizeof(address)) != 0)
		status = -errno;
	else
		status = tarn_fd_watch_add(events.fd, EPOLLIN, arrived, NULL, &events.watch);
	if (status != 0) {
		(void)close(events.fd);
		return tarn_reason_set(&events.reason, status,
				       "not watched: the kernel's uevents cannot be had: %s",
				       strerror(-status));
	}
	return 0;
}

bool
device_events_hold(void)
{
	if (!tarn_on_control_reactor()) {
		(void)tarn_reason_set(&events.reason, 0, "not watched: no reactor runs");
		return false;
	}
	if (events.holders == 0 && listen_to_kernel() != 0)
		return false;
	events.holders++;
	return true;
}

void
device_events_release(void)
{
	tarn_assert(events.holders > 0);
	if (--events.holders > 0)
		return;
	tarn_fd_watch_remove(&events.watch);
	(void)close(events.fd);
}

const char *
device_events_state(bool watched)
{
	return watched ? "watched" : events.reason.text;
}
