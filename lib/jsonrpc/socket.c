/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/jsonrpc/connection.h"
#include "tarn/util.h"

/*
 * The socket's path. A lock on PATH.lock decides who may touch it, so that of two daemons that
 * start at once over a dead one's socket neither removes the other's. The lock ends with its
 * process, however that ends.
 */
#define LISTEN_BACKLOG 128

static int
lock_open(struct listen_socket *sock, struct tarn_reason *ret_reason)
{
	struct stat held, named;

	for (;;) {
		sock->lock_fd =
		    open(sock->lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (sock->lock_fd < 0) {
			int status = -errno;

			return tarn_reason_set(ret_reason, status,
					       "cannot create %s: %s; does the folder exist, "
					       "and may this user write there?",
					       sock->lock_path, strerror(-status));
		}
		if (flock(sock->lock_fd, LOCK_EX | LOCK_NB) != 0) {
			close(sock->lock_fd);
			return tarn_reason_set(
			    ret_reason, -EADDRINUSE,
			    "%s is served by a running tarnd; stop it, or choose another "
			    "path with -r",
			    sock->path);
		}
		/*
		 * Whoever held it before may have removed the file between our open and our lock.
		 */
		if (fstat(sock->lock_fd, &held) == 0 && stat(sock->lock_path, &named) == 0 &&
		    held.st_ino == named.st_ino && held.st_dev == named.st_dev) {
			return 0;
		}
		close(sock->lock_fd);
	}
}

static void
lock_close(struct listen_socket *sock)
{
	unlink(sock->lock_path);
	close(sock->lock_fd);
}

/* A process without our lock may serve the path too: one of another program. */
static bool
is_alive(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool alive;

	if (fd < 0) {
		return true;
	}
	alive = connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ||
		errno != ECONNREFUSED;
	close(fd);
	return alive;
}

static int
remove_stale(const struct listen_socket *sock, const struct sockaddr_un *address,
	     struct tarn_reason *ret_reason)
{
	struct stat st;
	int status;

	if (lstat(sock->path, &st) != 0) {
		status = -errno;
		return status == -ENOENT
			   ? 0
			   : tarn_reason_set(ret_reason, status, "cannot look at %s: %s",
					     sock->path, strerror(-status));
	}
	if (!S_ISSOCK(st.st_mode)) {
		return tarn_reason_set(
		    ret_reason, -EEXIST,
		    "%s is there and no socket; remove it, or choose another path with -r",
		    sock->path);
	}
	if (is_alive(address)) {
		return tarn_reason_set(
		    ret_reason, -EADDRINUSE,
		    "%s is served by a running process; stop it, or choose another path "
		    "with -r",
		    sock->path);
	}
	if (unlink(sock->path) != 0 && errno != ENOENT) {
		status = -errno;
		return tarn_reason_set(ret_reason, status, "cannot remove the stale socket %s: %s",
				       sock->path, strerror(-status));
	}
	return 0;
}

static int
bind_and_listen(struct listen_socket *sock, const struct sockaddr_un *address,
		struct tarn_reason *ret_reason)
{
	struct stat st;
	int status;

	sock->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (sock->fd < 0) {
		status = -errno;
		return tarn_reason_set(ret_reason, status, "cannot make a socket: %s",
				       strerror(-status));
	}
	/*
	 * Linux gives the file the mode of the socket's own inode, less the umask: it never is
	 * wider than this.
	 */
	if (fchmod(sock->fd, 0600) != 0 ||
	    bind(sock->fd, (const struct sockaddr *)address, sizeof(*address)) != 0) {
		status = -errno;
		goto close_fd;
	}
	if (chmod(sock->path, 0600) != 0 || stat(sock->path, &st) != 0 ||
	    listen(sock->fd, LISTEN_BACKLOG) != 0) {
		status = -errno;
		goto remove_path;
	}
	sock->device = st.st_dev;
	sock->inode = st.st_ino;
	return 0;

remove_path:
	unlink(sock->path);
close_fd:
	close(sock->fd);
	return tarn_reason_set(ret_reason, status, "cannot listen on %s: %s", sock->path,
			       strerror(-status));
}

int
listen_socket_open(struct listen_socket *sock, const char *path, struct tarn_reason *ret_reason)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int rc = tarn_strcpy(address.sun_path, sizeof(address.sun_path), path);

	if (rc != 0) {
		return tarn_reason_set(ret_reason, rc,
				       "socket path %s is longer than the kernel's %zu bytes", path,
				       sizeof(address.sun_path) - 1);
	}
	if (path[0] == '\0') {
		return tarn_reason_set(ret_reason, -EINVAL, "the socket's path is empty");
	}
	tarn_strcpy(sock->path, sizeof(sock->path), path);
	snprintf(sock->lock_path, sizeof(sock->lock_path), "%s.lock", path);
	rc = lock_open(sock, ret_reason);
	if (rc != 0) {
		return rc;
	}
	rc = remove_stale(sock, &address, ret_reason);
	rc = rc == 0 ? bind_and_listen(sock, &address, ret_reason) : rc;
	if (rc != 0) {
		lock_close(sock);
	}
	return rc;
}

void
listen_socket_close(struct listen_socket *sock)
{
	struct stat st;

	/* Only ours: somebody may have put another there by force. */
	if (lstat(sock->path, &st) == 0 && st.st_dev == sock->device && st.st_ino == sock->inode) {
		unlink(sock->path);
	}
	close(sock->fd);
	lock_close(sock);
}
