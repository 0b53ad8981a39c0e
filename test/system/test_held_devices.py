# SPDX-License-Identifier: BSD-3-Clause
"""A device that is held: by a process that is just ending, by one that stays, by the daemon itself."""
import fcntl
import os
import subprocess
import threading

import pytest
from tarn import FILE_DRIVERS, Stream, request, until
from tarn_rpc import Busy

ROUNDS = 6


@pytest.fixture(params=["file", "loop"])
def device(request, folder):
    path = os.path.join(folder, "disk0.img")
    with open(path, "wb") as file:
        file.truncate(16 << 20)
    if request.param == "file":
        yield path
        return
    done = subprocess.run(["losetup", "--find", "--show", "--direct-io=on", path], capture_output=True, text=True,
                          check=False)
    if done.returncode != 0:
        pytest.skip(f"no loop device: {done.stderr.strip()}")
    yield done.stdout.strip()
    subprocess.run(["losetup", "--detach", done.stdout.strip()], check=False)


@pytest.fixture
def lock(folder):
    """lock(NAME) locks a file of that name as another process's daemon does."""
    files = []

    def lock_one(name):
        files.append(open(os.path.join(folder, name), "ab"))
        fcntl.flock(files[-1], fcntl.LOCK_EX)
        return files[-1]

    yield lock_one
    for file in files:
        file.close()


def create(driver, name, filename):
    return request(f"bdev_{driver}_create", {"name": name, "filename": filename})


@pytest.mark.parametrize("driver", FILE_DRIVERS)
def test_what_a_killed_daemon_had_is_taken_at_once(start, folder, device, driver):
    """By one that runs already: a start takes longer than the kernel holds what the killed one had."""
    def next_daemon(number):
        path = os.path.join(folder, str(number))
        os.mkdir(path)
        return start(folder=path)

    daemon = next_daemon(0)
    for number in range(1, ROUNDS):
        daemon.rpc.call(f"bdev_{driver}_create", name="disk0", filename=device)
        daemon.rpc.cache_create(name="c0", bdev_name="disk0", force=True)
        daemon.rpc.cache_store(name="c0", key="k", value="v" * 4000)  # what a ring can hold, it holds
        standby = next_daemon(number)
        daemon.process.kill()
        daemon.process.wait()
        daemon = standby


def test_what_another_process_lets_go_is_waited_for(daemon, lock):
    daemon.file("disk0.img")
    held = lock("disk0.img")
    first, second = Stream(daemon), Stream(daemon)
    first.send(create("uring", "disk0", "disk0.img"))
    until(lambda: "bdev_create_wait" in str(daemon.rpc.thread_get_pollers()), "the wait")
    assert second.ask(request("bdev_get_bdevs"))["result"] == []  # nobody else waits
    held.close()
    assert first.answer()["result"] == "disk0"
    assert "bdev_create_wait" not in str(daemon.rpc.thread_get_pollers())


def test_what_another_process_keeps_is_refused(daemon, lock):
    daemon.file("disk0.img")
    lock("disk0.img")
    with pytest.raises(Busy, match="disk0.img is in use: locked by another process"):
        daemon.rpc.bdev_sync_create(name="disk0", filename="disk0.img")
    assert daemon.rpc.bdev_get_bdevs() == []


def test_what_the_daemon_has_itself_is_refused_by_its_bdevs_name(daemon, device):
    daemon.rpc.bdev_uring_create(name="first", filename=device)
    for driver in FILE_DRIVERS:
        with pytest.raises(Busy, match=f"{device} is in use by bdev first"):
            daemon.rpc.call(f"bdev_{driver}_create", name="second", filename=device)


def test_a_daemon_that_waits_ends_when_told(daemon, lock):
    daemon.file("disk0.img")
    lock("disk0.img")
    stream = Stream(daemon)
    stream.send(create("aio", "disk0", "disk0.img"))
    until(lambda: "bdev_create_wait" in str(daemon.rpc.thread_get_pollers()), "the wait")
    assert daemon.stop() == 0
    assert stream.answer()["error"]["code"] == -16


def test_a_configuration_waits_too(start, folder, lock):
    daemon = start("--wait-for-rpc")
    daemon.file("disk0.img")
    held = lock("disk0.img")
    config = os.path.join(folder, "c.json")
    with open(config, "w", encoding="utf-8") as file:
        file.write('{"subsystems": [{"subsystem": "bdev", "config": [{"method": "bdev_aio_create", '
                   '"params": {"name": "disk0", "filename": "disk0.img"}}]}]}')
    assert daemon.stop() == 0
    timer = threading.Timer(0.2, held.close)
    timer.start()
    daemon = start("-c", config)
    timer.join()
    assert [bdev["name"] for bdev in daemon.rpc.bdev_get_bdevs()] == ["disk0"]
