# SPDX-License-Identifier: BSD-3-Clause
"""What IOPOLL does on NVMe, and what it refuses; flush and discard reach the device beside it."""
import devices
import machine
import pytest
from tarnd import until

IO_COUNT = 500


@pytest.fixture(scope="module")
def guest(boot):
    return boot([machine.Nvme("lab0")])


@pytest.fixture
def daemon(guest, start):
    return start(guest)


def interrupts(guest):
    """Of the queues that carry I/O; queue 0 is for administration."""
    lines = guest.run("grep -E 'nvme[0-9]+q[1-9]' /proc/interrupts", check=False).splitlines()
    return sum(int(line.split()[1]) for line in lines)


@pytest.fixture
def interrupts_of(guest, daemon):
    """interrupts_of(driver, ...) counts those of so many reads and writes on a bdev created so."""
    def count(driver, **params):
        daemon.call(f"bdev_{driver}_create", name="disk", filename=devices.nvme(guest, "lab0"), **params)
        before = interrupts(guest)  # opening a device reads a block of it in the ordinary way
        daemon.call("lab_load_start", name="load", bdev_name="disk", io_count=IO_COUNT)
        until(lambda: not daemon.call("lab_load_get", name="load")["running"], "the load's end")
        stats = daemon.call("lab_load_get", name="load")
        assert sum(stats["errors"].values()) == stats["wrong"] == 0, stats
        return interrupts(guest) - before

    daemon.call("lab_load_create", name="load", blocks=1000)
    return count


@pytest.mark.parametrize("params", [{"iopoll": "on"}, {"iopoll": "on", "sqpoll": "on"}, {"iopoll": "auto"}], ids=str)
@pytest.mark.parametrize("driver", ["uring", "uring_cmd"])
def test_polled_io_raises_no_interrupts(interrupts_of, driver, params):
    assert interrupts_of(driver, **params) == 0


@pytest.mark.parametrize("driver, params", [("uring", {}), ("uring", {"sqpoll": "on"}), ("uring_cmd", {}),
                                            ("aio", {}), ("sync", {})])
def test_other_io_raises_interrupts(interrupts_of, driver, params):
    """What makes the test above one that can fail."""
    assert interrupts_of(driver, **params) > IO_COUNT / 20


def test_auto_finds_poll_queues_and_says_so(guest, daemon):
    path = devices.nvme(guest, "lab0")
    daemon.call("bdev_uring_create", name="polled", filename=path, iopoll="auto")
    facts = daemon.facts("polled")
    assert facts["poll_queues"] is True and facts["mode"] == "iopoll" and "iopoll_reason" not in facts, facts


def test_without_poll_queues_on_is_refused_and_auto_says_why(guest, daemon):
    path = devices.nvme(guest, "lab0", poll_queues=0)
    said = daemon.refused("bdev_uring_create", name="polled", filename=path, iopoll="on")
    assert path in said and "no poll queues" in said and "poll_queues=N" in said, said
    daemon.call("bdev_uring_create", name="polled", filename=path, iopoll="auto")
    facts = daemon.facts("polled")
    assert facts["mode"] == "interrupt" and "poll queues" in facts["iopoll_reason"], facts
    assert daemon.io("polled", "read")["status"] == 0


def counters(guest, path):
    """Requests that the device was sent: Documentation/block/stat.rst of Linux."""
    words = guest.run(f"cat /sys/block/{path.split('/')[-1]}/stat").split()
    return {"read": int(words[0]), "write": int(words[4]), "discard": int(words[11]), "flush": int(words[15])}


@pytest.mark.parametrize("sqpoll", ["off", "on"])
def test_flush_discard_and_fua_reach_the_device_under_iopoll(guest, daemon, sqpoll):
    path = devices.nvme(guest, "lab0")
    daemon.call("bdev_uring_create", name="polled", filename=path, iopoll="on", sqpoll=sqpoll)
    for op, counter, params in (("flush", "flush", {}), ("discard", "discard", {"length_bytes": 1 << 20}),
                                ("write", "write", {"fill": 7}), ("write", "write", {"fill": 8, "fua": True})):
        before = counters(guest, path)[counter]
        assert daemon.io("polled", op, **params)["status"] == 0
        assert counters(guest, path)[counter] == before + 1, (op, params)
    assert daemon.io("polled", "read", fill=8)["filled"] is True
