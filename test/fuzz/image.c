/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whole devices: an image that the engine wrote, changed as the input says, with checksums made
 * good again, so that what they guard is reached; then checked as tarnck does, and recovered and
 * used as the daemon does. Whatever is there, both end, and neither breaks.
 *
 * An input: one byte of what to do, then changes of { place, place, offset, offset, wide, length,
 * bytes }. A place is one of those that were found in the image when it was made.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "app/tarnck/ck.h"
#include "lib/cache/geometry.h"
#include "tarn/bdev_driver.h"
#include "tarn/cache_block.h"
#include "tarn/env.h"
#include "tarn/reactor.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define DEVICE_BYTES (10u << 20)
#define PIECE_BYTES (64u << 10)
#define PIECE_COUNT (DEVICE_BYTES / PIECE_BYTES)
#define PLACE_MAX 4096
#define TURNS_MAX 400000
#define OBJECT_COUNT 120

/* What to do with an image. */
#define DO_CLEAN 0x1 /* the one of a clean stop, not of a crash */
#define DO_RAW 0x2   /* checksums stay wrong */
#define DO_CHECK 0x4 /* by tarnck, not by the engine */

/* --- A device in memory, which is a file as well --- */

static struct {
	uint8_t *data; /* of memfd */
	int fd;
	bool touched[PIECE_COUNT];
} disk;

struct memory_group {
	struct tarn_io_list queue;
};

static void
touch(uint64_t offset_bytes, uint64_t length_bytes)
{
	for (uint64_t at = offset_bytes / PIECE_BYTES;
	     at * PIECE_BYTES < offset_bytes + length_bytes && at < PIECE_COUNT; at++)
		disk.touched[at] = true;
}

static int
memory_open(struct tarn_bdev *bdev, const void *opts, struct tarn_bdev_limits *limits,
	    struct tarn_reason *reason)
{
	(void)bdev;
	(void)opts;
	(void)reason;
	*limits = (struct tarn_bdev_limits){
		.size_bytes = DEVICE_BYTES,
		.block_size = 512,
		.queue_depth = 32,
		.write_cache = true,
		.support = { [TARN_IO_FLUSH] = TARN_IO_NATIVE },
	};
	return 0;
}

static void
memory_close(struct tarn_bdev *bdev)
{
	(void)bdev;
}

static int
memory_group_open(struct tarn_group *group)
{
	TAILQ_INIT(&((struct memory_group *)tarn_group_ctx(group))->queue);
	return 0;
}

static void
memory_submit(struct tarn_channel *channel, struct tarn_io *io)
{
	struct memory_group *group = tarn_group_ctx(tarn_channel_group(channel));
	uint64_t at = io->offset_bytes;

	for (uint32_t i = 0; io->op <= TARN_IO_WRITE && i < io->iov_count; i++) {
		if (io->op == TARN_IO_READ)
			memcpy(io->iov[i].iov_base, disk.data + at, io->iov[i].iov_len);
		else
			memcpy(disk.data + at, io->iov[i].iov_base, io->iov[i].iov_len);
		at += io->iov[i].iov_len;
	}
	if (io->op == TARN_IO_WRITE)
		touch(io->offset_bytes, io->length_bytes);
	TAILQ_INSERT_TAIL(&group->queue, io, link);
}

static int
memory_poll(struct tarn_group *group)
{
	struct memory_group *own = tarn_group_ctx(group);
	struct tarn_io_list queue = TAILQ_HEAD_INITIALIZER(queue);
	struct tarn_io *io;
	int count = 0;

	TAILQ_CONCAT(&queue, &own->queue, link);
	while ((io = TAILQ_FIRST(&queue)) != NULL) {
		TAILQ_REMOVE(&queue, io, link);
		tarn_io_complete(io, 0);
		count++;
	}
	return count;
}

static const struct tarn_bdev_driver memory_driver = {
	.name = "memory",
	.product = "Memory",
	.group_ctx_bytes = sizeof(struct memory_group),
	.opts_bytes = sizeof(struct tarn_bdev_common_opts),
	.open = memory_open,
	.close = memory_close,
	.group_open = memory_group_open,
	.poll = memory_poll,
	.submit = memory_submit,
};
TARN_BDEV_DRIVER(memory_driver)

/* --- The engine, turned by hand --- */

static struct tarn_cache *cache;
static uint8_t *block_buf;
static bool done;
static int status;

static void
turn_until_done(void)
{
	for (uint32_t i = 0; i < TURNS_MAX && !done; i++) {
		tarn_fake_clock_advance(10000);
		tarn_reactor_turn(tarn_reactor_get(0));
	}
	tarn_assert(done);
	done = false;
}

