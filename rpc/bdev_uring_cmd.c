/* SPDX-License-Identifier: BSD-3-Clause */
/* bdev_uring_cmd_*: NVMe namespaces by passthrough, with the fields of bdev_uring_* that apply. */
#include <cjson/cJSON.h>

#include "rpc/internal.h"
#include "tarn/bdev_opts.h"

struct uring_cmd_params {
	const char *name;
	struct tarn_bdev_file_opts opts;
};

#define CMD_AT(member) TARN_RPC_AT(struct uring_cmd_params, opts.member)

static const struct tarn_rpc_field uring_cmd_list[] = {
	{ "name", TARN_RPC_STRING, TARN_RPC_AT(struct uring_cmd_params, name), .required = true,
	  .min = 1, .max = TARN_BDEV_NAME_MAX, .help = "Name of the new bdev" },
	{ "filename", TARN_RPC_STRING, CMD_AT(filename), .required = true, .min = 1,
	  .help = "NVMe namespace: its character device, /dev/ngXnY, or its block device, "
		  "/dev/nvmeXnY" },
	{ "block_size", TARN_RPC_U32, CMD_AT(block_size), .def = "0", .min = 512, .max = 1048576,
	  .pow2 = true, .zero = true, .unit = "bytes", .def_help = "0: what it is formatted with",
	  .help = "Logical block size" },
	{ "readonly", TARN_RPC_BOOL, CMD_AT(read_only), .def = "false",
	  .help = "Refuse writes, and open the namespace for reading only" },
	{ "sqpoll", TARN_RPC_TRISTATE, CMD_AT(sqpoll), .def = "\"off\"",
	  .help = "A kernel thread takes submissions, without system calls" },
	{ "sqpoll_cpu", TARN_RPC_I32, CMD_AT(sqpoll_cpu), .def = "-1", .min = -1, .max = 1023,
	  .def_help = "-1: any", .help = "CPU of that thread" },
	{ "sqpoll_idle_ms", TARN_RPC_U32, CMD_AT(sqpoll_idle_ms), .def = "0", .max = 3600000,
	  .unit = "ms", .def_help = "0: the kernel's",
	  .help = "How long that thread spins before it sleeps" },
	{ "iopoll", TARN_RPC_TRISTATE, CMD_AT(iopoll), .def = "\"off\"",
	  .help = "Poll the device for completions instead of taking interrupts" },
	{ "fixed_buffers", TARN_RPC_BOOL, CMD_AT(no_fixed_buffers), .def = "true", .invert = true,
	  .help = "Make buffers known to the kernel once" },
	{ "fixed_files", TARN_RPC_BOOL, CMD_AT(no_fixed_files), .def = "true", .invert = true,
	  .help = "Make the device known to the kernel once" },
	{ "ring_flags", TARN_RPC_BOOL, CMD_AT(no_ring_flags), .def = "true", .invert = true,
	  .help = "Use the ring flags that the kernel has" },
	{ .type = TARN_RPC_GROUP, CMD_AT(common), .fields = &rpc_bdev_common_fields },
};
TARN_RPC_FIELDS(uring_cmd_fields, struct uring_cmd_params, uring_cmd_list);

static void
rpc_bdev_uring_cmd_create(struct tarn_rpc_request *req, const struct cJSON *json)
{
	struct uring_cmd_params params = { 0 };

	if (tarn_rpc_decode(req, json, &uring_cmd_fields, &params) != 0)
		return;
	tarn_bdev_create_file_wait("uring_cmd", params.name, &params.opts, rpc_bdev_file_created,
				   req);
	tarn_rpc_params_free(&uring_cmd_fields, &params);
}
TARN_RPC_METHOD(
    "bdev_uring_cmd_create", rpc_bdev_uring_cmd_create, uring_cmd_fields,
    "Create a bdev on an NVMe namespace by passthrough with io_uring",
    .details =
	"Commands go past the block layer. The block device is opened exclusively besides: "
	"one that is mounted or otherwise held is refused, and so are formats with metadata. "
	"What is in force, and why something asked for is not, stands in bdev_get_bdevs.",
    .result = "name of the bdev", .example = "{\"name\": \"nvme0\", \"filename\": \"/dev/ng0n1\"}")
TARN_RPC_METHOD("bdev_uring_cmd_delete", rpc_bdev_driver_delete, rpc_name_fields,
		"Delete a bdev of bdev_uring_cmd_create", .result = "true",
		.example = "{\"name\": \"nvme0\"}", .arg = "uring_cmd")
TARN_RPC_METHOD("bdev_uring_cmd_rescan", rpc_bdev_rescan, rpc_name_fields,
		"Take the size of the namespace again", .result = "true",
		.example = "{\"name\": \"nvme0\"}", .arg = "uring_cmd")

static void
uring_cmd_to_params(const struct tarn_bdev *bdev, const struct tarn_bdev_info *info, void *arg)
{
	struct uring_cmd_params *params = arg;

	params->name = info->name;
	params->opts = *(const struct tarn_bdev_file_opts *)tarn_bdev_opts(bdev);
	params->opts.common.uuid = info->uuid;
}
const struct rpc_bdev_type rpc_bdev_uring_cmd = { "uring_cmd", "bdev_uring_cmd_create",
						  &uring_cmd_fields, uring_cmd_to_params };
