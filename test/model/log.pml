/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The log of one shard, small enough that every history of it can be looked at: one key, segments
 * of one batch, a device with a volatile cache. What doc/cache-design.md argues about commit, flush,
 * gaps, reclaim and recovery is here rule by rule, and C6, C7, C8 and C10 are the assertions.
 *
 * A batch is an image: its header (sequence, predecessor, tail, durable position, gap) and at most
 * one event of the key, a store or a remove. Events are numbered in the order of the requests.
 * Positions are sequences. Segment s lies at place s % SEGS. Sequence 0 is no image.
 *
 * Of the device: `shown` is what it reads back, `medium` what it holds without power. A place is
 * WRITTEN (the next flush takes it), KEPT (both are the same) or GHOST (a flush failed and let go of
 * it: it is read back, and no later flush will write it).
 *
 * Checked by test_log.py, which also plants the bugs that are here under names of their own:
 * ACKNOWLEDGE_AHEAD, RETRY_FLUSH, UNPUBLISHED, TRUST_THE_DEAD, REUSE_EARLY, REUSE_IN_DOUBT.
 */
#ifndef SEGS
#define SEGS 5
#endif
#ifndef SEQUENCES
#define SEQUENCES 9 /* so many are opened */
#endif
#ifndef EVENTS
#define EVENTS 3
#endif
#ifndef CRASHES
#define CRASHES 2
#endif
#ifndef FLUSH_FAILURES
#define FLUSH_FAILURES 1
#endif
#define FLIGHT 2  /* batches on their way */
#define RESERVE 1 /* segments for reclaim only */

#ifdef DIRTY
#define KEPT_AT_RECLAIM true /* a dirty entry is appended again */
#else
#define KEPT_AT_RECLAIM false /* a clean one may be dropped */
#endif

typedef image {
	byte seq, prev, tail, durable, event, gap_start, gap_end
};
mtype = { KEPT, WRITTEN, GHOST };

/* The device. */
image medium[SEGS];
image shown[SEGS];
mtype place[SEGS] = KEPT;
bool covered[SEGS]; /* by the flush under way */
image flight[FLIGHT];

/* What was asked for and promised. Event e is a store if bit e of stores is set. */
byte last_event, acked, promised, stores;
#define IS_STORE(e) (stores & (1 << (e)))

/* The shard. */
byte head, committed, committed_tail = 1, durable, born, tail = 1, freed = 1, durable_tail = 1;
byte prev;	       /* the last segment with anything in it */
byte index_seq;	       /* where the key is; 0: a miss */
byte removed_seq;      /* where its tombstone is, if that is the last of the key; 0: elsewhere */
byte live_event;       /* the last event of the key */
byte gap_start, gap_end; /* the newest gap */
byte told_start, told_end; /* the newest that was closed: headers tell of it */
bool gap_open, gap_unpublished, reclaiming, bare_wanted;
byte bare_seq, bare_durable; /* the batch that says so, and what it says is durable */
bool flushing, flush_believed;
byte flush_seq, flush_acked, flush_tail, flush_known;
byte committed_known, known; /* the durable position that the newest committed, durable header tells */
byte crashes, flush_failures;

byte i, j, k, s, d, t, last, max_seq, found, found_event, e, damage, known_tail;
bool live[SEGS]; /* recovery: part of the log */

inline clear(to) {
	to.seq = 0; to.prev = 0; to.tail = 0; to.durable = 0; to.event = 0; to.gap_start = 0; to.gap_end = 0
}
inline copy(to, from) {
	to.seq = from.seq; to.prev = from.prev; to.tail = from.tail; to.durable = from.durable;
	to.event = from.event; to.gap_start = from.gap_start; to.gap_end = from.gap_end
}