static void
cache_done(void *arg, int done_status)
{
	(void)arg;
	status = done_status;
	done = true;
}

static void
created(void *arg, int done_status, struct tarn_cache *made, const struct tarn_reason *reason)
{
	tarn_assert((done_status == 0) == (made != NULL));
	tarn_assert(done_status == 0 || reason->text[0] != '\0');
	cache = made;
	cache_done(arg, done_status);
}

static int
start(void)
{
	const struct tarn_cache_env env = {
		.seed = 7, .wall_time_s = 1000000, .boot_id = { 1 }, .disk_sequence = 1
	};
	const struct tarn_cache_opts opts = { .name = "cache", .bdev_name = "disk", .env = &env };

	tarn_cache_create(&opts, created, NULL);
	turn_until_done();
	return status;
}

static void
op_done(struct tarn_cache_op *op)
{
	cache_done(NULL, op->status);
}

static int
object(enum tarn_cache_op_kind kind, uint32_t number, uint64_t bytes, int64_t ttl_s)
{
	static struct tarn_cache_op op;
	static uint8_t value[160 << 10];
	struct tarn_cache_op *ops = &op;
	char key[32];

	snprintf(key, sizeof(key), "%u/%u", number % 3, number);
	memset(value, (int)number, tarn_min_u64(bytes, sizeof(value)));
	op = (struct tarn_cache_op){
		.cache = cache,
		.key = key,
		.key_bytes = (uint32_t)strlen(key),
		.buf = value,
		.buf_bytes = kind == TARN_CACHE_LOOKUP ? sizeof(value) : bytes,
		.ttl_s = ttl_s,
		.cb = op_done,
	};
	tarn_cache_submit(&ops, 1, kind);
	turn_until_done();
	return status;
}

static void
block_done(struct tarn_cache_block_req *req)
{
	cache_done(NULL, req->status);
}

static int
block(enum tarn_cache_block_kind kind, uint8_t flags, uint64_t first, uint16_t count)
{
	static struct tarn_cache_block_req req;
	struct iovec iov = { block_buf, (size_t)count * TARN_CACHE_BLOCK_BYTES };

	req = (struct tarn_cache_block_req){
		.cache = cache,
		.kind = (uint8_t)kind,
		.flags = flags,
		.block_count = count,
		.volume_id = 1,
		.first_block = first,
		.iov = &iov,
		.iov_count = 1,
		.token = req.token,
		.cb = block_done,
	};
	tarn_cache_block_submit(&req);
	turn_until_done();
	return status;
}

static void
stop(void)
{
	tarn_cache_stop(cache, cache_done, NULL);
	turn_until_done();
	cache = NULL;
}

/* --- The images, and where in them something is --- */

enum place_kind {
	PLACE_SUPER,
	PLACE_CHECKPOINT,
	PLACE_CHUNK,
	PLACE_SEGMENT,
	PLACE_BATCH,
	PLACE_FOOTER
};

struct place {
	enum place_kind kind;
	uint64_t offset_bytes;
	uint64_t segment_bytes; /* offset of the segment that it is in */
};

static struct image {
	uint8_t *data;
	struct place place[PLACE_MAX];
	uint32_t place_count;
} images[2]; /* of a crash, of a clean stop */

static void
place_add(struct image *image, enum place_kind kind, uint64_t offset_bytes, uint64_t segment_bytes)
{
	if (image->place_count < PLACE_MAX)
		image->place[image->place_count++] =
		    (struct place){ kind, offset_bytes, segment_bytes };
}

static void
find_in_segment(struct image *image, uint64_t at, uint32_t blocks)
{
	const struct disk_segment *segment = (const void *)(image->data + at);
	const uint64_t last = at + (uint64_t)(blocks - 1) * DISK_BLOCK;

	if (segment->head.magic != DISK_SEGMENT_MAGIC)
		return;
	place_add(image, PLACE_SEGMENT, at, at);
	for (uint32_t i = 1; i < blocks;) {
		const struct disk_batch *batch =
		    (const void *)(image->data + at + (uint64_t)i * DISK_BLOCK);

		if (batch->head.magic != DISK_BATCH_MAGIC || batch->block_count == 0)
			break;
		place_add(image, PLACE_BATCH, at + (uint64_t)i * DISK_BLOCK, at);
		i += batch->block_count;
	}
	if (((const struct disk_head *)(const void *)(image->data + last))->magic ==
	    DISK_FOOTER_MAGIC)
		place_add(image, PLACE_FOOTER, last, at);
}

