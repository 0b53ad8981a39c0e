# SPDX-License-Identifier: BSD-3-Clause
"""Devices that are wrong, taken, or go away: the same for every driver of files and block devices."""
import fcntl
import os
import shutil
import subprocess
import threading

import pytest
from tarn import FILE_DRIVERS, until
from tarn_rpc import AlreadyExists, Busy, InvalidParams, NoSuchDevice, RpcError

pytestmark = pytest.mark.parametrize("driver", FILE_DRIVERS)
NOBODY = 65534
LOOP_CHANGE_FD = 0x4C06


def refused(daemon, driver, filename, **params):
    with pytest.raises(RpcError) as error:
        daemon.rpc.call(f"bdev_{driver}_create", name="disk0", filename=filename, **params)
    assert daemon.rpc.bdev_get_bdevs() == []
    assert filename in error.value.message
    return error.value


def tool(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def loop(folder):
    """loop(path) gives a loop device."""
    if os.getuid() != 0 or not os.path.exists("/dev/loop-control") or shutil.which("losetup") is None:
        pytest.skip("needs root and loop devices")
    devices = []

    def attach(path, *options):
        try:
            devices.append(tool("losetup", "--find", "--show", *options, path))
        except subprocess.CalledProcessError as error:
            pytest.skip(f"losetup: {error.stderr.strip()}")
        return devices[-1]

    yield attach
    for device in devices:
        subprocess.run(["losetup", "-d", device], capture_output=True, check=False)


def test_a_file_is_a_device_of_its_size(daemon, driver):
    assert daemon.create(driver, block_size=4096) == "disk0"
    (bdev,) = daemon.rpc.bdev_get_bdevs(name="disk0")
    assert (bdev["num_blocks"], bdev["block_size"]) == (4096, 4096)
    assert list(bdev["driver_specific"]) == [driver]
    assert bdev["driver_specific"][driver]["filename"] == "disk0.img"


def test_a_missing_file_is_refused(daemon, driver):
    assert refused(daemon, driver, "no-such.img").code == -2


def test_a_directory_is_refused(daemon, driver, folder):
    os.mkdir(os.path.join(folder, "dir"))
    assert refused(daemon, driver, "dir").code == -21


def test_a_character_device_is_refused(daemon, driver):
    assert refused(daemon, driver, "/dev/null").code < 0


def test_an_empty_file_is_refused(daemon, driver):
    daemon.file("empty.img", 0)
    assert refused(daemon, driver, "empty.img").code == -22


def test_a_size_that_is_no_multiple_of_the_block_is_refused(daemon, driver):
    daemon.file("odd.img", (1 << 20) + 512)
    message = refused(daemon, driver, "odd.img", block_size=4096).message
    assert "4096" in message


def test_a_file_without_permission_is_refused(start, driver, folder):
    path = os.path.join(folder, "secret.img")
    with open(path, "wb") as file:
        file.truncate(1 << 20)
    os.chmod(path, 0)
    prefix = []
    if os.getuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("as root it needs setpriv")
        os.chmod(folder, 0o777)
        os.chown(path, 0, 0)
        prefix = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--"]
    daemon = start(prefix=prefix)
    assert refused(daemon, driver, "secret.img").code == -13


def test_a_read_only_file_is_refused_for_writing_and_taken_read_only(start, driver, folder):
    path = os.path.join(folder, "ro.img")
    with open(path, "wb") as file:
        file.truncate(1 << 20)
    os.chmod(path, 0o444)
    prefix = []
    if os.getuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("as root it needs setpriv")
        os.chmod(folder, 0o777)
        prefix = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--"]
    daemon = start(prefix=prefix)
    assert refused(daemon, driver, "ro.img").code in (-13, -30)
    assert daemon.rpc.call(f"bdev_{driver}_create", name="disk0", filename="ro.img", readonly=True) == "disk0"
    (bdev,) = daemon.rpc.bdev_get_bdevs()
    assert bdev["tarn"]["read_only"] is True and bdev["supported_io_types"]["write"] is False


def test_a_read_only_block_device_is_refused_for_writing(daemon, driver, loop):
    device = loop(daemon.file("ro.img"), "--read-only")
    assert refused(daemon, driver, device).code in (-30, -13)
    assert daemon.rpc.call(f"bdev_{driver}_create", name="disk0", filename=device, readonly=True) == "disk0"


def test_a_mounted_device_is_refused(daemon, driver, loop, folder):
    if shutil.which("mkfs.ext4") is None:
        pytest.skip("needs mkfs.ext4")
    device = loop(daemon.file("fs.img", 32 << 20))
    mount_point = os.path.join(folder, "mnt")
    os.mkdir(mount_point)
    tool("mkfs.ext4", "-q", device)
    try:
        tool("mount", device, mount_point)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"mount: {error.stderr.strip()}")
    try:
        assert refused(daemon, driver, device).code == -16
    finally:
        tool("umount", mount_point)


