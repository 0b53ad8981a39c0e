# SPDX-License-Identifier: BSD-3-Clause
"""A cache on NVMe: medium errors under the log, unplugging under load (C3: errors, never a wrong hit, never a crash;
what was promised is there), and kill -9 on polled and passthrough drivers (C7)."""
import devices
import machine
import pytest
from cacheload import CacheLoad
from tarnd import Failed, until

MIB = 1 << 20
# Sectors of 512 bytes under the log: one in each 640 KiB, at changing places of segments and batches.
BAD_SECTORS = [(4 * MIB + number * 640 * 1024) // 512 + number * 17 % 8 for number in range(24)]
BAD_WRITES = BAD_SECTORS[::4]
NTH_WRITES = range(60, 360, 30)
NTH_FLUSHES = range(9, 60, 7)  # formatting needs fewer
DRIVES = {drive.serial: drive for drive in [
    machine.Nvme("reads", size=24 * MIB, errors=[machine.medium_error("read", sector) for sector in BAD_SECTORS]),
    machine.Nvme("writes", errors=[machine.medium_error("write", sector) for sector in BAD_WRITES]),
    machine.Nvme("nth", errors=[machine.nth_write_error(*NTH_WRITES)]),
    machine.Nvme("flush", size=256 * MIB, errors=[machine.nth_flush_error(*NTH_FLUSHES)]),
    machine.Nvme("noflush", errors=[machine.medium_error("flush")]),
    machine.Nvme("good", block_size=4096),
    machine.Nvme("plug", hotplug=True),
]}
LOAD = {"depth": 16, "flush_every": 60, "io_count": 3000}


@pytest.fixture(scope="module")
def guest(boot):
    # Otherwise the kernel repeats what failed, and a single error is never seen.
    return boot(list(DRIVES.values()), arguments="nvme_core.max_retries=0")


@pytest.fixture
def cache(guest, seed):
    """cache(serial, driver, ...) gives a CacheLoad on a drive."""
    def make(serial, driver="uring", **params):
        path = devices.nvme(guest, serial)
        if driver == "uring_cmd":
            path = path.replace("/dev/nvme", "/dev/ng")
        made.append(CacheLoad(guest, seed, driver, path, **params))
        return made[-1]

    made = []
    yield make
    for load in made:
        load.remove_record()


def reopen_after_a_kill(load, start):
    load.daemon.kill()
    load.open(start(load.guest))


def test_sectors_that_cannot_be_read_are_misses_and_never_wrong(cache, guest, start):
    load = cache("reads")
    load.open(start(guest), force=True)
    stats = load.run(**LOAD)
    assert stats["wrong"] == sum(stats["errors"].values()) == 0 and stats["hits"] > 100, stats
    found = load.check_for_wrong()
    counted = load.stats()
    assert 0 < counted["misses"]["unreadable"] <= counted["errors"]["read"], counted
    assert found["hits"] > 400 and found["lost"] + found["errors"] <= 2 * len(BAD_SECTORS), found
    # Recovery, and reclaim once the log goes round, read them as well.
    reopen_after_a_kill(load, start)
    load.check_for_wrong(settle=True)
    stats = load.run(evict=True, **LOAD)
    assert stats["wrong"] == sum(stats["errors"].values()) == 0 and stats["hits"] > 100, stats
    assert load.stats()["reclaim"]["segments_freed"] > 0
    load.close()


@pytest.mark.parametrize("serial", ["writes", "nth"])
def test_what_cannot_be_written_goes_elsewhere(cache, guest, start, serial):
    load = cache(serial)
    load.open(start(guest), force=True)
    load.must_be_good(load.run(**LOAD))
    load.check()
    # A write that lib/bdev made of several is tried again in its parts, so that not all are told.
    assert 0 < load.stats()["errors"]["write"] <= 2 * max(len(BAD_WRITES), len(NTH_WRITES))
    reopen_after_a_kill(load, start)
    load.check()
    load.close()


def test_a_flush_that_failed_is_told_and_what_it_covered_is_written_again(cache, guest, start):
    load = cache("flush")
    load.open(start(guest), force=True)
    load.start(depth=16, flush_every=20)
    until(lambda: load.stats()["log"]["flushes"] > 2 * max(NTH_FLUSHES), "many flushes")
    stats = load.stop()
    # Some that failed were the engine's own, which tell nobody but for stores that wait for them.
    assert 0 < stats["errors"]["flush"] <= len(NTH_FLUSHES) and stats["ok"]["flush"] > 5, stats
    assert stats["by_errno"] == {"EIO": stats["errors"]["flush"]} and stats["lost"] == stats["wrong"] == 0, stats
    counted = load.stats()
    assert counted["errors"]["flush"] > 0 == counted["reclaim"]["dropped"], counted
    reopen_after_a_kill(load, start)
    load.check()
    load.close()


def test_where_no_flush_succeeds_there_is_no_cache(cache, guest, start):
    load = cache("noflush")
    daemon = start(guest)
    with pytest.raises(Failed, match="cache"):
        load.open(daemon, force=True)
    assert daemon.call("cache_get_caches") == []


def test_a_drive_unplugged_under_load_comes_back_with_what_it_promised(cache, guest, start):
    drive = DRIVES["plug"]
    load = cache("plug")
    daemon = start(guest)
    load.open(daemon, force=True)
    load.start(depth=16, flush_every=60)
    until(lambda: load.get()["ok"]["flush"] > 3, "some flushes")
    guest.unplug(drive)
    try:
        until(lambda: "disk" in daemon.events("bdev_gone"), "the news")
        stats = load.stop()
        assert stats["wrong"] == 0 and sum(stats["errors"].values()) > 0, stats
        load.delete()
        assert "Input/output error" in daemon.refused("cache_delete", name="c0", keep=True)
        until(lambda: daemon.names() == [], "the end of the bdev")
        until(lambda: devices.controller(guest, "plug") is None, "the drive's end")
    finally:
        guest.plug(drive)
    until(lambda: devices.controller(guest, "plug"), "the drive's return")
    load.bdev["filename"] = devices.nvme(guest, "plug")
    until(lambda: guest.run(f"test -b {load.bdev['filename']} && echo yes", check=False), "its block device")
    load.open(daemon)
    # QEMU's drive keeps what it wrote; stores that failed may have had their effect, or not.
    found = load.check(failed=True)
    assert found["hits"] > 10, found
    load.close()


@pytest.mark.parametrize("driver, params", [
    ("uring", {"iopoll": "on"}), ("uring_cmd", {"iopoll": "on"}),
    pytest.param("uring_cmd", {}, marks=pytest.mark.tier("lab")),
    pytest.param("uring", {"iopoll": "on", "sqpoll": "on"}, marks=pytest.mark.tier("lab"))], ids=str)
def test_what_was_acknowledged_survives_kill_9_on_polled_and_passed_io(cache, guest, start, driver, params):
    load = cache("good", driver, **params)
    load.open(start(guest), force=True)
    load.start(depth=16, flush_every=100, durable_percent=2)
    until(lambda: load.get()["ok"]["store"] > 300, "some load")
    load.must_be_good(load.get())
    reopen_after_a_kill(load, start)
    info = load.start_info()
    assert info["kind"] == "recovered" and info["damaged_segments"] == 0, info
    assert load.check()["hits"] > 100
    load.close()
