/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include "lib/cache/shard.h"

/*
 * Reclaim: gives back the oldest segment, and appends again what is to stay. The same machine
 * writes again what a failed flush left in doubt. See doc/cache-design.md, Reclaim.
 */
int reclaim_init(struct shard *shard);
void reclaim_fini(struct shard *shard);
/** Do a bounded piece of work. \return how much. */
int reclaim_step(struct shard *shard);
/** Whether there is something that a step could do now. */
bool reclaim_ready(const struct shard *shard);
/** Nothing is under way: the shard may stop. */
bool reclaim_idle(const struct shard *shard);
/** The durable tail has moved, or the last reader of a segment has gone. */
void reclaim_durable(struct shard *shard);
/** A gap has opened: write again what lives in it, then flush_gap_closed(). */
void reclaim_gap(struct shard *shard);
/** Where nothing can be appended any more, and nothing will change that: the log fails. */
void reclaim_check_room(struct shard *shard);
/** Begin nothing new (the shard stops). */
void reclaim_hold(struct shard *shard);