#define FREE_SEGMENTS (freed + SEGS - 1 - head)
#define CAN_APPEND (head < SEQUENCES && (flight[0].seq == 0 || flight[1].seq == 0))
/* The requests of clients wait for room to write all again that is not durable. */
#define FOREGROUND (FREE_SEGMENTS > RESERVE && FREE_SEGMENTS > head - durable && !gap_open && !gap_unpublished)

/* Open the next segment and send its batch, which has event ev of the key, or 0. */
inline append(ev) {
	head++;
	i = (flight[0].seq == 0 -> 0 : 1);
	flight[i].seq = head; flight[i].prev = prev; flight[i].tail = tail; flight[i].durable = durable;
	flight[i].event = ev; flight[i].gap_start = told_start; flight[i].gap_end = told_end;
	prev = head;
	if
	:: ev != 0 && IS_STORE(ev) -> index_seq = head; removed_seq = 0
	:: ev != 0 && !IS_STORE(ev) -> index_seq = 0; removed_seq = head
	:: else
	fi;
	i = 0
}

/* --- Recovery: from `shown` alone, as lib/cache/recover.c goes about it --- */

/* t: where the gap around position p ends, or 0. */
inline gap_around(p) {
	t = 0; j = 0;
	do
	:: j < SEGS ->
		if
		:: shown[j].seq != 0 && p >= shown[j].gap_start && p < shown[j].gap_end &&
		   d >= shown[j].gap_end && shown[j].gap_end > t -> t = shown[j].gap_end
		:: else
		fi;
		j++
	:: else -> break
	od;
	j = 0
}

