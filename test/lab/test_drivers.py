# SPDX-License-Identifier: BSD-3-Clause
"""Contract C4: the lists of tests of test/unit/bdev_drivers pass, unchanged, on every driver in every
mode, on the kernel's own block devices."""
import os
import re

import devices
import machine
import pytest
from tarnd import BUILD

PROGRAM = os.path.join(BUILD, "test", "unit", "bdev_drivers.test")
PLAIN_MODES = ["uring", "uring_auto", "uring_sqpoll", "aio", "aio_nowait", "sync", "sync_workers"]
POLLED_MODES = ["uring_iopoll", "uring_sqpoll_iopoll"]
# By passthrough: NVMe namespaces only.
NVME_MODES = ["uring_cmd", "uring_cmd_iopoll", "uring_cmd_auto", "uring_cmd_bare", "uring_cmd_sqpoll",
              "uring_cmd_sqpoll_iopoll"]
# Those that differ most, where time is short.
FEW_MODES = ["uring", "aio", "sync"]


@pytest.fixture(scope="module")
def guest(boot):
    return boot([machine.Nvme("lab512"), machine.Nvme("lab4k", block_size=4096)])


def run_list(guest, mode, path):
    """The tests of a mode on a device; all must pass."""
    output = guest.run(f"""export TARN_TEST_DEVICE={path}
        wanted=$({PROGRAM} -l | grep '/{mode}_device$') && {PROGRAM} $wanted""", limit_s=170)
    passed, failed, skipped = re.search(r"(\d+) passed, (\d+) failed, (\d+) skipped", output).groups()
    assert int(passed) >= 20 and (failed, skipped) == ("0", "0"), output


def polled_cases():
    for drive in ("lab512", "lab4k"):
        for mode in PLAIN_MODES + POLLED_MODES:
            first = drive == "lab512" or mode in FEW_MODES + POLLED_MODES
            yield pytest.param(drive, mode, marks=() if first else pytest.mark.tier("lab"), id=f"{drive}-{mode}")


@pytest.mark.parametrize("drive, mode", polled_cases())
def test_nvme_with_poll_queues(guest, drive, mode):
    run_list(guest, mode, devices.nvme(guest, drive))


@pytest.mark.parametrize("mode", NVME_MODES[:2] + [pytest.param(mode, marks=pytest.mark.tier("lab"))
                                                   for mode in NVME_MODES[2:]])
@pytest.mark.parametrize("drive", ["lab512", "lab4k"])
def test_nvme_passthrough(guest, drive, mode):
    run_list(guest, mode, devices.nvme(guest, drive))


def unpolled_cases():
    for drive in ("lab512", "lab4k"):
        for mode in PLAIN_MODES + ["uring_cmd"]:
            first = drive == "lab512" and mode in FEW_MODES + ["uring_auto", "uring_cmd"]
            yield pytest.param(drive, mode, marks=() if first else pytest.mark.tier("lab"), id=f"{drive}-{mode}")


@pytest.mark.parametrize("drive, mode", unpolled_cases())
def test_nvme_without_poll_queues(guest, drive, mode):
    run_list(guest, mode, devices.nvme(guest, drive, poll_queues=0))


OTHERS = {
    "null_blk": (lambda guest: devices.NullBlk(guest, poll_queues=1), True),
    "dm-linear": (lambda guest: devices.Linear(guest, devices.nvme(guest, "lab512")), True),
    "loop": (devices.Loop, False),
    "zram": (devices.Zram, False),
    "scsi_debug": (devices.ScsiDebug, False),
}


@pytest.fixture(scope="module")
def other(request, guest):
    device = OTHERS[request.param][0](guest)
    yield device.path
    device.remove()


def cases():
    for name, (_, polled) in OTHERS.items():
        for mode in PLAIN_MODES + (POLLED_MODES if polled else []):
            first = mode in FEW_MODES or mode == "uring_iopoll"
            yield pytest.param(name, mode, marks=() if first else pytest.mark.tier("lab"), id=f"{name}-{mode}")


@pytest.mark.parametrize("other, mode", cases(), indirect=["other"])
def test_other_block_devices(guest, other, mode):
    run_list(guest, mode, other)