def test_a_file_that_another_bdev_has_is_refused(daemon, driver):
    daemon.create(driver, name="first", filename="shared.img")
    with pytest.raises(Busy, match="shared.img"):
        daemon.create(driver, name="second", filename="shared.img")


def test_a_name_that_is_taken_is_refused(daemon, driver):
    daemon.create(driver)
    with pytest.raises(AlreadyExists, match="disk0"):
        daemon.create(driver, name="disk0", filename="other.img")


def test_a_device_that_is_used_is_not_deleted(daemon, driver):
    daemon.create(driver)
    daemon.rpc.bdev_error_create(base_name="disk0")
    with pytest.raises(Busy, match="disk0"):
        daemon.rpc.call(f"bdev_{driver}_delete", name="disk0")
    daemon.rpc.bdev_error_delete(name="EE_disk0")
    assert daemon.rpc.call(f"bdev_{driver}_delete", name="disk0") is True
    assert daemon.rpc.bdev_get_bdevs() == []


def test_options_of_other_drivers_are_refused_by_name(daemon, driver):
    others = {"uring": {"workers": 2}, "aio": {"sqpoll": "on"}, "sync": {"iopoll": "on"}}[driver]
    (name,) = others
    with pytest.raises(RpcError, match=name):
        daemon.create(driver, **others)
    with pytest.raises(InvalidParams, match="iopoll"):
        daemon.create(driver, iopoll="perhaps")


def test_a_rescan_takes_the_new_size(daemon, driver):
    daemon.create(driver, block_size=512)
    daemon.file("disk0.img", 32 << 20)
    assert daemon.rpc.call(f"bdev_{driver}_rescan", name="disk0") is True
    assert daemon.rpc.bdev_get_bdevs(name="disk0")[0]["num_blocks"] == 65536


def test_a_bad_uuid_is_refused(daemon, driver):
    with pytest.raises(RpcError, match="uuid"):
        daemon.create(driver, uuid="not-a-uuid")
    with pytest.raises(NoSuchDevice):
        daemon.rpc.bdev_get_bdevs(name="not-a-uuid")


def test_a_block_device_that_grows_is_noticed_by_itself(daemon, driver, loop):
    path = daemon.file("grows.img", 16 << 20)
    device = loop(path)
    daemon.rpc.call(f"bdev_{driver}_create", name="disk0", filename=device)
    (bdev,) = daemon.rpc.bdev_get_bdevs(name="disk0")
    if bdev["driver_specific"][driver]["device_events"] != "watched":
        pytest.skip(bdev["driver_specific"][driver]["device_events"])
    daemon.file("grows.img", 32 << 20)
    tool("losetup", "--set-capacity", device)
    until(lambda: daemon.rpc.bdev_get_bdevs(name="disk0")[0]["num_blocks"] * bdev["block_size"] == 32 << 20,
          "the new size")


def test_an_idle_device_with_another_medium_is_gone(daemon, driver, loop):
    device = loop(daemon.file("old.img"), "--read-only")
    daemon.rpc.call(f"bdev_{driver}_create", name="disk0", filename=device, readonly=True)
    with open(device, "rb") as disk, open(daemon.file("new.img"), "rb") as other:
        try:
            fcntl.ioctl(disk, LOOP_CHANGE_FD, other.fileno())
        except OSError as error:
            pytest.skip(f"LOOP_CHANGE_FD: {error}")
    until(lambda: not daemon.rpc.bdev_get_bdevs(), "the removal of the bdev")
    assert "bdev disk0: the device is gone" in daemon.log()


def test_a_device_that_vanishes_under_load_is_an_error_and_no_end(daemon, driver, loop):
    path = daemon.file("gone.img", 32 << 20)
    device = loop(path)
    daemon.rpc.call(f"bdev_{driver}_create", name="disk0", filename=device)
    reports = []

    def load():
        try:
            reports.append(daemon.client().bdev_probe(filename=device, duration_ms=500))
        except RpcError as error:
            reports.append(error)

    thread = threading.Thread(target=load)
    thread.start()
    until(lambda: len(daemon.rpc.bdev_get_bdevs()) > 1 or reports, "the load")
    os.truncate(path, 0)
    thread.join(60)
    assert reports and daemon.rpc.spdk_get_version()
    if isinstance(reports[0], dict):
        failed = [result for result in reports[0]["results"] if not result["works"]]
        assert any("Input/output error" in result["reason"] for result in failed)
        assert all(result["reason"] for result in failed)
