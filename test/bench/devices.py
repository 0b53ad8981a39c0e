# SPDX-License-Identifier: BSD-3-Clause
"""What is measured on: a file, a loop device over tmpfs, zram. Each is put back as it was found."""
import contextlib
import os
import subprocess
import tempfile


class Skip(Exception):
    """This device cannot be had here; the text says why."""


def fill(path, size_bytes):
    """Write data that does not compress: holes and zeroes would be read from nowhere."""
    block = os.urandom(1 << 20)
    with open(path, "r+b" if os.path.exists(path) else "wb", buffering=0) as file:
        for number in range(size_bytes >> 20):
            file.write(number.to_bytes(8, "little") + block[8:])
        os.fsync(file.fileno())


def need_root(what):
    if os.geteuid() != 0:
        raise Skip(f"{what} needs root")


@contextlib.contextmanager
def plain_file(folder, size_bytes):
    with tempfile.TemporaryDirectory(prefix="tarn-bench-", dir=folder) as temporary:
        path = os.path.join(temporary, "file")
        fill(path, size_bytes)
        yield path


@contextlib.contextmanager
def loop(size_bytes):
    need_root("a loop device")
    if not os.path.isdir("/dev/shm"):
        raise Skip("there is no tmpfs at /dev/shm")
    with tempfile.TemporaryDirectory(prefix="tarn-bench-", dir="/dev/shm") as temporary:
        path = os.path.join(temporary, "backing")
        fill(path, size_bytes)
        result = subprocess.run(["losetup", "--find", "--show", path], capture_output=True, text=True, check=False)
        if result.returncode != 0:
            raise Skip(f"losetup: {result.stderr.strip()}")
        device = result.stdout.strip()
        try:
            yield device
        finally:
            subprocess.run(["losetup", "--detach", device], check=True)


def read_text(path):
    with open(path, encoding="ascii") as file:
        return file.read().strip()


def write_text(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def take_zram():
    """An unused zram device: one that is there, or a new one. Returns (number, whether it is new)."""
    number = 0
    while os.path.isdir(f"/sys/block/zram{number}"):
        if read_text(f"/sys/block/zram{number}/disksize") == "0":
            return number, False
        number += 1
    if not os.path.exists("/sys/class/zram-control/hot_add"):
        raise Skip("there is no zram (modprobe zram)")
    return int(read_text("/sys/class/zram-control/hot_add")), True


@contextlib.contextmanager
def zram(size_bytes):
    need_root("zram")
    number, new = take_zram()
    folder, device = f"/sys/block/zram{number}", f"/dev/zram{number}"
    try:
        write_text(f"{folder}/disksize", str(size_bytes))
        if not os.path.exists(device):
            raise Skip(f"{device} does not appear")
        fill(device, size_bytes)
        yield device
    finally:
        write_text(f"{folder}/reset", "1")
        if new:
            write_text("/sys/class/zram-control/hot_remove", str(number))
