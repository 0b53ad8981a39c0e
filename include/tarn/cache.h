/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "tarn/bdev.h"
#include "tarn/reactor.h"
#include "tarn/reason.h"

/*
 * A cache: a crash-safe log on one bdev, and objects (key -> value, with a time to live) in it.
 * cache_block.h is the other face, 4 KiB blocks as volumes keep them; cache_stats.h counts.
 * doc/cache-design.md says what is promised across a crash.
 *
 * Names and life belong to the control reactor. Operations on objects are called from any thread;
 * their callbacks run on the reactor that the caller names.
 */
struct tarn_cache; /* Opaque. */

#define TARN_CACHE_NAME_MAX 255
#define TARN_CACHE_KEY_MAX 1024
#define TARN_CACHE_SHARD_MAX 16

/* --- Life. Control reactor. --- */

/*
 * Where the engine takes from outside what must not differ between a run and its repetition: a
 * simulation fills it in. Zeroes are the machine's own.
 */
struct tarn_cache_env {
	uint64_t seed;		/* of epochs and identities; 0: from the kernel */
	uint64_t wall_time_s;	/* Unix time now; 0: the machine's */
	uint8_t boot_id[16];	/* all zero: the machine's */
	uint64_t disk_sequence; /* with boot_id: the device's; 0 there: not known */
};

struct tarn_cache_opts {
	const char *name;      /* required */
	const char *bdev_name; /* required; claimed as long as the cache lives */
	bool force;	       /* format, whatever is there */
	/* Geometry, fixed at format. 0: a default at format, what is there at open. */
	uint32_t shard_count;	       /* at most TARN_CACHE_SHARD_MAX; default: CPUs, at most 4 */
	uint32_t segment_bytes;	       /* a power of two, 128 KiB to 16 MiB */
	uint32_t expected_entry_bytes; /* sizes the index; 64 to 4096; default 4096 */
	/* Not of the format. */
	const char *uuid;		  /* text form; not NULL: only this cache may be there */
	uint64_t max_object_bytes;	  /* 0: what a segment holds */
	int64_t default_ttl_s;		  /* 0: objects do not expire */
	uint32_t checkpoint_interval_s;	  /* 0: only at a clean stop */
	const struct tarn_cache_env *env; /* NULL: the machine's; copied */
};

/**
 * cache is NULL on failure, with the reason: -ENODEV, -EBUSY (claimed), -EEXIST (name taken, or the
 * device holds something that is no cache, and no force), -EINVAL (an option, or other geometry
 * than what is there), -ENOSPC (device too small or shrunk), -EPROTONOSUPPORT (a newer version),
 * -EUCLEAN (superblocks damaged), -ENOTUNIQ (another cache's uuid), -EIO, -ENOMEM.
 */
typedef void (*tarn_cache_create_cb)(void *arg, int status, struct tarn_cache *cache,
				     const struct tarn_reason *reason);
/**
 * Open the cache that is on the device, recovering it after a crash, or format a blank one. A cache
 * with dirty blocks is formatted only with force. cb on the control reactor, later; where there is
 * no memory for the request, inside the call: -ENOMEM.
 */
void tarn_cache_create(const struct tarn_cache_opts *opts, tarn_cache_create_cb cb, void *arg);

/**
 * status is 0 or -errno. On the control reactor, later; where there is no memory for the request,
 * inside the call: -ENOMEM, or why it was refused.
 */
typedef void (*tarn_cache_cb)(void *arg, int status);

/**
 * Clean stop: new operations fail with -ESHUTDOWN, those in flight end, the index goes to the
 * device, the bdev is closed. Dirty blocks stay, in the log. Objects lent are released before.
 * status: 0, or the first error; the cache is gone all the same, and its next start recovers.
 */
void tarn_cache_stop(struct tarn_cache *cache, tarn_cache_cb cb, void *arg);
/**
 * Stop and make the device blank. Where there are dirty blocks and no force: -EBUSY, and nothing
 * changes; if the blocks were on their way when this was called, the cache is stopped and not
 * erased.
 */
