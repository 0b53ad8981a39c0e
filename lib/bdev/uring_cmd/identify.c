/* SPDX-License-Identifier: BSD-3-Clause */
/* Identify Namespace and Identify Controller: asking for them, and reading them with suspicion. */
#include "lib/bdev/uring_cmd/identify.h"

#include <endian.h>
#include <errno.h>
#include <linux/nvme_ioctl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "lib/bdev/uring_cmd/command.h"
#include "tarn/util.h"

#define ADMIN_IDENTIFY 0x06
#define CNS_NAMESPACE 0x00
#define CNS_CONTROLLER 0x01

/* Identify Namespace: offsets in bytes. */
#define NS_NSZE 0
#define NS_NLBAF 25
#define NS_FLBAS 26
#define NS_NGUID 104
#define NS_EUI64 120
#define NS_LBAF 128 /* of the first of up to 64 formats, 4 bytes each */
#define NS_LBAF_COUNT_MAX 64

/* Identify Controller. */
#define CTRL_SN 4
#define CTRL_MN 24
#define CTRL_FR 64
#define CTRL_MDTS 77
#define CTRL_ONCS 520
#define CTRL_VWC 525
#define ONCS_DSM 0x04
#define ONCS_WRITE_ZEROES 0x08
#define VWC_PRESENT 0x01

#define BLOCK_SHIFT_MIN 9
#define BLOCK_SHIFT_MAX 16

static uint16_t
le16_at(const uint8_t *data, size_t offset)
{
	uint16_t value;

	memcpy(&value, data + offset, sizeof(value));
	return le16toh(value);
}

static uint64_t
le64_at(const uint8_t *data, size_t offset)
{
	uint64_t value;

	memcpy(&value, data + offset, sizeof(value));
	return le64toh(value);
}

/* ASCII padded with blanks, by the specification; what is not becomes '?'. */
static void
text_take(const uint8_t *from, size_t length, char *text)
{
	while (length > 0 && (from[length - 1] == ' ' || from[length - 1] == '\0'))
		length--;
	for (size_t i = 0; i < length; i++)
		text[i] = from[i] >= ' ' && from[i] <= '~' ? (char)from[i] : '?';
	text[length] = '\0';
}

/* Big-endian by the specification, so in the order of the bytes; all zero where there is none. */
static void
hex_take(const uint8_t *from, size_t length, char *text)
{
	uint8_t all = 0;

	for (size_t i = 0; i < length; i++) {
		all |= from[i];
		(void)snprintf(text + 2 * i, 3, "%02x", from[i]);
	}
	if (all == 0)
		text[0] = '\0';
}

/*
 * The format in force: bits 6:5 of FLBAS count only where there are more than 16 of them.
 * \return NULL with the reason: there is no such one.
 */
static const uint8_t *
format_find(const char *filename, const uint8_t *ns, struct tarn_reason *reason)
{
	unsigned int count = ns[NS_NLBAF] + 1u;
	unsigned int index = ns[NS_FLBAS] & 0x0f;

	if (count > 16)
		index |= (ns[NS_FLBAS] & 0x60u) >> 1;
	if (count <= NS_LBAF_COUNT_MAX && index < count)
		return ns + NS_LBAF + (size_t)index * 4;
	tarn_reason_set(reason, -EINVAL,
			"%s: the device says that it is formatted by LBA format %u of %u, which "
			"cannot be",
			filename, index, count);
	return NULL;
}

static int
format_take(const char *filename, const uint8_t *format, struct nvme_identity *identity,
	    struct tarn_reason *reason)
{
	unsigned int metadata_bytes = le16_at(format, 0);
	unsigned int shift = format[2];

	if (shift < BLOCK_SHIFT_MIN || shift > BLOCK_SHIFT_MAX)
		return tarn_reason_set(reason, -EINVAL,
				       "%s: the device says that its blocks have 2^%u bytes; 2^%d "
				       "to 2^%d can be used",
				       filename, shift, BLOCK_SHIFT_MIN, BLOCK_SHIFT_MAX);
	if (metadata_bytes != 0)
		return tarn_reason_set(reason, -EINVAL,
				       "%s is formatted with %u bytes of metadata for each block, "
				       "which is not supported: format it without (nvme format "
				       "--lbaf), or use another driver on its block device",
				       filename, metadata_bytes);
	identity->block_shift = (uint8_t)shift;
	return 0;
}