static void
take_image(struct image *image)
{
	const struct disk_super *super;

	image->data = malloc(DEVICE_BYTES);
	memcpy(image->data, disk.data, DEVICE_BYTES);
	super = (const void *)image->data;
	place_add(image, PLACE_SUPER, 0, 0);
	place_add(image, PLACE_SUPER, DISK_BLOCK, 0);
	for (uint32_t area = 0; area < 2; area++) {
		place_add(image, PLACE_CHECKPOINT, super->checkpoint_offset[area], 0);
		for (uint32_t i = 0; i < geometry_shard_chunks(super) * super->shard_count; i++)
			place_add(image, PLACE_CHUNK,
				  super->checkpoint_offset[area] + DISK_BLOCK +
				      (uint64_t)i * DISK_CHUNK_BYTES,
				  0);
	}
	for (uint32_t i = 0; i < super->segment_count * super->shard_count; i++)
		find_in_segment(image, super->data_offset + (uint64_t)i * super->segment_bytes,
				super->segment_bytes / DISK_BLOCK);
}

static void
fill(uint32_t from)
{
	int64_t ttl_s = 1000;

	for (uint32_t i = from; i < from + OBJECT_COUNT; i++)
		tarn_assert(object(TARN_CACHE_STORE, i, i % 10 == 0 ? 50000 : i * 37 % 5000,
				   i % 4 == 0 ? ttl_s : 0) == 0);
	for (uint32_t i = from; i < from + OBJECT_COUNT; i += 7)
		tarn_assert(object(TARN_CACHE_REMOVE, i, 0, 0) == 0);
	tarn_assert(block(TARN_CACHE_BLOCK_STORE, 0, from, 8) == 0);
	tarn_assert(block(TARN_CACHE_BLOCK_STORE, TARN_CACHE_BLOCK_DIRTY, from + 8, 8) == 0);
	tarn_assert(block(TARN_CACHE_BLOCK_PROBE, 0, from + 8, 2) == 0);
	tarn_assert(block(TARN_CACHE_BLOCK_CLEAN, 0, from + 8, 2) == 0);
	tarn_assert(block(TARN_CACHE_BLOCK_FORGET, 0, from, 2) == 0);
	tarn_cache_purge(cache, "1/", 2, cache_done, NULL);
	turn_until_done();
	tarn_cache_flush(cache, cache_done, NULL);
	turn_until_done();
}

static void
make_images(void)
{
	struct tarn_cache_volume volume = { .uuid = "a volume", .generation = 1 };

	tarn_assert(start() == 0);
	tarn_cache_volume_set(cache, &volume, cache_done, NULL);
	turn_until_done();
	fill(0);
	tarn_cache_checkpoint(cache, cache_done, NULL);
	turn_until_done();
	fill(120);
	tarn_assert(object(TARN_CACHE_STORE, 1000, 3000, 0) == 0);
	take_image(&images[0]);
	stop();
	take_image(&images[1]);
}

/* --- Changing one --- */

static uint32_t
crc_of(const uint8_t *at, uint32_t seed)
{
	static const uint32_t zero;
	uint32_t crc = tarn_crc32c(seed, at, offsetof(struct disk_head, crc32c));

	crc = tarn_crc32c(crc, &zero, sizeof(zero));
	return tarn_crc32c(crc, at + sizeof(struct disk_head),
			   DISK_BLOCK - sizeof(struct disk_head));
}

static void
make_good(const struct place *place)
{
	const struct disk_super *super = (const void *)disk.data;
	uint32_t seed = place->kind == PLACE_SUPER ? 0 : format_cache_seed(super->uuid);
	uint8_t *at = disk.data + place->offset_bytes;
	struct disk_chunk *chunk = (void *)at;

	if (place->kind == PLACE_BATCH || place->kind == PLACE_FOOTER) {
		const struct disk_segment *segment =
		    (const void *)(disk.data + place->segment_bytes);
		uint64_t block = (place->offset_bytes - place->segment_bytes) / DISK_BLOCK;

		seed = format_seed(format_segment_seed(seed, segment->epoch),
				   (uint32_t)block * DISK_BLOCK_UNITS);
	} else if (place->kind != PLACE_SUPER) {
		seed = format_offset_seed(seed, place->offset_bytes);
	}
	if (place->kind == PLACE_CHUNK && chunk->length_bytes <= DISK_CHUNK_DATA)
		chunk->data_crc32c = tarn_crc32c(seed, at + DISK_BLOCK, chunk->length_bytes);
	((struct disk_head *)(void *)at)->crc32c = crc_of(at, seed);
}

