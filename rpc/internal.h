/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "tarn/bdev.h"
#include "tarn/rpc.h"

/*
 * What the files of this folder share. Control reactor only. Nothing here is for others.
 */
struct cJSON;

/* Nanoseconds are the ticks of every method that speaks in ticks. */
#define RPC_TICK_RATE UINT64_C(1000000000)

/* --- bdev.c: devices by name --- */

/** \return the device of that name or alias (its UUID), or NULL. */
struct tarn_bdev *rpc_bdev_find(const char *name);
/** The same, but when there is none it has answered the request. */
struct tarn_bdev *rpc_bdev_need(struct tarn_rpc_request *req, const char *name);
/** The same, when it also must be of that driver. */
struct tarn_bdev *rpc_bdev_need_driver(struct tarn_rpc_request *req, const char *name,
				       const char *driver);
/** Answer a create: with the name, or with the reason. */
void rpc_bdev_created(struct tarn_rpc_request *req, int rc, const struct tarn_bdev *bdev,
		      const struct tarn_reason *reason);
/** The same, for tarn_bdev_create_file_wait(); arg is the request. */
void rpc_bdev_file_created(void *arg, int status, struct tarn_bdev *bdev,
			   const struct tarn_reason *reason);
/** Delete it and answer true, or why not. */
void rpc_bdev_delete(struct tarn_rpc_request *req, struct tarn_bdev *bdev);
/** Choose "<prefix>0", "<prefix>1", … that is free. */
void rpc_bdev_free_name(const char *prefix, char *name, size_t name_bytes);

/** \return what bdev_get_bdevs tells of one device, or NULL for want of memory. */
struct cJSON *rpc_bdev_info(struct tarn_bdev *bdev);

/* Fields that every driver's create method has, and those of SPDK's that mean nothing here. */
extern const struct tarn_rpc_fields rpc_bdev_common_fields;
extern const struct tarn_rpc_fields rpc_bdev_medium_inert_fields;

/* Parameters of methods that take nothing but a name. */
struct rpc_name_params {
	char *name;
};
extern const struct tarn_rpc_fields rpc_name_fields;
/** Handler: delete a device of the driver that the method's .arg names. */
void rpc_bdev_driver_delete(struct tarn_rpc_request *req, const struct cJSON *json);
/** Handler: take the size of a device of that driver again. */
void rpc_bdev_rescan(struct tarn_rpc_request *req, const struct cJSON *json);

/* --- How a device is written to a configuration: by the method that created it --- */

struct rpc_bdev_type {
	const char *driver; /* of the create method; a fallback keeps the one that was asked for */
	const char *method;
	const struct tarn_rpc_fields *fields;
	/** Fill params, zeroed, with pointers into the device's own data. */
	void (*to_params)(const struct tarn_bdev *bdev, const struct tarn_bdev_info *info,
			  void *params);
};
extern const struct rpc_bdev_type rpc_bdev_uring, rpc_bdev_uring_cmd, rpc_bdev_aio, rpc_bdev_sync,
    rpc_bdev_malloc, rpc_bdev_null, rpc_bdev_error, rpc_bdev_delay;
/** \return {"method": …, "params": …} for the configuration, or NULL for want of memory. */
struct cJSON *rpc_config_entry(const char *method, struct cJSON *params);
/** Add what brings all devices back, bases before wrappers. \return 0 or -ENOMEM. */
int rpc_bdev_save(struct cJSON *array);

/* --- cache_info.c --- */

#define RPC_UUID_BYTES 37 /* of its text, with the NUL */
void rpc_uuid_format(const uint8_t uuid[16], char text[RPC_UUID_BYTES]);

/* --- config.c: subsystems, in order of dependency --- */

#define RPC_SUBSYSTEM_DEPENDS_MAX 4
struct rpc_subsystem {
	const char *name;
	const char *depends_on[RPC_SUBSYSTEM_DEPENDS_MAX];
	int (*save)(struct cJSON *array);
};
extern const struct rpc_subsystem rpc_subsystems[];
extern const uint32_t rpc_subsystem_count;

/* --- config_load.c --- */

#define RPC_CONFIG_ERROR_BYTES 1024
/** error is NULL on success, otherwise what failed and where; gone when it returns. */
typedef void (*rpc_config_done)(void *arg, int status, const char *error);
/**
 * Run every call of a configuration, one after the other, in order of the subsystems' dependencies.
 * Its form and its methods' names are checked before the first one. json is the caller's. done runs
 * later.
 */
void rpc_config_load(const struct cJSON *json, rpc_config_done done, void *arg);
/** The same from a file; messages begin with its name. */
void rpc_config_load_file(const char *path, rpc_config_done done, void *arg);

/* --- start.c: the daemon's life, for framework.c --- */

/** framework_start_init: go on; answers when running, or why not. */
void rpc_start_init(struct tarn_rpc_request *req);
/** framework_wait_init: answers when running. */
void rpc_start_wait(struct tarn_rpc_request *req);

/* --- Answers that wait --- */

/** End every bdev_get_bdevs that waits for a name. */
void rpc_bdev_waits_cancel(void);
/** End a bdev_probe that runs, then, or at once when none does, done(arg). */
void rpc_bdev_probe_stop(void (*done)(void *arg), void *arg);
