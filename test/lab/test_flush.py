# SPDX-License-Identifier: BSD-3-Clause
"""Contract C2: what was flushed, or written with FUA, is there after the power went, on every driver.
The device is null_blk with a volatile write cache, which loses it when its power goes off."""
import devices
import pytest
from drivers import every_driver
from tarnd import Daemon, until

CACHE_MIB = 16
BLOCKS = 3000  # 12 MiB: all of them fit into the cache, so that nothing unflushed is saved by chance
WRITES_MIN = 500  # before the power goes


@pytest.fixture(scope="module")
def guest(boot):
    return boot()


@pytest.fixture(scope="module")
def daemon(guest):
    daemon = Daemon(guest)
    yield daemon
    daemon.stop()


@pytest.fixture
def device(guest):
    device = devices.NullBlk(guest, poll_queues=1, cache_mib=CACHE_MIB)
    yield device
    device.remove()


@pytest.fixture
def record(daemon, seed):
    """Of the load "load"."""
    daemon.call("lab_load_create", name="load", blocks=BLOCKS, seed=seed)
    yield
    daemon.call("lab_load_stop", name="load")
    daemon.call("lab_load_delete", name="load")


def run_until_power_fails(daemon, device, bdev, seed, **load):
    """Load on the bdev, and the power goes while it runs. What the load counted."""
    daemon.call("lab_load_start", name="load", bdev_name=bdev, depth=16, read_percent=20, **load)
    writes = WRITES_MIN + seed % BLOCKS  # soon enough for some blocks to be flushed for the first time
    until(lambda: daemon.call("lab_load_get", name="load")["ok"]["write"] > writes, f"{writes} writes")
    device.power(0)
    stats = daemon.call("lab_load_stop", name="load")
    assert stats["wrong"] == 0, stats
    device.power(1)
    return stats


def check(daemon, device, driver, params):
    """What a new bdev on the device holds, against the load's record."""
    until(lambda: "disk" not in daemon.names(), "the removal of a bdev whose device is gone")
    daemon.call(f"bdev_{driver}_create", name="disk", filename=device.path, **params)
    found = daemon.call("lab_load_check", name="load", bdev_name="disk")
    daemon.call(f"bdev_{driver}_delete", name="disk")
    assert found["wrong"] == found["errors"] == 0 and found["checked"] > 10, found
    return found


every_load = pytest.mark.parametrize("load", [{"flush_every": 25}, {"fua_percent": 10}], ids=["flush", "fua"])


@every_driver
@every_load
def test_what_was_flushed_survives_power_loss(daemon, device, seed, record, driver, params, load):
    daemon.call(f"bdev_{driver}_create", name="disk", filename=device.path, **params)
    before = daemon.events("bdev_gone").count("disk")
    run_until_power_fails(daemon, device, "disk", seed, **load)
    assert check(daemon, device, driver, params)["lost"] == 0
    assert daemon.events("bdev_gone").count("disk") == before + 1


@pytest.mark.tier("long")
@every_driver
@every_load
@pytest.mark.parametrize("turn", range(10))
def test_power_lost_again_and_again(daemon, device, seed, record, driver, params, load, turn):
    test_what_was_flushed_survives_power_loss(daemon, device, seed, record, driver, params, load)


def test_a_flush_that_does_nothing_is_caught(daemon, device, seed, record):
    """The same on a bdev whose flush only says that it succeeded: the test above can fail."""
    daemon.call("bdev_uring_create", name="disk", filename=device.path)
    daemon.call("bdev_error_create", name="liar", base_name="disk")
    daemon.call("bdev_error_inject_error", name="liar", io_type="flush", error_type="drop", num=1 << 32)
    stats = run_until_power_fails(daemon, device, "liar", seed, flush_every=25)
    assert stats["ok"]["flush"] > 10, stats
    assert check(daemon, device, "uring", {})["lost"] > 0


def test_the_device_loses_what_it_was_not_told_to_keep(daemon, device):
    """Each on blocks of its own: null_blk keeps at once what is written over a block that was flushed."""
    daemon.call("bdev_uring_create", name="disk", filename=device.path)
    for offset, fill, fua in ((0, 1, False), (1 << 20, 2, True)):
        assert daemon.io("disk", "write", offset_bytes=offset, fill=fill, fua=fua)["status"] == 0
        assert daemon.io("disk", "flush" if not fua else "read")["status"] == 0
    assert daemon.io("disk", "write", offset_bytes=2 << 20, fill=3)["status"] == 0
    daemon.call("bdev_uring_delete", name="disk")
    device.power(0)
    device.power(1)
    daemon.call("bdev_uring_create", name="disk", filename=device.path)
    kept = [daemon.io("disk", "read", offset_bytes=fill - 1 << 20, fill=fill)["filled"] for fill in (1, 2, 3)]
    daemon.call("bdev_uring_delete", name="disk")
    assert kept == [True, True, False]