inline recover(process_only) {
	d = 0; max_seq = 0; tail = 1; k = 0;
	do
	:: k < SEGS ->
		if
		:: shown[k].seq != 0 ->
			d = (shown[k].durable > d -> shown[k].durable : d);
			max_seq = (shown[k].seq > max_seq -> shown[k].seq : max_seq)
		:: else
		fi;
		k++
	:: else -> break
	od;
	k = 0;
	do
	:: k < SEGS ->
		if
		:: shown[k].seq != 0 && shown[k].seq <= d && shown[k].tail > tail -> tail = shown[k].tail
		:: else
		fi;
		k++
	:: else -> break
	od;
	/* That much the next life is sure to find again. */
	known = d; known_tail = 1;
	k = 0;
	do
	:: k < SEGS ->
		known_tail = (shown[k].seq != 0 && shown[k].seq <= known && shown[k].tail > known_tail ->
			      shown[k].tail : known_tail);
		k++
	:: else -> break
	od;
	/* Up to D: backwards from the newest of the flushed. What a link passes over is dead. */
	k = 0; s = 0;
	do
	:: k < SEGS ->
		live[k] = false;
		s = (shown[k].seq >= tail && shown[k].seq <= d && shown[k].seq > s -> shown[k].seq : s);
		k++
	:: else -> break
	od;
	last = s;
	do
	:: s != 0 ->
		live[s % SEGS] = true;
		e = shown[s % SEGS].prev;
		if
		:: e < tail -> s = 0
		:: e >= tail && shown[e % SEGS].seq == e -> s = e
		:: else ->
			/* It is missing: it lies in a gap, or what is before this one is damaged. */
			gap_around(e);
			damage = (t >= s || damage > e -> damage : e);
			s = 0; k = 0;
			do
			:: k < SEGS ->
				s = (shown[k].seq >= tail && shown[k].seq < e && shown[k].seq > s -> shown[k].seq : s);
				k++
			:: else -> break
			od
		fi
	:: else -> break
	od;
	/* Behind D, or from the tail on where nothing was flushed: of several successors, the last. */
	do
	:: true ->
		k = 0; s = 0;
		do
		:: k < SEGS ->
			if
			:: shown[k].seq > d && shown[k].seq >= tail && shown[k].seq > s &&
			   (last == 0 -> shown[k].prev < tail : shown[k].prev == last) -> s = shown[k].seq
			:: else
			fi;
			k++
		:: else -> break
		od;
		if
		:: s == 0 -> break
		:: else -> live[s % SEGS] = true; last = s
		fi
	od;
	s = tail; found = 0; found_event = 0; e = 0;
	do
	:: s <= max_seq ->
		if
		:: shown[s % SEGS].seq == s && live[s % SEGS] ->
			tail = (shown[s % SEGS].tail > tail -> shown[s % SEGS].tail : tail);
			if
			:: shown[s % SEGS].event != 0 -> found = s; found_event = shown[s % SEGS].event
			:: else
			fi
		:: else
		fi;
		s++
	:: else -> break
	od;
	k = 0;
	/* Nothing of what counts may be missing below D, nor at the log's end. */
	assert(damage < tail);
	damage = 0;
	assert(last >= d || last + 1 < tail);
	if
	:: found != 0 && found < tail -> found = 0; found_event = 0
	:: else
	fi;

	/* C6 to C8, C10. */
	e = (process_only -> acked : promised);
	if
	:: found_event == 0 ->
#ifdef DIRTY
		assert(e == 0 || !IS_STORE(e))
#else
		skip
#endif
	:: else -> assert(found_event >= e)
	fi;

#ifndef TRUST_THE_DEAD
	/*
	 * Only the process died: a flush of before may have failed, and let go of what is read back. What
	 * is behind D is written again, in its place.
	 */
	k = 0;
	do
	:: k < SEGS ->
		if
		:: process_only && shown[k].seq > d && place[k] == GHOST -> place[k] = WRITTEN
		:: else
		fi;
		k++
	:: else -> break
	od;
#endif
	/* What is served from now on is flushed before. */
	k = 0;
	do
	:: k < SEGS ->
		if
		:: place[k] == WRITTEN -> copy(medium[k], shown[k]); place[k] = KEPT
		:: else
		fi;
		covered[k] = false; live[k] = false;
		k++
	:: else -> break
	od;
	k = 0;
	acked = (found_event > promised -> found_event : promised);
	live_event = found_event;
	index_seq = (found != 0 && IS_STORE(found_event) -> found : 0);
	removed_seq = (found != 0 && !IS_STORE(found_event) -> found : 0);
	head = max_seq; born = head; prev = last; committed = head;
	freed = tail;
	told_start = 0; told_end = 0;
	if
	:: max_seq != 0 -> told_start = shown[max_seq % SEGS].gap_start; told_end = shown[max_seq % SEGS].gap_end
	:: else
	fi;
	gap_start = told_start; gap_end = told_end;
	gap_open = false; gap_unpublished = false; bare_wanted = false; bare_seq = 0; bare_durable = 0;
	flushing = false; flush_believed = false; flush_seq = 0; flush_acked = 0; flush_tail = 0; flush_known = 0;
	durable = last;
	promised = acked;
#ifndef REUSE_IN_DOUBT
	/*
	 * What is before the tail is used again once a durable header can be told from what is flushed
	 * behind the tail. It cannot yet, if the tail itself is in doubt, but for places already taken.
	 */
	if
	:: known < tail -> freed = (max_seq + 1 > SEGS + known_tail -> max_seq + 1 - SEGS : known_tail)
	:: else
	fi;
#endif
	committed_tail = freed; durable_tail = freed; committed_known = known; reclaiming = (freed < tail);
	d = 0; t = 0; last = 0; max_seq = 0; found = 0; found_event = 0; s = 0; e = 0; known_tail = 0
}

inline lose_flight() {
	clear(flight[0]); clear(flight[1])
}

