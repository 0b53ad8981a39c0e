# SPDX-License-Identifier: BSD-3-Clause
"""The lab's daemon on this machine, for images of a guest's drives: much faster than in a guest."""
import os
import subprocess
import sys

from machine import TOP
from tarnd import BUILD, TARND, until

sys.path.insert(0, os.path.join(TOP, "test", "system"))
import tarn  # noqa: E402
from tarn_rpc import Busy  # noqa: E402

TARNCK = os.path.join(BUILD, "bin", "tarnck")
NOT_STOPPED = 1  # tarnck: a start recovers it and loses nothing that was flushed


def check_image(path):
    """tarnck's status and report."""
    ended = subprocess.run([TARNCK, "--quiet", path], capture_output=True, text=True, check=False)
    return ended.returncode, ended.stdout + ended.stderr


class Hosted(tarn.Daemon):
    """With the cache "c0" of an image open, and the load "load" on a record."""

    def __init__(self, folder, image, record, seed, **cache):
        super().__init__(folder, program=TARND)

        def opened():  # the kernel may hold the file of a killed process's ring a moment longer
            try:
                return self.rpc.bdev_aio_create(name="image", filename=image)
            except Busy:
                return False

        try:
            until(opened, "the image of the killed process")
            self.rpc.cache_create(name="c0", bdev_name="image", **cache)
            self.rpc.lab_cache_create(name="load", record=record, seed=seed)
        except BaseException:
            self.kill()
            raise

    def check(self, **params):
        return self.rpc.lab_cache_check(name="load", cache_name="c0", **params)

    def load(self, **params):
        """To its end; what it counted."""
        self.rpc.lab_cache_start(name="load", cache_name="c0", **params)
        until(lambda: not self.rpc.lab_cache_get(name="load")["running"], "the load's end")
        return self.rpc.lab_cache_get(name="load")

    def kill(self):
        self.process.kill()
        self.process.wait()
        for client in self.clients:
            client.close()
        if os.path.exists(self.socket_path):
            os.unlink(self.socket_path)
