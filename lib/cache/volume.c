/* SPDX-License-Identifier: BSD-3-Clause */
/* Volumes' identities and generations, in the superblock. See tarn/cache_block.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cache/index.h"
#include "lib/cache/super.h"
#include "tarn/cache_block.h"

struct change {
	struct super_write write;
	struct tarn_msg msg;
	uint8_t uuid[16];
	bool forget;
	int status;
	uint32_t id;
	struct tarn_cache_volume *volume; /* the user's; NULL: forget */
	tarn_cache_cb cb;
	void *arg;
};

static struct disk_volume *
find(struct disk_super *super, const uint8_t uuid[16])
{
	for (uint32_t i = 0; i < DISK_VOLUME_COUNT; i++)
		if (super->volume[i].id != 0 && memcmp(super->volume[i].uuid, uuid, 16) == 0)
			return &super->volume[i];
	return NULL;
}

/* A place with a number that was never used. NULL: there is none, and *ret_status says of what. */
static struct disk_volume *
make(struct disk_super *super, const uint8_t uuid[16], int *ret_status)
{
	*ret_status = -EUSERS;
	if (super->next_volume_id >= 1u << INDEX_VOLUME_BITS)
		return NULL;
	*ret_status = -ENOSPC;
	for (uint32_t i = 0; i < DISK_VOLUME_COUNT; i++) {
		struct disk_volume *volume = &super->volume[i];

		if (volume->id != 0)
			continue;
		memcpy(volume->uuid, uuid, 16);
		volume->id = super->next_volume_id++;
		return volume;
	}
	return NULL;
}

static void
change_super(struct super_write *write, struct disk_super *super)
{
	struct change *change = tarn_container_of(write, struct change, write);
	struct disk_volume *volume = find(super, change->uuid);

	if (change->forget) {
		if (volume == NULL)
			change->status = -ENOENT;
		else
			memset(volume, 0, sizeof(*volume));
		return;
	}
	if (volume == NULL) {
		int status;

		volume = make(super, change->uuid, &status);
		if (volume == NULL) {
			change->status = status;
			return;
		}
	}
	volume->generation = change->volume->generation;
	change->id = volume->id;
}

static void
changed(struct super_write *write, int status)
{
	struct change *change = tarn_container_of(write, struct change, write);

	if (change->status == 0)
		change->status = status;
	if (change->status == 0 && change->volume != NULL)
		change->volume->id = change->id;
	change->write.cache->busy_count--;
	change->cb(change->arg, change->status);
	free(change);
}

static void
begin(void *arg)
{
	struct change *change = arg;

	super_write(change->write.cache, &change->write);
}

static void
refused(void *arg)
{
	struct change *change = arg;

	change->cb(change->arg, -ESHUTDOWN);
	free(change);
}

/* Later, and where the cache stops, not at all: from the call on a stop waits for the change. */
static void
go(struct change *change)
{
	struct tarn_cache *cache = change->write.cache;

	if (atomic_load(&cache->state) == CACHE_RUNNING) {
		cache->busy_count++;
		tarn_msg_send(tarn_reactor_get(0), &change->msg, begin, change);
	} else {
		tarn_msg_send(tarn_reactor_get(0), &change->msg, refused, change);
	}
}

/* \return NULL: no memory, and cb has been told. */
static struct change *
change_new(struct tarn_cache *cache, const uint8_t uuid[16], tarn_cache_cb cb, void *arg)
{
	struct change *change = calloc(1, sizeof(*change));

	tarn_assert(tarn_on_control_reactor());
	if (change == NULL) {
		cb(arg, -ENOMEM);
		return NULL;
	}
	memcpy(change->uuid, uuid, 16);
	change->write.cache = cache;
	change->write.change = change_super;
	change->write.done = changed;
	change->cb = cb;
	change->arg = arg;
	return change;
}

void
tarn_cache_volume_set(struct tarn_cache *cache, struct tarn_cache_volume *volume, tarn_cache_cb cb,
		      void *arg)
{
	struct change *change = change_new(cache, volume->uuid, cb, arg);

	if (change == NULL)
		return;
	change->volume = volume;
	go(change);
}

void
tarn_cache_volume_forget(struct tarn_cache *cache, const uint8_t uuid[16], tarn_cache_cb cb,
			 void *arg)
{
	struct change *change = change_new(cache, uuid, cb, arg);

	if (change == NULL)
		return;
	change->forget = true;
	go(change);
}

int
tarn_cache_volume_get(const struct tarn_cache *cache, const uint8_t uuid[16],
		      struct tarn_cache_volume *ret)
{
	const struct disk_volume *volume = find(cache->super, uuid);

	if (volume == NULL)
		return -ENOENT;
	memcpy(ret->uuid, volume->uuid, 16);
	ret->id = volume->id;
	ret->generation = volume->generation;
	return 0;
}
