/* SPDX-License-Identifier: BSD-3-Clause */
/* Calls made once at the end of the turn: where drivers submit what the turn has gathered. */
#include "lib/reactor/internal.h"

void
tarn_deferred_schedule(struct tarn_deferred *deferred)
{
	struct tarn_reactor *reactor = tarn_reactor_self();

	if (deferred->scheduled)
		return;
	deferred->scheduled = true;
	deferred->next = NULL;
	if (reactor->deferred_last != NULL)
		reactor->deferred_last->next = deferred;
	else
		reactor->deferred_first = deferred;
	reactor->deferred_last = deferred;
}

uint32_t
deferred_run(struct tarn_reactor *reactor)
{
	uint32_t count = 0;

	/* One that schedules itself again each time would otherwise hold the turn for ever. */
	while (reactor->deferred_first != NULL && count < REACTOR_DEFERRED_PER_TURN) {
		struct tarn_deferred *deferred = reactor->deferred_first;

		reactor->deferred_first = deferred->next;
		if (reactor->deferred_first == NULL)
			reactor->deferred_last = NULL;
		deferred->scheduled = false;
		deferred->fn(deferred->arg);
		count++;
	}
	return count;
}
