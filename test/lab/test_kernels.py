# SPDX-License-Identifier: BSD-3-Clause
"""Contract C4 on Debian 12's own kernel, whose io_uring lacks what came later, and fallback where
io_uring is switched off; each decision stands in bdev_get_bdevs."""
import devices
import machine
import pytest
from test_drivers import FEW_MODES, NVME_MODES, PLAIN_MODES, POLLED_MODES, run_list

FIRST = FEW_MODES + ["uring_iopoll"]


@pytest.fixture(scope="module")
def old(boot):
    return boot([machine.Nvme("lab0")], kernel="6.1")


@pytest.fixture(scope="module")
def new(boot):
    return boot([machine.Nvme("lab0")])


@pytest.mark.parametrize("mode", [pytest.param(mode, marks=() if mode in FIRST else pytest.mark.tier("lab"))
                                  for mode in PLAIN_MODES + POLLED_MODES + NVME_MODES])
def test_the_lists_pass_on_linux_6_1(old, mode):
    assert old.release.startswith("6.1.")
    run_list(old, mode, devices.nvme(old, "lab0"))


def test_linux_6_1_says_what_it_has(old, start):
    daemon = start(old)
    daemon.call("bdev_uring_create", name="disk", filename=devices.nvme(old, "lab0"), iopoll="auto")
    facts = daemon.facts("disk")
    assert facts["mode"] == "iopoll", facts
    assert set(facts["ring_flags"].values()) == {"on"}, facts  # 6.1 has the last of them


@pytest.fixture
def disabled(new):
    """io_uring_disabled at a value; back at 0 afterwards."""
    def set_to(value):
        new.run(f"echo {value} >/proc/sys/kernel/io_uring_disabled")

    yield set_to
    set_to(0)


def test_io_uring_switched_off_is_refused_with_the_sysctl_named(new, start, disabled):
    daemon = start(new)
    disabled(2)
    said = daemon.refused("bdev_uring_create", name="disk", filename=devices.nvme(new, "lab0"))
    assert "kernel.io_uring_disabled=2" in said and "fallback" in said, said


def test_fallback_takes_aio_where_io_uring_is_switched_off(new, start, disabled):
    daemon = start(new)
    path = devices.nvme(new, "lab0")
    disabled(2)
    daemon.call("bdev_uring_create", name="disk", filename=path, fallback=True, iopoll="auto")
    bdev = daemon.bdev("disk")
    assert list(bdev["driver_specific"]) == ["aio"], bdev
    facts = daemon.facts("disk")
    assert facts["requested_driver"] == "uring" and "io_uring_disabled=2" in facts["fallback_reason"], facts
    assert daemon.io("disk", "write", fill=9)["status"] == 0 and daemon.io("disk", "read", fill=9)["filled"] is True
    probed = daemon.call("bdev_probe", filename=path, duration_ms=50)
    works = {result["driver"]: result["works"] for result in probed["results"]}
    assert works["uring"] is False and works["aio"] is True and works["sync"] is True, probed
    # On again: what is created from then on is uring's. A bdev goes the way it came.
    disabled(0)
    daemon.call("bdev_uring_delete", name="disk")
    daemon.call("bdev_uring_create", name="disk", filename=path, fallback=True)
    assert list(daemon.bdev("disk")["driver_specific"]) == ["uring"]


def test_io_uring_for_root_only_works_for_root(new, start, disabled):
    """io_uring_disabled=1 forbids it to processes without CAP_SYS_ADMIN that are not in the group."""
    daemon = start(new)
    disabled(1)
    daemon.call("bdev_uring_create", name="disk", filename=devices.nvme(new, "lab0"))
    assert list(daemon.bdev("disk")["driver_specific"]) == ["uring"]