int
nvme_identity_parse(const char *filename, const uint8_t ns[NVME_IDENTIFY_BYTES],
		    const uint8_t controller[NVME_IDENTIFY_BYTES],
		    struct nvme_identity *ret_identity, struct tarn_reason *reason)
{
	struct nvme_identity identity = { .size_blocks = le64_at(ns, NS_NSZE) };
	const uint8_t *format = format_find(filename, ns, reason);
	int status = -EINVAL;

	if (format != NULL)
		status = format_take(filename, format, &identity, reason);
	if (status != 0)
		return status;
	if (identity.size_blocks == 0 ||
	    identity.size_blocks > (uint64_t)INT64_MAX >> identity.block_shift)
		return tarn_reason_set(reason, -EINVAL,
				       "%s: the device says that it has %llu blocks of %u bytes, "
				       "which cannot be used",
				       filename, (unsigned long long)identity.size_blocks,
				       1u << identity.block_shift);
	identity.mdts = controller[CTRL_MDTS];
	identity.write_cache = (controller[CTRL_VWC] & VWC_PRESENT) != 0;
	identity.has_dsm = (le16_at(controller, CTRL_ONCS) & ONCS_DSM) != 0;
	identity.has_write_zeroes = (le16_at(controller, CTRL_ONCS) & ONCS_WRITE_ZEROES) != 0;
	hex_take(ns + NS_NGUID, 16, identity.nguid);
	hex_take(ns + NS_EUI64, 8, identity.eui64);
	text_take(controller + CTRL_SN, sizeof(identity.serial) - 1, identity.serial);
	text_take(controller + CTRL_MN, sizeof(identity.model) - 1, identity.model);
	text_take(controller + CTRL_FR, sizeof(identity.firmware) - 1, identity.firmware);
	*ret_identity = identity;
	return 0;
}

/* \return 0, or -errno: of the kernel, or what the device's status comes to. */
static int
identify(int fd, uint32_t nsid, uint32_t cns, uint8_t *data)
{
	struct nvme_passthru_cmd cmd = {
		.opcode = ADMIN_IDENTIFY,
		.nsid = nsid,
		.addr = (uintptr_t)data,
		.data_len = NVME_IDENTIFY_BYTES,
		.cdw10 = cns,
	};
	int result;

	do {
		result = ioctl(fd, NVME_IOCTL_ADMIN_CMD, &cmd);
	} while (result < 0 && errno == EINTR);
	if (result < 0)
		return -errno;
	return result == 0 ? 0 : nvme_status_errno(result);
}

static int
identify_failed(const char *filename, int status, struct tarn_reason *reason)
{
	if (status == -EACCES || status == -EPERM)
		return tarn_reason_set(reason, -EACCES,
				       "no permission to identify %s: NVMe passthrough takes "
				       "CAP_SYS_ADMIN here",
				       filename);
	return tarn_reason_set(reason, status, "cannot identify %s: %s", filename,
			       strerror(-status));
}

int
nvme_identity_get(const char *filename, int fd, uint32_t nsid, struct nvme_identity *ret_identity,
		  struct tarn_reason *reason)
{
	uint8_t *ns = aligned_alloc(NVME_IDENTIFY_BYTES, NVME_IDENTIFY_BYTES);
	uint8_t *controller = aligned_alloc(NVME_IDENTIFY_BYTES, NVME_IDENTIFY_BYTES);
	int status;

	if (ns == NULL || controller == NULL) {
		status = tarn_reason_set(reason, -ENOMEM, "no memory to identify %s", filename);
		goto free_both;
	}
	status = identify(fd, nsid, CNS_NAMESPACE, ns);
	if (status == 0)
		status = identify(fd, 0, CNS_CONTROLLER, controller);
	if (status != 0)
		status = identify_failed(filename, status, reason);
	else
		status = nvme_identity_parse(filename, ns, controller, ret_identity, reason);
free_both:
	free(controller);
	free(ns);
	return status;
}
