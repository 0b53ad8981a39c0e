/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Limits of rate: token buckets that all channels of a bdev share, on whatever reactors they are.
 *
 * A bucket is one number, the time until which its tokens are spent (the generic cell rate
 * algorithm, ITU-T I.371). An I/O books: it may go when that time has come, and moves it on by what
 * it costs, so that I/O of any size passes and is paid for afterwards. The time is never further
 * back than the burst. Only the first I/O of a channel's list books, so that the channels take
 * turns whichever reactor is the quicker.
 *
 * The time of an I/O's booking stands in its done_bytes, which only split I/O has a use for; 0: not
 * booked.
 *
 * Who may not go yet waits at the head of its channel's list, until the time that is told to the
 * reactor as how long it may sleep. Setting limits changes the buckets at once and then visits the
 * reactors by message: there the channels learn whether to look at them at all, and what waits
 * books again.
 */
#include "lib/bdev/internal.h"
#include "tarn/env.h"

/*
 * Costs and times: in 1/16 ns since the bucket's base. Cost of one token: with 28 more binary
 * places.
 */
#define UNIT_SHIFT 4
#define COST_SHIFT 28
#define COST_MAX (UINT64_C(1) << 58)
#define SPENT_MAX (UINT64_C(1) << 62) /* nine years: never comes, never overflows */
#define BURST_NS UINT64_C(5000000)

static uint64_t
units_now(const struct bdev_qos *qos)
{
	return (tarn_now_ns() - qos->base_ns) << UNIT_SHIFT;
}

/* \return the cost of one token, 0: no limit. */
static uint64_t
token_cost(uint64_t tokens_per_s)
{
	unsigned __int128 units_per_s = (unsigned __int128)UINT64_C(1000000000)
					<< (UNIT_SHIFT + COST_SHIFT);
	uint64_t cost;

	if (tokens_per_s == 0)
		return 0;
	cost = (uint64_t)(units_per_s / tokens_per_s);
	return tarn_max_u64(cost, 1);
}

/*
 * How many tokens of each bucket an I/O takes. Of a split I/O, the first part pays for being one.
 */
static void
tokens_of(const struct tarn_io *io, uint64_t tokens[QOS_LIMIT_COUNT])
{
	bool first_part =
	    io->internal != IO_KIND_PART || io->offset_bytes == io->parent->offset_bytes;
	bool is_data = io->op == TARN_IO_READ || io->op == TARN_IO_WRITE;

	tokens[QOS_RW_IOS] = first_part ? 1 : 0;
	tokens[QOS_RW_BYTES] = is_data ? io->length_bytes : 0;
	tokens[QOS_READ_BYTES] = io->op == TARN_IO_READ ? io->length_bytes : 0;
	tokens[QOS_WRITE_BYTES] = io->op == TARN_IO_WRITE ? io->length_bytes : 0;
}

/* Take tokens ahead of time. \return when they are there. */
static uint64_t
book(struct qos_bucket *bucket, uint64_t token_count, uint64_t now)
{
	uint64_t price = atomic_load_explicit(&bucket->token_cost, memory_order_relaxed);
	uint64_t spent = atomic_load_explicit(&bucket->spent, memory_order_relaxed);
	uint64_t burst = BURST_NS << UNIT_SHIFT;
	unsigned __int128 exact;
	uint64_t cost, start;

	if (price == 0 || token_count == 0)
		return 0;
	exact = (unsigned __int128)token_count * price >> COST_SHIFT;
	cost = exact < COST_MAX ? (uint64_t)exact : COST_MAX;
	do {
		start = tarn_max_u64(spent, now > burst ? now - burst : 0);
		if (start > SPENT_MAX)
			return start;
	} while (!atomic_compare_exchange_weak_explicit(
	    &bucket->spent, &spent, start + cost, memory_order_relaxed, memory_order_relaxed));
	return start;
}

