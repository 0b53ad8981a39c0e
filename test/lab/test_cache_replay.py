# SPDX-License-Identifier: BSD-3-Clause
"""Contracts C2, C7 and C8: a cache on NVMe whose writes are logged, and power that fails at any point of the log:
all that was written before is there, or of what was not flushed any part, torn at sectors. Each image is judged by
tarnck, recovered, compared with the client's record as it was then, used, and killed."""
import os
import random
import re
import struct

import devices
import machine
import pytest
from hosted import NOT_STOPPED, Hosted, check_image
from tarnd import until
from writelog import WriteLog

MIB = 1 << 20
MARKS_AT, CACHE_AT = MIB, 2 * MIB  # partitions of the drives
MARK_MAGIC = b"lbrecrd\0"
HEAD_BYTES = 64
ITEM = struct.Struct("<6I")  # asked, acked, flushed, fenced, settled, top
# One has room for all that is stored; the other one's log goes round several times.
DRIVES = {"roomy": machine.Nvme("roomy", size=66 * MIB, logged=True),
          "tight": machine.Nvme("tight", size=16 * MIB, logged=True, block_size=4096)}
EVICTS = {"roomy": False, "tight": True}
SHARDS = {"roomy": 2, "tight": 1}
REQUESTS = 2500


@pytest.fixture(scope="module")
def guest(boot):
    guest = boot(list(DRIVES.values()))
    for serial, drive in DRIVES.items():
        path = devices.nvme(guest, serial)
        for number, start, end in ((1, MARKS_AT, CACHE_AT), (2, CACHE_AT, drive.size)):
            guest.run(f"addpart {path} {number} {start // 512} {(end - start) // 512}")
    return guest


class Replay:
    """A log, and the record at each of its points."""

    def __init__(self, drive, evict, record):
        self.evict = evict
        self.log = WriteLog(drive.log_path(), CACHE_AT, drive.size)
        self.marks = [(index, content) for index, content in self.log.others(MARKS_AT, CACHE_AT)
                      if content.startswith(MARK_MAGIC)]
        self.marks.append((len(self.log.entries), record))  # as it was in the end

    def record_at(self, point):
        """What had been acknowledged and flushed by the last mark before; what had been asked for by the second one
        after: the first may have been under way."""
        before = max(number for number, (index, _) in enumerate(self.marks) if index < point)
        content = bytearray(self.marks[before][1])
        after = self.marks[min(before + 2, len(self.marks) - 1)][1]
        for place in range(HEAD_BYTES, len(content) - ITEM.size, ITEM.size):
            content[place:place + 4] = after[place:place + 4]
        return content


@pytest.fixture(scope="module")
def replays(guest):
    return {}


@pytest.fixture
def replay(request, guest, start, replays, seed):
    """The log of a load on a drive, made once."""
    name = request.param
    if name in replays:
        return replays[name]
    daemon = start(guest)
    path = devices.nvme(guest, name)
    daemon.call("bdev_uring_create", name="marks", filename=f"{path}p1")
    daemon.call("bdev_uring_create", name="disk", filename=f"{path}p2", iopoll="auto")
    daemon.call("cache_create", name="c0", bdev_name="disk", shard_count=SHARDS[name], segment_bytes=128 << 10)
    daemon.call("lab_cache_create", name="load", record=f"/dev/shm/{name}", seed=seed)
    for number in range(2):
        daemon.call("lab_cache_start", name="load", cache_name="c0", mark_bdev_name="marks", io_count=REQUESTS,
                    depth=16, flush_every=60, durable_percent=2, evict=EVICTS[name])
        if number == 1:
            daemon.call("cache_checkpoint", name="c0")
        until(lambda: not daemon.call("lab_cache_get", name="load")["running"], "the load's end")
        stats = daemon.call("lab_cache_get", name="load")
        assert stats["lost"] == stats["wrong"] == sum(stats["errors"].values()) == 0 and stats["ok"]["mark"] > 20, stats
    daemon.stop()
    guest.run(f"cp /dev/shm/{name} /lab/{name}.record")
    with open(guest.path(f"out/{name}.record"), "rb") as file:
        replays[name] = Replay(DRIVES[name], EVICTS[name], file.read())
    return replays[name]


def check_point(replay, folder, image, durable, record, seed):
    """A start on this image finds what it must; the next one the same; and one after more load that, too."""
    path, record_path = os.path.join(folder, "image"), os.path.join(folder, "record")
    with open(path, "wb") as file:
        file.write(image)
    with open(record_path, "wb") as file:
        file.write(record)
    status, report = check_image(path)
    assert status <= NOT_STOPPED, "tarnck: " + "; ".join(re.findall(r"^damage +(.*)", report, re.M)[:3])
    rules = {"evict": replay.evict, "durable": durable}
    for turn in range(3):
        daemon = Hosted(folder, path, record_path, seed)
        try:
            found = daemon.check(settle=turn == 0, **rules)
            assert found["lost"] == found["old"] == found["wrong"] == found["errors"] == 0, (turn, found)
            if turn == 1:
                stats = daemon.load(io_count=300, flush_every=50, evict=replay.evict)
                assert stats["lost"] == stats["wrong"] == sum(stats["errors"].values()) == 0, stats
        finally:
            daemon.kill()
        rules["durable"] = False  # from now on only processes die
    return found["hits"]


def check_points(replay, count, folder, seed):
    chance = random.Random(seed)
    points = replay.log.points(count, replay.marks[0][0], chance)
    hits = 0
    for point, torn, image in replay.log.images(points, chance):
        try:
            hits += check_point(replay, folder, image, torn, replay.record_at(point), seed)
        except Exception as error:
            raise AssertionError(f"at {point} of {len(replay.log.entries)}, "
                                 f"{'torn' if torn else 'all written'}: {error}") from error
    assert hits > 20 * count  # there was something to lose


every_drive = pytest.mark.parametrize("replay", list(DRIVES), indirect=True)


@every_drive
def test_power_lost_at_any_point_of_the_log_costs_nothing_that_was_flushed(replay, tmp_path, seed):
    check_points(replay, 5, str(tmp_path), seed)


@pytest.mark.tier("long")
@every_drive
@pytest.mark.parametrize("turn", range(6))
def test_power_lost_at_many_points(replay, tmp_path, seed, turn):
    check_points(replay, 20, str(tmp_path), seed + turn)