void tarn_cache_delete(struct tarn_cache *cache, bool force, tarn_cache_cb cb, void *arg);

struct tarn_cache *tarn_cache_find(const char *name);
/** Iterate in order of creation: NULL gives the first, NULL comes after the last. */
struct tarn_cache *tarn_cache_next(struct tarn_cache *cache);
const char *tarn_cache_name(const struct tarn_cache *cache);
const char *tarn_cache_bdev_name(const struct tarn_cache *cache);

/* What can change at run time. */
struct tarn_cache_settings {
	int64_t default_ttl_s;
	uint64_t max_object_bytes;
	uint32_t checkpoint_interval_s;
};
void tarn_cache_get_settings(const struct tarn_cache *cache, struct tarn_cache_settings *ret);
/**
 * \return 0, -EINVAL (a negative TTL, or an object larger than a segment holds) or -ENOMEM; nothing
 * has changed then.
 */
int tarn_cache_set_settings(struct tarn_cache *cache, const struct tarn_cache_settings *settings);

/**
 * Durable: everything whose operation completed before this call survives power loss once cb has
 * status 0. -EIO: something since the last good flush is not durable; it is being rewritten, and a
 * later flush tells of that.
 */
void tarn_cache_flush(struct tarn_cache *cache, tarn_cache_cb cb, void *arg);
/** Write a checkpoint now. -EBUSY while one is written. */
void tarn_cache_checkpoint(struct tarn_cache *cache, tarn_cache_cb cb, void *arg);
/**
 * Ban every object whose key begins with prefix (0 bytes: every object) and that was stored before.
 * Misses once cb has status 0. prefix is copied. -ENOSPC: too many bans are in force;
 * -ENAMETOOLONG.
 */
void tarn_cache_purge(struct tarn_cache *cache, const void *prefix, uint32_t prefix_bytes,
		      tarn_cache_cb cb, void *arg);

typedef void (*tarn_cache_expire_cb)(void *arg, int status, uint64_t dropped_count);
/**
 * Drop what has expired now, which otherwise goes when reclaim comes to it: memory of the index is
 * free at once, space on the device as the log goes on. Reads a little of each segment, bounded
 * pieces at a time. Control reactor. -ESHUTDOWN; -ENOMEM, then perhaps inside the call.
 */
void tarn_cache_expire(struct tarn_cache *cache, tarn_cache_expire_cb cb, void *arg);

/* --- Objects. Any thread. --- */

enum tarn_cache_op_kind {
	TARN_CACHE_STORE,
	TARN_CACHE_LOOKUP,
	TARN_CACHE_REMOVE,
	TARN_CACHE_TOUCH,
	TARN_CACHE_EXISTS,
};

/* Flags of an operation. */
#define TARN_CACHE_IF_ABSENT 0x1  /* store: -EEXIST where the key is there */
#define TARN_CACHE_IF_PRESENT 0x2 /* store: -ENOENT where it is not */
#define TARN_CACHE_LEND 0x4	  /* lookup: value is lent, buf is not used */
#define TARN_CACHE_DURABLE 0x8	  /* store, remove, touch: completes when it survives power loss */
#define TARN_CACHE_EXPIRY_AT 0x10 /* ttl_s is Unix time, not seconds from now */

#define TARN_CACHE_TTL_DEFAULT 0       /* the cache's default_ttl_s */
#define TARN_CACHE_TTL_NEVER INT64_MAX /* anything beyond the year 2106 is never */

struct tarn_cache_op;
typedef void (*tarn_cache_op_cb)(struct tarn_cache_op *op);

#define TARN_CACHE_OP_BYTES 576

/*
 * One operation on one key: the caller's memory, zeroed once, reused at will. From the call until
 * cb starts it is the engine's, and key and buf stay untouched. Nothing is allocated for it.
 */