static size_t
change(const struct image *image, const uint8_t *data, size_t size, bool *changed)
{
	uint32_t which, offset, length;
	uint64_t at;

	if (size < 6)
		return size;
	which = (data[0] | (uint32_t)data[1] << 8) % image->place_count;
	offset = data[2] | (uint32_t)data[3] << 8;
	/* Mostly a field of a header, or of its first entries. */
	offset = (data[4] & 0xc0) != 0xc0 ? offset % 512 & ~UINT32_C(3) : offset % (8 * DISK_BLOCK);
	length = (uint32_t)tarn_min_u64(data[5] % 17, size - 6);
	at = image->place[which].offset_bytes + offset;
	if (at + length > DEVICE_BYTES)
		return 6 + length;
	memcpy(disk.data + at, data + 6, length);
	touch(at, length);
	touch(image->place[which].offset_bytes, DISK_BLOCK);
	changed[which] = true;
	return 6 + length;
}

static void
lay_out(const struct image *image, const uint8_t *data, size_t size, bool raw)
{
	static const struct image *last;
	bool changed[PLACE_MAX] = { false };

	for (uint32_t i = 0; i < PIECE_COUNT; i++) {
		if (image != last || disk.touched[i])
			memcpy(disk.data + (size_t)i * PIECE_BYTES,
			       image->data + (size_t)i * PIECE_BYTES, PIECE_BYTES);
		disk.touched[i] = false;
	}
	last = image;
	while (size > 0) {
		size_t used = change(image, data, size, changed);

		data += used;
		size -= used;
	}
	for (uint32_t i = 0; i < image->place_count && !raw; i++) {
		if (changed[i])
			make_good(&image->place[i]);
	}
}

/* --- What is done with it --- */

static void
check(void)
{
	static struct ck ck;
	struct ck_opts opts = { .shard = CK_ANY, .segment = CK_ANY, .quiet = true };
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", disk.fd);
	opts.path = path;
	memset(&ck, 0, sizeof(ck));
	(void)ck_check(&ck, &opts);
	tarn_assert(ck.status != CK_OPERATIONAL || ck.reason.text[0] != '\0');
	ck_fini(&ck);
}

static void
listed(void *arg, int done_status, const struct tarn_cache_key_info *infos, uint32_t count,
       uint64_t cursor)
{
	(void)infos;
	(void)count;
	*(uint64_t *)arg = cursor;
	cache_done(NULL, done_status);
}

static void
use(void)
{
	uint64_t cursor = 0;
	uint32_t calls = 0;

	if (start() != 0)
		return;
	for (uint32_t i = 0; i < 2 * OBJECT_COUNT; i += 11)
		(void)object(TARN_CACHE_LOOKUP, i, 0, 0);
	(void)block(TARN_CACHE_BLOCK_LOOKUP, 0, 0, 16);
	(void)block(TARN_CACHE_BLOCK_LOOKUP, 0, 120, 16);
	do {
		tarn_cache_list_keys(cache, cursor, 100, listed, &cursor);
		turn_until_done();
	} while (cursor != 0 && status == 0 && ++calls < 1000);
	if (object(TARN_CACHE_STORE, 5000, 3000, 0) == 0)
		tarn_assert(object(TARN_CACHE_LOOKUP, 5000, 0, 0) == 0);
	(void)block(TARN_CACHE_BLOCK_STORE, TARN_CACHE_BLOCK_DIRTY, 4, 1);
	tarn_cache_flush(cache, cache_done, NULL);
	turn_until_done();
	stop();
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct tarn_reactor_opts reactors = { .unpinned = true };
	struct tarn_bdev_common_opts opts = { 0 };
	struct tarn_bdev *bdev;

	(void)argc;
	(void)argv;
	disk.fd = memfd_create("image", MFD_CLOEXEC);
	tarn_assert(disk.fd >= 0 && ftruncate(disk.fd, DEVICE_BYTES) == 0);
	disk.data = mmap(NULL, DEVICE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, disk.fd, 0);
	tarn_assert(disk.data != MAP_FAILED);
	tarn_assert(tarn_env_init(NULL) == 0);
	tarn_fake_clock_start(1000000000);
	tarn_assert(tarn_reactors_init(&reactors) == 0);
	tarn_reactor_turn(tarn_reactor_get(0));
	block_buf = tarn_iobuf_get(256 << 10);
	tarn_assert(tarn_bdev_create("memory", "disk", &opts, &bdev, NULL) == 0);
	make_images();
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t what;

	if (size == 0)
		return 0;
	what = data[0];
	lay_out(&images[(what & DO_CLEAN) != 0], data + 1, size - 1, (what & DO_RAW) != 0);
	if ((what & DO_CHECK) != 0)
		check();
	else
		use();
	return 0;
}
