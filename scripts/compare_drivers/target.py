# SPDX-License-Identifier: BSD-3-Clause
"""What is measured on, what may be done to it, and what the system says of it."""
import contextlib
import os
import re
import stat
import subprocess
import tempfile

FACTS = ("queue/scheduler", "queue/nr_requests", "queue/rotational", "queue/logical_block_size",
         "queue/physical_block_size", "queue/io_poll", "queue/write_cache", "device/model")


class TargetError(Exception):
    pass


class Target:
    def __init__(self, name, path, writable, made):
        self.name, self.path, self.writable, self.made = name, path, writable, made
        self.device = stat.S_ISBLK(os.stat(path).st_mode)
        with open(path, "rb") as file:
            self.size_bytes = file.seek(0, os.SEEK_END)

    def about(self):
        kind = "block device" if self.device else "file made for this" if self.made else "file"
        return {"path": self.name, "kind": kind, "size_bytes": self.size_bytes, "written": self.writable,
                "facts": facts(self.path, self.device)}


def size_of(text):
    found = re.fullmatch(r"(\d+)([kmgt]?)", text.lower())
    if not found:
        raise TargetError(f"--size {text}: not a number with k, m, g or t")
    return int(found.group(1)) << {"": 0, "k": 10, "m": 20, "g": 30, "t": 40}[found.group(2)]


def fill(path, size_bytes):
    """With data that does not compress, so that nothing below can make it cheap."""
    block = os.urandom(1 << 20)
    with open(path, "wb", buffering=0) as file:
        for number in range(max(1, size_bytes >> 20)):
            file.write(number.to_bytes(8, "little") + block[8:])
        os.fsync(file.fileno())


def block_device_of(path):
    """Of an NVMe namespace's character device its block device: every driver takes that, uring_cmd too."""
    found = re.fullmatch(r"/dev/ng(\d+n\d+)", path)
    return f"/dev/nvme{found.group(1)}" if found else path


@contextlib.contextmanager
def opened(path, options):
    if os.path.isdir(path):
        with tempfile.TemporaryDirectory(prefix="compare-drivers-", dir=path) as folder:
            with made(path, os.path.join(folder, "data"), options) as target:
                yield target
    elif not os.path.exists(path):
        with made(path, path, options) as target:
            yield target
    else:
        device = block_device_of(path)
        mode = os.stat(device).st_mode
        if not stat.S_ISBLK(mode) and not stat.S_ISREG(mode):
            raise TargetError(f"{path}: neither a file nor a block device")
        yield Target(path, device, options.destroy_data, False)


@contextlib.contextmanager
def made(name, path, options):
    try:
        fill(path, size_of(options.size))
        yield Target(name, path, True, True)
    finally:
        if os.path.exists(path):
            os.unlink(path)


def read_fact(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return None


def sysfs_folder(path, device):
    status = os.stat(path)
    number = status.st_rdev if device else status.st_dev
    folder = os.path.realpath(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}")
    if os.path.exists(os.path.join(folder, "partition")):
        folder = os.path.dirname(folder)
    return folder


def facts(path, device):
    folder = sysfs_folder(path, device)
    result = {"device": os.path.basename(folder)}
    for name in FACTS:
        value = read_fact(os.path.join(folder, name))
        if value is not None:
            result[os.path.basename(name)] = value
    if not device:
        found = subprocess.run(["stat", "-f", "-c", "%T", path], capture_output=True, text=True, check=False)
        result["file_system"] = found.stdout.strip()
    return result
