/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The block and the character device of one NVMe namespace. The kernel numbers both alike
 * (drivers/nvme/host: "nvme%dn%d" and "ng%dn%d"); a node's own name does not count, since it may be
 * a link or a copy, but what sysfs calls its number.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "tarn/bdev_nvme.h"
#include "tarn/util.h"

#define SYSFS_PATH_BYTES 512

/* \return the kernel's name of a device node, within buf; or "" where sysfs does not know it. */
static const char *
kernel_name(const struct stat *st, char *buf, size_t buf_bytes)
{
	const char *kind = S_ISBLK(st->st_mode) ? "block" : "char";
	char path[64];
	ssize_t length;
	char *slash;

	(void)snprintf(path, sizeof(path), "/sys/dev/%s/%u:%u", kind, major(st->st_rdev),
		       minor(st->st_rdev));
	length = readlink(path, buf, buf_bytes - 1);
	if (length < 0)
		return "";
	buf[length] = '\0';
	slash = strrchr(buf, '/');
	return slash != NULL ? slash + 1 : buf;
}

static int
no_namespace(const char *filename, struct tarn_reason *reason)
{
	return tarn_reason_set(reason, -ENOTBLK,
			       "%s is neither the character device of an NVMe namespace "
			       "(/dev/ngXnY) nor its block device (/dev/nvmeXnY)",
			       filename);
}

/* Take the namespace's numbers from what the kernel calls the node. */
static int
numbers_take(const char *filename, const struct stat *st, unsigned int *ret_controller,
	     unsigned int *ret_namespace, struct tarn_reason *reason)
{
	char buf[SYSFS_PATH_BYTES];
	const char *name = kernel_name(st, buf, sizeof(buf));
	const char *form = S_ISBLK(st->st_mode) ? "nvme%un%u%n" : "ng%un%u%n";
	int length = 0;

	if (sscanf(name, form, ret_controller, ret_namespace, &length) != 2)
		return no_namespace(filename, reason);
	if (name[length] == 'p')
		return tarn_reason_set(reason, -EINVAL,
				       "%s is a partition: passthrough reaches the whole NVMe "
				       "namespace only; name that",
				       filename);
	return name[length] == '\0' ? 0 : no_namespace(filename, reason);
}

/* Whether the node is there and is what sysfs means by that name. */
static int
node_check(const char *filename, const char *node, const char *class, struct tarn_reason *reason)
{
	char path[SYSFS_PATH_BYTES];
	unsigned int major_number, minor_number;
	struct stat st;
	FILE *file;
	int count = 0;

	(void)snprintf(path, sizeof(path), "/sys/class/%s/%s/dev", class, strrchr(node, '/') + 1);
	file = fopen(path, "re");
	if (file != NULL) {
		count = fscanf(file, "%u:%u", &major_number, &minor_number);
		(void)fclose(file);
	}
	if (count == 2 && stat(node, &st) == 0 && st.st_rdev == makedev(major_number, minor_number))
		return 0;
	return tarn_reason_set(reason, -ENODEV,
			       "%s: %s, the same namespace, is not here: passthrough needs both "
			       "(Linux 5.13 and later have them, for namespaces that they support)",
			       filename, node);
}

int
tarn_nvme_nodes_find(const char *filename, struct tarn_nvme_nodes *ret_nodes,
		     struct tarn_reason *reason)
{
	struct tarn_nvme_nodes nodes;
	unsigned int controller, namespace;
	struct stat st;
	int status;

	if (filename == NULL || filename[0] == '\0')
		return tarn_reason_set(reason, -EINVAL, "filename: it must not be empty");
	if (stat(filename, &st) != 0)
		return tarn_reason_set(reason, -errno, "cannot open %s: %s", filename,
				       strerror(errno));
	if (S_ISDIR(st.st_mode))
		return tarn_reason_set(reason, -EISDIR,
				       "%s is a directory: name an NVMe namespace (/dev/ngXnY)",
				       filename);
	if (!S_ISBLK(st.st_mode) && !S_ISCHR(st.st_mode))
		return no_namespace(filename, reason);
	status = numbers_take(filename, &st, &controller, &namespace, reason);
	if (status != 0)
		return status;
	(void)snprintf(nodes.block, sizeof(nodes.block), "/dev/nvme%un%u", controller, namespace);
	(void)snprintf(nodes.generic, sizeof(nodes.generic), "/dev/ng%un%u", controller, namespace);
	if (S_ISBLK(st.st_mode))
		status = node_check(filename, nodes.generic, "nvme-generic", reason);
	else
		status = node_check(filename, nodes.block, "block", reason);
	if (status != 0)
		return status;
	if (tarn_strcpy(S_ISBLK(st.st_mode) ? nodes.block : nodes.generic, TARN_NVME_PATH_BYTES,
			filename) != 0)
		return tarn_reason_set(reason, -ENAMETOOLONG, "%s: the name is too long", filename);
	*ret_nodes = nodes;
	return 0;
}

bool
tarn_nvme_is_pair(int block_fd, int generic_fd)
{
	unsigned int controllers[2], namespaces[2];
	struct stat block, generic;

	if (fstat(block_fd, &block) != 0 || fstat(generic_fd, &generic) != 0 ||
	    !S_ISBLK(block.st_mode) || !S_ISCHR(generic.st_mode))
		return false;
	if (numbers_take("", &block, &controllers[0], &namespaces[0], NULL) != 0 ||
	    numbers_take("", &generic, &controllers[1], &namespaces[1], NULL) != 0)
		return false;
	return controllers[0] == controllers[1] && namespaces[0] == namespaces[1];
}
