/* SPDX-License-Identifier: BSD-3-Clause */
/* See sure_read.h. */
#include "lib/cache/sure_read.h"

static void
tried(void *arg, int status)
{
	struct sure_read *read = arg;

	if (status == 0 || ++read->try_count == SURE_READ_TRIES)
		read->done(read->arg, status);
	else
		tarn_bdev_read(read->channel, &read->io, read->buf, read->length_bytes,
			       read->offset_bytes, read->flags, tried, read);
}

void
sure_read(struct sure_read *read, tarn_io_cb done, void *arg)
{
	read->try_count = 0;
	read->done = done;
	read->arg = arg;
	tarn_bdev_read(read->channel, &read->io, read->buf, read->length_bytes, read->offset_bytes,
		       read->flags, tried, read);
}
