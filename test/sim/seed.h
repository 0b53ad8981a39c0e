/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include "sim.h"

/* One seed: its lives, one after the other, and what happens to the machine between two of them. */

/**
 * A world, in memory that processes share; the caller's until it ends. Before any life of it is
 * run in this process. \return NULL: there is no such memory.
 */
struct sim *seed_world(void);
/** What a seed is, and the numbers that its world begins with. */
void seed_plan(uint64_t seed, bool hard, struct plan *ret, struct rng *ret_rng);
/**
 * Run a seed. Each life is a child of this process, except that of number `life_here` (-1: none),
 * which, where it crashes, ends this process.
 * \return whether all was well; otherwise world->failure says what was not.
 */
bool seed_run(struct sim *world, uint64_t seed, int life_here);
