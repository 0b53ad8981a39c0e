/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Durability. A flush cycle, on the control reactor, for all shards and requests at once:
 *
 *	IDLE --kick--> collect: each shard notes what it has committed
 *	     --------> flush:   one device flush
 *	     --------> tell:    each shard's durable position moves there, or did not
 *	     --kicked meanwhile--> collect, otherwise IDLE
 *
 * There is no other flush of the device while a cache runs: one that failed beside these would take
 * the error that these had to see.
 *
 * A failed flush leaves all shards in doubt: a device, or its file, may tell of an error once, to
 * whoever asks first. Each shard then has a gap, from its durable position to what it had appended;
 * until all that lives in there is appended again, no flush moves its durable position; and until a
 * header that says so is durable, nobody hears of it.
 */
#include <errno.h>

#include "lib/cache/internal.h"
#include "lib/cache/reclaim.h"

static void cycle_begin(struct tarn_cache *cache);
static void kick_arrived(void *arg);
static void shard_collected(void *arg);
static void shard_told(void *arg);

/* --- On a shard's reactor --- */

static void
tell_waiters(struct shard *shard, uint64_t position, int status)
{
	struct log_waiters told = TAILQ_HEAD_INITIALIZER(told);
	struct log_waiter *waiter, *next;

	TARN_TAILQ_FOREACH_SAFE (waiter, &shard->flush.waiters, link, next) {
		if (waiter->position > position)
			continue;
		TAILQ_REMOVE(&shard->flush.waiters, waiter, link);
		TAILQ_INSERT_TAIL(&told, waiter, link);
	}
	while ((waiter = TAILQ_FIRST(&told)) != NULL) {
		TAILQ_REMOVE(&told, waiter, link);
		waiter->done(waiter, status);
	}
}

void
flush_fail_waiters(struct shard *shard)
{
	tell_waiters(shard, UINT64_MAX, -EIO);
}

static void
kick(struct shard *shard)
{
	if (shard->flush.kicked)
		return;
	shard->flush.kicked = true;
	tarn_msg_send(tarn_reactor_get(0), &shard->flush.kick_msg, kick_arrived, shard->cache);
}

void
flush_init(struct shard *shard)
{
	TAILQ_INIT(&shard->flush.waiters);
}

void
flush_want(struct shard *shard)
{
	if (!shard->failed && !shard->gap_open)
		kick(shard);
}

void
flush_want_position(struct shard *shard, uint64_t position)
{
	if (shard->flush.position < position)
		flush_want(shard);
}

void
flush_want_tail(struct shard *shard, uint64_t tail)
{
	if (shard->flush.tail < tail)
		flush_want(shard);
}

uint64_t
flush_sure(const struct shard *shard)
{
	return shard->gap_open || shard->gap_unpublished
		   ? tarn_min_u64(shard->durable, shard->doubt_start)
		   : shard->durable;
}

void
flush_wait(struct shard *shard, struct log_waiter *waiter)
{
	if (waiter->position <= flush_sure(shard)) {
		waiter->done(waiter, 0);
		return;
	}
	TAILQ_INSERT_TAIL(&shard->flush.waiters, waiter, link);
	flush_want_position(shard, waiter->position);
}

void
flush_gap_closed(struct shard *shard)
{
	shard->gap_open = false;
	shard_unblock(shard);
	shard->gap_unpublished = true;
	shard->gap_stale = shard->gap_waiting;
	if (!TAILQ_EMPTY(&shard->flush.waiters) || shard->committed > shard->durable)
		flush_want(shard);
}

static void
gap_published(struct log_waiter *waiter, int status)
{
	struct shard *shard = tarn_container_of(waiter, struct shard, gap_waiter);

	(void)status; /* where it failed there is a gap again */
	shard->gap_waiting = shard->gap_stale = false;
}

/* \return whether the header that gap_waiter waits for, if it does, is durable. */
static bool
gap_header_durable(const struct shard *shard)
{
	return shard->gap_waiting && shard->gap_waiter.position != 0 &&
	       shard->gap_waiter.position <= shard->durable;
}

/*
 * What lived in the gap is durable behind it now. Recovery does not read the gap because a header
 * says so; that one is durable before anyone hears of success. \return whether it is.
 */
static bool
publish_gap(struct shard *shard)
{
	shard->gap_start = shard->doubt_start;
	shard->gap_end = shard->doubt_end;
	if (gap_header_durable(shard) && !shard->gap_stale) {
		shard->gap_unpublished = false;
		return true;
	}
	if (gap_header_durable(shard)) {
		/* Of an earlier gap: it does not say what is needed, and is not told of. */
		TAILQ_REMOVE(&shard->flush.waiters, &shard->gap_waiter, link);
		shard->gap_waiting = shard->gap_stale = false;
	}
	if (!shard->gap_waiting && log_telling_batch(shard) == 0) {
		shard->gap_waiting = true;
		shard->gap_waiter.position = 0; /* until it is committed */
		log_wait(shard, &shard->gap_waiter, true, gap_published);
	} else if (!shard->gap_waiting) {
		reclaim_check_room(shard);
		flush_want(shard); /* no room now: once more */
	}
	return false;
}

static void
succeeded(struct shard *shard, uint64_t position, uint64_t tail)
{
	shard->counters.flush_count++;
	if (position > shard->durable) {
		shard->durable = position;
		shard_unblock(shard);
	}
	if (tarn_unlikely(shard->gap_unpublished) && !publish_gap(shard))
		return;
	shard->durable_tail = tarn_max_u64(shard->durable_tail, tail);
	reclaim_durable(shard);
	tell_waiters(shard, shard->durable, 0);
}

