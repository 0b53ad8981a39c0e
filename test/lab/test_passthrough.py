# SPDX-License-Identifier: BSD-3-Clause
"""NVMe passthrough (driver uring_cmd) beside what every driver does in test_failing.py: contract C3 for commands that
are sent again and for formats, and who may have a namespace."""
import errno
import os

import devices
import machine
import pytest
from tarnd import until

MODES = [pytest.param({}, marks=pytest.mark.tier("lab")), {"iopoll": "on"}]
# NVME_IOCTL_ADMIN_CMD of linux/nvme_ioctl.h, with Format NVM for namespace 1.
FORMAT = """python3 -c '
import fcntl, struct, sys
command = struct.pack("BBHIIIQQIIIIIIIIII", 0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, int(sys.argv[2]), 0, 0, 0, 0, 0, 60000, 0)
with open(sys.argv[1], "rb") as file:
    sys.exit(fcntl.ioctl(file, 0xC0484E41, bytearray(command)))
'"""
BAD_SECTOR = 256  # of 512 bytes: the byte 131072
BAD_BYTE = BAD_SECTOR * 512


@pytest.fixture(scope="module")
def guest(boot):
    return boot([machine.Nvme("good"), machine.Nvme("formatted"),
                 machine.Nvme("medium", errors=[machine.medium_error("read", BAD_SECTOR)]),
                 machine.Nvme("once", errors=[machine.nth_write_error(5)])])


def generic(path):
    """The character device of a namespace."""
    return path.replace("/dev/nvme", "/dev/ng")


def create(daemon, path, name="disk", **params):
    daemon.call("bdev_uring_cmd_create", name=name, filename=path, **params)


@pytest.mark.parametrize("params", MODES, ids=str)
def test_a_medium_error_is_of_that_block_only_and_as_the_block_layer_has_it(start, guest, params):
    daemon = start(guest)
    path = devices.nvme(guest, "medium")
    daemon.call("bdev_uring_create", name="disk", filename=path)
    theirs = daemon.io("disk", "read", offset_bytes=BAD_BYTE)["status"]
    daemon.call("bdev_uring_delete", name="disk")
    create(daemon, path, **params)
    assert daemon.io("disk", "read", offset_bytes=BAD_BYTE)["status"] == theirs == -errno.ENODATA
    assert daemon.io("disk", "read", offset_bytes=BAD_BYTE - 4096)["status"] == 0
    assert daemon.io("disk", "write", offset_bytes=BAD_BYTE, fill=1)["status"] == 0
    facts = daemon.facts("disk")
    assert facts["command_retries"] == facts["command_retries_max"] == 5, facts
    assert daemon.names() == ["disk"]  # not taken for gone


def test_what_fails_once_is_sent_again_as_the_kernel_does(start, guest):
    daemon = start(guest)
    create(daemon, devices.nvme(guest, "once"))
    assert [daemon.io("disk", "write", offset_bytes=4096 * i, fill=3)["status"] for i in range(10)] == [0] * 10
    assert daemon.facts("disk")["command_retries"] == 1
    assert daemon.io("disk", "read", offset_bytes=4 * 4096, fill=3)["filled"] is True


def test_where_the_kernel_does_not_send_again_passthrough_does_not(start, guest):
    daemon = start(guest)
    guest.run("echo 0 >/sys/module/nvme_core/parameters/max_retries")
    try:
        create(daemon, devices.nvme(guest, "medium"))
        assert daemon.io("disk", "read", offset_bytes=BAD_BYTE)["status"] == -errno.ENODATA
        assert daemon.facts("disk")["command_retries"] == 0
    finally:
        guest.run("echo 5 >/sys/module/nvme_core/parameters/max_retries")


def test_a_discard_reaches_the_device_and_writes_durably_do(start, guest):
    daemon = start(guest)
    drive = next(drive for drive in guest.drives if drive.serial == "good")
    create(daemon, devices.nvme(guest, "good"), iopoll="auto")
    assert daemon.io("disk", "write", offset_bytes=1 << 20, length_bytes=8 << 20, fill=7, fua=True)["status"] == 0
    full = os.stat(drive.path).st_blocks
    assert daemon.io("disk", "discard", offset_bytes=1 << 20, length_bytes=8 << 20)["status"] == 0
    assert os.stat(drive.path).st_blocks <= full - (8 << 20) // 512 + 64  # its file has a hole there now
    assert daemon.io("disk", "write_zeroes", offset_bytes=1 << 20, length_bytes=8 << 20, fua=True)["status"] == 0
    assert daemon.io("disk", "read", offset_bytes=1 << 20, length_bytes=8 << 20)["filled"] is True
    assert daemon.facts("disk")["write_zeroes_by"] == "Write Zeroes"


