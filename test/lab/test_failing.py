# SPDX-License-Identifier: BSD-3-Clause
"""Contract C3: errors of the medium, vanished and reset devices are errors of that I/O on every driver;
the daemon and its other bdevs go on, and it says what happened."""
import devices
import machine
import pytest
from drivers import every_driver, every_nvme_driver
from tarnd import Daemon, until

BAD_WRITE, BAD_READ = 512, 1024  # sectors of 512 bytes
BLOCKS = 200  # of a load, which meets them
NTH_WRITE = 10
MEDIUM_ERRORS = {"EIO", "ENODATA", "EBADE", "ENOSPC", "EREMOTEIO", "EILSEQ"}  # what the kernel makes of media's
DRIVES = [
    machine.Nvme("medium", errors=[machine.medium_error("write", BAD_WRITE), machine.medium_error("read", BAD_READ)]),
    machine.Nvme("nth", errors=[machine.nth_write_error(*range(NTH_WRITE, 20 * NTH_WRITE, NTH_WRITE))]),
    machine.Nvme("flush", errors=[machine.medium_error("flush")]),
    machine.Nvme("good"),
    machine.Nvme("plug", hotplug=True),
]


@pytest.fixture(scope="module")
def guest(boot):
    # Otherwise the kernel repeats what failed, and a single error is never seen.
    return boot(DRIVES, arguments="nvme_core.max_retries=0")


@pytest.fixture(scope="module")
def daemon(guest):
    daemon = Daemon(guest)
    yield daemon
    daemon.stop()


@pytest.fixture
def disk(guest, daemon):
    """disk(serial, driver, ...) makes the bdev "disk" of an NVMe drive."""
    def make(serial, driver, **params):
        daemon.call(f"bdev_{driver}_create", name="disk", filename=devices.nvme(guest, serial), **params)

    yield make
    for name in daemon.names():
        (driver,) = daemon.bdev(name)["driver_specific"]
        daemon.call(f"bdev_{driver}_delete", name=name)


@pytest.fixture
def other_load(guest, daemon):
    """Load on another bdev, by another driver, which must not notice anything."""
    daemon.call("bdev_aio_create", name="other", filename=devices.nvme(guest, "good"))
    daemon.call("lab_load_create", name="other", blocks=1000)
    daemon.call("lab_load_start", name="other", bdev_name="other", depth=2, flush_every=50)
    yield
    stats = daemon.call("lab_load_stop", name="other")
    daemon.call("lab_load_delete", name="other")
    daemon.call("bdev_aio_delete", name="other")
    assert sum(stats["errors"].values()) == stats["wrong"] == 0 and stats["ok"]["write"] > 0, stats


@every_nvme_driver
def test_a_medium_error_is_an_error_of_that_io_only(daemon, disk, other_load, driver, params):
    disk("medium", driver, **params)
    for op, sector in (("write", BAD_WRITE), ("read", BAD_READ)):
        for offset, good in ((sector * 512, False), (sector * 512 + 4096, True), (sector * 512 - 4096, True)):
            said = daemon.io("disk", op, offset_bytes=offset)
            assert (said["status"] == 0) == good, (op, offset, said)
            assert good or said["error"] in MEDIUM_ERRORS, said
    # A large I/O over the place fails as a whole; what lies beside it is still written.
    start = BAD_WRITE * 512 - (64 << 10)
    assert daemon.io("disk", "write", offset_bytes=start, length_bytes=128 << 10)["status"] != 0
    assert daemon.io("disk", "write", offset_bytes=start - (128 << 10), length_bytes=128 << 10, fill=5)["status"] == 0
    assert daemon.io("disk", "read", offset_bytes=start - (128 << 10), length_bytes=128 << 10, fill=5)["filled"] is True


@every_nvme_driver
def test_medium_errors_under_load_are_counted_where_they_belong(daemon, disk, other_load, driver, params):
    disk("medium", driver, **params)
    daemon.call("lab_load_create", name="load", blocks=BLOCKS)
    daemon.call("lab_load_start", name="load", bdev_name="disk", io_count=4000, depth=16)
    until(lambda: not daemon.call("lab_load_get", name="load")["running"], "the load's end")
    stats = daemon.call("lab_load_stop", name="load")
    daemon.call("lab_load_delete", name="load")
    assert stats["wrong"] == 0 and stats["ok"]["read"] > 1500 and stats["ok"]["write"] > 1500, stats
    # One block of 200 each; another one only where the kernel merged requests.
    assert 0 < stats["errors"]["write"] < 200 and 0 < stats["errors"]["read"] < 200, stats
    assert set(stats["by_errno"]) <= MEDIUM_ERRORS, stats
    (counted,) = daemon.call("bdev_get_iostat", name="disk")["bdevs"]
    assert counted["num_read_errors"] == stats["errors"]["read"], counted
    assert counted["num_write_errors"] == stats["errors"]["write"], counted


@every_nvme_driver
def test_one_write_of_many_fails_and_it_is_that_one_only(daemon, disk, driver, params):
    disk("nth", driver, **params)
    said = daemon.calls(*(("lab_io", {"bdev_name": "disk", "op": "write", "offset_bytes": number * 4096})
                          for number in range(NTH_WRITE)))
    (failed,) = [one for one in said if one["status"] != 0]
    assert failed["error"] in MEDIUM_ERRORS, said


