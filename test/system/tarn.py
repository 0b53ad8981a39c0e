# SPDX-License-Identifier: BSD-3-Clause
"""What the system tests share: a daemon of one's own, and raw connections to it."""
import json
import os
import signal
import socket
import subprocess
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get("TARN_BUILD", os.path.join(TOP, "build", "plain")))
TARND = os.path.join(BUILD, "bin", "tarnd")
TARNCTL = os.path.join(BUILD, "bin", "tarnctl")
LIMIT_S = 60  # for anything that must happen; reaching it is a failure

sys.path.insert(0, os.path.join(TOP, "scripts"))
from tarn_rpc import Client  # noqa: E402

FILE_DRIVERS = ["uring", "aio", "sync"]


def until(condition, what, limit_s=LIMIT_S):
    """Wait for a condition; returns its value."""
    deadline = time.monotonic() + limit_s
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"{what}: not in {limit_s} s"
        time.sleep(0.01)


class Daemon:
    """One tarnd in a folder of its own, with files in it as devices."""

    def __init__(self, folder, *args, prefix=(), wait=True, program=TARND, **popen):
        self.folder = str(folder)
        self.socket_path = os.path.join(self.folder, "t.sock")
        self.log_path = os.path.join(self.folder, f"tarnd.{time.monotonic_ns()}.log")
        command = [*prefix, program, "-r", self.socket_path, "--no-huge", *args]
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(command, cwd=self.folder, stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, **popen)
        self.clients = []
        if wait:
            self.client().wait_ready()

    def client(self, timeout_s=LIMIT_S):
        def connect():
            assert self.process.poll() is None, f"tarnd ended with {self.process.returncode}:\n{self.log()}"
            return os.path.exists(self.socket_path)

        until(connect, "the daemon's socket")
        client = Client(self.socket_path, timeout_s=timeout_s, connect_s=LIMIT_S)
        self.clients.append(client)
        return client

    @property
    def rpc(self):
        """A client for the test's own calls."""
        if not self.clients or self.clients[0]._socket is None:
            self.clients.insert(0, self.client())
        return self.clients[0]

    def connect(self):
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.connect(self.socket_path)  # waits while the daemon's queue of clients is full
        connection.settimeout(LIMIT_S)
        return connection

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            return log.read()

    def file(self, name, size_bytes=16 << 20):
        path = os.path.join(self.folder, name)
        with open(path, "ab") as file:
            file.truncate(size_bytes)
        return path

    def create(self, driver, name="disk0", **params):
        params.setdefault("filename", f"{name}.img")
        self.file(params["filename"])
        return self.rpc.call(f"bdev_{driver}_create", name=name, **params)

    def wait(self):
        return self.process.wait(timeout=LIMIT_S)

    def stop(self, signal_number=signal.SIGTERM):
        """Returns the exit status."""
        for client in self.clients:
            client.close()
        if self.process.poll() is None:
            self.process.send_signal(signal_number)
        try:
            return self.wait()
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)
            self.process.wait()
            raise AssertionError(f"tarnd did not end:\n{self.log()}") from None


class Stream:
    """A raw connection, for byte streams that no proper client would send."""

    def __init__(self, daemon):
        self.socket = daemon.connect()
        self.received = b""

    def send(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else data.encode())

    def answer(self):
        """The next answer, or None when the daemon has closed the connection."""
        while b"\n" not in self.received:
            try:
                data = self.socket.recv(1 << 16)
            except ConnectionResetError:
                return None
            if not data:
                return None
            self.received += data
        line, _, self.received = self.received.partition(b"\n")
        return json.loads(line)

    def ask(self, data):
        self.send(data)
        return self.answer()

    def close(self):
        self.socket.close()


def request(method, params=None, request_id=1):
    body = {"jsonrpc": "2.0", "id": request_id, "method": method}
    if params is not None:
        body["params"] = params
    return json.dumps(body)


def config_of(*calls):
    """A configuration of (method, params) pairs."""
    entries = [{"method": method, "params": params} for method, params in calls]
    return {"subsystems": [{"subsystem": "bdev", "config": entries}]}


def run_tarnd(folder, *args, **popen):
    """Run one to its end; for starts that must fail."""
    return subprocess.run([TARND, "-r", os.path.join(str(folder), "t.sock"), "--no-huge", *args], cwd=folder,
                          capture_output=True, text=True, timeout=LIMIT_S, check=False, **popen)