/*
 * Whether something was written since the last good flush. What is on its way may be on the device
 * already, behind something that is not: it commits later, and was let go of all the same.
 */
static bool
is_in_doubt(const struct shard *shard)
{
	return shard->committed > shard->durable || !TAILQ_EMPTY(&shard->items);
}

/* What was appended since the last good flush has to be appended again. */
static void
open_gap(struct shard *shard)
{
	uint64_t end;

	shard->counters.flush_error_count++;
	if (shard->failed || (!is_in_doubt(shard) && !shard->gap_unpublished))
		return;
	if (++shard->flush_failures >= SHARD_WRITE_FAILURES) {
		log_fail(shard);
		return;
	}
	if (!is_in_doubt(shard)) {
		flush_want(shard); /* what the last gap held is durable, and has yet to be told */
		return;
	}
	log_kick(shard, true);
	/* Where a write has failed the batch stays open: its repair closes both. */
	if (shard->segment_is_open && shard->open_batch == NULL)
		segment_seal(shard);
	end = shard_position(shard, shard->head + 1, 0);
	shard->doubt_start = flush_sure(shard); /* of a gap that is open, or untold: where it was */
	shard->gap_unpublished = false;
	shard->doubt_end = end;
	shard->gap_open = true;
	reclaim_gap(shard);
}

static void
told(void *arg)
{
	struct shard *shard = arg;
	struct tarn_cache *cache = shard->cache;
	int status = cache->flush.status;
	uint64_t position = shard->flush.position, tail = shard->flush.tail;
	bool believed = position != 0;

	shard->flush.position = shard->flush.tail = 0; /* who is told may want the next */
	if (status == 0 && believed) {
		shard->flush_failures = 0;
		succeeded(shard, position, tail);
	} else if (status != 0) {
		/* Also where this shard had a gap already: it then has more of one. */
		open_gap(shard);
		tell_waiters(shard, believed ? position : shard->committed, -EIO);
	}
	tarn_msg_send(tarn_reactor_get(0), &shard->flush.msg, shard_told, cache);
}

static void
collect(void *arg)
{
	struct shard *shard = arg;

	shard->flush.kicked = false;
	/* 0: it must not be believed, whatever comes of it. */
	shard->flush.position = shard->gap_open || shard->failed ? 0 : shard->committed;
	shard->flush.tail = shard->flush.position != 0 ? shard->committed_tail : 0;
	tarn_msg_send(tarn_reactor_get(0), &shard->flush.msg, shard_collected, shard->cache);
}

/* --- On the control reactor --- */

static void
to_shards(struct tarn_cache *cache, tarn_msg_fn fn)
{
	cache->flush.pending = cache->shard_count;
	for (uint32_t i = 0; i < cache->shard_count; i++) {
		struct shard *shard = &cache->shards[i];

		tarn_msg_send(shard->reactor, &shard->flush.msg, fn, shard);
	}
}

static void
cycle_end(struct tarn_cache *cache)
{
	struct flush_cycle *flush = &cache->flush;
	struct flush_requests taken = TAILQ_HEAD_INITIALIZER(taken);
	struct flush_request *request;
	int status = flush->status;

	TAILQ_CONCAT(&taken, &flush->taken, link);
	flush->running = false;
	if (flush->again)
		cycle_begin(cache);
	while ((request = TAILQ_FIRST(&taken)) != NULL) {
		bool sure = request->mark == flush->failure_count;

		TAILQ_REMOVE(&taken, request, link);
		request->cb(request->arg, status == 0 && !sure ? -EIO : status);
	}
}

static void
shard_told(void *arg)
{
	struct tarn_cache *cache = arg;

	if (--cache->flush.pending == 0)
		cycle_end(cache);
}

static void
flushed(void *arg, int status)
{
	struct tarn_cache *cache = arg;

	cache->flush.status = status;
	cache->flush.failure_count += status != 0;
	if (cache->shard_count != 0)
		to_shards(cache, told);
	else
		cycle_end(cache);
}

static void
shard_collected(void *arg)
{
	struct tarn_cache *cache = arg;

	if (--cache->flush.pending == 0)
		tarn_bdev_flush(cache->channel, &cache->flush.io, flushed, cache);
}

static void
cycle_begin(struct tarn_cache *cache)
{
	struct flush_cycle *flush = &cache->flush;

	flush->running = true;
	flush->again = false;
	TAILQ_CONCAT(&flush->taken, &flush->waiting, link);
	if (cache->shard_count != 0)
		to_shards(cache, collect);
	else
		tarn_bdev_flush(cache->channel, &flush->io, flushed, cache);
}

static void
kick_arrived(void *arg)
{
	struct tarn_cache *cache = arg;

	if (cache->flush.running)
		cache->flush.again = true;
	else
		cycle_begin(cache);
}

bool
flush_cycle_idle(const struct tarn_cache *cache)
{
	return !cache->flush.running;
}

void
flush_cache_init(struct tarn_cache *cache)
{
	TAILQ_INIT(&cache->flush.waiting);
	TAILQ_INIT(&cache->flush.taken);
}

uint64_t
flush_mark(const struct tarn_cache *cache)
{
	return cache->flush.failure_count;
}

void
flush_device(struct tarn_cache *cache, struct flush_request *request, tarn_io_cb cb, void *arg)
{
	request->cb = cb;
	request->arg = arg;
	TAILQ_INSERT_TAIL(&cache->flush.waiting, request, link);
	kick_arrived(cache);
}