struct tarn_cache_op {
	/* The request. */
	struct tarn_cache *cache;
	const void *key;
	uint32_t key_bytes; /* 1 to TARN_CACHE_KEY_MAX, any bytes */
	uint32_t flags;
	void *buf;	       /* the value to store, or where a lookup puts it; any alignment */
	uint64_t buf_bytes;    /* a lookup returns at most as many; lent, 0: all */
	uint64_t offset_bytes; /* lookup: of the value, from here on; only those blocks are read */
	int64_t ttl_s;	       /* store, touch; negative is refused */
	tarn_cache_op_cb cb;
	void *arg; /* the caller's */
	struct tarn_reactor
	    *reactor; /* cb runs there; NULL: the calling reactor (no other thread) */
	/* The result. */
	int status;
	uint64_t value_bytes;  /* of the whole value */
	uint64_t result_bytes; /* of it in buf, or at lent */
	const void *lent;      /* with TARN_CACHE_LEND, until tarn_cache_release() */
	uint64_t expiry_s;     /* Unix time; 0: never */
	/* The engine's. */
	_Alignas(16) uint8_t engine[TARN_CACHE_OP_BYTES];
};

/*
 * Each completes by cb(op), exactly once, never inside the call. op->status:
 *   0           stored and acknowledged (C5), found, removed, touched
 *   -ENOENT     lookup, exists, touch, remove, IF_PRESENT: a miss
 *   -EEXIST     IF_ABSENT
 *   -EINVAL     empty or over-long key, negative TTL, range beyond the value
 *   -E2BIG      value over the limit. What was there under the key is gone
 *   -ENOSPC     the index is full: refused
 *   -EIO        the log cannot be written, or a flush failed (DURABLE)
 *   -ENOMEM     no I/O memory for a value of that size now
 *   -ESHUTDOWN  the cache is stopping
 * A value that fails its checksum, or cannot be read, is a miss, and counted.
 */
void tarn_cache_store(struct tarn_cache_op *op);
void tarn_cache_lookup(struct tarn_cache_op *op);
/**
 * 0 whenever there was something to remove under the key's hash, without a look at what it was: it
 * may have expired or been purged, or (one in 2^54) be another key's object, which then goes as
 * well.
 */
void tarn_cache_remove(struct tarn_cache_op *op);
/** A new time to live. The object is written again. */
void tarn_cache_touch(struct tarn_cache_op *op);
/** Is it there, of what size, until when; does not count as use. */
void tarn_cache_exists(struct tarn_cache_op *op);
/**
 * So many operations of one kind on one cache, each with its own callback, in one go: their device
 * I/O is submitted together. Stores, removals and touches of the same key take effect in their
 * order, as those do that one thread asks for one by one; a lookup finds what has taken effect.
 */
void tarn_cache_submit(struct tarn_cache_op *const *ops, uint32_t op_count,
		       enum tarn_cache_op_kind kind);
/** Give back what a lookup with TARN_CACHE_LEND lent. Any thread, once, before the op is reused. */
void tarn_cache_release(struct tarn_cache_op *op);

/* --- Listing, for debugging. Control reactor. --- */

struct tarn_cache_key_info {
	uint32_t key_bytes;
	uint64_t value_bytes;
	uint64_t expiry_s; /* Unix time; 0: never */
	uint8_t key[TARN_CACHE_KEY_MAX];
};
/** infos belong to the engine and end with the callback. cursor 0: that was the last. */
typedef void (*tarn_cache_list_cb)(void *arg, int status, const struct tarn_cache_key_info *infos,
				   uint32_t info_count, uint64_t cursor);
/**
 * Up to max_count (1 to 1024) keys from cursor (0: the first) on, in no order. Objects that stay
 * are listed exactly once over all calls; others perhaps. -ESHUTDOWN: the cache is stopping.
 * -ENOMEM: then perhaps inside the call, and nothing was listed: the same cursor again.
 */
void tarn_cache_list_keys(struct tarn_cache *cache, uint64_t cursor, uint32_t max_count,
			  tarn_cache_list_cb cb, void *arg);