def test_a_namespace_has_one_user_by_either_node(start, guest):
    daemon = start(guest)
    path = devices.nvme(guest, "good")
    daemon.call("bdev_aio_create", name="first", filename=path)
    for name in (path, generic(path)):
        said = daemon.refused("bdev_uring_cmd_create", name="second", filename=name)
        assert "in use" in said and name in said, said
    daemon.call("bdev_aio_delete", name="first")
    create(daemon, generic(path), name="first")
    for method in ("bdev_uring_create", "bdev_uring_cmd_create"):
        assert "in use" in daemon.refused(method, name="second", filename=path)
    guest.run(f"! dd if=/dev/zero of={path} count=1 oflag=excl,direct")


def test_a_mounted_namespace_is_refused(start, guest):
    daemon = start(guest)
    path = devices.nvme(guest, "good")
    guest.run(f"mkfs.ext4 -q -F {path}; mkdir -p /run/m; mount {path} /run/m")
    try:
        said = daemon.refused("bdev_uring_cmd_create", name="disk", filename=generic(path))
        assert "mounted" in said and generic(path) in said, said
    finally:
        guest.run("umount /run/m")
    create(daemon, generic(path))


def test_save_config_brings_it_back(start, guest):
    daemon = start(guest)
    path = generic(devices.nvme(guest, "good"))
    create(daemon, path, iopoll="auto", fixed_files=False, queue_depth=32)
    (subsystem,) = [entry for entry in daemon.call("save_config")["subsystems"] if entry["subsystem"] == "bdev"]
    (entry,) = [call for call in subsystem["config"] if call["method"] == "bdev_uring_cmd_create"]
    assert entry["params"].items() >= {"name": "disk", "filename": path, "iopoll": "auto", "fixed_files": False,
                                       "queue_depth": 32}.items()
    before = daemon.bdev("disk")
    daemon.call("bdev_uring_cmd_delete", name="disk")
    daemon.call(entry["method"], **entry["params"])
    for key in ("uuid", "num_blocks", "block_size", "supported_io_types"):
        assert daemon.bdev("disk")[key] == before[key]


def test_the_probe_measures_every_driver_by_either_node(start, guest):
    daemon = start(guest)
    path = devices.nvme(guest, "good")
    create(daemon, path)  # in use: a probe reads it all the same
    for name in (path, generic(path)):
        report = daemon.call("bdev_probe", filename=name, duration_ms=20)
        works = {(result["driver"], result["mode"]) for result in report["results"] if result["works"]}
        assert {("uring_cmd", ""), ("uring_cmd", "iopoll"), ("uring", ""), ("aio", ""), ("sync", "")} <= works, report


def format_to(guest, lba_format):
    """Format the drive. QEMU's: 0 to 3 are 512 bytes with metadata of 0, 8, 16 and 64, 4 to 7 the same of 4096."""
    path = devices.nvme(guest, "formatted")
    guest.run(f"{FORMAT} {generic(path)} {lba_format}")
    return path


def test_blocks_of_another_size_are_another_device(start, guest):
    """Seen by an I/O that now lies behind the end, or else by a rescan."""
    daemon = start(guest)
    create(daemon, format_to(guest, 0))
    assert daemon.io("disk", "write", offset_bytes=32 << 20, fill=1)["status"] == 0
    path = format_to(guest, 4)
    assert daemon.io("disk", "write", offset_bytes=32 << 20, fill=1)["error"] == "EREMOTEIO"
    until(lambda: daemon.names() == [], "the end of the bdev")
    assert daemon.events("bdev_gone") == ["disk"]
    create(daemon, path)
    format_to(guest, 0)
    assert "formatted anew, to blocks of 512 bytes" in daemon.refused("bdev_uring_cmd_rescan", name="disk")
    until(lambda: daemon.names() == [], "the end of the bdev")
    create(daemon, path)
    assert daemon.io("disk", "write", offset_bytes=32 << 20, fill=1)["status"] == 0


def test_a_format_with_metadata_is_refused(start, guest):
    daemon = start(guest)
    path = format_to(guest, 5)
    said = daemon.refused("bdev_uring_cmd_create", name="disk", filename=generic(path))
    assert "8 bytes of metadata" in said, said
