/* SPDX-License-Identifier: BSD-3-Clause */
/* bdev_uring_*, bdev_aio_*, bdev_sync_*: files and block devices, with the same fields. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <string.h>

#include "rpc/internal.h"
#include "tarn/bdev_opts.h"

struct file_params {
	const char *name;
	struct tarn_bdev_file_opts opts;
};

#define FILE_AT(member) TARN_RPC_AT(struct file_params, opts.member)

static const struct tarn_rpc_field file_list[] = {
	{ "name", TARN_RPC_STRING, TARN_RPC_AT(struct file_params, name), .required = true,
	  .min = 1, .max = TARN_BDEV_NAME_MAX, .help = "Name of the new bdev" },
	{ "filename", TARN_RPC_STRING, FILE_AT(filename), .required = true, .min = 1,
	  .help = "Block device or regular file; relative to the daemon's working folder" },
	{ "block_size", TARN_RPC_U32, FILE_AT(block_size), .def = "0", .min = 512, .max = 1048576,
	  .pow2 = true, .zero = true, .unit = "bytes",
	  .def_help = "0: what the device or file system asks for", .help = "Logical block size" },
	{ "readonly", TARN_RPC_BOOL, FILE_AT(read_only), .def = "false",
	  .help = "Refuse writes, and open the file for reading only" },
	{ "fallocate", TARN_RPC_BOOL, FILE_AT(no_fallocate), .def = "true", .invert = true,
	  .help = "Discard and write zeroes by fallocate, where the device has it" },
	{ "direct", TARN_RPC_BOOL, FILE_AT(buffered), .def = "true", .invert = true,
	  .help = "Go past the page cache (O_DIRECT)" },
	{ "fallback", TARN_RPC_BOOL, FILE_AT(fallback), .def = "false",
	  .help = "Where the driver does not work here, take the next of uring, aio, sync" },
	{ "sqpoll", TARN_RPC_TRISTATE, FILE_AT(sqpoll), .def = "\"off\"",
	  .help = "uring: a kernel thread takes submissions, without system calls" },
	{ "sqpoll_cpu", TARN_RPC_I32, FILE_AT(sqpoll_cpu), .def = "-1", .min = -1, .max = 1023,
	  .def_help = "-1: any", .help = "uring: CPU of that thread" },
	{ "sqpoll_idle_ms", TARN_RPC_U32, FILE_AT(sqpoll_idle_ms), .def = "0", .max = 3600000,
	  .unit = "ms", .def_help = "0: the kernel's",
	  .help = "uring: how long that thread spins before it sleeps" },
	{ "iopoll", TARN_RPC_TRISTATE, FILE_AT(iopoll), .def = "\"off\"",
	  .help = "uring: poll the device for completions instead of taking interrupts" },
	{ "fixed_buffers", TARN_RPC_BOOL, FILE_AT(no_fixed_buffers), .def = "true", .invert = true,
	  .help = "uring: make buffers known to the kernel once" },
	{ "fixed_files", TARN_RPC_BOOL, FILE_AT(no_fixed_files), .def = "true", .invert = true,
	  .help = "uring: make the file known to the kernel once" },
	{ "ring_flags", TARN_RPC_BOOL, FILE_AT(no_ring_flags), .def = "true", .invert = true,
	  .help = "uring: use the ring flags that the kernel has" },
	{ "nowait", TARN_RPC_BOOL, FILE_AT(nowait), .def = "false",
	  .help = "aio: RWF_NOWAIT first; what would block is sent again without it" },
	{ "workers", TARN_RPC_U32, FILE_AT(worker_count), .def = "0", .max = 256,
	  .def_help = "0: on the reactor itself", .help = "sync: threads that do the I/O" },
	{ .type = TARN_RPC_GROUP, FILE_AT(common), .fields = &rpc_bdev_common_fields },
};
TARN_RPC_FIELDS(file_fields, struct file_params, file_list);

static void
rpc_bdev_file_create(struct tarn_rpc_request *req, const struct cJSON *json)
{
	struct file_params params = { 0 };

	if (tarn_rpc_decode(req, json, &file_fields, &params) != 0)
		return;
	tarn_bdev_create_file_wait(tarn_rpc_arg(req), params.name, &params.opts,
				   rpc_bdev_file_created, req);
	tarn_rpc_params_free(&file_fields, &params);
}

#define FILE_DETAILS                                                                               \
	"A block device is opened exclusively, a file locked: one that is mounted or otherwise "   \
	"held for 2 s is refused. "                                                                \
	"What is in force, and why something asked for is not, stands in bdev_get_bdevs."

TARN_RPC_METHOD("bdev_uring_create", rpc_bdev_file_create, file_fields,
		"Create a bdev on a file or block device by io_uring", .details = FILE_DETAILS,
		.result = "name of the bdev",
		.example = "{\"name\": \"disk0\", \"filename\": \"disk0.img\", \"fallback\": true}",
		.arg = "uring")
TARN_RPC_METHOD("bdev_aio_create", rpc_bdev_file_create, file_fields,
		"Create a bdev on a file or block device by Linux AIO", .details = FILE_DETAILS,
		.result = "name of the bdev", .alias = "construct_aio_bdev",
		.example = "{\"name\": \"disk1\", \"filename\": \"disk1.img\"}", .arg = "aio")
TARN_RPC_METHOD("bdev_sync_create", rpc_bdev_file_create, file_fields,
		"Create a bdev on a file or block device by blocking system calls",
		.details = FILE_DETAILS, .result = "name of the bdev",
		.example = "{\"name\": \"disk2\", \"filename\": \"disk2.img\", \"workers\": 2}",
		.arg = "sync")

TARN_RPC_METHOD("bdev_uring_delete", rpc_bdev_driver_delete, rpc_name_fields,
		"Delete a bdev of bdev_uring_create", .result = "true",
		.example = "{\"name\": \"disk0\"}", .arg = "uring")
TARN_RPC_METHOD("bdev_aio_delete", rpc_bdev_driver_delete, rpc_name_fields,
		"Delete a bdev of bdev_aio_create", .result = "true", .alias = "delete_aio_bdev",
		.example = "{\"name\": \"disk1\"}", .arg = "aio")
TARN_RPC_METHOD("bdev_sync_delete", rpc_bdev_driver_delete, rpc_name_fields,
		"Delete a bdev of bdev_sync_create", .result = "true",
		.example = "{\"name\": \"disk2\"}", .arg = "sync")

TARN_RPC_METHOD("bdev_uring_rescan", rpc_bdev_rescan, rpc_name_fields,
		"Take the size of the file or device again", .result = "true",
		.example = "{\"name\": \"disk0\"}", .arg = "uring")
TARN_RPC_METHOD("bdev_aio_rescan", rpc_bdev_rescan, rpc_name_fields,
		"Take the size of the file or device again", .result = "true",
		.example = "{\"name\": \"disk1\"}", .arg = "aio")
TARN_RPC_METHOD("bdev_sync_rescan", rpc_bdev_rescan, rpc_name_fields,
		"Take the size of the file or device again", .result = "true",
		.example = "{\"name\": \"disk2\"}", .arg = "sync")

static void
file_to_params(const struct tarn_bdev *bdev, const struct tarn_bdev_info *info, void *arg)
{
	struct file_params *params = arg;

	params->name = info->name;
	params->opts = *(const struct tarn_bdev_file_opts *)tarn_bdev_opts(bdev);
	params->opts.common.uuid = info->uuid;
}
const struct rpc_bdev_type rpc_bdev_uring = { "uring", "bdev_uring_create", &file_fields,
					      file_to_params };
const struct rpc_bdev_type rpc_bdev_aio = { "aio", "bdev_aio_create", &file_fields,
					    file_to_params };
const struct rpc_bdev_type rpc_bdev_sync = { "sync", "bdev_sync_create", &file_fields,
					     file_to_params };
