# SPDX-License-Identifier: BSD-3-Clause
"""The lab's daemon in a guest: tarnd with methods that do I/O (test/lab/daemon)."""
import itertools
import json
import os
import shlex
import time

from machine import TOP, Failed

BUILD = os.path.abspath(os.environ.get("TARN_BUILD", os.path.join(TOP, "build", "plain")))
TARND = os.path.join(BUILD, "test", "lab", "tarnd")
TARNCTL = os.path.join(BUILD, "bin", "tarnctl")
TARNPERF = os.path.join(BUILD, "bin", "tarnperf")
LIMIT_S = 60  # for anything that must happen; reaching it is a failure
numbers = itertools.count(1)


def until(condition, what, limit_s=LIMIT_S):
    """Wait for a condition; returns its value."""
    deadline = time.monotonic() + limit_s
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"{what}: not in {limit_s} s"
        time.sleep(0.05)


class Daemon:
    def __init__(self, guest, *arguments):
        self.guest = guest
        self.socket = f"/run/tarn-{next(numbers)}.sock"
        line = shlex.join([TARND, "-r", self.socket, "--no-huge", *arguments])
        self.process = guest.start(f"echo $$ >{self.socket}.pid; exec {line}")
        self.killed = False
        until(lambda: " is ready: " in self.log() or self.process.status is not None, "the daemon's start")
        assert self.process.status is None, self.log()

    def log(self):
        self.guest.listen(0)
        return self.process.output()

    def calls(self, *calls):
        """The results of (method, params), in order, by one command in the guest. Failed: the daemon refused one,
        and says why."""
        lines = "\n".join(json.dumps({"method": method, "params": params}) for method, params in calls)
        output = self.guest.run(f"{TARNCTL} -s {self.socket} batch <<<{shlex.quote(lines)}")
        return [json.loads(line) for line in output.splitlines()]

    def call(self, method, **params):
        """The method's result."""
        return self.calls((method, params))[0]

    def refused(self, method, **params):
        """What the daemon says against it."""
        try:
            self.call(method, **params)
        except Failed as error:
            return str(error)
        raise AssertionError(f"{method} {params} was not refused")

    def bdev(self, name):
        (found,) = self.call("bdev_get_bdevs", name=name)
        return found

    def names(self):
        return [bdev["name"] for bdev in self.call("bdev_get_bdevs")]

    def facts(self, name):
        """What the driver says of a bdev."""
        (facts,) = self.bdev(name)["driver_specific"].values()
        return facts

    def events(self, kind):
        """The objects of the events of a kind."""
        return [event["ctx"] for event in self.call("notify_get_notifications") if event["type"] == kind]

    def io(self, bdev, op, **params):
        return self.call("lab_io", bdev_name=bdev, op=op, **params)

    def signal(self, name):
        self.guest.run(f"kill -{name} $(cat {self.socket}.pid)")
        self.process.wait(LIMIT_S, check=False)

    def kill(self):
        """As a crash would end it."""
        self.signal("KILL")
        self.killed = True

    def stop(self):
        if self.process.status is None:
            self.signal("TERM")
        status = self.process.status
        assert self.killed or status == 0, f"tarnd ended with {status}:\n{self.process.output()}"
