/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The record of what a cache must hold: see record.h. A version's bytes begin with who they are, so
 * that what is found tells its version; all of it is then compared with what that version is.
 */
#include "test/lab/daemon/record.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tarn/util.h"

#define FILE_ALIGN 4096u
#define ITEM_MAX (1u << 20)

struct value_head {
	uint64_t seed;
	uint32_t item, version;
};

/* The finisher of splitmix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators,
 * 2014). */
static uint64_t
mix(const struct record *record, uint32_t item, uint32_t version)
{
	uint64_t z = record->head->seed + ((uint64_t)item << 32 | version);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* --- The file --- */

static size_t
file_bytes(const struct record_head *head)
{
	size_t count = (size_t)head->object_count + head->block_count;

	return tarn_align_up(sizeof(*head) + count * sizeof(struct record_item), FILE_ALIGN);
}

static bool
head_good(const struct record_head *head)
{
	return head->magic == RECORD_MAGIC && head->object_count <= ITEM_MAX &&
	       head->block_count <= ITEM_MAX;
}

/* \return 0 with the head of what is, or is made, in the file. */
static int
file_prepare(int fd, struct record_head *head)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return -errno;
	if (st.st_size == 0) {
		head->magic = RECORD_MAGIC;
		if (ftruncate(fd, (off_t)file_bytes(head)) != 0 ||
		    pwrite(fd, head, sizeof(*head), 0) != sizeof(*head))
			return -errno;
		return 0;
	}
	if (pread(fd, head, sizeof(*head), 0) != sizeof(*head) || !head_good(head) ||
	    (size_t)st.st_size < file_bytes(head))
		return -EINVAL;
	return 0;
}

int
record_open(struct record *record, const char *path, const struct record_head *like)
{
	struct record_head head = *like;
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	void *map;
	int status;

	if (fd < 0)
		return -errno;
	status = file_prepare(fd, &head);
	if (status != 0) {
		close(fd);
		return status;
	}
	map = mmap(NULL, file_bytes(&head), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	status = map == MAP_FAILED ? -errno : 0;
	close(fd);
	if (status != 0)
		return status;
	record->head = map;
	record->items = (struct record_item *)(record->head + 1);
	record->bytes = file_bytes(&head);
	return 0;
}

void
record_close(struct record *record)
{
	munmap(record->head, record->bytes);
	*record = (struct record){ 0 };
}

uint32_t
record_count(const struct record *record)
{
	return record->head->object_count + record->head->block_count;
}

bool
record_is_block(const struct record *record, uint32_t item)
{
	return item >= record->head->object_count;
}

/* --- Versions --- */

bool
record_gone(const struct record *record, uint32_t item, uint32_t version)
{
	return mix(record, item, version) % 8 == 0;
}

static uint32_t
value_bytes_of(const struct record *record, uint32_t item, uint32_t version)
{
	static const uint32_t sizes[] = { 16, 100, 200, 1000, 4000, 4096, 9000, RECORD_VALUE_MAX };

	if (record_is_block(record, item))
		return RECORD_BLOCK_BYTES;
	return sizes[mix(record, item, version) / 8 % tarn_array_count(sizes)];
}

uint32_t
record_value(const struct record *record, uint32_t item, uint32_t version, void *value)
{
	struct value_head head = { record->head->seed, item, version };
	uint32_t bytes = value_bytes_of(record, item, version);
	uint64_t word = mix(record, item, version);
	uint32_t done = sizeof(head);

	memcpy(value, &head, sizeof(head));
	for (; done + sizeof(word) <= bytes; done += sizeof(word)) {
		word = word * UINT64_C(6364136223846793005) + done;
		memcpy((uint8_t *)value + done, &word, sizeof(word));
	}
	memset((uint8_t *)value + done, (int)(word >> 56), bytes - done);
	return bytes;
}

uint32_t
record_version(const struct record *record, uint32_t item, const void *value, uint64_t value_bytes)
{
	static uint8_t expected[RECORD_VALUE_MAX];
	struct value_head head;

	if (value_bytes < sizeof(head))
		return 0;
	memcpy(&head, value, sizeof(head));
	if (head.seed != record->head->seed || head.item != item ||
	    record_gone(record, item, head.version))
		return 0;
	if (record_value(record, item, head.version, expected) != value_bytes ||
	    memcmp(expected, value, value_bytes) != 0)
		return 0;
	return head.version;
}

/* --- What may be there --- */

/* Nothing is there. */
static enum record_verdict
judge_absent(const struct record *record, uint32_t number, uint32_t floor,
	     const struct record_rules *rules)
{
	const struct record_item *item = &record->items[number];

	if (rules->evict && !record_is_block(record, number))
		return RECORD_GOOD;
	if (floor == item->top && item->settled == 0)
		return RECORD_GOOD;
	for (uint32_t v = (uint32_t)tarn_max_u64(floor, item->top + 1); v <= item->asked; v++) {
		if (record_gone(record, number, v))
			return RECORD_GOOD;
	}
	return rules->failed && item->asked > item->acked ? RECORD_GOOD : RECORD_LOST;
}

enum record_verdict
record_judge(const struct record *record, uint32_t number, uint32_t found,
	     const struct record_rules *rules)
{
	const struct record_item *item = &record->items[number];
	uint32_t floor = rules->durable ? item->flushed : item->acked;

	if (found == 0)
		return judge_absent(record, number, floor, rules);
	if (found > item->asked)
		return RECORD_WRONG;
	if (found <= item->top)
		return floor == item->top && found == item->settled ? RECORD_GOOD : RECORD_OLD;
	return found >= floor ? RECORD_GOOD : RECORD_OLD;
}

void
record_settle(struct record *record, uint32_t number, uint32_t found)
{
	struct record_item *item = &record->items[number];

	item->settled = found;
	item->top = item->asked;
	item->acked = item->flushed = item->fenced = item->asked;
}

void
record_flush_begins(struct record *record)
{
	for (uint32_t i = 0; i < record_count(record); i++)
		record->items[i].fenced = record->items[i].acked;
}

void
record_flush_done(struct record *record)
{
	for (uint32_t i = 0; i < record_count(record); i++) {
		struct record_item *item = &record->items[i];

		item->flushed = (uint32_t)tarn_max_u64(item->flushed, item->fenced);
	}
}