@every_nvme_driver
def test_a_flush_that_fails_is_an_error(daemon, disk, driver, params):
    disk("flush", driver, **params)
    assert daemon.io("disk", "write", fill=1)["status"] == 0
    assert daemon.io("disk", "flush")["error"] in MEDIUM_ERRORS
    assert daemon.io("disk", "read", fill=1)["filled"] is True


@pytest.mark.tier("lab")
@every_driver
def test_mapped_errors_fail_what_they_cover_and_end(guest, daemon, other_load, driver, params):
    """dm-flakey that fails writes, and dm-delay, over NVMe."""
    below = devices.nvme(guest, "plug")
    good = f"0 {devices.SECTORS} linear {below} 0"
    mapped = devices.Mapped(guest, "mapped", good)
    daemon.call(f"bdev_{driver}_create", name="disk", filename=mapped.path, **params)
    try:
        assert daemon.io("disk", "write", fill=1)["status"] == 0
        mapped.reload(f"0 {devices.SECTORS} flakey {below} 0 0 600 1 error_writes")
        assert daemon.io("disk", "write", fill=2)["error"] == "EIO"
        assert daemon.io("disk", "read", fill=1)["filled"] is True
        mapped.reload(f"0 {devices.SECTORS} delay {below} 0 30")
        assert daemon.io("disk", "write", fill=3)["status"] == 0
        mapped.reload(good)
        assert daemon.io("disk", "read", fill=3)["filled"] is True
        assert "disk" in daemon.names()
    finally:
        daemon.call(f"bdev_{driver}_delete", name="disk")
        mapped.remove()


@pytest.fixture
def load(daemon):
    """The record of a load named "load"."""
    daemon.call("lab_load_create", name="load", blocks=1000)
    yield
    daemon.call("lab_load_stop", name="load")
    daemon.call("lab_load_delete", name="load")


def gone_events(daemon):
    return daemon.events("bdev_gone").count("disk")


# Writes behind the end of a drive, which has size 0 when it is gone, are told ENOSPC.
@pytest.mark.parametrize("mix", [pytest.param({"flush_every": 100}, id="mixed"),
                                 pytest.param({"read_percent": 0}, id="writes", marks=pytest.mark.tier("lab"))])
@every_nvme_driver
def test_a_drive_unplugged_under_load_is_gone_and_comes_back(guest, daemon, disk, other_load, load, mix, driver,
                                                             params):
    drive = DRIVES[-1]
    disk("plug", driver, **params)
    before = gone_events(daemon)
    daemon.call("lab_load_start", name="load", bdev_name="disk", depth=8, **mix)
    until(lambda: daemon.call("lab_load_get", name="load")["ok"]["write"] > 50, "some load")
    guest.unplug(drive)
    try:
        until(lambda: "disk" not in daemon.names(), "the removal of the bdev")
        stats = daemon.call("lab_load_stop", name="load")
        assert stats["removed"] is True and stats["wrong"] == 0, stats
        assert gone_events(daemon) == before + 1
        assert "bdev disk: the device is gone" in daemon.log()
        until(lambda: devices.controller(guest, "plug") is None, "the drive's end")
    finally:
        guest.plug(drive)
    path = until(lambda: devices.controller(guest, "plug") and devices.nvme(guest, "plug"), "the drive's return")
    until(lambda: guest.run(f"test -b {path} && echo yes", check=False), "its block device")
    disk("plug", driver, **params)
    # What QEMU's drive holds survives being unplugged, flushed or not.
    found = daemon.call("lab_load_check", name="load", bdev_name="disk")
    assert found["lost"] == found["wrong"] == found["errors"] == 0, found


@pytest.mark.tier("lab")
@every_driver
def test_an_idle_drive_that_is_unplugged_is_gone(guest, daemon, disk, driver, params):
    drive = DRIVES[-1]
    disk("plug", driver, **params)
    before = gone_events(daemon)
    guest.unplug(drive)
    try:
        until(lambda: "disk" not in daemon.names(), "the removal of the bdev")
        assert gone_events(daemon) == before + 1
        until(lambda: devices.controller(guest, "plug") is None, "the drive's end")
    finally:
        guest.plug(drive)
    path = until(lambda: devices.controller(guest, "plug") and devices.nvme(guest, "plug"), "the drive's return")
    until(lambda: guest.run(f"test -b {path} && echo yes", check=False), "its block device")


@pytest.fixture
def retries(guest):
    """What a reset cancels is sent again, as far as retries are allowed."""
    guest.run("echo 5 >/sys/module/nvme_core/parameters/max_retries")
    yield
    guest.run("echo 0 >/sys/module/nvme_core/parameters/max_retries")


@every_nvme_driver
def test_a_controller_reset_under_load_loses_nothing(guest, daemon, disk, other_load, load, retries, driver, params):
    disk("plug", driver, **params)
    name = devices.controller(guest, "plug")
    daemon.call("lab_load_start", name="load", bdev_name="disk", depth=8, flush_every=100)
    for _ in range(3):
        before = daemon.call("lab_load_get", name="load")["ok"]["write"]
        guest.run(f"echo 1 >/sys/class/nvme/{name}/reset_controller")
        until(lambda: daemon.call("lab_load_get", name="load")["ok"]["write"] > before + 20, "load after the reset")
    stats = daemon.call("lab_load_stop", name="load")
    assert stats["wrong"] == 0 and stats["removed"] is False, stats
    assert sum(stats["errors"].values()) == 0, stats
    found = daemon.call("lab_load_check", name="load", bdev_name="disk")
    assert found["lost"] == found["wrong"] == found["errors"] == 0, found
