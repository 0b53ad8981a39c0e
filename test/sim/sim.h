/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include "device.h"
#include "model.h"
#include "plan.h"
#include "tarn/cache.h"
#include "tarn/cache_block.h"
#include "tarn/cache_stats.h"

/*
 * A simulation: what outlives the process that runs the engine. One life is one process (a child of
 * the one that counts seeds), so that a crash is _exit() and leaves nothing of the engine's state
 * behind; this structure, in shared memory, is what the world still has of it.
 */
enum life_status {
	LIFE_STOPPED = 0,
	LIFE_CRASHED = 10,
	LIFE_FAILED = 11,
};

#define SIM_FAILURE_BYTES 6000
#define SIM_LIVES_MAX 12

/* What a seed, or many of them, amounted to. */
struct sim_counts {
	uint64_t lives, crashes, steps, ios;
	uint64_t wraps; /* of a seed's log, at most; over many seeds: seeds that wrap it twice */
};

struct tarn_io;

struct sim_volume {
	bool made;	 /* durably */
	bool unsure;	 /* a call about it was under way */
	bool forgetting; /* that was to forget it */
	uint32_t id;
	uint64_t generation;
};

struct sim {
	uint64_t seed;
	bool verbose;
	bool hard;	   /* see plan_make() */
	const char *image; /* file for what the life that runs here finds; NULL: none */
	struct plan plan;
	struct life_plan life_plan;
	struct rng rng; /* of actions */
	uint32_t life, step;
	/* The world. */
	uint64_t now_ns, wall_s;
	uint8_t boot_id[16];
	uint64_t disk_sequence;
	struct device device;
	/* The cache, as its user knows it. */
	bool formatted; /* it is there, durably */
	bool blank;	/* the device is */
	bool corrupted; /* the device was damaged behind its back */
	bool flushed;	/* nothing was read since the last flush */
	bool opening;
	uint32_t segments_per_shard;
	struct sim_volume volume[MODEL_VOLUMES];
	uint32_t volume_id_max;
	struct model model;
	uint32_t next_content;
	uint32_t crash_countdown;	  /* I/O events; 0: not armed */
	uint64_t tail[DEVICE_SHARDS_MAX]; /* the greatest that a batch has told of */
	uint64_t trace[SIM_LIVES_MAX];	  /* of each one's I/O: the same number, the same history */
	struct sim_counts counts;
	int life_stderr; /* where a life's goes, for its failure; -1: nowhere */
	char failure[SIM_FAILURE_BYTES];
};

/* --- life.c --- */

extern struct sim *sim; /* the one of this process */
extern struct tarn_cache *sim_cache;

/** Add to a total. */
void sim_counts_add(struct sim_counts *total, const struct sim_counts *counts);
/** Run one life, in this process. \return how it ended; a crash does not return. */
enum life_status life_run(struct sim *of);
/** The simulation has found something wrong: say what, and end. */
void sim_fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
/** With --verbose: one line. */
void sim_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/** Let the time go by, and the reactor turn, until *done. Fails where that takes too long. */
void sim_wait(const bool *done, const char *what);
/** Turn the reactor; the time goes on by so much at least. */
void sim_turn(uint64_t by_ns);
/** So many seconds pass at once. */
void sim_clock_jump(uint64_t by_s);
/** An operation that began then is still under way: fails where that is too long. */
void sim_check_age(uint64_t since_ns, const char *what);
/** The process dies, or the device loses power, as the life's plan says. */
void sim_crash(void) __attribute__((noreturn));
/** Crash within so many I/O events of now, if that is the phase of the life's plan. */
void sim_arm(enum crash_phase phase);
/** Reads and writes fail from here on, as the seed says; or do not. */
void sim_faults(bool on);

/** For the driver: before each I/O is taken, and before each completes. */
void sim_io_event(const struct tarn_io *io, bool completes);
/** How often the log was written from end to end since it was formatted. */
uint32_t sim_wraps(const struct sim *of);

/* --- refuse.c --- */

/** By chance: ask for something that has to be refused. Before the cache is opened. */
void refuse_some(void);

/* --- objects.c --- */

/** One action on objects; nothing where all its places are taken. */
void object_act(enum action action);
/** Look up every object in turn. */
void object_sweep(void);
uint32_t object_busy_count(void);
void object_check_age(void);

/* --- blocks.c --- */

void block_act(enum action action);
void block_sweep(void);
uint32_t block_busy_count(void);
void block_check_age(void);
/** The engine tells of dirty blocks that reclaim comes to. */
void block_clean_hint(void *arg, const struct tarn_cache_dirty_block *blocks, uint32_t block_count);

/* --- volumes.c --- */

/** Set, check or forget the volumes' identities; after every opening. */
void volume_all(void);

/* --- control.c --- */

/** Flush, checkpoint, purge, ban. */
void control_act(enum action action);
/** Drop what has expired, side by side with what comes next. */
void control_expire(void);
uint32_t control_busy_count(void);
void control_check_age(void);
/** Delete the cache without force, where something is dirty. */
void control_delete_refused(void);
/** Ban all blocks of a volume. \return whether they are. */
bool control_ban_volume(uint32_t volume);
/** Tell the model whether the cache has stopped writing. */
void control_note_failed(void);
/** Compare the blocks that the engine says are dirty. */
void control_dirty_check(void);
/** Nothing that the engine counted says that data was bad, where none was. */
void control_stats_check(void);
/** Key of an object. \return its length. */
uint32_t object_key(uint32_t object, uint8_t key[TARN_CACHE_KEY_MAX]);
