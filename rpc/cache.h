/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "tarn/cache.h"
#include "tarn/reactor.h"
#include "tarn/reason.h"
#include "tarn/rpc.h"

/*
 * What the files of the cache methods share. Control reactor only.
 */
struct cJSON;

/* --- cache.c: caches by name, and the requests that are with them --- */

extern const struct tarn_rpc_fields rpc_cache_name_fields; /* struct rpc_name_params */

/** \return the cache of that name, or NULL: it has answered why not (none, or being deleted). */
struct tarn_cache *rpc_cache_need(struct tarn_rpc_request *req, const char *name);
/** The same without a request: *ret_reason (required) says why it is NULL. \return 0 or -errno. */
int rpc_cache_find(const char *name, struct tarn_cache **ret_cache, struct tarn_reason *ret_reason);

/*
 * A request that is with a cache, or on its way there, holds all caches: they are stopped when none
 * is left.
 */
void rpc_cache_hold(void);
void rpc_cache_unhold(void);
/**
 * Wait until nothing holds them, stop every cache, then done(arg). No new request is begun. What
 * fails is logged: such a cache recovers at its next start.
 */
void rpc_cache_stop_all(void (*done)(void *arg), void *arg);
/** Add the calls that bring all caches back. \return 0 or -ENOMEM. */
int rpc_cache_save(struct cJSON *array);

/* --- cache_file.c: values from and to files, on threads that may block --- */

struct rpc_cache_file {
	const char *path;
	void *data; /* reading: to be freed; writing: the caller's */
	uint64_t data_bytes;
	uint64_t max_bytes; /* reading: one byte more is read, so that a longer file is noticed */
	int status;	    /* 0 or -errno, with */
	struct tarn_reason reason;
};
/** Read a regular file as far as max_bytes + 1. Blocks. */
void rpc_cache_file_read(struct rpc_cache_file *file);
/** Write a file of mode 0600, which is whole or as it was before. Blocks. */
void rpc_cache_file_write(struct rpc_cache_file *file);
/**
 * Run call->fn on a thread that may block, then call->done here. \return 0, or -ENOMEM or what
 * pthread_create failed with: nothing runs.
 */
int rpc_cache_offload(struct tarn_offload_call *call);
/** End those threads; no call is in flight. */
void rpc_cache_offload_end(void);

/* --- cache_object.c: one call of one or many operations on keys --- */

/* How keys and values are given; exactly one member is. */
struct rpc_cache_key {
	char *text;
	struct tarn_rpc_bytes base64;
};
extern const struct tarn_rpc_fields rpc_cache_key_fields;

/** An operation of a call, made of one entry of its parameters. */
struct rpc_cache_item {
	struct tarn_cache_op op;
	struct rpc_cache_file file; /* path NULL: none */
	struct rpc_cache_call *call;
	bool base64_only;
	bool failed; /* with a reason; -ENOENT of an operation is an outcome, of a file a failure */
	int status;
	struct tarn_reason reason;
};

/* What differs between the methods on keys; a method's .arg. */
struct rpc_cache_method {
	enum tarn_cache_op_kind kind;
	const struct tarn_rpc_fields *fields; /* params begin with char *name */
	/* Where the entry is in the params; of a batch, where its tarn_rpc_objects are. */
	size_t entry_offset;
	size_t batch_entry_bytes; /* 0: no batch */
	/** \return 0, or -EINVAL with what is wrong in item->reason. */
	int (*fill)(const void *entry, struct rpc_cache_item *item);
	/** What an item that did not fail answers: its status is 0, -ENOENT or -EEXIST. */
	void (*answer)(const struct rpc_cache_item *item, struct cJSON *object);
};
/** The handler of all of them. */
void rpc_cache_keys(struct tarn_rpc_request *req, const struct cJSON *json);
/** Take a key into an operation. \return as fill. */
int rpc_cache_key_fill(const struct rpc_cache_key *key, struct rpc_cache_item *item);
/** Add bytes as `name` where they are UTF-8, otherwise, or when asked, as `name`_base64. */
void rpc_cache_add_bytes(struct cJSON *object, const char *name, const void *data,
			 uint64_t data_bytes, bool base64_only);