bool
qos_take(struct tarn_channel *channel, struct tarn_io *io)
{
	struct bdev_qos *qos = channel->qos;
	uint64_t tokens[QOS_LIMIT_COUNT];
	uint64_t now;

	if (io->op == TARN_IO_FLUSH)
		return true;
	now = units_now(qos);
	if (io->done_bytes == 0) {
		tokens_of(io, tokens);
		io->done_bytes = 1;
		for (int i = 0; i < QOS_LIMIT_COUNT; i++)
			io->done_bytes =
			    tarn_max_u64(io->done_bytes, book(&qos->bucket[i], tokens[i], now));
	}
	if (io->done_bytes <= now)
		return true;
	/* Rounded up: at that time it has come. */
	channel->qos_until_ns = qos->base_ns + (io->done_bytes >> UNIT_SHIFT) + 1;
	return false;
}

void
qos_attach(struct tarn_channel *channel)
{
	struct bdev_qos *qos = &channel->bdev->qos;

	channel->qos = atomic_load(&qos->limited) ? qos : NULL;
}

/* --- Setting --- */

static void visit(void *arg);

static void
visit_next(struct tarn_bdev *bdev)
{
	struct bdev_qos *qos = &bdev->qos;

	tarn_msg_send(tarn_reactor_get(qos->visit_index), &qos->msg, visit, bdev);
}

static void
visits_done(void *arg)
{
	struct tarn_bdev *bdev = arg;
	struct bdev_qos *qos = &bdev->qos;

	if (qos->again) {
		qos->again = false;
		qos->visit_index = 0;
		visit_next(bdev);
		return;
	}
	qos->visiting = false;
	bdev_unhold(bdev);
}

static void
forget_bookings(struct tarn_io_list *list)
{
	struct tarn_io *io;

	TAILQ_FOREACH (io, list, link)
		io->done_bytes = 0;
}

static void
visit(void *arg)
{
	struct tarn_bdev *bdev = arg;
	struct bdev_qos *qos = &bdev->qos;
	struct tarn_channel *channel;

	TAILQ_FOREACH (channel, &bdev->channels[qos->visit_index], bdev_link) {
		qos_attach(channel);
		forget_bookings(&channel->waiting);
		forget_bookings(&channel->waiting_background);
		/* Tried at the driver's next poll: this is no place to submit from. */
		if (!TAILQ_EMPTY(&channel->waiting) || !TAILQ_EMPTY(&channel->waiting_background)) {
			channel->qos_until_ns = 0;
			channel_stall(channel);
		}
	}
	if (++qos->visit_index < tarn_reactor_count())
		visit_next(bdev);
	else
		tarn_msg_send(tarn_reactor_get(0), &qos->msg, visits_done, bdev);
}

void
tarn_bdev_set_qos(struct tarn_bdev *bdev, const struct tarn_bdev_qos *limits)
{
	struct bdev_qos *qos = &bdev->qos;
	const uint64_t rate[QOS_LIMIT_COUNT] = {
		[QOS_RW_IOS] = limits->rw_ios_per_s,
		[QOS_RW_BYTES] = limits->rw_bytes_per_s,
		[QOS_READ_BYTES] = limits->read_bytes_per_s,
		[QOS_WRITE_BYTES] = limits->write_bytes_per_s,
	};
	bool limited = false;
	uint64_t now;

	tarn_assert(tarn_on_control_reactor());
	if (qos->base_ns == 0)
		qos->base_ns = tarn_now_ns() - 1; /* times are not 0 */
	now = units_now(qos);
	qos->limits = *limits;
	for (int i = 0; i < QOS_LIMIT_COUNT; i++) {
		uint64_t cost = token_cost(rate[i]);

		limited |= cost != 0;
		/* Debt made at another rate is forgiven. */
		if (atomic_exchange(&qos->bucket[i].token_cost, cost) != cost)
			atomic_store(&qos->bucket[i].spent, now);
	}
	atomic_store(&qos->limited, limited);
	if (qos->visiting) {
		qos->again = true;
		return;
	}
	qos->visiting = true;
	qos->visit_index = 0;
	bdev_hold(bdev);
	visit_next(bdev);
}

void
tarn_bdev_get_qos(const struct tarn_bdev *bdev, struct tarn_bdev_qos *ret_qos)
{
	*ret_qos = bdev->qos.limits;
}