init {
	do
	/* --- Requests --- */
	:: atomic { CAN_APPEND && FOREGROUND && last_event < EVENTS ->
		last_event++; stores = stores | (1 << last_event); live_event = last_event;
		append(last_event) }
	:: atomic { CAN_APPEND && FOREGROUND && last_event < EVENTS && index_seq != 0 ->
		last_event++; live_event = last_event;
		append(last_event) }
	:: atomic { CAN_APPEND && FOREGROUND -> append(0) } /* of other keys */

	/* --- A write ends; what lies before the first hole is committed --- */
	:: atomic { flight[0].seq != 0 || flight[1].seq != 0 ->
		if
		:: flight[0].seq != 0 -> i = 0
		:: flight[1].seq != 0 -> i = 1
		fi;
		s = flight[i].seq;
		copy(shown[s % SEGS], flight[i]);
		place[s % SEGS] = WRITTEN; covered[s % SEGS] = false;
#ifdef ACKNOWLEDGE_AHEAD
		acked = (flight[i].event > acked -> flight[i].event : acked);
#endif
		clear(flight[i]);
		i = 0;
		do
		:: committed < head && shown[(committed + 1) % SEGS].seq == committed + 1 ->
			committed++;
			committed_tail = shown[committed % SEGS].tail;
			committed_known = shown[committed % SEGS].durable;
			acked = (shown[committed % SEGS].event > acked -> shown[committed % SEGS].event : acked)
		:: else -> break
		od;
		s = 0 }

	/* --- Flush --- */
	:: atomic { !flushing && ((committed > durable && committed > born) || gap_unpublished) ->
		flushing = true; flush_believed = !gap_open; flush_seq = committed; flush_acked = acked;
		flush_tail = committed_tail; flush_known = committed_known;
		i = 0;
		do
		:: i < SEGS -> covered[i] = (place[i] == WRITTEN); i++
		:: else -> break
		od;
		i = 0 }
	:: atomic { flushing -> /* well */
		i = 0;
		do
		:: i < SEGS ->
			if
			:: covered[i] && place[i] == WRITTEN -> copy(medium[i], shown[i]); place[i] = KEPT
			:: else
			fi;
			covered[i] = false;
			i++
		:: else -> break
		od;
		i = 0; flushing = false;
		if
		:: flush_believed ->
			/* What is said to be durable passes over a gap in one step: into it, never. */
			if
			:: flush_seq > born && (!gap_unpublished || flush_seq >= gap_end) ->
				durable = (flush_seq > durable -> flush_seq : durable)
			:: else
			fi;
			if
			:: gap_unpublished && bare_seq != 0 && bare_seq <= flush_seq && bare_durable >= gap_end ->
				gap_unpublished = false; bare_seq = 0
			:: gap_unpublished && (bare_seq == 0 || bare_seq <= flush_seq) && !(bare_seq != 0 && bare_durable >= gap_end) ->
				bare_wanted = true; bare_seq = 0
			:: else
			fi;
			if
#ifdef UNPUBLISHED
			:: true ->
#else
			:: !gap_unpublished ->
#endif
				durable_tail = (flush_tail > durable_tail -> flush_tail : durable_tail);
				known = (flush_known > known -> flush_known : known);
				promised = (flush_acked > promised -> flush_acked : promised)
			:: else
			fi
		:: else
		fi }
	:: atomic { flushing && flush_failures < FLUSH_FAILURES -> /* or not */
		flush_failures++; flushing = false; i = 0;
		do
		:: i < SEGS ->
			if
			:: place[i] == WRITTEN -> copy(medium[i], shown[i]); place[i] = KEPT
			:: place[i] == WRITTEN -> place[i] = GHOST
			:: true
			fi;
			covered[i] = false;
			i++
		:: else -> break
		od;
		i = 0;
#ifndef RETRY_FLUSH
		if
		:: (committed > durable && committed > born) || gap_open || gap_unpublished ->
			gap_start = (gap_unpublished || gap_open -> gap_start : durable + 1);
			durable = gap_start - 1;
			gap_unpublished = false; bare_wanted = false; bare_seq = 0;
			gap_end = head + 1; gap_open = true
		:: else
		fi
#endif
		}

	/* --- A gap: what lives in it is appended again, from all that is committed --- */
	:: atomic { gap_open && CAN_APPEND && FREE_SEGMENTS > 0 && committed >= gap_end - 1 &&
		    index_seq >= gap_start && index_seq < gap_end && index_seq != 0 -> append(live_event) }
	:: atomic { gap_open && CAN_APPEND && FREE_SEGMENTS > 0 && committed >= gap_end - 1 &&
		    removed_seq >= gap_start && removed_seq < gap_end && removed_seq != 0 -> append(live_event) }
	:: atomic { gap_open && committed == head && committed >= gap_end - 1 &&
		    !(index_seq >= gap_start && index_seq < gap_end && index_seq != 0) &&
		    !(removed_seq >= gap_start && removed_seq < gap_end && removed_seq != 0) ->
		gap_open = false; gap_unpublished = true; bare_seq = 0;
		told_start = gap_start; told_end = gap_end }
	:: atomic { bare_wanted && CAN_APPEND && FREE_SEGMENTS > 0 && gap_unpublished ->
		bare_wanted = false; append(0); bare_seq = head; bare_durable = durable }

	/* --- Reclaim of the oldest segment --- */
	:: atomic { !reclaiming && !gap_open && !gap_unpublished && tail == freed && tail <= durable &&
		    FREE_SEGMENTS <= RESERVE + 1 ->
		reclaiming = true }
	:: atomic { reclaiming && tail == freed && index_seq == tail && CAN_APPEND && FREE_SEGMENTS > 0 ->
		append(live_event) } /* hot, or dirty */
	:: atomic { reclaiming && tail == freed && (index_seq != tail || !KEPT_AT_RECLAIM) ->
		tail++ } /* said by the header of the next batch */
	:: atomic { reclaiming && tail > freed && CAN_APPEND && FREE_SEGMENTS > 0 -> append(0) }
#ifdef REUSE_EARLY
	:: atomic { reclaiming && tail > freed && committed == head ->
#else
	:: atomic { reclaiming && tail > freed && durable_tail >= tail && known >= tail ->
#endif
		if
		:: index_seq == freed -> index_seq = 0; live_event = 0
		:: else
		fi;
		if
		:: removed_seq == freed -> removed_seq = 0
		:: else
		fi;
		freed = tail; reclaiming = false }

	/* --- Crashes --- */
	:: atomic { crashes < CRASHES -> /* the process dies; what was on its way is written or not, or half */
		crashes++; i = 0;
		do
		:: i < FLIGHT ->
			s = flight[i].seq;
			if
			:: s != 0 -> copy(shown[s % SEGS], flight[i]); place[s % SEGS] = WRITTEN
			:: s != 0 -> clear(shown[s % SEGS]); place[s % SEGS] = WRITTEN
			:: true
			fi;
			i++
		:: else -> break
		od;
		i = 0; s = 0; lose_flight();
		recover(true) }
	:: atomic { crashes < CRASHES -> /* power goes: any part of what no flush took is lost or torn */
		crashes++; i = 0;
		do
		:: i < FLIGHT ->
			s = flight[i].seq;
			if
			:: s != 0 -> copy(shown[s % SEGS], flight[i]); place[s % SEGS] = WRITTEN
			:: s != 0 -> clear(medium[s % SEGS]); place[s % SEGS] = GHOST
			:: true
			fi;
			i++
		:: else -> break
		od;
		i = 0;
		do
		:: i < SEGS ->
			if
			:: place[i] == WRITTEN -> copy(medium[i], shown[i])
			:: place[i] == WRITTEN -> clear(medium[i])
			:: true
			fi;
			copy(shown[i], medium[i]); place[i] = KEPT;
			i++
		:: else -> break
		od;
		i = 0; s = 0; lose_flight();
		recover(false) }
	:: atomic { crashes >= CRASHES && flight[0].seq == 0 && flight[1].seq == 0 -> break }
	od
}
